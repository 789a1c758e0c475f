/* Lists: elements looked at and changed where they are. */
#include "server/commands/list.h"

void cmd_llen(struct request *request)
{
    struct collection list;
    enum typed_open open = typed_read(request, 1, TYPE_LIST, &list);
    if (open != TYPED_REFUSED) {
        reply_integer(request->reply,
            open == TYPED_OPEN ? (int64_t)collection_count(&list) : 0);
    }
}

/* From an index that counts from the end when it is negative to a rank; false
 * when it is outside. */
static bool rank_of(
    const struct collection *list, int64_t index, uint64_t *rank)
{
    int64_t count = (int64_t)collection_count(list);
    index = index < 0 ? index + count : index;
    *rank = (uint64_t)index;
    return index >= 0 && index < count;
}

void cmd_lindex(struct request *request)
{
    struct collection list;
    struct seq_cursor cursor;
    struct element element;
    int64_t index = 0;
    uint64_t rank = 0;
    enum typed_open open = typed_read(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    }
    if (open != TYPED_OPEN || !arg_int64(request, 2, &index)) {
        return;
    }
    if (!rank_of(&list, index, &rank)) {
        reply_null(request->reply);
        return;
    }
    seq_at(&list.seq, rank, &cursor);
    list_element(&cursor, &element);
    typed_reply(request, &element);
}

void cmd_lset(struct request *request)
{
    struct collection list;
    struct seq_cursor cursor;
    int64_t index = 0;
    uint64_t rank = 0;
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_error(request->reply, "ERR no such key");
    }
    if (open != TYPED_OPEN) {
        return;
    }
    bool good = arg_int64(request, 2, &index);
    bool inside = good && rank_of(&list, index, &rank);
    if (inside) {
        seq_at(&list.seq, rank, &cursor);
        list_replace(&list, &cursor, request->argv[3]);
        reply_ok(request->reply);
    } else if (good) {
        reply_error(request->reply, "ERR index out of range");
    }
    typed_end(request, &list, inside, "lset");
}

/* Start and end as LRANGE and LTRIM take them to a first rank and a count. */
static uint64_t range_of(
    const struct collection *list, int64_t start, int64_t end, uint64_t *first)
{
    int64_t size = (int64_t)collection_count(list);
    start = start < 0 ? start + size : start;
    end = end < 0 ? end + size : end;
    start = start < 0 ? 0 : start;
    end = end >= size ? size - 1 : end;
    *first = (uint64_t)start;
    return start > end || start >= size ? 0 : (uint64_t)(end - start) + 1;
}

void cmd_lrange(struct request *request)
{
    struct collection list;
    int64_t start = 0, end = 0;
    uint64_t first = 0;
    if (!arg_int64(request, 2, &start) || !arg_int64(request, 3, &end)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_LIST, &list);
    if (open == TYPED_REFUSED) {
        return;
    }
    uint64_t count =
        open == TYPED_OPEN ? range_of(&list, start, end, &first) : 0;
    reply_array(request->reply, count);
    if (count > 0) {
        list_reply_range(request, &list, first, count, false);
    }
}

void cmd_ltrim(struct request *request)
{
    struct collection list;
    struct bytes key = request->argv[1];
    int64_t start = 0, end = 0;
    uint64_t first = 0;
    if (!arg_int64(request, 2, &start) || !arg_int64(request, 3, &end)) {
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_REFUSED) {
        return;
    }
    reply_ok(request->reply);
    if (open == TYPED_ABSENT) {
        return;
    }
    uint64_t size = collection_count(&list);
    uint64_t count = range_of(&list, start, end, &first);
    first = count == 0 ? size : first;
    seq_remove_range(&list.seq, first + count, size - first - count);
    seq_remove_range(&list.seq, 0, first);
    typed_end(request, &list, size - count, "ltrim");
    if (count == size) {
        /* Redis tells of it all the same. */
        keyspace_changed(request, key);
        keyspace_event(request, KEYSPACE_LIST, "ltrim", key);
    }
}

/* ---- by content ---- */

/* An element as it is kept, to compare items with: in the request's scratch
 * memory. */
static struct bytes item_of(struct request *request, struct bytes text)
{
    char *item = scratch_alloc(request->scratch, ELEMENT_BOUND(text.size));
    return bytes_of(item, element_write(item, text));
}

void cmd_linsert(struct request *request)
{
    struct collection list;
    struct seq_cursor cursor;
    bool after = arg_is(request, 2, "after");
    if (!after && !arg_is(request, 2, "before")) {
        error_syntax(request);
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_integer(request->reply, 0);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    struct bytes pivot = item_of(request, request->argv[3]);
    seq_at(&list.seq, 0, &cursor);
    while (!seq_at_end(&cursor) && !bytes_equal(seq_item(&cursor), pivot)) {
        seq_next(&cursor);
    }
    bool found = !seq_at_end(&cursor);
    if (found) {
        if (after) {
            seq_next(&cursor);
        }
        list_insert(&list, &cursor, request->argv[4]);
    }
    reply_integer(
        request->reply, found ? (int64_t)collection_count(&list) : -1);
    typed_end(request, &list, found, "linsert");
}

/* Removes up to `most` (0: all) elements equal to `item`, from the left. */
static uint64_t remove_forwards(
    struct collection *list, struct bytes item, uint64_t most)
{
    struct seq_cursor cursor;
    uint64_t removed = 0;
    seq_at(&list->seq, 0, &cursor);
    while (!seq_at_end(&cursor) && (most == 0 || removed < most)) {
        if (bytes_equal(seq_item(&cursor), item)) {
            seq_remove(&cursor);
            removed++;
        } else {
            seq_next(&cursor);
        }
    }
    return removed;
}

static uint64_t remove_backwards(
    struct collection *list, struct bytes item, uint64_t most)
{
    struct seq_cursor cursor;
    uint64_t removed = 0;
    seq_at(&list->seq, collection_count(list), &cursor);
    while (removed < most && seq_prev(&cursor)) {
        if (bytes_equal(seq_item(&cursor), item)) {
            /* The cursor is on the next one then, from where one back is the
             * one before. */
            seq_remove(&cursor);
            removed++;
        }
    }
    return removed;
}

void cmd_lrem(struct request *request)
{
    struct collection list;
    int64_t count = 0;
    if (!arg_int64(request, 2, &count)) {
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_integer(request->reply, 0);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    struct bytes item = item_of(request, request->argv[3]);
    uint64_t removed = count >= 0
                           ? remove_forwards(&list, item, (uint64_t)count)
                           : remove_backwards(&list, item, 0 - (uint64_t)count);
    typed_end(request, &list, removed, "lrem");
    reply_integer(request->reply, (int64_t)removed);
}
