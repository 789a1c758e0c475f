/* Under pressure for long: values of random sizes are written and read in
 * random order, so that slots become free all over the arena. What the limit
 * allows must hold values then, not gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "tests/unit/engine_fixture.h"

#define MAXMEMORY_BYTES ((size_t)24 << 20)
/* What is on its way to disk is copied beside the values. */
#define BATCHES_BYTES ((size_t)4 << 20)
#define KEYS 40000
#define STEPS 120000

struct sizes {
    size_t least, most;
};

/* Its first bytes say whose value it is. */
static struct bytes value_of(uint64_t key, const struct sizes *sizes, char *out)
{
    uint64_t state = key * 2 + 1;
    size_t size =
        sizes->least + seed_below(&state, sizes->most - sizes->least + 1);
    for (size_t at = 0; at < size; at += sizeof state) {
        uint64_t word = seed_next(&state) * UINT64_C(0x9e3779b97f4a7c15);
        size_t left = size - at;
        memcpy(out + at, &word, left < sizeof word ? left : sizeof word);
    }
    return bytes_of(out, size);
}

/* A key's name, to `out` of 24 bytes, and a NUL behind it. */
static struct bytes name_of(uint64_t key, char *out)
{
    int size = snprintf(out, 24, "k%llu", (unsigned long long)key);
    return bytes_of(out, (size_t)size);
}

static void set_one(
    struct world *world, uint64_t key, const struct sizes *sizes)
{
    char name[24], value[8192];
    db_set_string(world_db(world, 0), name_of(key, name),
        value_of(key, sizes, value), DB_NO_EXPIRY, world->now_ms);
}

static void write_one(
    struct world *world, uint64_t key, const struct sizes *sizes)
{
    while (engine_admit(world->engine, sizes->most, world->now_ms) !=
           ENGINE_ADMIT) {
        world_settle(world);
    }
    set_one(world, key, sizes);
}

static void read_one(
    struct world *world, uint64_t key, const struct sizes *sizes)
{
    char name[24], value[8192];
    expect_bytes(world, 0, name_of(key, name), value_of(key, sizes, value));
}

/* Bytes in RAM that are values, and how many there is room for. */
static void expect_full_of_values(
    const struct world *world, unsigned least_percent)
{
    struct engine_stats stats;
    engine_stats(world->engine, &stats);
    uint64_t values = stats.tier[TIER_HOT].bytes + stats.tier[TIER_COLD].bytes;
    uint64_t rest = stats.used_bytes - stats.entry_bytes - stats.blob_bytes +
                    stats.tier[TIER_DRY].bytes;
    uint64_t room = MAXMEMORY_BYTES - rest;
    print_message("# %llu of %llu bytes are values\n",
        (unsigned long long)values, (unsigned long long)room);
    assert_true(values > room / 100 * least_percent);
}

static void play(
    struct world *world, const struct sizes *sizes, unsigned least_percent)
{
    uint64_t random = seed_take("engine_memory");
    uint64_t filled = 0;
    engine_set_maxmemory(world->engine, MAXMEMORY_BYTES);
    for (uint64_t step = 0; step < KEYS + STEPS; step++) {
        uint64_t key = seed_below(&random, KEYS);
        /* A tenth of the keys gets most of the reads. */
        key = seed_below(&random, 4) == 0 ? key : key / 10;
        if (filled < KEYS) {
            write_one(world, filled++, sizes);
        } else if (seed_below(&random, 20) == 0) {
            write_one(world, key, sizes);
        } else {
            read_one(world, key, sizes);
        }
        if (step % 64 == 0) {
            world->now_ms += 1;
            world_round(world);
            assert_true(
                memory_used(world->engine) <= MAXMEMORY_BYTES + BATCHES_BYTES);
        }
        if (step > KEYS + STEPS / 2 && step % 10000 == 0) {
            world_settle(world);
            expect_full_of_values(world, least_percent);
        }
    }
    world_sane(world);
}

static void values_of_one_size_fill_memory(void **state)
{
    struct world world;
    struct sizes sizes = {1024, 1024};
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    play(&world, &sizes, 80);
    world_finish(&world);
}

static void values_of_many_sizes_fill_memory(void **state)
{
    struct world world;
    struct sizes sizes = {10, 3000};
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    /* A slab of each of some hundred sizes is only begun. */
    play(&world, &sizes, 65);
    world_finish(&world);
}

/* Values as they are, and a limit. */
static void begin_limited(struct world *world)
{
    world_init(world, ENGINE_CHECKPOINTS);
    world_namespace(world, "", "compression none");
    engine_set_maxmemory(world->engine, MAXMEMORY_BYTES);
}

static void write_all(struct world *world, const struct sizes *sizes)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        write_one(world, key, sizes);
        world_round(world);
    }
}

/* Also where nobody waits and nothing else comes in: a turn that had not time
 * enough asks for the next. */
static void what_is_too_much_sinks_without_input(void **state)
{
    struct world world;
    struct sizes sizes = {1024, 1024};
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    struct engine *engine = world.engine;
    write_all(&world, &sizes);
    world_save(&world);
    engine_set_maxmemory(engine, memory_used(engine) / 2);
    unsigned turns = 1;
    while (engine_turn(engine, world.now_ms)) {
        turns++;
    }
    assert_true(memory_used(engine) <= engine->options.maxmemory_bytes);
    assert_true(turns > 1);
    world_settle(&world);
    world_sane(&world);
    world_finish(&world);
}

/* All that can sink is less than a commit gathers, and who asked for room does
 * not wait for it. */
static void a_little_sinks_at_once_when_asked(void **state)
{
    struct world world;
    struct sizes sizes = {1024, 1024};
    (void)state;
    begin_limited(&world);
    for (uint64_t key = 0; key < 150; key++) {
        write_one(&world, key, &sizes);
    }
    engine_set_outside_bytes(
        world.engine, MAXMEMORY_BYTES / 100 * 92 - memory_used(world.engine));
    world_settle(&world);
    size_t size = MAXMEMORY_BYTES - memory_used(world.engine) + 50000;
    engine_admit_now(world.engine, size, 1000, world.now_ms);
    assert_int_equal(world.engine->counters.demoted_cold_dry, 150);
    world_sane(&world);
    world_finish(&world);
}

static enum tier tier_of_key(struct world *world, uint64_t key)
{
    char name[24];
    name_of(key, name);
    return tier_of(world, 0, name);
}

/* Hot is full of what was written a minute ago. What is read from disk now
 * takes its place, more than cold alone would hold; but not that of a hot key
 * which is used now and then. */
static void what_is_forgotten_leaves_before_what_is_read(void **state)
{
    enum { READ = 10000, EACH = 200, USED = KEYS - 1 };
    struct world world;
    struct sizes sizes = {1024, 1024};
    (void)state;
    begin_limited(&world);
    write_all(&world, &sizes);
    world_settle(&world);
    assert_int_equal(tier_of_key(&world, USED), TIER_HOT);
    assert_int_equal(tier_of_key(&world, USED - EACH), TIER_HOT);
    world_pass(&world, 60000);
    for (uint64_t key = 0; key < READ; key++) {
        assert_int_equal(tier_of_key(&world, key), TIER_DRY);
        read_one(&world, key, &sizes);
        if (key % EACH == 0) {
            read_one(&world, USED, &sizes);
            world_pass(&world, 10);
        }
        world_round(&world);
    }
    world_settle(&world);
    for (uint64_t key = 0; key < READ; key++) {
        assert_int_equal(tier_of_key(&world, key), TIER_COLD);
    }
    assert_int_equal(tier_of_key(&world, USED), TIER_HOT);
    world_sane(&world);
    world_finish(&world);
}

/* Memory that nothing is in is room for who writes, who else would wait until
 * so much more is on disk; and it is given back where that is too much. */
static void kept_slabs_are_room(void **state)
{
    struct world world;
    struct sizes sizes = {1024, 1024};
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    struct engine *engine = world.engine;
    for (uint64_t key = 0; key < 4000; key++) {
        write_one(&world, key, &sizes);
    }
    for (uint64_t key = 0; key < 3000; key++) {
        char name[24];
        db_delete(world_db(&world, 0), name_of(key, name), world.now_ms);
    }
    world_settle(&world);
    size_t kept = arena_warm_bytes(&engine->arena);
    uint64_t demoted = engine->counters.demoted_hot_cold;
    /* As much as may be filled is a 43rd less. */
    size_t limit = memory_used(engine) / 32 * 33;
    assert_true(kept > limit - memory_used(engine));
    engine_set_maxmemory(engine, limit);
    assert_int_equal(engine_admit(engine, kept, world.now_ms), ENGINE_ADMIT);
    engine_set_maxmemory(engine, memory_used(engine) - kept / 2);
    world_round(&world);
    world_round(&world); /* the first one may have begun a batch */
    assert_true(memory_used(engine) <= engine->options.maxmemory_bytes);
    assert_true(arena_warm_bytes(&engine->arena) > 0);
    assert_int_equal(engine->counters.demoted_hot_cold, demoted);
    world_sane(&world);
    world_finish(&world);
}

/* The disk has something to do from the start: who waits for room does not wait
 * until cold holds its share. */
static void cold_is_refilled_while_it_sinks(void **state)
{
    enum { CALLS = 40 };
    struct world world;
    struct sizes sizes = {1024, 1024};
    struct engine_stats stats;
    (void)state;
    begin_limited(&world);
    for (uint64_t key = 0; key < 10000; key++) {
        write_one(&world, key, &sizes);
    }
    engine_set_maxmemory(world.engine, memory_used(world.engine) / 2);
    for (unsigned call = 0; call < CALLS; call++) {
        sink_turn(world.engine, 0); /* the fewest that it can do */
    }
    engine_stats(world.engine, &stats);
    uint64_t sinking = world.engine->log.open->row_count;
    assert_in_range(stats.tier[TIER_COLD].items, sinking + CALLS, 10000 / 4);
    assert_in_range(sinking, CALLS / 2, 2 * CALLS);
    world_finish(&world);
}

/* Too small for the disk, but packed all of them fit: none goes while cold
 * still has to be filled. */
static void what_never_goes_to_disk_is_packed_first(void **state)
{
    enum { COUNT = MAXMEMORY_BYTES / 1000 * 12 / 10 };
    struct world world;
    char value[1000];
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_namespace(&world, "",
        "dry-threshold 2kb compression lz4 compression-min-size 100");
    engine_set_maxmemory(world.engine, MAXMEMORY_BYTES);
    memset(value, 'v', sizeof value);
    for (unsigned key = 0; key < COUNT; key++) {
        char name[24];
        enum engine_admission admission;
        while ((admission = engine_admit(
                    world.engine, sizeof value, world.now_ms)) == ENGINE_PARK) {
            world_settle(&world);
        }
        assert_int_equal(admission, ENGINE_ADMIT);
        db_set_string(world_db(&world, 0), name_of(key, name),
            bytes_of(value, sizeof value), DB_NO_EXPIRY, world.now_ms);
        if (key % 500 == 0) {
            world_round(&world);
        }
    }
    world_settle(&world);
    assert_int_equal(db_size(world_db(&world, 0)), COUNT);
    assert_true(world.engine->counters.demoted_hot_cold > 0);
    world_finish(&world);
}

/* A round's time is worth little to a sanitized program. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROOM_ROUNDS = 2000 };
#else
enum { ROOM_ROUNDS = 100 };
#endif

/* More than what is kept free for others, but all in all there is room. */
static void a_large_value_is_given_room(void **state)
{
    struct world world;
    struct sizes sizes = {1024, 1024};
    size_t large = MAXMEMORY_BYTES / 8;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    engine_set_maxmemory(world.engine, MAXMEMORY_BYTES);
    /* Full enough that it does not fit, and nothing has to sink for others. */
    for (uint64_t key = 0;
         memory_used(world.engine) < MAXMEMORY_BYTES / 100 * 92; key++) {
        write_one(&world, key, &sizes);
    }
    world_settle(&world);
    assert_false(memory_pressing(world.engine));
    unsigned rounds = 0;
    while (engine_admit(world.engine, large, world.now_ms) != ENGINE_ADMIT) {
        assert_true(rounds++ < ROOM_ROUNDS);
        world_settle(&world);
    }
    assert_int_equal(
        engine_admit(world.engine, large, world.now_ms), ENGINE_ADMIT);
    /* Once nobody asks, no more is kept free than ever. */
    world_round(&world);
    assert_int_equal(world.engine->room_wanted_bytes, 0);
    world_finish(&world);
}

/* Waits for room; whether somebody was let in before so many turns, of a
 * millisecond, were over. */
static bool is_let_in(struct world *world, unsigned turns)
{
    struct answer answer = answer_new();
    engine_wait_room(world->engine, &answer.waiter);
    for (unsigned i = 0; i < turns && answer.calls == 0; i++) {
        world_round(world);
        usleep(1000);
    }
    if (answer.calls == 0) {
        engine_cancel(world->engine, &answer.waiter);
        return false;
    }
    assert_int_equal(answer.result, DRY_OK);
    return true;
}

/* Until somebody would have to wait. */
static void write_what_fits(
    struct world *world, uint64_t *key, const struct sizes *sizes)
{
    while (engine_admit(world->engine, sizes->most, world->now_ms) ==
           ENGINE_ADMIT) {
        set_one(world, *key, sizes);
        *key += 1;
    }
}

/* The disk stands still: who waits is let in now and then, up to the limit and
 * no further. When it goes on, what they got is room again for the next time.
 */
static void a_disk_may_stand_still_for_a_while(void **state)
{
    enum { TIMES = 2, TURNS = 500, LIMIT = 512 << 20 };
    struct fault_plan hung = {.delay_ms = 3600 * 1000};
    struct world world;
    struct sizes sizes = {1024, 1024};
    uint64_t key = 0;
    (void)state;
    begin_limited(&world);
    struct engine *engine = world.engine;
    engine_set_maxmemory(engine, LIMIT);
    for (unsigned time = 0; time < TIMES; time++) {
        fault_plan(engine->log.store, FAULT_APPLY, &hung);
        write_what_fits(&world, &key, &sizes);
        uint64_t committed = engine->log.committed_id;
        unsigned let_in = 0, turns = 0;
        size_t large = (LIMIT / 256 * 4) / 4; /* more than is lent at once */
        assert_int_equal(
            engine_admit(engine, large, world.now_ms), ENGINE_PARK);
        assert_true(is_let_in(&world, TURNS));
        assert_int_equal(
            engine_admit(engine, large, world.now_ms), ENGINE_ADMIT);
        while (is_let_in(&world, TURNS)) {
            write_what_fits(&world, &key, &sizes);
            assert_true(memory_used(engine) <= LIMIT + BATCHES_BYTES);
            assert_in_range(++let_in, 1, 100);
        }
        assert_true(let_in > 3);
        assert_int_equal(engine->log.committed_id, committed);
        fault_plan(engine->log.store, FAULT_APPLY, NULL);
        assert_true(is_let_in(&world, TURNS));
        while (engine->room_lent_bytes > 0 && ++turns < TURNS) {
            world_pass(&world, 100);
        }
        assert_int_equal(engine->room_lent_bytes, 0);
    }
    world_sane(&world);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_one_size_fill_memory),
        cmocka_unit_test(values_of_many_sizes_fill_memory),
        cmocka_unit_test(what_is_too_much_sinks_without_input),
        cmocka_unit_test(a_little_sinks_at_once_when_asked),
        cmocka_unit_test(a_large_value_is_given_room),
        cmocka_unit_test(kept_slabs_are_room),
        cmocka_unit_test(cold_is_refilled_while_it_sinks),
        cmocka_unit_test(what_never_goes_to_disk_is_packed_first),
        cmocka_unit_test(what_is_forgotten_leaves_before_what_is_read),
        /* Last: what it leaves to the allocator would count for the others. */
        cmocka_unit_test(a_disk_may_stand_still_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
