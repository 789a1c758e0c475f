/* Sorted sets: scores and members, a pair an item (value_shape_zset: the
 * score as 8 bytes whose order is the scores', then the member), in a
 * collection opened by collection.h. Items are in the order of scores, equal
 * ones in that of members.
 *
 * A large one has a second tree, value->index, to find members by:
 *   hash -> score, and the first ZSET_PREFIX_BYTES of the member
 * which is all of most members. The items say the rest: with score and prefix
 * they are found by one more descent. */
#ifndef LARDER_TIERS_VALUES_ZSET_H
#define LARDER_TIERS_VALUES_ZSET_H

#include "tiers/collection.h"

/* What a new sorted set begins as. */
#define ZSET_KIND_NEW KIND_ZSET_FLAT
#define ZSET_SCORE_BYTES 8
#define ZSET_PREFIX_BYTES 32

/* Scores are never NaN. Minus zero is kept as zero: both are one place in the
 * order. */
void zset_score_write(char *out, double score);
double zset_score_read(const char *at);

/* The score of `member`; false when there is none. */
bool zset_score(struct collection *zset, struct bytes member, double *score);
/* The cursor of zset->seq on the member, or false. */
bool zset_find(
    struct collection *zset, struct bytes member, struct seq_cursor *cursor);

enum zset_change { ZSET_ADDED, ZSET_MOVED, ZSET_SAME };
/* Adds the member or gives it another score. */
enum zset_change zset_set(
    struct collection *zset, struct bytes member, double score);
/* True when the member was there. */
bool zset_remove(struct collection *zset, struct bytes member);
/* Removes the items of ranks first .. first + count - 1. */
void zset_remove_range(struct collection *zset, uint64_t first, uint64_t count);

/* What the item under a cursor of zset->seq says. */
double zset_item(const struct seq_cursor *cursor, struct element *member);
/* The number of items before the first with a score not below `score` (or,
 * when `beyond`, above it). */
uint64_t zset_rank_of_score(struct collection *zset, double score, bool beyond);
/* The same for members, in a set whose scores are all equal: the items before
 * the first member not below `member` (or, when `beyond`, above it). */
uint64_t zset_rank_of_member(
    struct collection *zset, struct bytes member, bool beyond);

/* The member that the item under a cursor of value->index stands for, as a
 * cursor of zset->seq: for ZSCAN. */
void zset_from_index(struct collection *zset, const struct seq_cursor *index,
    struct seq_cursor *cursor);

/* ---- for value.c ---- */

struct value;
/* Makes value->index from its items. */
void zset_build_index(struct value *value, const uint8_t *secret);

#endif
