/* Intersections, unions and differences of sets. */
#include "server/commands/set.h"

struct collection *set_open_all(struct request *request, int first, int count)
{
    struct collection *sets =
        scratch_alloc(request->scratch, (size_t)count * sizeof *sets);
    for (int i = 0; i < count; i++) {
        const struct entry *entry =
            db_read(request->db, request->argv[first + i], request->now_ms);
        if (!require_type(request, entry, TYPE_SET)) {
            return NULL;
        }
    }
    /* Reading may have moved entries; from here on nothing does. */
    for (int i = 0; i < count; i++) {
        const struct entry *entry =
            db_find(request->db, request->argv[first + i], request->now_ms);
        if (entry != NULL) {
            collection_read(&sets[i], request->db, entry);
        } else {
            sets[i] = (struct collection){.db = request->db};
        }
    }
    return sets;
}

enum set_operation { SET_INTER, SET_UNION, SET_DIFF };

static uint64_t size_of(const struct collection *set)
{
    return set->exists ? collection_count(set) : 0;
}

/* Whether `member` is in each of the sets but number `skip` (all true), or in
 * none of them (all false). */
static bool in_all(
    struct collection *sets, int count, int skip, bool all, struct bytes member)
{
    for (int i = 0; i < count; i++) {
        if (i != skip &&
            (size_of(&sets[i]) > 0 && set_has(&sets[i], member)) != all) {
            return false;
        }
    }
    return true;
}

/* Adds the members of sets[from] to the result: all of them, or those that
 * are in all (in none) of the others. Stops at `limit` members, 0: none. */
static void gather(struct collection *sets, int count, int from,
    enum set_operation operation, struct collection *result, uint64_t limit)
{
    struct seq_cursor cursor;
    struct element member;
    if (size_of(&sets[from]) == 0) {
        return;
    }
    seq_at(&sets[from].seq, 0, &cursor);
    do {
        set_member(&cursor, &member);
        struct bytes text = element_text(&member);
        if (operation == SET_UNION ||
            in_all(sets, count, from, operation == SET_INTER, text)) {
            set_add(result, text);
        }
    } while (
        (limit == 0 || collection_count(result) < limit) && seq_next(&cursor));
}

static int smallest(const struct collection *sets, int count)
{
    int found = 0;
    for (int i = 1; i < count; i++) {
        if (size_of(&sets[i]) < size_of(&sets[found])) {
            found = i;
        }
    }
    return found;
}

static void combine(struct collection *sets, int count,
    enum set_operation operation, struct collection *result, uint64_t limit)
{
    switch (operation) {
    case SET_INTER:
        gather(sets, count, smallest(sets, count), operation, result, limit);
        break;
    case SET_UNION:
        for (int i = 0; i < count; i++) {
            gather(sets, count, i, operation, result, 0);
        }
        break;
    case SET_DIFF:
        gather(sets, count, 0, operation, result, 0);
        break;
    }
}

/* The result of the operation over the sets in arguments from `first` on, as
 * a collection that is not stored yet, for `key`. False: an error has been
 * answered. */
static bool begin_result(struct request *request, int first, int count,
    enum set_operation operation, struct collection *result)
{
    struct collection *sets = set_open_all(request, first, count);
    if (sets == NULL) {
        return false;
    }
    collection_write(result, request->db, request->argv[1], NULL,
        KIND_SET_INTEGERS, request->now_ms);
    combine(sets, count, operation, result, 0);
    return true;
}

static void answer(struct request *request, enum set_operation operation)
{
    struct collection result;
    struct seq_cursor cursor;
    struct element member;
    if (!begin_result(request, 1, request->argc - 1, operation, &result)) {
        return;
    }
    uint64_t count = collection_count(&result);
    reply_set(request->reply, count);
    seq_at(&result.seq, 0, &cursor);
    for (; count > 0; count--, seq_next(&cursor)) {
        set_member(&cursor, &member);
        typed_reply(request, &member);
    }
    collection_end(&result, false);
}

static void store(
    struct request *request, enum set_operation operation, const char *event)
{
    struct collection result;
    if (!begin_result(request, 2, request->argc - 2, operation, &result)) {
        return;
    }
    typed_store(request, &result, event);
}

/* The options behind the keys of SINTERCARD. */
static bool parse_limit(struct request *request, int first, int64_t *limit)
{
    for (int i = first; i < request->argc; i += 2) {
        if (i + 1 == request->argc || !arg_is(request, i, "limit")) {
            error_syntax(request);
            return false;
        }
        if (!bytes_to_int64(request->argv[i + 1], limit) || *limit < 0) {
            reply_error(request->reply, "ERR LIMIT can't be negative");
            return false;
        }
    }
    return true;
}

void cmd_sintercard(struct request *request)
{
    struct collection result;
    int64_t count = 0, limit = 0;
    if (!bytes_to_int64(request->argv[1], &count) || count < 1) {
        reply_error(request->reply, "ERR numkeys should be greater than 0");
        return;
    }
    if (count > request->argc - 2) {
        reply_error(request->reply,
            "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (!parse_limit(request, 2 + (int)count, &limit)) {
        return;
    }
    struct collection *sets = set_open_all(request, 2, (int)count);
    if (sets == NULL) {
        return;
    }
    collection_write(&result, request->db, request->argv[1], NULL,
        KIND_SET_INTEGERS, request->now_ms);
    combine(sets, (int)count, SET_INTER, &result, (uint64_t)limit);
    reply_integer(request->reply, (int64_t)collection_count(&result));
    collection_end(&result, false);
}

void cmd_sinter(struct request *request)
{
    answer(request, SET_INTER);
}

void cmd_sunion(struct request *request)
{
    answer(request, SET_UNION);
}

void cmd_sdiff(struct request *request)
{
    answer(request, SET_DIFF);
}

void cmd_sinterstore(struct request *request)
{
    store(request, SET_INTER, "sinterstore");
}

void cmd_sunionstore(struct request *request)
{
    store(request, SET_UNION, "sunionstore");
}

void cmd_sdiffstore(struct request *request)
{
    store(request, SET_DIFF, "sdiffstore");
}
