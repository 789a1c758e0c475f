/* Hashes: fields and values, a pair an item (value_shape_hash), in a
 * collection opened by collection.h.
 *
 * When a first field gets a deadline the hash becomes one whose fields may
 * expire, and stays so: small, each item begins with its deadline
 * (value_shape_hash_expiring: i64 ms, 0: none); large, the items stay as they
 * are, and the deadlines are a sorted set of fields, value->deadlines. */
#ifndef LARDER_TIERS_VALUES_HASH_H
#define LARDER_TIERS_VALUES_HASH_H

#include "tiers/collection.h"

/* What a new hash begins as. */
#define HASH_KIND_NEW KIND_HASH_FLAT

/* The value of `field` into *value (borrowed from the collection). False when
 * there is none. */
bool hash_get(
    struct collection *hash, struct bytes field, struct element *value);
/* Deadlines are absolute ms, above 0 and below this: exact as a double. */
#define HASH_DEADLINE_END_MS (INT64_C(1) << 48)

/* True when the field is new; a deadline it had is gone. Growing beyond the
 * compact form's limits is seen to. */
bool hash_set(struct collection *hash, struct bytes field, struct bytes value);
/* The same, but a deadline stays. */
bool hash_change(
    struct collection *hash, struct bytes field, struct bytes value);
/* True when the field was there. */
bool hash_delete(struct collection *hash, struct bytes field);
/* The field's deadline, 0: none. False when there is no such field. */
bool hash_deadline(
    struct collection *hash, struct bytes field, int64_t *deadline_ms);
/* Gives a field that is there a deadline, or (0) takes it away. */
void hash_set_deadline(
    struct collection *hash, struct bytes field, int64_t deadline_ms);
/* Removes fields whose deadline is <= now_ms, at most `most`; how many. */
uint64_t hash_expire(struct collection *hash, int64_t now_ms, uint64_t most);
/* The first and last deadline, of kinds that have any. */
struct field_deadlines hash_deadlines(const struct collection *hash);
/* Field and value of the item under a cursor of hash->seq. NULL `value`: not
 * wanted. */
void hash_pair(const struct seq_cursor *cursor, struct element *field,
    struct element *value);

#endif
