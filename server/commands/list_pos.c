/* LPOS. */
#include "server/commands/list.h"

struct search {
    int64_t rank;   /* the how manieth match is the first; negative: from the
                       end */
    int64_t count;  /* matches wanted, 0: all; -1: one, not in an array */
    int64_t maxlen; /* elements looked at, 0: all */
};

static bool option(struct request *request, int index, struct search *search)
{
    int64_t value = 0;
    if (arg_is(request, index, "rank")) {
        if (!arg_int64(request, index + 1, &search->rank)) {
            return false;
        }
        if (search->rank == 0) {
            reply_error(request->reply,
                "ERR RANK can't be zero: use 1 to start from the first match, "
                "2 from the second ... or use negative to start from the end "
                "of the list");
        }
        return search->rank != 0;
    }
    bool is_count = arg_is(request, index, "count");
    if (!is_count && !arg_is(request, index, "maxlen")) {
        error_syntax(request);
        return false;
    }
    if (!bytes_to_int64(request->argv[index + 1], &value) || value < 0) {
        reply_error(request->reply, "ERR %s can't be negative",
            is_count ? "COUNT" : "MAXLEN");
        return false;
    }
    *(is_count ? &search->count : &search->maxlen) = value;
    return true;
}

static bool parse(struct request *request, struct search *search)
{
    *search = (struct search){.rank = 1, .count = -1};
    for (int i = 3; i < request->argc; i += 2) {
        if (i + 1 == request->argc) {
            error_syntax(request);
            return false;
        }
        if (!option(request, i, search)) {
            return false;
        }
    }
    return true;
}

/* Answers the positions that match; how many. */
static uint64_t find(struct request *request, struct collection *list,
    const struct search *search)
{
    struct bytes text = request->argv[2];
    char *data = scratch_alloc(request->scratch, ELEMENT_BOUND(text.size));
    struct bytes item = bytes_of(data, element_write(data, text));
    bool backwards = search->rank < 0;
    uint64_t size = collection_count(list);
    /* The lowest number has no opposite: Redis takes every match then. */
    bool lowest = search->rank == INT64_MIN;
    uint64_t skip =
        lowest ? 0 : (uint64_t)(backwards ? -search->rank : search->rank) - 1;
    uint64_t wanted = search->count < 0 ? 1 : (uint64_t)search->count;
    uint64_t look = search->maxlen == 0 || (uint64_t)search->maxlen > size
                        ? size
                        : (uint64_t)search->maxlen;
    uint64_t found = 0;
    struct seq_cursor cursor;
    seq_at(&list->seq, backwards ? size - 1 : 0, &cursor);
    for (uint64_t i = 0; i < look && (wanted == 0 || found < wanted); i++) {
        if (bytes_equal(seq_item(&cursor), item)) {
            if (skip > 0) {
                skip--;
            } else {
                reply_integer(
                    request->reply, (int64_t)(backwards ? size - 1 - i : i));
                found++;
            }
        }
        if (backwards) {
            seq_prev(&cursor);
        } else {
            seq_next(&cursor);
        }
    }
    return found;
}

void cmd_lpos(struct request *request)
{
    struct collection list;
    struct search search;
    if (!parse(request, &search)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_LIST, &list);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (search.count < 0) {
        if (open == TYPED_ABSENT || find(request, &list, &search) == 0) {
            reply_null(request->reply);
        }
        return;
    }
    size_t mark = reply_begin(request->reply);
    uint64_t found = open == TYPED_OPEN ? find(request, &list, &search) : 0;
    reply_end(request->reply, mark, REPLY_ARRAY, found);
}
