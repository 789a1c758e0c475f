/* A tree and an array of the same items, changed together, and snapshots with
 * what they should hold: for the tests of trees. */
#ifndef LARDER_TESTS_UNIT_TREE_WORLD_H
#define LARDER_TESTS_UNIT_TREE_WORLD_H

#include "tests/unit/tree_fixture.h"

#define MODEL_MOST 6000
#define SNAPSHOTS 24

/* The items in order: what the tree should hold. */
struct model {
    struct item *items;
    size_t count;
};

struct snapshot {
    bool used;
    struct tree tree;
    struct model model; /* with copies of the items */
};

struct world {
    const struct breed *breed;
    struct tree tree;
    struct model model;
    uint64_t random;
    struct snapshot snapshots[SNAPSHOTS];
};

static const struct breed breeds[] = {
    {"list", {0, 1, SHAPE_BY_POSITION}, 1000, 0, 0, 60, 0},
    {"list of large items", {0, 1, SHAPE_BY_POSITION}, 1000, 0, 0, 1000, 0},
    {"list of bytes", {0, 1, SHAPE_BY_POSITION}, 1000, 0, 0, 1, 0},
    {"list of one size", {0, 1, SHAPE_BY_POSITION}, 1000, 0, 0, 30, 100},
    {"set", {0, 1, SHAPE_BY_HASH}, 9000, 1u << 31, 0, 1, 0},
    {"set of one size", {0, 1, SHAPE_BY_HASH}, 9000, 1u << 31, 0, 1, 300},
    {"map of one size", {0, 2, SHAPE_BY_HASH}, 9000, 1u << 31, 0, 30, 100},
    {"set of few hashes", {0, 1, SHAPE_BY_HASH}, 9000, 7, 0, 1, 0},
    {"set of one hash", {0, 1, SHAPE_BY_HASH}, 5000, 1, 0, 1, 0},
    {"map", {0, 2, SHAPE_BY_HASH}, 9000, 1u << 31, 0, 50, 0},
    {"map of few hashes", {0, 2, SHAPE_BY_HASH}, 9000, 50, 0, 900, 0},
    {"scores of members", {8, 1, SHAPE_BY_HASH}, 9000, 3000, 3, 1, 0},
    {"numbers by hash", {8, 0, SHAPE_BY_HASH}, 9000, 500, 0, 1, 0},
    {"scores of one size", {8, 1, SHAPE_BY_FIXED}, 9000, 0, 5000, 1, 200},
    {"scores", {8, 1, SHAPE_BY_FIXED}, 9000, 0, 5000, 1, 0},
    {"equal scores", {8, 1, SHAPE_BY_FIXED}, 9000, 0, 3, 1, 0},
    {"ids", {16, 2, SHAPE_BY_FIXED}, 9000, 0, 0, 300, 0},
    {"ids of few times", {16, 1, SHAPE_BY_FIXED}, 9000, 0, 4, 300, 0},
};
#define BREEDS (sizeof breeds / sizeof *breeds)

static inline bool ordered(const struct world *world)
{
    return world->breed->shape.order != SHAPE_BY_POSITION;
}

static inline void model_insert(
    struct model *model, size_t at, struct item item)
{
    memmove(model->items + at + 1, model->items + at,
        (model->count - at) * sizeof item);
    model->items[at] = item;
    model->count++;
}

static inline void model_remove(struct model *model, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++) {
        free(model->items[i].data);
    }
    memmove(model->items + at, model->items + at + count,
        (model->count - at - count) * sizeof *model->items);
    model->count -= count;
}

static inline void model_free(struct model *model)
{
    model_remove(model, 0, model->count);
    free(model->items);
    *model = (struct model){0};
}

/* The order of an item and a target, by the definition. */
static inline int order_of(const struct breed *breed, const struct item *item,
    uint32_t hash, struct bytes sought)
{
    if (item->hash != hash) {
        return item->hash < hash ? -1 : 1;
    }
    return shape_compare(&breed->shape, item_bytes(item), sought);
}

/* The first item that is not before the target. */
static inline size_t model_seek(
    const struct world *world, uint32_t hash, struct bytes sought, bool *equal)
{
    size_t begin = 0, end = world->model.count;
    *equal = false;
    while (begin < end) {
        size_t middle = (begin + end) / 2;
        int order =
            order_of(world->breed, &world->model.items[middle], hash, sought);
        if (order < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
        *equal |= order == 0;
    }
    return begin;
}

static inline void assert_at(
    const struct world *world, const struct tree_cursor *cursor, size_t rank)
{
    const struct model *model = &world->model;
    assert_int_equal(tree_rank(cursor), rank);
    assert_int_equal(tree_cursor_at_end(cursor), rank == model->count);
    if (rank < model->count) {
        assert_true(
            bytes_equal(tree_item(cursor), item_bytes(&model->items[rank])));
        assert_int_equal(tree_item_hash(cursor), model->items[rank].hash);
    }
}

/* The tree's items, walked forwards and backwards, are the model's. */
static inline void assert_same(struct tree *tree, const struct model *model)
{
    struct tree_cursor cursor;
    assert_int_equal(tree->count, model->count);
    tree_at(tree, 0, &cursor);
    for (size_t i = 0; i < model->count; i++) {
        assert_false(tree_cursor_at_end(&cursor));
        assert_true(
            bytes_equal(tree_item(&cursor), item_bytes(&model->items[i])));
        assert_int_equal(tree_item_hash(&cursor), model->items[i].hash);
        assert_int_equal(tree_next(&cursor), i + 1 < model->count);
    }
    assert_true(tree_cursor_at_end(&cursor));
    assert_false(tree_next(&cursor));
    assert_int_equal(tree_rank(&cursor), model->count);
    for (size_t i = model->count; i-- > 0;) {
        assert_true(tree_prev(&cursor));
        assert_true(
            bytes_equal(tree_item(&cursor), item_bytes(&model->items[i])));
    }
    assert_false(tree_prev(&cursor));
    assert_int_equal(tree_rank(&cursor), 0);
}

static inline void world_check(struct world *world)
{
    tree_sane(&world->tree);
    assert_same(&world->tree, &world->model);
}

/* ---- one change each, to both ---- */

/* The cursor where an item belongs; false when its equal is there. */
static inline bool find_place(struct world *world, const struct item *item,
    size_t wanted, struct tree_cursor *cursor, size_t *at)
{
    if (!ordered(world)) {
        *at = wanted;
        tree_at(&world->tree, wanted, cursor);
        return true;
    }
    bool equal;
    struct bytes sought = item_sought(world->breed, item);
    *at = model_seek(world, item->hash, sought, &equal);
    assert_int_equal(
        tree_seek(&world->tree, item->hash, sought, cursor), equal);
    return !equal;
}

static inline void put(struct world *world, uint64_t key, size_t wanted)
{
    struct item item = make_item(world->breed, key, &world->random);
    struct tree_cursor cursor;
    size_t at;
    bool absent = find_place(world, &item, wanted, &cursor, &at);
    assert_at(world, &cursor, at);
    if (absent) {
        tree_insert(&cursor, item.hash, item_bytes(&item));
        model_insert(&world->model, at, item);
    } else {
        tree_replace(&cursor, item_bytes(&item));
        free(world->model.items[at].data);
        world->model.items[at] = item;
    }
    assert_at(world, &cursor, at);
}

/* Another value for the item at a rank. */
static inline void replace_at(struct world *world, size_t at)
{
    struct item *item = &world->model.items[at];
    if (ordered(world) && world->breed->shape.elements < 2) {
        return;
    }
    struct tree_cursor cursor;
    tree_at(&world->tree, at, &cursor);
    assert_at(world, &cursor, at);
    /* The key in front stays. */
    size_t key = ordered(world) ? world->breed->shape.fixed : 0;
    if (ordered(world)) {
        key = (size_t)(element_skip(item->data + key) - item->data);
    }
    char *data = xmalloc(key + item_bytes_most(world->breed));
    memcpy(data, item->data, key);
    item->size = key + write_value(data + key, world->breed, &world->random);
    free(item->data);
    item->data = data;
    tree_replace(&cursor, item_bytes(item));
    assert_at(world, &cursor, at);
}

static inline void remove_at(struct world *world, size_t at)
{
    struct tree_cursor cursor;
    tree_at(&world->tree, at, &cursor);
    assert_at(world, &cursor, at);
    tree_remove(&cursor);
    model_remove(&world->model, at, 1);
    assert_at(world, &cursor, at);
}

/* Several from one place, through one cursor, which looks around. */
static inline void remove_run(struct world *world, size_t at, size_t count)
{
    struct tree_cursor cursor;
    tree_at(&world->tree, at, &cursor);
    for (; count > 0 && at < world->model.count; count--) {
        tree_remove(&cursor);
        model_remove(&world->model, at, 1);
        assert_at(world, &cursor, at);
    }
    assert_int_equal(tree_prev(&cursor), at > 0);
    assert_at(world, &cursor, at > 0 ? at - 1 : 0);
}

static inline void remove_range(struct world *world, size_t first, size_t count)
{
    tree_remove_range(&world->tree, first, count);
    size_t have = world->model.count;
    if (first < have) {
        model_remove(
            &world->model, first, count < have - first ? count : have - first);
    }
    tree_sane(&world->tree);
}

/* A target that is likely not there: half of one, nothing, a hash alone. */
static inline void seek_absent(struct world *world)
{
    if (!ordered(world)) {
        return;
    }
    const struct breed *breed = world->breed;
    struct item item = make_item(
        breed, seed_below(&world->random, breed->keys), &world->random);
    struct bytes sought = item_sought(breed, &item);
    if (seed_below(&world->random, 2) == 0) {
        sought.size = 0;
    } else if (breed->shape.order == SHAPE_BY_FIXED) {
        sought.size = breed->shape.fixed;
    }
    uint32_t hash = item.hash;
    if (breed->hashes > 0 && seed_below(&world->random, 2) == 0) {
        hash += (uint32_t)seed_below(&world->random, 3) - 1;
    }
    bool equal;
    size_t at = model_seek(world, hash, sought, &equal);
    struct tree_cursor cursor;
    assert_int_equal(tree_seek(&world->tree, hash, sought, &cursor), equal);
    assert_at(world, &cursor, at);
    free(item.data);
}

/* ---- snapshots ---- */

static inline void snapshot_take(struct world *world)
{
    struct snapshot *snapshot =
        &world->snapshots[seed_below(&world->random, SNAPSHOTS)];
    if (snapshot->used) {
        return;
    }
    const struct model *model = &world->model;
    snapshot->used = true;
    tree_snapshot(&world->tree, &snapshot->tree);
    snapshot->model.items = xcalloc(model->count + 1, sizeof(struct item));
    snapshot->model.count = model->count;
    for (size_t i = 0; i < model->count; i++) {
        struct item item = model->items[i];
        item.data = xmalloc(item.size);
        memcpy(item.data, model->items[i].data, item.size);
        snapshot->model.items[i] = item;
    }
}

static inline void release(struct tree *tree, size_t budget)
{
    size_t calls = 0;
    while (!tree_release(tree, budget)) {
        calls++;
    }
    assert_true(calls < 100000);
    assert_null(tree->root);
    assert_int_equal(tree->count, 0);
    assert_int_equal(tree->memory_bytes, 0);
    tree_sane(tree);
}

/* Compares one, and gives it up. */
static inline void snapshot_drop(struct world *world, struct snapshot *snapshot)
{
    if (!snapshot->used) {
        return;
    }
    tree_sane(&snapshot->tree);
    assert_same(&snapshot->tree, &snapshot->model);
    release(&snapshot->tree, 1 + seed_below(&world->random, 5));
    model_free(&snapshot->model);
    snapshot->used = false;
}

/* A snapshot is a tree like any other: the game goes on with it, and the old
 * tree is what is kept. */
static inline void snapshot_swap(struct world *world)
{
    struct tree copy;
    tree_snapshot(&world->tree, &copy);
    release(&world->tree, SIZE_MAX);
    world->tree = copy;
}

/* ---- the game ---- */

static inline struct world *world_new(const struct breed *breed)
{
    struct world *world = xcalloc(1, sizeof *world);
    world->breed = breed;
    world->random = seed_take(breed->name);
    world->model.items = xcalloc(MODEL_MOST + 1, sizeof(struct item));
    tree_init(&world->tree, &breed->shape);
    return world;
}

static inline void world_free(struct world *world)
{
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot_drop(world, &world->snapshots[i]);
    }
    world_check(world);
    while (world->model.count > 0) {
        remove_at(world, seed_below(&world->random, world->model.count));
    }
    assert_null(world->tree.root);
    assert_int_equal(world->tree.memory_bytes, 0);
    assert_int_equal(world->tree.item_bytes, 0);
    world_check(world);
    free(world->model.items);
    free(world);
}

static inline void change_range(struct world *world)
{
    size_t count = world->model.count;
    size_t first = seed_below(&world->random, count + 1);
    size_t most = seed_below(&world->random, 10) == 0 ? count : 100;
    size_t many = seed_below(&world->random, most + 1);
    if (many > 200 && count < MODEL_MOST / 4) {
        many = 10;
    }
    remove_range(world, first, many);
}

/* One random operation; `growth` of 100 are inserts. */
static inline void play(struct world *world, unsigned growth)
{
    uint64_t *random = &world->random;
    size_t count = world->model.count;
    if (seed_below(random, 100) < growth) {
        if (count < MODEL_MOST) {
            put(world, seed_below(random, world->breed->keys),
                seed_below(random, count + 1));
        }
    } else if (count > 0) {
        remove_at(world, seed_below(random, count));
    }
    count = world->model.count;
    uint64_t what = seed_below(random, 1000);
    if (what < 150 && count > 0) {
        replace_at(world, seed_below(random, count));
    } else if (what < 300) {
        seek_absent(world);
    } else if (what < 310 && count > 0) {
        remove_run(world, seed_below(random, count), seed_below(random, 40));
    } else if (what < 313) {
        change_range(world);
    }
}

#endif
