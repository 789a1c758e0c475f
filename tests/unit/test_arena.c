/* The arena against a list of what was allocated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/seed.h"
#include "tiers/arena.h"

#define BLOCKS 3000
#define STEPS 150000
#define WARM_BYTES (16 * ARENA_SLAB_BYTES)

struct block {
    uint32_t ref;
    size_t size;
    unsigned char mark;
};

static size_t some_size(uint64_t *random)
{
    switch (seed_below(random, 20)) {
    case 0:
        return 1 + seed_below(random, 200000);
    case 1:
    case 2:
        return 1 + seed_below(random, 5000);
    default:
        return 1 + seed_below(random, 300);
    }
}

static void expect_marked(const struct arena *arena, const struct block *block)
{
    const unsigned char *at = arena_at(arena, block->ref);
    assert_int_equal(at[0], block->mark);
    assert_int_equal(at[block->size / 2], block->mark);
    assert_int_equal(at[block->size - 1], block->mark);
}

static void random_blocks_never_overlap(void **state)
{
    static const size_t reserve = (size_t)4 << 30;
    uint64_t random = seed_take("arena");
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);
    struct arena arena;
    size_t live = 0;
    (void)state;
    assert_true(arena_init(&arena, reserve));
    for (unsigned step = 0; step < STEPS; step++) {
        struct block *block = &blocks[seed_below(&random, BLOCKS)];
        if (block->ref != 0) {
            expect_marked(&arena, block);
            live -= arena_class_bytes(block->size);
            arena_free(&arena, block->ref);
            block->ref = 0;
        } else {
            block->size = some_size(&random);
            block->ref = arena_alloc(&arena, block->size);
            block->mark = (unsigned char)step;
            assert_int_not_equal(block->ref, 0);
            assert_true(block->ref >= ARENA_SLAB_UNITS);
            assert_true(arena_class_bytes(block->size) >= block->size);
            assert_int_equal(arena_slot_bytes(&arena, block->ref),
                arena_class_bytes(block->size));
            assert_int_equal(
                arena_ref(&arena, arena_at(&arena, block->ref)), block->ref);
            memset(arena_at(&arena, block->ref), block->mark, block->size);
            live += arena_class_bytes(block->size);
        }
        assert_int_equal(arena.live_bytes, live);
        assert_true(arena.committed_bytes >= live);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (blocks[i].ref != 0) {
            expect_marked(&arena, &blocks[i]);
            arena_free(&arena, blocks[i].ref);
        }
    }
    assert_int_equal(arena.live_bytes, 0);
    assert_true(arena.committed_bytes <= WARM_BYTES);
    arena_finish(&arena);
    free(blocks);
}

static void classes_waste_little(void **state)
{
    (void)state;
    size_t last = 0;
    for (size_t size = 1; size <= 200000; size++) {
        size_t bytes = arena_class_bytes(size);
        assert_true(bytes >= size && bytes >= last && bytes % 8 == 0);
        assert_true(size > ARENA_SLAB_BYTES || bytes < size + 8 ||
                    bytes - size <= size / 16);
        last = bytes;
    }
}

static void used_up_range_is_told(void **state)
{
    struct arena arena;
    (void)state;
    assert_true(arena_init(&arena, 8 * ARENA_SLAB_BYTES));
    unsigned count = 0;
    while (arena_alloc(&arena, ARENA_SLAB_BYTES) != 0) {
        count++;
    }
    assert_int_equal(count, 7);
    assert_int_equal(arena_alloc(&arena, 2 * ARENA_SLAB_BYTES), 0);
    assert_int_equal(arena_alloc(&arena, 1), 0);
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_never_overlap),
        cmocka_unit_test(classes_waste_little),
        cmocka_unit_test(used_up_range_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
