/* What a handler says about the keys it changes, in one place: whoever
 * watches a key learns of it here. One thread, the loop's. */
#ifndef LARDER_SERVER_KEYSPACE_H
#define LARDER_SERVER_KEYSPACE_H

#include "server/command.h"

/* Classes of keyspace events: the letters of notify-keyspace-events. */
enum keyspace_class {
    KEYSPACE_GENERIC = 1 << 0, /* g */
    KEYSPACE_STRING = 1 << 1,  /* $ */
    KEYSPACE_LIST = 1 << 2,    /* l */
    KEYSPACE_SET = 1 << 3,     /* s */
    KEYSPACE_HASH = 1 << 4,    /* h */
    KEYSPACE_ZSET = 1 << 5,    /* z */
    KEYSPACE_STREAM = 1 << 6,  /* t */
    KEYSPACE_EXPIRED = 1 << 7, /* x */
    KEYSPACE_EVICTED = 1 << 8, /* e */
    KEYSPACE_MISS = 1 << 9,    /* m */
    KEYSPACE_NEW = 1 << 10,    /* n */
    KEYSPACE_MODULE = 1 << 11, /* d; nothing here is of that class */
    /* Not classes but where events go: */
    KEYSPACE_BY_KEY = 1 << 12,   /* K: __keyspace@<db>__:<key> */
    KEYSPACE_BY_EVENT = 1 << 13, /* E: __keyevent@<db>__:<event> */
};

/* The value, the expiry or the existence of `key` in the request's database
 * has changed. Called once a key and command, after the change. */
void keyspace_changed(struct request *request, struct bytes key);
/* The same in another database. */
void keyspace_changed_in(
    struct request *request, struct db *db, struct bytes key);
/* The two halves of it. The first for a change that gives those who wait for
 * the key nothing: another expiry, entries taken out of a stream. The second
 * for what only they are told of: the end of a consumer group. */
void keyspace_touched(struct request *request, struct bytes key);
void keyspace_ready(struct request *request, struct bytes key);

/* `event` ("set", "del", ...) happened to `key`. Called after the change, in
 * the order in which Redis sends its keyspace notifications. Handlers say
 * neither "expired" nor "evicted", "keymiss" and "new": those come from the
 * engine, by keyspace_on_engine_event. */
void keyspace_event(struct request *request, enum keyspace_class class,
    const char *event, struct bytes key);
/* The same in another database. */
void keyspace_event_in(struct request *request, enum keyspace_class class,
    const char *event, struct db *db, struct bytes key);

/* All keys of the database are about to be deleted (called before it
 * happens), or about to change places with those of another. */
void keyspace_flushing(struct request *request, struct db *db);
void keyspace_swapping(struct request *request, struct db *a, struct db *b);
/* They have changed places. */
void keyspace_swapped(struct request *request, struct db *a, struct db *b);

/* What the engine has told of is kept until somebody may be written to: these
 * publish it. After anything that runs the engine, unless server->unsettled is
 * false. */
void keyspace_settle(struct server *server);
/* Drops what is kept. */
void keyspace_finish(struct server *server);
/* Which events the engine must tell of, after a change of the configuration.
 * Not while the data is being loaded. */
void keyspace_apply_config(struct server *server);

/* struct engine_options' on_event; `context` is the struct server. */
void keyspace_on_engine_event(void *context, enum engine_event event,
    unsigned database, struct bytes key);

#endif
