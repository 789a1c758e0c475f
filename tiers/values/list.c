#include "tiers/values/list.h"

#include <stdlib.h>

/* Larger lists are trees. */
#define LIST_FLAT_BYTES 1024

void list_end(
    struct collection *list, enum list_end end, struct seq_cursor *cursor)
{
    seq_at(
        &list->seq, end == LIST_LEFT ? 0 : collection_count(list) - 1, cursor);
}

/* Turns a flat list that `more` bytes would make too large into a tree. */
static void make_room(
    struct collection *list, struct seq_cursor *cursor, size_t more)
{
    if (list->live == NULL && seq_bytes(&list->seq) + more > LIST_FLAT_BYTES) {
        uint64_t rank = seq_rank(cursor);
        collection_grow(list, KIND_LIST_TREE);
        seq_at(&list->seq, rank, cursor);
    }
}

#define ITEM_STACK_BYTES 256

/* Inserts `text` before the cursor, or puts it in place of what is there. */
static void with_item(struct collection *list, struct seq_cursor *cursor,
    struct bytes text, bool replace)
{
    char small[ITEM_STACK_BYTES];
    size_t bound = ELEMENT_BOUND(text.size);
    char *item = bound <= sizeof small ? small : xmalloc(bound);
    size_t size = element_write(item, text);
    make_room(list, cursor, size);
    if (replace) {
        seq_replace(cursor, bytes_of(item, size));
    } else {
        seq_insert(cursor, bytes_of(item, size));
    }
    if (item != small) {
        free(item);
    }
}

void list_insert(
    struct collection *list, struct seq_cursor *cursor, struct bytes text)
{
    with_item(list, cursor, text, false);
}

void list_replace(
    struct collection *list, struct seq_cursor *cursor, struct bytes text)
{
    with_item(list, cursor, text, true);
}

void list_push(struct collection *list, enum list_end end, struct bytes text)
{
    struct seq_cursor cursor;
    seq_at(&list->seq, end == LIST_LEFT ? 0 : collection_count(list), &cursor);
    with_item(list, &cursor, text, false);
}
