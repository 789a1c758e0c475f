/* SUBSCRIBE and its kin, PUBLISH, PUBSUB. */
#include "server/pubsub.h"

#include "protocol/glob.h"
#include "server/conn.h"
#include "server/server.h"

/* A connection of RESP2 that listens cannot tell a reply from a message, so it
 * may do little else. What EXEC runs has been allowed when it was queued. */
bool pubsub_may_run(struct request *request)
{
    static command_fn *const allowed[] = {cmd_ping, cmd_subscribe,
        cmd_unsubscribe, cmd_psubscribe, cmd_punsubscribe, cmd_ssubscribe,
        cmd_sunsubscribe, cmd_quit, cmd_reset};
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (request->command->handler == allowed[i]) {
            return true;
        }
    }
    if (request->nested) {
        return true;
    }
    char name[COMMAND_NAME_MAX];
    command_full_name(request->command, name, sizeof(name));
    reply_error(request->reply,
        "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
        "PING / QUIT / RESET are allowed in this context",
        name);
    return false;
}

/* ---- subscribing ---- */

/* What subscriptions may take of maxmemory, as a divisor. */
#define MEMORY_SHARE 4

/* Channels and patterns are counted together, shard channels apart. */
static unsigned counted_with(const struct conn *conn, enum pubsub_kind kind)
{
    if (kind == PUBSUB_SHARD) {
        return pubsub_count(conn, PUBSUB_SHARD);
    }
    return pubsub_count(conn, PUBSUB_CHANNEL) +
           pubsub_count(conn, PUBSUB_PATTERN);
}

/* The message that confirms a change; `name` NULL: there was none to end.
 * These come even while CLIENT REPLY is OFF. */
static void confirm(struct request *request, const char *word,
    const struct bytes *name, enum pubsub_kind kind)
{
    struct reply *reply = request->reply;
    bool muted = reply->muted;
    reply->muted = false;
    reply_push(reply, 3);
    reply_bulk_text(reply, word);
    if (name == NULL) {
        reply_null(reply);
    } else {
        reply_bulk(reply, *name);
    }
    reply_integer(reply, counted_with(request->conn, kind));
    reply->muted = muted;
}

/* Subscriptions are memory that nothing evicts. */
static bool room_to_subscribe(struct request *request)
{
    const struct server *server = request->server;
    size_t wanted = pubsub_bytes(server->pubsub);
    for (int i = 1; i < request->argc; i++) {
        wanted += request->argv[i].size;
    }
    if (wanted > server->maxmemory_bytes / MEMORY_SHARE) {
        error_oom(request);
        return false;
    }
    return true;
}

static void subscribe(
    struct request *request, const char *word, enum pubsub_kind kind)
{
    if (!room_to_subscribe(request)) {
        return;
    }
    for (int i = 1; i < request->argc; i++) {
        pubsub_subscribe(request->conn, kind, request->argv[i]);
        confirm(request, word, &request->argv[i], kind);
    }
}

static void unsubscribe_all(
    struct request *request, const char *word, enum pubsub_kind kind)
{
    struct bytes name;
    if (pubsub_count(request->conn, kind) == 0) {
        confirm(request, word, NULL, kind);
        return;
    }
    while (pubsub_first(request->conn, kind, &name)) {
        /* The name dies with the subscription. */
        char *copy = scratch_alloc(request->scratch, name.size + 1);
        memcpy(copy, name.data, name.size);
        name.data = copy;
        pubsub_unsubscribe(request->conn, kind, name);
        confirm(request, word, &name, kind);
    }
}

static void unsubscribe(
    struct request *request, const char *word, enum pubsub_kind kind)
{
    if (request->argc == 1) {
        unsubscribe_all(request, word, kind);
        return;
    }
    for (int i = 1; i < request->argc; i++) {
        pubsub_unsubscribe(request->conn, kind, request->argv[i]);
        confirm(request, word, &request->argv[i], kind);
    }
}

void cmd_subscribe(struct request *request)
{
    subscribe(request, "subscribe", PUBSUB_CHANNEL);
}

void cmd_unsubscribe(struct request *request)
{
    unsubscribe(request, "unsubscribe", PUBSUB_CHANNEL);
}

void cmd_psubscribe(struct request *request)
{
    subscribe(request, "psubscribe", PUBSUB_PATTERN);
}

void cmd_punsubscribe(struct request *request)
{
    unsubscribe(request, "punsubscribe", PUBSUB_PATTERN);
}

void cmd_ssubscribe(struct request *request)
{
    if (request->nested) {
        reply_error(request->reply,
            "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
        return;
    }
    subscribe(request, "ssubscribe", PUBSUB_SHARD);
}

void cmd_sunsubscribe(struct request *request)
{
    unsubscribe(request, "sunsubscribe", PUBSUB_SHARD);
}

/* ---- publishing ---- */

static void publish(struct request *request, enum pubsub_kind kind)
{
    struct blob *blob =
        request->arg_blobs == NULL ? NULL : request->arg_blobs[2];
    uint64_t count = pubsub_publish(
        request->server, kind, request->argv[1], request->argv[2], blob);
    reply_integer(request->reply, (int64_t)count);
}

void cmd_publish(struct request *request)
{
    publish(request, PUBSUB_CHANNEL);
}

void cmd_spublish(struct request *request)
{
    publish(request, PUBSUB_SHARD);
}

/* ---- PUBSUB ---- */

struct listing {
    struct reply *reply;
    const struct bytes *pattern; /* NULL: all */
    size_t count;
};

static void list_name(void *context, struct bytes name)
{
    struct listing *listing = context;
    if (listing->pattern == NULL ||
        glob_match(*listing->pattern, name, false)) {
        reply_bulk(listing->reply, name);
        listing->count++;
    }
}

static void list_names(struct request *request, enum pubsub_kind kind)
{
    struct listing listing = {.reply = request->reply};
    if (request->argc > 3) {
        error_subcommand_syntax(request);
        return;
    }
    if (request->argc == 3) {
        listing.pattern = &request->argv[2];
    }
    size_t mark = reply_begin(request->reply);
    pubsub_each_name(request->server->pubsub, kind, list_name, &listing);
    reply_end(request->reply, mark, REPLY_ARRAY, listing.count);
}

static void count_subscribers(struct request *request, enum pubsub_kind kind)
{
    reply_array(request->reply, (size_t)(request->argc - 2) * 2);
    for (int i = 2; i < request->argc; i++) {
        size_t count = pubsub_subscriber_count(
            request->server->pubsub, kind, request->argv[i]);
        reply_bulk(request->reply, request->argv[i]);
        reply_integer(request->reply, (int64_t)count);
    }
}

void cmd_pubsub_channels(struct request *request)
{
    list_names(request, PUBSUB_CHANNEL);
}

void cmd_pubsub_shardchannels(struct request *request)
{
    list_names(request, PUBSUB_SHARD);
}

void cmd_pubsub_numsub(struct request *request)
{
    count_subscribers(request, PUBSUB_CHANNEL);
}

void cmd_pubsub_shardnumsub(struct request *request)
{
    count_subscribers(request, PUBSUB_SHARD);
}

void cmd_pubsub_numpat(struct request *request)
{
    reply_integer(request->reply,
        (int64_t)pubsub_name_count(request->server->pubsub, PUBSUB_PATTERN));
}

void cmd_pubsub_help(struct request *request)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> "
        "(default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, "
        "excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a "
        "<pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level "
        "channel(s)",
        NULL,
    };
    help_reply(request, lines);
}
