/* XDELEX, of Redis 8.2: deleting entries with regard to groups. */
#include "server/commands/stream.h"

enum references { REFERENCES_KEEP, REFERENCES_DELETE, REFERENCES_NONE };

enum answer { ENTRY_ABSENT = -1, ENTRY_DELETED = 1, ENTRY_NEEDED = 2 };

struct delex {
    enum references references;
    int first, count; /* of the ids among the arguments */
};

/* IDS numids id ...: how many arguments that is, 0 after an error. */
static int parse_ids(struct request *request, int at, struct delex *delex)
{
    int64_t count = 0;
    if (at + 1 >= request->argc ||
        !bytes_to_int64(request->argv[at + 1], &count) || count < 1) {
        reply_error(
            request->reply, "ERR Number of IDs must be a positive integer");
        return 0;
    }
    if (count > request->argc - at - 2) {
        reply_error(request->reply, "ERR The `numids` parameter must match the "
                                    "number of arguments");
        return 0;
    }
    delex->first = at + 2;
    delex->count = (int)count;
    return delex->count + 2;
}

static bool parse(struct request *request, struct delex *delex)
{
    static const char *const words[] = {"keepref", "delref", "acked"};
    bool chosen = false;
    for (int i = 2; i < request->argc;) {
        unsigned word = 0;
        while (word < 3 && !arg_is(request, i, words[word])) {
            word++;
        }
        int took = 1;
        if (word < 3 && !chosen) {
            delex->references = (enum references)word;
            chosen = true;
        } else if (delex->count == 0 && arg_is(request, i, "ids")) {
            took = parse_ids(request, i, delex);
        } else {
            error_syntax(request);
            return false;
        }
        if (took == 0) {
            return false;
        }
        i += took;
    }
    if (delex->count == 0) {
        error_syntax(request);
    }
    return delex->count > 0;
}

/* Whether a group has the entry still before it, or waits for its end. */
static bool is_needed(const struct stream *stream, struct stream_id id)
{
    struct stream_pending pending;
    for (size_t i = 0; i < stream->group_count; i++) {
        struct stream_group *group = stream->groups[i];
        if (stream_id_compare(id, group->last_id) > 0 ||
            stream_pending_get(group, id, &pending)) {
            return true;
        }
    }
    return false;
}

static uint64_t forget(const struct stream *stream, struct stream_id id)
{
    uint64_t forgotten = 0;
    for (size_t i = 0; i < stream->group_count; i++) {
        forgotten += stream_pending_remove(stream->groups[i], id);
    }
    return forgotten;
}

struct removal {
    uint64_t deleted, forgotten;
};

static enum answer delete_entry(struct value *value, struct stream_id id,
    enum references references, struct removal *removal)
{
    struct stream_cursor cursor;
    bool found = stream_find(value, id, &cursor);
    if (references == REFERENCES_DELETE) {
        removal->forgotten += forget(value->stream, id);
    }
    if (!found) {
        return ENTRY_ABSENT;
    }
    if (references == REFERENCES_NONE && is_needed(value->stream, id)) {
        return ENTRY_NEEDED;
    }
    removal->deleted += stream_delete(value, id);
    return ENTRY_DELETED;
}

static void reply_absent(struct request *request, int count)
{
    reply_array(request->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        reply_integer(request->reply, ENTRY_ABSENT);
    }
}

/* All of them, before anything is changed. False after an error. */
static bool read_ids(
    struct request *request, const struct delex *delex, struct stream_id *ids)
{
    for (int i = 0; i < delex->count; i++) {
        if (!stream_arg_id(request, delex->first + i, &ids[i])) {
            return false;
        }
    }
    return true;
}

void cmd_xdelex(struct request *request)
{
    struct delex delex = {0};
    struct collection stream;
    if (!parse(request, &delex)) {
        return;
    }
    struct stream_id *ids =
        scratch_alloc(request->scratch, (size_t)delex.count * sizeof *ids);
    if (!read_ids(request, &delex, ids)) {
        return;
    }
    enum typed_open open =
        typed_write_existing(request, 1, TYPE_STREAM, &stream);
    if (open == TYPED_ABSENT) {
        reply_absent(request, delex.count);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    struct removal removal = {0};
    reply_array(request->reply, (size_t)delex.count);
    for (int i = 0; i < delex.count; i++) {
        reply_integer(request->reply,
            delete_entry(stream.live, ids[i], delex.references, &removal));
    }
    if (removal.deleted > 0) {
        request->changes += removal.forgotten;
        stream_end_removal(request, &stream, removal.deleted, "xdel");
    } else {
        stream_end(request, &stream, removal.forgotten);
    }
}
