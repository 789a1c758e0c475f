/* A thread reads snapshots while the engine's thread changes the tree. Built
 * with -Db_sanitize=thread it finds any write to what is shared. */
#include "tests/unit/tree_fixture.h"

#include <pthread.h>

#define ROUNDS 20
#define KEYS 4000

static const struct breed map = {
    "map, threads", {0, 2, SHAPE_BY_HASH}, KEYS, 2000, 0, 30, 0};

/* A sum over all items that depends on their order. */
static uint64_t sum_of(struct tree *tree)
{
    uint64_t sum = 0;
    struct tree_cursor cursor;
    tree_at(tree, 0, &cursor);
    for (; !tree_cursor_at_end(&cursor); tree_next(&cursor)) {
        struct bytes item = tree_item(&cursor);
        sum = sum * 31 + tree_item_hash(&cursor);
        for (size_t i = 0; i < item.size; i++) {
            sum = sum * 31 + (unsigned char)item.data[i];
        }
    }
    return sum;
}

struct reading {
    struct tree snapshot;
    uint64_t sum;
};

static void *read_snapshot(void *argument)
{
    struct reading *reading = argument;
    uint64_t first = sum_of(&reading->snapshot);
    for (unsigned i = 0; i < 3; i++) {
        if (sum_of(&reading->snapshot) != first) {
            return NULL;
        }
    }
    reading->sum = first;
    return reading;
}

static void change(struct tree *tree, uint64_t *random)
{
    struct item item = make_item(&map, seed_below(random, KEYS), random);
    struct tree_cursor cursor;
    if (!tree_seek(tree, item.hash, item_sought(&map, &item), &cursor)) {
        tree_insert(&cursor, item.hash, item_bytes(&item));
    } else if (seed_below(random, 3) == 0) {
        tree_replace(&cursor, item_bytes(&item));
    } else {
        tree_remove(&cursor);
    }
    if (seed_below(random, 1000) == 0) {
        tree_remove_range(tree, seed_below(random, tree->count + 1), 300);
    }
    free(item.data);
}

static void test_snapshot_is_read_meanwhile(void **state)
{
    (void)state;
    uint64_t random = seed_take("tree, threads");
    struct tree tree;
    tree_init(&tree, &map.shape);
    for (unsigned i = 0; i < 3 * KEYS; i++) {
        change(&tree, &random);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct reading reading;
        struct tree other;
        pthread_t thread;
        uint64_t sum = sum_of(&tree);
        tree_snapshot(&tree, &reading.snapshot);
        tree_snapshot(&tree, &other);
        assert_int_equal(
            pthread_create(&thread, NULL, read_snapshot, &reading), 0);
        for (unsigned i = 0; i < KEYS; i++) {
            change(&tree, &random);
            tree_release(&other, 1);
        }
        void *result = NULL;
        pthread_join(thread, &result);
        assert_ptr_equal(result, &reading);
        assert_int_equal(reading.sum, sum);
        tree_sane(&tree);
        while (!tree_release(&reading.snapshot, 7)) {
        }
    }
    tree_remove_range(&tree, 0, tree.count);
    assert_int_equal(tree.memory_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_is_read_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
