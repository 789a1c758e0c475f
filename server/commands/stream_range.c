/* XRANGE, XREVRANGE. */
#include "server/commands/stream.h"

struct range {
    struct stream_id start, end;
    int64_t count; /* -1: all */
};

static bool parse(struct request *request, bool backwards, struct range *range)
{
    range->count = -1;
    if (!stream_arg_start(request, backwards ? 3 : 2, &range->start) ||
        !stream_arg_end(request, backwards ? 2 : 3, &range->end)) {
        return false;
    }
    for (int i = 4; i < request->argc; i += 2) {
        if (i + 1 == request->argc || !arg_is(request, i, "count")) {
            error_syntax(request);
            return false;
        }
        if (!arg_int64(request, i + 1, &range->count)) {
            return false;
        }
        range->count = range->count < 0 ? 0 : range->count;
    }
    return true;
}

static void reply_forwards(
    struct request *request, struct value *value, const struct range *range)
{
    struct stream_cursor cursor;
    int64_t count = 0;
    size_t mark = reply_begin(request->reply);
    stream_seek(value, range->start, &cursor);
    bool more = !cursor.at_end;
    while (more && count != range->count &&
           stream_id_compare(cursor.entry.id, range->end) <= 0) {
        stream_reply_entry(request->reply, &cursor);
        count++;
        more = stream_next(&cursor);
    }
    reply_end(request->reply, mark, REPLY_ARRAY, (size_t)count);
}

static void reply_backwards(
    struct request *request, struct value *value, const struct range *range)
{
    struct stream_cursor cursor;
    int64_t count = 0;
    size_t mark = reply_begin(request->reply);
    bool more = stream_seek_back(value, range->end, &cursor);
    while (more && count != range->count &&
           stream_id_compare(cursor.entry.id, range->start) >= 0) {
        stream_reply_entry(request->reply, &cursor);
        count++;
        more = stream_prev(&cursor);
    }
    reply_end(request->reply, mark, REPLY_ARRAY, (size_t)count);
}

static void answer(struct request *request, bool backwards)
{
    struct collection stream;
    struct range range;
    if (!parse(request, backwards, &range)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_STREAM, &stream);
    if (open == TYPED_ABSENT) {
        reply_array(request->reply, 0);
    } else if (open == TYPED_OPEN && range.count == 0) {
        reply_null_array(request->reply);
    } else if (open == TYPED_OPEN && backwards) {
        reply_backwards(request, stream.live, &range);
    } else if (open == TYPED_OPEN) {
        reply_forwards(request, stream.live, &range);
    }
}

void cmd_xrange(struct request *request)
{
    answer(request, false);
}

void cmd_xrevrange(struct request *request)
{
    answer(request, true);
}
