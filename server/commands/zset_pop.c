/* Members with the lowest or the highest scores: ZPOPMIN, ZPOPMAX, ZMPOP, and
 * those that wait for some. */
#include "server/commands/pop_keys.h"
#include "server/commands/zset.h"

/* The ranks of the `wanted` members of one end. */
static uint64_t end_ranks(
    struct collection *zset, bool max, uint64_t wanted, uint64_t *first)
{
    uint64_t size = collection_count(zset);
    uint64_t count = wanted < size ? wanted : size;
    *first = max ? size - count : 0;
    return count;
}

static void remove_ranks(struct request *request, struct collection *zset,
    bool max, uint64_t first, uint64_t count)
{
    zset_remove_range(zset, first, count);
    typed_end(request, zset, count, max ? "zpopmax" : "zpopmin");
}

/* Answers and removes the member at one end, in two words. */
static void pop_one(struct request *request, struct collection *zset, bool max)
{
    struct seq_cursor cursor;
    struct element member;
    uint64_t first = 0;
    end_ranks(zset, max, 1, &first);
    seq_at(&zset->seq, first, &cursor);
    double score = zset_item(&cursor, &member);
    typed_reply(request, &member);
    reply_double(request->reply, score);
    remove_ranks(request, zset, max, first, 1);
}

/* ---- ZPOPMIN, ZPOPMAX ---- */

static void pop(struct request *request, bool max)
{
    struct collection zset;
    struct zset_range range = {.reverse = max, .with_scores = true};
    int64_t wanted = 1;
    if (request->argc > 3) {
        error_syntax(request);
        return;
    }
    if (request->argc == 3 && !arg_count(request, 2, &wanted)) {
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_ABSENT) {
        reply_array(request->reply, 0);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    if (request->argc == 2) {
        reply_array(request->reply, 2);
        pop_one(request, &zset, max);
        return;
    }
    uint64_t first = 0;
    uint64_t count = end_ranks(&zset, max, (uint64_t)wanted, &first);
    zset_reply_range(request, &zset, &range, first, count);
    remove_ranks(request, &zset, max, first, count);
}

void cmd_zpopmin(struct request *request)
{
    pop(request, false);
}

void cmd_zpopmax(struct request *request)
{
    pop(request, true);
}

/* ---- ZMPOP, BZMPOP ---- */

static bool pop_several(
    struct request *request, int key, const struct pop_keys *keys)
{
    struct collection zset;
    struct zset_range range = {
        .reverse = keys->from_end, .with_scores = true, .pairs = true};
    uint64_t first = 0;
    enum typed_open open = typed_write_existing(request, key, TYPE_ZSET, &zset);
    if (open != TYPED_OPEN) {
        return open == TYPED_REFUSED;
    }
    uint64_t count =
        end_ranks(&zset, keys->from_end, (uint64_t)keys->count, &first);
    reply_array(request->reply, 2);
    reply_bulk(request->reply, request->argv[key]);
    zset_reply_range(request, &zset, &range, first, count);
    remove_ranks(request, &zset, keys->from_end, first, count);
    return true;
}

void cmd_zmpop(struct request *request)
{
    struct pop_keys keys;
    if (pop_keys_parse(request, 1, "min", "max", &keys)) {
        pop_keys_now(request, &keys, pop_several);
    }
}

void cmd_bzmpop(struct request *request)
{
    struct pop_keys keys;
    if (pop_keys_parse(request, 2, "min", "max", &keys)) {
        pop_keys_or_wait(request, &keys, pop_several, TYPE_ZSET, 1);
    }
}

/* ---- BZPOPMIN, BZPOPMAX ---- */

static bool pop_named(
    struct request *request, int key, const struct pop_keys *keys)
{
    struct collection zset;
    enum typed_open open = typed_write_existing(request, key, TYPE_ZSET, &zset);
    if (open != TYPED_OPEN) {
        return open == TYPED_REFUSED;
    }
    reply_array(request->reply, 3);
    reply_bulk(request->reply, request->argv[key]);
    pop_one(request, &zset, keys->from_end);
    return true;
}

static void pop_or_wait(struct request *request, bool max)
{
    int last = request->argc - 1;
    struct pop_keys keys = {
        .first_key = 1, .last_key = last - 1, .from_end = max, .count = 1};
    pop_keys_or_wait(request, &keys, pop_named, TYPE_ZSET, last);
}

void cmd_bzpopmin(struct request *request)
{
    pop_or_wait(request, false);
}

void cmd_bzpopmax(struct request *request)
{
    pop_or_wait(request, true);
}
