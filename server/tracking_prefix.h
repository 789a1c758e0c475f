/* CLIENT TRACKING's broadcasting mode: prefixes, who listens to them, and the
 * keys below them that have changed in this turn. A changed key costs one
 * look-up for each different length of a prefix that is not longer than it,
 * however many prefixes there are. One thread. */
#ifndef LARDER_SERVER_TRACKING_PREFIX_H
#define LARDER_SERVER_TRACKING_PREFIX_H

#include <uthash.h>

#include "protocol/bytes.h"

struct conn;

struct changed_key {
    UT_hash_handle hh;   /* prefix->changed */
    uint64_t changed_by; /* the connection whose command did it last, or 0 */
    size_t size;
    char name[];
};

struct prefix_member {
    struct conn *conn;
    struct prefix_member *prev, *next; /* prefix->members */
};

struct tracked_prefix {
    UT_hash_handle hh; /* prefixes->by_name */
    struct prefix_member *members;
    struct changed_key *changed;         /* not told yet */
    struct tracked_prefix *next_changed; /* prefixes->first_changed */
    bool in_changed;
    size_t size;
    char name[];
};

/* What a connection has of one prefix: conn->tracker->prefixes, by name. */
struct prefix_link {
    struct tracked_prefix *prefix;
    struct prefix_member member;
    struct prefix_link *next;
};

/* Zeroed struct with a seed = empty. */
struct tracking_prefixes {
    struct tracked_prefix *by_name;
    struct tracked_prefix *first_changed;
    struct prefix_length {
        size_t size, count; /* prefixes of that size */
    } * lengths;            /* heap */
    unsigned length_count;
    uint64_t seed;
    size_t bytes;
};

/* The connection is in tracking mode. Nothing happens when it listens to that
 * prefix already. */
void tracking_prefix_add(
    struct tracking_prefixes *prefixes, struct conn *conn, struct bytes name);
void tracking_prefix_remove_all(
    struct tracking_prefixes *prefixes, struct conn *conn);

/* A key has changed; `by` whom. */
void tracking_prefix_note(
    struct tracking_prefixes *prefixes, struct bytes key, uint64_t by);
bool tracking_prefix_any_changed(const struct tracking_prefixes *prefixes);
/* Calls `fn` with each prefix that has changed keys, and forgets those; the
 * keys are in order by then. `fn` must not add or remove anything. */
void tracking_prefix_each_changed(struct tracking_prefixes *prefixes,
    void (*fn)(void *context, struct tracked_prefix *prefix), void *context);

#endif
