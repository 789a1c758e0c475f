#include "tiers/values/seq.h"

#include <stdlib.h>

#include "tiers/index.h"
#include "tiers/values/value.h"

/* ---- opening ---- */

void seq_open_flat(struct seq *seq, const struct shape *shape,
    struct bytes items, uint64_t count, const uint8_t *secret)
{
    *seq = (struct seq){
        .shape = shape,
        .data = (char *)items.data,
        .size = items.size,
        .count = count,
        .secret = secret,
    };
}

void seq_open_tree(struct seq *seq, struct tree *tree, const uint8_t *secret)
{
    *seq = (struct seq){.shape = tree->shape, .tree = tree, .secret = secret};
}

void seq_open_copy(struct seq *seq, const struct shape *shape,
    struct bytes items, uint64_t count, const uint8_t *secret)
{
    size_t capacity = items.size + items.size / 2 + 128;
    char *data = xmalloc(SEQ_HEADROOM + capacity);
    if (items.size > 0) {
        memcpy(data + SEQ_HEADROOM, items.data, items.size);
    }
    *seq = (struct seq){
        .shape = shape,
        .data = data + SEQ_HEADROOM,
        .size = items.size,
        .capacity = capacity,
        .count = count,
        .secret = secret,
    };
}

void seq_close(struct seq *seq)
{
    if (seq->capacity > 0) {
        free(seq->data - SEQ_HEADROOM);
    }
    seq->data = NULL;
    seq->size = seq->capacity = 0;
    seq->count = 0;
}

uint64_t seq_count(const struct seq *seq)
{
    return seq->tree != NULL ? seq->tree->count : seq->count;
}

uint64_t seq_bytes(const struct seq *seq)
{
    return seq->tree != NULL ? seq->tree->item_bytes : seq->size;
}

static uint32_t hash_of(const struct seq *seq, struct bytes text)
{
    return seq->tree != NULL ? (uint32_t)index_hash(seq->secret, text) : 0;
}

/* ---- flat runs ---- */

static const char *flat_end(const struct seq *seq)
{
    return seq->data + seq->size;
}

/* The cursor on the item that begins at `at`, or at the end. */
static void flat_place(struct seq_cursor *cursor, const char *at)
{
    const struct seq *seq = cursor->seq;
    cursor->flat.at = (uint32_t)(at - seq->data);
    cursor->flat.end =
        at < flat_end(seq)
            ? (uint32_t)(shape_item_end(seq->shape, at) - seq->data)
            : cursor->flat.at;
    cursor->flat.back_count = 0;
}

static bool flat_find_key(
    struct seq *seq, struct bytes sought, struct seq_cursor *cursor)
{
    const struct shape *shape = seq->shape;
    const char *at = seq->data;
    for (const char *end = flat_end(seq); at < end;) {
        const char *key = at + shape->fixed;
        if ((size_t)(end - key) >= sought.size &&
            memcmp(key, sought.data, sought.size) == 0) {
            /* Elements are self-delimiting: the same bytes, the same key. */
            flat_place(cursor, at);
            return true;
        }
        at = shape_item_end(shape, at);
    }
    flat_place(cursor, at);
    return false;
}

static bool flat_seek(
    struct seq *seq, struct bytes sought, struct seq_cursor *cursor)
{
    const struct shape *shape = seq->shape;
    const char *at = seq->data;
    int order = -1;
    for (const char *end = flat_end(seq); at < end;) {
        const char *next = shape_item_end(shape, at);
        order = shape_compare(shape, bytes_of(at, (size_t)(next - at)), sought);
        if (order >= 0) {
            break;
        }
        at = next;
    }
    flat_place(cursor, at);
    return order == 0;
}

/* Notes where the items before the cursor begin. */
static void flat_look_back(struct seq_cursor *cursor)
{
    const struct seq *seq = cursor->seq;
    const char *stop = seq->data + cursor->flat.at;
    uint16_t ring[SEQ_BACK_ITEMS];
    unsigned seen = 0;
    for (const char *at = seq->data; at < stop;
         at = shape_item_end(seq->shape, at)) {
        ring[seen++ % SEQ_BACK_ITEMS] = (uint16_t)(at - seq->data);
    }
    unsigned kept = seen < SEQ_BACK_ITEMS ? seen : SEQ_BACK_ITEMS;
    for (unsigned i = 0; i < kept; i++) {
        cursor->flat.back[i] = ring[(seen - kept + i) % SEQ_BACK_ITEMS];
    }
    cursor->flat.back_count = kept;
}

static bool flat_prev(struct seq_cursor *cursor)
{
    if (cursor->flat.at == 0) {
        return false;
    }
    if (cursor->flat.back_count == 0) {
        flat_look_back(cursor);
    }
    cursor->flat.end = cursor->flat.at;
    cursor->flat.at = cursor->flat.back[--cursor->flat.back_count];
    return true;
}

/* Makes the bytes [at, at + old_size) be `size` long, what is behind them
 * moved. */
static char *flat_resize(
    struct seq *seq, size_t at, size_t old_size, size_t size)
{
    check(seq->capacity > 0);
    if (seq->size - old_size + size > seq->capacity) {
        size_t capacity = (seq->size + size) * 2;
        char *data =
            xrealloc(seq->data - SEQ_HEADROOM, SEQ_HEADROOM + capacity);
        seq->data = data + SEQ_HEADROOM;
        seq->capacity = capacity;
    }
    char *place = seq->data + at;
    memmove(place + size, place + old_size, seq->size - at - old_size);
    seq->size += size - old_size;
    return place;
}

static void flat_remove_range(struct seq *seq, uint64_t first, uint64_t count)
{
    struct seq_cursor from, to;
    seq_at(seq, first, &from);
    seq_at(seq, first + count, &to);
    flat_resize(seq, from.flat.at, to.flat.at - from.flat.at, 0);
    seq->count -= count;
}

/* ---- finding ---- */

bool seq_seek(struct seq *seq, uint32_t hash, struct bytes sought,
    struct seq_cursor *cursor)
{
    cursor->seq = seq;
    cursor->hash = hash;
    if (seq->tree != NULL) {
        return tree_seek(seq->tree, hash, sought, &cursor->tree);
    }
    if (seq->shape->order == SHAPE_BY_HASH && sought.size > 0) {
        return flat_find_key(seq, sought, cursor);
    }
    return flat_seek(seq, sought, cursor);
}

#define FIND_STACK_BYTES 256

bool seq_find_key(struct seq *seq, struct bytes text, struct bytes key,
    struct seq_cursor *cursor)
{
    return seq_seek(seq, hash_of(seq, text), key, cursor);
}

bool seq_find(struct seq *seq, struct bytes text, struct seq_cursor *cursor)
{
    char small[FIND_STACK_BYTES];
    bool fits = ELEMENT_BOUND(text.size) <= sizeof small;
    char *key = fits ? small : xmalloc(ELEMENT_BOUND(text.size));
    size_t size = element_write(key, text);
    bool found = seq_find_key(seq, text, bytes_of(key, size), cursor);
    if (!fits) {
        free(key);
    }
    return found;
}

void seq_at(struct seq *seq, uint64_t rank, struct seq_cursor *cursor)
{
    cursor->seq = seq;
    cursor->hash = 0;
    if (seq->tree != NULL) {
        tree_at(seq->tree, rank, &cursor->tree);
        return;
    }
    if (rank >= seq->count) {
        flat_place(cursor, flat_end(seq));
        return;
    }
    const char *at = seq->data;
    for (uint64_t i = 0; i < rank; i++) {
        at = shape_item_end(seq->shape, at);
    }
    flat_place(cursor, at);
}

uint64_t seq_rank(const struct seq_cursor *cursor)
{
    const struct seq *seq = cursor->seq;
    if (seq->tree != NULL) {
        return tree_rank(&cursor->tree);
    }
    uint64_t rank = 0;
    const char *stop = seq->data + cursor->flat.at;
    for (const char *at = seq->data; at < stop; rank++) {
        at = shape_item_end(seq->shape, at);
    }
    return rank;
}

bool seq_at_end(const struct seq_cursor *cursor)
{
    return cursor->seq->tree != NULL ? tree_cursor_at_end(&cursor->tree)
                                     : cursor->flat.at == cursor->seq->size;
}

struct bytes seq_item(const struct seq_cursor *cursor)
{
    if (cursor->seq->tree != NULL) {
        return tree_item(&cursor->tree);
    }
    return bytes_of(cursor->seq->data + cursor->flat.at,
        cursor->flat.end - cursor->flat.at);
}

bool seq_next(struct seq_cursor *cursor)
{
    if (cursor->seq->tree != NULL) {
        return tree_next(&cursor->tree);
    }
    if (cursor->flat.at == cursor->seq->size) {
        return false;
    }
    flat_place(cursor, cursor->seq->data + cursor->flat.end);
    return cursor->flat.at < cursor->seq->size;
}

bool seq_prev(struct seq_cursor *cursor)
{
    return cursor->seq->tree != NULL ? tree_prev(&cursor->tree)
                                     : flat_prev(cursor);
}

/* ---- changing ---- */

void seq_insert(struct seq_cursor *cursor, struct bytes item)
{
    struct seq *seq = cursor->seq;
    if (seq->tree != NULL) {
        tree_insert(&cursor->tree, cursor->hash, item);
        return;
    }
    memcpy(
        flat_resize(seq, cursor->flat.at, 0, item.size), item.data, item.size);
    seq->count++;
    flat_place(cursor, seq->data + cursor->flat.at);
}

void seq_remove(struct seq_cursor *cursor)
{
    struct seq *seq = cursor->seq;
    if (seq->tree != NULL) {
        tree_remove(&cursor->tree);
        return;
    }
    flat_resize(seq, cursor->flat.at, cursor->flat.end - cursor->flat.at, 0);
    seq->count--;
    flat_place(cursor, seq->data + cursor->flat.at);
}

void seq_replace(struct seq_cursor *cursor, struct bytes item)
{
    struct seq *seq = cursor->seq;
    if (seq->tree != NULL) {
        tree_replace(&cursor->tree, item);
        return;
    }
    size_t old_size = cursor->flat.end - cursor->flat.at;
    memcpy(flat_resize(seq, cursor->flat.at, old_size, item.size), item.data,
        item.size);
    flat_place(cursor, seq->data + cursor->flat.at);
}

void seq_remove_range(struct seq *seq, uint64_t first, uint64_t count)
{
    if (count == 0) {
        return;
    }
    check(first + count <= seq_count(seq));
    if (seq->tree != NULL) {
        tree_remove_range(seq->tree, first, count);
    } else {
        flat_remove_range(seq, first, count);
    }
}

/* ---- from flat to tree ---- */

void seq_to_tree(struct seq *seq, struct tree *tree)
{
    const struct shape *shape = seq->shape;
    struct seq flat = *seq;
    check(seq->tree == NULL && tree->count == 0);
    seq_open_tree(seq, tree, flat.secret);
    for (const char *at = flat.data; at < flat_end(&flat);) {
        const char *next = shape_item_end(shape, at);
        struct bytes item = bytes_of(at, (size_t)(next - at));
        struct tree_cursor cursor;
        uint32_t hash = value_item_hash(shape, item, flat.secret);
        if (shape->order == SHAPE_BY_HASH) {
            tree_seek(tree, hash, shape_key(shape, item), &cursor);
        } else {
            tree_at(tree, tree->count, &cursor);
        }
        tree_insert(&cursor, hash, item);
        at = next;
    }
    seq_close(&flat);
}
