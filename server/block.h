/* Commands that wait until a key has something for them: BLPOP and its kin.
 *
 *   conn->block -> links -> interest_key.blocked: who waits for the key, in the
 *                           order in which they came
 *
 * The handler of such a command looks at its keys as any other and answers if
 * it can; if not, it calls block_wait, and the connection is parked. When a
 * key changes, and the command that changed it (or the whole EXEC or script)
 * has ended, block_serve runs the commands that wait for the key again, the
 * first come first, before any other command: a handler answers then, or
 * calls block_wait once more, which leaves it where it stands.
 *
 * To add such a command: a handler written like that, which skips the keys
 * that block_considers refuses, and CMD_BLOCKING in its row.
 *
 * One thread, the loop's. */
#ifndef LARDER_SERVER_BLOCK_H
#define LARDER_SERVER_BLOCK_H

#include <uv.h>

#include "server/command.h"

struct block;
struct interest_key;

struct block_link {
    struct block *block;
    struct interest_key *key;
    struct block_link *next, *prev; /* of the key */
};

enum block_state {
    BLOCK_WAITING,
    BLOCK_RETRYING,  /* fetches values from disk, keeps its place */
    BLOCK_TIMED_OUT, /* to be answered when its turn comes */
    BLOCK_UNBLOCKED, /* CLIENT UNBLOCK ERROR, likewise */
};

/* Created by the first block_wait of a command; ended with the command or the
 * connection; freed there, or in the timer's close callback if it has one. */
struct block {
    struct conn *conn;
    uv_timer_t timer;
    bool has_timer;
    bool overdue; /* its time was over while it was retrying */
    enum block_state state;
    enum value_type type;
    bool wants_deletion;
    void *kept; /* the handler's own, heap, or NULL */
    unsigned link_count;
    struct block_link links[];
};

/* ---- for handlers ---- */

/* The timeout in argument `index`, seconds as a float, as milliseconds; 0: for
 * ever. False after Redis' error. */
bool block_arg_timeout(struct request *request, int index, int64_t *timeout_ms);

struct block_keys {
    enum value_type type; /* of the values that end the wait */
    int first, last;      /* arguments that are keys */
    int64_t timeout_ms;   /* 0: for ever */
    bool wants_deletion;  /* also run again when a key is deleted, or gets a
                             value of another type */
    void *kept; /* heap, or NULL: what the handler wants to know when it runs
                   again; becomes the wait's, which frees it */
};
/* There is nothing to answer with: waits. The handler returns without a reply.
 * (With durability `always`, replies before it have to be synced first: then
 * the handler will run from the start, and nothing is kept.) False inside EXEC
 * and scripts, which do not wait: the handler answers what it answers when its
 * time is over. */
bool block_wait(struct request *request, const struct block_keys *keys);
/* What the handler that runs again has kept, borrowed; NULL otherwise. */
void *block_kept(const struct request *request);
/* Whether the handler may answer with this key: a command that was waiting is
 * served by the key that has changed, wherever it stands among the others. */
bool block_considers(const struct request *request, struct bytes key);

/* ---- for keyspace.c, dispatch.c and the connection ---- */

/* The key has changed: whoever waits for it is served by block_serve. */
void block_signal(struct server *server, struct interest_key *key);
/* The same for all keys of a database that has got other contents. */
void block_signal_all(struct server *server, const struct db *db);
/* Between two commands, while server->served_first is not NULL. */
void block_serve(struct server *server);
/* A command that was waiting goes on otherwise: answers it and returns true,
 * or returns false when it is to run as usual. */
bool block_answer(struct request *request);
/* Ends the wait as if its time were over, or with an error. False when the
 * connection is in no such wait. */
bool block_end_early(struct conn *conn, bool with_error);
/* The command has ended, or the connection. NULL is allowed to be there. */
void block_end(struct conn *conn);

#endif
