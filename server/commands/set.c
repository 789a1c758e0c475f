/* Sets: members added, removed, asked for. */
#include "server/commands/set.h"

/* Behind a header of as many. */
static void reply_members(struct request *request, struct collection *set)
{
    struct seq_cursor cursor;
    struct element member;
    seq_at(&set->seq, 0, &cursor);
    do {
        set_member(&cursor, &member);
        typed_reply(request, &member);
    } while (seq_next(&cursor));
}

void cmd_smembers(struct request *request)
{
    struct collection set;
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open == TYPED_ABSENT) {
        reply_set(request->reply, 0);
    } else if (open == TYPED_OPEN) {
        reply_set(request->reply, collection_count(&set));
        reply_members(request, &set);
    }
}

void cmd_scard(struct request *request)
{
    struct collection set;
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN ? (int64_t)collection_count(&set) : 0);
    }
}

void cmd_sismember(struct request *request)
{
    struct collection set;
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN && set_has(&set, request->argv[2]));
    }
}

void cmd_smismember(struct request *request)
{
    struct collection set;
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open == TYPED_REFUSED) {
        return;
    }
    reply_array(request->reply, (size_t)request->argc - 2);
    for (int i = 2; i < request->argc; i++) {
        reply_integer(request->reply,
            open == TYPED_OPEN && set_has(&set, request->argv[i]));
    }
}

void cmd_sscan(struct request *request)
{
    struct collection set;
    struct typed_scan scan;
    if (!typed_scan_cursor(request, &scan)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open == TYPED_ABSENT) {
        typed_scan_empty(request);
    }
    if (open != TYPED_OPEN || !typed_scan_options(request, &scan)) {
        return;
    }
    struct seq_cursor cursor;
    uint64_t visits = 0;
    uint64_t next = typed_scan_step(&set.seq, &scan, &cursor, &visits);
    reply_array(request->reply, 2);
    reply_bulk_format(request->reply, "%llu", (unsigned long long)next);
    size_t mark = reply_begin(request->reply);
    size_t found = 0;
    for (; visits > 0; visits--, seq_next(&cursor)) {
        struct element member;
        set_member(&cursor, &member);
        if (typed_scan_matches(&scan, &member)) {
            typed_reply(request, &member);
            found++;
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, found);
}

void cmd_sadd(struct request *request)
{
    struct collection set;
    uint64_t added = 0;
    if (!typed_write(request, 1, set_kind_new(request->argv[2]), &set)) {
        return;
    }
    for (int i = 2; i < request->argc; i++) {
        added += set_add(&set, request->argv[i]);
    }
    typed_end(request, &set, added, "sadd");
    reply_integer(request->reply, (int64_t)added);
}

void cmd_srem(struct request *request)
{
    struct collection set;
    uint64_t removed = 0;
    enum typed_open open = typed_write_existing(request, 1, TYPE_SET, &set);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (open == TYPED_OPEN) {
        for (int i = 2; i < request->argc; i++) {
            removed += set_remove(&set, request->argv[i]);
        }
        typed_end(request, &set, removed, "srem");
    }
    reply_integer(request->reply, (int64_t)removed);
}

/* What SMOVE answers when nothing is moved; false otherwise. Redis looks at
 * the source's type before it looks at the destination's. */
static bool move_is_over(struct request *request)
{
    struct bytes from = request->argv[1], to = request->argv[2];
    const struct entry *source = db_touch(request->db, from, request->now_ms);
    if (source == NULL) {
        reply_integer(request->reply, 0);
        return true;
    }
    if (!require_type(request, source, TYPE_SET)) {
        return true;
    }
    const struct entry *target = db_touch(request->db, to, request->now_ms);
    if (!require_type(request, target, TYPE_SET)) {
        return true;
    }
    if (bytes_equal(from, to)) {
        struct collection set;
        collection_read(
            &set, request->db, db_find(request->db, from, request->now_ms));
        reply_integer(request->reply, set_has(&set, request->argv[3]));
        return true;
    }
    return false;
}

void cmd_smove(struct request *request)
{
    struct collection set;
    struct bytes member = request->argv[3];
    if (move_is_over(request) ||
        typed_write_existing(request, 1, TYPE_SET, &set) != TYPED_OPEN) {
        return;
    }
    bool moved = set_remove(&set, member);
    typed_end(request, &set, moved, "srem");
    if (moved && typed_write(request, 2, set_kind_new(member), &set)) {
        bool added = set_add(&set, member);
        typed_end(request, &set, added, "sadd");
    }
    reply_integer(request->reply, moved);
}

/* ---- random members ---- */

static void reply_rank(
    struct request *request, struct collection *set, uint64_t rank)
{
    struct seq_cursor cursor;
    struct element member;
    seq_at(&set->seq, rank, &cursor);
    set_member(&cursor, &member);
    typed_reply(request, &member);
}

static uint64_t random_rank(struct collection *set)
{
    return collection_random(set) % collection_count(set);
}

static void reply_random(struct request *request, int64_t count)
{
    struct collection set;
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open != TYPED_OPEN || count == 0) {
        if (open != TYPED_REFUSED) {
            reply_array(request->reply, 0);
        }
        return;
    }
    if (!typed_random_allowed(request, count)) {
        return;
    }
    uint64_t size = collection_count(&set);
    uint64_t picks = (uint64_t)(count < 0 ? -count : count);
    if (count > 0 && picks >= size) {
        reply_array(request->reply, size);
        reply_members(request, &set);
        return;
    }
    const uint64_t *ranks = typed_random_ranks(request, &set, picks, count < 0);
    reply_array(request->reply, picks);
    for (uint64_t i = 0; i < picks; i++) {
        reply_rank(request, &set, ranks[i]);
    }
}

void cmd_srandmember(struct request *request)
{
    struct collection set;
    int64_t count = 0;
    if (request->argc > 3) {
        error_syntax(request);
        return;
    }
    if (request->argc == 3) {
        if (typed_random_count(request, 2, &count)) {
            reply_random(request, count);
        }
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_SET, &set);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    } else if (open == TYPED_OPEN) {
        reply_rank(request, &set, random_rank(&set));
    }
}

/* Answers and removes `picks` random members, all of them different. */
static void pop(struct request *request, struct collection *set, uint64_t picks)
{
    for (uint64_t i = 0; i < picks; i++) {
        struct seq_cursor cursor;
        struct element member;
        seq_at(&set->seq, random_rank(set), &cursor);
        set_member(&cursor, &member);
        typed_reply(request, &member);
        seq_remove(&cursor);
    }
    typed_end(request, set, picks, "spop");
}

static void pop_many(struct request *request)
{
    struct collection set;
    int64_t count = 0;
    if (!arg_count(request, 2, &count)) {
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_SET, &set);
    if (open == TYPED_ABSENT) {
        reply_set(request->reply, 0);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    uint64_t size = collection_count(&set);
    uint64_t picks = (uint64_t)count < size ? (uint64_t)count : size;
    if (picks < size) {
        reply_set(request->reply, picks);
        pop(request, &set, picks);
        return;
    }
    /* Redis answers all of it as SUNION would, which counts as a hit. */
    db_look(request->db, request->argv[1], request->now_ms);
    reply_set(request->reply, size);
    reply_members(request, &set);
    seq_remove_range(&set.seq, 0, size);
    typed_end(request, &set, picks, "spop");
}

void cmd_spop(struct request *request)
{
    struct collection set;
    if (request->argc > 3) {
        error_syntax(request);
        return;
    }
    if (request->argc == 3) {
        pop_many(request);
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_SET, &set);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    } else if (open == TYPED_OPEN) {
        pop(request, &set, 1);
    }
}
