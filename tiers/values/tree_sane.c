#include "tiers/values/tree_node.h"

#include <malloc.h>

/* What a walk over all nodes finds. */
struct audit {
    const struct shape *shape;
    uint64_t item_bytes;
    size_t memory_bytes;
    bool any;
    struct bytes last; /* the item before, when there was any */
    uint32_t last_hash;
};

static void audit_item(struct audit *audit, struct bytes item, uint32_t hash)
{
    const struct shape *shape = audit->shape;
    const char *end = item.data + item.size;
    check(shape_item_check(shape, item.data, end) == end);
    if (audit->any && shape->order != SHAPE_BY_POSITION) {
        uint64_t before = shape_prefix(shape, audit->last_hash, audit->last);
        uint64_t prefix = shape_prefix(shape, hash, item);
        struct bytes sought = shape_key(shape, audit->last);
        check(before < prefix ||
              (before == prefix && shape_compare(shape, item, sought) > 0));
    }
    audit->any = true;
    audit->last = item;
    audit->last_hash = hash;
    audit->item_bytes += item.size;
}

static void audit_leaf(struct audit *audit, const struct tree_node *leaf)
{
    const struct shape *shape = audit->shape;
    size_t used = leaf_used(shape, leaf);
    check(used <= leaf->capacity);
    check(used <= TREE_LEAF_BYTES || leaf->count == 1);
    check(leaf_offset(shape, leaf, 0) == 0);
    check(leaf->stride == 0 || leaf->bytes == leaf->count * leaf->stride);
    for (unsigned i = 0; i < leaf->count; i++) {
        check(leaf_offset(shape, leaf, i) < leaf_offset(shape, leaf, i + 1));
        audit_item(audit, leaf_item(shape, leaf, i), leaf_hash(shape, leaf, i));
    }
}

/* The items below the node. */
static uint64_t audit_node(
    struct audit *audit, const struct tree_node *node, unsigned level)
{
    check(node->refs > 0 && node->count > 0 && node->level == level);
    check(node_capacity_for(node->capacity) == node->capacity);
    audit->memory_bytes += malloc_usable_size((void *)(uintptr_t)node);
    if (level == 0) {
        audit_leaf(audit, node);
        return node->count;
    }
    check(node->count <= TREE_FANOUT && node->bytes == 0);
    check(sizeof *node + node->count * sizeof(struct tree_child) <=
          node->capacity);
    uint64_t items = 0;
    for (unsigned i = 0; i < node->count; i++) {
        struct tree_child child = node_children(node)[i];
        check(audit_node(audit, child.node, level - 1) == child.count);
        check(node_first_prefix(audit->shape, child.node) == child.prefix);
        items += child.count;
    }
    return items;
}

void tree_sane(const struct tree *tree)
{
    struct audit audit = {.shape = tree->shape};
    uint64_t items = 0;
    if (tree->root != NULL) {
        check(tree->depth < TREE_DEPTH_MAX);
        check(tree->depth == 0 || tree->root->count > 1);
        items = audit_node(&audit, tree->root, tree->depth);
    }
    check(items == tree->count);
    check(audit.item_bytes == tree->item_bytes);
    check(audit.memory_bytes == tree->memory_bytes);
    check(tree->root != NULL || tree->depth == 0);
}
