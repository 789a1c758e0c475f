/* For every n: the n-th malloc, open, write, sync or read of a scenario fails,
 * once and from then on. The scenario goes on as far as it can, in a process of
 * its own; then another one opens the store, without faults, and finds all that
 * was acknowledged and nothing that never was.
 *
 * A process may only end by itself for want of memory. LARDER_EVERY=1: really
 * every call; else one in some, LARDER_SEED says which. */
#include "tests/unit/nth_call.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "tests/support/directory.h"
#include "tests/unit/seed.h"
#include "tiers/dry/store.h"
#include "tiers/engine_internal.h"

enum {
    STEPS = 12,
    LARGE_STEPS = 3, /* of the scenario with a large value */
    LARGE_AT = 1,    /* more than is committed in one transaction */
    KEYS = 5,
    REOPEN_AT = 6, /* before this step the engine is closed and opened */
    ROUNDS_MAX = 600,
    SECONDS_MAX = 120, /* a process that takes longer hangs */
    ENDED_WELL = 0,
    ENDED_WAITING = 3, /* somebody was never answered */
    ENDED_WRONG = 4,   /* another value than was written */
    ENDED_LOST = 5,    /* acknowledged, and not there */
    ENDED_REFUSED = 6, /* a sound store was not opened */
    ENDED_SICK = 7,    /* one fault, and it did not recover from it */
};

struct shared {
    struct nth_plan plan;
    unsigned steps; /* that there are to do */
    bool acked[STEPS];
    unsigned begun; /* steps that were tried */
};

static struct shared *shared;
static char directory[DIRECTORY_PATH_BYTES];

bool nth_fails(enum nth_kind kind)
{
    struct nth_plan *plan = shared == NULL ? NULL : &shared->plan;
    if (plan == NULL || !atomic_load(&plan->on) || plan->kind != kind) {
        return false;
    }
    unsigned call = atomic_fetch_add(&plan->calls, 1) + 1;
    if (call != plan->nth && !(plan->for_ever && call > plan->nth)) {
        return false;
    }
    errno = kind == NTH_MALLOC                    ? ENOMEM
            : kind == NTH_WRITE && plan->for_ever ? ENOSPC
                                                  : EIO;
    return true;
}

NTH_DEFINE_CALLS
NTH_DEFINE_MALLOC

/* ---- the scenario ---- */

/* What step `step` writes: one key, its value or NULL for a deletion. */
static unsigned key_of(unsigned step)
{
    return step * 7 % KEYS;
}

static char *value_of(unsigned step, size_t *size)
{
    static const size_t sizes[] = {10, 300, 5000, 70000};
    if (step % 5 == 3) {
        return NULL;
    }
    bool large = shared->steps == LARGE_STEPS && step == LARGE_AT;
    *size = large ? (size_t)9 << 20 : sizes[step % 4];
    char *value = xmalloc(*size);
    memset(value, 'a' + (int)step % 26, *size);
    memcpy(value, &step, sizeof step);
    return value;
}

struct run {
    struct engine *engine;
    char path[80]; /* for as long as the engine lives */
    int64_t now_ms;
};

static void nothing(void *context)
{
    (void)context;
}

static void no_log(void *context, int level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

static bool run_open(struct run *run)
{
    char reason[200] = "";
    enum dry_result result = DRY_OK;
    snprintf(run->path, sizeof run->path, "%s/dry", directory);
    const struct engine_options options = {
        .path = run->path,
        .databases = 1,
        .maxmemory_bytes = (uint64_t)1 << 40,
        .dry_maxsize_bytes = (uint64_t)256 << 20,
        .reader_threads = 1,
        .durability = ENGINE_ALWAYS,
        .dry = &dry_lmdb_ops,
        .active_expire = true,
        .wake = nothing,
        .log = no_log,
    };
    run->engine = engine_create(&options, reason, sizeof reason);
    if (run->engine == NULL) {
        return false;
    }
    while (engine_load(
        run->engine, run->now_ms, 1000, &result, reason, sizeof reason)) {
    }
    if (result != DRY_OK) {
        engine_destroy(run->engine);
        run->engine = NULL;
        return false;
    }
    /* Reclaim goes on all the time, as if the disk were nearly full. */
    run->engine->options.dry_maxsize_bytes = 16;
    return true;
}

static void run_round(struct run *run)
{
    struct engine *engine = run->engine;
    engine_collect(engine, run->now_ms);
    engine_turn(engine, run->now_ms);
    if (dry_workers_applying(engine->log.workers) +
            dry_workers_reading(engine->log.workers) >
        0) {
        dry_workers_wait(engine->log.workers, 1000);
    } else {
        run->now_ms += 100;
        engine_cron(engine, run->now_ms);
    }
}

struct answer {
    struct engine_waiter waiter; /* first */
    bool ready;
    enum dry_result result;
};

static void on_answer(struct engine_waiter *waiter, enum dry_result result)
{
    struct answer *answer = (struct answer *)waiter;
    answer->ready = true;
    answer->result = result;
}

static enum dry_result run_await(struct run *run, struct answer *answer)
{
    for (unsigned i = 0; !answer->ready; i++) {
        if (i == ROUNDS_MAX) {
            exit(ENDED_WAITING);
        }
        run_round(run);
    }
    return answer->result;
}

static struct bytes key_name(unsigned key, char *memory)
{
    memory[0] = (char)('A' + key);
    return bytes_of(memory, 1);
}

/* Whether it has been acknowledged. */
static bool run_write(struct run *run, unsigned step)
{
    char memory[1];
    size_t size = 0;
    char *value = value_of(step, &size);
    struct bytes key = key_name(key_of(step), memory);
    struct db *db = engine_db(run->engine, 0);
    struct answer answer = {.waiter.on_ready = on_answer};
    if (value != NULL) {
        db_set_string(
            db, key, bytes_of(value, size), DB_NO_EXPIRY, run->now_ms);
    } else {
        db_delete(db, key, run->now_ms);
    }
    free(value);
    return !engine_wait_synced(run->engine, &answer.waiter) ||
           run_await(run, &answer) == DRY_OK;
}

/* As a command would: looks again after each fetch, until it is there. */
static enum dry_result run_fetch(
    struct run *run, struct db *db, struct bytes key)
{
    for (unsigned i = 0; i < 20; i++) {
        if (db_residency(db, key, run->now_ms) != DB_DRY) {
            return DRY_OK;
        }
        struct answer answer = {.waiter.on_ready = on_answer};
        engine_fetch(run->engine, db, key, &answer.waiter, run->now_ms);
        enum dry_result result = run_await(run, &answer);
        if (result != DRY_OK) {
            return result;
        }
    }
    return DRY_IO;
}

/* Down to disk and up again; what comes must be right, or an error. */
static void run_read(struct run *run, unsigned step)
{
    char memory[1];
    size_t size = 0;
    struct scratch scratch = {0};
    struct bytes key = key_name(key_of(step), memory);
    struct db *db = engine_db(run->engine, 0);
    char *value = value_of(step, &size);
    struct answer moved = {.waiter.on_ready = on_answer};
    if (engine_demote(
            run->engine, db, key, TIER_DRY, &moved.waiter, run->now_ms)) {
        run_await(run, &moved);
    }
    enum dry_result result = run_fetch(run, db, key);
    const struct entry *entry =
        result == DRY_OK ? db_read(db, key, run->now_ms) : NULL;
    if (entry != NULL &&
        (value == NULL || !bytes_equal(db_string(db, entry, &scratch),
                              bytes_of(value, size)))) {
        exit(ENDED_WRONG);
    }
    if (entry == NULL && value != NULL && result == DRY_OK) {
        exit(ENDED_WRONG);
    }
    scratch_reset(&scratch);
    free(value);
}

/* In a process of its own: until the end, or where the store does not open. */
static void play(void)
{
    struct run run = {.now_ms = 1700000000000};
    atomic_store(&shared->plan.on, true);
    bool open = run_open(&run);
    for (unsigned step = 0; open && step < shared->steps; step++) {
        if (step == REOPEN_AT) {
            engine_destroy(run.engine);
            open = run_open(&run);
            if (!open) {
                break;
            }
        }
        shared->begun = step + 1;
        shared->acked[step] = run_write(&run, step);
        run_read(&run, step);
    }
    bool sick = open && !shared->plan.for_ever &&
                !shared->acked[shared->steps - 1] &&
                atomic_load(&shared->plan.calls) > shared->plan.nth + 20;
    if (open) {
        engine_destroy(run.engine);
    }
    /* What ends the process (a count of branches) may take memory. */
    atomic_store(&shared->plan.on, false);
    exit(sick ? ENDED_SICK : ENDED_WELL);
}

/* ---- what is left of it ---- */

static bool holds(struct bytes found, unsigned step)
{
    size_t size = 0;
    char *value = value_of(step, &size);
    bool same = value == NULL ? found.data == NULL
                              : bytes_equal(found, bytes_of(value, size));
    free(value);
    return same;
}

/* Whether the key may be as it was found: as after the last of its writes that
 * was acknowledged, or any later one. */
static bool may_be(unsigned key, struct bytes found)
{
    bool before_all = true, allowed = false;
    for (unsigned step = 0; step < shared->begun; step++) {
        if (key_of(step) != key) {
            continue;
        }
        if (shared->acked[step]) {
            allowed = false;
            before_all = false;
        }
        allowed = allowed || holds(found, step);
    }
    return allowed || (before_all && found.data == NULL);
}

static void look(void)
{
    struct run run = {.now_ms = 1700000900000};
    if (!run_open(&run)) {
        exit(ENDED_REFUSED);
    }
    struct db *db = engine_db(run.engine, 0);
    for (unsigned key = 0; key < KEYS; key++) {
        char memory[1];
        struct scratch scratch = {0};
        struct bytes name = key_name(key, memory), found = {NULL, 0};
        if (run_fetch(&run, db, name) != DRY_OK) {
            exit(ENDED_LOST);
        }
        const struct entry *entry = db_read(db, name, run.now_ms);
        if (entry != NULL) {
            found = db_string(db, entry, &scratch);
        }
        if (!may_be(key, found)) {
            exit(ENDED_LOST);
        }
        scratch_reset(&scratch);
    }
    engine_destroy(run.engine);
    exit(ENDED_WELL);
}

/* ---- every n ---- */

static int in_process(void (*fn)(void))
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS};
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(SECONDS_MAX);
        /* cmocka would go on with the next test, here. */
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
            signal(faults[i], SIG_DFL);
        }
        if (shared->plan.kind == NTH_MALLOC) {
            fclose(stderr); /* "out of memory" is expected */
        }
        fn();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Says so when a process did not end as it may. */
static bool ended_well(const char *which, int status)
{
    bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (status == 0 || (died && shared->plan.kind == NTH_MALLOC)) {
        return true;
    }
    print_error("kind %d, call %u%s: %s ended with 0x%x\n", shared->plan.kind,
        shared->plan.nth, shared->plan.for_ever ? " and later" : "", which,
        status);
    return false;
}

/* One case; false: the scenario has fewer calls than `nth`. */
static bool try(enum nth_kind kind, unsigned steps, unsigned nth, bool for_ever)
{
    memset(shared, 0, sizeof *shared);
    shared->plan.kind = kind;
    shared->plan.nth = nth;
    shared->plan.for_ever = for_ever;
    shared->steps = steps;
    assert_true(directory_make(directory, "nth"));
    bool well = ended_well("it", in_process(play));
    atomic_store(&shared->plan.on, false);
    bool reached = atomic_load(&shared->plan.calls) >= nth;
    /* Nothing fails any more. */
    shared->plan.kind = NTH_NONE;
    well = ended_well("the next", in_process(look)) && well;
    directory_remove(directory);
    assert_true(well);
    return reached;
}

/* Every `stride`-th call, beginning with one that the seed chooses. */
static void try_all(enum nth_kind kind, unsigned steps, unsigned stride)
{
    unsigned most = 0;
    uint64_t seed = seed_take("nth_fault");
    if (getenv("LARDER_EVERY") != NULL) {
        stride = 1;
    } else if (!NTH_HAS_MALLOC) {
        stride *= 3; /* everything takes longer */
    }
    for (unsigned mode = 0; mode < 2; mode++) {
        unsigned nth = 1 + (unsigned)seed_below(&seed, stride);
        while (try(kind, steps, nth, mode == 1)) {
            nth += stride;
        }
        most = nth > most ? nth : most;
    }
    print_message("# less than %u calls\n", most);
    assert_true(most > 4);
}

#if NTH_HAS_MALLOC
static void any_malloc_may_fail(void **state)
{
    (void)state;
    try_all(NTH_MALLOC, STEPS, 23);
}
#endif

static void any_open_may_fail(void **state)
{
    (void)state;
    try_all(NTH_OPEN, STEPS, 3);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    try_all(NTH_WRITE, STEPS, 7);
}

static void any_sync_may_fail(void **state)
{
    (void)state;
    try_all(NTH_SYNC, STEPS, 3);
}

static void any_read_may_fail(void **state)
{
    (void)state;
    try_all(NTH_READ, STEPS, 3);
}

static void any_write_of_a_large_value_may_fail(void **state)
{
    (void)state;
    try_all(NTH_WRITE, LARGE_STEPS, 13);
}

static void any_sync_of_a_large_value_may_fail(void **state)
{
    (void)state;
    try_all(NTH_SYNC, LARGE_STEPS, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if NTH_HAS_MALLOC
        cmocka_unit_test(any_malloc_may_fail),
#endif
        cmocka_unit_test(any_open_may_fail),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(any_read_may_fail),
        cmocka_unit_test(any_write_of_a_large_value_may_fail),
        cmocka_unit_test(any_sync_of_a_large_value_may_fail),
    };
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
