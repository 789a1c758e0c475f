/* The engine over a store that fails or is damaged. */
#include "tests/unit/engine_fixture.h"

#define STEPS 14

/* What a scenario leaves: two databases with five keys. */
static void scenario_step(struct world *world, unsigned step)
{
    char value[20];
    struct db *db = world_db(world, 0);
    snprintf(value, sizeof value, "value %u", step);
    switch (step) {
    case 4:
        db_delete(db, text("k0"), world->now_ms);
        break;
    case 6:
        db_set_expiry(db, db_find(db, text("k2"), world->now_ms),
            world->now_ms + 1000000);
        break;
    case 8:
        put_text(world, 1, "other", value);
        engine_flush_db(world->engine, 0);
        break;
    case 11:
        engine_swap_db(world->engine, 0, 1);
        engine_swap_db(world->engine, 0, 1);
        break;
    default:
        snprintf(value, sizeof value, "value %u", step % 4);
        put_text(world, 0, value + 6, value);
        snprintf(value, sizeof value, "k%u", step % 4);
        put_text(world, 0, value, value);
        break;
    }
    start_demote(world, 0, "k1");
    start_demote(world, 0, "k3");
    world_pass(world, 200);
}

static void scenario_expect(struct world *world)
{
    static const char *const keys[] = {"k0", "k1", "k2", "k3"};
    static const char *const numbers[] = {"0", "1", "2", "3"};
    for (unsigned i = 0; i < 4; i++) {
        bool there = i != 3; /* steps 9, 10, 12 and 13 wrote */
        if (there) {
            char value[20];
            snprintf(value, sizeof value, "value %s", numbers[i]);
            expect_text(world, 0, keys[i], keys[i]);
            expect_text(world, 0, numbers[i], value);
        } else {
            expect_absent(world, 0, keys[i]);
        }
    }
    expect_text(world, 1, "other", "value 8");
    assert_int_equal(db_size(world_db(world, 0)), 6);
    assert_int_equal(db_size(world_db(world, 1)), 1);
    world_sane(world);
}

static void fail_at(unsigned apply, enum dry_result result, bool for_ever,
    enum engine_durability durability)
{
    struct world world;
    world_init(&world, durability);
    world.reclaim_always = true;
    world_reopen(&world);
    world_plan(&world, FAULT_APPLY, apply, for_ever, result);
    for (unsigned step = 0; step < STEPS; step++) {
        scenario_step(&world, step);
    }
    scenario_expect(&world);
    world_heal(&world, FAULT_APPLY);
    world_pass(&world, 5000);
    assert_int_equal(world.engine->log.failures, 0);
    scenario_expect(&world);
    if (durability == ENGINE_CHECKPOINTS) {
        world_save(&world);
    }
    world_reopen(&world);
    scenario_expect(&world);
    world_finish(&world);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    static const enum engine_durability durabilities[] = {
        ENGINE_CHECKPOINTS, ENGINE_EVERYSEC, ENGINE_ALWAYS};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned apply = 1; apply <= 24; apply++) {
            fail_at(apply, DRY_FULL, apply % 2, durabilities[i]);
            fail_at(apply, DRY_IO, apply % 2, durabilities[i]);
        }
    }
}

/* Nothing is queued, no mark waits: the store must be tried all the same. */
static void full_store_heals_by_itself(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    put_text(&world, 0, "k", "v");
    world_plan(&world, FAULT_APPLY, 1, true, DRY_FULL);
    start_demote(&world, 0, "k");
    world_settle(&world);
    assert_int_equal(
        engine_admit(world.engine, 10, world.now_ms), ENGINE_REFUSE_OOM);
    world_pass(&world, 5000);
    assert_int_equal(
        engine_admit(world.engine, 10, world.now_ms), ENGINE_REFUSE_OOM);
    world_heal(&world, FAULT_APPLY);
    world_pass(&world, 2500);
    assert_int_equal(
        engine_admit(world.engine, 10, world.now_ms), ENGINE_ADMIT);
    world_finish(&world);
}

static void save_tries_again(void **state)
{
    struct world world;
    char reason[200] = "";
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    put_text(&world, 0, "k", "v");
    world_plan(&world, FAULT_APPLY, 1, true, DRY_IO);
    assert_int_equal(
        engine_save(world.engine, world.now_ms, reason, sizeof reason), DRY_IO);
    assert_string_not_equal(reason, "");
    world_heal(&world, FAULT_APPLY);
    world_save(&world);
    world_reopen(&world);
    expect_text(&world, 0, "k", "v");
    world_finish(&world);
}

/* What was begun while the store failed says nothing of it now. */
static void save_outlives_a_failure_under_way(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, ENGINE_ALWAYS);
    world_fail_slowly(&world, false, DRY_IO, 200);
    put_text(&world, 0, "first", "v");
    world_round(&world);
    assert_int_equal(dry_workers_applying(world.engine->log.workers), 1);
    world_save(&world);
    world_plan(&world, FAULT_APPLY, 1, true, DRY_IO);
    put_text(&world, 0, "again", "v");
    world_settle(&world);
    assert_true(world.engine->log.failures > 0);
    world_fail_slowly(&world, false, DRY_IO, 200);
    world.now_ms += 60000;
    engine_cron(world.engine, world.now_ms);
    assert_int_equal(dry_workers_applying(world.engine->log.workers), 1);
    world_save(&world);
    world_reopen(&world);
    expect_text(&world, 0, "first", "v");
    expect_text(&world, 0, "again", "v");
    world_finish(&world);
}

static void save_waits_for_room(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    put_text(&world, 0, "k", "v");
    world_plan(&world, FAULT_APPLY, 1, false, DRY_FULL);
    world_save(&world);
    put_text(&world, 0, "k", "w");
    world_plan(&world, FAULT_APPLY, 1, false, DRY_FULL);
    world_save(&world);
    world_reopen(&world);
    expect_text(&world, 0, "k", "w");
    world_finish(&world);
}

/* ---- moves that are taken back ---- */

/* Nothing but dead records at the log's left edge: taking them out frees
 * room, though no row is written. */
static void dead_records_leave_a_full_store(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    put_text(&world, 0, "dead", "dead");
    put_text(&world, 0, "alive", "alive");
    world_save(&world);
    db_delete(world_db(&world, 0), text("dead"), world.now_ms);
    db_delete(world_db(&world, 0), text("alive"), world.now_ms);
    world_pass(&world, 2000);
    put_text(&world, 0, "k", "v");
    world_plan(&world, FAULT_APPLY, 1, true, DRY_FULL);
    start_demote(&world, 0, "k");
    world_settle(&world);
    assert_true(world.engine->log.full);
    world_start_reclaim(&world);
    /* The last: one that asks whether the store still fails may be before. */
    assert_int_equal(world.engine->log.last_sealed->row_count, 0);
    assert_true(world.engine->log.last_sealed->job.batch.frees);
    world_heal(&world, FAULT_APPLY);
    world_finish(&world);
}

/* Three dry keys whose records are being moved to a store that is full. */
static void start_moves(struct world *world, enum dry_result result)
{
    world_init(world, ENGINE_CHECKPOINTS);
    const char *const keys[] = {"del", "ttl", "get", "dead"};
    for (unsigned i = 0; i < 4; i++) {
        put_text(world, 0, keys[i], keys[i]);
        make_dry(world, 0, keys[i]);
    }
    db_delete(world_db(world, 0), text("dead"), world->now_ms);
    world_pass(world, 1000);
    world_fail_slowly(world, true, result, 50);
    world_start_reclaim(world);
}

static void moves_taken_back(enum dry_result result)
{
    struct world world;
    struct answer answer = answer_new();
    start_moves(&world, result);
    struct db *db = world_db(&world, 0);
    db_delete(db, text("del"), world.now_ms);
    db_set_expiry(
        db, db_find(db, text("ttl"), world.now_ms), world.now_ms + 60000);
    engine_fetch(world.engine, db, text("get"), &answer.waiter, world.now_ms);
    world_await(&world, &answer);
    expect_text(&world, 0, "get", "get"); /* though nothing can be written */
    expect_text(&world, 0, "ttl", "ttl");
    world_heal(&world, FAULT_APPLY);
    world_pass(&world, 5000);
    world_sane(&world);
    world_reopen(&world);
    expect_absent(&world, 0, "del");
    expect_text(&world, 0, "get", "get");
    world.now_ms += 60000;
    expect_absent(&world, 0, "ttl");
    assert_int_equal(db_size(world_db(&world, 0)), 1);
    world_finish(&world);
}

static void moves_to_a_full_store_are_taken_back(void **state)
{
    (void)state;
    moves_taken_back(DRY_FULL);
}

static void moves_to_a_failing_store_are_taken_back(void **state)
{
    (void)state;
    moves_taken_back(DRY_IO);
}

/* ---- deletions and a full disk ---- */

/* The mark went with moved records for which there was no room. */
static void deletion_outlives_moves_refused(void **state)
{
    struct world world;
    struct answer answer = answer_new();
    (void)state;
    world_init(&world, ENGINE_ALWAYS);
    put_text(&world, 0, "dead", "dead");
    put_text(&world, 0, "moved", "moved");
    put_text(&world, 0, "del", "del");
    world_settle(&world);
    db_delete(world_db(&world, 0), text("dead"), world.now_ms);
    world_settle(&world);
    db_delete(world_db(&world, 0), text("del"), world.now_ms);
    assert_true(engine_wait_synced(world.engine, &answer.waiter));
    world_plan(&world, FAULT_APPLY, 1, false, DRY_FULL);
    world_start_reclaim(&world);
    assert_int_equal(world.engine->log.mark_count, 0);
    world_settle(&world);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.result, DRY_OK);
    world_reopen(&world);
    expect_absent(&world, 0, "del");
    expect_text(&world, 0, "moved", "moved");
    world_finish(&world);
}

/* A key that a full disk has refused; the next turn asks for room again. */
static void refused_key(struct world *world)
{
    world_init(world, ENGINE_ALWAYS);
    put_text(world, 0, "del", "del");
    put_text(world, 1, "flushed", "flushed");
    world_settle(world);
    world_refuse(world, "refused");
    world->now_ms += 60000;
}

/* The batch that the client waits for needs no room. */
static void expect_passes_full_disk(struct world *world)
{
    struct answer answer = answer_new();
    assert_true(engine_wait_synced(world->engine, &answer.waiter));
    struct fault_plan slow = {.delay_ms = 200};
    fault_plan(world->engine->log.store, FAULT_APPLY, &slow);
    engine_cron(world->engine, world->now_ms);
    assert_int_equal(dry_workers_applying(world->engine->log.workers), 1);
    assert_true(world->engine->log.sealed->job.batch.frees);
    world_heal(world, FAULT_APPLY);
    world_await(world, &answer);
    assert_int_equal(answer.result, DRY_OK);
}

static void deletion_goes_before_what_was_refused(void **state)
{
    struct world world;
    (void)state;
    refused_key(&world);
    db_delete(world_db(&world, 0), text("del"), world.now_ms);
    expect_passes_full_disk(&world);
    world_reopen(&world);
    expect_absent(&world, 0, "del");
    world_finish(&world);
}

static void flush_goes_before_what_was_refused(void **state)
{
    struct world world;
    (void)state;
    refused_key(&world);
    expect_text(&world, 1, "flushed", "flushed");
    engine_flush_db(world.engine, 1);
    expect_passes_full_disk(&world);
    world_reopen(&world);
    expect_absent(&world, 1, "flushed");
    expect_text(&world, 0, "del", "del");
    world_finish(&world);
}

/* ---- damage ---- */

/* Passes every row on to the store as if a bit of its payload had flipped on
 * the way. */
static void damage(struct world *world, const char *key)
{
    struct dry_store *store = world->engine->log.store;
    const struct entry *entry =
        db_find(world_db(world, 0), text(key), world->now_ms);
    uint64_t id = entry_id(entry);
    char *data = NULL;
    size_t header_bytes = 0, payload_bytes = 0;
    assert_int_equal(
        store->ops->read(store, id, &data, &header_bytes, &payload_bytes),
        DRY_OK);
    /* Behind the last record: ids ascend. */
    data[header_bytes + payload_bytes - 1] ^= 1;
    uint64_t new_id = world->engine->log.next_id++;
    struct dry_record record = {.id = new_id,
        .header = bytes_of(data, header_bytes),
        .payload = bytes_of(data + header_bytes, payload_bytes)};
    struct dry_batch_view batch = {.records = &record, .record_count = 1};
    char reason[160];
    assert_int_equal(
        store->ops->apply(store, &batch, reason, sizeof reason), DRY_OK);
    world->engine->log.committed_id = new_id;
    free(data);
}

static enum dry_result fetch_result(struct world *world, const char *key)
{
    return world_fetch(world, world_db(world, 0), text(key));
}

static void damaged_record_is_an_error_for_its_key(void **state)
{
    struct world world;
    char large[3000];
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_settle(&world);
    uint64_t random = 99;
    for (size_t i = 0; i < sizeof large; i++) {
        large[i] = (char)('a' + seed_below(&random, 26));
    }
    put_text(&world, 0, "small", "small value");
    put_text(&world, 0, "good", "good value");
    db_set_string(world_db(&world, 0), text("large"),
        bytes_of(large, sizeof large), DB_NO_EXPIRY, world.now_ms);
    make_dry(&world, 0, "good");
    make_dry(&world, 0, "small");
    damage(&world, "small");
    make_dry(&world, 0, "large");
    damage(&world, "large");
    world_reopen(&world);
    assert_int_equal(db_size(world_db(&world, 0)), 3);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(fetch_result(&world, "small"), DRY_CORRUPT);
        assert_int_equal(fetch_result(&world, "large"), DRY_CORRUPT);
        assert_int_equal(tier_of(&world, 0, "small"), TIER_DRY);
        expect_text(&world, 0, "good", "good value");
        if (round == 0) {
            world_start_reclaim(&world); /* moved, damage and all */
            world_pass(&world, 1000);
        } else {
            world_reopen(&world);
        }
    }
    put_text(&world, 0, "small", "new");
    expect_text(&world, 0, "small", "new");
    world_sane(&world);
    world_finish(&world);
}

/* The value in RAM is good: reclaim writes that. */
static void damaged_record_is_mended_from_memory(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_settle(&world);
    put_text(&world, 0, "k", "value");
    make_dry(&world, 0, "k");
    expect_text(&world, 0, "k", "value");
    uint64_t id =
        entry_id(db_find(world_db(&world, 0), text("k"), world.now_ms));
    put_text(&world, 0, "dead", "value");
    make_dry(&world, 0, "dead");
    db_delete(world_db(&world, 0), text("dead"), world.now_ms);
    world_plan(&world, FAULT_READ, 1, true, DRY_CORRUPT);
    world_start_reclaim(&world);
    world_heal(&world, FAULT_READ);
    world_pass(&world, 1000);
    assert_int_not_equal(
        id, entry_id(db_find(world_db(&world, 0), text("k"), world.now_ms)));
    world_reopen(&world);
    expect_text(&world, 0, "k", "value");
    world_finish(&world);
}

/* Expiries set again and again while nothing can be written must not pile
 * up, and the last one counts. */
static void marks_of_one_record_become_one(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_reopen(&world);
    struct db *db = world_db(&world, 0);
    put_text(&world, 0, "stays", "here");
    put_text(&world, 0, "dies", "soon");
    world_save(&world);
    world_plan(&world, FAULT_APPLY, 1, true, DRY_FULL);
    const int64_t last_ms = 300000;
    for (int64_t i = 1; i <= last_ms; i++) {
        db_set_expiry(db, db_find(db, text("stays"), world.now_ms),
            world.now_ms + 1000000 + i);
    }
    db_set_expiry(
        db, db_find(db, text("dies"), world.now_ms), world.now_ms + 1000000);
    db_delete(db, text("dies"), world.now_ms);
    assert_true(world.engine->log.mark_capacity < 200000);
    int64_t expiry_ms = world.now_ms + 1000000 + last_ms;
    world_heal(&world, FAULT_APPLY);
    world_pass(&world, 5000);
    world_reopen(&world);
    db = world_db(&world, 0);
    assert_int_equal(
        entry_expiry_ms(db_find(db, text("stays"), world.now_ms)), expiry_ms);
    assert_null(db_find(db, text("dies"), world.now_ms));
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_of_one_record_become_one),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(full_store_heals_by_itself),
        cmocka_unit_test(save_tries_again),
        cmocka_unit_test(save_outlives_a_failure_under_way),
        cmocka_unit_test(save_waits_for_room),
        cmocka_unit_test(dead_records_leave_a_full_store),
        cmocka_unit_test(moves_to_a_full_store_are_taken_back),
        cmocka_unit_test(moves_to_a_failing_store_are_taken_back),
        cmocka_unit_test(deletion_outlives_moves_refused),
        cmocka_unit_test(deletion_goes_before_what_was_refused),
        cmocka_unit_test(flush_goes_before_what_was_refused),
        cmocka_unit_test(damaged_record_is_an_error_for_its_key),
        cmocka_unit_test(damaged_record_is_mended_from_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
