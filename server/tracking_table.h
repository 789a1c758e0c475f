/* The table of CLIENT TRACKING's default mode: which connections have read
 * which keys. Connections are named by their ids, so whoever has gone may
 * stay in it until somebody looks. One thread. */
#ifndef LARDER_SERVER_TRACKING_TABLE_H
#define LARDER_SERVER_TRACKING_TABLE_H

#include <uthash.h>

#include "protocol/bytes.h"

struct tracked_key {
    UT_hash_handle hh; /* its place in the order of insertion, too */
    uint64_t *ids;     /* ascending; heap */
    unsigned count, capacity;
    uint64_t changed_by; /* the connection whose command changed it, or 0 */
    size_t size;
    char name[];
};

/* Zeroed struct with a seed = empty. */
struct tracking_table {
    struct tracked_key *keys;    /* the oldest first */
    struct tracked_key *dropped; /* by tracking_table_clear: to be freed */
    uint64_t seed;
    size_t count, items, bytes;
};

/* Whether an id is still of interest. */
typedef bool tracking_alive_fn(void *context, uint64_t id);

/* Remembers that `id` has read `name`. When a list of ids has to grow, those
 * that are not `alive` leave it first. */
void tracking_table_add(struct tracking_table *table, struct bytes name,
    uint64_t id, tracking_alive_fn *alive, void *context);
/* Takes the key out of the table; NULL when it is not there. The caller frees
 * it with tracked_key_free. */
struct tracked_key *tracking_table_take(
    struct tracking_table *table, struct bytes name);
/* The same with the key that has been in the table for the longest time. */
struct tracked_key *tracking_table_take_oldest(struct tracking_table *table);
void tracked_key_free(struct tracked_key *key);
/* Forgets everything at once; the memory is given back by and by. */
void tracking_table_clear(struct tracking_table *table);
/* Frees up to `limit` of the forgotten keys. */
void tracking_table_tidy(struct tracking_table *table, unsigned limit);
/* Frees everything. */
void tracking_table_finish(struct tracking_table *table);

#endif
