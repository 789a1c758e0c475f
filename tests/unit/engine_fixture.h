/* What the tests of the engine share: an engine over a real store in a
 * directory of its own, wrapped in the decorator that fails on command, with
 * virtual time. */
#ifndef LARDER_TESTS_UNIT_ENGINE_FIXTURE_H
#define LARDER_TESTS_UNIT_ENGINE_FIXTURE_H

#include "tests/unit/seed.h"
#include "tests/unit/store_fixture.h"
#include "tiers/codec.h"
#include "tiers/dry/fault.h"
#include "tiers/engine_internal.h"

struct world {
    struct engine *engine;
    struct engine_options options;
    char directory[DIRECTORY_PATH_BYTES];
    char path[80];
    int64_t now_ms;
    unsigned events[ENGINE_EMPTIED + 1]; /* by enum engine_event */
    char last_log[200];
    bool reclaim_always; /* as if the disk were nearly full */
};

static inline void world_wake(void *context)
{
    (void)context;
}

static inline void world_event(
    void *context, enum engine_event event, unsigned database, struct bytes key)
{
    struct world *world = context;
    (void)database;
    (void)key;
    world->events[event]++;
}

static inline void world_log(void *context, int level, const char *text)
{
    struct world *world = context;
    (void)level;
    snprintf(world->last_log, sizeof world->last_log, "%s", text);
}

static inline void world_open(struct world *world)
{
    char reason[200] = "";
    enum dry_result result = DRY_OK;
    world->engine = engine_create(&world->options, reason, sizeof reason);
    if (world->engine == NULL) {
        fail_msg("%s", reason);
        return;
    }
    while (engine_load(
        world->engine, world->now_ms, 1000, &result, reason, sizeof reason)) {
    }
    assert_int_equal(result, DRY_OK);
    if (world->reclaim_always) {
        world->engine->options.dry_maxsize_bytes = 16;
    }
}

static inline void world_init(
    struct world *world, enum engine_durability durability)
{
    *world = (struct world){.now_ms = 1700000000000};
    assert_true(directory_make(world->directory, "engine"));
    snprintf(world->path, sizeof world->path, "%s/dry", world->directory);
    world->options = (struct engine_options){
        .path = world->path,
        .databases = 4,
        .maxmemory_bytes = (uint64_t)1 << 40,
        .dry_maxsize_bytes = (uint64_t)256 << 20,
        .reader_threads = 2,
        .durability = durability,
        .dry = &dry_fault_ops,
        .active_expire = true,
        .wake = world_wake,
        .on_event = world_event,
        .log = world_log,
        .context = world,
    };
    world_open(world);
}

static inline void world_close(struct world *world)
{
    engine_destroy(world->engine);
    world->engine = NULL;
}

static inline void world_reopen(struct world *world)
{
    world_close(world);
    world_open(world);
}

static inline void world_finish(struct world *world)
{
    world_close(world);
    directory_remove(world->directory);
}

static inline struct db *world_db(struct world *world, unsigned number)
{
    return engine_db(world->engine, number);
}

/* One round of the loop's duties. */
static inline void world_round(struct world *world)
{
    engine_collect(world->engine, world->now_ms);
    engine_turn(world->engine, world->now_ms);
}

/* Waits until no disk work is under way; what cannot be written stays. */
static inline void world_settle(struct world *world)
{
    struct engine *engine = world->engine;
    for (;;) {
        world_round(world);
        size_t busy = dry_workers_applying(engine->log.workers) +
                      dry_workers_reading(engine->log.workers);
        if (busy == 0) {
            return;
        }
        dry_workers_wait(engine->log.workers, 1000);
    }
}

/* For tests that get one world each, without durability. */
static inline int world_setup(void **state)
{
    static struct world world;
    world_init(&world, ENGINE_CHECKPOINTS);
    world_settle(&world);
    *state = &world;
    return 0;
}

static inline int world_teardown(void **state)
{
    world_finish(*state);
    return 0;
}

/* Time passes, with the periodic duties every 100 ms. */
static inline void world_pass(struct world *world, int64_t ms)
{
    for (int64_t end = world->now_ms + ms; world->now_ms < end;) {
        world->now_ms += 100;
        engine_cron(world->engine, world->now_ms);
        world_settle(world);
    }
}

static inline void world_save(struct world *world)
{
    char reason[200] = "";
    assert_int_equal(
        engine_save(world->engine, world->now_ms, reason, sizeof reason),
        DRY_OK);
}

static inline void world_plan(struct world *world, enum fault_op op,
    uint64_t after, bool for_ever, enum dry_result result)
{
    struct dry_store *store = world->engine->log.store;
    struct fault_plan plan = {.action = FAULT_FAIL,
        .first = fault_count(store, op) + after,
        .for_ever = for_ever,
        .result = result};
    fault_plan(store, op, &plan);
}

/* The next batch, or every one from then on, fails some time after it was
 * given. */
static inline void world_fail_slowly(struct world *world, bool for_ever,
    enum dry_result result, unsigned delay_ms)
{
    struct dry_store *store = world->engine->log.store;
    struct fault_plan plan = {.action = FAULT_FAIL,
        .first = fault_count(store, FAULT_APPLY) + 1,
        .for_ever = for_ever,
        .result = result,
        .delay_ms = delay_ms};
    fault_plan(store, FAULT_APPLY, &plan);
}

static inline void world_heal(struct world *world, enum fault_op op)
{
    fault_plan(world->engine->log.store, op, NULL);
}

/* Until the log's left edge is on its way out. */
static inline void world_start_reclaim(struct world *world)
{
    const struct log *log = &world->engine->log;
    world->engine->options.dry_maxsize_bytes = 16;
    engine_cron(world->engine, world->now_ms);
    for (unsigned i = 0; i < 1000 && !log->removing; i++) {
        dry_workers_wait(log->workers, 5);
        engine_collect(world->engine, world->now_ms);
        world->now_ms += 10;
        engine_cron(world->engine, world->now_ms);
    }
    assert_true(log->removing);
    world->engine->options.dry_maxsize_bytes = 0;
}

/* Gives a prefix ("": all keys) the options, "name value name value". */
static inline void world_namespace(
    struct world *world, const char *prefix, const char *options)
{
    char line[200], reason[NAMESPACE_REASON_BYTES], *rest = NULL, *words[8];
    int count = 0;
    struct namespace_setting settings[2] = {{.prefix = bytes_of("", 0)},
        {.prefix = bytes_of(prefix, strlen(prefix))}};
    snprintf(line, sizeof line, "%s", options);
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < 8;
         word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    namespace_options_init(&settings[0].options);
    namespace_options_init(&settings[1].options);
    bool named = prefix[0] != 0;
    assert_true(namespace_options_parse(
        &settings[named].options, words, count, reason));
    engine_set_namespaces(world->engine, settings, 1 + named);
}

/* ---- keys ---- */

static inline struct bytes text(const char *literal)
{
    return bytes_of(literal, strlen(literal));
}

static inline void put_text(
    struct world *world, unsigned db, const char *key, const char *value)
{
    db_set_string(world_db(world, db), text(key), text(value), DB_NO_EXPIRY,
        world->now_ms);
}

struct answer {
    struct engine_waiter waiter; /* first */
    unsigned calls;
    enum dry_result result;
};

static inline void on_answer(
    struct engine_waiter *waiter, enum dry_result result)
{
    struct answer *answer = (struct answer *)waiter;
    answer->calls++;
    answer->result = result;
}

static inline struct answer answer_new(void)
{
    return (struct answer){.waiter.on_ready = on_answer};
}

/* Until the answer is there; time passes only when nothing goes on. */
static inline void world_await(struct world *world, struct answer *answer)
{
    for (unsigned i = 0; answer->calls == 0 && i < 200; i++) {
        world_settle(world);
        if (answer->calls == 0) {
            world_pass(world, 100);
        }
    }
    assert_int_equal(answer->calls, 1);
}

/* Reads a value as a command would: fetches it until it is resident. */
static inline enum dry_result world_fetch(
    struct world *world, struct db *db, struct bytes key)
{
    for (unsigned i = 0; i < 8; i++) {
        if (db_residency(db, key, world->now_ms) != DB_DRY) {
            return DRY_OK;
        }
        struct answer answer = answer_new();
        engine_fetch(world->engine, db, key, &answer.waiter, world->now_ms);
        world_await(world, &answer);
        if (answer.result != DRY_OK) {
            return answer.result;
        }
    }
    return DRY_IO;
}

static inline void expect_bytes(
    struct world *world, unsigned number, struct bytes key, struct bytes value)
{
    struct db *db = world_db(world, number);
    struct scratch scratch = {0};
    assert_int_equal(world_fetch(world, db, key), DRY_OK);
    const struct entry *entry = db_read(db, key, world->now_ms);
    assert_non_null(entry);
    struct bytes got = db_string(db, entry, &scratch);
    assert_int_equal(got.size, value.size);
    assert_true(bytes_equal(got, value));
    assert_int_equal(db_string_size(db, entry), value.size);
    scratch_reset(&scratch);
}

static inline void expect_text(
    struct world *world, unsigned db, const char *key, const char *value)
{
    expect_bytes(world, db, text(key), text(value));
}

static inline void expect_absent(
    struct world *world, unsigned db, const char *key)
{
    assert_int_equal(
        db_residency(world_db(world, db), text(key), world->now_ms), DB_ABSENT);
}

static inline enum tier tier_of(
    struct world *world, unsigned db, const char *key)
{
    const struct entry *entry =
        db_find(world_db(world, db), text(key), world->now_ms);
    return entry == NULL ? TIER_NONE : entry_tier(entry);
}

/* Demotes without waiting; the commit is on its way. */
static inline void start_demote(
    struct world *world, unsigned db, const char *key)
{
    engine_demote(world->engine, world_db(world, db), text(key), TIER_DRY, NULL,
        world->now_ms);
    log_seal(world->engine, false, 0);
}

static inline void make_dry(struct world *world, unsigned db, const char *key)
{
    struct answer answer = answer_new();
    if (engine_demote(world->engine, world_db(world, db), text(key), TIER_DRY,
            &answer.waiter, world->now_ms)) {
        world_await(world, &answer);
        assert_int_equal(answer.result, DRY_OK);
    }
    assert_int_equal(tier_of(world, db, key), TIER_DRY);
}

/* Every count of every database, and what they add up to. */
static inline void world_sane(struct world *world)
{
    const struct engine *engine = world->engine;
    uint64_t live_bytes = 0;
    for (unsigned i = 0; i < engine->options.databases; i++) {
        const struct space *space = engine->dbs[i].space;
        space_sane(space);
        live_bytes += space->live_bytes;
    }
    assert_int_equal(live_bytes, engine->log.live_bytes);
}

/* The disk is full from now on; a client hears so when it writes the key. */
static inline void world_refuse(struct world *world, const char *key)
{
    struct answer answer = answer_new();
    world_plan(world, FAULT_APPLY, 1, true, DRY_FULL);
    put_text(world, 0, key, key);
    assert_true(engine_wait_synced(world->engine, &answer.waiter));
    world_await(world, &answer);
    assert_int_equal(answer.result, DRY_FULL);
}

#endif
