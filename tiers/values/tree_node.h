/* The nodes of a tree (tree.h); for the tree_*.c files only.
 *
 *   leaf:  header | hashes | [offsets] | -> ...free... <- items, last to first
 *   inner: header | children -> ...free...
 *
 * A node is one allocation of `capacity` bytes, a size class of the allocator,
 * that grows and shrinks with its content. Hashes (32 bits, SHAPE_BY_HASH only)
 * and offsets (16 bits) are in the order of the items, which begin at the
 * node's end: so appending moves no items, and a search finds all that it
 * reads first in the node's first few cache lines. An item's offset is how many
 * bytes of items come before it, plus a number that is the same for all items
 * of the leaf, modulo 2^16: who inserts or removes near the front changes that
 * number instead of all offsets behind. A leaf whose items are all of one size
 * (job ids, numbers, members with a counter) has no offsets, until one of
 * another size comes.
 *
 * Functions that change a node want it unshared (refs 1). Those that may move
 * it take the slot that points at it: the parent's, or the tree's. */
#ifndef LARDER_TIERS_VALUES_TREE_NODE_H
#define LARDER_TIERS_VALUES_TREE_NODE_H

#include "tiers/values/tree.h"

#define TREE_FANOUT 64

struct tree_node {
    uint32_t refs;
    uint16_t count; /* items or children */
    uint8_t level;  /* 0: leaf */
    uint8_t stride; /* leaf: the size of each of its items, and there are no
                       offsets; 0: there are */
    uint32_t bytes; /* leaf: of items */
    uint32_t capacity;
    char data[];
};

struct tree_child {
    struct tree_node *node;
    uint64_t prefix; /* of its first item */
    uint64_t count;  /* of items below it */
};

_Static_assert(sizeof(struct tree_node) % sizeof(struct tree_child *) == 0,
    "children are aligned");

static inline struct tree_child *node_children(const struct tree_node *node)
{
    return (struct tree_child *)(uintptr_t)node->data;
}

static inline size_t leaf_hash_bytes(const struct shape *shape)
{
    return shape->order == SHAPE_BY_HASH ? sizeof(uint32_t) : 0;
}

/* What an item takes beside its bytes in a leaf of that stride. */
static inline size_t leaf_slot_bytes(const struct shape *shape, unsigned stride)
{
    return (stride == 0 ? sizeof(uint16_t) : 0) + leaf_hash_bytes(shape);
}

/* The stride of a leaf with one item of that size. */
static inline unsigned stride_of(size_t size)
{
    return size <= UINT8_MAX ? (unsigned)size : 0;
}

/* The stride of the leaf once items of that stride have joined it. */
static inline unsigned leaf_stride_with(
    const struct tree_node *leaf, unsigned stride)
{
    return leaf->count == 0 || leaf->stride == stride ? stride : 0;
}

static inline uint32_t *leaf_hashes(const struct tree_node *leaf)
{
    return (uint32_t *)(uintptr_t)leaf->data;
}

/* Of a leaf that has them. */
static inline uint16_t *leaf_offsets(
    const struct shape *shape, const struct tree_node *leaf)
{
    return (uint16_t *)((uintptr_t)leaf->data +
                        leaf->count * leaf_hash_bytes(shape));
}

/* The place that `offset` bytes of items reach down to: where the item with
 * this offset ends. */
static inline char *leaf_data(const struct tree_node *leaf, size_t offset)
{
    return (char *)(uintptr_t)leaf + leaf->capacity - offset;
}

/* The bytes of the items before `at`; of all for at == count. */
static inline uint32_t leaf_offset(
    const struct shape *shape, const struct tree_node *leaf, unsigned at)
{
    if (leaf->stride != 0) {
        return at * leaf->stride;
    }
    const uint16_t *offsets = leaf_offsets(shape, leaf);
    return at < leaf->count ? (uint16_t)(offsets[at] - offsets[0])
                            : leaf->bytes;
}

static inline struct bytes leaf_item(
    const struct shape *shape, const struct tree_node *leaf, unsigned at)
{
    uint32_t begin = leaf_offset(shape, leaf, at);
    uint32_t end = leaf_offset(shape, leaf, at + 1);
    return bytes_of(leaf_data(leaf, end), end - begin);
}

static inline uint32_t leaf_hash(
    const struct shape *shape, const struct tree_node *leaf, unsigned at)
{
    return shape->order == SHAPE_BY_HASH ? leaf_hashes(leaf)[at] : 0;
}

static inline uint64_t leaf_prefix(
    const struct shape *shape, const struct tree_node *leaf, unsigned at)
{
    return shape_prefix(
        shape, leaf_hash(shape, leaf, at), leaf_item(shape, leaf, at));
}

/* Bytes of the node in use. */
static inline size_t leaf_used(
    const struct shape *shape, const struct tree_node *leaf)
{
    return sizeof *leaf + leaf->bytes +
           leaf->count * leaf_slot_bytes(shape, leaf->stride);
}

/* True when one more item of `size` bytes may go there: a leaf is at most
 * TREE_LEAF_BYTES with everything, unless it holds a single item. */
static inline bool leaf_fits(
    const struct shape *shape, const struct tree_node *leaf, size_t size)
{
    size_t slot =
        leaf_slot_bytes(shape, leaf_stride_with(leaf, stride_of(size)));
    return leaf->count == 0 ||
           sizeof *leaf + leaf->bytes + size + (leaf->count + 1u) * slot <=
               TREE_LEAF_BYTES;
}

/* The allocation for `size` bytes: 4 classes each time the size doubles. */
size_t node_capacity_for(size_t size);
/* A node without content, one reference, room for `size` bytes. */
struct tree_node *node_create(struct tree *tree, unsigned level, size_t size);
/* Frees the node alone, which no longer holds references to children. */
void node_free(struct tree *tree, struct tree_node *node);
/* Makes the node unshared: a shared one is copied. The node now in `slot`. */
struct tree_node *node_own(struct tree *tree, struct tree_node **slot);
/* Gives up a reference to a shared node whose content was copied: its
 * children have one parent more. */
void node_leave(struct tree *tree, struct tree_node *node);
/* Gives up a reference to a node and all below it. The whole subtree leaves
 * the tree's counters (but `count`), whether it is freed or shared. */
void node_drop(struct tree *tree, struct tree_node *node);
uint64_t node_first_prefix(
    const struct shape *shape, const struct tree_node *node);
/* The sum of the children's counts, or a leaf's. */
uint64_t node_items(const struct tree_node *node);
/* Returns memory that the content has no more use for. */
void node_fit(struct tree *tree, struct tree_node **slot);

/* Puts one item before item `at`. */
void leaf_insert(struct tree *tree, struct tree_node **slot, unsigned at,
    uint32_t hash, struct bytes item);
/* Takes items at .. at + count - 1 out; keeps the memory. */
void leaf_erase(
    struct tree *tree, struct tree_node *leaf, unsigned at, unsigned count);
/* Appends copies of the items from .. behind of `source`. */
void leaf_append(struct tree *tree, struct tree_node **slot,
    const struct tree_node *source, unsigned from);

/* The same for children, whose references move along. */
void inner_insert(struct tree *tree, struct tree_node **slot, unsigned at,
    struct tree_child child);
void inner_erase(struct tree_node *inner, unsigned at, unsigned count);
void inner_append(struct tree *tree, struct tree_node **slot,
    const struct tree_node *source, unsigned from);

/* The slot that holds the node of the cursor's path at `level`. */
struct tree_node **cursor_slot(
    const struct tree_cursor *cursor, unsigned level);
/* Tells the nodes above `level` that the first prefix of the path's node
 * there may be another. */
void cursor_mend_prefix(const struct tree_cursor *cursor, unsigned level);
/* Makes all nodes on the path unshared. */
void cursor_own(struct tree_cursor *cursor);
/* node_fit for the path's node at `level`. */
void cursor_fit(struct tree_cursor *cursor, unsigned level);
/* To the first item of the next leaf; false in the last one, and it stays. */
bool cursor_next_leaf(struct tree_cursor *cursor);
/* After items went from the cursor's leaf: joins the nodes on the path, which
 * is unshared, with neighbours where they have become small or empty, and
 * lowers the tree. The cursor keeps its rank. */
void cursor_settle(struct tree_cursor *cursor);

#endif
