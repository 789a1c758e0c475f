/* Batches in each state in which something may come between: a store that
 * fails, keys that go while the writer is at work, the clock, and no store. */
#include "tests/unit/engine_fixture.h"
#include "tiers/collection.h"
#include "tiers/values/list.h"

enum { ELEMENTS = 20000, ROWS_OF_A_BATCH = 4096, MARKS = 140000 };

/* ---- values that the writer encodes ---- */

static void push_elements(
    struct world *world, const char *key, const char *element, unsigned count)
{
    struct collection list;
    struct db *db = world_db(world, 0);
    const struct entry *entry = db_touch(db, text(key), world->now_ms);
    collection_write(
        &list, db, text(key), entry, KIND_LIST_TREE, world->now_ms);
    for (unsigned i = 0; i < count; i++) {
        list_push(&list, LIST_RIGHT, text(element));
    }
    collection_end(&list, true);
}

static void expect_elements(
    struct world *world, const char *key, unsigned count)
{
    struct collection list;
    struct db *db = world_db(world, 0);
    assert_int_equal(world_fetch(world, db, text(key)), DRY_OK);
    const struct entry *entry = db_read(db, text(key), world->now_ms);
    assert_non_null(entry);
    collection_read(&list, db, entry);
    assert_int_equal(collection_count(&list), count);
}

/* Encoded once: a batch that is given again goes as it was. */
static void a_large_value_is_given_again(void **state)
{
    struct world *world = *state;
    push_elements(world, "list", "element", ELEMENTS);
    world_plan(world, FAULT_APPLY, 1, false, DRY_IO);
    start_demote(world, 0, "list");
    world_pass(world, 5000);
    assert_int_equal(world->engine->log.failures, 0);
    assert_int_equal(tier_of(world, 0, "list"), TIER_DRY);
    world_reopen(world);
    expect_elements(world, "list", ELEMENTS);
    world_sane(world);
}

/* Not packed: it was not to be, or does not get smaller. */
static void a_large_value_may_stay_as_it_is(void **state)
{
    struct world *world = *state;
    char noise[60] = "";
    uint64_t random = seed_take("noise");
    world_namespace(world, "", "compression none");
    push_elements(world, "plain", "element", ELEMENTS);
    make_dry(world, 0, "plain");
    assert_int_equal(world->engine->counters.compressed_stored_bytes, 0);
    world_namespace(world, "", "compression lz4");
    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned j = 0; j < sizeof noise - 1; j++) {
            noise[j] = (char)(1 + seed_below(&random, 255));
        }
        push_elements(world, "mixed", noise, 1);
    }
    make_dry(world, 0, "mixed");
    world_reopen(world);
    expect_elements(world, "plain", ELEMENTS);
    expect_elements(world, "mixed", 3000);
    world_sane(world);
}

/* Deleted, or with its whole database, while the writer is at it. */
static void a_large_value_may_go_meanwhile(void **state)
{
    struct world *world = *state;
    push_elements(world, "deleted", "element", ELEMENTS);
    start_demote(world, 0, "deleted");
    assert_true(world->engine->log.applying);
    db_delete(world_db(world, 0), text("deleted"), world->now_ms);
    world_pass(world, 1000);
    push_elements(world, "flushed", "element", ELEMENTS);
    start_demote(world, 0, "flushed");
    assert_true(world->engine->log.applying);
    engine_flush_db(world->engine, 0);
    while (world->engine->unused != NULL) {
        engine_turn(world->engine, world->now_ms); /* until it is freed */
    }
    world_pass(world, 1000);
    world_sane(world);
    world_reopen(world);
    assert_int_equal(db_size(world_db(world, 0)), 0);
    world_sane(world);
}

/* ---- how batches are cut ---- */

static void put_many(struct world *world, unsigned count)
{
    char key[20];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key:%u", i);
        put_text(world, 0, key, "v");
    }
}

/* Many small records are a batch when there are enough of them. */
static void many_rows_are_a_batch(void **state)
{
    struct world *world = *state;
    struct log *log = &world->engine->log;
    char key[20];
    put_many(world, ROWS_OF_A_BATCH);
    for (unsigned i = 0; i < ROWS_OF_A_BATCH; i++) {
        assert_false(log->applying);
        snprintf(key, sizeof key, "key:%u", i);
        engine_demote(world->engine, world_db(world, 0), text(key), TIER_DRY,
            NULL, world->now_ms);
    }
    assert_true(log->applying);
    assert_null(log->open);
    world_settle(world);
    world_reopen(world);
    assert_int_equal(db_size(world_db(world, 0)), ROWS_OF_A_BATCH);
    expect_text(world, 0, "key:4095", "v");
}

/* The clock is set back: what is queued does not wait until it has caught up.
 */
static void a_clock_set_back_delays_nothing(void **state)
{
    struct world *world = *state;
    engine_set_durability(world->engine, ENGINE_EVERYSEC);
    world_pass(world, 2000);
    world->now_ms -= 3600000;
    put_text(world, 0, "key", "value");
    assert_int_equal(world->engine->log.queue_count, 1);
    world_round(world);
    assert_int_equal(world->engine->log.queue_count, 0);
    world_pass(world, 1000);
    world_reopen(world);
    expect_text(world, 0, "key", "value");
}

/* Until another plan ends it. */
static const struct fault_plan stuck = {.delay_ms = 30000};

enum { FILLINGS = 8, FILLING_BYTES = 1 << 18 };

/* Makes values of zeros sink that the log has room for, while the store takes
 * nothing. */
static void fill_log(struct world *world)
{
    struct engine *engine = world->engine;
    char key[20], *value = calloc(1, FILLING_BYTES);
    assert_non_null(value);
    world_namespace(world, "", "compression none");
    fault_plan(engine->log.store, FAULT_APPLY, &stuck);
    for (unsigned i = 0; i < FILLINGS; i++) {
        assert_true(log_has_room(engine));
        assert_false(log_waits_for_disk(engine));
        snprintf(key, sizeof key, "key:%u", i);
        db_set_string(world_db(world, 0), text(key),
            bytes_of(value, FILLING_BYTES), DB_NO_EXPIRY, world->now_ms);
        start_demote(world, 0, key);
    }
    assert_false(log_has_room(engine));
    assert_true(log_waits_for_disk(engine));
    free(value);
}

/* What a slow store has not taken yet is bounded. */
static void a_slow_store_is_waited_for(void **state)
{
    struct world *world = *state;
    struct engine *engine = world->engine;
    fill_log(world);
    fault_plan(engine->log.store, FAULT_APPLY, NULL);
    world_settle(world);
    assert_true(log_has_room(engine));
    assert_false(log_waits_for_disk(engine));
    assert_int_equal(tier_of(world, 0, "key:3"), TIER_DRY);
    char *value = calloc(1, FILLING_BYTES);
    assert_non_null(value);
    expect_bytes(world, 0, text("key:3"), bytes_of(value, FILLING_BYTES));
    free(value);
}

/* A batch that only waits for the flush makes room, and is no more there than
 * before. */
static void a_flush_is_not_waited_for(void **state)
{
    struct world *world = *state;
    struct engine *engine = world->engine;
    struct dry_store *store = engine->log.store;
    fill_log(world);
    uint64_t committed = engine->log.committed_sequence;
    uint64_t flushes = fault_count(store, FAULT_FLUSH);
    fault_plan(store, FAULT_FLUSH, &stuck);
    fault_plan(store, FAULT_APPLY, NULL);
    while (fault_count(store, FAULT_FLUSH) == flushes) {
        dry_workers_wait(engine->log.workers, 1);
    }
    world_round(world);
    assert_true(log_has_room(engine));
    assert_int_equal(engine->log.committed_sequence, committed);
    assert_int_equal(tier_of(world, 0, "key:3"), TIER_COLD);
    fault_plan(store, FAULT_FLUSH, NULL);
    world_settle(world);
    assert_int_equal(tier_of(world, 0, "key:3"), TIER_DRY);
}

static void idle_is_when_nothing_waits(void **state)
{
    struct world *world = *state;
    struct engine *engine = world->engine;
    world_save(world);
    assert_true(log_idle(engine));
    put_text(world, 0, "key", "value");
    engine_demote(
        engine, world_db(world, 0), text("key"), TIER_DRY, NULL, world->now_ms);
    assert_false(log_idle(engine)); /* a batch is open */
    log_seal(engine, false, 0);
    assert_false(log_idle(engine)); /* and under way */
    world_settle(world);
    assert_true(log_idle(engine));
    db_delete(world_db(world, 0), text("key"), world->now_ms);
    assert_false(log_idle(engine)); /* its mark */
    world_pass(world, 1000);
    assert_true(log_idle(engine));
    put_text(world, 1, "key", "value");
    engine_flush_db(engine, 1);
    assert_false(log_idle(engine)); /* the new map of databases */
    world_pass(world, 1000);
    assert_true(log_idle(engine));
    engine_set_durability(engine, ENGINE_EVERYSEC);
    world_pass(world, 2000);
    put_text(world, 0, "key", "value");
    assert_false(log_idle(engine)); /* the queue */
}

/* Of two that may be written behind, the sooner says when. */
static void the_sooner_of_two_is_waited_for(void **state)
{
    struct world *world = *state;
    struct log *log = &world->engine->log;
    world_namespace(world, "slow:", "write-policy behind 10s");
    put_text(world, 0, "slow:1", "v");
    int64_t due_ms = log->cut_due_ms;
    assert_int_equal(due_ms, world->now_ms + 10000);
    world_namespace(world, "slow:", "write-policy behind 1s");
    put_text(world, 0, "slow:2", "v");
    assert_int_equal(log->cut_due_ms, world->now_ms + 1000);
    world_namespace(world, "slow:", "write-policy behind 20s");
    put_text(world, 0, "slow:3", "v");
    assert_int_equal(log->cut_due_ms, world->now_ms + 1000);
    world_pass(world, 1500);
    assert_int_equal(log->queue_count, 0);
    world_namespace(world, "slow:", "write-policy demote");
    put_text(world, 0, "slow:4", "v");
    assert_int_equal(log->queue_count, 0);
    world_reopen(world);
    expect_text(world, 0, "slow:3", "v");
    expect_absent(world, 0, "slow:4");
}

/* A store that is closed with a batch that is not full yet. */
static void what_was_not_sealed_is_lost(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "key", "value");
    engine_demote(world->engine, world_db(world, 0), text("key"), TIER_DRY,
        NULL, world->now_ms);
    assert_non_null(world->engine->log.open);
    world_reopen(world);
    expect_absent(world, 0, "key");
}

/* ---- a store that fails ---- */

/* Told once, and again when it is another reason. */
static void each_reason_is_told_once(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "key", "value");
    world_plan(world, FAULT_APPLY, 1, true, DRY_IO);
    start_demote(world, 0, "key");
    world_settle(world);
    assert_non_null(strstr(world->last_log, "disk error"));
    world->last_log[0] = 0;
    world_pass(world, 3000);
    assert_true(world->engine->log.failures > 1);
    assert_string_equal(world->last_log, "");
    world_plan(world, FAULT_APPLY, 1, true, DRY_FULL);
    world_pass(world, 5000);
    assert_non_null(strstr(world->last_log, "no room on disk"));
    assert_string_equal(
        engine_store_error(world->engine), "planned: no room on disk");
    world_heal(world, FAULT_APPLY);
    world_pass(world, 5000);
    assert_non_null(strstr(world->last_log, "can be written again"));
    assert_string_equal(engine_store_error(world->engine), "");
}

/* A save does not wait for ever. */
static void a_save_gives_up_on_a_full_store(void **state)
{
    struct world *world = *state;
    char reason[200] = "";
    put_text(world, 0, "key", "value");
    world_plan(world, FAULT_APPLY, 1, true, DRY_FULL);
    uint64_t before = fault_count(world->engine->log.store, FAULT_APPLY);
    assert_int_equal(
        engine_save(world->engine, world->now_ms, reason, sizeof reason),
        DRY_FULL);
    assert_non_null(strstr(reason, "no room on disk"));
    assert_true(
        fault_count(world->engine->log.store, FAULT_APPLY) > before + 10);
    assert_int_equal(
        engine_checkpoint_state(world->engine), ENGINE_CHECKPOINT_FAILED);
    world_heal(world, FAULT_APPLY);
    world_save(world);
    assert_int_equal(
        engine_checkpoint_state(world->engine), ENGINE_CHECKPOINT_OK);
    world_reopen(world);
    expect_text(world, 0, "key", "value");
}

static void a_checkpoint_runs_until_it_is_synced(void **state)
{
    struct world *world = *state;
    put_text(world, 0, "key", "value");
    assert_int_equal(
        engine_checkpoint_state(world->engine), ENGINE_CHECKPOINT_NONE);
    assert_true(engine_checkpoint_start(world->engine, world->now_ms));
    assert_false(engine_checkpoint_start(world->engine, world->now_ms));
    assert_int_equal(
        engine_checkpoint_state(world->engine), ENGINE_CHECKPOINT_RUNNING);
    world_pass(world, 1000);
    assert_int_equal(
        engine_checkpoint_state(world->engine), ENGINE_CHECKPOINT_OK);
    world_reopen(world);
    expect_text(world, 0, "key", "value");
}

/* Who waits for a store that does not answer hears of it; the write is on its
 * way all the same. */
static void a_deadline_ends_the_wait(void **state)
{
    struct world *world = *state;
    struct answer answer = answer_new();
    engine_set_durability(world->engine, ENGINE_ALWAYS);
    world_pass(world, 1000);
    struct fault_plan slow = {.delay_ms = 200};
    fault_plan(world->engine->log.store, FAULT_APPLY, &slow);
    put_text(world, 0, "key", "value");
    assert_true(engine_wait_synced(world->engine, &answer.waiter));
    engine_turn(world->engine, world->now_ms);
    engine_cron(world->engine, world->now_ms + 59000);
    assert_int_equal(answer.calls, 0);
    engine_cron(world->engine, world->now_ms + 60000);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.result, DRY_IO);
    world_settle(world);
    world_reopen(world);
    expect_text(world, 0, "key", "value");
}

/* ---- marks ---- */

/* While nothing can be written they become few, whatever became of their keys,
 * and say what is right in the end. */
static void marks_of_many_records_become_few(void **state)
{
    struct world *world = *state;
    struct db *db = world_db(world, 0), *other = world_db(world, 1);
    put_text(world, 0, "stays", "v");
    put_text(world, 0, "stays too", "v");
    put_text(world, 0, "deleted", "v");
    put_text(world, 0, "written", "v");
    put_text(world, 1, "flushed", "v");
    world_save(world);
    world_plan(world, FAULT_APPLY, 1, true, DRY_FULL);
    int64_t later_ms = world->now_ms + 1000000;
    db_set_expiry(
        other, db_find(other, text("flushed"), world->now_ms), later_ms);
    db_set_expiry(db, db_find(db, text("deleted"), world->now_ms), later_ms);
    db_delete(db, text("deleted"), world->now_ms);
    db_set_expiry(db, db_find(db, text("written"), world->now_ms), later_ms);
    put_text(world, 0, "written", "w");
    engine_flush_db(world->engine, 1);
    for (int64_t i = 1; i <= MARKS; i++) {
        const char *key = i % 2 == 0 ? "stays" : "stays too";
        db_set_expiry(db, db_find(db, text(key), world->now_ms), later_ms + i);
    }
    assert_true(world->engine->log.mark_count < MARKS / 2);
    world_heal(world, FAULT_APPLY);
    world_pass(world, 5000);
    world_save(world);
    world_reopen(world);
    db = world_db(world, 0);
    assert_int_equal(entry_expiry_ms(db_find(db, text("stays"), world->now_ms)),
        later_ms + MARKS);
    assert_int_equal(
        entry_expiry_ms(db_find(db, text("stays too"), world->now_ms)),
        later_ms + MARKS - 1);
    expect_absent(world, 0, "deleted");
    expect_text(world, 0, "written", "w");
    assert_int_equal(db_size(world_db(world, 1)), 0);
}

/* ---- no store ---- */

static void without_a_store_nothing_waits(void **state)
{
    struct world *world = *state;
    struct answer answer = answer_new();
    char reason[200] = "";
    world_close(world);
    world->options.path = NULL;
    world->options.durability = ENGINE_ALWAYS;
    world_open(world);
    struct engine *engine = world->engine;
    struct db *db = world_db(world, 0);
    world_namespace(world, "through:", "write-policy through");
    put_text(world, 0, "key", "value");
    put_text(world, 0, "through:key", "value");
    db_set_expiry(
        db, db_find(db, text("key"), world->now_ms), world->now_ms + 1000);
    assert_false(engine_wait_synced(engine, &answer.waiter));
    assert_false(engine_take_through(engine));
    assert_false(log_has_room(engine));
    assert_false(log_waits_for_disk(engine));
    assert_true(engine_checkpoint_start(engine, world->now_ms));
    engine_turn(engine, world->now_ms);
    assert_int_equal(engine_checkpoint_state(engine), ENGINE_CHECKPOINT_OK);
    assert_int_equal(
        engine_save(engine, world->now_ms, reason, sizeof reason), DRY_OK);
    engine_set_durability(engine, ENGINE_CHECKPOINTS);
    engine_set_durability(engine, ENGINE_EVERYSEC);
    engine_hold(engine, true);
    put_text(world, 0, "held", "value");
    engine_hold(engine, false);
    engine_flush_db(engine, 1);
    for (unsigned i = 0; i < 20; i++) {
        world->now_ms += 100;
        engine_collect(engine, world->now_ms);
        engine_turn(engine, world->now_ms);
        engine_cron(engine, world->now_ms);
    }
    assert_int_equal(db_size(db), 2);
    expect_absent(world, 0, "key");
    expect_text(world, 0, "held", "value");
    assert_int_equal(engine->log.mark_count, 0);
    assert_int_equal(engine->log.queue_count, 0);
    world_sane(world);
}

static void sink(struct world *world, const char *key, size_t size)
{
    char *value = calloc(1, size + 1);
    memset(value, 'v', size);
    put_text(world, 0, key, value);
    free(value);
    engine_demote(world->engine, world_db(world, 0), text(key), TIER_DRY, NULL,
        world->now_ms);
    world_settle(world);
}

/* What sinks by itself is one commit when some time has passed, or when it is
 * much, or at once when somebody waits or the clock goes back. */
static void what_sinks_is_gathered(void **state)
{
    struct world *world = *state;
    const uint64_t *batches = &world->engine->counters.batches;
    uint64_t before = *batches;
    world_namespace(world, "", "compression none");
    sink(world, "a", 1000);
    world->now_ms += 30;
    sink(world, "b", 1000);
    assert_int_equal(*batches, before);
    assert_int_equal(tier_of(world, 0, "a"), TIER_COLD);
    world->now_ms += 20;
    world_settle(world);
    assert_int_equal(*batches, before + 1);
    assert_int_equal(tier_of(world, 0, "a"), TIER_DRY);
    assert_int_equal(tier_of(world, 0, "b"), TIER_DRY);

    sink(world, "c", 200000);
    assert_int_equal(*batches, before + 1);
    sink(world, "d", 100000);
    assert_int_equal(*batches, before + 2);

    sink(world, "e", 1000);
    put_text(world, 0, "f", "value");
    make_dry(world, 0, "f");
    assert_int_equal(*batches, before + 3);
    assert_int_equal(tier_of(world, 0, "e"), TIER_DRY);

    sink(world, "g", 1000);
    world->now_ms -= 10000;
    world_settle(world);
    assert_int_equal(*batches, before + 4);

    /* Periodic duties see to it when nothing else happens. */
    sink(world, "h", 1000);
    world->now_ms += 100;
    engine_cron(world->engine, world->now_ms);
    while (*batches == before + 4) {
        engine_collect(world->engine, world->now_ms);
    }
    assert_int_equal(tier_of(world, 0, "h"), TIER_DRY);
    world_sane(world);
}

#define BATCH_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH_TEST(a_large_value_is_given_again),
        BATCH_TEST(a_large_value_may_stay_as_it_is),
        BATCH_TEST(a_large_value_may_go_meanwhile),
        BATCH_TEST(many_rows_are_a_batch),
        BATCH_TEST(a_clock_set_back_delays_nothing),
        BATCH_TEST(a_slow_store_is_waited_for),
        BATCH_TEST(a_flush_is_not_waited_for),
        BATCH_TEST(idle_is_when_nothing_waits),
        BATCH_TEST(the_sooner_of_two_is_waited_for),
        BATCH_TEST(what_was_not_sealed_is_lost),
        BATCH_TEST(each_reason_is_told_once),
        BATCH_TEST(a_save_gives_up_on_a_full_store),
        BATCH_TEST(a_checkpoint_runs_until_it_is_synced),
        BATCH_TEST(a_deadline_ends_the_wait),
        BATCH_TEST(marks_of_many_records_become_few),
        BATCH_TEST(what_sinks_is_gathered),
        BATCH_TEST(without_a_store_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
