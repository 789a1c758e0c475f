/* Trees that are changed as queues, logs and trims change them; their memory.
 */
#include "tests/unit/tree_world.h"

/* Ascending, descending, at both ends, with a snapshot in between. */
static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < BREEDS; i++) {
        struct world *world = world_new(&breeds[i]);
        for (unsigned key = 0; key < 2000; key++) {
            put(world, key, world->model.count);
        }
        world_check(world);
        snapshot_take(world);
        for (unsigned key = 4000; key > 2000; key--) {
            put(world, key, 0);
        }
        world_check(world);
        for (unsigned turn = 0; turn < 1500; turn++) {
            remove_at(world, 0);
            remove_at(world, world->model.count - 1);
            put(world, turn, turn % 2 == 0 ? 0 : world->model.count);
        }
        world_check(world);
        world_free(world);
    }
}

enum side { AT_BEGIN, AT_END, ANYWHERE };

/* Builds a tree of items of 21 bytes, texts of 20, new ones at a side: bytes
 * of memory an item. */
static double bytes_an_item(
    const struct shape *shape, enum side side, unsigned many)
{
    uint64_t random = seed_take("memory");
    struct tree tree;
    tree_init(&tree, shape);
    for (unsigned i = 0; i < many; i++) {
        char text[21], item[ELEMENT_BOUND(20)];
        snprintf(text, sizeof text, "member:%013u", i);
        size_t size = element_write(item, bytes_of(text, 20));
        uint32_t hash = (uint32_t)seed_next(&random);
        if (side != ANYWHERE) {
            hash = (side == AT_BEGIN ? many - i : i) * 1000;
        }
        struct tree_cursor cursor;
        if (shape->order == SHAPE_BY_HASH) {
            tree_seek(&tree, hash, bytes_of(item, size), &cursor);
        } else {
            uint64_t at = seed_below(&random, tree.count + 1);
            at = side == AT_END ? tree.count : at;
            tree_at(&tree, side == AT_BEGIN ? 0 : at, &cursor);
        }
        tree_insert(&cursor, hash, bytes_of(item, size));
    }
    tree_sane(&tree);
    double result = (double)tree.memory_bytes / many;
    release(&tree, 100);
    return result;
}

static void test_memory_an_item(void **state)
{
    (void)state;
    static const struct shape list = {0, 1, SHAPE_BY_POSITION};
    static const struct shape set = {0, 1, SHAPE_BY_HASH};
    /* 21 of the item, and of a set 4 of the hash. */
    assert_true(bytes_an_item(&list, AT_END, 50000) < 23);
    assert_true(bytes_an_item(&list, AT_BEGIN, 50000) < 23);
    assert_true(bytes_an_item(&list, ANYWHERE, 50000) < 26);
    assert_true(bytes_an_item(&set, AT_END, 50000) < 27);
    assert_true(bytes_an_item(&set, AT_BEGIN, 50000) < 27);
    assert_true(bytes_an_item(&set, ANYWHERE, 50000) < 30);
}

/* Single items from a byte to 100 KB, each size among small ones. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 500, 900, 1000, 1003, 1004, 1005, 1006,
        1010, 1023, 1024, 1025, 2000, 65534, 65535, 65536, 70000, 100000};
    struct world *world = world_new(&breeds[2]); /* of bytes */
    char *text = xcalloc(1, 100000 + ELEMENT_HEAD_MAX);
    char *data = xmalloc(ELEMENT_BOUND(100000));
    for (size_t turn = 0; turn < 30; turn++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct item item = {0};
            item.size = element_write(data, bytes_of(text, sizes[i]));
            item.data = xmalloc(item.size);
            memcpy(item.data, data, item.size);
            size_t at = seed_below(&world->random, world->model.count + 1);
            struct tree_cursor cursor;
            tree_at(&world->tree, at, &cursor);
            tree_insert(&cursor, 0, item_bytes(&item));
            model_insert(&world->model, at, item);
            assert_at(world, &cursor, at);
            put(world, 0, seed_below(&world->random, world->model.count));
            replace_at(world, seed_below(&world->random, world->model.count));
            tree_sane(&world->tree);
        }
        world_check(world);
        change_range(world);
        world_check(world);
    }
    free(text);
    free(data);
    world_free(world);
}

/* Ranges of every kind, of one leaf and of many, with shared nodes. */
static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < BREEDS; i++) {
        struct world *world = world_new(&breeds[i]);
        for (unsigned round = 0; round < tries(40); round++) {
            for (unsigned turn = 0; turn < 800; turn++) {
                play(world, 100);
            }
            snapshot_take(world);
            size_t count = world->model.count;
            size_t first = seed_below(&world->random, count + 1);
            remove_range(world, first, seed_below(&world->random, count + 10));
            remove_range(world, world->model.count, 5);
            remove_range(world, 0, round);
            world_check(world);
            snapshot_drop(world, &world->snapshots[round % SNAPSHOTS]);
        }
        remove_range(world, 0, SIZE_MAX);
        assert_null(world->tree.root);
        world_free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_memory_an_item),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
