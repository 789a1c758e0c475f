/* A sequence: the items of one collection, in a flat run while they are few
 * and in a tree when they are many, behind one interface. The value types
 * (hash.c, list.c, ...) are written once, against this.
 *
 * A flat run is the items one behind the other, in insertion order for
 * SHAPE_BY_HASH (found by looking at each), else in the shape's order. It is
 * at most SEQ_FLAT_MAX_BYTES long. One thread. */
#ifndef LARDER_TIERS_VALUES_SEQ_H
#define LARDER_TIERS_VALUES_SEQ_H

#include "tiers/values/tree.h"

#define SEQ_FLAT_MAX_BYTES ((size_t)64000)

struct seq {
    const struct shape *shape;
    struct tree *tree; /* borrowed; NULL: flat */
    /* Flat: the items; writable only between seq_open_copy and whatever takes
     * the buffer away. */
    char *data;
    size_t size, capacity;
    uint64_t count;
    const uint8_t *secret; /* of the hashes, INDEX_SECRET_BYTES; borrowed */
};

#define SEQ_BACK_ITEMS 32

struct seq_cursor {
    struct seq *seq;
    uint32_t hash; /* of what was sought: SHAPE_BY_HASH, in a tree */
    union {
        struct tree_cursor tree;
        struct {
            uint32_t at, end; /* offsets of the item */
            /* Where the items before `at` begin, nearest last: filled when
             * somebody walks backwards. */
            uint16_t back[SEQ_BACK_ITEMS];
            unsigned back_count;
        } flat;
    };
};

/* `items` are trusted bytes of `count` items; borrowed, for reading. */
void seq_open_flat(struct seq *seq, const struct shape *shape,
    struct bytes items, uint64_t count, const uint8_t *secret);
void seq_open_tree(struct seq *seq, struct tree *tree, const uint8_t *secret);
/* Flat, for writing: a copy in heap memory with SEQ_HEADROOM free bytes
 * before it. Freed by seq_close. */
#define SEQ_HEADROOM ELEMENT_HEAD_MAX
void seq_open_copy(struct seq *seq, const struct shape *shape,
    struct bytes items, uint64_t count, const uint8_t *secret);
/* Frees what seq_open_copy made; no-op for the others. */
void seq_close(struct seq *seq);

uint64_t seq_count(const struct seq *seq);
/* Bytes of all items. */
uint64_t seq_bytes(const struct seq *seq);

/* As tree_seek. In a flat run of SHAPE_BY_HASH: the item of that key, or the
 * end. */
bool seq_seek(struct seq *seq, uint32_t hash, struct bytes sought,
    struct seq_cursor *cursor);
/* Finds the member `text` in a sequence of SHAPE_BY_HASH; the cursor is where
 * it is or belongs. */
bool seq_find(struct seq *seq, struct bytes text, struct seq_cursor *cursor);
/* The same for who has the member's key (shape.h) already. */
bool seq_find_key(struct seq *seq, struct bytes text, struct bytes key,
    struct seq_cursor *cursor);
/* As tree_at: the end for rank >= count. */
void seq_at(struct seq *seq, uint64_t rank, struct seq_cursor *cursor);
uint64_t seq_rank(const struct seq_cursor *cursor);
bool seq_at_end(const struct seq_cursor *cursor);
/* The item under the cursor, borrowed until the sequence changes. */
struct bytes seq_item(const struct seq_cursor *cursor);
bool seq_next(struct seq_cursor *cursor);
bool seq_prev(struct seq_cursor *cursor);

/* ---- changing (as in tree.h) ---- */

/* Before the cursor. SHAPE_BY_HASH, in a tree: the cursor is where seq_find
 * or seq_find_key of the item's member has put it. */
void seq_insert(struct seq_cursor *cursor, struct bytes item);
void seq_remove(struct seq_cursor *cursor);
void seq_replace(struct seq_cursor *cursor, struct bytes item);
void seq_remove_range(struct seq *seq, uint64_t first, uint64_t count);

/* Moves the items of a flat sequence into the empty `tree`, of which it is a
 * view from then on. */
void seq_to_tree(struct seq *seq, struct tree *tree);

#endif
