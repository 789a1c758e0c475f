/* XINFO. */
#include "server/commands/stream.h"
#include "server/server.h"

#define COUNT_DEFAULT 10

static void reply_name(struct reply *reply, const char *data, size_t size)
{
    reply_bulk(reply, bytes_of(data, size));
}

static void reply_field(struct reply *reply, const char *name, int64_t value)
{
    reply_bulk_text(reply, name);
    reply_integer(reply, value);
}

static void reply_field_id(
    struct reply *reply, const char *name, struct stream_id id)
{
    reply_bulk_text(reply, name);
    stream_reply_id(reply, id);
}

static void reply_progress(
    struct reply *reply, struct value *value, const struct stream_group *group)
{
    int64_t lag = 0;
    reply_bulk_text(reply, "entries-read");
    if (group->entries_read == STREAM_READ_UNKNOWN) {
        reply_null(reply);
    } else {
        reply_integer(reply, group->entries_read);
    }
    reply_bulk_text(reply, "lag");
    if (stream_group_lag(value, group, &lag)) {
        reply_integer(reply, lag);
    } else {
        reply_null(reply);
    }
}

static bool open_stream(struct request *request, struct collection *stream)
{
    enum typed_open open = typed_read(request, 2, TYPE_STREAM, stream);
    if (open == TYPED_ABSENT) {
        reply_error(request->reply, "ERR no such key");
    }
    return open == TYPED_OPEN;
}

/* ---- GROUPS, CONSUMERS ---- */

void cmd_xinfo_groups(struct request *request)
{
    struct collection collection;
    struct reply *reply = request->reply;
    if (!open_stream(request, &collection)) {
        return;
    }
    const struct stream *stream = collection.live->stream;
    reply_array(reply, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++) {
        const struct stream_group *group = stream->groups[i];
        reply_map(reply, 6);
        reply_bulk_text(reply, "name");
        reply_name(reply, group->name, group->name_size);
        reply_field(reply, "consumers", (int64_t)group->consumer_count);
        reply_field(reply, "pending", (int64_t)group->pending.count);
        reply_field_id(reply, "last-delivered-id", group->last_id);
        reply_progress(reply, collection.live, group);
    }
}

void cmd_xinfo_consumers(struct request *request)
{
    struct collection stream;
    struct reply *reply = request->reply;
    struct bytes key = request->argv[2], name = request->argv[3];
    if (!open_stream(request, &stream)) {
        return;
    }
    const struct stream_group *group =
        stream_group_find(stream.live->stream, name);
    if (group == NULL) {
        reply_error(reply,
            "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
            stream_shown(name), name.data, stream_shown(key), key.data);
        return;
    }
    reply_array(reply, group->consumer_count);
    for (size_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = group->consumers[i];
        int64_t idle_ms = request->now_ms - consumer->seen_ms;
        reply_map(reply, 3);
        reply_bulk_text(reply, "name");
        reply_name(reply, consumer->name, consumer->name_size);
        reply_field(reply, "pending", (int64_t)consumer->pending);
        reply_field(reply, "idle", idle_ms < 0 ? 0 : idle_ms);
    }
}

/* ---- STREAM ---- */

/* At most `count` of `all`, 0: all. */
static uint64_t at_most(uint64_t all, int64_t count)
{
    return count == 0 || all < (uint64_t)count ? all : (uint64_t)count;
}

static void reply_group_pending(
    struct reply *reply, struct stream_group *group, int64_t count)
{
    struct tree_cursor cursor;
    uint64_t shown = at_most(group->pending.count, count);
    reply_bulk_text(reply, "pending");
    reply_array(reply, shown);
    tree_at(&group->pending, 0, &cursor);
    for (; shown > 0; shown--) {
        struct stream_pending pending = stream_pending_at(&cursor);
        const struct stream_consumer *consumer =
            stream_consumer_by_number(group, pending.consumer);
        reply_array(reply, 4);
        stream_reply_id(reply, pending.id);
        reply_name(reply, consumer->name, consumer->name_size);
        reply_integer(reply, pending.delivered_ms);
        reply_integer(reply, (int64_t)pending.deliveries);
        tree_next(&cursor);
    }
}

static void reply_consumer(struct reply *reply, struct stream_group *group,
    const struct stream_consumer *consumer, int64_t count)
{
    struct tree_cursor cursor;
    struct stream_pending pending;
    uint64_t owner = 0;
    uint64_t shown = at_most(consumer->pending, count);
    reply_map(reply, 4);
    reply_bulk_text(reply, "name");
    reply_name(reply, consumer->name, consumer->name_size);
    reply_field(reply, "seen-time", consumer->seen_ms);
    reply_field(reply, "pel-count", (int64_t)consumer->pending);
    reply_bulk_text(reply, "pending");
    reply_array(reply, shown);
    stream_owned_seek(
        group, consumer->number, (struct stream_id){0, 0}, &cursor);
    for (; shown > 0; shown--) {
        struct stream_id id = stream_owned_at(&cursor, &owner);
        check(stream_pending_get(group, id, &pending));
        reply_array(reply, 3);
        stream_reply_id(reply, id);
        reply_integer(reply, pending.delivered_ms);
        reply_integer(reply, (int64_t)pending.deliveries);
        tree_next(&cursor);
    }
}

static void reply_group(struct reply *reply, struct value *value,
    struct stream_group *group, int64_t count)
{
    reply_map(reply, 7);
    reply_bulk_text(reply, "name");
    reply_name(reply, group->name, group->name_size);
    reply_field_id(reply, "last-delivered-id", group->last_id);
    reply_progress(reply, value, group);
    reply_field(reply, "pel-count", (int64_t)group->pending.count);
    reply_group_pending(reply, group, count);
    reply_bulk_text(reply, "consumers");
    reply_array(reply, group->consumer_count);
    for (size_t i = 0; i < group->consumer_count; i++) {
        reply_consumer(reply, group, group->consumers[i], count);
    }
}

/* What both forms begin with. Redis' radix tree has a key for each node of
 * so many entries; here that is what there would be. */
static void reply_head(struct request *request, struct value *value)
{
    struct reply *reply = request->reply;
    const struct stream *stream = value->stream;
    uint64_t node = (uint64_t)request->server->config.stream_node_max_entries;
    uint64_t length = stream_length(value);
    uint64_t keys = length == 0 ? 0 : (node == 0 ? 1 : (length - 1) / node + 1);
    reply_field(reply, "length", (int64_t)length);
    reply_field(reply, "radix-tree-keys", (int64_t)keys);
    reply_field(reply, "radix-tree-nodes", (int64_t)keys + 1);
    reply_field_id(reply, "last-generated-id", stream->last_id);
    reply_field_id(reply, "max-deleted-entry-id", stream->max_deleted_id);
    reply_field(reply, "entries-added", (int64_t)stream->entries_added);
    reply_field_id(reply, "recorded-first-entry-id", stream_first_id(value));
}

static void reply_full(
    struct request *request, struct value *value, int64_t count)
{
    struct reply *reply = request->reply;
    const struct stream *stream = value->stream;
    struct stream_cursor cursor;
    uint64_t shown = at_most(stream_length(value), count);
    reply_map(reply, 9);
    reply_head(request, value);
    reply_bulk_text(reply, "entries");
    reply_array(reply, shown);
    stream_begin(value, &cursor);
    for (; shown > 0; shown--) {
        stream_reply_entry(reply, &cursor);
        stream_next(&cursor);
    }
    reply_bulk_text(reply, "groups");
    reply_array(reply, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++) {
        reply_group(reply, value, stream->groups[i], count);
    }
}

static void reply_edge(
    struct reply *reply, const char *name, struct value *value, bool last)
{
    struct stream_cursor cursor;
    reply_bulk_text(reply, name);
    if (stream_length(value) == 0) {
        reply_null(reply);
        return;
    }
    if (last) {
        stream_last(value, &cursor);
    } else {
        stream_begin(value, &cursor);
    }
    stream_reply_entry(reply, &cursor);
}

static void reply_short(struct request *request, struct value *value)
{
    struct reply *reply = request->reply;
    reply_map(reply, 10);
    reply_head(request, value);
    reply_field(reply, "groups", (int64_t)value->stream->group_count);
    reply_edge(reply, "first-entry", value, false);
    reply_edge(reply, "last-entry", value, true);
}

/* FULL [COUNT count] behind the key; false after an error. */
static bool parse_full(struct request *request, int64_t *count)
{
    bool valid = (request->argc == 4 || request->argc == 6) &&
                 arg_is(request, 3, "full") &&
                 (request->argc == 4 || arg_is(request, 4, "count"));
    if (!valid) {
        error_subcommand_syntax(request);
        return false;
    }
    if (request->argc == 6 && !arg_int64(request, 5, count)) {
        return false;
    }
    *count = *count < 0 ? COUNT_DEFAULT : *count;
    return true;
}

void cmd_xinfo_stream(struct request *request)
{
    struct collection stream;
    int64_t count = COUNT_DEFAULT;
    if (!open_stream(request, &stream)) {
        return;
    }
    if (request->argc == 3) {
        reply_short(request, stream.live);
    } else if (parse_full(request, &count)) {
        reply_full(request, stream.live, count);
    }
}

void cmd_xinfo_help(struct request *request)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        NULL,
    };
    help_reply(request, lines);
}
