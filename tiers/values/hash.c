#include "tiers/values/hash.h"

#include <stdlib.h>

#include "tiers/values/zset.h"

void hash_pair(const struct seq_cursor *cursor, struct element *field,
    struct element *value)
{
    const char *at = seq_item(cursor).data + cursor->seq->shape->fixed;
    at = element_read(at, field);
    if (value != NULL) {
        element_read(at, value);
    }
}

bool hash_get(
    struct collection *hash, struct bytes field, struct element *value)
{
    struct seq_cursor cursor;
    struct element name;
    if (!seq_find(&hash->seq, field, &cursor)) {
        return false;
    }
    hash_pair(&cursor, &name, value);
    return true;
}

/* ---- deadlines: see hash.h for where they are ---- */

static bool is_expiring(const struct collection *hash)
{
    return kind_expires_fields(hash->kind);
}

/* The deadline at the head of a small hash's item. */
static int64_t item_deadline(struct bytes item)
{
    int64_t deadline_ms = 0;
    memcpy(&deadline_ms, item.data, sizeof deadline_ms);
    return deadline_ms;
}

/* The sorted set of a large one's deadlines; false when there is none. */
static bool open_deadlines(
    const struct collection *hash, struct collection *deadlines)
{
    struct value *live = hash->live == NULL ? NULL : hash->live->deadlines;
    if (live == NULL) {
        return false;
    }
    *deadlines = (struct collection){
        .db = hash->db,
        .kind = KIND_ZSET_TREE,
        .live = live,
    };
    seq_open_tree(&deadlines->seq, &live->items, hash->seq.secret);
    return true;
}

static void forget_deadline(struct collection *hash, struct bytes field)
{
    struct collection deadlines;
    if (open_deadlines(hash, &deadlines)) {
        zset_remove(&deadlines, field);
    }
}

static void remember_deadline(
    struct collection *hash, struct bytes field, int64_t deadline_ms)
{
    struct collection deadlines;
    if (hash->live->deadlines == NULL) {
        hash->live->deadlines = value_create(KIND_ZSET_TREE);
    }
    check(open_deadlines(hash, &deadlines));
    zset_set(&deadlines, field, (double)deadline_ms);
}

bool hash_deadline(
    struct collection *hash, struct bytes field, int64_t *deadline_ms)
{
    struct seq_cursor cursor;
    struct collection deadlines;
    double score = 0;
    *deadline_ms = 0;
    if (!seq_find(&hash->seq, field, &cursor)) {
        return false;
    }
    if (hash->live == NULL && is_expiring(hash)) {
        *deadline_ms = item_deadline(seq_item(&cursor));
    } else if (open_deadlines(hash, &deadlines) &&
               zset_score(&deadlines, field, &score)) {
        *deadline_ms = (int64_t)score;
    }
    return true;
}

/* One more deadline (0: none) among those that were seen. */
static void include(struct field_deadlines *seen, int64_t deadline_ms)
{
    int64_t at_ms = deadline_ms == 0 ? FIELDS_NEVER : deadline_ms;
    seen->first_ms = at_ms < seen->first_ms ? at_ms : seen->first_ms;
    seen->last_ms = at_ms > seen->last_ms ? at_ms : seen->last_ms;
}

static int64_t deadline_at(struct collection *deadlines, uint64_t rank)
{
    struct seq_cursor cursor;
    struct element field;
    seq_at(&deadlines->seq, rank, &cursor);
    return (int64_t)zset_item(&cursor, &field);
}

struct field_deadlines hash_deadlines(const struct collection *hash)
{
    struct field_deadlines seen = {FIELDS_NEVER, FIELDS_NEVER};
    struct collection deadlines;
    if (hash->live == NULL) {
        struct seq seq = hash->seq; /* a cursor wants one it could change */
        struct seq_cursor cursor;
        seen.last_ms = 0;
        for (seq_at(&seq, 0, &cursor); !seq_at_end(&cursor);
             seq_next(&cursor)) {
            include(&seen, item_deadline(seq_item(&cursor)));
        }
    } else if (open_deadlines(hash, &deadlines) &&
               collection_count(&deadlines) > 0) {
        uint64_t count = collection_count(&deadlines);
        seen.first_ms = deadline_at(&deadlines, 0);
        if (count == collection_count(hash)) {
            seen.last_ms = deadline_at(&deadlines, count - 1);
        }
    }
    return seen;
}

/* ---- changing ---- */

/* Whether a flat hash has to become a tree for this field and value. */
static bool must_grow(
    const struct collection *hash, struct bytes field, struct bytes value)
{
    const struct value_limits *limits = collection_limits(hash);
    return hash->live == NULL &&
           (field.size > limits->hash_max_listpack_value ||
               value.size > limits->hash_max_listpack_value ||
               seq_bytes(&hash->seq) + field.size + value.size + 64 >
                   SEQ_FLAT_MAX_BYTES);
}

/* Small to large, where deadlines are no longer part of the items. */
static void grow_expiring(struct collection *hash)
{
    struct seq flat = hash->seq;
    struct seq_cursor from, to;
    hash->kind = KIND_HASH_EXPIRING_TREE;
    hash->live = value_create(hash->kind);
    hash->is_new = true;
    seq_open_tree(&hash->seq, &hash->live->items, flat.secret);
    for (seq_at(&flat, 0, &from); !seq_at_end(&from); seq_next(&from)) {
        struct bytes item = seq_item(&from);
        struct element field;
        hash_pair(&from, &field, NULL);
        struct bytes name = element_text(&field);
        size_t fixed = flat.shape->fixed;
        seq_find(&hash->seq, name, &to);
        seq_insert(&to, bytes_of(item.data + fixed, item.size - fixed));
        if (item_deadline(item) != 0) {
            remember_deadline(hash, name, item_deadline(item));
        }
    }
    seq_close(&flat);
}

static void grow(struct collection *hash)
{
    if (is_expiring(hash)) {
        grow_expiring(hash);
    } else {
        collection_grow(hash, KIND_HASH_TREE);
    }
}

/* Puts the item together in `small` when it fits there, else in heap memory
 * that the caller frees. *key: the part of it that the hash is ordered by. */
static struct bytes make_item(const struct collection *hash, struct bytes field,
    struct bytes value, char *small, size_t small_size, struct bytes *key)
{
    size_t fixed = hash->seq.shape->fixed;
    size_t bound =
        fixed + ELEMENT_BOUND(field.size) + ELEMENT_BOUND(value.size);
    char *item = bound <= small_size ? small : xmalloc(bound);
    memset(item, 0, fixed); /* no deadline */
    *key = bytes_of(item + fixed, element_write(item + fixed, field));
    size_t size = fixed + key->size;
    size += element_write(item + size, value);
    return bytes_of(item, size);
}

#define ITEM_STACK_BYTES 256

static bool set(struct collection *hash, struct bytes field, struct bytes value,
    bool keep_deadline)
{
    char small[ITEM_STACK_BYTES];
    struct seq_cursor cursor;
    if (must_grow(hash, field, value)) {
        grow(hash);
    }
    struct bytes key;
    struct bytes item =
        make_item(hash, field, value, small, sizeof small, &key);
    bool found = seq_find_key(&hash->seq, field, key, &cursor);
    if (found) {
        size_t fixed = hash->seq.shape->fixed;
        if (keep_deadline) {
            memcpy((char *)item.data, seq_item(&cursor).data, fixed);
        } else {
            forget_deadline(hash, field);
        }
        seq_replace(&cursor, item);
    } else {
        seq_insert(&cursor, item);
    }
    if (item.data != small) {
        free((char *)item.data);
    }
    if (hash->live == NULL &&
        collection_count(hash) >
            collection_limits(hash)->hash_max_listpack_entries) {
        grow(hash);
    }
    return !found;
}

bool hash_set(struct collection *hash, struct bytes field, struct bytes value)
{
    return set(hash, field, value, false);
}

bool hash_change(
    struct collection *hash, struct bytes field, struct bytes value)
{
    return set(hash, field, value, true);
}

bool hash_delete(struct collection *hash, struct bytes field)
{
    struct seq_cursor cursor;
    if (!seq_find(&hash->seq, field, &cursor)) {
        return false;
    }
    forget_deadline(hash, field);
    seq_remove(&cursor);
    return true;
}

/* ---- fields that expire ---- */

/* A small hash gets room for deadlines in its items, a large one has it. */
static void make_expiring(struct collection *hash)
{
    struct seq flat = hash->seq;
    struct seq_cursor from, to;
    static const char no_deadline[sizeof(int64_t)] = {0};
    size_t wider = seq_count(&flat) * sizeof no_deadline;
    if (hash->live == NULL && seq_bytes(&flat) + wider > SEQ_FLAT_MAX_BYTES) {
        grow(hash);
    }
    if (hash->live != NULL) {
        hash->kind = KIND_HASH_EXPIRING_TREE;
        hash->live->kind = hash->kind;
        return;
    }
    hash->kind = KIND_HASH_EXPIRING_FLAT;
    seq_open_copy(&hash->seq, &value_shape_hash_expiring, bytes_of(NULL, 0), 0,
        flat.secret);
    char *wide = xmalloc(SEQ_FLAT_MAX_BYTES + sizeof no_deadline);
    memcpy(wide, no_deadline, sizeof no_deadline);
    for (seq_at(&flat, 0, &from); !seq_at_end(&from); seq_next(&from)) {
        struct bytes item = seq_item(&from);
        memcpy(wide + sizeof no_deadline, item.data, item.size);
        seq_at(&hash->seq, seq_count(&hash->seq), &to);
        seq_insert(&to, bytes_of(wide, sizeof no_deadline + item.size));
    }
    free(wide);
    seq_close(&flat);
}

void hash_set_deadline(
    struct collection *hash, struct bytes field, int64_t deadline_ms)
{
    struct seq_cursor cursor;
    check(deadline_ms >= 0 && deadline_ms < HASH_DEADLINE_END_MS);
    if (!is_expiring(hash)) {
        if (deadline_ms == 0) {
            return;
        }
        make_expiring(hash);
    }
    if (hash->live == NULL) {
        check(seq_find(&hash->seq, field, &cursor));
        char *item = hash->seq.data + cursor.flat.at;
        memcpy(item, &deadline_ms, sizeof deadline_ms);
    } else if (deadline_ms == 0) {
        forget_deadline(hash, field);
    } else {
        remember_deadline(hash, field, deadline_ms);
    }
}

static uint64_t expire_flat(
    struct collection *hash, int64_t now_ms, uint64_t most)
{
    struct seq_cursor cursor;
    uint64_t expired = 0;
    seq_at(&hash->seq, 0, &cursor);
    while (!seq_at_end(&cursor) && expired < most) {
        int64_t deadline_ms = item_deadline(seq_item(&cursor));
        if (deadline_ms != 0 && deadline_ms <= now_ms) {
            seq_remove(&cursor);
            expired++;
        } else {
            seq_next(&cursor);
        }
    }
    return expired;
}

uint64_t hash_expire(struct collection *hash, int64_t now_ms, uint64_t most)
{
    struct collection deadlines;
    struct seq_cursor due, cursor;
    if (hash->live == NULL) {
        return expire_flat(hash, now_ms, most);
    }
    if (!open_deadlines(hash, &deadlines)) {
        return 0;
    }
    uint64_t count = zset_rank_of_score(&deadlines, (double)now_ms, true);
    count = count < most ? count : most;
    seq_at(&deadlines.seq, 0, &due);
    for (uint64_t i = 0; i < count; i++, seq_next(&due)) {
        struct element field;
        zset_item(&due, &field);
        check(seq_find(&hash->seq, element_text(&field), &cursor));
        seq_remove(&cursor);
    }
    zset_remove_range(&deadlines, 0, count);
    return count;
}
