#include "server/keyspace.h"

#include "server/server.h"
#include "server/watch.h"

/* The key is not as it was, whoever changed it. */
static void key_changed(struct server *server, struct db *db, struct bytes key)
{
    struct interest_key *interest = interest_find(server, db, key);
    if (interest != NULL) {
        watch_break(server, interest);
    }
}

/* Every event comes by here, whoever caused it. */
static void publish(struct server *server, enum keyspace_class class,
    const char *event, unsigned database, struct bytes key)
{
    (void)server;
    (void)class;
    (void)event;
    (void)database;
    (void)key;
}

void keyspace_changed(struct request *request, struct bytes key)
{
    key_changed(request->server, request->db, key);
}

void keyspace_changed_in(
    struct request *request, struct db *db, struct bytes key)
{
    key_changed(request->server, db, key);
}

void keyspace_event(struct request *request, enum keyspace_class class,
    const char *event, struct bytes key)
{
    keyspace_event_in(request, class, event, request->db, key);
}

void keyspace_event_in(struct request *request, enum keyspace_class class,
    const char *event, struct db *db, struct bytes key)
{
    publish(request->server, class, event,
        engine_db_number(request->engine, db), key);
}

void keyspace_flushing(struct request *request, struct db *db)
{
    watch_break_all(request->server, db, NULL, request->now_ms);
}

void keyspace_swapping(struct request *request, struct db *a, struct db *b)
{
    watch_break_all(request->server, a, b, request->now_ms);
    watch_break_all(request->server, b, a, request->now_ms);
}

void keyspace_on_engine_event(
    void *context, enum engine_event event, unsigned database, struct bytes key)
{
    static const struct {
        enum keyspace_class class;
        const char *name;
        bool changes;
    } events[] = {
        [ENGINE_EXPIRED] = {KEYSPACE_EXPIRED, "expired", true},
        [ENGINE_EVICTED] = {KEYSPACE_EVICTED, "evicted", true},
        [ENGINE_MISSED] = {KEYSPACE_MISS, "keymiss", false},
        [ENGINE_ADDED] = {KEYSPACE_NEW, "new", false},
    };
    struct server *server = context;
    if (events[event].changes) {
        key_changed(server, engine_db(server->engine, database), key);
    }
    publish(server, events[event].class, events[event].name, database, key);
}
