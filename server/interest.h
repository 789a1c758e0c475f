/* Keys that somebody has an interest in beyond his command: connections that
 * watch them (watch.h) or wait for them (block.h). One table a database, so
 * that a changed key is looked up once, and not at all while there is no
 * interest in any.
 *
 * A key is in the table while something hangs on it. It need not exist in the
 * database. One thread, the loop's. */
#ifndef LARDER_SERVER_INTEREST_H
#define LARDER_SERVER_INTEREST_H

#include <uthash.h>

#include "protocol/bytes.h"

struct db;
struct server;
struct watch;      /* watch.h */
struct block_link; /* block.h */

struct interest_key {
    UT_hash_handle hh; /* interest.tables[database] */
    struct watch *watches;
    struct block_link *blocked;       /* first come first */
    struct block_link *cursor;        /* the next to be served, or NULL */
    struct interest_key *next_served; /* server->served_first */
    bool signalled;                   /* is in that list */
    bool wants_deletion;              /* one of `blocked` does */
    unsigned database;
    unsigned holds; /* being worked on: must not go away */
    size_t size;
    char name[];
};

/* Zeroed struct = empty. */
struct interest {
    struct interest_key **tables; /* by database number; heap */
    size_t keys, bytes;
};

void interest_finish(struct server *server);

static inline struct bytes interest_name(const struct interest_key *key)
{
    return bytes_of(key->name, key->size);
}

/* The key, or NULL when nobody is interested. */
struct interest_key *interest_find(
    struct server *server, const struct db *db, struct bytes name);
/* The key, made when there is none: something must be hung on it. */
struct interest_key *interest_get(
    struct server *server, const struct db *db, struct bytes name);
struct db *interest_db(
    const struct server *server, const struct interest_key *key);

/* Between the two the key stays, whatever happens to what hangs on it. */
void interest_hold(struct interest_key *key);
void interest_release(struct server *server, struct interest_key *key);
/* Something no longer hangs on it: frees it when that was the last. */
void interest_drop(struct server *server, struct interest_key *key);

#endif
