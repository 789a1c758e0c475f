/* WATCH: a connection learns at EXEC whether one of its keys has changed.
 *
 *   conn->watches -> watch -> watch -> ...       (conn_next)
 *                      |        |
 *   interest_key.watches: all that watch the key (next, prev)
 *
 * A change marks the connection (CONN_WATCH_BROKEN) and takes the watch off
 * its key, so that no watch is visited twice; its memory goes with the others
 * of the connection. One thread, the loop's. */
#ifndef LARDER_SERVER_WATCH_H
#define LARDER_SERVER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"

struct conn;
struct db;
struct interest_key;
struct server;

struct watch {
    struct conn *conn;
    struct interest_key *key; /* NULL: it has changed */
    struct watch *conn_next;
    struct watch *next, *prev; /* of the key */
};

/* Watches `name` from now on. */
void watch_add(struct conn *conn, struct db *db, struct bytes name);
/* Forgets all watches of the connection, and that one was broken. */
void watch_end(struct conn *conn);
/* Whether a watched key has changed, or its time is over at `now_ms`. */
bool watch_is_broken(struct conn *conn, int64_t now_ms);
/* Bytes the connection's watches take, keys aside. */
size_t watch_bytes(const struct conn *conn);

/* ---- for keyspace.c ---- */

/* The key has changed. It may be gone afterwards, unless it is held. */
void watch_break(struct server *server, struct interest_key *key);
/* Breaks the watches of a database's keys that exist in `db` or `other`
 * (which may be NULL). */
void watch_break_all(
    struct server *server, struct db *db, struct db *other, int64_t now_ms);

#endif
