#include "tiers/values/tree_node.h"

/* Nodes that are less than half full are joined with a neighbour when both
 * fill three quarters of one at most: so a node that was just joined takes
 * many changes before it is divided again. */

/* How full a node is, of `*most`, its items taking `slot` more each. */
static size_t fill_with(const struct tree_node *node, size_t slot, size_t *most)
{
    if (node->level > 0) {
        *most = TREE_FANOUT;
        return node->count;
    }
    *most = TREE_LEAF_BYTES - sizeof *node;
    return node->bytes + node->count * slot;
}

static size_t node_fill(
    const struct shape *shape, const struct tree_node *node, size_t *most)
{
    return fill_with(node, leaf_slot_bytes(shape, node->stride), most);
}

/* True when the child `at` and the next one should be one node. */
static bool pair_is_small(
    const struct shape *shape, const struct tree_node *parent, unsigned at)
{
    const struct tree_child *children = node_children(parent);
    const struct tree_node *first = children[at].node;
    const struct tree_node *second = children[at + 1].node;
    size_t slot =
        leaf_slot_bytes(shape, leaf_stride_with(first, second->stride));
    size_t most;
    size_t left = fill_with(first, slot, &most);
    size_t right = fill_with(second, slot, &most);
    return (left + right) * 4 <= most * 3;
}

/* Finds a neighbour for the path's node at `level`: `*left` is the position
 * of the left one of the two. */
static bool find_partner(
    const struct tree_cursor *cursor, unsigned level, unsigned *left)
{
    const struct shape *shape = cursor->tree->shape;
    size_t most;
    size_t fill = node_fill(shape, cursor->node[level], &most);
    if (level == cursor->tree->depth || fill * 2 >= most) {
        return false;
    }
    const struct tree_node *parent = cursor->node[level + 1];
    unsigned at = cursor->position[level + 1];
    *left = at > 0 ? at - 1 : 0;
    if (at > 0 && pair_is_small(shape, parent, at - 1)) {
        return true;
    }
    *left = at;
    return at + 1 < parent->count && pair_is_small(shape, parent, at);
}

/* Moves the content of child at + 1 into child `at`. The right one may be
 * shared: then it is copied from, and its children have one more parent. */
static void join_pair(struct tree *tree, struct tree_node *parent, unsigned at)
{
    struct tree_child *children = node_children(parent);
    struct tree_node *right = children[at + 1].node;
    struct tree_node *left = node_own(tree, &children[at].node);
    if (left->level == 0) {
        leaf_append(tree, &children[at].node, right, 0);
    } else {
        inner_append(tree, &children[at].node, right, 0);
    }
    if (right->refs == 1) {
        node_free(tree, right);
    } else {
        node_leave(tree, right);
    }
    children[at].count += children[at + 1].count;
    inner_erase(parent, at + 1, 1);
}

/* Takes the path's node at `level`, which is empty, out of its parent. */
static void prune(struct tree_cursor *cursor, unsigned level)
{
    struct tree_node *parent = cursor->node[level + 1];
    unsigned at = cursor->position[level + 1];
    node_free(cursor->tree, cursor->node[level]);
    inner_erase(parent, at, 1);
    if (at == 0 && parent->count > 0) {
        cursor_mend_prefix(cursor, level + 1);
    }
}

/* Removes what the root needs no more: all, or levels of one child. */
static void root_shrink(struct tree *tree)
{
    struct tree_node *root = tree->root;
    while (root->level > 0 && root->count == 1) {
        root = node_own(tree, &tree->root);
        tree->root = node_children(root)[0].node;
        tree->depth--;
        node_free(tree, root);
        root = tree->root;
    }
    if (root->count == 0) {
        node_free(tree, root);
        tree->root = NULL;
        tree->depth = 0;
    }
}

/* The path's nodes from the leaf up. Of the cursor only the nodes above the
 * last change are good then. */
static void settle_path(struct tree_cursor *cursor)
{
    struct tree *tree = cursor->tree;
    for (unsigned level = 0; level < tree->depth; level++) {
        unsigned left;
        if (cursor->node[level]->count == 0) {
            prune(cursor, level);
        } else if (find_partner(cursor, level, &left)) {
            join_pair(tree, cursor->node[level + 1], left);
        }
        cursor_fit(cursor, level + 1);
    }
    root_shrink(tree);
}

void cursor_settle(struct tree_cursor *cursor)
{
    unsigned left;
    if (cursor->node[0]->count == 0 || find_partner(cursor, 0, &left)) {
        uint64_t rank = tree_rank(cursor);
        settle_path(cursor);
        tree_at(cursor->tree, rank, cursor);
        return;
    }
    cursor_fit(cursor, 0);
    if (tree_cursor_at_end(cursor)) {
        cursor_next_leaf(cursor);
    }
}

/* ---- ranges ---- */

static void leaf_cut_range(
    struct tree *tree, struct tree_node **slot, unsigned first, unsigned count)
{
    tree->item_bytes -= leaf_offset(tree->shape, *slot, first + count) -
                        leaf_offset(tree->shape, *slot, first);
    leaf_erase(tree, *slot, first, count);
    node_fit(tree, slot);
}

/* Removes items from below a node, but not all of them. */
static void cut_range(
    struct tree *tree, struct tree_node **slot, uint64_t first, uint64_t count)
{
    struct tree_node *node = node_own(tree, slot);
    if (node->level == 0) {
        leaf_cut_range(tree, slot, (unsigned)first, (unsigned)count);
        return;
    }
    struct tree_child *child = node_children(node);
    for (; first >= child->count; child++) {
        first -= child->count;
    }
    const struct tree_child *gone = child;
    unsigned gone_count = 0;
    for (; count > 0; child++, first = 0) {
        uint64_t most = child->count - first;
        uint64_t take = count < most ? count : most;
        count -= take;
        if (take == child->count) {
            gone = gone_count++ == 0 ? child : gone;
            node_drop(tree, child->node);
            continue;
        }
        cut_range(tree, &child->node, first, take);
        child->count -= take;
        child->prefix = node_first_prefix(tree->shape, child->node);
    }
    inner_erase(node, (unsigned)(gone - node_children(node)), gone_count);
    node_fit(tree, slot);
}

static void settle_at(struct tree *tree, uint64_t rank)
{
    struct tree_cursor cursor;
    tree_at(tree, rank, &cursor);
    cursor_own(&cursor);
    settle_path(&cursor);
}

void tree_remove_range(struct tree *tree, uint64_t first, uint64_t count)
{
    uint64_t most = first < tree->count ? tree->count - first : 0;
    count = count < most ? count : most;
    if (count == 0) {
        return;
    }
    if (count == tree->count) {
        node_drop(tree, tree->root);
        check(tree->memory_bytes == 0 && tree->item_bytes == 0);
        tree_init(tree, tree->shape);
        return;
    }
    cut_range(tree, &tree->root, first, count);
    tree->count -= count;
    /* Both sides of the gap have become small, perhaps. */
    settle_at(tree, first);
    if (first > 0) {
        settle_at(tree, first - 1);
    }
}
