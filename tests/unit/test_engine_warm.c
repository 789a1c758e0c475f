/* Warm restarts: what was in RAM comes back there, in its order, as far as
 * there is room; the list of it is only a hint. */
#include "tests/unit/engine_fixture.h"

static void put(struct world *world, const char *key)
{
    char value[200];
    memset(value, 'x', sizeof value);
    db_set_string(world_db(world, 0), text(key), bytes_of(value, sizeof value),
        DB_NO_EXPIRY, world->now_ms);
    world->now_ms += 1000;
}

/* "k0" to "k<count - 1>", a second apart. */
static void put_many(struct world *world, unsigned count)
{
    char key[24];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put(world, key);
    }
}

static unsigned count_in(struct world *world, enum tier tier)
{
    return (unsigned)db_tier_size(world_db(world, 0), tier);
}

static void save(struct world *world)
{
    char reason[200];
    assert_int_equal(
        engine_save(world->engine, world->now_ms, reason, sizeof reason),
        DRY_OK);
}

static void stop(struct world *world)
{
    save(world);
    engine_keep_warm(world->engine, world->now_ms);
    world_close(world);
}

/* All that is to come has come. */
static void warm_up(struct world *world)
{
    struct warm *warm = &world->engine->warm;
    do {
        world_settle(world);
    } while (warm->items != NULL || warm->reading != NULL);
}

static void start(struct world *world)
{
    world_open(world);
    warm_up(world);
}

static void with_world(void (*play)(struct world *world))
{
    struct world world;
    world_init(&world, ENGINE_CHECKPOINTS);
    world.options.warms = true;
    world_reopen(&world);
    play(&world);
    world_sane(&world);
    world_finish(&world);
}

#define WORLD_TEST(name)                                                       \
    static void play_##name(struct world *world);                              \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        with_world(play_##name);                                               \
    }                                                                          \
    static void play_##name(struct world *world)

WORLD_TEST(tiers_are_as_they_were)
{
    put_many(world, 3000);
    assert_false(engine_demote(world->engine, world_db(world, 0), text("k5"),
        TIER_COLD, NULL, world->now_ms));
    make_dry(world, 0, "k6");
    stop(world);
    start(world);
    assert_int_equal(count_in(world, TIER_HOT), 2998);
    assert_int_equal(tier_of(world, 0, "k5"), TIER_COLD);
    assert_int_equal(tier_of(world, 0, "k6"), TIER_DRY);
    assert_int_equal(world->engine->warm.fetched, 2999);
    assert_int_equal(world->engine->counters.hits, 0);
}

WORLD_TEST(what_was_used_last_leaves_last)
{
    /* Of several readers it is not said whose records come first. */
    world->options.reader_threads = 1;
    world_reopen(world);
    put_many(world, 100);
    db_read(world_db(world, 0), text("k3"), world->now_ms);
    stop(world);
    start(world);
    const struct entry *entry =
        db_find(world_db(world, 0), text("k10"), world->now_ms);
    assert_in_range(engine_idle_ms(world->engine, entry, world->now_ms),
        89 * 1000, 91 * 1000);
    world_namespace(world, "", "hot-max-items 50");
    while (engine_over(world->engine)) {
        engine_trim(world->engine, world->now_ms);
        world_settle(world);
    }
    assert_int_equal(count_in(world, TIER_HOT), 50);
    assert_int_equal(tier_of(world, 0, "k3"), TIER_HOT);
    assert_int_equal(tier_of(world, 0, "k50"), TIER_COLD);
    assert_int_equal(tier_of(world, 0, "k51"), TIER_HOT);
    assert_int_equal(tier_of(world, 0, "k99"), TIER_HOT);
}

WORLD_TEST(about_so_after_a_crash)
{
    put_many(world, 100);
    save(world); /* which begins a walk */
    world_settle(world);
    put(world, "k7");
    put(world, "late");
    assert_null(world->engine->warm.writing);
    world_reopen(world);
    warm_up(world);
    assert_int_equal(count_in(world, TIER_HOT), 100);
    assert_int_equal(tier_of(world, 0, "late"), TIER_NONE);
}

WORLD_TEST(walks_now_and_then_if_there_was_anything)
{
    put_many(world, 10);
    save(world);
    world_settle(world);
    make_dry(world, 0, "k5");
    int64_t walked_ms = world->engine->warm.walked_ms;
    world_pass(world, 299000);
    assert_int_equal(world->engine->warm.walked_ms, walked_ms);
    world_pass(world, 12000);
    assert_true(world->engine->warm.walked_ms > walked_ms);
    walked_ms = world->engine->warm.walked_ms;
    world_pass(world, 400000);
    assert_int_equal(world->engine->warm.walked_ms, walked_ms);
    world_reopen(world);
    warm_up(world);
    assert_int_equal(tier_of(world, 0, "k4"), TIER_HOT);
    assert_int_equal(tier_of(world, 0, "k5"), TIER_DRY);
}

WORLD_TEST(what_is_gone_stays_gone)
{
    put_many(world, 100);
    db_set_expiry(world_db(world, 0),
        db_find(world_db(world, 0), text("k3"), world->now_ms),
        world->now_ms + 5000);
    stop(world);
    world->now_ms += 5001;
    world_open(world);
    db_delete(world_db(world, 0), text("k4"), world->now_ms);
    put(world, "k5"); /* is there already, in another form */
    warm_up(world);
    assert_int_equal(tier_of(world, 0, "k3"), TIER_NONE);
    assert_int_equal(tier_of(world, 0, "k4"), TIER_NONE);
    assert_int_equal(count_in(world, TIER_HOT), 98);
    assert_int_equal(world->engine->warm.fetched, 97);
    stop(world);
    world_open(world);
    engine_flush_all(world->engine);
    put(world, "k6");
    warm_up(world);
    assert_int_equal(count_in(world, TIER_HOT), 1);
    assert_int_equal(world->engine->warm.fetched, 0);
}

WORLD_TEST(limits_hold)
{
    put_many(world, 1000);
    stop(world);
    world_open(world);
    world_namespace(world, "", "hot-max-items 30");
    warm_up(world);
    /* The rest was hot, and is cold now. */
    assert_int_equal(count_in(world, TIER_HOT), 30);
    assert_int_equal(count_in(world, TIER_COLD), 970);
    assert_int_equal(tier_of(world, 0, "k999"), TIER_HOT);
    stop(world);
    world_open(world);
    world_namespace(world, "", "tiers hot,dry");
    warm_up(world);
    assert_int_equal(count_in(world, TIER_HOT), 1000);
    stop(world);
    world_open(world);
    world_namespace(world, "", "tiers hot");
    warm_up(world);
    assert_int_equal(world->engine->warm.fetched, 1000);
    stop(world);
    world_open(world);
    world_namespace(world, "", "hot-ttl 400s");
    warm_up(world);
    assert_in_range(count_in(world, TIER_HOT), 395, 405);
    assert_int_equal(count_in(world, TIER_DRY), 0);
}

WORLD_TEST(memory_holds)
{
    put_many(world, 20000);
    stop(world);
    world_open(world);
    memory_measure(world->engine); /* the test's own memory, too */
    uint64_t limit = memory_used(world->engine) + (2 << 20);
    engine_set_maxmemory(world->engine, limit);
    warm_up(world);
    assert_true(memory_used(world->engine) <= limit);
    unsigned warm = count_in(world, TIER_HOT) + count_in(world, TIER_COLD);
    assert_in_range(warm, 1000, 19000);
    assert_int_equal(tier_of(world, 0, "k19999"), TIER_HOT);
    assert_int_equal(tier_of(world, 0, "k0"), TIER_DRY);
    assert_int_equal(world->engine->counters.demoted_cold_dry, 0);
}

static void list_path(const struct world *world, char path[128])
{
    snprintf(path, 128, "%s/warm", world->path);
}

/* Whatever is wrong with the file, it is a cold start. */
WORLD_TEST(damage_means_a_cold_start)
{
    char path[128], bytes[512];
    put_many(world, 10);
    stop(world);
    list_path(world, path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_int_equal(size, 8 + 10 * 16 + 8);
    for (size_t damaged = 0; damaged <= size + 3; damaged++) {
        size_t keep = damaged > size ? damaged - size - 1 : size;
        file = fopen(path, "wb");
        bytes[damaged % size] ^= 0x10;
        fwrite(bytes, 1, keep, file);
        fclose(file);
        bytes[damaged % size] ^= 0x10;
        start(world);
        assert_int_equal(count_in(world, TIER_DRY), 10);
        assert_non_null(strstr(world->last_log, "warm is damaged"));
        world_close(world);
    }
    unlink(path);
    start(world);
    assert_int_equal(count_in(world, TIER_DRY), 10);
    assert_non_null(strstr(world->last_log, "there is no "));
}

WORLD_TEST(it_can_be_turned_off)
{
    put_many(world, 10);
    stop(world);
    world->options.warms = false;
    start(world);
    assert_int_equal(count_in(world, TIER_DRY), 10);
    stop(world);
    world->options.warms = true;
    world_open(world);
    engine_set_warms(world->engine, false);
    warm_up(world);
    assert_in_range(count_in(world, TIER_DRY), 0, 10);
}

static void expect_tier_after_read(struct world *world)
{
    assert_int_equal(
        world_fetch(world, world_db(world, 0), text("k3")), DRY_OK);
    assert_int_equal(tier_of(world, 0, "k3"), TIER_COLD);
}

/* Values that cannot be read stay where they are. */
WORLD_TEST(a_failing_store_is_let_alone)
{
    put_many(world, 200);
    stop(world);
    world_open(world);
    world_namespace(world, "", "retry-attempts 1");
    world_plan(world, FAULT_READ, 1, true, DRY_IO);
    warm_up(world);
    assert_int_equal(count_in(world, TIER_DRY), 200);
    world_heal(world, FAULT_READ);
    expect_tier_after_read(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiers_are_as_they_were),
        cmocka_unit_test(what_was_used_last_leaves_last),
        cmocka_unit_test(about_so_after_a_crash),
        cmocka_unit_test(walks_now_and_then_if_there_was_anything),
        cmocka_unit_test(what_is_gone_stays_gone),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(memory_holds),
        cmocka_unit_test(damage_means_a_cold_start),
        cmocka_unit_test(it_can_be_turned_off),
        cmocka_unit_test(a_failing_store_is_let_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
