/* Strings as numbers: INCR and its family. */
#include <math.h>

#include "protocol/number.h"
#include "server/commands/string.h"

static void add(struct request *request, int64_t increment)
{
    struct bytes key = request->argv[1];
    int64_t value = 0;
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    if (entry != NULL &&
        !bytes_to_int64(
            db_string(request->db, entry, request->scratch), &value)) {
        error_not_integer(request);
        return;
    }
    if (__builtin_add_overflow(value, increment, &value)) {
        reply_error(
            request->reply, "ERR increment or decrement would overflow");
        return;
    }
    char digits[24];
    size_t size = bytes_from_int64(digits, value);
    db_set_string(request->db, key, bytes_of(digits, size), DB_KEEP_EXPIRY,
        request->now_ms);
    request->changes++;
    reply_integer(request->reply, value);
}

void cmd_incr(struct request *request)
{
    add(request, 1);
}

void cmd_decr(struct request *request)
{
    add(request, -1);
}

void cmd_incrby(struct request *request)
{
    int64_t increment;
    if (arg_int64(request, 2, &increment)) {
        add(request, increment);
    }
}

void cmd_decrby(struct request *request)
{
    int64_t decrement;
    if (!arg_int64(request, 2, &decrement)) {
        return;
    }
    if (decrement == INT64_MIN) {
        reply_error(request->reply, "ERR decrement would overflow");
        return;
    }
    add(request, -decrement);
}
