/* LCS: the longest common subsequence of two strings.
 *
 * Lengths are computed row by row, keeping two rows. To walk back from the
 * end, one bit a cell is enough: which neighbour, the one above or the one
 * to the left, has the longer subsequence. That is a 32nd of a whole table
 * of lengths. What may be asked for is bounded as in Redis, by the size such
 * a table would have. */
#include <stdlib.h>

#include "server/command.h"
#include "server/server.h"

struct lcs_options {
    bool length_only, indexes, with_match_length;
    int64_t min_match_length;
};

struct lcs {
    struct bytes a, b;
    uint32_t *rows; /* two of b.size + 1 lengths */
    uint8_t *above; /* a.size * b.size bits: the longer one is above */
    uint32_t length;
};

/* A run of bytes that both strings share, by where it ends: one past. */
struct match {
    size_t a_end, b_end, size;
};

static bool parse_options(struct request *request, struct lcs_options *options)
{
    for (int i = 3; i < request->argc; i++) {
        if (arg_is(request, i, "idx")) {
            options->indexes = true;
        } else if (arg_is(request, i, "len")) {
            options->length_only = true;
        } else if (arg_is(request, i, "withmatchlen")) {
            options->with_match_length = true;
        } else if (arg_is(request, i, "minmatchlen") && i + 1 < request->argc) {
            i++;
            if (!arg_int64(request, i, &options->min_match_length)) {
                return false;
            }
        } else {
            error_syntax(request);
            return false;
        }
    }
    if (options->indexes && options->length_only) {
        reply_error(request->reply, "ERR If you want both the length and "
                                    "indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* The string at argument `index`, copied: looking up the other key may move
 * the entry. An absent key is an empty string. False: another type. */
static bool read_string(
    struct request *request, int index, struct bytes *content)
{
    const struct entry *entry =
        db_read(request->db, request->argv[index], request->now_ms);
    *content = bytes_of(NULL, 0);
    if (entry == NULL) {
        return true;
    }
    if (entry_type(entry) != TYPE_STRING) {
        return false;
    }
    struct bytes value = db_string(request->db, entry, request->scratch);
    if (value.size > 0) {
        char *copy = scratch_alloc(request->scratch, value.size);
        memcpy(copy, value.data, value.size);
        *content = bytes_of(copy, value.size);
    }
    return true;
}

static size_t cell(const struct lcs *lcs, size_t i, size_t j)
{
    return (i - 1) * lcs->b.size + (j - 1);
}

static void compute(struct lcs *lcs)
{
    uint32_t *previous = lcs->rows;
    uint32_t *current = lcs->rows + lcs->b.size + 1;
    for (size_t i = 1; i <= lcs->a.size; i++) {
        for (size_t j = 1; j <= lcs->b.size; j++) {
            if (lcs->a.data[i - 1] == lcs->b.data[j - 1]) {
                current[j] = previous[j - 1] + 1;
            } else if (previous[j] > current[j - 1]) {
                current[j] = previous[j];
                size_t bit = cell(lcs, i, j);
                lcs->above[bit / 8] |= (uint8_t)(1u << (bit % 8));
            } else {
                current[j] = current[j - 1];
            }
        }
        uint32_t *swap = previous;
        previous = current;
        current = swap;
    }
    lcs->length = previous[lcs->b.size];
}

/* Allocates and computes. False after having answered an error. */
static bool lcs_init(struct lcs *lcs, struct request *request)
{
    uint64_t limit = request->server->config.proto_max_bulk_len;
    uint64_t table_bytes;
    if (lcs->a.size >= UINT32_MAX - 1 || lcs->b.size >= UINT32_MAX - 1) {
        reply_error(request->reply, "ERR String too long for LCS");
        return false;
    }
    if (__builtin_mul_overflow((lcs->a.size + 1) * (lcs->b.size + 1),
            sizeof(uint32_t), &table_bytes) ||
        table_bytes > limit) {
        reply_error(request->reply, "ERR Insufficient memory, transient memory "
                                    "for LCS exceeds proto-max-bulk-len");
        return false;
    }
    lcs->rows = calloc(2 * (lcs->b.size + 1), sizeof(*lcs->rows));
    lcs->above = calloc(lcs->a.size * lcs->b.size / 8 + 1, 1);
    if (lcs->rows == NULL || lcs->above == NULL) {
        reply_error(request->reply, "ERR Insufficient memory, failed "
                                    "allocating transient memory for LCS");
        return false;
    }
    compute(lcs);
    return true;
}

static void lcs_finish(struct lcs *lcs)
{
    free(lcs->rows);
    free(lcs->above);
}

/* The next run of shared bytes, going back from *i and *j, which move to its
 * start. Its size is 0 when there is none. */
static struct match next_match(const struct lcs *lcs, size_t *i, size_t *j)
{
    while (*i > 0 && *j > 0 && lcs->a.data[*i - 1] != lcs->b.data[*j - 1]) {
        size_t bit = cell(lcs, *i, *j);
        if (lcs->above[bit / 8] >> (bit % 8) & 1) {
            (*i)--;
        } else {
            (*j)--;
        }
    }
    struct match match = {.a_end = *i, .b_end = *j, .size = 0};
    while (*i > 0 && *j > 0 && lcs->a.data[*i - 1] == lcs->b.data[*j - 1]) {
        match.size++;
        (*i)--;
        (*j)--;
    }
    return match;
}

static void reply_text(struct request *request, const struct lcs *lcs)
{
    char *text = scratch_alloc(request->scratch, lcs->length + 1);
    char *start = text + lcs->length;
    size_t i = lcs->a.size;
    size_t j = lcs->b.size;
    for (;;) {
        struct match match = next_match(lcs, &i, &j);
        if (match.size == 0) {
            break;
        }
        check(lcs->a.data != NULL);
        start -= match.size;
        memcpy(start, lcs->a.data + i, match.size);
    }
    check(start == text);
    reply_bulk(request->reply, bytes_of(text, lcs->length));
}

static void reply_range(struct reply *reply, size_t end, size_t size)
{
    reply_array(reply, 2);
    reply_integer(reply, (int64_t)(end - size));
    reply_integer(reply, (int64_t)end - 1);
}

static void reply_indexes(struct request *request, const struct lcs *lcs,
    const struct lcs_options *options)
{
    struct reply *reply = request->reply;
    reply_map(reply, 2);
    reply_bulk_text(reply, "matches");
    size_t mark = reply_begin(reply);
    size_t count = 0;
    size_t i = lcs->a.size;
    size_t j = lcs->b.size;
    for (;;) {
        struct match match = next_match(lcs, &i, &j);
        if (match.size == 0) {
            break;
        }
        if ((int64_t)match.size < options->min_match_length) {
            continue;
        }
        reply_array(reply, options->with_match_length ? 3 : 2);
        reply_range(reply, match.a_end, match.size);
        reply_range(reply, match.b_end, match.size);
        if (options->with_match_length) {
            reply_integer(reply, (int64_t)match.size);
        }
        count++;
    }
    reply_end(reply, mark, REPLY_ARRAY, count);
    reply_bulk_text(reply, "len");
    reply_integer(reply, lcs->length);
}

void cmd_lcs(struct request *request)
{
    struct lcs lcs = {0};
    struct lcs_options options = {0};
    /* Both are looked at, and counted, before either is refused. */
    bool strings = read_string(request, 1, &lcs.a);
    strings = read_string(request, 2, &lcs.b) && strings;
    if (!strings) {
        reply_error(request->reply,
            "ERR The specified keys must contain string values");
        return;
    }
    if (!parse_options(request, &options)) {
        return;
    }
    if (lcs_init(&lcs, request)) {
        if (options.indexes) {
            reply_indexes(request, &lcs, &options);
        } else if (options.length_only) {
            reply_integer(request->reply, lcs.length);
        } else {
            reply_text(request, &lcs);
        }
    }
    lcs_finish(&lcs);
}
