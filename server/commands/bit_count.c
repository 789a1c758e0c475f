/* Parts of a row of bits: BITCOUNT, BITPOS. */
#include "server/commands/bit.h"

/* A range as a client names it: negative numbers count from the end. In
 * bytes, or in bits when `unit_bits` is 1. */
struct bit_range {
    int64_t first, last;
    unsigned unit_bits; /* 8 or 1 */
};

static bool parse_unit(
    struct request *request, int index, struct bit_range *range)
{
    range->unit_bits = 8;
    if (index < request->argc && !arg_is(request, index, "byte")) {
        if (!arg_is(request, index, "bit")) {
            error_syntax(request);
            return false;
        }
        range->unit_bits = 1;
    }
    return true;
}

/* The range made one of bits inside `text`; false when it holds none. */
static bool settle(struct bit_range *range, struct bytes text)
{
    int64_t total = (int64_t)(text.size * (8 / range->unit_bits));
    if (range->first < 0) {
        range->first = range->first + total > 0 ? range->first + total : 0;
    }
    if (range->last < 0) {
        range->last = range->last + total > 0 ? range->last + total : 0;
    }
    if (range->last >= total) {
        range->last = total - 1;
    }
    if (range->first > range->last) {
        return false;
    }
    range->first *= range->unit_bits;
    range->last = (range->last + 1) * range->unit_bits - 1;
    return true;
}

void cmd_bitcount(struct request *request)
{
    struct bit_range range = {.first = 0, .last = -1, .unit_bits = 8};
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (entry == NULL) {
        reply_integer(request->reply, 0);
        return;
    }
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    if (request->argc == 3 || request->argc > 5) {
        error_syntax(request);
        return;
    }
    if (request->argc > 3 && (!arg_int64(request, 2, &range.first) ||
                                 !arg_int64(request, 3, &range.last))) {
        return;
    }
    bool reversed =
        range.first < 0 && range.last < 0 && range.first > range.last;
    if (!reversed && !parse_unit(request, 4, &range)) {
        return;
    }
    struct bytes text = bit_string(request, entry);
    uint64_t count = 0;
    if (!reversed && settle(&range, text)) {
        count = bit_count(text, (uint64_t)range.first, (uint64_t)range.last);
    }
    reply_integer(request->reply, (int64_t)count);
}

static bool parse_bitpos(struct request *request, struct bit_range *range)
{
    if (request->argc > 6) {
        error_syntax(request);
        return false;
    }
    if (request->argc > 3 && !arg_int64(request, 3, &range->first)) {
        return false;
    }
    return parse_unit(request, 5, range) &&
           (request->argc < 5 || arg_int64(request, 4, &range->last));
}

void cmd_bitpos(struct request *request)
{
    struct bit_range range = {.first = 0, .last = -1, .unit_bits = 8};
    int64_t bit;
    if (!arg_int64(request, 2, &bit)) {
        return;
    }
    if (bit != 0 && bit != 1) {
        reply_error(request->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (entry == NULL) {
        reply_integer(request->reply, bit == 1 ? -1 : 0);
        return;
    }
    if (!require_type(request, entry, TYPE_STRING) ||
        !parse_bitpos(request, &range)) {
        return;
    }
    struct bytes text = bit_string(request, entry);
    if (!settle(&range, text)) {
        reply_integer(request->reply, -1);
        return;
    }
    uint64_t found =
        bit_find(text, bit == 1, (uint64_t)range.first, (uint64_t)range.last);
    /* Without an end, the string goes on with zeros for ever. */
    if (found == UINT64_MAX && bit == 0 && request->argc < 5) {
        found = text.size * 8;
    }
    reply_integer(request->reply, (int64_t)found);
}
