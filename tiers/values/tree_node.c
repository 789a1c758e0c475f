#include "tiers/values/tree_node.h"

#include <malloc.h>
#include <stdlib.h>

size_t node_capacity_for(size_t size)
{
    size_t step = 16;
    while (step * 8 < size) {
        step *= 2;
    }
    return (size + step - 1) & ~(step - 1);
}

struct tree_node *node_create(struct tree *tree, unsigned level, size_t size)
{
    size_t capacity = node_capacity_for(sizeof(struct tree_node) + size);
    check(capacity <= UINT32_MAX);
    struct tree_node *node = xmalloc(capacity);
    *node = (struct tree_node){
        .refs = 1,
        .level = (uint8_t)level,
        .capacity = (uint32_t)capacity,
    };
    tree->memory_bytes += malloc_usable_size(node);
    return node;
}

void node_free(struct tree *tree, struct tree_node *node)
{
    tree->memory_bytes -= malloc_usable_size(node);
    free(node);
}

static size_t node_used(const struct shape *shape, const struct tree_node *node)
{
    return node->level == 0
               ? leaf_used(shape, node)
               : sizeof *node + node->count * sizeof(struct tree_child);
}

/* Gives the node a capacity that its content fits. */
static struct tree_node *node_resize(
    struct tree *tree, struct tree_node *node, size_t size)
{
    size_t capacity = node_capacity_for(size);
    check(capacity <= UINT32_MAX);
    size_t tail = node->bytes;
    size_t old = node->capacity;
    if (capacity < old) {
        memmove(
            (char *)node + capacity - tail, (char *)node + old - tail, tail);
    }
    tree->memory_bytes -= malloc_usable_size(node);
    node = xrealloc(node, capacity);
    tree->memory_bytes += malloc_usable_size(node);
    if (capacity > old) {
        memmove(
            (char *)node + capacity - tail, (char *)node + old - tail, tail);
    }
    node->capacity = (uint32_t)capacity;
    return node;
}

void node_fit(struct tree *tree, struct tree_node **slot)
{
    size_t used = node_used(tree->shape, *slot);
    /* Two size classes: what is given back is not wanted again at once. */
    if (used + (*slot)->capacity / 3 < (*slot)->capacity) {
        *slot = node_resize(tree, *slot, used);
    }
}

void node_leave(struct tree *tree, struct tree_node *node)
{
    check(node->refs > 1);
    for (unsigned i = 0; node->level > 0 && i < node->count; i++) {
        node_children(node)[i].node->refs++;
    }
    tree->memory_bytes -= malloc_usable_size(node);
    node->refs--;
}

struct tree_node *node_own(struct tree *tree, struct tree_node **slot)
{
    struct tree_node *shared = *slot;
    if (shared->refs == 1) {
        return shared;
    }
    size_t tail = shared->bytes;
    size_t head = node_used(tree->shape, shared) - tail - sizeof *shared;
    struct tree_node *copy =
        node_create(tree, shared->level, shared->capacity - sizeof *shared);
    check(copy->capacity == shared->capacity);
    copy->count = shared->count;
    copy->stride = shared->stride;
    copy->bytes = shared->bytes;
    memcpy(copy->data, shared->data, head);
    memcpy((char *)copy + copy->capacity - tail,
        (const char *)shared + shared->capacity - tail, tail);
    node_leave(tree, shared);
    *slot = copy;
    return copy;
}

/* `owned`: the reference to this node was one of a node that has been given
 * up; otherwise the node lives on below a shared one. */
static void drop_subtree(struct tree *tree, struct tree_node *node, bool owned)
{
    owned = owned && --node->refs == 0;
    for (unsigned i = 0; node->level > 0 && i < node->count; i++) {
        drop_subtree(tree, node_children(node)[i].node, owned);
    }
    tree->item_bytes -= node->bytes;
    if (owned) {
        node_free(tree, node);
    } else {
        tree->memory_bytes -= malloc_usable_size(node);
    }
}

void node_drop(struct tree *tree, struct tree_node *node)
{
    drop_subtree(tree, node, true);
}

uint64_t node_first_prefix(
    const struct shape *shape, const struct tree_node *node)
{
    return node->level > 0 ? node_children(node)[0].prefix
                           : leaf_prefix(shape, node, 0);
}

uint64_t node_items(const struct tree_node *node)
{
    uint64_t items = node->level == 0 ? node->count : 0;
    for (unsigned i = 0; node->level > 0 && i < node->count; i++) {
        items += node_children(node)[i].count;
    }
    return items;
}

/* ---- leaves ---- */

/* Moves the offsets of items [from, to) by `size`, modulo 2^16. */
static void shift_offsets(
    uint16_t *offsets, unsigned from, unsigned to, size_t size)
{
    for (unsigned i = from; i < to; i++) {
        offsets[i] = (uint16_t)(offsets[i] + size);
    }
}

/* Spells out the offsets of a leaf that had none; there is room for them. */
static void write_offsets(const struct shape *shape, struct tree_node *leaf)
{
    uint16_t *offsets = leaf_offsets(shape, leaf);
    for (unsigned i = 0; i < leaf->count; i++) {
        offsets[i] = (uint16_t)(i * leaf->stride);
    }
    leaf->stride = 0;
}

/* Makes room for the offsets of `count` items of `size` bytes in all before
 * item `at`, `begin` bytes behind the first, and writes that of the first of
 * them. leaf->count is still the old one; the hashes are as they were. */
static void open_offsets(const struct shape *shape, struct tree_node *leaf,
    unsigned at, unsigned count, size_t size)
{
    uint32_t begin = leaf_offset(shape, leaf, at);
    const uint16_t *old = leaf_offsets(shape, leaf);
    uint16_t base = leaf->count > 0 ? old[0] : 0;
    unsigned behind = leaf->count - at;
    uint16_t *offsets =
        (uint16_t *)((uintptr_t)old + count * leaf_hash_bytes(shape));
    /* Upwards, what is highest first: nothing runs over what is to move. */
    memmove(offsets + at + count, old + at, behind * sizeof *old);
    memmove(offsets, old, at * sizeof *old);
    if (at < behind) {
        base = (uint16_t)(base - size);
        shift_offsets(offsets, 0, at, 0 - size);
    } else {
        shift_offsets(offsets, at + count, leaf->count + count, size);
    }
    offsets[at] = (uint16_t)(base + begin);
}

/* Makes room for `count` items of `size` bytes in all before item `at`;
 * `stride` is theirs. Their bytes, their hashes and the offsets of all but the
 * first, where there are any, are the caller's to write. */
static struct tree_node *leaf_open(struct tree *tree, struct tree_node **slot,
    unsigned at, unsigned count, size_t size, unsigned stride)
{
    const struct shape *shape = tree->shape;
    struct tree_node *leaf = *slot;
    stride = leaf_stride_with(leaf, stride);
    size_t used = sizeof *leaf + leaf->bytes + size +
                  (leaf->count + count) * leaf_slot_bytes(shape, stride);
    check(leaf->count == 0 || used <= UINT16_MAX);
    if (used > leaf->capacity) {
        leaf = *slot = node_resize(tree, leaf, used);
    }
    if (leaf->stride != stride && leaf->count > 0) {
        write_offsets(shape, leaf);
    }
    leaf->stride = (uint8_t)stride;
    uint32_t begin = leaf_offset(shape, leaf, at);
    memmove(leaf_data(leaf, leaf->bytes + size), leaf_data(leaf, leaf->bytes),
        leaf->bytes - begin);
    if (stride == 0) {
        open_offsets(shape, leaf, at, count, size);
    }
    uint32_t *hashes = leaf_hashes(leaf);
    memmove(hashes + at + count, hashes + at,
        (leaf->count - at) * leaf_hash_bytes(shape));
    leaf->bytes += (uint32_t)size;
    leaf->count = (uint16_t)(leaf->count + count);
    return leaf;
}

void leaf_insert(struct tree *tree, struct tree_node **slot, unsigned at,
    uint32_t hash, struct bytes item)
{
    struct tree_node *leaf =
        leaf_open(tree, slot, at, 1, item.size, stride_of(item.size));
    uint32_t begin = leaf_offset(tree->shape, leaf, at);
    if (tree->shape->order == SHAPE_BY_HASH) {
        leaf_hashes(leaf)[at] = hash;
    }
    memcpy(leaf_data(leaf, begin + item.size), item.data, item.size);
}

/* Takes the offsets of `count` items of `size` bytes in all out, and the
 * hashes before them; leaf->count is the new one. */
static void erase_slots(const struct shape *shape, struct tree_node *leaf,
    unsigned at, unsigned count, size_t size)
{
    unsigned behind = leaf->count - at;
    uint32_t *hashes = leaf_hashes(leaf);
    uint16_t *offsets = leaf_offsets(shape, leaf);
    const uint16_t *old =
        (const uint16_t *)((uintptr_t)offsets + count * leaf_hash_bytes(shape));
    /* Downwards, what is lowest first. */
    memmove(hashes + at, hashes + at + count, behind * leaf_hash_bytes(shape));
    if (leaf->stride != 0) {
        return;
    }
    memmove(offsets, old, at * sizeof *old);
    memmove(offsets + at, old + at + count, behind * sizeof *old);
    if (at < behind) {
        shift_offsets(offsets, 0, at, size);
    } else {
        shift_offsets(offsets, at, leaf->count, 0 - size);
    }
}

void leaf_erase(
    struct tree *tree, struct tree_node *leaf, unsigned at, unsigned count)
{
    uint32_t begin = leaf_offset(tree->shape, leaf, at);
    uint32_t end = leaf_offset(tree->shape, leaf, at + count);
    size_t size = end - begin;
    memmove(leaf_data(leaf, leaf->bytes - size), leaf_data(leaf, leaf->bytes),
        leaf->bytes - end);
    leaf->bytes -= (uint32_t)size;
    leaf->count = (uint16_t)(leaf->count - count);
    erase_slots(tree->shape, leaf, at, count, size);
}

void leaf_append(struct tree *tree, struct tree_node **slot,
    const struct tree_node *source, unsigned from)
{
    const struct shape *shape = tree->shape;
    unsigned at = (*slot)->count;
    unsigned count = source->count - from;
    uint32_t begin = leaf_offset(shape, source, from);
    uint32_t base = (*slot)->bytes;
    size_t size = source->bytes - begin;
    struct tree_node *leaf =
        leaf_open(tree, slot, at, count, size, source->stride);
    memcpy(
        leaf_data(leaf, base + size), leaf_data(source, source->bytes), size);
    if (leaf->stride == 0) {
        uint16_t *offsets = leaf_offsets(shape, leaf);
        for (unsigned i = 1; i < count; i++) {
            offsets[at + i] = (uint16_t)(offsets[at] - begin +
                                         leaf_offset(shape, source, from + i));
        }
    }
    if (shape->order == SHAPE_BY_HASH) {
        memcpy(leaf_hashes(leaf) + at, leaf_hashes(source) + from,
            count * sizeof(uint32_t));
    }
}

/* ---- inner nodes ---- */

static struct tree_node *inner_open(
    struct tree *tree, struct tree_node **slot, unsigned at, unsigned count)
{
    struct tree_node *inner = *slot;
    size_t used =
        node_used(tree->shape, inner) + count * sizeof(struct tree_child);
    if (used > inner->capacity) {
        inner = *slot = node_resize(tree, inner, used);
    }
    struct tree_child *children = node_children(inner);
    memmove(children + at + count, children + at,
        (inner->count - at) * sizeof *children);
    inner->count = (uint16_t)(inner->count + count);
    return inner;
}

void inner_insert(struct tree *tree, struct tree_node **slot, unsigned at,
    struct tree_child child)
{
    struct tree_node *inner = inner_open(tree, slot, at, 1);
    node_children(inner)[at] = child;
}

void inner_erase(struct tree_node *inner, unsigned at, unsigned count)
{
    struct tree_child *children = node_children(inner);
    inner->count = (uint16_t)(inner->count - count);
    memmove(children + at, children + at + count,
        (inner->count - at) * sizeof *children);
}

void inner_append(struct tree *tree, struct tree_node **slot,
    const struct tree_node *source, unsigned from)
{
    unsigned at = (*slot)->count;
    unsigned count = source->count - from;
    struct tree_node *inner = inner_open(tree, slot, at, count);
    memcpy(node_children(inner) + at, node_children(source) + from,
        count * sizeof(struct tree_child));
}
