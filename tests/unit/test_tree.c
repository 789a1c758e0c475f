/* Trees of every shape against an array of their items. */
#include "tests/unit/tree_world.h"

static void play_snapshots(struct world *world)
{
    uint64_t *random = &world->random;
    if (seed_below(random, 100) == 0) {
        snapshot_take(world);
    }
    if (seed_below(random, 130) == 0) {
        snapshot_drop(world, &world->snapshots[seed_below(random, SNAPSHOTS)]);
    }
    if (seed_below(random, 1000) == 0) {
        snapshot_swap(world);
    }
}

static void game(const struct breed *breed, bool snapshots)
{
    static const unsigned growths[] = {90, 50, 10, 95, 30, 70};
    struct world *world = world_new(breed);
    for (size_t phase = 0; phase < sizeof growths / sizeof *growths; phase++) {
        for (unsigned turn = 0; turn < tries(2500); turn++) {
            play(world, growths[phase]);
            if (snapshots) {
                play_snapshots(world);
            }
            if (turn % 250 == 0) {
                tree_sane(&world->tree);
            }
        }
        world_check(world);
    }
    world_free(world);
}

static void test_changes_match_the_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < BREEDS; i++) {
        game(&breeds[i], false);
    }
}

static void test_snapshots_stay_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < BREEDS; i++) {
        game(&breeds[i], true);
    }
}

static void test_empty(void **state)
{
    (void)state;
    static const struct shape set = {0, 1, SHAPE_BY_HASH};
    struct tree tree, snapshot;
    struct tree_cursor cursor;
    tree_init(&tree, &set);
    tree_at(&tree, 3, &cursor);
    assert_true(tree_cursor_at_end(&cursor));
    assert_false(tree_next(&cursor));
    assert_false(tree_prev(&cursor));
    assert_int_equal(tree_rank(&cursor), 0);
    tree_remove_range(&tree, 0, 10);
    tree_snapshot(&tree, &snapshot);
    assert_true(tree_release(&snapshot, 1));
    assert_false(tree_seek(&tree, 9, BYTES("\2x"), &cursor));
    tree_insert(&cursor, 9, BYTES("\2x"));
    assert_true(tree_seek(&tree, 9, BYTES("\2x"), &cursor));
    assert_false(tree_seek(&tree, 9, BYTES(""), &cursor));
    assert_false(tree_cursor_at_end(&cursor));
    assert_false(tree_seek(&tree, 10, BYTES(""), &cursor));
    assert_true(tree_cursor_at_end(&cursor));
    tree_sane(&tree);
    assert_true(tree_release(&tree, 1));
    assert_true(tree_release(&tree, 1));
}

/* What is released costs no more than it is allowed to at a time. */
static void test_release_in_small_steps(void **state)
{
    (void)state;
    struct world *world = world_new(&breeds[3]);
    for (unsigned key = 0; key < 5000; key++) {
        put(world, key, 0);
    }
    struct tree copy;
    tree_snapshot(&world->tree, &copy);
    assert_true(tree_release(&copy, 1)); /* nothing but a reference */
    size_t calls = 1, before = world->tree.memory_bytes;
    while (!tree_release(&world->tree, 3)) {
        assert_true(before - world->tree.memory_bytes <= 3 * 2048);
        before = world->tree.memory_bytes;
        calls++;
    }
    assert_true(calls > 20);
    model_remove(&world->model, 0, world->model.count);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_changes_match_the_model),
        cmocka_unit_test(test_snapshots_stay_as_they_were),
        cmocka_unit_test(test_release_in_small_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
