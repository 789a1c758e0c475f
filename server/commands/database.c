/* Databases as a whole: counting, emptying and swapping them. */
#include <limits.h>

#include "server/keyspace.h"

void cmd_dbsize(struct request *request)
{
    reply_integer(request->reply, (int64_t)db_size(request->db));
}

/* The optional ASYNC or SYNC. Both mean the same here: keys are gone at once
 * and memory is given back in slices. */
static bool parse_flush_mode(struct request *request)
{
    bool valid = request->argc == 1 ||
                 (request->argc == 2 && (arg_is(request, 1, "async") ||
                                            arg_is(request, 1, "sync")));
    if (!valid) {
        error_syntax(request);
    }
    return valid;
}

void cmd_flushdb(struct request *request)
{
    if (!parse_flush_mode(request)) {
        return;
    }
    unsigned number = engine_db_number(request->engine, request->db);
    keyspace_flushing(request, request->db);
    request->changes += engine_flush_db(request->engine, number);
    reply_ok(request->reply);
}

void cmd_flushall(struct request *request)
{
    if (!parse_flush_mode(request)) {
        return;
    }
    for (unsigned i = 0; i < engine_database_count(request->engine); i++) {
        keyspace_flushing(request, engine_db(request->engine, i));
    }
    request->changes += engine_flush_all(request->engine);
    reply_ok(request->reply);
}

static bool parse_index(
    struct request *request, int index, const char *which, int64_t *number)
{
    if (bytes_to_int64(request->argv[index], number) && *number >= INT_MIN &&
        *number <= INT_MAX) {
        return true;
    }
    reply_error(request->reply, "ERR invalid %s DB index", which);
    return false;
}

void cmd_swapdb(struct request *request)
{
    int64_t first;
    int64_t second;
    if (!parse_index(request, 1, "first", &first) ||
        !parse_index(request, 2, "second", &second)) {
        return;
    }
    int64_t count = engine_database_count(request->engine);
    if (first < 0 || first >= count || second < 0 || second >= count) {
        reply_error(request->reply, "ERR DB index is out of range");
        return;
    }
    if (first != second) {
        struct db *a = engine_db(request->engine, (unsigned)first);
        struct db *b = engine_db(request->engine, (unsigned)second);
        keyspace_swapping(request, a, b);
        engine_swap_db(request->engine, (unsigned)first, (unsigned)second);
        keyspace_swapped(request, a, b);
    }
    request->changes++;
    reply_ok(request->reply);
}
