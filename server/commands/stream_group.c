/* Consumer groups: XGROUP, XACK. */
#include "server/commands/stream.h"

/* ---- opening ---- */

static void error_group_missing(struct request *request)
{
    struct bytes key = request->argv[2], group = request->argv[3];
    reply_error(request->reply,
        "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
        stream_shown(group), group.data, stream_shown(key), key.data);
}

/* Opens the stream in argument 2 to change it; one that is absent begins
 * when `create`. False: an error has been answered. */
static bool open_stream(
    struct request *request, bool create, struct collection *stream)
{
    struct bytes key = request->argv[2];
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STREAM)) {
        return false;
    }
    if (entry == NULL && !create) {
        reply_error(request->reply,
            "ERR The XGROUP subcommand requires the key to exist. Note that "
            "for CREATE you may want to use the MKSTREAM option to create an "
            "empty stream automatically.");
        return false;
    }
    collection_write(
        stream, request->db, key, entry, KIND_STREAM, request->now_ms);
    return true;
}

/* The same and its group in argument 3; NULL after an error. */
static struct stream_group *open_group(
    struct request *request, struct collection *stream)
{
    if (!open_stream(request, false, stream)) {
        return NULL;
    }
    struct stream_group *group =
        stream_group_find(stream->live->stream, request->argv[3]);
    if (group == NULL) {
        error_group_missing(request);
        stream_end(request, stream, 0);
    }
    return group;
}

static void end_group(struct request *request, struct collection *stream,
    uint64_t changes, const char *event)
{
    stream_end(request, stream, changes);
    if (changes > 0) {
        keyspace_event(request, KEYSPACE_STREAM, event, request->argv[2]);
    }
}

/* ---- CREATE, SETID ---- */

struct options {
    bool create; /* MKSTREAM */
    int64_t entries_read;
};

static bool parse_entries_read(
    struct request *request, int index, int64_t *entries_read)
{
    if (!arg_int64(request, index, entries_read)) {
        return false;
    }
    if (*entries_read < STREAM_READ_UNKNOWN) {
        reply_error(
            request->reply, "ERR value for ENTRIESREAD must be positive or -1");
        return false;
    }
    return true;
}

static bool parse_options(
    struct request *request, bool may_create, struct options *options)
{
    *options = (struct options){.entries_read = STREAM_READ_UNKNOWN};
    for (int i = 5; i < request->argc; i++) {
        if (may_create && arg_is(request, i, "mkstream")) {
            options->create = true;
        } else if (i + 1 < request->argc && arg_is(request, i, "entriesread")) {
            if (!parse_entries_read(request, ++i, &options->entries_read)) {
                return false;
            }
        } else {
            error_subcommand_syntax(request);
            return false;
        }
    }
    return true;
}

/* The id in argument 4, "$" being the stream's last. */
static bool parse_last_id(
    struct request *request, const struct stream *stream, struct stream_id *id)
{
    if (stream_arg_is_sign(request, 4, '$')) {
        *id = stream->last_id;
        return true;
    }
    return stream_arg_id(request, 4, id);
}

void cmd_xgroup_create(struct request *request)
{
    struct collection collection;
    struct options options;
    struct stream_id id;
    if (!parse_options(request, true, &options) ||
        !open_stream(request, options.create, &collection)) {
        return;
    }
    struct stream *stream = collection.live->stream;
    bool exists = collection.exists;
    uint64_t changes = 0;
    if (request->argc > 8) { /* options named twice */
        error_subcommand_syntax(request);
    } else if (!parse_last_id(request, stream, &id)) {
        /* the error has been answered */
    } else if (stream_group_find(stream, request->argv[3]) != NULL) {
        reply_error(
            request->reply, "BUSYGROUP Consumer Group name already exists");
    } else {
        stream_group_add(stream, request->argv[3], id, options.entries_read);
        reply_ok(request->reply);
        changes = 1;
    }
    stream_end(request, &collection, changes);
    if (changes > 0 && !exists) {
        keyspace_changed(request, request->argv[2]);
    }
    if (changes > 0) {
        keyspace_event(
            request, KEYSPACE_STREAM, "xgroup-create", request->argv[2]);
    }
}

void cmd_xgroup_setid(struct request *request)
{
    struct collection collection;
    struct options options;
    struct stream_id id;
    if (!parse_options(request, false, &options)) {
        return;
    }
    struct stream_group *group = open_group(request, &collection);
    if (group == NULL) {
        return;
    }
    uint64_t changes = 0;
    if (request->argc > 7) {
        error_subcommand_syntax(request);
    } else if (parse_last_id(request, collection.live->stream, &id)) {
        group->last_id = id;
        group->entries_read = options.entries_read;
        reply_ok(request->reply);
        changes = 1;
    }
    end_group(request, &collection, changes, "xgroup-setid");
}

/* ---- the others ---- */

void cmd_xgroup_destroy(struct request *request)
{
    struct collection collection;
    if (!open_stream(request, false, &collection)) {
        return;
    }
    struct stream *stream = collection.live->stream;
    struct stream_group *group = stream_group_find(stream, request->argv[3]);
    if (group != NULL) {
        stream_group_remove(stream, group);
    }
    reply_integer(request->reply, group != NULL);
    end_group(request, &collection, group != NULL, "xgroup-destroy");
    if (group != NULL) {
        keyspace_ready(request, request->argv[2]);
    }
}

void cmd_xgroup_createconsumer(struct request *request)
{
    struct collection stream;
    uint64_t changes = 0;
    struct stream_group *group = open_group(request, &stream);
    if (group == NULL) {
        return;
    }
    if (stream_consumer_find(group, request->argv[4]) == NULL) {
        stream_consumer_get(
            request, &stream, group, request->argv[4], &changes);
    }
    reply_integer(request->reply, (int64_t)changes);
    stream_end(request, &stream, changes);
}

void cmd_xgroup_delconsumer(struct request *request)
{
    struct collection stream;
    struct stream_group *group = open_group(request, &stream);
    if (group == NULL) {
        return;
    }
    struct stream_consumer *consumer =
        stream_consumer_find(group, request->argv[4]);
    uint64_t pending = 0;
    if (consumer != NULL) {
        pending = stream_consumer_remove(stream.live->stream, group, consumer);
    }
    reply_integer(request->reply, (int64_t)pending);
    end_group(request, &stream, consumer != NULL, "xgroup-delconsumer");
}

void cmd_xgroup_help(struct request *request)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL,
    };
    help_reply(request, lines);
}

/* ---- XACK ---- */

void cmd_xack(struct request *request)
{
    struct collection stream;
    struct stream_group *group = NULL;
    uint64_t done = 0;
    enum typed_open open = stream_open_group(request, &stream, &group);
    if (open == TYPED_ABSENT) {
        reply_integer(request->reply, 0);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    const struct stream_id *ids = stream_arg_ids(request, 3);
    if (ids != NULL) {
        for (int i = 3; i < request->argc; i++) {
            done += stream_pending_remove(group, ids[i - 3]);
        }
        reply_integer(request->reply, (int64_t)done);
    }
    stream_end(request, &stream, done);
}
