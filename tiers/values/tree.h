/* The container of large collections: a counted B+tree of items, copied on
 * write.
 *
 *          inner: refs | child, its first prefix, its count of items | ...
 *            |                                  |
 *   leaf: refs | [hashes] | [offsets] | items ... leaf ...
 *
 * - An item is a run of bytes whose layout the tree's shape (shape.h) knows:
 *   `fixed` bytes, then so many elements.
 * - Items are ordered by position alone (lists) or by prefix and then by
 *   bytes (shape.h). Inner nodes keep the prefix of each child's first item,
 *   so that a descent touches one node a level unless prefixes are equal.
 * - Inner nodes keep counts, so that rank -> item and item -> rank take
 *   O(log n).
 * - A leaf takes up to TREE_LEAF_BYTES with all it holds, or has a single
 *   larger item. It is allocated a size class at a time, not for its maximum.
 * - Nodes are reference-counted and never changed while shared. A snapshot
 *   is one more reference to the root; whoever changes the tree then copies
 *   the nodes on its path. `refs` is touched by the engine's thread only, so
 *   another thread may read a snapshot's items while the tree changes.
 *
 * Copy on write in a B-tree: Rodeh, "B-trees, shadowing, and clones" (2008).
 * One thread, but for reading snapshots and for trees not yet shared. */
#ifndef LARDER_TIERS_VALUES_TREE_H
#define LARDER_TIERS_VALUES_TREE_H

#include "tiers/values/shape.h"

#define TREE_LEAF_BYTES 1024
#define TREE_DEPTH_MAX 12

struct tree_node;

/* Caller's memory. Zeroed but for `shape` = an empty tree. */
struct tree {
    const struct shape *shape;
    struct tree_node *root; /* NULL: empty */
    unsigned depth;         /* levels below the root */
    uint64_t count;
    uint64_t item_bytes; /* of all items */
    size_t memory_bytes; /* of all nodes reachable, as malloc counts them */
};

/* A place in a tree: an item, or the end. Good until the tree changes by
 * other means than through this cursor. */
struct tree_cursor {
    struct tree *tree;
    struct tree_node *node[TREE_DEPTH_MAX];
    uint32_t position[TREE_DEPTH_MAX];
};

/* `tree` empty, of that shape (a constant). */
void tree_init(struct tree *tree, const struct shape *shape);
/* A tree with the same content, O(1). Release it like any other. */
void tree_snapshot(const struct tree *tree, struct tree *snapshot);
/* Gives up the content: frees at most `budget` nodes; true when nothing is
 * left and the tree is empty. Call again until then; nothing else may be
 * done with it meanwhile. */
bool tree_release(struct tree *tree, size_t budget);

/* ---- finding ---- */

/* The first item that is not before `sought`; true when it is equal to it.
 * Not for lists. `sought` as in shape_compare; `hash` where the shape has
 * one (shape.h). */
bool tree_seek(struct tree *tree, uint32_t hash, struct bytes sought,
    struct tree_cursor *cursor);
/* The item number `rank` (0 first), or the end for rank >= count. */
void tree_at(struct tree *tree, uint64_t rank, struct tree_cursor *cursor);
/* How many items come before the cursor. */
uint64_t tree_rank(const struct tree_cursor *cursor);
bool tree_cursor_at_end(const struct tree_cursor *cursor);
/* The item under the cursor, which is not at the end. Borrowed until the
 * tree changes. */
struct bytes tree_item(const struct tree_cursor *cursor);
/* The hash it was inserted with (shapes with hashes). */
uint32_t tree_item_hash(const struct tree_cursor *cursor);
/* One on; false when that is the end, and there it stays. */
bool tree_next(struct tree_cursor *cursor);
/* One back, also from the end; false at the first item, where it stays. */
bool tree_prev(struct tree_cursor *cursor);

/* ---- changing: shared nodes on the way are copied ---- */

/* Inserts a copy of `item` before the cursor, which is then on it. The
 * caller says where: tree_seek's answer keeps the order. `item` must not
 * point into the tree. */
void tree_insert(struct tree_cursor *cursor, uint32_t hash, struct bytes item);
/* Removes the item under the cursor, which is then on the next one. Nodes
 * that become small are joined with a neighbour. */
void tree_remove(struct tree_cursor *cursor);
/* Another item of the same place in the order, under the same hash. */
void tree_replace(struct tree_cursor *cursor, struct bytes item);
/* Removes items first .. first + count - 1 by rank, whole subtrees at once
 * where they can be; O(log n + nodes freed). */
void tree_remove_range(struct tree *tree, uint64_t first, uint64_t count);

/* Checks every invariant and counter, aborts on a violation. */
void tree_sane(const struct tree *tree);

#endif
