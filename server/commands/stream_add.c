/* XADD, XTRIM. */
#include "server/commands/stream.h"

static void error_too_large(struct request *request)
{
    reply_error(request->reply, "ERR Elements are too large to be stored");
}

/* The id that the entry gets; false after an error. */
static bool choose_id(struct request *request, const struct stream *stream,
    const struct stream_new *new, struct stream_id *id)
{
    struct stream_id last = stream->last_id;
    if (stream_id_compare(last, STREAM_ID_MAX) == 0) {
        reply_error(request->reply,
            "ERR The stream has exhausted the last possible ID, unable to add "
            "more items");
        return false;
    }
    if (new->next_id) {
        *id = (struct stream_id){(uint64_t)request->now_ms, 0};
        if (id->ms <= last.ms) { /* the clock may go back */
            *id = last;
            stream_id_next(id);
        }
    } else {
        *id = new->id;
        if (new->next_seq && id->ms == last.ms) {
            if (last.seq == UINT64_MAX) {
                error_too_large(request); /* Redis says so */
                return false;
            }
            id->seq = last.seq + 1;
        }
    }
    if (stream_id_compare(*id, last) <= 0) {
        reply_error(request->reply,
            "ERR The ID specified in XADD is equal or smaller than the target "
            "stream top item");
        return false;
    }
    return true;
}

static bool fits_entry(struct request *request, int first)
{
    uint64_t bytes = 0;
    for (int i = first; i < request->argc; i++) {
        bytes += request->argv[i].size;
    }
    if (bytes > STREAM_ENTRY_MAX_BYTES) {
        error_too_large(request);
    }
    return bytes <= STREAM_ENTRY_MAX_BYTES;
}

/* Parses all; the argument of the first field, or -1 after an error. */
static int parse_add(
    struct request *request, struct stream_trim *trim, struct stream_new *new)
{
    int index = stream_trim_parse(request, trim, new);
    if (index < 0) {
        return -1;
    }
    int words = request->argc - index - 1;
    if (words < 2 || words % 2 != 0) {
        error_arity(request);
        return -1;
    }
    if (!new->next_id && !new->next_seq &&new->id.ms == 0 && new->id.seq == 0) {
        reply_error(request->reply,
            "ERR The ID specified in XADD must be greater than 0-0");
        return -1;
    }
    return index + 1;
}

/* Opens the stream; false when there is nothing to do. */
static bool open_to_add(struct request *request, const struct stream_new *new,
    struct collection *stream)
{
    if (!new->no_create) {
        return typed_write(request, 1, KIND_STREAM, stream);
    }
    enum typed_open open =
        typed_write_existing(request, 1, TYPE_STREAM, stream);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    }
    return open == TYPED_OPEN;
}

void cmd_xadd(struct request *request)
{
    struct collection stream;
    struct stream_trim trim = {.by = STREAM_TRIM_NOT};
    struct stream_new new = {.no_create = false};
    struct stream_id id;
    int first = parse_add(request, &trim, &new);
    if (first < 0 || !open_to_add(request, &new, &stream)) {
        return;
    }
    if (!choose_id(request, stream.live->stream, &new, &id) ||
        !fits_entry(request, first)) {
        typed_end(request, &stream, 0, "xadd");
        return;
    }
    stream_append(stream.live, id, request->argv + first,
        (size_t)(request->argc - first), request->scratch);
    bool trimmed = stream_trim_apply(request, stream.live, &trim) > 0;
    stream_reply_id(request->reply, id);
    typed_end(request, &stream, 1, "xadd");
    if (trimmed) {
        keyspace_event(request, KEYSPACE_STREAM, "xtrim", request->argv[1]);
    }
}

void cmd_xtrim(struct request *request)
{
    struct collection stream;
    struct stream_trim trim = {.by = STREAM_TRIM_NOT};
    if (stream_trim_parse(request, &trim, NULL) < 0) {
        return;
    }
    enum typed_open open =
        typed_write_existing(request, 1, TYPE_STREAM, &stream);
    if (open == TYPED_ABSENT) {
        reply_integer(request->reply, 0);
    }
    if (open == TYPED_OPEN) {
        uint64_t trimmed = stream_trim_apply(request, stream.live, &trim);
        reply_integer(request->reply, (int64_t)trimmed);
        stream_end_removal(request, &stream, trimmed, "xtrim");
    }
}
