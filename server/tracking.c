/* Who tracks, what becomes of a changed key, and the messages. */
#include "server/tracking.h"

#include <stdlib.h>
#include <sys/random.h>
#include <utlist.h>

#include "server/conn.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking_prefix.h"
#include "server/tracking_table.h"

/* The table may take this part of maxmemory, however many keys are allowed. */
#define MEMORY_SHARE 8
/* Keys given up, and keys freed, at once. */
#define TIDY_KEYS 1000
#define CHANNEL "__redis__:invalidate"
#define NOBODY UINT64_MAX /* no connection has that id */

struct tracking {
    struct tracking_table table;
    struct tracking_prefixes prefixes;
    size_t conns;
    struct tracked_key **changed; /* not told yet, in order; heap */
    size_t changed_count, changed_capacity;
    bool flushed;
};

struct tracking *tracking_create(void)
{
    struct tracking *tracking = xcalloc(1, sizeof(*tracking));
    uint64_t seed;
    check(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    tracking->table.seed = tracking->prefixes.seed = seed;
    return tracking;
}

static void drop_changed(struct tracking *tracking)
{
    for (size_t i = 0; i < tracking->changed_count; i++) {
        tracked_key_free(tracking->changed[i]);
    }
    free(tracking->changed);
    tracking->changed = NULL;
    tracking->changed_count = tracking->changed_capacity = 0;
}

void tracking_destroy(struct tracking *tracking)
{
    if (tracking == NULL) {
        return;
    }
    check(tracking->conns == 0);
    drop_changed(tracking);
    tracking_table_finish(&tracking->table);
    free(tracking);
}

/* ---- CLIENT TRACKING ---- */

void tracking_start(struct conn *conn, uint64_t redirect, uint32_t options,
    const struct bytes *prefixes, unsigned prefix_count)
{
    struct tracking *tracking = conn->server->tracking;
    if (conn->tracker == NULL) {
        conn->tracker = xcalloc(1, sizeof(*conn->tracker));
        tracking->conns++;
    }
    conn->tracker->redirect = redirect;
    conn->tracker->options = options;
    conn->tracker->broken = false;
    if ((options & TRACKING_BCAST) == 0) {
        return;
    }
    if (prefix_count == 0) {
        tracking_prefix_add(&tracking->prefixes, conn, BYTES(""));
    }
    for (unsigned i = 0; i < prefix_count; i++) {
        tracking_prefix_add(&tracking->prefixes, conn, prefixes[i]);
    }
}

void tracking_stop(struct conn *conn)
{
    struct tracking *tracking = conn->server->tracking;
    if (conn->tracker == NULL) {
        return;
    }
    tracking_prefix_remove_all(&tracking->prefixes, conn);
    free(conn->tracker);
    conn->tracker = NULL;
    tracking->conns--;
}

/* ---- the default mode ---- */

static bool has_cached(void *context, uint64_t id)
{
    struct conn *conn = conn_find(context, id);
    return conn != NULL && conn->tracker != NULL &&
           (conn->tracker->options & TRACKING_BCAST) == 0;
}

void tracking_note_read(struct request *request)
{
    struct server *server = request->server;
    struct conn *conn = request->conn;
    const struct tracker *tracker = conn->tracker;
    if ((tracker->options & TRACKING_BCAST) != 0 ||
        ((tracker->options & TRACKING_OPTIN) != 0 && !tracker->caching) ||
        ((tracker->options & TRACKING_OPTOUT) != 0 && tracker->caching)) {
        return;
    }
    int *positions = xmalloc((size_t)request->argc * sizeof(*positions));
    int count =
        command_keys(request->command, request->argv, request->argc, positions);
    for (int i = 0; i < count; i++) {
        tracking_table_add(&server->tracking->table,
            request->argv[positions[i]], conn->id, has_cached, server);
    }
    free(positions);
    tracking_tidy(server);
}

void tracking_command_done(struct conn *conn, const struct command *command)
{
    bool of_client = command != NULL && command->parent != NULL &&
                     strcmp(command->parent, "client") == 0;
    if (!of_client && (conn->flags & CONN_MULTI) == 0) {
        conn->tracker->caching = false;
    }
}

static uint64_t running_id(const struct server *server)
{
    return server->running == NULL ? 0 : server->running->id;
}

static void key_is_stale(
    struct server *server, struct tracked_key *key, uint64_t changed_by)
{
    struct tracking *tracking = server->tracking;
    if (key == NULL) {
        return;
    }
    if (tracking->changed_count == tracking->changed_capacity) {
        tracking->changed_capacity = 2 * tracking->changed_capacity + 16;
        tracking->changed = xrealloc(tracking->changed,
            tracking->changed_capacity * sizeof(struct tracked_key *));
    }
    key->changed_by = changed_by;
    tracking->changed[tracking->changed_count++] = key;
    server->unsettled = true;
}

void tracking_key_changed(struct server *server, struct bytes key)
{
    struct tracking *tracking = server->tracking;
    uint64_t by = running_id(server);
    key_is_stale(server, tracking_table_take(&tracking->table, key), by);
    tracking_prefix_note(&tracking->prefixes, key, by);
}

void tracking_flushed(struct server *server)
{
    struct tracking *tracking = server->tracking;
    tracking_table_clear(&tracking->table);
    tracking->flushed = true;
    server->unsettled = true;
}

static bool exceeds(const struct server *server)
{
    const struct tracking_table *table = &server->tracking->table;
    uint64_t most = (uint64_t)server->config.tracking_table_max_keys;
    return (most != 0 && table->count > most) ||
           table->bytes > server->maxmemory_bytes / MEMORY_SHARE;
}

void tracking_tidy(struct server *server)
{
    struct tracking_table *table = &server->tracking->table;
    for (unsigned i = 0; i < TIDY_KEYS && exceeds(server); i++) {
        key_is_stale(server, tracking_table_take_oldest(table), NOBODY);
    }
    tracking_table_tidy(table, TIDY_KEYS);
}

/* ---- messages ---- */

static void write_head(struct reply *message)
{
    if (message->version == 3) {
        reply_push(message, 2);
        reply_bulk_text(message, "invalidate");
    } else {
        reply_push(message, 3);
        reply_bulk_text(message, "message");
        reply_bulk_text(message, CHANNEL);
    }
}

/* Whom to tell in the place of `conn`, or NULL. */
static struct conn *receiver(struct conn *conn)
{
    struct tracker *tracker = conn->tracker;
    struct conn *to = conn;
    if (tracker->redirect != 0) {
        to = conn_find(conn->server, tracker->redirect);
        if (to != NULL) {
            bool hears = to->resp_version == 3 || pubsub_is_subscriber(to);
            return hears ? to : NULL;
        }
        tracker->broken = true;
        if (conn->resp_version == 3) {
            struct reply message;
            reply_init(&message);
            message.version = 3;
            reply_push(&message, 2);
            reply_bulk_text(&message, "tracking-redir-broken");
            reply_integer(&message, (int64_t)tracker->redirect);
            conn_send_reply(conn, &message);
            reply_finish(&message);
        }
    }
    return to != NULL && to->resp_version == 3 ? to : NULL;
}

/* One key, or NULL: all of them. */
static void tell(struct conn *conn, const struct bytes *key)
{
    struct conn *to = receiver(conn);
    if (to == NULL) {
        return;
    }
    struct reply message;
    reply_init(&message);
    message.version = to->resp_version;
    write_head(&message);
    if (key != NULL) {
        reply_array(&message, 1);
        reply_bulk(&message, *key);
    } else {
        message.version = conn->resp_version; /* so does Redis */
        reply_null(&message);
    }
    conn_send_reply(to, &message);
    reply_finish(&message);
}

static void tell_readers(struct server *server, const struct tracked_key *key)
{
    struct bytes name = bytes_of(key->name, key->size);
    for (unsigned i = 0; i < key->count; i++) {
        struct conn *conn = conn_find(server, key->ids[i]);
        if (conn == NULL || !has_cached(server, key->ids[i]) ||
            ((conn->tracker->options & TRACKING_NOLOOP) != 0 &&
                conn->id == key->changed_by)) {
            continue;
        }
        tell(conn, &name);
    }
}

/* No answers wait behind the first line, so telling closes nobody and the
 * list stays as it is. The oldest first, as Redis begins. */
static void tell_all(struct server *server)
{
    conn_send_answers(server);
    struct conn *oldest = server->conns;
    while (oldest != NULL && oldest->next != NULL) {
        oldest = oldest->next;
    }
    for (struct conn *conn = oldest; conn != NULL; conn = conn->prev) {
        if (conn->tracker != NULL) {
            tell(conn, NULL);
        }
    }
}

void tracking_settle(struct server *server)
{
    struct tracking *tracking = server->tracking;
    for (size_t i = 0; i < tracking->changed_count; i++) {
        tell_readers(server, tracking->changed[i]);
    }
    drop_changed(tracking);
    if (tracking->flushed) {
        tracking->flushed = false;
        tell_all(server);
    }
}

/* ---- the broadcasting mode ---- */

/* A prefix' changed keys for those of its connections that want them. */
struct broadcast {
    struct tracked_prefix *prefix;
    struct reply built[2]; /* for all who want all keys; RESP2, RESP3 */
};

static void write_keys(
    struct reply *message, const struct tracked_prefix *prefix, uint64_t but_of)
{
    size_t count = 0;
    const struct changed_key *key;
    for (key = prefix->changed; key != NULL; key = key->hh.next) {
        count += key->changed_by != but_of;
    }
    if (count == 0) {
        return;
    }
    write_head(message);
    reply_array(message, count);
    for (key = prefix->changed; key != NULL; key = key->hh.next) {
        if (key->changed_by != but_of) {
            reply_bulk(message, bytes_of(key->name, key->size));
        }
    }
}

static void broadcast_to(struct broadcast *broadcast, struct conn *conn)
{
    struct conn *to = receiver(conn);
    if (to == NULL) {
        return;
    }
    if ((conn->tracker->options & TRACKING_NOLOOP) != 0) {
        struct reply message;
        reply_init(&message);
        message.version = to->resp_version;
        write_keys(&message, broadcast->prefix, conn->id);
        if (message.size > 0) {
            conn_send_reply(to, &message);
        }
        reply_finish(&message);
        return;
    }
    struct reply *built = &broadcast->built[to->resp_version == 3];
    if (built->size == 0) {
        write_keys(built, broadcast->prefix, NOBODY);
    }
    conn_send_reply(to, built);
}

static void broadcast_prefix(void *context, struct tracked_prefix *prefix)
{
    (void)context;
    struct broadcast broadcast = {.prefix = prefix};
    for (unsigned i = 0; i < 2; i++) {
        reply_init(&broadcast.built[i]);
        broadcast.built[i].version = (uint8_t)(2 + i);
    }
    const struct prefix_member *member;
    DL_FOREACH(prefix->members, member)
    {
        broadcast_to(&broadcast, member->conn);
    }
    reply_finish(&broadcast.built[0]);
    reply_finish(&broadcast.built[1]);
}

void tracking_broadcast(struct server *server)
{
    struct tracking *tracking = server->tracking;
    if (tracking_prefix_any_changed(&tracking->prefixes)) {
        conn_send_answers(server); /* see tell_all */
        tracking_prefix_each_changed(
            &tracking->prefixes, broadcast_prefix, NULL);
    }
}

/* ---- figures ---- */

bool tracking_is_used(const struct tracking *tracking)
{
    return tracking->conns > 0 || tracking->table.count > 0;
}

struct tracking_figures tracking_figures(const struct tracking *tracking)
{
    return (struct tracking_figures){
        .conns = tracking->conns,
        .keys = tracking->table.count,
        .items = tracking->table.items,
        .prefixes = HASH_COUNT(tracking->prefixes.by_name),
        .bytes = tracking->table.bytes + tracking->prefixes.bytes,
    };
}
