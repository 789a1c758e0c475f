#include "tiers/values/zset.h"

#include <math.h>
#include <stdlib.h>

#include "tiers/index.h"

/* ---- scores ---- */

#define SIGN_BIT (UINT64_C(1) << 63)

/* Of IEEE 754 numbers the bits of positive ones are in their order already,
 * those of negative ones in the opposite. */
void zset_score_write(char *out, double score)
{
    uint64_t bits = 0;
    score = score == 0 ? 0 : score;
    memcpy(&bits, &score, sizeof bits);
    bits = (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
    bits = __builtin_bswap64(bits);
    memcpy(out, &bits, sizeof bits);
}

double zset_score_read(const char *at)
{
    uint64_t bits = 0;
    double score = 0;
    memcpy(&bits, at, sizeof bits);
    bits = __builtin_bswap64(bits);
    bits = (bits & SIGN_BIT) != 0 ? bits & ~SIGN_BIT : ~bits;
    memcpy(&score, &bits, sizeof score);
    return score;
}

double zset_item(const struct seq_cursor *cursor, struct element *member)
{
    const char *at = seq_item(cursor).data;
    element_read(at + ZSET_SCORE_BYTES, member);
    return zset_score_read(at);
}

/* ---- items, in memory of the caller where they fit ---- */

#define ITEM_STACK_BYTES 256

struct item {
    char small[ITEM_STACK_BYTES];
    char *data;
    size_t size;
};

static void item_make(struct item *item, double score, struct bytes member)
{
    size_t bound = ZSET_SCORE_BYTES + ELEMENT_BOUND(member.size);
    item->data = bound <= sizeof item->small ? item->small : xmalloc(bound);
    zset_score_write(item->data, score);
    item->size =
        ZSET_SCORE_BYTES + element_write(item->data + ZSET_SCORE_BYTES, member);
}

static void item_finish(struct item *item)
{
    if (item->data != item->small) {
        free(item->data);
    }
}

static struct bytes item_bytes(const struct item *item)
{
    return bytes_of(item->data, item->size);
}

/* ---- the index of a large set ---- */

static struct bytes prefix_of(struct bytes member)
{
    return bytes_of(member.data,
        member.size < ZSET_PREFIX_BYTES ? member.size : ZSET_PREFIX_BYTES);
}

#define INDEX_ITEM_BYTES (ZSET_SCORE_BYTES + ELEMENT_BOUND(ZSET_PREFIX_BYTES))

static struct bytes index_item(
    char out[INDEX_ITEM_BYTES], double score, struct bytes member)
{
    zset_score_write(out, score);
    return bytes_of(
        out, ZSET_SCORE_BYTES +
                 element_write(out + ZSET_SCORE_BYTES, prefix_of(member)));
}

static struct tree *index_of(struct collection *zset)
{
    return &zset->live->index;
}

static uint32_t hash_of(const struct collection *zset, struct bytes member)
{
    return (uint32_t)index_hash(zset->seq.secret, member);
}

static bool is_key(
    const struct tree_cursor *cursor, uint32_t hash, struct bytes key)
{
    return !tree_cursor_at_end(cursor) && tree_item_hash(cursor) == hash &&
           bytes_equal(shape_key(cursor->tree->shape, tree_item(cursor)), key);
}

/* The place of `member` in the index, and its score. Several long members may
 * share hash and prefix: the items tell them apart. */
static bool index_find_member(struct collection *zset, struct bytes member,
    struct tree_cursor *cursor, double *score)
{
    char data[INDEX_ITEM_BYTES];
    uint32_t hash = hash_of(zset, member);
    struct tree *tree = index_of(zset);
    struct bytes key = shape_key(tree->shape, index_item(data, 0, member));
    tree_seek(tree, hash, key, cursor);
    for (; is_key(cursor, hash, key); tree_next(cursor)) {
        struct tree_cursor at;
        struct item item;
        *score = zset_score_read(tree_item(cursor).data);
        if (member.size <= ZSET_PREFIX_BYTES) {
            return true;
        }
        item_make(&item, *score, member);
        bool found = tree_seek(&zset->live->items, 0, item_bytes(&item), &at);
        item_finish(&item);
        if (found) {
            return true;
        }
    }
    return false;
}

void zset_build_index(struct value *value, const uint8_t *secret)
{
    struct tree_cursor at, place;
    tree_at(&value->items, 0, &at);
    for (bool more = value->items.count > 0; more; more = tree_next(&at)) {
        char data[INDEX_ITEM_BYTES];
        struct element element;
        const char *item = tree_item(&at).data;
        element_read(item + ZSET_SCORE_BYTES, &element);
        struct bytes member = element_text(&element);
        uint32_t hash = (uint32_t)index_hash(secret, member);
        struct bytes entry = index_item(data, zset_score_read(item), member);
        tree_seek(
            &value->index, hash, shape_key(value->index.shape, entry), &place);
        tree_insert(&place, hash, entry);
    }
}

void zset_from_index(struct collection *zset, const struct seq_cursor *index,
    struct seq_cursor *cursor)
{
    uint32_t hash = tree_item_hash(&index->tree);
    /* Score and prefix, which is at or before the member. */
    seq_seek(&zset->seq, 0, seq_item(index), cursor);
    for (; !seq_at_end(cursor); seq_next(cursor)) {
        struct element member;
        zset_item(cursor, &member);
        if (hash_of(zset, element_text(&member)) == hash) {
            return;
        }
    }
    check(false);
}

/* ---- finding ---- */

/* In a flat run by its bytes, behind the score. */
static bool flat_find(
    struct collection *zset, struct bytes member, struct seq_cursor *cursor)
{
    struct item item;
    item_make(&item, 0, member);
    const char *key = item.data + ZSET_SCORE_BYTES;
    size_t size = item.size - ZSET_SCORE_BYTES;
    bool found = false;
    seq_at(&zset->seq, 0, cursor);
    for (; !seq_at_end(cursor); seq_next(cursor)) {
        struct bytes at = seq_item(cursor);
        if (at.size == item.size &&
            memcmp(at.data + ZSET_SCORE_BYTES, key, size) == 0) {
            found = true;
            break;
        }
    }
    item_finish(&item);
    return found;
}

bool zset_find(
    struct collection *zset, struct bytes member, struct seq_cursor *cursor)
{
    struct tree_cursor at;
    struct item item;
    double score = 0;
    if (zset->live == NULL) {
        return flat_find(zset, member, cursor);
    }
    if (!index_find_member(zset, member, &at, &score)) {
        return false;
    }
    item_make(&item, score, member);
    check(seq_seek(&zset->seq, 0, item_bytes(&item), cursor));
    item_finish(&item);
    return true;
}

bool zset_score(struct collection *zset, struct bytes member, double *score)
{
    struct seq_cursor cursor;
    struct tree_cursor at;
    struct element element;
    if (zset->live != NULL) {
        return index_find_member(zset, member, &at, score);
    }
    if (!flat_find(zset, member, &cursor)) {
        return false;
    }
    *score = zset_item(&cursor, &element);
    return true;
}

uint64_t zset_rank_of_score(struct collection *zset, double score, bool beyond)
{
    char key[ZSET_SCORE_BYTES];
    struct seq_cursor cursor;
    if (beyond && score == HUGE_VAL) {
        return collection_count(zset);
    }
    zset_score_write(key, beyond ? nextafter(score, HUGE_VAL) : score);
    seq_seek(&zset->seq, 0, bytes_of(key, sizeof key), &cursor);
    return seq_rank(&cursor);
}

uint64_t zset_rank_of_member(
    struct collection *zset, struct bytes member, bool beyond)
{
    struct seq_cursor cursor;
    struct element first;
    struct item item;
    if (collection_count(zset) == 0) {
        return 0;
    }
    seq_at(&zset->seq, 0, &cursor);
    item_make(&item, zset_item(&cursor, &first), member);
    bool found = seq_seek(&zset->seq, 0, item_bytes(&item), &cursor);
    item_finish(&item);
    return seq_rank(&cursor) + (found && beyond);
}

/* ---- changing ---- */

static void remember(struct collection *zset, struct bytes member, double score)
{
    char data[INDEX_ITEM_BYTES];
    struct tree_cursor place;
    uint32_t hash = hash_of(zset, member);
    struct bytes entry = index_item(data, score, member);
    struct tree *tree = index_of(zset);
    tree_seek(tree, hash, shape_key(tree->shape, entry), &place);
    tree_insert(&place, hash, entry);
}

static void insert(struct collection *zset, struct bytes member, double score)
{
    struct item item;
    struct seq_cursor cursor;
    item_make(&item, score, member);
    seq_seek(&zset->seq, 0, item_bytes(&item), &cursor);
    seq_insert(&cursor, item_bytes(&item));
    item_finish(&item);
}

static void grow(struct collection *zset)
{
    collection_grow(zset, KIND_ZSET_TREE);
    zset_build_index(zset->live, zset->seq.secret);
}

/* Before `member` is added. */
static void make_room(struct collection *zset, struct bytes member)
{
    const struct value_limits *limits = collection_limits(zset);
    if (zset->live == NULL &&
        (collection_count(zset) + 1 > limits->zset_max_listpack_entries ||
            member.size > limits->zset_max_listpack_value ||
            seq_bytes(&zset->seq) + member.size + 64 > SEQ_FLAT_MAX_BYTES)) {
        grow(zset);
    }
}

static enum zset_change set_flat(
    struct collection *zset, struct bytes member, double score)
{
    struct seq_cursor cursor;
    struct element element;
    enum zset_change change = ZSET_ADDED;
    if (flat_find(zset, member, &cursor)) {
        if (zset_item(&cursor, &element) == score) {
            return ZSET_SAME;
        }
        seq_remove(&cursor);
        change = ZSET_MOVED;
    }
    insert(zset, member, score);
    return change;
}

static enum zset_change set_tree(
    struct collection *zset, struct bytes member, double score)
{
    char data[INDEX_ITEM_BYTES];
    struct tree_cursor at;
    struct seq_cursor cursor;
    struct item item;
    double before = 0;
    if (!index_find_member(zset, member, &at, &before)) {
        remember(zset, member, score);
        insert(zset, member, score);
        return ZSET_ADDED;
    }
    if (before == score) {
        return ZSET_SAME;
    }
    tree_replace(&at, index_item(data, score, member));
    item_make(&item, before, member);
    check(seq_seek(&zset->seq, 0, item_bytes(&item), &cursor));
    item_finish(&item);
    seq_remove(&cursor);
    insert(zset, member, score);
    return ZSET_MOVED;
}

enum zset_change zset_set(
    struct collection *zset, struct bytes member, double score)
{
    double before = 0;
    if (zset->live == NULL && !zset_score(zset, member, &before)) {
        make_room(zset, member);
    }
    return zset->live == NULL ? set_flat(zset, member, score)
                              : set_tree(zset, member, score);
}

bool zset_remove(struct collection *zset, struct bytes member)
{
    struct seq_cursor cursor;
    struct tree_cursor at;
    double score = 0;
    if (!zset_find(zset, member, &cursor)) {
        return false;
    }
    if (zset->live != NULL) {
        check(index_find_member(zset, member, &at, &score));
        tree_remove(&at);
    }
    seq_remove(&cursor);
    return true;
}

void zset_remove_range(struct collection *zset, uint64_t first, uint64_t count)
{
    struct seq_cursor cursor;
    seq_at(&zset->seq, first, &cursor);
    for (uint64_t i = 0; zset->live != NULL && i < count; i++) {
        struct tree_cursor at;
        struct element member;
        double score = 0;
        zset_item(&cursor, &member);
        check(index_find_member(zset, element_text(&member), &at, &score));
        tree_remove(&at);
        seq_next(&cursor);
    }
    seq_remove_range(&zset->seq, first, count);
}
