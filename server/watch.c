#include "server/watch.h"

#include <stdlib.h>
#include <utlist.h>

#include "server/conn.h"
#include "server/interest.h"
#include "server/server.h"

void watch_add(struct conn *conn, struct db *db, struct bytes name)
{
    struct server *server = conn->server;
    struct interest_key *key = interest_get(server, db, name);
    /* Watching it twice does no harm, so only the last watch is looked at,
     * not all. */
    if (key->watches != NULL && key->watches->prev->conn == conn) {
        return;
    }
    struct watch *watch = xmalloc(sizeof(*watch));
    *watch =
        (struct watch){.conn = conn, .key = key, .conn_next = conn->watches};
    DL_APPEND(key->watches, watch);
    if (conn->watches == NULL) {
        server->watching_conns++;
    }
    conn->watches = watch;
    conn->watch_count++;
    server->watch_count++;
}

static void detach(struct watch *watch)
{
    struct interest_key *key = watch->key;
    if (key != NULL) {
        DL_DELETE(key->watches, watch);
        watch->key = NULL;
    }
}

void watch_end(struct conn *conn)
{
    struct server *server = conn->server;
    conn->flags &= ~(uint32_t)CONN_WATCH_BROKEN;
    if (conn->watches == NULL) {
        return;
    }
    while (conn->watches != NULL) {
        struct watch *watch = conn->watches;
        struct interest_key *key = watch->key;
        conn->watches = watch->conn_next;
        if (key != NULL) {
            detach(watch);
            interest_drop(server, key);
        }
        free(watch);
    }
    server->watching_conns--;
    server->watch_count -= conn->watch_count;
    conn->watch_count = 0;
}

/* Looking a key up deletes it when its time is over, which breaks the watch
 * like any other change. */
bool watch_is_broken(struct conn *conn, int64_t now_ms)
{
    struct server *server = conn->server;
    for (const struct watch *watch = conn->watches;
         watch != NULL && (conn->flags & CONN_WATCH_BROKEN) == 0;
         watch = watch->conn_next) {
        struct interest_key *key = watch->key;
        interest_hold(key);
        db_find(interest_db(server, key), interest_name(key), now_ms);
        interest_release(server, key);
    }
    return (conn->flags & CONN_WATCH_BROKEN) != 0;
}

size_t watch_bytes(const struct conn *conn)
{
    return conn->watch_count * sizeof(struct watch);
}

void watch_break(struct server *server, struct interest_key *key)
{
    if (key->watches == NULL) {
        return;
    }
    while (key->watches != NULL) {
        struct watch *watch = key->watches;
        watch->conn->flags |= CONN_WATCH_BROKEN;
        detach(watch);
    }
    interest_drop(server, key);
}

void watch_break_all(
    struct server *server, struct db *db, struct db *other, int64_t now_ms)
{
    struct interest_key *key = NULL;
    struct interest_key *next = NULL;
    if (server->interest.keys == 0) {
        return;
    }
    unsigned number = engine_db_number(server->engine, db);
    HASH_ITER(hh, server->interest.tables[number], key, next)
    {
        struct bytes name = interest_name(key);
        interest_hold(key);
        if (db_find(db, name, now_ms) != NULL ||
            (other != NULL && db_find(other, name, now_ms) != NULL)) {
            watch_break(server, key);
        }
        interest_release(server, key);
    }
}
