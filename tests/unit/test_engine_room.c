/* The engine over a log that is full of dead records, or larger than memory. */
#include <unistd.h>

#include "tests/unit/engine_fixture.h"
#include "tiers/collection.h"
#include "tiers/values/list.h"

/* Large enough to be encoded and packed by the writer. */
static void put_large_list(struct world *world, const char *key)
{
    struct collection list;
    struct db *db = world_db(world, 0);
    db_delete(db, text(key), world->now_ms);
    collection_write(&list, db, text(key), NULL, KIND_LIST_TREE, world->now_ms);
    for (unsigned i = 0; i < 20000; i++) {
        list_push(&list, LIST_RIGHT, text("element"));
    }
    collection_end(&list, true);
}

/* Values whose sizes an entry keeps only roughly, texts and a list that is
 * packed on its way: when all are alive, nothing counts as dead, and reclaim
 * comes to rest however full the store is. */
static void what_lives_is_not_reclaimed(void **state)
{
    struct world world;
    char value[200 * 13];
    uint64_t random = seed_take("waste");
    (void)state;
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)seed_next(&random);
    }
    world_init(&world, ENGINE_CHECKPOINTS);
    const struct log *log = &world.engine->log;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 200; i++) {
            char key[16];
            snprintf(key, sizeof key, "key:%u", i);
            db_set_string(world_db(&world, 0), text(key),
                bytes_of(value, i * 13), DB_NO_EXPIRY, world.now_ms);
        }
        put_large_list(&world, "list");
        world_save(&world);
    }
    assert_true(log->total_bytes > log->live_bytes);
    world.engine->options.dry_maxsize_bytes = 16;
    world_pass(&world, 3000);
    assert_int_equal(log->total_bytes, log->live_bytes);
    uint64_t moved = world.engine->counters.reclaimed_records;
    assert_true(moved > 0);
    world_pass(&world, 1000);
    assert_int_equal(world.engine->counters.reclaimed_records, moved);
    world_reopen(&world);
    assert_int_equal(
        world.engine->log.total_bytes, world.engine->log.live_bytes);
    world_finish(&world);
}

static void fill_value(char *out, size_t size, unsigned key, unsigned version)
{
    uint64_t random = key * 1000003u + version + 1;
    for (size_t i = 0; i < size; i++) {
        /* Half of them can be packed. */
        out[i] = key % 2 == 0 ? (char)(seed_next(&random) >> 9)
                              : (char)('a' + (i / 100 + version) % 26);
    }
}

static void set_numbered(
    struct world *world, unsigned key, unsigned version, size_t size)
{
    char name[20], value[8192];
    snprintf(name, sizeof name, "key:%u", key);
    fill_value(value, size, key, version);
    db_set_string(world_db(world, 0), text(name), bytes_of(value, size),
        DB_NO_EXPIRY, world->now_ms);
}

static void expect_numbered(
    struct world *world, unsigned key, unsigned version, size_t size)
{
    char name[20], value[8192];
    snprintf(name, sizeof name, "key:%u", key);
    fill_value(value, size, key, version);
    expect_bytes(world, 0, text(name), bytes_of(value, size));
}

enum { MANY = 1000, MANY_STAY = 100, MANY_BYTES = 8000, MANY_VERSIONS = 25 };

static unsigned many_version(unsigned key)
{
    return key < MANY_STAY ? 0 : MANY_VERSIONS - 1;
}

/* Most are written again and again, in every tier and packed and unpacked on
 * the way; some stay as they are. */
static void overwrite_many(struct world *world)
{
    char name[20];
    for (unsigned version = 0; version < MANY_VERSIONS; version++) {
        for (unsigned key = version == 0 ? 0 : MANY_STAY; key < MANY; key++) {
            snprintf(name, sizeof name, "key:%u", key);
            set_numbered(world, key, version, MANY_BYTES);
            if (version % 3 == 0) {
                engine_demote(world->engine, world_db(world, 0), text(name),
                    TIER_DRY, NULL, world->now_ms);
            }
        }
        world_pass(world, 300);
        for (unsigned key = MANY_STAY; version % 3 == 0 && key < MANY;
             key += 2) {
            expect_numbered(world, key, version, MANY_BYTES);
        }
        world_sane(world);
    }
    world_pass(world, 2000);
}

/* What the log counts as alive must not drift, or dead records would stay
 * for ever or live ones be moved for ever. */
static void overwriting_keeps_the_log_small(void **state)
{
    struct world world;
    uint64_t most = (uint64_t)MANY * (MANY_BYTES + 32);
    (void)state;
    world_init(&world, ENGINE_EVERYSEC);
    overwrite_many(&world);
    const struct log *log = &world.engine->log;
    assert_in_range(log->live_bytes, most / 4, most * 17 / 16);
    assert_true(log->total_bytes < most * 3 / 2 + ((uint64_t)40 << 20));
    assert_true(log->stats.used_bytes < log->total_bytes * 5 / 4 + (4 << 20));
    assert_true(log->first_id > MANY_STAY);
    /* Nothing to do: it stays idle. */
    uint64_t moved = world.engine->counters.reclaimed_records;
    assert_true(moved >= MANY_STAY);
    world_pass(&world, 2000);
    assert_int_equal(world.engine->counters.reclaimed_records, moved);
    for (unsigned key = 0; key < MANY; key++) {
        expect_numbered(&world, key, many_version(key), MANY_BYTES);
    }
    world_save(&world);
    uint64_t total = log->total_bytes, live = log->live_bytes;
    world_reopen(&world);
    log = &world.engine->log;
    assert_int_equal(log->total_bytes, total);
    assert_int_equal(log->live_bytes, live);
    world_finish(&world);
}

/* Small values with long keys, as they are counted before and after. */
static void restart_counts_the_log_alike(void **state)
{
    struct world world;
    char key[220];
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%0200u", i);
        put_text(&world, 0, key, i % 2 == 0 ? "short" : "a little longer");
    }
    world_save(&world);
    for (unsigned i = 0; i < 1000; i += 5) {
        snprintf(key, sizeof key, "%0200u", i);
        db_delete(world_db(&world, 0), text(key), world.now_ms);
    }
    world_save(&world);
    const struct log *log = &world.engine->log;
    uint64_t records = log->total_records;
    uint64_t total = log->total_bytes, live = log->live_bytes;
    world_reopen(&world);
    log = &world.engine->log;
    assert_int_equal(log->total_records, records);
    assert_int_equal(log->total_bytes, total);
    assert_int_equal(log->live_bytes, live);
    world_sane(&world);
    world_finish(&world);
}

static void ten_times_more_than_memory(void **state)
{
    struct world world;
    enum { KEYS = 40000, SIZE = 1500 };
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_round(&world);
    uint64_t limit = 8 << 20;
    /* What the process takes besides is not the engine's. */
    for (unsigned key = 0; key < KEYS; key++) {
        set_numbered(&world, key, 0, SIZE);
        engine_set_maxmemory(
            world.engine, limit + world.engine->overhead_bytes);
        while (engine_admit(world.engine, SIZE, world.now_ms) == ENGINE_PARK) {
            world_settle(&world);
        }
        engine_turn(world.engine, world.now_ms);
        engine_collect(world.engine, world.now_ms);
        assert_true(memory_used(world.engine) - world.engine->overhead_bytes <
                    limit + ((size_t)4 << 20));
    }
    world_settle(&world);
    assert_int_equal(db_size(world_db(&world, 0)), KEYS);
    for (unsigned key = 0; key < KEYS; key += 3) {
        expect_numbered(&world, key, 0, SIZE);
    }
    world_sane(&world);
    world_save(&world);
    world_reopen(&world);
    for (unsigned key = 1; key < KEYS; key += 30) {
        expect_numbered(&world, key, 0, SIZE);
    }
    world_finish(&world);
}

/* Memory that a batch leaves is kept for the next ones only where it fits: what
 * is used does not grow because a batch is done. */
static void spare_batches_stay_below_the_limit(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, ENGINE_EVERYSEC);
    for (unsigned key = 0; key < 6000; key++) {
        set_numbered(&world, key * 2, 0, 8000);
        world_round(&world);
    }
    world_settle(&world);
    world_pass(&world, 3000); /* the spare ones are gone */
    assert_int_equal(world.engine->log.spare.count, 0);
    for (unsigned key = 0; key < 70; key++) {
        set_numbered(&world, key * 2, 1, 8000);
    }
    log_cut(world.engine);
    log_seal(world.engine, false, 0);
    engine_set_maxmemory(world.engine, memory_used(world.engine));
    while (dry_workers_applying(world.engine->log.workers) > 0) {
        dry_workers_wait(world.engine->log.workers, 1000);
        dry_workers_collect(world.engine->log.workers);
    }
    assert_true(
        memory_used(world.engine) <= world.engine->options.maxmemory_bytes);
    world_finish(&world);
}

/* The allocator, say, holds memory that it may give back. It does not, and all
 * else is on disk: who waits is told so in the end. */
static void who_waits_in_vain_is_told(void **state)
{
    enum { ROUNDS = 2000 };
    struct world world;
    size_t limit = (size_t)100 << 20, wanted = (size_t)40 << 20;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    struct engine *engine = world.engine;
    world_save(&world);
    assert_true(log_idle(engine));
    engine_set_maxmemory(engine, limit);
    engine->overhead_bytes = (size_t)65 << 20;
    enum dry_result result = DRY_OK;
    unsigned rounds = 0;
    while (result == DRY_OK) {
        assert_true(rounds++ < ROUNDS);
        struct answer answer = answer_new();
        assert_int_equal(
            engine_admit(engine, wanted, world.now_ms), ENGINE_PARK);
        engine_wait_room(engine, &answer.waiter);
        while (answer.calls == 0) {
            world_round(&world);
            usleep(5000);
        }
        result = answer.result;
    }
    assert_int_equal(result, DRY_FULL);
    assert_int_equal(engine_admit(engine, 1000, world.now_ms), ENGINE_ADMIT);
    world_finish(&world);
}

/* Writes one key of the namespace once it may; how often it had to wait. */
static unsigned write_when_admitted(struct world *world, unsigned number)
{
    char key[16];
    char value[8000];
    struct engine *engine = world->engine;
    struct db *db = world_db(world, 0);
    unsigned waits = 0;
    snprintf(key, sizeof key, "w%u", number);
    fill_value(value, sizeof value, number * 2, 0); /* cannot be packed */
    while (engine_admit_key(engine, db, text(key), sizeof value,
               world->now_ms) == ENGINE_PARK) {
        struct answer answer = answer_new();
        engine_wait_room(engine, &answer.waiter);
        assert_int_equal(engine_admit_key(engine, db, text("other"),
                             sizeof value, world->now_ms),
            ENGINE_ADMIT);
        while (answer.calls == 0) {
            dry_workers_wait(engine->log.workers, 1000);
            world_round(world);
        }
        assert_int_equal(answer.result, DRY_OK);
        waits++;
    }
    db_set_string(db, text(key), bytes_of(value, sizeof value), DB_NO_EXPIRY,
        world->now_ms);
    engine_trim(engine, world->now_ms);
    return waits;
}

/* A disk that is slower than they are: what is above the limit cannot sink. */
static void writers_wait_when_their_namespace_piles_up(void **state)
{
    struct world world;
    struct namespace_stats stats;
    struct fault_plan slow = {.delay_ms = 20};
    unsigned waits = 0;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_namespace(&world, "w", "tiers hot,dry hot-maxmemory 1mb");
    fault_plan(world.engine->log.store, FAULT_APPLY, &slow);
    for (unsigned i = 0; i < 5000; i++) {
        waits += write_when_admitted(&world, i);
        assert_true(engine_namespace_stats(world.engine, text("w"), &stats));
        assert_true(stats.tier[TIER_HOT].bytes < (1 << 20) / 32 * 33 + 16000);
    }
    assert_true(waits > 0);
    world_settle(&world);
    world_sane(&world);
    world_finish(&world);
}

/* A command under way goes on when the disk took enough, without the loop. */
static void who_is_under_way_waits_for_a_slow_disk(void **state)
{
    struct world world;
    enum { KEYS = 4000, SIZE = 8000, LIMIT = 8 << 20 };
    struct fault_plan slow = {.delay_ms = 10};
    struct fault_plan hung = {.delay_ms = 3600 * 1000};
    enum engine_admission admission = ENGINE_ADMIT;
    unsigned waits = 0;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    struct engine *engine = world.engine;
    engine_set_maxmemory(engine, LIMIT + engine->overhead_bytes);
    fault_plan(engine->log.store, FAULT_APPLY, &slow);
    for (unsigned key = 0; key < KEYS; key++) {
        waits += engine_admit(engine, SIZE, world.now_ms) == ENGINE_PARK;
        assert_int_equal(
            engine_admit_now(engine, SIZE, 60 * 1000, world.now_ms),
            ENGINE_ADMIT);
        set_numbered(&world, key, 0, SIZE);
    }
    assert_true(waits > 0);
    fault_plan(engine->log.store, FAULT_APPLY, &hung);
    for (unsigned key = 0; admission == ENGINE_ADMIT; key++) {
        admission = engine_admit_now(engine, SIZE, 20, world.now_ms);
        set_numbered(&world, key, 1, SIZE);
    }
    assert_int_equal(admission, ENGINE_PARK);
    fault_plan(engine->log.store, FAULT_APPLY, NULL);
    world_settle(&world);
    world_sane(&world);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lives_is_not_reclaimed),
        cmocka_unit_test(overwriting_keeps_the_log_small),
        cmocka_unit_test(restart_counts_the_log_alike),
        cmocka_unit_test(ten_times_more_than_memory),
        cmocka_unit_test(spare_batches_stay_below_the_limit),
        cmocka_unit_test(who_waits_in_vain_is_told),
        cmocka_unit_test(writers_wait_when_their_namespace_piles_up),
        cmocka_unit_test(who_is_under_way_waits_for_a_slow_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
