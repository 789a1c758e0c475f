/* The timing wheel against a list of expiries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/seed.h"
#include "tiers/wheel.h"

#define TIMERS 2000
#define START_MS INT64_C(1700000000000)

struct world {
    struct arena arena;
    struct wheel wheel;
    uint32_t refs[TIMERS];
    int64_t expiries[TIMERS]; /* 0: not in the wheel */
    int64_t now_ms;
    uint64_t random;
};

static uint32_t make_entry(struct world *world, unsigned timer)
{
    struct entry_spec spec = {
        .key = bytes_of(&timer, sizeof timer),
        .expiry_ms = world->expiries[timer],
        .bits = entry_with_tier(0, TIER_DRY),
    };
    uint32_t ref = arena_alloc(&world->arena, entry_slot_size(&spec));
    assert_int_not_equal(ref, 0);
    entry_write(arena_at(&world->arena, ref), &spec);
    return ref;
}

static int64_t some_expiry(struct world *world)
{
    static const int64_t spans[] = {1, 20, 1000, 70000, 5000000, 400000000,
        INT64_C(40000000000), INT64_C(9000000000000), INT64_C(400000000000000)};
    int64_t span = spans[seed_below(&world->random, 9)];
    int64_t ms = world->now_ms - 50 +
                 (int64_t)seed_below(&world->random, (uint64_t)span + 100);
    return ms > 0 ? ms : 1;
}

static void add(struct world *world, unsigned timer)
{
    world->expiries[timer] = some_expiry(world);
    world->refs[timer] = make_entry(world, timer);
    wheel_add(&world->wheel, &world->arena, world->refs[timer]);
}

static void take(struct world *world, unsigned timer)
{
    wheel_remove(&world->wheel, &world->arena, world->refs[timer]);
    arena_free(&world->arena, world->refs[timer]);
    world->expiries[timer] = 0;
}

static void substitute(struct world *world, unsigned timer)
{
    uint32_t ref = make_entry(world, timer);
    wheel_substitute(&world->wheel, &world->arena, world->refs[timer], ref);
    arena_free(&world->arena, world->refs[timer]);
    world->refs[timer] = ref;
}

/* Fires all that is due, with small budgets, and looks that it was, and that
 * nothing due is left. */
static void fire(struct world *world)
{
    uint64_t due = wheel_count_due(&world->wheel, &world->arena, world->now_ms);
    for (;;) {
        unsigned given = 1 + (unsigned)seed_below(&world->random, 40);
        unsigned budget = given;
        uint32_t ref =
            wheel_due(&world->wheel, &world->arena, world->now_ms, &budget);
        assert_true(budget <= given);
        if (ref == 0 && budget > 0) {
            break;
        }
        if (ref != 0) {
            unsigned timer = 0;
            struct bytes key = entry_key_of(arena_at(&world->arena, ref));
            memcpy(&timer, key.data, sizeof timer);
            assert_int_equal(world->refs[timer], ref);
            assert_int_not_equal(world->expiries[timer], 0);
            assert_true(world->expiries[timer] <= world->now_ms);
            take(world, timer);
            due--;
        }
    }
    assert_int_equal(due, 0);
    uint64_t items = 0, sum = 0;
    for (unsigned timer = 0; timer < TIMERS; timer++) {
        if (world->expiries[timer] != 0) {
            /* A slot fires when all in it are due. */
            assert_true(world->expiries[timer] > world->now_ms - WHEEL_TICK_MS);
            items++;
            sum += (uint64_t)world->expiries[timer];
        }
    }
    assert_int_equal(world->wheel.items, items);
    assert_true(world->wheel.expiry_sum_ms == sum);
}

static int64_t some_step(struct world *world)
{
    static const int64_t steps[] = {1, 5, 16, 100, 1000, 100000, 10000000,
        INT64_C(3000000000), INT64_C(600000000000)};
    unsigned most = seed_below(&world->random, 20) == 0 ? 9 : 5;
    return (int64_t)seed_below(
        &world->random, (uint64_t)steps[seed_below(&world->random, most)] + 1);
}

static void random_timers_fire_in_time(void **state)
{
    struct world *world = xcalloc(1, sizeof *world);
    (void)state;
    world->random = seed_take("wheel");
    world->now_ms = START_MS;
    assert_true(arena_init(&world->arena, (size_t)1 << 30));
    /* As an engine does: the wheel is made before the time is known. */
    wheel_init(
        &world->wheel, seed_below(&world->random, 2) == 0 ? 0 : world->now_ms);
    for (unsigned round = 0; round < 4000; round++) {
        for (unsigned i = 0; i < 20; i++) {
            unsigned timer = (unsigned)seed_below(&world->random, TIMERS);
            if (world->expiries[timer] == 0) {
                add(world, timer);
            } else if (seed_below(&world->random, 3) == 0) {
                take(world, timer);
            } else {
                substitute(world, timer);
            }
        }
        world->now_ms += some_step(world);
        fire(world);
    }
    world->now_ms += INT64_C(500000000000000);
    fire(world);
    assert_int_equal(world->wheel.items, 0);
    arena_finish(&world->arena);
    free(world);
}

static void budget_bounds_the_moves(void **state)
{
    struct world *world = xcalloc(1, sizeof *world);
    (void)state;
    world->random = 7;
    world->now_ms = START_MS;
    assert_true(arena_init(&world->arena, (size_t)1 << 30));
    wheel_init(&world->wheel, 0);
    for (unsigned timer = 0; timer < TIMERS; timer++) {
        world->expiries[timer] = START_MS + 100000;
        world->refs[timer] = make_entry(world, timer);
        wheel_add(&world->wheel, &world->arena, world->refs[timer]);
    }
    world->now_ms += 1000;
    unsigned calls = 0, budget = 0;
    do {
        budget = 10;
        assert_int_equal(
            wheel_due(&world->wheel, &world->arena, world->now_ms, &budget), 0);
        calls++;
    } while (budget == 0);
    assert_in_range(calls, TIMERS / 10, TIMERS / 10 * WHEEL_LEVELS);
    arena_finish(&world->arena);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_timers_fire_in_time),
        cmocka_unit_test(budget_bounds_the_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
