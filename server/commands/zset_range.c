/* Ranges of sorted sets. All of them are ranges of ranks in the end: the
 * container counts, so bounds by score or member become ranks in O(log n). */
#include <math.h>

#include "server/commands/zset.h"

/* ---- bounds ---- */

/* "(1.5", "-inf": as strtod reads it. */
static bool parse_score(struct bytes text, struct zset_bound *bound)
{
    bound->exclusive = text.size > 0 && text.data[0] == '(';
    size_t skip = bound->exclusive;
    return zset_read_number(
        bytes_of(text.data + skip, text.size - skip), &bound->score);
}

/* "[member", "(member", "-", "+". */
static bool parse_member(struct bytes text, struct zset_bound *bound)
{
    bound->infinite = 0;
    if (text.size == 0) {
        return false;
    }
    char first = text.data[0];
    if (text.size == 1 && (first == '-' || first == '+')) {
        bound->infinite = first == '-' ? -1 : 1;
        return true;
    }
    bound->exclusive = first == '(';
    bound->member = bytes_of(text.data + 1, text.size - 1);
    return first == '(' || first == '[';
}

bool zset_arg_bounds(
    struct request *request, struct zset_range *range, int min, int max)
{
    switch (range->kind) {
    case ZSET_BY_RANK:
        return arg_int64(request, min, &range->min.rank) &&
               arg_int64(request, max, &range->max.rank);
    case ZSET_BY_SCORE:
        if (parse_score(request->argv[min], &range->min) &&
            parse_score(request->argv[max], &range->max)) {
            return true;
        }
        reply_error(request->reply, "ERR min or max is not a float");
        return false;
    default:
        if (parse_member(request->argv[min], &range->min) &&
            parse_member(request->argv[max], &range->max)) {
            return true;
        }
        reply_error(
            request->reply, "ERR min or max not valid string range item");
        return false;
    }
}

static uint64_t rank_of_member(
    struct collection *zset, const struct zset_bound *bound, bool beyond)
{
    if (bound->infinite != 0) {
        return bound->infinite < 0 ? 0 : collection_count(zset);
    }
    return zset_rank_of_member(zset, bound->member, beyond);
}

/* Of ranks counted from the end that the range begins at. */
static uint64_t ranks_by_rank(
    struct collection *zset, const struct zset_range *range, uint64_t *first)
{
    int64_t size = (int64_t)collection_count(zset);
    int64_t start = range->min.rank, end = range->max.rank;
    start = start < 0 ? start + size : start;
    end = end < 0 ? end + size : end;
    start = start < 0 ? 0 : start;
    end = end >= size ? size - 1 : end;
    if (start > end || start >= size) {
        return 0;
    }
    *first = (uint64_t)(range->reverse ? size - 1 - end : start);
    return (uint64_t)(end - start) + 1;
}

uint64_t zset_range_ranks(
    struct collection *zset, const struct zset_range *range, uint64_t *first)
{
    const struct zset_bound *min = &range->min, *max = &range->max;
    uint64_t from = 0, to = 0;
    if (range->kind == ZSET_BY_RANK) {
        return ranks_by_rank(zset, range, first);
    }
    if (range->kind == ZSET_BY_SCORE) {
        from = zset_rank_of_score(zset, min->score, min->exclusive);
        to = zset_rank_of_score(zset, max->score, !max->exclusive);
    } else {
        from = rank_of_member(zset, min, min->exclusive);
        to = rank_of_member(zset, max, !max->exclusive);
    }
    uint64_t count = from < to ? to - from : 0;
    if (range->offset < 0 || (uint64_t)range->offset >= count) {
        return 0;
    }
    uint64_t skip = (uint64_t)range->offset;
    uint64_t kept = count - skip;
    if (range->limit >= 0 && (uint64_t)range->limit < kept) {
        kept = (uint64_t)range->limit;
    }
    *first = range->reverse ? to - skip - kept : from + skip;
    return kept;
}

void zset_reply_range(struct request *request, struct collection *zset,
    const struct zset_range *range, uint64_t first, uint64_t count)
{
    struct seq_cursor cursor;
    struct element member;
    bool pairs =
        range->with_scores && (range->pairs || request->reply->version > 2);
    reply_array(
        request->reply, range->with_scores && !pairs ? count * 2 : count);
    if (count == 0) {
        return;
    }
    seq_at(&zset->seq, range->reverse ? first + count - 1 : first, &cursor);
    for (; count > 0; count--) {
        double score = zset_item(&cursor, &member);
        if (pairs) {
            reply_array(request->reply, 2);
        }
        typed_reply(request, &member);
        if (range->with_scores) {
            reply_double(request->reply, score);
        }
        if (range->reverse) {
            seq_prev(&cursor);
        } else {
            seq_next(&cursor);
        }
    }
}

/* ---- ZRANGE and what it has replaced ---- */

struct form {
    struct zset_range range;
    int min;    /* the argument of the first bound; max is next */
    bool open;  /* BYSCORE, BYLEX and REV may be given */
    bool store; /* to the key in argument 1 */
};

/* One option; the number of arguments it takes, 0 after an error. */
static int option(struct request *request, struct form *form, int i)
{
    struct zset_range *range = &form->range;
    if (!form->store && arg_is(request, i, "withscores")) {
        range->with_scores = true;
        return 1;
    }
    if (arg_is(request, i, "limit") && i + 2 < request->argc) {
        return arg_int64(request, i + 1, &range->offset) &&
                       arg_int64(request, i + 2, &range->limit)
                   ? 3
                   : 0;
    }
    if (form->open && arg_is(request, i, "rev")) {
        range->reverse = true;
    } else if (form->open && range->kind == ZSET_BY_RANK &&
               arg_is(request, i, "bylex")) {
        range->kind = ZSET_BY_LEX;
    } else if (form->open && range->kind == ZSET_BY_RANK &&
               arg_is(request, i, "byscore")) {
        range->kind = ZSET_BY_SCORE;
    } else {
        error_syntax(request);
        return 0;
    }
    return 1;
}

static bool parse_form(struct request *request, struct form *form)
{
    struct zset_range *range = &form->range;
    range->limit = -1;
    for (int i = form->min + 2, took = 0; i < request->argc; i += took) {
        took = option(request, form, i);
        if (took == 0) {
            return false;
        }
    }
    if (range->limit != -1 && range->kind == ZSET_BY_RANK) {
        reply_error(request->reply,
            "ERR syntax error, LIMIT is only supported in combination with "
            "either BYSCORE or BYLEX");
        return false;
    }
    if (range->with_scores && range->kind == ZSET_BY_LEX) {
        reply_error(request->reply,
            "ERR syntax error, WITHSCORES not supported in combination with "
            "BYLEX");
        return false;
    }
    bool swapped = range->reverse && range->kind != ZSET_BY_RANK;
    return zset_arg_bounds(
        request, range, form->min + swapped, form->min + !swapped);
}

static void answer(struct request *request, struct form *form)
{
    struct collection zset;
    uint64_t first = 0;
    if (!parse_form(request, form)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_ABSENT) {
        reply_array(request->reply, 0);
    } else if (open == TYPED_OPEN) {
        uint64_t count = zset_range_ranks(&zset, &form->range, &first);
        zset_reply_range(request, &zset, &form->range, first, count);
    }
}

void cmd_zrange(struct request *request)
{
    answer(request, &(struct form){.min = 2, .open = true});
}

void cmd_zrevrange(struct request *request)
{
    answer(request, &(struct form){.min = 2, .range.reverse = true});
}

void cmd_zrangebyscore(struct request *request)
{
    answer(request, &(struct form){.min = 2, .range.kind = ZSET_BY_SCORE});
}

void cmd_zrevrangebyscore(struct request *request)
{
    answer(request, &(struct form){.min = 2,
                        .range = {.kind = ZSET_BY_SCORE, .reverse = true}});
}

void cmd_zrangebylex(struct request *request)
{
    answer(request, &(struct form){.min = 2, .range.kind = ZSET_BY_LEX});
}

void cmd_zrevrangebylex(struct request *request)
{
    answer(request, &(struct form){.min = 2,
                        .range = {.kind = ZSET_BY_LEX, .reverse = true}});
}

void cmd_zrangestore(struct request *request)
{
    struct form form = {.min = 3, .open = true, .store = true};
    struct collection zset, result;
    uint64_t first = 0, count = 0;
    if (!parse_form(request, &form)) {
        return;
    }
    enum typed_open open = typed_read(request, 2, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    collection_write(&result, request->db, request->argv[1], NULL,
        ZSET_KIND_NEW, request->now_ms);
    if (open == TYPED_OPEN) {
        count = zset_range_ranks(&zset, &form.range, &first);
    }
    if (count > 0) {
        struct seq_cursor cursor;
        struct element member;
        seq_at(&zset.seq, first, &cursor);
        for (; count > 0; count--, seq_next(&cursor)) {
            double score = zset_item(&cursor, &member);
            zset_set(&result, element_text(&member), score);
        }
    }
    typed_store(request, &result, "zrangestore");
}

/* ---- counting and removing ---- */

static void reply_count(struct request *request, enum zset_range_kind kind)
{
    struct collection zset;
    struct zset_range range = {.kind = kind, .limit = -1};
    uint64_t first = 0;
    if (!zset_arg_bounds(request, &range, 2, 3)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN
                ? (int64_t)zset_range_ranks(&zset, &range, &first)
                : 0);
    }
}

void cmd_zcount(struct request *request)
{
    reply_count(request, ZSET_BY_SCORE);
}

void cmd_zlexcount(struct request *request)
{
    reply_count(request, ZSET_BY_LEX);
}

static void remove_range(
    struct request *request, enum zset_range_kind kind, const char *event)
{
    struct collection zset;
    struct zset_range range = {.kind = kind, .limit = -1};
    uint64_t first = 0, count = 0;
    if (!zset_arg_bounds(request, &range, 2, 3)) {
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (open == TYPED_OPEN) {
        count = zset_range_ranks(&zset, &range, &first);
        if (count > 0) {
            zset_remove_range(&zset, first, count);
        }
        typed_end(request, &zset, count, event);
    }
    reply_integer(request->reply, (int64_t)count);
}

void cmd_zremrangebyrank(struct request *request)
{
    remove_range(request, ZSET_BY_RANK, "zremrangebyrank");
}

void cmd_zremrangebyscore(struct request *request)
{
    remove_range(request, ZSET_BY_SCORE, "zremrangebyscore");
}

void cmd_zremrangebylex(struct request *request)
{
    remove_range(request, ZSET_BY_LEX, "zremrangebylex");
}
