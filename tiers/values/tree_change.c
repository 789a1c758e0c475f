#include "tiers/values/tree_node.h"

/* A leaf of 1 GB: clients' strings are bounded far below. */
#define ITEM_BYTES_MAX (UINT32_MAX / 2)

/* True when nothing in the tree comes behind the path's node at `level - 1`
 * (or before it, for !last). */
static bool path_at_side(
    const struct tree_cursor *cursor, unsigned level, bool last)
{
    for (; level <= cursor->tree->depth; level++) {
        unsigned side = last ? cursor->node[level]->count - 1u : 0;
        if (cursor->position[level] != side) {
            return false;
        }
    }
    return true;
}

static void root_grow(struct tree_cursor *cursor)
{
    struct tree *tree = cursor->tree;
    check(tree->depth + 1 < TREE_DEPTH_MAX);
    struct tree_child child = {
        .node = tree->root,
        .prefix = node_first_prefix(tree->shape, tree->root),
        .count = tree->count,
    };
    struct tree_node *root =
        node_create(tree, tree->depth + 1, 4 * sizeof child);
    inner_insert(tree, &root, 0, child);
    tree->root = root;
    tree->depth++;
    cursor->node[tree->depth] = root;
    cursor->position[tree->depth] = 0;
}

static void path_add_child(struct tree_cursor *cursor, unsigned level,
    unsigned at, struct tree_child child)
{
    struct tree_node **slot = cursor_slot(cursor, level);
    inner_insert(cursor->tree, slot, at, child);
    cursor->node[level] = *slot;
}

/* Moves the right part of an inner node to a new node behind it. At the ends
 * of the tree all but one child stay together: who goes on there leaves full
 * nodes behind. */
static void inner_split(struct tree_cursor *cursor, unsigned level)
{
    struct tree *tree = cursor->tree;
    struct tree_node *node = cursor->node[level];
    unsigned at = node->count / 2u;
    if (path_at_side(cursor, level, true)) {
        at = node->count - 1u;
    } else if (path_at_side(cursor, level, false)) {
        at = 1;
    }
    struct tree_node *right = node_create(
        tree, level, (node->count - at) * sizeof(struct tree_child));
    inner_append(tree, &right, node, at);
    inner_erase(node, at, node->count - at);
    struct tree_child child = {
        .node = right,
        .prefix = node_first_prefix(tree->shape, right),
        .count = node_items(right),
    };
    cursor_fit(cursor, level);
    unsigned place = cursor->position[level + 1];
    node_children(cursor->node[level + 1])[place].count -= child.count;
    path_add_child(cursor, level + 1, place + 1, child);
    if (cursor->position[level] >= at) {
        cursor->position[level] -= at;
        cursor->node[level] = right;
        cursor->position[level + 1]++;
    }
}

/* Makes room for one more child in the path's node at `level`, which comes
 * into being when the root is below it. */
static void path_reserve(struct tree_cursor *cursor, unsigned level)
{
    if (level > cursor->tree->depth) {
        root_grow(cursor);
    } else if (cursor->node[level]->count == TREE_FANOUT) {
        path_reserve(cursor, level + 1);
        inner_split(cursor, level);
    }
}

/* What a leaf at the tree's end is given at once, as it will be filled: more
 * than it needs now, but little beside the rest of the tree. */
static size_t end_leaf_bytes(const struct tree *tree)
{
    size_t spare = tree->memory_bytes / 8;
    size_t most = TREE_LEAF_BYTES - sizeof(struct tree_node);
    return spare < most ? spare : most;
}

/* An empty leaf before or behind the cursor's, which is then there. An item
 * must follow at once. */
static void leaf_add(struct tree_cursor *cursor, bool behind)
{
    struct tree *tree = cursor->tree;
    path_reserve(cursor, 1);
    size_t bytes = path_at_side(cursor, 1, behind) ? end_leaf_bytes(tree) : 0;
    struct tree_child child = {.node = node_create(tree, 0, bytes)};
    cursor->position[1] += behind;
    path_add_child(cursor, 1, cursor->position[1], child);
    cursor->node[0] = child.node;
    cursor->position[0] = 0;
}

/* Moves items at .. to a new leaf behind the cursor's, neither being empty
 * then; the cursor moves along when `follow`. */
static void leaf_split(struct tree_cursor *cursor, unsigned at, bool follow)
{
    struct tree *tree = cursor->tree;
    path_reserve(cursor, 1);
    struct tree_node *leaf = cursor->node[0];
    struct tree_node *right = node_create(tree, 0,
        leaf->bytes - leaf_offset(tree->shape, leaf, at) +
            (leaf->count - at) * leaf_slot_bytes(tree->shape, leaf->stride));
    leaf_append(tree, &right, leaf, at);
    leaf_erase(tree, leaf, at, leaf->count - at);
    struct tree_child child = {
        .node = right,
        .prefix = leaf_prefix(tree->shape, right, 0),
        .count = right->count,
    };
    cursor_fit(cursor, 0);
    unsigned place = cursor->position[1];
    node_children(cursor->node[1])[place].count -= child.count;
    path_add_child(cursor, 1, place + 1, child);
    if (follow) {
        cursor->node[0] = right;
        cursor->position[0] -= at;
        cursor->position[1]++;
    }
}

/* Where to divide a leaf that an item of `size` bytes is to join: at item
 * `at`, the new one going behind it or before it. */
struct cut {
    unsigned at;
    bool follow;
};

/* The division into the most equal parts, neither of them empty: the new item
 * may be one. False when a part is too large for a leaf. */
static bool cut_evenly(
    const struct tree_cursor *cursor, size_t size, struct cut *cut)
{
    const struct shape *shape = cursor->tree->shape;
    const struct tree_node *leaf = cursor->node[0];
    unsigned position = cursor->position[0];
    size_t slot =
        leaf_slot_bytes(shape, leaf_stride_with(leaf, stride_of(size)));
    size_t whole = leaf->bytes + leaf->count * slot + size + slot;
    size_t best = SIZE_MAX;
    /* `parted`: how many items, with the new one, are to be on the left. */
    for (unsigned parted = 1; parted <= leaf->count; parted++) {
        bool follow = parted <= position;
        unsigned at = follow ? parted : parted - 1;
        size_t left = leaf_offset(shape, leaf, at) + at * slot;
        left += follow ? 0 : size + slot;
        size_t larger = left * 2 > whole ? left : whole - left;
        if (larger < best) {
            best = larger;
            *cut = (struct cut){.at = at, .follow = follow};
        }
    }
    return best + sizeof *leaf <= TREE_LEAF_BYTES;
}

/* Divides the cursor's leaf so that an item of `size` bytes has room before
 * the cursor. */
static void leaf_make_room(struct tree_cursor *cursor, size_t size)
{
    const struct tree_node *leaf = cursor->node[0];
    unsigned position = cursor->position[0];
    if (leaf_fits(cursor->tree->shape, leaf, size)) {
        return;
    }
    bool at_side = (position == 0 && path_at_side(cursor, 1, false)) ||
                   (position == leaf->count && path_at_side(cursor, 1, true));
    struct cut cut = {0};
    if (!at_side && cut_evenly(cursor, size, &cut)) {
        if (cut.at > 0 && cut.at < leaf->count) {
            leaf_split(cursor, cut.at, cut.follow);
            return;
        }
    } else if (position > 0 && position < leaf->count) {
        leaf_split(cursor, position, false);
    }
    leaf_add(cursor, position > 0);
}

/* Counts on the path what went into the leaf (+1) or out of it (-1). */
static void path_count(const struct tree_cursor *cursor, uint64_t change)
{
    cursor->tree->count += change;
    for (unsigned level = 1; level <= cursor->tree->depth; level++) {
        unsigned at = cursor->position[level];
        node_children(cursor->node[level])[at].count += change;
    }
}

/* Puts the item before the cursor, on a path that is unshared. */
static void path_put(
    struct tree_cursor *cursor, uint32_t hash, struct bytes item)
{
    struct tree *tree = cursor->tree;
    leaf_make_room(cursor, item.size);
    struct tree_node **slot = cursor_slot(cursor, 0);
    leaf_insert(tree, slot, cursor->position[0], hash, item);
    cursor->node[0] = *slot;
    tree->item_bytes += item.size;
    path_count(cursor, 1);
    if (cursor->position[0] == 0) {
        cursor_mend_prefix(cursor, 0);
    }
}

/* Takes the item under the cursor out, on a path that is unshared. The leaf
 * may be empty then. */
static void path_take(struct tree_cursor *cursor)
{
    struct tree *tree = cursor->tree;
    struct tree_node *leaf = cursor->node[0];
    unsigned at = cursor->position[0];
    tree->item_bytes -= leaf_item(tree->shape, leaf, at).size;
    leaf_erase(tree, leaf, at, 1);
    path_count(cursor, (uint64_t)-1);
    if (at == 0 && leaf->count > 0) {
        cursor_mend_prefix(cursor, 0);
    }
}

void tree_insert(struct tree_cursor *cursor, uint32_t hash, struct bytes item)
{
    struct tree *tree = cursor->tree;
    check(item.size > 0 && item.size <= ITEM_BYTES_MAX);
    if (tree->root == NULL) {
        tree->root = node_create(tree, 0, 0);
        tree_at(tree, 0, cursor);
    }
    cursor_own(cursor);
    path_put(cursor, hash, item);
}

void tree_remove(struct tree_cursor *cursor)
{
    check(!tree_cursor_at_end(cursor));
    cursor_own(cursor);
    path_take(cursor);
    cursor_settle(cursor);
}

void tree_replace(struct tree_cursor *cursor, struct bytes item)
{
    struct bytes old = tree_item(cursor);
    uint32_t hash = tree_item_hash(cursor);
    check(item.size > 0 && item.size <= ITEM_BYTES_MAX);
    cursor_own(cursor);
    if (item.size == old.size) {
        struct bytes place = tree_item(cursor);
        memcpy((char *)(uintptr_t)place.data, item.data, item.size);
        if (cursor->position[0] == 0) {
            cursor_mend_prefix(cursor, 0);
        }
        return;
    }
    path_take(cursor);
    path_put(cursor, hash, item);
    if (item.size < old.size) {
        cursor_settle(cursor);
    }
}
