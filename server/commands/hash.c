/* Hashes: fields read and written. */
#include <math.h>

#include "protocol/number.h"
#include "server/commands/typed.h"
#include "tiers/values/hash.h"

/* ---- reading ---- */

void cmd_hget(struct request *request)
{
    struct collection hash;
    struct element value;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_OPEN && hash_get(&hash, request->argv[2], &value)) {
        typed_reply(request, &value);
    } else if (open != TYPED_REFUSED) {
        reply_null(request->reply);
    }
}

void cmd_hmget(struct request *request)
{
    struct collection hash;
    struct element value;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_REFUSED) {
        return;
    }
    reply_array(request->reply, (size_t)request->argc - 2);
    for (int i = 2; i < request->argc; i++) {
        if (open == TYPED_OPEN && hash_get(&hash, request->argv[i], &value)) {
            typed_reply(request, &value);
        } else {
            reply_null(request->reply);
        }
    }
}

void cmd_hlen(struct request *request)
{
    struct collection hash;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN ? (int64_t)collection_count(&hash) : 0);
    }
}

void cmd_hstrlen(struct request *request)
{
    struct collection hash;
    struct element value;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    bool found =
        open == TYPED_OPEN && hash_get(&hash, request->argv[2], &value);
    if (open != TYPED_REFUSED) {
        reply_integer(
            request->reply, found ? (int64_t)element_text(&value).size : 0);
    }
}

void cmd_hexists(struct request *request)
{
    struct collection hash;
    struct element value;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN && hash_get(&hash, request->argv[2], &value));
    }
}

enum hash_part { PART_FIELDS = 1, PART_VALUES = 2, PART_BOTH = 3 };

static void reply_item(struct request *request, const struct seq_cursor *cursor,
    enum hash_part part)
{
    struct element field, value;
    hash_pair(cursor, &field, &value);
    if (part & PART_FIELDS) {
        typed_reply(request, &field);
    }
    if (part & PART_VALUES) {
        typed_reply(request, &value);
    }
}

static void reply_all(struct request *request, enum hash_part part)
{
    struct collection hash;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_REFUSED) {
        return;
    }
    uint64_t count = open == TYPED_OPEN ? collection_count(&hash) : 0;
    if (part == PART_BOTH) {
        reply_map(request->reply, count);
    } else {
        reply_array(request->reply, count);
    }
    if (count == 0) {
        return;
    }
    struct seq_cursor cursor;
    seq_at(&hash.seq, 0, &cursor);
    do {
        reply_item(request, &cursor, part);
    } while (seq_next(&cursor));
}

void cmd_hkeys(struct request *request)
{
    reply_all(request, PART_FIELDS);
}

void cmd_hvals(struct request *request)
{
    reply_all(request, PART_VALUES);
}

void cmd_hgetall(struct request *request)
{
    reply_all(request, PART_BOTH);
}

void cmd_hscan(struct request *request)
{
    struct collection hash;
    struct typed_scan scan;
    if (!typed_scan_cursor(request, &scan)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_ABSENT) {
        typed_scan_empty(request);
    }
    if (open != TYPED_OPEN || !typed_scan_options(request, &scan)) {
        return;
    }
    struct seq_cursor cursor;
    uint64_t visits = 0;
    uint64_t next = typed_scan_step(&hash.seq, &scan, &cursor, &visits);
    reply_array(request->reply, 2);
    reply_bulk_format(request->reply, "%llu", (unsigned long long)next);
    size_t mark = reply_begin(request->reply);
    size_t found = 0;
    for (; visits > 0; visits--, seq_next(&cursor)) {
        struct element field;
        hash_pair(&cursor, &field, NULL);
        if (typed_scan_matches(&scan, &field)) {
            reply_item(request, &cursor, PART_BOTH);
            found += 2;
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, found);
}

/* ---- writing ---- */

/* Sets the pairs from argument 2 on; how many fields are new. */
static int64_t set_pairs(struct request *request, struct collection *hash)
{
    int64_t added = 0;
    for (int i = 2; i < request->argc; i += 2) {
        added += hash_set(hash, request->argv[i], request->argv[i + 1]);
    }
    return added;
}

static bool set_all(struct request *request, int64_t *added)
{
    struct collection hash;
    if (request->argc % 2 != 0) {
        error_arity(request);
        return false;
    }
    if (!typed_write(request, 1, HASH_KIND_NEW, &hash)) {
        return false;
    }
    *added = set_pairs(request, &hash);
    typed_end(request, &hash, ((uint64_t)request->argc - 2) / 2, "hset");
    return true;
}

void cmd_hset(struct request *request)
{
    int64_t added = 0;
    if (set_all(request, &added)) {
        reply_integer(request->reply, added);
    }
}

void cmd_hmset(struct request *request)
{
    int64_t added = 0;
    if (set_all(request, &added)) {
        reply_ok(request->reply);
    }
}

void cmd_hsetnx(struct request *request)
{
    struct collection hash;
    struct element value;
    if (!typed_write(request, 1, HASH_KIND_NEW, &hash)) {
        return;
    }
    bool is_new = !hash_get(&hash, request->argv[2], &value);
    if (is_new) {
        hash_set(&hash, request->argv[2], request->argv[3]);
    }
    typed_end(request, &hash, is_new, "hset");
    reply_integer(request->reply, is_new);
}

void cmd_hdel(struct request *request)
{
    struct collection hash;
    uint64_t deleted = 0;
    enum typed_open open = typed_write_existing(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (open == TYPED_OPEN) {
        for (int i = 2; i < request->argc; i++) {
            deleted += hash_delete(&hash, request->argv[i]);
        }
        typed_end(request, &hash, deleted, "hdel");
    }
    reply_integer(request->reply, (int64_t)deleted);
}

/* The integer in a field, 0 when there is none. */
static bool read_integer(struct request *request, struct collection *hash,
    struct bytes field, int64_t *integer)
{
    struct element value;
    *integer = 0;
    if (!hash_get(hash, field, &value) ||
        bytes_to_int64(element_text(&value), integer)) {
        return true;
    }
    reply_error(request->reply, "ERR hash value is not an integer");
    return false;
}

void cmd_hincrby(struct request *request)
{
    struct collection hash;
    struct bytes field = request->argv[2];
    int64_t increment = 0, integer = 0;
    if (!arg_int64(request, 3, &increment) ||
        !typed_write(request, 1, HASH_KIND_NEW, &hash)) {
        return;
    }
    if (!read_integer(request, &hash, field, &integer)) {
        collection_end(&hash, false);
        return;
    }
    if (__builtin_add_overflow(integer, increment, &integer)) {
        collection_end(&hash, false);
        reply_error(
            request->reply, "ERR increment or decrement would overflow");
        return;
    }
    char digits[21];
    hash_change(
        &hash, field, bytes_of(digits, bytes_from_int64(digits, integer)));
    typed_end(request, &hash, 1, "hincrby");
    reply_integer(request->reply, integer);
}

static bool read_float(struct request *request, struct collection *hash,
    struct bytes field, long double *number)
{
    struct element value;
    *number = 0;
    if (!hash_get(hash, field, &value) ||
        number_parse_long_double(element_text(&value), number)) {
        return true;
    }
    reply_error(request->reply, "ERR hash value is not a float");
    return false;
}

void cmd_hincrbyfloat(struct request *request)
{
    struct collection hash;
    struct bytes field = request->argv[2];
    long double increment = 0, number = 0;
    if (!arg_long_double(request, 3, &increment)) {
        return;
    }
    if (isinf(increment)) {
        reply_error(request->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!typed_write(request, 1, HASH_KIND_NEW, &hash)) {
        return;
    }
    if (!read_float(request, &hash, field, &number)) {
        collection_end(&hash, false);
        return;
    }
    number += increment;
    if (!isfinite(number)) {
        collection_end(&hash, false);
        reply_error(
            request->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUMBER_LONG_DOUBLE_MAX_BYTES];
    struct bytes digits =
        bytes_of(text, number_format_long_double(text, sizeof text, number));
    hash_change(&hash, field, digits);
    typed_end(request, &hash, 1, "hincrbyfloat");
    reply_bulk(request->reply, digits);
}
