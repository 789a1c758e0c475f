/* Lists: elements in their order, one an item (value_shape_list), in a
 * collection opened by collection.h. */
#ifndef LARDER_TIERS_VALUES_LIST_H
#define LARDER_TIERS_VALUES_LIST_H

#include "tiers/collection.h"

/* What a new list begins as. */
#define LIST_KIND_NEW KIND_LIST_FLAT

enum list_end { LIST_LEFT, LIST_RIGHT };

/* Adds `text` at one end. */
void list_push(struct collection *list, enum list_end end, struct bytes text);
/* Adds it before the cursor of list->seq, which is no longer good. */
void list_insert(
    struct collection *list, struct seq_cursor *cursor, struct bytes text);
/* Puts it in the place of the element under the cursor, likewise. */
void list_replace(
    struct collection *list, struct seq_cursor *cursor, struct bytes text);
/* The cursor on the element at that end of a list that is not empty. */
void list_end(
    struct collection *list, enum list_end end, struct seq_cursor *cursor);
/* The element under a cursor of list->seq. */
static inline void list_element(
    const struct seq_cursor *cursor, struct element *element)
{
    element_read(seq_item(cursor).data, element);
}

#endif
