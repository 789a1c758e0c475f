/* XPENDING. */
#include "server/commands/stream.h"

struct query {
    struct stream_id start, end;
    int64_t count;
    int64_t min_idle_ms;
    const struct bytes *consumer; /* or NULL */
};

/* The form with an interval. */
static bool parse(struct request *request, struct query *query)
{
    int first = 3;
    if (arg_is(request, 3, "idle")) {
        if (!arg_int64(request, 4, &query->min_idle_ms)) {
            return false;
        }
        if (request->argc < 8) {
            error_syntax(request);
            return false;
        }
        first = 5;
    }
    if (!arg_int64(request, first + 2, &query->count) ||
        !stream_arg_start(request, first, &query->start) ||
        !stream_arg_end(request, first + 1, &query->end)) {
        return false;
    }
    if (first + 3 < request->argc) {
        query->consumer = &request->argv[first + 3];
    }
    return true;
}

/* ---- the summary ---- */

static void reply_consumers(
    struct request *request, const struct stream_group *group)
{
    size_t count = 0;
    size_t mark = reply_begin(request->reply);
    for (size_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = group->consumers[i];
        if (consumer->pending > 0) {
            reply_array(request->reply, 2);
            reply_bulk(
                request->reply, bytes_of(consumer->name, consumer->name_size));
            reply_bulk_integer(request->reply, (int64_t)consumer->pending);
            count++;
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

static void reply_summary(struct request *request, struct stream_group *group)
{
    struct reply *reply = request->reply;
    struct tree_cursor cursor;
    uint64_t count = group->pending.count;
    reply_array(reply, 4);
    reply_integer(reply, (int64_t)count);
    if (count == 0) {
        reply_null(reply);
        reply_null(reply);
        reply_null_array(reply);
        return;
    }
    tree_at(&group->pending, 0, &cursor);
    stream_reply_id(reply, stream_pending_at(&cursor).id);
    tree_at(&group->pending, count - 1, &cursor);
    stream_reply_id(reply, stream_pending_at(&cursor).id);
    reply_consumers(request, group);
}

/* ---- single entries ---- */

/* False when it is not idle for long enough. */
static bool reply_one(struct request *request, const struct query *query,
    const struct stream_group *group, const struct stream_pending *pending)
{
    struct reply *reply = request->reply;
    int64_t idle_ms = request->now_ms - pending->delivered_ms;
    if (query->min_idle_ms != 0 && idle_ms < query->min_idle_ms) {
        return false;
    }
    const struct stream_consumer *consumer =
        stream_consumer_by_number(group, pending->consumer);
    reply_array(reply, 4);
    stream_reply_id(reply, pending->id);
    reply_bulk(reply, bytes_of(consumer->name, consumer->name_size));
    reply_integer(reply, idle_ms < 0 ? 0 : idle_ms);
    reply_integer(reply, (int64_t)pending->deliveries);
    return true;
}

static int64_t reply_of_all(struct request *request, const struct query *query,
    struct stream_group *group)
{
    struct tree_cursor cursor;
    int64_t count = 0;
    stream_pending_seek(group, query->start, &cursor);
    bool more = !tree_cursor_at_end(&cursor);
    while (more && count < query->count) {
        struct stream_pending pending = stream_pending_at(&cursor);
        if (stream_id_compare(pending.id, query->end) > 0) {
            break;
        }
        count += reply_one(request, query, group, &pending);
        more = tree_next(&cursor);
    }
    return count;
}

static int64_t reply_of_one(struct request *request, const struct query *query,
    struct stream_group *group, const struct stream_consumer *consumer)
{
    struct tree_cursor cursor;
    struct stream_pending pending;
    uint64_t owner = 0;
    int64_t count = 0;
    stream_owned_seek(group, consumer->number, query->start, &cursor);
    bool more = !tree_cursor_at_end(&cursor);
    while (more && count < query->count) {
        struct stream_id id = stream_owned_at(&cursor, &owner);
        if (owner != consumer->number ||
            stream_id_compare(id, query->end) > 0) {
            break;
        }
        check(stream_pending_get(group, id, &pending));
        count += reply_one(request, query, group, &pending);
        more = tree_next(&cursor);
    }
    return count;
}

static void reply_entries(struct request *request, const struct query *query,
    struct stream_group *group)
{
    int64_t count = 0;
    size_t mark = reply_begin(request->reply);
    if (query->consumer == NULL) {
        count = reply_of_all(request, query, group);
    } else {
        const struct stream_consumer *consumer =
            stream_consumer_find(group, *query->consumer);
        if (consumer != NULL) {
            count = reply_of_one(request, query, group, consumer);
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, (size_t)count);
}

void cmd_xpending(struct request *request)
{
    struct collection stream;
    struct stream_group *group = NULL;
    struct query query = {.count = 0};
    bool summary = request->argc == 3;
    if (!summary && (request->argc < 6 || request->argc > 9)) {
        error_syntax(request);
        return;
    }
    if (!summary && !parse(request, &query)) {
        return;
    }
    enum typed_open open = stream_open_group(request, &stream, &group);
    if (open == TYPED_ABSENT) {
        stream_error_no_group(request);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    if (summary) {
        reply_summary(request, group);
    } else {
        reply_entries(request, &query, group);
    }
    stream_end(request, &stream, 0);
}
