/* Every way of an entry between the tiers, forced one by one, and what may
 * happen to it on the way. */
#include "tests/unit/engine_fixture.h"

static void with_world(
    enum engine_durability durability, void (*play)(struct world *world))
{
    struct world world;
    world_init(&world, durability);
    play(&world);
    world_sane(&world);
    world_finish(&world);
}

#define WORLD_TEST(name, durability)                                           \
    static void play_##name(struct world *world);                              \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        with_world(durability, play_##name);                                   \
    }                                                                          \
    static void play_##name(struct world *world)

static uint64_t reads(struct world *world)
{
    return fault_count(world->engine->log.store, FAULT_READ);
}

static uint64_t id_of(struct world *world, const char *key)
{
    return entry_id(db_find(world_db(world, 0), text(key), world->now_ms));
}

/* A read under way: the fetch is started, not collected. */
static struct answer *start_fetch(struct world *world, const char *key)
{
    struct answer *answer = xmalloc(sizeof *answer);
    *answer = answer_new();
    engine_fetch(world->engine, world_db(world, 0), text(key), &answer->waiter,
        world->now_ms);
    return answer;
}

static enum dry_result finish_fetch(struct world *world, struct answer *answer)
{
    world_await(world, answer);
    enum dry_result result = answer->result;
    free(answer);
    return result;
}

/* ---- the states ---- */

WORLD_TEST(down_and_up_again, ENGINE_CHECKPOINTS)
{
    put_text(world, 0, "k", "value");
    assert_int_equal(tier_of(world, 0, "k"), TIER_HOT);
    assert_int_equal(id_of(world, "k"), 0);
    struct db *db = world_db(world, 0);
    assert_false(engine_demote(
        world->engine, db, text("k"), TIER_COLD, NULL, world->now_ms));
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD);
    start_demote(world, 0, "k");
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD); /* not written yet */
    assert_int_not_equal(id_of(world, "k"), 0);
    world_settle(world);
    assert_int_equal(tier_of(world, 0, "k"), TIER_DRY);
    uint64_t id = id_of(world, "k");
    assert_int_equal(world_fetch(world, db, text("k")), DRY_OK);
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD);
    assert_int_equal(id_of(world, "k"), id); /* the disk's copy stays good */
    /* The first use is the one that fetched it, the second promotes. */
    expect_text(world, 0, "k", "value");
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD);
    expect_text(world, 0, "k", "value");
    assert_int_equal(tier_of(world, 0, "k"), TIER_HOT);
    assert_int_equal(id_of(world, "k"), id);
    /* Clean: it sinks without another write. */
    uint64_t applied = fault_count(world->engine->log.store, FAULT_APPLY);
    start_demote(world, 0, "k");
    assert_int_equal(tier_of(world, 0, "k"), TIER_DRY);
    assert_int_equal(
        fault_count(world->engine->log.store, FAULT_APPLY), applied);
    assert_int_equal(id_of(world, "k"), id);
}

WORLD_TEST(commit_confirms_only_what_it_wrote, ENGINE_CHECKPOINTS)
{
    put_text(world, 0, "k", "one");
    start_demote(world, 0, "k");
    put_text(world, 0, "k", "two");
    world_settle(world);
    assert_int_equal(tier_of(world, 0, "k"), TIER_HOT);
    assert_int_equal(id_of(world, "k"), 0);
    expect_text(world, 0, "k", "two");
    world_pass(world, 1000);
    world_reopen(world);
    expect_absent(world, 0, "k"); /* lost, but "one" does not come back */
}

WORLD_TEST(sinking_entries_change_their_mind, ENGINE_CHECKPOINTS)
{
    const char *const keys[] = {
        "overwritten", "deleted", "expired", "pinned", "read", "renamed"};
    for (unsigned i = 0; i < 6; i++) {
        put_text(world, 0, keys[i], keys[i]);
        start_demote(world, 0, keys[i]);
    }
    struct db *db = world_db(world, 0);
    db_set_text(
        db, text("overwritten"), text("new"), DB_NO_EXPIRY, world->now_ms);
    db_delete(db, text("deleted"), world->now_ms);
    db_set_expiry(
        db, db_find(db, text("expired"), world->now_ms), world->now_ms + 1);
    engine_pin(world->engine, db, text("pinned"));
    expect_text(world, 0, "read", "read");
    db_rename(db, text("renamed"), db, text("moved"), world->now_ms);
    world->now_ms += 1;
    world_settle(world);
    space_sane(db->space);
    expect_text(world, 0, "overwritten", "new");
    expect_absent(world, 0, "deleted");
    expect_absent(world, 0, "expired");
    assert_int_equal(tier_of(world, 0, "pinned"), TIER_COLD);
    engine_unpin(world->engine, db, text("pinned"));
    assert_int_not_equal(tier_of(world, 0, "read"), TIER_DRY);
    expect_absent(world, 0, "renamed");
    expect_text(world, 0, "moved", "renamed");
    world_save(world);
    world_reopen(world);
    assert_int_equal(db_size(world_db(world, 0)), 4);
    expect_text(world, 0, "overwritten", "new");
    expect_text(world, 0, "moved", "renamed");
    expect_absent(world, 0, "expired");
}

/* ---- fetches ---- */

WORLD_TEST(one_read_for_many, ENGINE_CHECKPOINTS)
{
    put_text(world, 0, "k", "value");
    make_dry(world, 0, "k");
    uint64_t before = reads(world);
    struct answer *first = start_fetch(world, "k");
    struct answer *second = start_fetch(world, "k");
    struct answer *third = start_fetch(world, "k");
    engine_cancel(world->engine, &third->waiter);
    assert_int_equal(finish_fetch(world, first), DRY_OK);
    assert_int_equal(finish_fetch(world, second), DRY_OK);
    assert_int_equal(third->calls, 0);
    free(third);
    assert_int_equal(reads(world), before + 1);
}

WORLD_TEST(stale_fetches_are_discarded, ENGINE_CHECKPOINTS)
{
    const char *const keys[] = {"set", "del", "ttl", "flush", "swap"};
    for (unsigned what = 0; what < 5; what++) {
        const char *key = keys[what];
        put_text(world, 0, key, "old");
        make_dry(world, 0, key);
        struct answer *answer = start_fetch(world, key);
        struct db *db = world_db(world, 0);
        switch (what) {
        case 0:
            put_text(world, 0, key, "new");
            break;
        case 1:
            db_delete(db, text(key), world->now_ms);
            break;
        case 2:
            db_set_expiry(
                db, db_find(db, text(key), world->now_ms), world->now_ms + 5);
            break;
        case 3:
            engine_flush_db(world->engine, 0);
            put_text(world, 0, key, "new");
            break;
        default:
            engine_swap_db(world->engine, 0, 1);
            put_text(world, 0, key, "new");
            break;
        }
        assert_int_equal(finish_fetch(world, answer), DRY_OK);
        if (what == 1) {
            expect_absent(world, 0, key);
        } else {
            expect_text(world, 0, key, what == 2 ? "old" : "new");
        }
    }
    expect_text(world, 1, "swap", "old");
    assert_int_equal(world->engine->counters.fetch_discarded, 3);
    world->now_ms += 5;
    expect_absent(world, 0, "ttl");
}

WORLD_TEST(failing_read_leaves_the_key, ENGINE_CHECKPOINTS)
{
    put_text(world, 0, "k", "value");
    make_dry(world, 0, "k");
    world_plan(world, FAULT_READ, 1, true, DRY_IO);
    assert_int_equal(finish_fetch(world, start_fetch(world, "k")), DRY_IO);
    assert_int_equal(tier_of(world, 0, "k"), TIER_DRY);
    assert_int_equal(world->engine->counters.fetch_errors, 1);
    world_heal(world, FAULT_READ);
    expect_text(world, 0, "k", "value");
}

/* "retry-attempts, retry-delay: what a failing store operation gets before
 * its error counts, with jitter and a deadline" */
WORLD_TEST(failing_reads_are_tried_again, ENGINE_CHECKPOINTS)
{
    const struct engine_stats *counters = &world->engine->counters;
    put_text(world, 0, "k", "value");
    make_dry(world, 0, "k");
    for (unsigned attempts = 1; attempts <= 5; attempts++) {
        uint64_t before = fault_count(world->engine->log.store, FAULT_READ);
        uint64_t retries = counters->store_retries;
        int64_t started_ms = world->now_ms;
        char options[50];
        snprintf(options, sizeof options, "retry-attempts %u retry-delay 1s",
            attempts);
        world_namespace(world, "", options);
        world_plan(world, FAULT_READ, 1, true, DRY_IO);
        assert_int_equal(finish_fetch(world, start_fetch(world, "k")), DRY_IO);
        assert_int_equal(
            fault_count(world->engine->log.store, FAULT_READ) - before,
            attempts);
        assert_int_equal(counters->store_retries - retries, attempts - 1);
        assert_int_equal(counters->fetch_errors, attempts);
        assert_true(world->now_ms - started_ms <= 1100 * (attempts - 1));
        world_heal(world, FAULT_READ);
    }
    /* The last attempt may be the one that succeeds. */
    struct fault_plan twice = {.action = FAULT_FAIL, .result = DRY_IO};
    twice.first = fault_count(world->engine->log.store, FAULT_READ) + 1;
    world_namespace(world, "", "retry-attempts 2 retry-delay 1s");
    fault_plan(world->engine->log.store, FAULT_READ, &twice);
    assert_int_equal(finish_fetch(world, start_fetch(world, "k")), DRY_OK);
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD);
    struct namespace_stats stats;
    assert_true(engine_namespace_stats(world->engine, text(""), &stats));
    assert_int_equal(stats.counters.store_retries, counters->store_retries);
    assert_int_equal(stats.counters.store_errors, counters->store_errors);
}

WORLD_TEST(fetch_at_once, ENGINE_CHECKPOINTS)
{
    put_text(world, 0, "k", "value");
    make_dry(world, 0, "k");
    assert_int_equal(engine_fetch_now(world->engine, world_db(world, 0),
                         text("k"), 1000, world->now_ms),
        DRY_OK);
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD);
    make_dry(world, 0, "k");
    struct fault_plan slow = {.action = FAULT_NONE, .delay_ms = 100};
    fault_plan(world->engine->log.store, FAULT_READ, &slow);
    assert_int_equal(engine_fetch_now(world->engine, world_db(world, 0),
                         text("k"), 10, world->now_ms),
        DRY_IO);
    world_settle(world);
    assert_int_equal(tier_of(world, 0, "k"), TIER_COLD);
}

/* retry-deadline: one minute. What comes after it is kept all the same. */
WORLD_TEST(reads_without_an_answer_end, ENGINE_CHECKPOINTS)
{
    struct fault_plan slow = {.action = FAULT_NONE, .delay_ms = 100};
    put_text(world, 0, "k", "value");
    make_dry(world, 0, "k");
    fault_plan(world->engine->log.store, FAULT_READ, &slow);
    struct answer *answer = start_fetch(world, "k");
    engine_cron(world->engine, world->now_ms += 60001);
    assert_int_equal(answer->calls, 1);
    assert_int_equal(finish_fetch(world, answer), DRY_IO);
    expect_text(world, 0, "k", "value");
}

struct canceller {
    struct answer answer; /* first */
    struct engine *engine;
    struct engine_waiter *victim;
};

static void on_cancel(struct engine_waiter *waiter, enum dry_result result)
{
    struct canceller *canceller = (struct canceller *)waiter;
    on_answer(waiter, result);
    engine_cancel(canceller->engine, canceller->victim);
}

WORLD_TEST(waiters_cancel_each_other, ENGINE_CHECKPOINTS)
{
    put_text(world, 0, "k", "value");
    make_dry(world, 0, "k");
    struct canceller first = {.engine = world->engine};
    struct answer victim = answer_new(), last = answer_new();
    first.answer.waiter.on_ready = on_cancel;
    first.victim = &victim.waiter;
    engine_fetch(world->engine, world_db(world, 0), text("k"),
        &first.answer.waiter, world->now_ms);
    engine_fetch(world->engine, world_db(world, 0), text("k"), &victim.waiter,
        world->now_ms);
    engine_fetch(world->engine, world_db(world, 0), text("k"), &last.waiter,
        world->now_ms);
    world_await(world, &last);
    assert_int_equal(first.answer.calls, 1);
    assert_int_equal(victim.calls, 0);
}

/* ---- expiry ---- */

WORLD_TEST(dry_keys_expire_without_reading, ENGINE_CHECKPOINTS)
{
    char key[20];
    struct db *db = world_db(world, 0);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%u", i);
        db_set_string(db, text(key), text("v"),
            i % 2 == 0 ? world->now_ms + 1000 : DB_NO_EXPIRY, world->now_ms);
        make_dry(world, 0, key);
    }
    uint64_t before = reads(world);
    world_pass(world, 900);
    assert_int_equal(db_size(db), 100);
    world_pass(world, 300);
    assert_int_equal(db_size(db), 50);
    assert_int_equal(world->events[ENGINE_EXPIRED], 50);
    assert_int_equal(world->engine->counters.expired_by_tier[TIER_DRY], 50);
    assert_int_equal(reads(world), before);
    world_pass(world, 1000);
    world_reopen(world);
    assert_int_equal(db_size(world_db(world, 0)), 50);
}

WORLD_TEST(misses_and_new_keys_are_told, ENGINE_CHECKPOINTS)
{
    struct db *db = world_db(world, 0);
    put_text(world, 0, "a", "v");
    db_read(db, text("absent"), world->now_ms);
    assert_int_equal(world->events[ENGINE_ADDED], 0);
    assert_int_equal(world->events[ENGINE_MISSED], 0);
    engine_set_events(world->engine, true, true);
    put_text(world, 0, "a", "w");
    assert_int_equal(world->events[ENGINE_ADDED], 0);
    put_text(world, 0, "b", "v");
    db_copy(db, text("a"), world_db(world, 1), text("b"), world->now_ms);
    assert_int_equal(world->events[ENGINE_ADDED], 2);
    make_dry(world, 0, "b");
    db_look(db, text("b"), world->now_ms);
    db_look_quietly(db, text("absent"), world->now_ms);
    db_touch(db, text("absent"), world->now_ms);
    assert_int_equal(world->events[ENGINE_MISSED], 0);
    db_read(db, text("absent"), world->now_ms);
    db_look(db, text("absent"), world->now_ms);
    assert_int_equal(world->events[ENGINE_MISSED], 2);
    world_settle(world);
    world_reopen(world);
    assert_int_equal(world->events[ENGINE_ADDED], 2);
}

/* ---- what belongs together ---- */

WORLD_TEST(held_writes_are_one_cut, ENGINE_EVERYSEC)
{
    struct log *log = &world->engine->log;
    put_text(world, 0, "far", "v");
    make_dry(world, 0, "far");
    world_settle(world);
    uint64_t cuts = log->cuts;
    put_text(world, 0, "a", "1");
    engine_hold(world->engine, true);
    put_text(world, 0, "b", "1");
    log_cut(world->engine);
    log_seal(world->engine, true, 0);
    assert_int_equal(engine_fetch_now(world->engine, world_db(world, 0),
                         text("far"), 1000, world->now_ms),
        DRY_OK);
    put_text(world, 0, "c", "1");
    assert_int_equal(log->cuts, cuts);
    assert_int_equal(log->queue_count, 3);
    engine_hold(world->engine, false);
    assert_int_equal(log->cuts, cuts + 1);
    assert_int_equal(log->queue_count, 0);
    world_settle(world);
    world_reopen(world);
    expect_text(world, 0, "c", "1");
}

WORLD_TEST(flush_goes_with_what_was_written_behind_it, ENGINE_EVERYSEC)
{
    put_text(world, 0, "a", "1");
    world_pass(world, 2000);
    engine_flush_all(world->engine);
    put_text(world, 0, "b", "1");
    /* A batch is closed for another reason. */
    log_seal(world->engine, false, 0);
    while (world->engine->log.sealed != NULL) {
        dry_workers_wait(world->engine->log.workers, 10);
        dry_workers_collect(world->engine->log.workers);
    }
    world_reopen(world);
    expect_absent(world, 0, "a");
    expect_text(world, 0, "b", "1");
}

/* ---- durability ---- */

WORLD_TEST(always_waits_for_the_sync, ENGINE_ALWAYS)
{
    struct answer answer = answer_new();
    world_settle(world);
    put_text(world, 0, "k", "v");
    assert_true(engine_wait_synced(world->engine, &answer.waiter));
    assert_int_equal(answer.calls, 0);
    world_await(world, &answer);
    assert_int_equal(answer.result, DRY_OK);
    assert_false(engine_wait_synced(world->engine, &answer.waiter));
    /* Nothing else was asked for: a crash now. */
    world_reopen(world);
    expect_text(world, 0, "k", "v");
}

WORLD_TEST(always_reports_a_full_disk, ENGINE_ALWAYS)
{
    struct answer answer = answer_new();
    world_settle(world);
    world_refuse(world, "k");
    assert_int_equal(
        engine_admit(world->engine, 10, world->now_ms), ENGINE_REFUSE_OOM);
    world_heal(world, FAULT_APPLY);
    world_pass(world, 2500);
    assert_int_equal(
        engine_admit(world->engine, 10, world->now_ms), ENGINE_ADMIT);
    if (engine_wait_synced(world->engine, &answer.waiter)) {
        world_await(world, &answer);
    }
    world_reopen(world);
    expect_text(world, 0, "k", "k");
}

/* The range that entries lie in ends somewhere, whatever maxmemory is. */
WORLD_TEST(writes_end_before_the_arena, ENGINE_CHECKPOINTS)
{
    struct arena *arena = &world->engine->arena;
    size_t reserved_bytes = arena->reserved_bytes;
    put_text(world, 0, "k", "v");
    assert_int_equal(
        engine_admit(world->engine, 10, world->now_ms), ENGINE_ADMIT);
    arena->reserved_bytes = arena->committed_bytes;
    assert_true(memory_pressing(world->engine));
    assert_int_equal(
        engine_admit(world->engine, 10, world->now_ms), ENGINE_REFUSE_OOM);
    arena->reserved_bytes = reserved_bytes;
}

WORLD_TEST(leaving_always_wakes_who_waits, ENGINE_ALWAYS)
{
    struct answer answer = answer_new();
    put_text(world, 0, "k", "v");
    assert_true(engine_wait_synced(world->engine, &answer.waiter));
    engine_set_durability(world->engine, ENGINE_NEVER_SYNC);
    world_await(world, &answer);
    assert_int_equal(answer.result, DRY_OK);
}

/* What was written together gets to disk together, although a checkpoint
 * that runs comes past one of them before the other. */
WORLD_TEST(checkpoint_leaves_queued_keys_together, ENGINE_EVERYSEC)
{
    char key[24];
    struct db *db = world_db(world, 0);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put_text(world, 0, key, "v");
    }
    world_settle(world);
    assert_true(engine_checkpoint_start(world->engine, world->now_ms));
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put_text(world, 0, key, "w");
    }
    while (world->engine->checkpoint.sequence == 0) {
        unsigned appended = 0;
        checkpoint_turn(world->engine, 0);
        for (unsigned i = 0; i < 2000; i++) {
            snprintf(key, sizeof key, "k%u", i);
            appended +=
                entry_id(db_find(db, text(key), world->now_ms)) != 0 ? 1 : 0;
        }
        assert_true(appended == 0 || appended == 2000);
    }
    world_settle(world);
}

WORLD_TEST(everysec_goes_on_when_the_clock_is_set_back, ENGINE_EVERYSEC)
{
    put_text(world, 0, "a", "1");
    world_pass(world, 1100);
    world->now_ms -= 3600000;
    put_text(world, 0, "b", "2");
    world_pass(world, 1100);
    world_reopen(world);
    expect_text(world, 0, "b", "2");
}

/* ---- databases ---- */

WORLD_TEST(flushes_by_the_thousand, ENGINE_CHECKPOINTS)
{
    for (unsigned i = 0; i < 70000; i++) {
        put_text(world, 0, "k", "v");
        assert_int_equal(engine_flush_db(world->engine, 0), 1);
    }
    assert_int_equal(db_size(world_db(world, 0)), 0);
}

WORLD_TEST(more_databases_do_not_revive_flushed_keys, ENGINE_EVERYSEC)
{
    for (unsigned i = 0; i < 8; i++) {
        put_text(world, 0, "flushed", "v");
        world_pass(world, 200);
        engine_flush_db(world->engine, 0);
    }
    put_text(world, 0, "k", "v");
    world_save(world);
    world->options.databases = 16;
    world_reopen(world);
    for (unsigned i = 1; i < 16; i++) {
        assert_int_equal(db_size(world_db(world, i)), 0);
    }
    put_text(world, 15, "k15", "v");
    world_save(world);
    world_reopen(world);
    assert_int_equal(db_size(world_db(world, 0)), 1);
    assert_int_equal(db_size(world_db(world, 15)), 1);
}

WORLD_TEST(random_key_among_few, ENGINE_CHECKPOINTS)
{
    char key[20];
    struct db *db = world_db(world, 0);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put_text(world, 0, key, "v");
    }
    for (unsigned i = 1; i < 5000; i++) {
        snprintf(key, sizeof key, "k%u", i);
        db_delete(db, text(key), world->now_ms);
    }
    for (uint64_t i = 0; i < 64; i++) {
        const struct entry *entry = db_random(db, i << 58, world->now_ms);
        assert_non_null(entry);
        assert_true(bytes_equal(entry_key(entry), text("k0")));
    }
    db_delete(db, text("k0"), world->now_ms);
    assert_null(db_random(db, 1, world->now_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(down_and_up_again),
        cmocka_unit_test(commit_confirms_only_what_it_wrote),
        cmocka_unit_test(sinking_entries_change_their_mind),
        cmocka_unit_test(one_read_for_many),
        cmocka_unit_test(stale_fetches_are_discarded),
        cmocka_unit_test(failing_read_leaves_the_key),
        cmocka_unit_test(failing_reads_are_tried_again),
        cmocka_unit_test(fetch_at_once),
        cmocka_unit_test(reads_without_an_answer_end),
        cmocka_unit_test(waiters_cancel_each_other),
        cmocka_unit_test(dry_keys_expire_without_reading),
        cmocka_unit_test(misses_and_new_keys_are_told),
        cmocka_unit_test(held_writes_are_one_cut),
        cmocka_unit_test(flush_goes_with_what_was_written_behind_it),
        cmocka_unit_test(always_waits_for_the_sync),
        cmocka_unit_test(always_reports_a_full_disk),
        cmocka_unit_test(writes_end_before_the_arena),
        cmocka_unit_test(leaving_always_wakes_who_waits),
        cmocka_unit_test(checkpoint_leaves_queued_keys_together),
        cmocka_unit_test(everysec_goes_on_when_the_clock_is_set_back),
        cmocka_unit_test(flushes_by_the_thousand),
        cmocka_unit_test(more_databases_do_not_revive_flushed_keys),
        cmocka_unit_test(random_key_among_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
