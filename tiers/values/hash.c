#include "tiers/values/hash.h"

#include <stdlib.h>

static bool is_expiring(const struct collection *hash)
{
    return hash->seq.shape->fixed > 0;
}

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

static void grow(struct collection *hash)
{
    collection_grow(
        hash, is_expiring(hash) ? KIND_HASH_EXPIRING_TREE : KIND_HASH_TREE);
}

/* Puts the item together in `small` when it fits there, else in heap memory
 * that the caller frees. */
static struct bytes make_item(const struct collection *hash, struct bytes field,
    struct bytes value, char *small, size_t small_size)
{
    size_t fixed = hash->seq.shape->fixed;
    size_t bound =
        fixed + ELEMENT_BOUND(field.size) + ELEMENT_BOUND(value.size);
    char *item = bound <= small_size ? small : xmalloc(bound);
    memset(item, 0, fixed); /* a write takes a field's expiry away */
    size_t size = fixed + element_write(item + fixed, field);
    size += element_write(item + size, value);
    return bytes_of(item, size);
}

#define ITEM_STACK_BYTES 256

bool hash_set(struct collection *hash, struct bytes field, struct bytes value)
{
    char small[ITEM_STACK_BYTES];
    struct seq_cursor cursor;
    if (must_grow(hash, field, value)) {
        grow(hash);
    }
    struct bytes item = make_item(hash, field, value, small, sizeof small);
    bool found = seq_find(&hash->seq, field, &cursor);
    if (found) {
        seq_replace(&cursor, item);
    } else {
        seq_insert(&cursor, seq_hash(&hash->seq, field), item);
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

bool hash_delete(struct collection *hash, struct bytes field)
{
    struct seq_cursor cursor;
    if (!seq_find(&hash->seq, field, &cursor)) {
        return false;
    }
    seq_remove(&cursor);
    return true;
}
