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
    string_changed(request, key, "incrby");
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

/* The entry's content as a floating point number, 0 when there is none. */
static bool read_float(
    struct request *request, const struct entry *entry, long double *value)
{
    *value = 0;
    if (entry == NULL ||
        number_parse_long_double(
            db_string(request->db, entry, request->scratch), value)) {
        return true;
    }
    reply_error(request->reply, "ERR value is not a valid float");
    return false;
}

void cmd_incrbyfloat(struct request *request)
{
    struct bytes key = request->argv[1];
    long double value;
    long double increment;
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING) ||
        !read_float(request, entry, &value) ||
        !arg_long_double(request, 2, &increment)) {
        return;
    }
    value += increment;
    if (!isfinite(value)) {
        reply_error(
            request->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUMBER_LONG_DOUBLE_MAX_BYTES];
    struct bytes digits =
        bytes_of(text, number_format_long_double(text, sizeof(text), value));
    db_set_text(request->db, key, digits, DB_KEEP_EXPIRY, request->now_ms);
    string_changed(request, key, "incrbyfloat");
    reply_bulk(request->reply, digits);
}
