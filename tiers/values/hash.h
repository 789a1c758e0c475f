/* Hashes: fields and values, a pair an item (value_shape_hash), in a
 * collection opened by collection.h. */
#ifndef LARDER_TIERS_VALUES_HASH_H
#define LARDER_TIERS_VALUES_HASH_H

#include "tiers/collection.h"

/* What a new hash begins as. */
#define HASH_KIND_NEW KIND_HASH_FLAT

/* The value of `field` into *value (borrowed from the collection). False when
 * there is none. */
bool hash_get(
    struct collection *hash, struct bytes field, struct element *value);
/* True when the field is new. Growing beyond the compact form's limits is
 * seen to. */
bool hash_set(struct collection *hash, struct bytes field, struct bytes value);
/* True when the field was there. */
bool hash_delete(struct collection *hash, struct bytes field);
/* Field and value of the item under a cursor of hash->seq. NULL `value`: not
 * wanted. */
void hash_pair(const struct seq_cursor *cursor, struct element *field,
    struct element *value);

#endif
