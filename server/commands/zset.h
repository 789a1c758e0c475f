/* What the files of sorted set commands share. */
#ifndef LARDER_SERVER_COMMANDS_ZSET_H
#define LARDER_SERVER_COMMANDS_ZSET_H

#include "server/commands/typed.h"
#include "tiers/values/zset.h"

/* `text`, up to a zero byte, as a number as strtod reads it (which sets errno);
 * not NaN. */
bool zset_read_number(struct bytes text, double *number);
/* The whole of `text` as a score, which is not NaN. */
bool zset_parse_score(struct bytes text, double *score);
/* The same of argument `index`; false after having answered that it is
 * none. */
bool zset_arg_score(struct request *request, int index, double *score);

/* ---- ranges (zset_range.c) ---- */

enum zset_range_kind { ZSET_BY_RANK, ZSET_BY_SCORE, ZSET_BY_LEX };

/* One end of a range. */
struct zset_bound {
    bool exclusive;
    int64_t rank;        /* ZSET_BY_RANK; negative: from the end */
    double score;        /* ZSET_BY_SCORE */
    struct bytes member; /* ZSET_BY_LEX */
    int infinite;        /* ZSET_BY_LEX: -1 before all, 1 behind all */
};

struct zset_range {
    enum zset_range_kind kind;
    bool reverse;     /* from the last to the first */
    bool with_scores; /* answered too, */
    bool pairs;       /* in pairs even in RESP2 */
    struct zset_bound min, max;
    int64_t offset, limit; /* negative limit: all */
};

/* Reads the bounds of range->kind in arguments `min` and `max`. */
bool zset_arg_bounds(
    struct request *request, struct zset_range *range, int min, int max);
/* The first rank and the number of the members that are in the range, counted
 * from the first in order, its offset and limit heeded. */
uint64_t zset_range_ranks(
    struct collection *zset, const struct zset_range *range, uint64_t *first);
/* Answers members, pairs where RESP3 has them. */
void zset_reply_range(struct request *request, struct collection *zset,
    const struct zset_range *range, uint64_t first, uint64_t count);

#endif
