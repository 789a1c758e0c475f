/* Streams: what their commands share, and XLEN, XDEL, XSETID. */
#include "server/commands/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- ids ---- */

#define ID_TEXT_MAX_BYTES 127

/* As strtoull reads it, which clients rely on: signs and leading space are
 * allowed, except before a plain negative number. */
static bool parse_part(const char *text, uint64_t *value)
{
    int64_t number = 0;
    if (bytes_to_int64(bytes_of(text, strlen(text)), &number)) {
        *value = (uint64_t)number;
        return number >= 0;
    }
    char *end = NULL;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *text != '\0' && *end == '\0';
}

/* A zero byte ends an id, as in Redis. `any_seq`: "ms-*" is allowed and sets
 * it. */
static bool parse_id(struct bytes text, uint64_t missing_seq, bool *any_seq,
    struct stream_id *id)
{
    char copy[ID_TEXT_MAX_BYTES + 1];
    if (text.size == 0 || text.size > ID_TEXT_MAX_BYTES) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *dash = strchr(copy, '-');
    id->seq = missing_seq;
    if (dash != NULL) {
        *dash = '\0';
        if (any_seq != NULL && strcmp(dash + 1, "*") == 0) {
            *any_seq = true;
            id->seq = 0;
        } else if (!parse_part(dash + 1, &id->seq)) {
            return false;
        }
    }
    return parse_part(copy, &id->ms);
}

static void error_id(struct request *request)
{
    reply_error(request->reply,
        "ERR Invalid stream ID specified as stream command argument");
}

bool stream_parse_id(
    struct bytes text, uint64_t missing_seq, struct stream_id *id)
{
    return parse_id(text, missing_seq, NULL, id);
}

bool stream_arg_id(struct request *request, int index, struct stream_id *id)
{
    bool valid = parse_id(request->argv[index], 0, NULL, id);
    if (!valid) {
        error_id(request);
    }
    return valid;
}

bool stream_arg_new_id(
    struct request *request, int index, bool *any_seq, struct stream_id *id)
{
    bool valid = parse_id(request->argv[index], 0, any_seq, id);
    if (!valid) {
        error_id(request);
    }
    return valid;
}

/* One end of an interval. */
static bool arg_bound(struct request *request, int index, uint64_t missing_seq,
    bool *excluded, struct stream_id *id)
{
    struct bytes text = request->argv[index];
    *excluded = text.size > 1 && text.data[0] == '(';
    if (text.size == 1 && (text.data[0] == '-' || text.data[0] == '+')) {
        *id = text.data[0] == '-' ? (struct stream_id){0, 0} : STREAM_ID_MAX;
        return true;
    }
    if (*excluded) {
        text = bytes_of(text.data + 1, text.size - 1);
    }
    bool valid = stream_parse_id(text, missing_seq, id);
    if (!valid) {
        error_id(request);
    }
    return valid;
}

bool stream_arg_start(struct request *request, int index, struct stream_id *id)
{
    bool excluded = false;
    if (!arg_bound(request, index, 0, &excluded, id)) {
        return false;
    }
    if (excluded && !stream_id_next(id)) {
        reply_error(request->reply, "ERR invalid start ID for the interval");
        return false;
    }
    return true;
}

bool stream_arg_end(struct request *request, int index, struct stream_id *id)
{
    bool excluded = false;
    if (!arg_bound(request, index, UINT64_MAX, &excluded, id)) {
        return false;
    }
    if (excluded && !stream_id_prev(id)) {
        reply_error(request->reply, "ERR invalid end ID for the interval");
        return false;
    }
    return true;
}

struct stream_id *stream_arg_ids(struct request *request, int first)
{
    size_t count = (size_t)(request->argc - first);
    struct stream_id *ids =
        scratch_alloc(request->scratch, count * sizeof(*ids));
    for (size_t i = 0; i < count; i++) {
        if (!stream_arg_id(request, first + (int)i, &ids[i])) {
            return NULL;
        }
    }
    return ids;
}

bool stream_arg_is_sign(const struct request *request, int index, char sign)
{
    struct bytes text = request->argv[index];
    return text.size > 0 && text.data[0] == sign &&
           (text.size == 1 || text.data[1] == '\0');
}

/* ---- replies ---- */

void stream_reply_id(struct reply *reply, struct stream_id id)
{
    reply_bulk_format(reply, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
}

void stream_reply_entry(struct reply *reply, const struct stream_cursor *cursor)
{
    struct stream_words words;
    struct element word;
    reply_array(reply, 2);
    stream_reply_id(reply, cursor->entry.id);
    stream_words_begin(cursor, &words);
    reply_array(reply, words.count);
    while (stream_words_next(&words, &word)) {
        if (word.is_integer) {
            reply_bulk_integer(reply, word.integer);
        } else {
            reply_bulk(reply, word.raw);
        }
    }
}

/* ---- groups ---- */

enum typed_open stream_open_group(struct request *request,
    struct collection *collection, struct stream_group **group)
{
    struct bytes key = request->argv[1];
    const struct entry *entry = db_read(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STREAM)) {
        return TYPED_REFUSED;
    }
    if (entry == NULL) {
        return TYPED_ABSENT;
    }
    collection_write(
        collection, request->db, key, entry, KIND_STREAM, request->now_ms);
    *group = stream_group_find(collection->live->stream, request->argv[2]);
    if (*group == NULL) {
        stream_end(request, collection, 0);
        return TYPED_ABSENT;
    }
    return TYPED_OPEN;
}

/* As much of a name as an error shows. */
#define SHOWN_MAX_BYTES ((size_t)1024 * 1024)

int stream_shown(struct bytes name)
{
    return (int)(name.size < SHOWN_MAX_BYTES ? name.size : SHOWN_MAX_BYTES);
}

void stream_error_no_group(struct request *request)
{
    struct bytes key = request->argv[1], group = request->argv[2];
    reply_error(request->reply,
        "NOGROUP No such key '%.*s' or consumer group '%.*s'",
        stream_shown(key), key.data, stream_shown(group), group.data);
}

void stream_end(
    struct request *request, struct collection *collection, uint64_t changes)
{
    collection_end(collection, changes > 0);
    request->changes += changes;
}

void stream_end_removal(struct request *request, struct collection *collection,
    uint64_t removed, const char *event)
{
    struct bytes key = collection->key;
    stream_end(request, collection, removed);
    if (removed > 0) {
        keyspace_touched(request, key);
        keyspace_event(request, KEYSPACE_STREAM, event, key);
    }
}

struct stream_consumer *stream_consumer_get(struct request *request,
    struct collection *collection, struct stream_group *group,
    struct bytes name, uint64_t *changes)
{
    struct stream_consumer *consumer = stream_consumer_find(group, name);
    if (consumer == NULL) {
        consumer = stream_consumer_add(
            collection->live->stream, group, name, request->now_ms);
        ++*changes;
        keyspace_event(
            request, KEYSPACE_STREAM, "xgroup-createconsumer", collection->key);
    }
    consumer->seen_ms = request->now_ms;
    return consumer;
}

/* ---- XLEN, XDEL, XSETID ---- */

void cmd_xlen(struct request *request)
{
    struct collection stream;
    enum typed_open open = typed_read(request, 1, TYPE_STREAM, &stream);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN ? (int64_t)stream_length(stream.live) : 0);
    }
}

void cmd_xdel(struct request *request)
{
    struct collection stream;
    uint64_t deleted = 0;
    enum typed_open open =
        typed_write_existing(request, 1, TYPE_STREAM, &stream);
    if (open == TYPED_ABSENT) {
        reply_integer(request->reply, 0);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    const struct stream_id *ids = stream_arg_ids(request, 2);
    if (ids != NULL) {
        for (int i = 2; i < request->argc; i++) {
            deleted += stream_delete(stream.live, ids[i - 2]);
        }
        reply_integer(request->reply, (int64_t)deleted);
    }
    stream_end_removal(request, &stream, deleted, "xdel");
}

struct setid {
    struct stream_id last, max_deleted;
    int64_t added; /* -1: not given */
};

static bool parse_setid(struct request *request, struct setid *set)
{
    *set = (struct setid){.added = -1};
    if (!stream_arg_id(request, 2, &set->last)) {
        return false;
    }
    for (int i = 3; i < request->argc; i += 2) {
        bool has_value = i + 1 < request->argc;
        if (has_value && arg_is(request, i, "entriesadded")) {
            if (!arg_int64(request, i + 1, &set->added)) {
                return false;
            }
            if (set->added < 0) {
                reply_error(
                    request->reply, "ERR entries_added must be positive");
                return false;
            }
        } else if (has_value && arg_is(request, i, "maxdeletedid")) {
            if (!stream_arg_id(request, i + 1, &set->max_deleted)) {
                return false;
            }
            if (stream_id_compare(set->last, set->max_deleted) < 0) {
                reply_error(request->reply,
                    "ERR The ID specified in XSETID is smaller than the "
                    "provided max_deleted_entry_id");
                return false;
            }
        } else {
            error_syntax(request);
            return false;
        }
    }
    return true;
}

/* What is wrong with it for this stream, or NULL. */
static const char *judge_setid(struct value *value, const struct setid *set)
{
    if (stream_length(value) == 0) {
        return NULL;
    }
    if (stream_id_compare(set->last, stream_top_id(value)) < 0) {
        return "ERR The ID specified in XSETID is smaller than the target "
               "stream top item";
    }
    if (set->added != -1 && stream_length(value) > (uint64_t)set->added) {
        return "ERR The entries_added specified in XSETID is smaller than "
               "the target stream length";
    }
    return NULL;
}

void cmd_xsetid(struct request *request)
{
    struct collection collection;
    struct setid set;
    if (!parse_setid(request, &set)) {
        return;
    }
    enum typed_open open =
        typed_write_existing(request, 1, TYPE_STREAM, &collection);
    if (open == TYPED_ABSENT) {
        reply_error(request->reply, "ERR no such key");
    }
    if (open != TYPED_OPEN) {
        return;
    }
    struct stream *stream = collection.live->stream;
    const char *error = judge_setid(collection.live, &set);
    if (error != NULL) {
        reply_error(request->reply, "%s", error);
        stream_end(request, &collection, 0);
        return;
    }
    stream->last_id = set.last;
    if (set.added != -1) {
        stream->entries_added = (uint64_t)set.added;
    }
    if (set.max_deleted.ms != 0 || set.max_deleted.seq != 0) {
        stream->max_deleted_id = set.max_deleted;
    }
    reply_ok(request->reply);
    stream_end(request, &collection, 1);
    keyspace_event(request, KEYSPACE_STREAM, "xsetid", request->argv[1]);
}
