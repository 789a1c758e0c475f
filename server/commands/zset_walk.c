/* ZSCAN and ZRANDMEMBER. */
#include "protocol/number.h"
#include "server/commands/zset.h"

static void reply_scanned(
    struct request *request, const struct seq_cursor *cursor)
{
    struct element member;
    char text[NUMBER_DOUBLE_MAX_BYTES];
    double score = zset_item(cursor, &member);
    typed_reply(request, &member);
    reply_bulk(
        request->reply, bytes_of(text, number_format_double(text, score)));
}

/* Large sets are walked in the order of the index, which stays what it is
 * whatever the scores become. */
static size_t reply_step(struct request *request, struct collection *zset,
    const struct typed_scan *scan, struct seq_cursor *at, uint64_t visits)
{
    size_t found = 0;
    for (; visits > 0; visits--, seq_next(at)) {
        struct seq_cursor item = *at;
        struct element member;
        if (zset->live != NULL) {
            zset_from_index(zset, at, &item);
        }
        zset_item(&item, &member);
        if (typed_scan_matches(scan, &member)) {
            reply_scanned(request, &item);
            found += 2;
        }
    }
    return found;
}

void cmd_zscan(struct request *request)
{
    struct collection zset;
    struct typed_scan scan;
    if (!typed_scan_cursor(request, &scan)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_ABSENT) {
        typed_scan_empty(request);
    }
    if (open != TYPED_OPEN || !typed_scan_options(request, &scan)) {
        return;
    }
    struct seq walked = zset.seq;
    if (zset.live != NULL) {
        seq_open_tree(&walked, &zset.live->index, zset.seq.secret);
    }
    struct seq_cursor cursor;
    uint64_t visits = 0;
    uint64_t next = typed_scan_step(&walked, &scan, &cursor, &visits);
    reply_array(request->reply, 2);
    reply_bulk_format(request->reply, "%llu", (unsigned long long)next);
    size_t mark = reply_begin(request->reply);
    size_t found = reply_step(request, &zset, &scan, &cursor, visits);
    reply_end(request->reply, mark, REPLY_ARRAY, found);
}

static void reply_picked(struct request *request, struct collection *zset,
    uint64_t rank, bool scores)
{
    struct seq_cursor cursor;
    struct element member;
    seq_at(&zset->seq, rank, &cursor);
    double score = zset_item(&cursor, &member);
    if (scores && request->reply->version > 2) {
        reply_array(request->reply, 2);
    }
    typed_reply(request, &member);
    if (scores) {
        reply_double(request->reply, score);
    }
}

static void reply_many(struct request *request, int64_t count, bool scores)
{
    struct collection zset;
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_ABSENT || (open == TYPED_OPEN && count == 0)) {
        reply_array(request->reply, 0);
        return;
    }
    if (open != TYPED_OPEN || !typed_random_allowed(request, count)) {
        return;
    }
    uint64_t size = collection_count(&zset);
    uint64_t picks = (uint64_t)(count < 0 ? -count : count);
    bool all = count > 0 && picks >= size;
    picks = all ? size : picks;
    const uint64_t *ranks =
        all ? NULL : typed_random_ranks(request, &zset, picks, count < 0);
    bool flat = scores && request->reply->version == 2;
    reply_array(request->reply, flat ? picks * 2 : picks);
    for (uint64_t i = 0; i < picks; i++) {
        reply_picked(request, &zset, all ? i : ranks[i], scores);
    }
}

void cmd_zrandmember(struct request *request)
{
    struct collection zset;
    int64_t count = 0;
    if (request->argc > 2) {
        bool scores = request->argc == 4 && arg_is(request, 3, "withscores");
        if (!typed_random_count(request, 2, &count)) {
            return;
        }
        if (request->argc > 4 || (request->argc == 4 && !scores)) {
            error_syntax(request);
        } else if (scores &&
                   (count > INT64_MAX / 2 || count < -INT64_MAX / 2)) {
            reply_error(request->reply, "ERR value is out of range");
        } else {
            reply_many(request, count, scores);
        }
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    } else if (open == TYPED_OPEN) {
        uint64_t rank = collection_random(&zset) % collection_count(&zset);
        reply_picked(request, &zset, rank, false);
    }
}
