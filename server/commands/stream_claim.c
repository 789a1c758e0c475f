/* Pending entries that change hands: XCLAIM, XAUTOCLAIM. */
#include "server/commands/stream.h"

struct claim {
    int64_t min_idle_ms;
    int64_t delivered_ms;
    int64_t deliveries; /* -1: one more than there were */
    bool force, just_id;
    struct stream_id last_id;    /* XCLAIM */
    struct stream_id start;      /* XAUTOCLAIM */
    int64_t count;               /* XAUTOCLAIM */
    const struct stream_id *ids; /* XCLAIM */
    int id_count;
};

/* What is open while entries are claimed. */
struct work {
    struct request *request;
    const struct claim *claim;
    struct collection *stream;
    struct stream_group *group;
    /* Who gets them; created with the first that it gets. */
    const struct stream_consumer *consumer;
    uint64_t changes;
};

static bool arg_number(
    struct request *request, int index, const char *what, int64_t *value)
{
    bool valid = bytes_to_int64(request->argv[index], value);
    if (!valid) {
        reply_error(request->reply, "ERR Invalid %s argument for %s", what,
            request->command->handler == cmd_xclaim ? "XCLAIM" : "XAUTOCLAIM");
    }
    return valid;
}

static bool parse_min_idle(struct request *request, struct claim *claim)
{
    if (!arg_number(request, 4, "min-idle-time", &claim->min_idle_ms)) {
        return false;
    }
    if (claim->min_idle_ms < 0) {
        claim->min_idle_ms = 0;
    }
    return true;
}

/* Gives the pending entry to the consumer. False: it has not been idle for
 * long enough. `is_new`: nobody had it. */
static bool take(struct work *work, struct stream_pending *pending, bool is_new)
{
    const struct claim *claim = work->claim;
    int64_t idle_ms = work->request->now_ms - pending->delivered_ms;
    if (!is_new && claim->min_idle_ms != 0 && idle_ms < claim->min_idle_ms) {
        return false;
    }
    if (work->consumer == NULL) {
        work->consumer = stream_consumer_get(work->request, work->stream,
            work->group, work->request->argv[3], &work->changes);
    }
    pending->consumer = work->consumer->number;
    pending->delivered_ms = claim->delivered_ms;
    if (claim->deliveries >= 0) {
        pending->deliveries = (uint64_t)claim->deliveries;
    } else if (!claim->just_id) {
        pending->deliveries++;
    }
    stream_pending_set(work->group, pending);
    return true;
}

static void reply_taken(struct work *work, const struct stream_cursor *entry)
{
    struct reply *reply = work->request->reply;
    if (work->claim->just_id) {
        stream_reply_id(reply, entry->entry.id);
    } else {
        stream_reply_entry(reply, entry);
    }
}

/* ---- XCLAIM ---- */

/* Reads the ids up to the first argument that is none, whose index it
 * returns. */
static int parse_ids(struct request *request, struct claim *claim)
{
    size_t room = (size_t)(request->argc - 5);
    struct stream_id *ids =
        scratch_alloc(request->scratch, room * sizeof(*ids));
    int i = 5;
    while (i < request->argc &&
           stream_parse_id(request->argv[i], 0, &ids[i - 5])) {
        i++;
    }
    claim->ids = ids;
    claim->id_count = i - 5;
    return i;
}

/* An option with a value, which follows it. */
static bool parse_value(struct request *request, int index, struct claim *claim)
{
    int64_t value = 0;
    if (arg_is(request, index, "idle")) {
        if (!arg_number(request, index + 1, "IDLE option", &value)) {
            return false;
        }
        claim->delivered_ms =
            (int64_t)((uint64_t)request->now_ms - (uint64_t)value);
        return true;
    }
    if (arg_is(request, index, "time")) {
        return arg_number(
            request, index + 1, "TIME option", &claim->delivered_ms);
    }
    if (arg_is(request, index, "retrycount")) {
        return arg_number(
            request, index + 1, "RETRYCOUNT option", &claim->deliveries);
    }
    return stream_arg_id(request, index + 1, &claim->last_id);
}

static bool has_value(const struct request *request, int index)
{
    return index + 1 < request->argc &&
           (arg_is(request, index, "idle") || arg_is(request, index, "time") ||
               arg_is(request, index, "retrycount") ||
               arg_is(request, index, "lastid"));
}

static bool parse_options(
    struct request *request, int first, struct claim *claim)
{
    for (int i = first; i < request->argc; i++) {
        if (arg_is(request, i, "force")) {
            claim->force = true;
        } else if (arg_is(request, i, "justid")) {
            claim->just_id = true;
        } else if (has_value(request, i)) {
            if (!parse_value(request, i++, claim)) {
                return false;
            }
        } else {
            struct bytes word = request->argv[i];
            reply_error(request->reply, "ERR Unrecognized XCLAIM option '%.*s'",
                stream_shown(word), word.data);
            return false;
        }
    }
    if (claim->delivered_ms < 0 || claim->delivered_ms > request->now_ms) {
        claim->delivered_ms = request->now_ms;
    }
    return true;
}

static bool parse_claim(struct request *request, struct claim *claim)
{
    *claim = (struct claim){.deliveries = -1, .delivered_ms = -1};
    return parse_min_idle(request, claim) &&
           parse_options(request, parse_ids(request, claim), claim);
}

/* What happens to one id: how many changes, *answered counts up when it is
 * answered. */
static uint64_t claim_one(
    struct work *work, struct stream_id id, size_t *answered)
{
    struct stream_cursor entry;
    struct stream_pending pending;
    bool known = stream_pending_get(work->group, id, &pending);
    if (!stream_find(work->stream->live, id, &entry)) {
        /* Deleted from the stream: nobody needs to see to it any more. */
        return known && stream_pending_remove(work->group, id);
    }
    if (!known) {
        pending = (struct stream_pending){.id = id, .deliveries = 1};
    }
    if ((!known && !work->claim->force) || !take(work, &pending, !known)) {
        return 0;
    }
    reply_taken(work, &entry);
    ++*answered;
    return 1;
}

void cmd_xclaim(struct request *request)
{
    struct collection stream;
    struct stream_group *group = NULL;
    struct claim claim;
    uint64_t changes = 0;
    size_t answered = 0;
    enum typed_open open = stream_open_group(request, &stream, &group);
    if (open == TYPED_ABSENT) {
        stream_error_no_group(request);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    if (parse_claim(request, &claim)) {
        if (stream_id_compare(claim.last_id, group->last_id) > 0) {
            group->last_id = claim.last_id;
            changes++;
        }
        struct work work = {
            .request = request,
            .claim = &claim,
            .stream = &stream,
            .group = group,
        };
        size_t mark = reply_begin(request->reply);
        for (int i = 0; i < claim.id_count; i++) {
            changes += claim_one(&work, claim.ids[i], &answered);
        }
        reply_end(request->reply, mark, REPLY_ARRAY, answered);
        changes += work.changes;
    }
    stream_end(request, &stream, changes);
}

/* ---- XAUTOCLAIM ---- */

#define COUNT_DEFAULT 100
/* Of so many pending entries for each that is wanted one is looked at. */
#define ATTEMPTS 10
#define COUNT_MAX (INT64_MAX / 16)

static bool parse_auto(struct request *request, struct claim *claim)
{
    *claim = (struct claim){
        .deliveries = -1,
        .delivered_ms = request->now_ms,
        .count = COUNT_DEFAULT,
    };
    if (!parse_min_idle(request, claim) ||
        !stream_arg_start(request, 5, &claim->start)) {
        return false;
    }
    for (int i = 6; i < request->argc; i++) {
        if (arg_is(request, i, "justid")) {
            claim->just_id = true;
        } else if (i + 1 < request->argc && arg_is(request, i, "count")) {
            if (!bytes_to_int64(request->argv[++i], &claim->count) ||
                claim->count < 1 || claim->count > COUNT_MAX) {
                reply_error(request->reply, "ERR COUNT must be > 0");
                return false;
            }
        } else {
            error_syntax(request);
            return false;
        }
    }
    return true;
}

struct found {
    struct stream_id *taken, *deleted; /* scratch memory */
    size_t taken_count, deleted_count;
    struct stream_id next; /* where the next call goes on; 0-0: nowhere */
};

/* The first pending entry from `id` on; false: there is none. */
static bool first_pending(struct stream_group *group, struct stream_id id,
    struct stream_pending *pending)
{
    struct tree_cursor cursor;
    stream_pending_seek(group, id, &cursor);
    if (tree_cursor_at_end(&cursor)) {
        return false;
    }
    *pending = stream_pending_at(&cursor);
    return true;
}

/* Entries that are deleted from the stream count as well. */
static void claim_from(struct work *work, struct found *found)
{
    struct stream_id from = work->claim->start;
    struct stream_pending pending;
    struct stream_cursor entry;
    int64_t left = work->claim->count;
    uint64_t attempts = (uint64_t)left * ATTEMPTS;
    bool more = first_pending(work->group, from, &pending);
    for (; more && attempts > 0 && left > 0; attempts--) {
        from = pending.id;
        if (!stream_find(work->stream->live, from, &entry)) {
            stream_pending_remove(work->group, from);
            found->deleted[found->deleted_count++] = from;
            left--;
        } else if (take(work, &pending, false)) {
            found->taken[found->taken_count++] = from;
            left--;
        }
        more =
            stream_id_next(&from) && first_pending(work->group, from, &pending);
    }
    found->next = more ? pending.id : (struct stream_id){0, 0};
}

static void reply_found(struct work *work, const struct found *found)
{
    struct reply *reply = work->request->reply;
    struct stream_cursor entry;
    reply_array(reply, 3);
    stream_reply_id(reply, found->next);
    reply_array(reply, found->taken_count);
    for (size_t i = 0; i < found->taken_count; i++) {
        check(stream_find(work->stream->live, found->taken[i], &entry));
        reply_taken(work, &entry);
    }
    reply_array(reply, found->deleted_count);
    for (size_t i = 0; i < found->deleted_count; i++) {
        stream_reply_id(reply, found->deleted[i]);
    }
}

/* Room for as many ids as there can be. */
static void init_found(struct work *work, struct found *found)
{
    uint64_t most = work->group->pending.count;
    uint64_t wanted = (uint64_t)work->claim->count;
    size_t size = (most < wanted ? most : wanted) * sizeof(struct stream_id);
    struct scratch *scratch = work->request->scratch;
    *found = (struct found){.taken = scratch_alloc(scratch, size + 1)};
    found->deleted = scratch_alloc(scratch, size + 1);
}

void cmd_xautoclaim(struct request *request)
{
    struct collection stream;
    struct stream_group *group = NULL;
    struct claim claim;
    struct found found;
    if (!parse_auto(request, &claim)) {
        /* Redis has looked the key up by now, and counted that. */
        db_read(request->db, request->argv[1], request->now_ms);
        return;
    }
    enum typed_open open = stream_open_group(request, &stream, &group);
    if (open == TYPED_ABSENT) {
        stream_error_no_group(request);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    struct work work = {
        .request = request,
        .claim = &claim,
        .stream = &stream,
        .group = group,
    };
    init_found(&work, &found);
    claim_from(&work, &found);
    reply_found(&work, &found);
    stream_end(request, &stream,
        work.changes + found.taken_count + found.deleted_count);
}
