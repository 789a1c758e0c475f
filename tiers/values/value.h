/* Values: what the kinds of entry.h look like, and the live form of large
 * collections.
 *
 *   form      in an entry                               in a record on disk
 *   STRING    the bytes                                 the bytes
 *   FLAT      varint count, items                       the same bytes
 *   TREE      a struct value (live), or, when cold      varint count, items,
 *             and small, the record's bytes             what `extra` adds
 *
 * A live value is changed in place by the engine's thread. What is written to
 * disk is a snapshot, which the writer's thread encodes; what is read is
 * decoded by a reader's thread: so no large collection holds up the loop. */
#ifndef LARDER_TIERS_VALUES_VALUE_H
#define LARDER_TIERS_VALUES_VALUE_H

#include "tiers/entry.h"
#include "tiers/values/seq.h"

extern const struct shape value_shape_list, value_shape_set, value_shape_hash,
    value_shape_hash_expiring, value_shape_zset, value_shape_zset_index,
    value_shape_stream;

enum value_form { VALUE_STRING, VALUE_FLAT, VALUE_TREE };

/* The live form. */
struct stream;

struct value {
    enum kind kind;
    struct tree items;
    struct tree index;     /* sorted sets: member's hash -> score */
    struct stream *stream; /* what a stream is besides its entries */
    /* Hashes whose fields may expire: a sorted set of those that do, each with
     * its deadline in ms; NULL: none does. */
    struct value *deadlines;
    struct value *next_trash;
};

/* A row of the value type table: see value.c. */
enum value_form value_form(enum kind kind);
const struct shape *value_shape(enum kind kind);

/* Empty, of a kind whose form is VALUE_TREE. Never NULL. */
struct value *value_create(enum kind kind);
/* O(1): shares everything until one of the two changes. Engine's thread. */
struct value *value_snapshot(const struct value *value);
/* Gives up at most `budget` nodes; true when the value is gone and freed.
 * Engine's thread, or any for a value that was never shared. */
bool value_release(struct value *value, size_t budget);
/* RAM it takes, in all. */
size_t value_memory_bytes(const struct value *value);

/* Exactly what value_encode writes. */
size_t value_encoded_bytes(const struct value *value);
/* The record's bytes. Any thread, given a snapshot. */
void value_encode(const struct value *value, char *out);
/* A live value from a record's bytes, which may be damaged: NULL then.
 * `secret` as in seq.h. Its kind is another where there is a newer form of
 * `kind`. Any thread. */
struct value *value_decode(
    enum kind kind, struct bytes payload, const uint8_t *secret);
/* Whether bytes that may be damaged are a value of that kind. Any thread. */
bool value_check(enum kind kind, struct bytes payload);

/* Takes the bytes of a flat value apart. */
struct bytes value_flat_items(struct bytes payload, uint64_t *count);
/* The hash under which a tree keeps the item; 0 where there is none. */
uint32_t value_item_hash(
    const struct shape *shape, struct bytes item, const uint8_t *secret);

#endif
