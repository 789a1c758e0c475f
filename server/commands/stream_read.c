/* XREAD, XREADGROUP. */
#include <stdlib.h>

#include "server/block.h"
#include "server/commands/stream.h"

/* Of each stream, when a command that waited is served without COUNT. */
#define COUNT_SERVED 1000

struct read {
    bool of_group; /* XREADGROUP */
    bool no_ack;
    bool waits;  /* BLOCK */
    bool served; /* has waited, and runs again */
    int64_t timeout_ms;
    const struct bytes *group, *consumer; /* or NULL */
    int64_t count;                        /* of each stream, 0: all */
    int first_key, streams;
    /* Of each stream, what comes behind this id is wanted; for a group
     * STREAM_ID_MAX (">") stands for what it has not been given yet. */
    struct stream_id *behind;
};

/* ---- arguments ---- */

static bool parse_block(struct request *request, int index, struct read *read)
{
    if (request->scripted) {
        struct bytes name = request->argv[0];
        reply_error(request->reply,
            "ERR %.*s command is not allowed with BLOCK option from scripts",
            stream_shown(name), name.data);
        return false;
    }
    read->waits = true;
    if (!bytes_to_int64(request->argv[index], &read->timeout_ms)) {
        reply_error(
            request->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (read->timeout_ms < 0) {
        reply_error(request->reply, "ERR timeout is negative");
    }
    return read->timeout_ms >= 0;
}

static bool parse_streams(struct request *request, int first, struct read *read)
{
    int words = request->argc - first;
    if (words % 2 != 0) {
        reply_error(request->reply,
            "ERR Unbalanced XREAD list of streams: for each stream key an ID "
            "or '$' must be specified.");
        return false;
    }
    read->first_key = first;
    read->streams = words / 2;
    return true;
}

static bool refuse_group_option(struct request *request, const char *option)
{
    reply_error(request->reply,
        "ERR The %s option is only supported by XREADGROUP. You called XREAD "
        "instead.",
        option);
    return false;
}

/* The option at *index, which moves to the last argument it used. */
static bool parse_option(struct request *request, int *index, struct read *read)
{
    int at = *index, more = request->argc - at - 1;
    if (more > 0 && arg_is(request, at, "block")) {
        return parse_block(request, ++*index, read);
    }
    if (more > 0 && arg_is(request, at, "count")) {
        bool valid = arg_int64(request, ++*index, &read->count);
        read->count = read->count < 0 ? 0 : read->count;
        return valid;
    }
    if (more > 0 && arg_is(request, at, "streams")) {
        return parse_streams(request, at + 1, read);
    }
    if (more > 1 && arg_is(request, at, "group")) {
        read->group = &request->argv[at + 1];
        read->consumer = &request->argv[at + 2];
        *index += 2;
        return read->of_group || refuse_group_option(request, "GROUP");
    }
    if (arg_is(request, at, "noack")) {
        read->no_ack = true;
        return read->of_group || refuse_group_option(request, "NOACK");
    }
    error_syntax(request);
    return false;
}

static bool parse(struct request *request, struct read *read)
{
    for (int i = 1; i < request->argc && read->first_key == 0; i++) {
        if (!parse_option(request, &i, read)) {
            return false;
        }
    }
    if (read->first_key == 0) {
        error_syntax(request);
        return false;
    }
    if (read->of_group && read->group == NULL) {
        reply_error(request->reply, "ERR Missing GROUP option for XREADGROUP");
        return false;
    }
    return true;
}

/* ---- ids ---- */

static bool refuse_group(
    struct request *request, const struct read *read, struct bytes key)
{
    reply_error(request->reply,
        "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP "
        "with GROUP option",
        stream_shown(key), key.data, stream_shown(*read->group),
        read->group->data);
    return false;
}

/* The id in argument `index`; `value` is the stream, or NULL. */
static bool parse_id(struct request *request, const struct read *read,
    int index, const struct value *value, struct stream_id *id)
{
    if (stream_arg_is_sign(request, index, '$')) {
        if (read->of_group) {
            reply_error(request->reply,
                "ERR The $ ID is meaningless in the context of XREADGROUP: "
                "you want to read the history of this consumer by specifying "
                "a proper ID, or use the > ID to get new messages. The $ ID "
                "would just return an empty result set.");
            return false;
        }
        *id = value == NULL ? (struct stream_id){0, 0} : value->stream->last_id;
        return true;
    }
    if (stream_arg_is_sign(request, index, '>')) {
        if (!read->of_group) {
            reply_error(request->reply,
                "ERR The > ID can be specified only when calling XREADGROUP "
                "using the GROUP <group> <consumer> option.");
            return false;
        }
        *id = STREAM_ID_MAX;
        return true;
    }
    return stream_arg_id(request, index, id);
}

/* Looks at each stream, its group and its id. */
static bool resolve(struct request *request, struct read *read)
{
    struct collection stream;
    read->behind = scratch_alloc(
        request->scratch, (size_t)read->streams * sizeof(*read->behind));
    for (int i = 0; i < read->streams; i++) {
        int key = read->first_key + i;
        enum typed_open open = typed_read(request, key, TYPE_STREAM, &stream);
        if (open == TYPED_REFUSED) {
            return false;
        }
        const struct value *value = open == TYPED_OPEN ? stream.live : NULL;
        if (read->of_group && (value == NULL || stream_group_find(value->stream,
                                                    *read->group) == NULL)) {
            return refuse_group(request, read, request->argv[key]);
        }
        if (!parse_id(
                request, read, key + read->streams, value, &read->behind[i])) {
            return false;
        }
    }
    return true;
}

/* ---- answers ---- */

/* Nothing is written before there is something to tell. */
struct answer {
    size_t mark, streams;
};

static bool has_enough(const struct read *read, uint64_t count)
{
    return read->count > 0 && count == (uint64_t)read->count;
}

static void reply_key(struct request *request, int index, struct answer *answer)
{
    if (answer->streams++ == 0) {
        answer->mark = reply_begin(request->reply);
    }
    reply_pair(request->reply);
    reply_bulk(request->reply, request->argv[index]);
}

/* Entries behind `id`. */
static void reply_entries(struct request *request, const struct read *read,
    struct value *value, struct stream_id id)
{
    struct stream_cursor cursor;
    uint64_t count = 0;
    size_t mark = reply_begin(request->reply);
    stream_id_next(&id);
    stream_seek(value, id, &cursor);
    bool more = !cursor.at_end;
    while (more && !has_enough(read, count)) {
        stream_reply_entry(request->reply, &cursor);
        count++;
        more = stream_next(&cursor);
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

/* Entries that the group has not been given yet go to the consumer. */
static void reply_new(struct request *request, const struct read *read,
    struct value *value, struct stream_group *group, uint64_t consumer)
{
    struct stream_cursor cursor;
    uint64_t count = 0;
    size_t mark = reply_begin(request->reply);
    struct stream_id id = group->last_id;
    stream_id_next(&id);
    stream_seek(value, id, &cursor);
    bool more = !cursor.at_end;
    while (more && !has_enough(read, count)) {
        struct stream_pending pending = {
            .id = cursor.entry.id,
            .consumer = consumer,
            .delivered_ms = request->now_ms,
            .deliveries = 1,
        };
        stream_group_advance(value, group, pending.id);
        stream_reply_entry(request->reply, &cursor);
        if (!read->no_ack) {
            stream_pending_set(group, &pending);
        }
        count++;
        more = stream_next(&cursor);
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

/* One entry that is pending, once more. */
static void reply_again(struct request *request, struct value *value,
    struct stream_group *group, struct stream_id id)
{
    struct stream_cursor entry;
    struct stream_pending pending;
    if (!stream_find(value, id, &entry)) { /* deleted since */
        reply_array(request->reply, 2);
        stream_reply_id(request->reply, id);
        reply_null_array(request->reply);
        return;
    }
    stream_reply_entry(request->reply, &entry);
    check(stream_pending_get(group, id, &pending));
    pending.delivered_ms = request->now_ms;
    pending.deliveries++;
    stream_pending_set(group, &pending);
}

/* What is pending for the consumer, behind `id`. */
static void reply_history(struct request *request, const struct read *read,
    struct value *value, struct stream_group *group, uint64_t consumer,
    struct stream_id id)
{
    struct tree_cursor cursor;
    uint64_t count = 0, owner = 0;
    size_t mark = reply_begin(request->reply);
    stream_id_next(&id);
    stream_owned_seek(group, consumer, id, &cursor);
    bool more = !tree_cursor_at_end(&cursor);
    while (more && !has_enough(read, count)) {
        id = stream_owned_at(&cursor, &owner);
        if (owner != consumer) {
            break;
        }
        reply_again(request, value, group, id);
        count++;
        more = tree_next(&cursor);
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

/* The id that tells whether there are news. Who has waited is answered, as
 * in Redis, even when what was added is gone again. */
static struct stream_id newest_id(const struct read *read, struct value *value)
{
    return read->served ? value->stream->last_id : stream_top_id(value);
}

/* Answers what there is in the stream number `i`. */
static void serve(struct request *request, const struct read *read, int i,
    struct value *value, struct answer *answer)
{
    if (stream_id_compare(newest_id(read, value), read->behind[i]) > 0) {
        reply_key(request, read->first_key + i, answer);
        reply_entries(request, read, value, read->behind[i]);
    }
}

static void serve_group(struct request *request, const struct read *read, int i,
    struct collection *stream, struct answer *answer)
{
    struct value *value = stream->live;
    struct stream_id behind = read->behind[i];
    struct stream_group *group = stream_group_find(value->stream, *read->group);
    bool history = stream_id_compare(behind, STREAM_ID_MAX) != 0;
    bool news = stream_id_compare(newest_id(read, value), group->last_id) > 0;
    if (!history && !news) {
        stream_end(request, stream, 0);
        return;
    }
    uint64_t changes = 1; /* counted even where nothing is pending */
    const struct stream_consumer *consumer =
        stream_consumer_get(request, stream, group, *read->consumer, &changes);
    reply_key(request, read->first_key + i, answer);
    if (history) {
        reply_history(request, read, value, group, consumer->number, behind);
    } else {
        reply_new(request, read, value, group, consumer->number);
    }
    stream_end(request, stream, changes);
}

static void serve_stream(struct request *request, const struct read *read,
    int i, struct answer *answer)
{
    struct collection stream;
    struct bytes key = request->argv[read->first_key + i];
    const struct entry *entry = db_read(request->db, key, request->now_ms);
    if (entry == NULL || entry_type(entry) != TYPE_STREAM) {
        return; /* of another type only when it has waited */
    }
    if (read->of_group) {
        collection_write(
            &stream, request->db, key, entry, KIND_STREAM, request->now_ms);
        serve_group(request, read, i, &stream, answer);
    } else {
        collection_read(&stream, request->db, entry);
        serve(request, read, i, stream.live, answer);
    }
}

/* ---- waiting ---- */

/* The same ids when it runs again: "$" is the last id of now. */
static bool wait_for_news(struct request *request, const struct read *read)
{
    size_t size = (size_t)read->streams * sizeof(*read->behind);
    struct block_keys keys = {
        .type = TYPE_STREAM,
        .first = read->first_key,
        .last = read->first_key + read->streams - 1,
        .timeout_ms = read->timeout_ms,
        .wants_deletion = read->of_group,
        .kept = xmalloc(size),
    };
    memcpy(keys.kept, read->behind, size);
    return block_wait(request, &keys);
}

/* Whether the stream that a command of a group has waited for is still what
 * it was; else answers that. */
static bool check_served(
    struct request *request, const struct read *read, struct bytes key)
{
    struct collection stream;
    const struct entry *entry = db_find(request->db, key, request->now_ms);
    if (entry == NULL || entry_type(entry) != TYPE_STREAM) {
        reply_error(
            request->reply, "UNBLOCKED the stream key no longer exists");
        return false;
    }
    collection_read(&stream, request->db, entry);
    if (stream_group_find(stream.live->stream, *read->group) == NULL) {
        reply_error(request->reply,
            "NOGROUP the consumer group this client was blocked on no longer "
            "exists");
        return false;
    }
    return true;
}

/* Answers with the streams of which there is something, false after an
 * error. */
static bool serve_all(
    struct request *request, const struct read *read, struct answer *answer)
{
    for (int i = 0; i < read->streams; i++) {
        struct bytes key = request->argv[read->first_key + i];
        if (!block_considers(request, key)) {
            continue;
        }
        if (read->served && read->of_group &&
            !check_served(request, read, key)) {
            return false;
        }
        serve_stream(request, read, i, answer);
        if (request->served_by.data != NULL) {
            break; /* if it is named twice, the first one counts */
        }
    }
    return true;
}

static void read_streams(struct request *request, bool of_group)
{
    struct read read = {.of_group = of_group};
    struct answer answer = {.streams = 0};
    if (!parse(request, &read)) {
        return;
    }
    read.behind = block_kept(request);
    read.served = read.behind != NULL;
    if (read.served) {
        read.count = read.count == 0 ? COUNT_SERVED : read.count;
    } else if (!resolve(request, &read)) {
        return;
    }
    if (!serve_all(request, &read, &answer)) {
        return;
    }
    if (answer.streams > 0) {
        reply_end(request->reply, answer.mark, REPLY_PAIRS, answer.streams);
    } else if (!read.waits || !wait_for_news(request, &read)) {
        reply_null_array(request->reply);
    }
}

void cmd_xread(struct request *request)
{
    read_streams(request, false);
}

void cmd_xreadgroup(struct request *request)
{
    read_streams(request, true);
}
