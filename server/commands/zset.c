/* Sorted sets: members added, removed, asked for. */
#include "server/commands/zset.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "protocol/number.h"

bool zset_read_number(struct bytes text, double *number)
{
    char small[128];
    char *end = NULL;
    char *copy = text.size < sizeof small ? small : xmalloc(text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    errno = 0;
    *number = strtod(copy, &end);
    bool whole = *end == '\0' && !isnan(*number);
    if (copy != small) {
        free(copy);
    }
    return whole;
}

bool zset_parse_score(struct bytes argument, double *score)
{
    if (argument.size == 0 || isspace((unsigned char)argument.data[0]) ||
        memchr(argument.data, '\0', argument.size) != NULL ||
        !zset_read_number(argument, score)) {
        return false;
    }
    bool beyond = errno == ERANGE && (isinf(*score) || *score == 0);
    return !beyond;
}

bool zset_arg_score(struct request *request, int index, double *score)
{
    bool valid = zset_parse_score(request->argv[index], score);
    if (!valid) {
        reply_error(request->reply, "ERR value is not a valid float");
    }
    return valid;
}

/* ---- ZADD ---- */

struct add {
    bool nx, xx, gt, lt, ch, incr;
    int first; /* argument of the first score */
    uint64_t added, updated;
    bool done; /* INCR: `score` is what it became */
    double score;
};

static void parse_flags(struct request *request, struct add *add)
{
    int i = 2;
    for (; i < request->argc; i++) {
        if (arg_is(request, i, "nx")) {
            add->nx = true;
        } else if (arg_is(request, i, "xx")) {
            add->xx = true;
        } else if (arg_is(request, i, "ch")) {
            add->ch = true;
        } else if (arg_is(request, i, "incr")) {
            add->incr = true;
        } else if (arg_is(request, i, "gt")) {
            add->gt = true;
        } else if (arg_is(request, i, "lt")) {
            add->lt = true;
        } else {
            break;
        }
    }
    add->first = i;
}

static bool check_flags(struct request *request, const struct add *add)
{
    int left = request->argc - add->first;
    if (left == 0 || left % 2 != 0) {
        error_syntax(request);
        return false;
    }
    if (add->nx && add->xx) {
        reply_error(request->reply,
            "ERR XX and NX options at the same time are not compatible");
        return false;
    }
    if ((add->gt && add->nx) || (add->lt && add->nx) || (add->gt && add->lt)) {
        reply_error(request->reply, "ERR GT, LT, and/or NX options at the same "
                                    "time are not compatible");
        return false;
    }
    if (add->incr && left > 2) {
        reply_error(request->reply,
            "ERR INCR option supports a single increment-element pair");
        return false;
    }
    return true;
}

/* One pair. False when the new score would be NaN. */
static bool add_one(
    struct collection *zset, struct add *add, struct bytes member, double score)
{
    double before = 0;
    bool exists = zset_score(zset, member, &before);
    if ((exists && add->nx) || (!exists && add->xx)) {
        return true;
    }
    if (exists && add->incr) {
        score += before;
        if (isnan(score)) {
            return false;
        }
    }
    if (exists &&
        ((add->lt && score >= before) || (add->gt && score <= before))) {
        return true;
    }
    enum zset_change change = zset_set(zset, member, score);
    add->added += change == ZSET_ADDED;
    add->updated += change == ZSET_MOVED;
    add->done = true;
    add->score = score;
    return true;
}

static bool read_scores(
    struct request *request, const struct add *add, double *scores)
{
    for (int i = add->first; i < request->argc; i += 2) {
        if (!zset_arg_score(request, i, &scores[(i - add->first) / 2])) {
            return false;
        }
    }
    return true;
}

static void reply_added(struct request *request, const struct add *add)
{
    if (!add->incr) {
        reply_integer(request->reply,
            (int64_t)(add->added + (add->ch ? add->updated : 0)));
    } else if (add->done) {
        reply_double(request->reply, add->score);
    } else {
        reply_null(request->reply);
    }
}

static void add_all(struct request *request, struct add *add)
{
    struct collection zset;
    double *scores =
        scratch_alloc(request->scratch, (size_t)request->argc * sizeof(double));
    if (!check_flags(request, add) || !read_scores(request, add, scores)) {
        return;
    }
    if (add->xx) {
        /* Nothing is created. */
        enum typed_open open =
            typed_write_existing(request, 1, TYPE_ZSET, &zset);
        if (open != TYPED_OPEN) {
            if (open == TYPED_ABSENT) {
                reply_added(request, add);
            }
            return;
        }
    } else if (!typed_write(request, 1, ZSET_KIND_NEW, &zset)) {
        return;
    }
    bool good = true;
    for (int i = add->first; good && i < request->argc; i += 2) {
        good = add_one(
            &zset, add, request->argv[i + 1], scores[(i - add->first) / 2]);
    }
    typed_end(request, &zset, add->added + add->updated,
        add->incr ? "zincr" : "zadd");
    if (good) {
        reply_added(request, add);
    } else {
        reply_error(
            request->reply, "ERR resulting score is not a number (NaN)");
    }
}

void cmd_zadd(struct request *request)
{
    struct add add = {0};
    parse_flags(request, &add);
    add_all(request, &add);
}

void cmd_zincrby(struct request *request)
{
    struct add add = {.incr = true};
    parse_flags(request, &add); /* as if they were ZADD's */
    add_all(request, &add);
}

/* ---- one member ---- */

void cmd_zrem(struct request *request)
{
    struct collection zset;
    uint64_t removed = 0;
    enum typed_open open = typed_write_existing(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (open == TYPED_OPEN) {
        for (int i = 2; i < request->argc; i++) {
            removed += zset_remove(&zset, request->argv[i]);
        }
        typed_end(request, &zset, removed, "zrem");
    }
    reply_integer(request->reply, (int64_t)removed);
}

void cmd_zcard(struct request *request)
{
    struct collection zset;
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN ? (int64_t)collection_count(&zset) : 0);
    }
}

static void reply_score(
    struct request *request, struct collection *zset, struct bytes member)
{
    double score = 0;
    if (zset != NULL && zset_score(zset, member, &score)) {
        reply_double(request->reply, score);
    } else {
        reply_null(request->reply);
    }
}

void cmd_zscore(struct request *request)
{
    struct collection zset;
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open != TYPED_REFUSED) {
        reply_score(
            request, open == TYPED_OPEN ? &zset : NULL, request->argv[2]);
    }
}

void cmd_zmscore(struct request *request)
{
    struct collection zset;
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    reply_array(request->reply, (size_t)request->argc - 2);
    for (int i = 2; i < request->argc; i++) {
        reply_score(
            request, open == TYPED_OPEN ? &zset : NULL, request->argv[i]);
    }
}

static void reply_rank(struct request *request, bool reverse)
{
    struct collection zset;
    struct seq_cursor cursor;
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (open == TYPED_ABSENT || !zset_find(&zset, request->argv[2], &cursor)) {
        reply_null(request->reply);
        return;
    }
    uint64_t rank = seq_rank(&cursor);
    reply_integer(request->reply,
        (int64_t)(reverse ? collection_count(&zset) - 1 - rank : rank));
}

void cmd_zrank(struct request *request)
{
    reply_rank(request, false);
}

void cmd_zrevrank(struct request *request)
{
    reply_rank(request, true);
}
