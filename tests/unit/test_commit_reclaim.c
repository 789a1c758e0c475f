/* Rounds of reclaim in each state in which something may come between. */
#include "tests/unit/engine_fixture.h"
#include "tiers/collection.h"
#include "tiers/values/hash.h"

static void put_many(struct world *world, unsigned count)
{
    char key[20];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key:%u", i);
        put_text(world, 0, key, "v");
    }
}

/* All is saved, and then "dead" is deleted. */
static void leave_dead(struct world *world)
{
    world_save(world);
    db_delete(world_db(world, 0), text("dead"), world->now_ms);
    world_pass(world, 1000);
}

/* So many rounds of the loop, or until a batch has failed. */
static void run_rounds(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count && world->engine->log.failures == 0; i++) {
        engine_cron(world->engine, world->now_ms);
        dry_workers_wait(world->engine->log.workers, 10);
        engine_collect(world->engine, world->now_ms);
    }
}

/* Moved records that are refused with more behind them: the one is back where
 * it was, the other is written. */
static void moves_refused_before_others(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "dead", "v");
    put_text(world, 0, "moved", "v");
    leave_dead(world);
    make_dry(world, 0, "moved");
    world_fail_slowly(world, true, DRY_FULL, 20);
    world_start_reclaim(world);
    put_text(world, 0, "behind", "v");
    start_demote(world, 0, "behind");
    assert_true(world->engine->log.sealed != world->engine->log.last_sealed);
    world_settle(world);
    assert_false(world->engine->log.removing);
    world_heal(world, FAULT_APPLY);
    world_pass(world, 5000);
    world_save(world);
    world_sane(world);
    world_reopen(world);
    expect_absent(world, 0, "dead");
    expect_text(world, 0, "moved", "v");
    expect_text(world, 0, "behind", "v");
}

/* While a round is with the writer the next one is read. When the first is
 * taken back, the second is of no use. */
static void rounds_taken_back_together(void **state)
{
    enum { KEYS = 14000 };
    struct world *world = *state;
    char key[20];
    put_many(world, KEYS);
    world_save(world);
    for (unsigned i = 0; i < KEYS; i += 2) {
        snprintf(key, sizeof key, "key:%u", i);
        db_delete(world_db(world, 0), text(key), world->now_ms);
    }
    world_pass(world, 1000);
    world_fail_slowly(world, true, DRY_FULL, 300);
    uint64_t first = world->engine->log.first_id;
    world_start_reclaim(world);
    world->engine->options.dry_maxsize_bytes = 16;
    run_rounds(world, 1000);
    assert_int_equal(world->engine->log.first_id, first);
    assert_false(world->engine->log.removing);
    world_sane(world);
    world_heal(world, FAULT_APPLY);
    world_pass(world, 5000);
    assert_true(world->engine->log.first_id > first);
    world_sane(world);
    world_reopen(world);
    assert_int_equal(db_size(world_db(world, 0)), KEYS / 2);
    expect_absent(world, 0, "key:0");
    expect_text(world, 0, "key:1", "v");
    expect_text(world, 0, "key:13999", "v");
}

/* In the middle of a command nothing is moved. */
static void a_round_waits_for_a_command(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "dead", "v");
    put_text(world, 0, "moved", "v");
    leave_dead(world);
    engine_hold(world->engine, true);
    world->engine->options.dry_maxsize_bytes = 16;
    uint64_t first = world->engine->log.first_id;
    run_rounds(world, 30);
    assert_false(world->engine->log.removing);
    assert_int_equal(world->engine->log.first_id, first);
    engine_hold(world->engine, false);
    world_pass(world, 1000);
    assert_true(world->engine->log.first_id > first);
    world_reopen(world);
    expect_text(world, 0, "moved", "v");
}

/* A round that cannot be listed is given up, and another one comes. */
static void a_round_that_cannot_be_listed(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "dead", "v");
    put_text(world, 0, "moved", "v");
    leave_dead(world);
    uint64_t first = world->engine->log.first_id;
    world_plan(world, FAULT_SCAN, 1, true, DRY_IO);
    world->engine->options.dry_maxsize_bytes = 16;
    uint64_t before = fault_count(world->engine->log.store, FAULT_SCAN);
    world_pass(world, 1000);
    assert_true(fault_count(world->engine->log.store, FAULT_SCAN) > before + 1);
    assert_int_equal(world->engine->log.first_id, first);
    world_heal(world, FAULT_SCAN);
    world_pass(world, 1000);
    assert_true(world->engine->log.first_id > first);
    world_reopen(world);
    expect_text(world, 0, "moved", "v");
}

/* The first record cannot be read now: nothing is moved or removed. */
static void a_record_that_cannot_be_moved_stays(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "first", "v");
    make_dry(world, 0, "first");
    put_text(world, 0, "dead", "v");
    leave_dead(world);
    uint64_t first =
        entry_id(db_find(world_db(world, 0), text("first"), world->now_ms));
    world_plan(world, FAULT_READ, 1, true, DRY_IO);
    world->engine->options.dry_maxsize_bytes = 16;
    world_pass(world, 1000);
    assert_true(world->engine->log.first_id <= first);
    assert_int_equal(
        entry_id(db_find(world_db(world, 0), text("first"), world->now_ms)),
        first);
    world_heal(world, FAULT_READ);
    world_pass(world, 1000);
    assert_true(world->engine->log.first_id > first);
    expect_text(world, 0, "first", "v");
    world_sane(world);
}

/* A hash with fields that expire, whose record is damaged: what is moved says
 * so, and when they do. */
static void a_damaged_hash_keeps_its_deadlines(void **state)
{
    struct world *world = *state;
    struct collection hash;
    struct db *db = world_db(world, 0);
    int64_t deadline_ms = world->now_ms + 500000;
    collection_write(&hash, db, text("h"), NULL, HASH_KIND_NEW, world->now_ms);
    hash_set(&hash, text("field"), text("value"));
    hash_set_deadline(&hash, text("field"), deadline_ms);
    collection_end(&hash, true);
    make_dry(world, 0, "h");
    put_text(world, 0, "dead", "v");
    leave_dead(world);
    uint64_t id = entry_id(db_find(db, text("h"), world->now_ms));
    world_plan(world, FAULT_READ, 1, true, DRY_CORRUPT);
    world_start_reclaim(world);
    world_settle(world);
    world_heal(world, FAULT_READ);
    assert_true(entry_id(db_find(db, text("h"), world->now_ms)) > id);
    world_reopen(world);
    db = world_db(world, 0);
    assert_int_equal(world_fetch(world, db, text("h")), DRY_CORRUPT);
    world->now_ms = deadline_ms - 1;
    assert_non_null(db_find(db, text("h"), world->now_ms));
    world->now_ms = deadline_ms;
    assert_null(db_find(db, text("h"), world->now_ms));
}

#define RECLAIM_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECLAIM_TEST(moves_refused_before_others),
        RECLAIM_TEST(rounds_taken_back_together),
        RECLAIM_TEST(a_round_waits_for_a_command),
        RECLAIM_TEST(a_round_that_cannot_be_listed),
        RECLAIM_TEST(a_record_that_cannot_be_moved_stays),
        RECLAIM_TEST(a_damaged_hash_keeps_its_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
