#include "tiers/values/set.h"

#include <stdlib.h>

/* Larger sets of other things than integers are trees. */
#define SET_FLAT_BYTES 512
#define SET_FLAT_MEMBERS 64

static bool is_integer(struct bytes member, int64_t *value)
{
    return member.size <= 20 && bytes_to_int64(member, value);
}

enum kind set_kind_new(struct bytes member)
{
    int64_t value = 0;
    return is_integer(member, &value) ? KIND_SET_INTEGERS : KIND_SET_FLAT;
}

bool set_has(struct collection *set, struct bytes member)
{
    struct seq_cursor cursor;
    return seq_find(&set->seq, member, &cursor);
}

static int64_t integer_of(struct element *member)
{
    int64_t value = 0;
    if (member->is_integer) {
        return member->integer;
    }
    check(bytes_to_int64(member->raw, &value));
    return value;
}

/* Moves the cursor to the first member that is larger than `value`. */
static void seek_larger(
    struct collection *set, int64_t value, struct seq_cursor *cursor)
{
    struct element member;
    seq_at(&set->seq, 0, cursor);
    while (!seq_at_end(cursor)) {
        set_member(cursor, &member);
        if (integer_of(&member) > value) {
            return;
        }
        seq_next(cursor);
    }
}

/* What the set has to become before `member` is added; true when it has become
 * a tree. */
static bool prepare(struct collection *set, struct bytes member)
{
    int64_t value = 0;
    uint64_t count = collection_count(set);
    if (set->kind == KIND_SET_INTEGERS) {
        bool stays = is_integer(member, &value) &&
                     count < collection_limits(set)->set_max_intset_entries &&
                     seq_bytes(&set->seq) < SEQ_FLAT_MAX_BYTES - 64;
        set->kind = stays ? KIND_SET_INTEGERS : KIND_SET_FLAT;
    }
    if (set->kind == KIND_SET_FLAT &&
        (count >= SET_FLAT_MEMBERS ||
            seq_bytes(&set->seq) + member.size > SET_FLAT_BYTES)) {
        collection_grow(set, KIND_SET_TREE);
        return true;
    }
    return false;
}

#define ITEM_STACK_BYTES 256

/* `item` is the member's; the cursor is where seq_find_key has ended. */
static void insert(struct collection *set, struct bytes member,
    struct bytes item, struct seq_cursor *cursor)
{
    int64_t value = 0;
    if (prepare(set, member)) {
        seq_find_key(&set->seq, member, item, cursor);
    } else if (set->kind == KIND_SET_INTEGERS && is_integer(member, &value)) {
        seek_larger(set, value, cursor);
    }
    seq_insert(cursor, item);
}

bool set_add(struct collection *set, struct bytes member)
{
    char small[ITEM_STACK_BYTES];
    struct seq_cursor cursor;
    bool fits = ELEMENT_BOUND(member.size) <= sizeof small;
    char *data = fits ? small : xmalloc(ELEMENT_BOUND(member.size));
    struct bytes item = bytes_of(data, element_write(data, member));
    bool found = seq_find_key(&set->seq, member, item, &cursor);
    if (!found) {
        insert(set, member, item, &cursor);
    }
    if (!fits) {
        free(data);
    }
    return !found;
}

bool set_remove(struct collection *set, struct bytes member)
{
    struct seq_cursor cursor;
    if (!seq_find(&set->seq, member, &cursor)) {
        return false;
    }
    seq_remove(&cursor);
    return true;
}
