/* HRANDFIELD. */
#include "server/commands/typed.h"
#include "tiers/values/hash.h"

static void reply_rank(
    struct request *request, struct collection *hash, uint64_t rank, bool pairs)
{
    struct seq_cursor cursor;
    struct element field, value;
    seq_at(&hash->seq, rank, &cursor);
    hash_pair(&cursor, &field, &value);
    if (pairs && request->reply->version > 2) {
        reply_array(request->reply, 2);
    }
    typed_reply(request, &field);
    if (pairs) {
        typed_reply(request, &value);
    }
}

static void reply_one(struct request *request)
{
    struct collection hash;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    } else if (open == TYPED_OPEN) {
        uint64_t rank = collection_random(&hash) % collection_count(&hash);
        reply_rank(request, &hash, rank, false);
    }
}

void cmd_hrandfield(struct request *request)
{
    struct collection hash;
    int64_t count = 0;
    if (request->argc == 2) {
        reply_one(request);
        return;
    }
    if (!typed_random_count(request, 2, &count)) {
        return;
    }
    bool pairs = request->argc == 4 && arg_is(request, 3, "withvalues");
    if (request->argc > 4 || (request->argc == 4 && !pairs)) {
        error_syntax(request);
        return;
    }
    if (pairs && (count > INT64_MAX / 2 || count < -INT64_MAX / 2)) {
        reply_error(request->reply, "ERR value is out of range");
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open != TYPED_OPEN || count == 0) {
        if (open != TYPED_REFUSED) {
            reply_array(request->reply, 0);
        }
        return;
    }
    if (!typed_random_allowed(request, count)) {
        return;
    }
    uint64_t size = collection_count(&hash);
    uint64_t picks = (uint64_t)(count < 0 ? -count : count);
    bool all = count > 0 && picks >= size;
    picks = all ? size : picks;
    const uint64_t *ranks =
        all ? NULL : typed_random_ranks(request, &hash, picks, count < 0);
    bool nested = pairs && request->reply->version > 2;
    reply_array(request->reply, nested || !pairs ? picks : picks * 2);
    for (uint64_t i = 0; i < picks; i++) {
        reply_rank(request, &hash, all ? i : ranks[i], pairs);
    }
}
