#include "tiers/values/value.h"

#include <stdlib.h>

#include "tiers/index.h"
#include "tiers/values/hash.h"
#include "tiers/values/stream_entries.h"
#include "tiers/values/zset.h"

const struct shape value_shape_list = {0, 1, SHAPE_BY_POSITION};
const struct shape value_shape_set = {0, 1, SHAPE_BY_HASH};
const struct shape value_shape_hash = {0, 2, SHAPE_BY_HASH};
const struct shape value_shape_hash_expiring = {8, 2, SHAPE_BY_HASH};
const struct shape value_shape_zset = {8, 1, SHAPE_BY_FIXED};
const struct shape value_shape_zset_index = {8, 1, SHAPE_BY_HASH};
const struct shape value_shape_stream = {16, 1, SHAPE_BY_FIXED};

/* The value type table. */
static const struct {
    enum value_form form;
    const struct shape *shape; /* of its items */
    const struct shape *index; /* of its second tree, or NULL */
} rows[KIND_COUNT] = {
    [KIND_STRING_EMBSTR] = {VALUE_STRING, NULL, NULL},
    [KIND_STRING_INT] = {VALUE_STRING, NULL, NULL},
    [KIND_STRING_RAW] = {VALUE_STRING, NULL, NULL},
    [KIND_LIST_FLAT] = {VALUE_FLAT, &value_shape_list, NULL},
    [KIND_LIST_TREE] = {VALUE_TREE, &value_shape_list, NULL},
    [KIND_SET_INTEGERS] = {VALUE_FLAT, &value_shape_set, NULL},
    [KIND_SET_FLAT] = {VALUE_FLAT, &value_shape_set, NULL},
    [KIND_SET_TREE] = {VALUE_TREE, &value_shape_set, NULL},
    [KIND_ZSET_FLAT] = {VALUE_FLAT, &value_shape_zset, NULL},
    [KIND_ZSET_TREE] = {VALUE_TREE, &value_shape_zset, &value_shape_zset_index},
    [KIND_HASH_FLAT] = {VALUE_FLAT, &value_shape_hash, NULL},
    [KIND_HASH_TREE] = {VALUE_TREE, &value_shape_hash, NULL},
    [KIND_HASH_EXPIRING_FLAT] = {VALUE_FLAT, &value_shape_hash_expiring, NULL},
    [KIND_HASH_EXPIRING_TREE] = {VALUE_TREE, &value_shape_hash, NULL},
    [KIND_STREAM_SINGLE] = {VALUE_TREE, &value_shape_stream, NULL},
    [KIND_STREAM] = {VALUE_TREE, &value_shape_stream, NULL},
};

enum value_form value_form(enum kind kind)
{
    return rows[kind].form;
}

const struct shape *value_shape(enum kind kind)
{
    return rows[kind].shape;
}

/* ---- life ---- */

struct value *value_create(enum kind kind)
{
    struct value *value = xcalloc(1, sizeof *value);
    check(rows[kind].form == VALUE_TREE);
    value->kind = kind;
    tree_init(&value->items, rows[kind].shape);
    if (rows[kind].index != NULL) {
        tree_init(&value->index, rows[kind].index);
    }
    if (rows[kind].shape == &value_shape_stream) {
        value->stream = stream_create();
    }
    return value;
}

struct value *value_snapshot(const struct value *value)
{
    struct value *snapshot = xcalloc(1, sizeof *snapshot);
    snapshot->kind = value->kind;
    tree_snapshot(&value->items, &snapshot->items);
    if (rows[value->kind].index != NULL) {
        tree_snapshot(&value->index, &snapshot->index);
    }
    if (value->stream != NULL) {
        snapshot->stream = stream_snapshot(value->stream);
    }
    if (value->deadlines != NULL) {
        snapshot->deadlines = value_snapshot(value->deadlines);
    }
    return snapshot;
}

bool value_release(struct value *value, size_t budget)
{
    if (!tree_release(&value->items, budget) ||
        (value->index.root != NULL && !tree_release(&value->index, budget)) ||
        !stream_release(value->stream, budget) ||
        (value->deadlines != NULL &&
            !value_release(value->deadlines, budget))) {
        return false;
    }
    free(value);
    return true;
}

size_t value_memory_bytes(const struct value *value)
{
    return sizeof *value + value->items.memory_bytes +
           value->index.memory_bytes + stream_memory_bytes(value->stream) +
           (value->deadlines != NULL ? value_memory_bytes(value->deadlines)
                                     : 0);
}

/* ---- to and from records ---- */

static bool has_deadlines(const struct value *value)
{
    return value->deadlines != NULL && value->deadlines->items.count > 0;
}

size_t value_encoded_bytes(const struct value *value)
{
    return varint_size(value->items.count) + value->items.item_bytes +
           (value->stream != NULL ? stream_encoded_bytes(value->stream) : 0) +
           (has_deadlines(value) ? value_encoded_bytes(value->deadlines) : 0);
}

void value_encode(const struct value *value, char *out)
{
    struct tree tree = value->items; /* a cursor wants one it could change */
    struct tree_cursor cursor;
    out += varint_write(out, tree.count);
    tree_at(&tree, 0, &cursor);
    for (bool more = tree.count > 0; more; more = tree_next(&cursor)) {
        struct bytes item = tree_item(&cursor);
        memcpy(out, item.data, item.size);
        out += item.size;
    }
    if (value->stream != NULL) {
        stream_encode(value->stream, out);
    }
    if (has_deadlines(value)) {
        value_encode(value->deadlines, out);
    }
}

static uint32_t hash_of_key(
    const struct shape *shape, struct bytes item, const uint8_t *secret)
{
    struct element element;
    element_read(shape_key(shape, item).data, &element);
    return (uint32_t)index_hash(secret, element_text(&element));
}

uint32_t value_item_hash(
    const struct shape *shape, struct bytes item, const uint8_t *secret)
{
    return shape->order == SHAPE_BY_HASH ? hash_of_key(shape, item, secret) : 0;
}

/* Where a decoded item belongs: behind the last one, as it was written, or
 * else where the order has it. False: it is there already. */
static bool place_item(struct tree *tree, uint32_t hash, struct bytes item,
    struct tree_cursor *cursor)
{
    if (tree->shape->order == SHAPE_BY_POSITION) {
        tree_at(tree, tree->count, cursor);
        return true;
    }
    return !tree_seek(tree, hash, shape_key(tree->shape, item), cursor);
}

/* The position behind the items, or NULL. */
static const char *decode_items(
    struct tree *tree, const char *at, const char *end, const uint8_t *secret)
{
    uint64_t count = 0;
    at = varint_read(at, end, &count);
    for (uint64_t i = 0; at != NULL && i < count; i++) {
        const char *next = shape_item_check(tree->shape, at, end);
        if (next == NULL) {
            return NULL;
        }
        struct bytes item = bytes_of(at, (size_t)(next - at));
        struct tree_cursor cursor;
        uint32_t hash = value_item_hash(tree->shape, item, secret);
        if (!place_item(tree, hash, item, &cursor)) {
            return NULL;
        }
        tree_insert(&cursor, hash, item);
        at = next;
    }
    return at;
}

/* Which fields of a hash expire: those it has, and at times that are. NULL
 * when that is not so. */
static const char *decode_deadlines(
    struct value *value, const char *at, const char *end, const uint8_t *secret)
{
    if (at == end) {
        return at;
    }
    value->deadlines =
        value_decode(KIND_ZSET_TREE, bytes_of(at, (size_t)(end - at)), secret);
    if (value->deadlines == NULL) {
        return NULL;
    }
    struct tree_cursor cursor, field;
    tree_at(&value->deadlines->items, 0, &cursor);
    do {
        const char *item = tree_item(&cursor).data;
        double deadline_ms = zset_score_read(item);
        struct element element;
        const char *name = item + ZSET_SCORE_BYTES;
        const char *behind = element_read(name, &element);
        uint32_t hash = (uint32_t)index_hash(secret, element_text(&element));
        struct bytes key = bytes_of(name, (size_t)(behind - name));
        if (!(deadline_ms > 0 && deadline_ms < HASH_DEADLINE_END_MS) ||
            !tree_seek(&value->items, hash, key, &field)) {
            return NULL;
        }
    } while (tree_next(&cursor));
    return end;
}

struct value *value_decode(
    enum kind kind, struct bytes payload, const uint8_t *secret)
{
    struct value *value = value_create(kind);
    const char *end = payload.data + payload.size;
    const char *at = decode_items(&value->items, payload.data, end, secret);
    if (value->stream != NULL && at != NULL) {
        at = stream_decode(value->stream, at, end);
        at = stream_entries_decode(value) ? at : NULL;
    }
    if (kind == KIND_HASH_EXPIRING_TREE && at != NULL) {
        at = decode_deadlines(value, at, end, secret);
    }
    bool filled = value->items.count > 0 || value->stream != NULL;
    if (at == end && filled) {
        if (rows[kind].index != NULL) {
            zset_build_index(value, secret);
        }
        return value;
    }
    value_release(value, SIZE_MAX);
    return NULL;
}

/* ---- flat values ---- */

struct bytes value_flat_items(struct bytes payload, uint64_t *count)
{
    const char *end = payload.data + payload.size;
    const char *at = varint_read(payload.data, end, count);
    check(at != NULL);
    return bytes_of(at, (size_t)(end - at));
}

/* Whether flat items are in the order their kind has, or all different where
 * that is all that is asked: quadratic, but flat runs are short. */
static bool flat_is_ordered(struct seq *seq)
{
    struct seq_cursor cursor, other;
    seq_at(seq, 0, &cursor);
    for (uint64_t rank = 0; rank < seq->count; rank++) {
        struct bytes item = seq_item(&cursor);
        if (seq->shape->order != SHAPE_BY_POSITION) {
            seq_seek(seq, 0, shape_key(seq->shape, item), &other);
            if (other.flat.at != cursor.flat.at) {
                return false;
            }
        }
        seq_next(&cursor);
    }
    return true;
}

static bool check_flat(enum kind kind, struct bytes payload)
{
    const struct shape *shape = rows[kind].shape;
    const char *end = payload.data + payload.size;
    uint64_t count = 0, seen = 0;
    const char *items = varint_read(payload.data, end, &count);
    if (items == NULL || payload.size > SEQ_FLAT_MAX_BYTES) {
        return false;
    }
    for (const char *at = items; at < end; seen++) {
        at = shape_item_check(shape, at, end);
        if (at == NULL) {
            return false;
        }
    }
    struct seq seq;
    seq_open_flat(
        &seq, shape, bytes_of(items, (size_t)(end - items)), count, NULL);
    return seen == count && count > 0 && flat_is_ordered(&seq);
}

bool value_check(enum kind kind, struct bytes payload)
{
    return rows[kind].form != VALUE_FLAT || check_flat(kind, payload);
}
