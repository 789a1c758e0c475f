#include "tiers/values/tree_node.h"

/* node[0] of a cursor is the leaf, node[depth] the root: adding a level above
 * the root moves nothing. At the end it is in the last leaf, behind its last
 * item; in an empty tree node[0] is NULL. */

void tree_init(struct tree *tree, const struct shape *shape)
{
    *tree = (struct tree){.shape = shape};
}

void tree_snapshot(const struct tree *tree, struct tree *snapshot)
{
    *snapshot = *tree;
    if (tree->root != NULL) {
        tree->root->refs++;
    }
}

/* Gives up the last node that no other needs, or the last shared subtree. */
static void release_one(struct tree *tree)
{
    struct tree_node *parent = NULL;
    struct tree_node *node = tree->root;
    while (node->refs == 1 && node->level > 0 && node->count > 0) {
        parent = node;
        node = node_children(parent)[parent->count - 1].node;
    }
    if (parent != NULL) {
        parent->count--;
    } else {
        tree->root = NULL;
    }
    if (--node->refs == 0) {
        node_free(tree, node);
    }
}

bool tree_release(struct tree *tree, size_t budget)
{
    for (; tree->root != NULL && budget > 0; budget--) {
        release_one(tree);
    }
    if (tree->root != NULL) {
        return false;
    }
    tree_init(tree, tree->shape);
    return true;
}

/* ---- the path of a cursor ---- */

struct tree_node **cursor_slot(const struct tree_cursor *cursor, unsigned level)
{
    struct tree *tree = cursor->tree;
    return level == tree->depth
               ? &tree->root
               : &node_children(
                     cursor->node[level + 1])[cursor->position[level + 1]]
                      .node;
}

void cursor_mend_prefix(const struct tree_cursor *cursor, unsigned level)
{
    const struct tree *tree = cursor->tree;
    uint64_t prefix = node_first_prefix(tree->shape, cursor->node[level]);
    for (; level < tree->depth; level++) {
        unsigned at = cursor->position[level + 1];
        node_children(cursor->node[level + 1])[at].prefix = prefix;
        if (at > 0) {
            return;
        }
    }
}

void cursor_own(struct tree_cursor *cursor)
{
    unsigned level = cursor->tree->depth + 1;
    while (level-- > 0) {
        cursor->node[level] =
            node_own(cursor->tree, cursor_slot(cursor, level));
    }
}

void cursor_fit(struct tree_cursor *cursor, unsigned level)
{
    struct tree_node **slot = cursor_slot(cursor, level);
    node_fit(cursor->tree, slot);
    cursor->node[level] = *slot;
}

/* ---- seeking by order ---- */

struct target {
    const struct shape *shape;
    uint64_t prefix;
    struct bytes sought;
};

/* A run of equal prefixes: from the first that is not below the target's to
 * behind the last that is not above it. */
struct run {
    unsigned begin, end;
};

/* How many of the children have a prefix below `prefix`. Without branches,
 * which the processor could not foresee: the compiler makes some of `?:`. */
static unsigned children_below(const struct tree_node *inner, uint64_t prefix)
{
    const struct tree_child *base = node_children(inner);
    unsigned count = inner->count;
    while (count > 1) {
        unsigned half = count / 2;
        base += half & -(unsigned)(base[half - 1].prefix < prefix);
        count -= half;
    }
    return (unsigned)(base - node_children(inner)) + (base->prefix < prefix);
}

static unsigned hashes_below(const struct tree_node *leaf, uint64_t prefix)
{
    const uint32_t *base = leaf_hashes(leaf);
    unsigned count = leaf->count;
    while (count > 1) {
        unsigned half = count / 2;
        base += half & -(unsigned)(base[half - 1] < prefix);
        count -= half;
    }
    return (unsigned)(base - leaf_hashes(leaf)) + (*base < prefix);
}

static unsigned items_below(
    const struct shape *shape, const struct tree_node *leaf, uint64_t prefix)
{
    if (shape->order == SHAPE_BY_HASH) {
        return hashes_below(leaf, prefix);
    }
    unsigned below = 0;
    unsigned count = leaf->count;
    while (count > 0) {
        unsigned half = count / 2;
        if (leaf_prefix(shape, leaf, below + half) < prefix) {
            below += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return below;
}

static struct run children_run(
    const struct tree_node *inner, const struct target *target)
{
    const struct tree_child *children = node_children(inner);
    struct run run = {.begin = children_below(inner, target->prefix)};
    run.end = run.begin;
    if (run.end < inner->count && children[run.end].prefix == target->prefix) {
        run.end++;
    }
    if (run.end > run.begin && run.end < inner->count &&
        children[run.end].prefix == target->prefix) {
        run.end = target->prefix == UINT64_MAX
                      ? inner->count
                      : children_below(inner, target->prefix + 1);
    }
    return run;
}

static struct run items_run(
    const struct tree_node *leaf, const struct target *target)
{
    const struct shape *shape = target->shape;
    struct run run = {.begin = items_below(shape, leaf, target->prefix)};
    run.end = run.begin;
    if (run.end < leaf->count &&
        leaf_prefix(shape, leaf, run.end) == target->prefix) {
        run.end++;
    }
    if (run.end > run.begin && run.end < leaf->count &&
        leaf_prefix(shape, leaf, run.end) == target->prefix) {
        run.end = target->prefix == UINT64_MAX
                      ? leaf->count
                      : items_below(shape, leaf, target->prefix + 1);
    }
    return run;
}

static int first_item_order(
    const struct tree_node *node, const struct target *target)
{
    while (node->level > 0) {
        node = node_children(node)[0].node;
    }
    return shape_compare(
        target->shape, leaf_item(target->shape, node, 0), target->sought);
}

/* The last child whose first item is not behind the target: the target is
 * there, or the place for it. The first child when there is none. */
static unsigned child_for(
    const struct tree_node *inner, const struct target *target)
{
    struct run run = children_run(inner, target);
    while (run.begin < run.end) {
        unsigned middle = (run.begin + run.end) / 2;
        if (first_item_order(node_children(inner)[middle].node, target) <= 0) {
            run.begin = middle + 1;
        } else {
            run.end = middle;
        }
    }
    return run.begin > 0 ? run.begin - 1 : 0;
}

/* The first item that is not before the target. */
static unsigned item_for(
    const struct tree_node *leaf, const struct target *target, bool *equal)
{
    struct run run = items_run(leaf, target);
    *equal = false;
    while (run.begin < run.end) {
        unsigned middle = (run.begin + run.end) / 2;
        int order = shape_compare(target->shape,
            leaf_item(target->shape, leaf, middle), target->sought);
        if (order == 0) {
            *equal = true;
            return middle;
        }
        if (order < 0) {
            run.begin = middle + 1;
        } else {
            run.end = middle;
        }
    }
    return run.begin;
}

/* ---- moving ---- */

static bool cursor_empty(struct tree *tree, struct tree_cursor *cursor)
{
    cursor->tree = tree;
    cursor->node[0] = tree->root;
    cursor->position[0] = 0;
    return tree->root == NULL;
}

/* From the node at `level` down to its first item or behind its last. */
static void cursor_descend(
    struct tree_cursor *cursor, unsigned level, bool to_end)
{
    for (; level > 0; level--) {
        const struct tree_node *node = cursor->node[level];
        unsigned at = to_end ? node->count - 1u : 0;
        cursor->position[level] = at;
        cursor->node[level - 1] = node_children(node)[at].node;
    }
    cursor->position[0] = to_end ? cursor->node[0]->count : 0;
}

bool cursor_next_leaf(struct tree_cursor *cursor)
{
    unsigned depth = cursor->tree->depth;
    unsigned level = 1;
    while (level <= depth &&
           cursor->position[level] + 1 == cursor->node[level]->count) {
        level++;
    }
    if (level > depth) {
        return false;
    }
    unsigned at = ++cursor->position[level];
    cursor->node[level - 1] = node_children(cursor->node[level])[at].node;
    cursor_descend(cursor, level - 1, false);
    return true;
}

/* Asks at once for the cache lines that a search in a node may read, which
 * would otherwise come one after the other. */
static void node_prefetch(const struct tree_node *node, unsigned level)
{
    size_t bytes =
        level > 0 ? TREE_FANOUT * sizeof(struct tree_child) : TREE_LEAF_BYTES;
    for (size_t at = 0; at < bytes; at += 64) {
        __builtin_prefetch((const char *)node + at);
    }
}

bool tree_seek(struct tree *tree, uint32_t hash, struct bytes sought,
    struct tree_cursor *cursor)
{
    check(tree->shape->order != SHAPE_BY_POSITION);
    if (cursor_empty(tree, cursor)) {
        return false;
    }
    struct target target = {
        .shape = tree->shape,
        .prefix = shape_prefix(tree->shape, hash, sought),
        .sought = sought,
    };
    struct tree_node *node = tree->root;
    for (unsigned level = tree->depth; level > 0; level--) {
        unsigned at = child_for(node, &target);
        cursor->node[level] = node;
        cursor->position[level] = at;
        node = node_children(node)[at].node;
        if (level <= 2) { /* those above are few, and in the caches */
            node_prefetch(node, level - 1);
        }
    }
    bool equal;
    cursor->node[0] = node;
    cursor->position[0] = item_for(node, &target, &equal);
    if (cursor->position[0] == node->count) {
        cursor_next_leaf(cursor);
    }
    return equal;
}

/* The child with item `*rank` of `items`, counted from the nearer side;
 * `*rank` becomes that within the child. */
static unsigned child_at(
    const struct tree_node *inner, uint64_t items, uint64_t *rank)
{
    const struct tree_child *children = node_children(inner);
    unsigned at = 0;
    if (*rank < items / 2) {
        for (; *rank >= children[at].count; at++) {
            *rank -= children[at].count;
        }
        return at;
    }
    uint64_t begin = items;
    for (at = inner->count; begin > *rank; at--) {
        begin -= children[at - 1].count;
    }
    *rank -= begin;
    return at;
}

void tree_at(struct tree *tree, uint64_t rank, struct tree_cursor *cursor)
{
    if (cursor_empty(tree, cursor)) {
        return;
    }
    cursor->node[tree->depth] = tree->root;
    if (rank >= tree->count) {
        cursor_descend(cursor, tree->depth, true);
        return;
    }
    uint64_t items = tree->count;
    for (unsigned level = tree->depth; level > 0; level--) {
        const struct tree_node *node = cursor->node[level];
        unsigned at = child_at(node, items, &rank);
        cursor->position[level] = at;
        cursor->node[level - 1] = node_children(node)[at].node;
        items = node_children(node)[at].count;
    }
    cursor->position[0] = (uint32_t)rank;
}

uint64_t tree_rank(const struct tree_cursor *cursor)
{
    uint64_t rank = cursor->position[0];
    if (cursor->node[0] == NULL) {
        return 0;
    }
    for (unsigned level = 1; level <= cursor->tree->depth; level++) {
        const struct tree_child *children = node_children(cursor->node[level]);
        for (unsigned i = 0; i < cursor->position[level]; i++) {
            rank += children[i].count;
        }
    }
    return rank;
}

bool tree_cursor_at_end(const struct tree_cursor *cursor)
{
    return cursor->node[0] == NULL ||
           cursor->position[0] == cursor->node[0]->count;
}

struct bytes tree_item(const struct tree_cursor *cursor)
{
    check(!tree_cursor_at_end(cursor));
    return leaf_item(cursor->tree->shape, cursor->node[0], cursor->position[0]);
}

uint32_t tree_item_hash(const struct tree_cursor *cursor)
{
    check(!tree_cursor_at_end(cursor));
    return leaf_hash(cursor->tree->shape, cursor->node[0], cursor->position[0]);
}

bool tree_next(struct tree_cursor *cursor)
{
    if (tree_cursor_at_end(cursor)) {
        return false;
    }
    return ++cursor->position[0] < cursor->node[0]->count ||
           cursor_next_leaf(cursor);
}

bool tree_prev(struct tree_cursor *cursor)
{
    if (cursor->node[0] == NULL) {
        return false;
    }
    if (cursor->position[0] > 0) {
        cursor->position[0]--;
        return true;
    }
    unsigned depth = cursor->tree->depth;
    unsigned level = 1;
    while (level <= depth && cursor->position[level] == 0) {
        level++;
    }
    if (level > depth) {
        return false;
    }
    unsigned at = --cursor->position[level];
    cursor->node[level - 1] = node_children(cursor->node[level])[at].node;
    cursor_descend(cursor, level - 1, true);
    cursor->position[0]--;
    return true;
}
