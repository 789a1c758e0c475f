/* Help for client-side caching (CLIENT TRACKING): connections learn when keys
 * they may have cached change.
 *
 * In the default mode the server remembers which connection read which key,
 * up to tracking-table-max-keys, and tells it once. In the broadcasting mode
 * it remembers prefixes and tells of every change below them, at the end of a
 * turn. Names of keys count whatever the database, as in Redis. A move between
 * tiers is no change. One thread, the loop's. */
#ifndef LARDER_SERVER_TRACKING_H
#define LARDER_SERVER_TRACKING_H

#include "protocol/bytes.h"

struct command;
struct conn;
struct request;
struct server;
struct tracking;

enum tracking_option {
    TRACKING_BCAST = 1 << 0,
    TRACKING_OPTIN = 1 << 1,
    TRACKING_OPTOUT = 1 << 2,
    TRACKING_NOLOOP = 1 << 3,
};

/* Prefixes one connection may have. Overlaps among them are looked for pair
 * by pair. */
#define TRACKING_PREFIXES_MAX 1024

/* What a connection in tracking mode has in addition: conn->tracker. */
struct tracker {
    uint64_t redirect; /* id of the connection that is told instead, or 0 */
    uint32_t options;
    bool caching; /* CLIENT CACHING was called for the command under way */
    bool broken;  /* there was nobody to redirect to */
    unsigned prefix_count;
    struct prefix_link *prefixes; /* tracking_prefix.h, by name */
};

struct tracking *tracking_create(void);
/* Every connection has been forgotten before. NULL is allowed. */
void tracking_destroy(struct tracking *tracking);

/* ---- CLIENT TRACKING ---- */

/* Begins, or begins anew with other options; prefixes (of TRACKING_BCAST) are
 * added to those it has, and may not overlap. None: "". */
void tracking_start(struct conn *conn, uint64_t redirect, uint32_t options,
    const struct bytes *prefixes, unsigned prefix_count);
/* No longer: OFF, RESET, the connection closes. Twice is allowed. */
void tracking_stop(struct conn *conn);
/* A prefix of the connection's that overlaps with `prefix`. False: none. */
bool tracking_overlaps(
    const struct conn *conn, struct bytes prefix, struct bytes *with);
/* Calls `fn` with each prefix, by name. */
void tracking_each_prefix(const struct conn *conn,
    void (*fn)(void *context, struct bytes prefix), void *context);

/* ---- what happens ---- */

/* The connection in tracking mode has run a command that only reads. */
void tracking_note_read(struct request *request);
/* A command of it is over; `command` NULL: there is none of that name. */
void tracking_command_done(struct conn *conn, const struct command *command);
/* A key has changed, or all have gone. What follows is sent by the next
 * tracking_settle or tracking_broadcast. */
void tracking_key_changed(struct server *server, struct bytes key);
void tracking_flushed(struct server *server);
/* Tells who has read the keys. By keyspace_settle. */
void tracking_settle(struct server *server);
/* Tells who listens to prefixes: once a turn. */
void tracking_broadcast(struct server *server);
/* Every now and then: keeps the table within its bounds, frees what was left
 * behind by a flush. */
void tracking_tidy(struct server *server);

/* ---- figures ---- */

struct tracking_figures {
    size_t conns;    /* in tracking mode */
    size_t keys;     /* remembered */
    size_t items;    /* connections remembered, summed over the keys */
    size_t prefixes; /* different ones */
    size_t bytes;    /* of RAM */
};
struct tracking_figures tracking_figures(const struct tracking *tracking);
/* Whether any connection is in tracking mode, or has left keys behind. */
bool tracking_is_used(const struct tracking *tracking);

#endif
