/* Sets: members, one an item (value_shape_set), in a collection opened by
 * collection.h. While all members are integers and few they are kept in
 * ascending order, as Redis' intset answers them. */
#ifndef LARDER_TIERS_VALUES_SET_H
#define LARDER_TIERS_VALUES_SET_H

#include "tiers/collection.h"

/* What a new set of that first member begins as. */
enum kind set_kind_new(struct bytes member);
bool set_has(struct collection *set, struct bytes member);
/* True when the member is new. */
bool set_add(struct collection *set, struct bytes member);
/* True when the member was there. */
bool set_remove(struct collection *set, struct bytes member);
/* The member under a cursor of set->seq. */
static inline void set_member(
    const struct seq_cursor *cursor, struct element *member)
{
    element_read(seq_item(cursor).data, member);
}

#endif
