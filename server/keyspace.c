#include "server/keyspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "server/block.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/watch.h"

/* Whether a change of the key may be what somebody waits for. */
static bool may_serve(const struct interest_key *interest, struct db *db,
    struct bytes key, int64_t now_ms)
{
    if (interest->wants_deletion) {
        return true; /* or becoming something else */
    }
    const struct entry *entry = db_find(db, key, now_ms);
    if (entry == NULL) {
        return false;
    }
    enum value_type type = entry_type(entry);
    return type == TYPE_LIST || type == TYPE_ZSET || type == TYPE_STREAM;
}

void keyspace_touched(struct request *request, struct bytes key)
{
    struct server *server = request->server;
    if (tracking_is_used(server->tracking)) {
        tracking_key_changed(server, key);
    }
    struct interest_key *interest = interest_find(server, request->db, key);
    if (interest != NULL) {
        watch_break(server, interest);
    }
}

void keyspace_ready(struct request *request, struct bytes key)
{
    struct server *server = request->server;
    struct interest_key *interest = interest_find(server, request->db, key);
    if (interest != NULL) {
        block_signal(server, interest);
    }
}

void keyspace_changed_in(
    struct request *request, struct db *db, struct bytes key)
{
    struct server *server = request->server;
    if (tracking_is_used(server->tracking)) {
        tracking_key_changed(server, key);
    }
    struct interest_key *interest = interest_find(server, db, key);
    if (interest == NULL) {
        return;
    }
    if (interest->blocked != NULL &&
        may_serve(interest, db, key, request->now_ms)) {
        block_signal(server, interest);
    }
    watch_break(server, interest);
}

void keyspace_changed(struct request *request, struct bytes key)
{
    keyspace_changed_in(request, request->db, key);
}

/* No command has deleted the key, or what is gone of it. */
static void key_gone(struct server *server, struct db *db, struct bytes key)
{
    if (tracking_is_used(server->tracking)) {
        tracking_key_changed(server, key);
    }
    struct interest_key *interest = interest_find(server, db, key);
    if (interest == NULL) {
        return;
    }
    if (interest->wants_deletion) {
        block_signal(server, interest);
    }
    watch_break(server, interest);
}

/* ---- notifications ---- */

/* An event of the engine's that has not been published yet. */
struct keyspace_note {
    struct keyspace_note *prev, *next; /* server->notes */
    const char *event;
    unsigned database;
    size_t key_size;
    char key[];
};

/* `about` and what happened, on "<prefix>@<database>__:<about>". */
static void publish_on(struct server *server, const char *prefix,
    unsigned database, struct bytes about, struct bytes message)
{
    char head[48];
    size_t head_size =
        (size_t)snprintf(head, sizeof(head), "%s@%u__:", prefix, database);
    size_t size = head_size + about.size;
    char *channel = xmalloc(size);
    memcpy(channel, head, head_size);
    if (about.size > 0) {
        memcpy(channel + head_size, about.data, about.size);
    }
    pubsub_publish(
        server, PUBSUB_CHANNEL, bytes_of(channel, size), message, NULL);
    free(channel);
}

static void publish(struct server *server, const char *event, unsigned database,
    struct bytes key)
{
    struct bytes name = bytes_of(event, strlen(event));
    uint32_t wanted = server->config.notify_events;
    if (pubsub_name_count(server->pubsub, PUBSUB_CHANNEL) == 0 &&
        pubsub_name_count(server->pubsub, PUBSUB_PATTERN) == 0) {
        return;
    }
    if ((wanted & KEYSPACE_BY_KEY) != 0) {
        publish_on(server, "__keyspace", database, key, name);
    }
    if ((wanted & KEYSPACE_BY_EVENT) != 0) {
        publish_on(server, "__keyevent", database, name, key);
    }
}

/* Publishing may close connections, which is not for the engine's callbacks
 * to do. */
static void keep_note(struct server *server, const char *event,
    unsigned database, struct bytes key)
{
    struct keyspace_note *note = xmalloc(sizeof(*note) + key.size);
    *note = (struct keyspace_note){
        .event = event, .database = database, .key_size = key.size};
    if (key.size > 0) {
        memcpy(note->key, key.data, key.size);
    }
    DL_APPEND(server->notes, note);
    server->unsettled = true;
}

static void publish_notes(struct server *server)
{
    while (server->notes != NULL) {
        struct keyspace_note *note = server->notes;
        DL_DELETE(server->notes, note);
        publish(server, note->event, note->database,
            bytes_of(note->key, note->key_size));
        free(note);
    }
}

void keyspace_settle(struct server *server)
{
    server->unsettled = false;
    publish_notes(server);
    tracking_settle(server);
}

void keyspace_finish(struct server *server)
{
    struct keyspace_note *next = server->notes;
    while (next != NULL) {
        struct keyspace_note *note = next;
        next = note->next;
        free(note);
    }
    server->notes = NULL;
}

void keyspace_apply_config(struct server *server)
{
    uint32_t wanted = server->config.notify_events;
    engine_set_events(server->engine, (wanted & KEYSPACE_MISS) != 0,
        (wanted & KEYSPACE_NEW) != 0);
}

void keyspace_event(struct request *request, enum keyspace_class class,
    const char *event, struct bytes key)
{
    keyspace_event_in(request, class, event, request->db, key);
}

void keyspace_event_in(struct request *request, enum keyspace_class class,
    const char *event, struct db *db, struct bytes key)
{
    struct server *server = request->server;
    if ((server->config.notify_events & class) != 0) {
        publish_notes(server); /* they happened before */
        publish(server, event, engine_db_number(request->engine, db), key);
    }
}

void keyspace_flushing(struct request *request, struct db *db)
{
    watch_break_all(request->server, db, NULL, request->now_ms);
    block_signal_all(request->server, db);
    if (tracking_is_used(request->server->tracking)) {
        tracking_flushed(request->server);
    }
}

void keyspace_swapping(struct request *request, struct db *a, struct db *b)
{
    watch_break_all(request->server, a, b, request->now_ms);
    watch_break_all(request->server, b, a, request->now_ms);
}

void keyspace_swapped(struct request *request, struct db *a, struct db *b)
{
    block_signal_all(request->server, a);
    block_signal_all(request->server, b);
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
        [ENGINE_FIELDS_EXPIRED] = {KEYSPACE_HASH, "hexpired", true},
        [ENGINE_EMPTIED] = {KEYSPACE_GENERIC, "del", true},
    };
    struct server *server = context;
    if (events[event].changes) {
        key_gone(server, engine_db(server->engine, database), key);
    }
    if ((server->config.notify_events & events[event].class) != 0) {
        keep_note(server, events[event].name, database, key);
    }
}
