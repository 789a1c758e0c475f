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

/* Three quarters are freed at random, then sparse slabs are emptied: little
 * more than what is in use is left, and nothing is lost. */
static void sparse_slabs_are_drained(void **state)
{
    static const size_t reserve = (size_t)1 << 30;
    enum { SIZE = 1000, COUNT = 20000 };
    uint64_t random = seed_take("arena drain");
    struct block *blocks = calloc(COUNT, sizeof *blocks);
    uint32_t *refs = calloc(ARENA_SLAB_UNITS, sizeof *refs);
    struct arena arena;
    (void)state;
    assert_true(arena_init(&arena, reserve));
    assert_int_equal(arena_drain_begin(&arena), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = (struct block){arena_alloc(&arena, SIZE), SIZE, 0};
        blocks[i].mark = (unsigned char)seed_next(&random);
        memset(arena_at(&arena, blocks[i].ref), blocks[i].mark, SIZE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        if (seed_below(&random, 4) != 0) {
            arena_free(&arena, blocks[i].ref);
            blocks[i].ref = 0;
        }
    }
    assert_true(arena.committed_bytes > arena.live_bytes * 3);
    /* A look sees few slabs: so many in vain, together, have seen all. */
    for (unsigned idle = 0; idle < 100;) {
        if (arena_drain_begin(&arena) == 0) {
            idle++;
            continue;
        }
        size_t count = arena_drain_refs(&arena, refs);
        for (size_t i = 0; i < count && arena_drain_fits(&arena); i++) {
            unsigned moved = 0;
            while (blocks[moved].ref != refs[i]) {
                moved++;
                assert_true(moved < COUNT);
            }
            blocks[moved].ref = arena_alloc(&arena, SIZE);
            memcpy(arena_at(&arena, blocks[moved].ref),
                arena_at(&arena, refs[i]), SIZE);
            arena_free(&arena, refs[i]);
        }
        arena_drain_end(&arena);
    }
    assert_true(arena.committed_bytes <=
                arena.live_bytes / 7 * 8 + WARM_BYTES + ARENA_SLAB_BYTES);
    for (unsigned i = 0; i < COUNT; i++) {
        if (blocks[i].ref != 0) {
            expect_marked(&arena, &blocks[i]);
            arena_free(&arena, blocks[i].ref);
        }
    }
    assert_int_equal(arena.live_bytes, 0);
    arena_finish(&arena);
    free(refs);
    free(blocks);
}

/* What is kept for later can be had back, and the arena goes on. */
static void warm_slabs_are_given_back(void **state)
{
    enum { COUNT = 4000, SIZE = 1000 };
    struct arena arena;
    uint32_t *refs = calloc(COUNT, sizeof *refs);
    (void)state;
    assert_true(arena_init(&arena, (size_t)64 << 20));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            refs[i] = arena_alloc(&arena, SIZE);
            assert_int_not_equal(refs[i], 0);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            arena_free(&arena, refs[i]);
        }
        assert_int_equal(arena_warm_bytes(&arena), WARM_BYTES);
        assert_int_equal(arena.committed_bytes, WARM_BYTES);
        arena_cool(&arena, ARENA_SLAB_BYTES + 1);
        assert_int_equal(
            arena_warm_bytes(&arena), WARM_BYTES - 2 * ARENA_SLAB_BYTES);
        arena_cool(&arena, SIZE_MAX);
        assert_int_equal(arena.committed_bytes, 0);
    }
    arena_finish(&arena);
    free(refs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_never_overlap),
        cmocka_unit_test(classes_waste_little),
        cmocka_unit_test(used_up_range_is_told),
        cmocka_unit_test(sparse_slabs_are_drained),
        cmocka_unit_test(warm_slabs_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
