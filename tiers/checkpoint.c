/* Checkpoints without a fork: every dirty entry is appended to the log, in
 * slices, while commands go on. Each key is saved as it is when its turn
 * comes. */
#include <stdio.h>

#include "tiers/engine_internal.h"

struct save_visit {
    struct space *space;
};

static void on_save(void *context, uint32_t ref, uint64_t hash)
{
    struct save_visit *visit = context;
    struct entry *entry = arena_at(&visit->space->engine->arena, ref);
    /* What is queued goes with the cut at the end, together with what was
     * written beside it: half of an MSET must not get to disk alone. */
    if (entry_id_of(entry) == 0 && !(entry->bits & ENTRY_QUEUED) &&
        !item_is_ram_only(visit->space->engine, entry)) {
        log_append_entry(visit->space, entry, hash);
    }
}

bool engine_checkpoint_start(struct engine *engine, int64_t now_ms)
{
    if (engine->checkpoint.running) {
        return false;
    }
    engine->now_ms = now_ms;
    engine->checkpoint.running = true;
    engine->checkpoint.database = 0;
    engine->checkpoint.position = 0;
    engine->checkpoint.sequence = 0;
    engine->checkpoint.dirty_at_start = engine->counters.dirty_keys_since_save;
    log_cut(engine); /* what is queued goes first, in its order */
    warm_walk(engine);
    return true;
}

enum engine_checkpoint_state engine_checkpoint_state(
    const struct engine *engine)
{
    return engine->checkpoint.running ? ENGINE_CHECKPOINT_RUNNING
                                      : engine->checkpoint.state;
}

static void checkpoint_end(struct engine *engine, bool good)
{
    engine->checkpoint.running = false;
    engine->checkpoint.state =
        good ? ENGINE_CHECKPOINT_OK : ENGINE_CHECKPOINT_FAILED;
    if (good) {
        engine->counters.last_save_ms = engine->now_ms;
        engine->counters.dirty_keys_since_save -=
            engine->checkpoint.dirty_at_start;
    }
}

/* Appends what is dirty in the next bucket. False when all was visited. */
static bool save_bucket(struct engine *engine)
{
    unsigned number = engine->checkpoint.database;
    if (number == engine->options.databases) {
        return false;
    }
    struct save_visit visit = {.space = engine->dbs[number].space};
    engine->checkpoint.position = index_scan(
        &visit.space->index, engine->checkpoint.position, on_save, &visit);
    if (engine->checkpoint.position == 0) {
        engine->checkpoint.database++;
    }
    return true;
}

void checkpoint_turn(struct engine *engine, uint64_t deadline_us)
{
    struct log *log = &engine->log;
    if (!engine->checkpoint.running) {
        return;
    }
    if (log->store == NULL) {
        checkpoint_end(engine, true); /* there is nothing to save to */
        return;
    }
    if (log->failures > 0) {
        checkpoint_end(engine, false);
        return;
    }
    if (engine->checkpoint.sequence != 0) {
        if (log->synced_sequence >= engine->checkpoint.sequence) {
            checkpoint_end(engine, true);
        }
        return;
    }
    for (unsigned steps = 1; log_has_room(engine); steps++) {
        if (!save_bucket(engine)) {
            log_cut(engine);
            log->keyspaces_changed = true; /* with their sizes now */
            log_seal(engine, true, 0);
            engine->checkpoint.sequence = log->next_sequence - 1;
            return;
        }
        if (steps % 16 == 0 && engine_mono_us() >= deadline_us) {
            return;
        }
    }
}

/* A full disk has room again when what is dead is taken out of the log and the
 * commit after that has given its pages back: so often a save waits for it. */
#define SAVE_ATTEMPTS 32

static void wait_for_store(struct engine *engine)
{
    dry_workers_wait(engine->log.workers, 100);
    dry_workers_collect(engine->log.workers);
    reclaim_turn(engine, UINT64_MAX);
}

/* A store that failed is asked once more whether it still does. */
static void save_retry(struct engine *engine)
{
    struct log *log = &engine->log;
    /* That one was begun before: its failure says nothing about now. */
    while (log->applying) {
        wait_for_store(engine);
    }
    if (log->failures == 0) {
        return;
    }
    log_retry(engine);
    while (log->applying) {
        wait_for_store(engine);
    }
}

static void save_make_room(struct engine *engine)
{
    struct log *log = &engine->log;
    log->ops->stats(log->store, &log->stats);
    reclaim_cron(engine);
    while (engine->reclaim != NULL || log->applying) {
        wait_for_store(engine);
    }
}

static bool save_once(struct engine *engine, int64_t now_ms)
{
    /* One that runs may have passed entries that changed since: begin anew. */
    engine->checkpoint.running = false;
    engine_checkpoint_start(engine, now_ms);
    while (engine->checkpoint.running) {
        checkpoint_turn(engine, UINT64_MAX);
        if (engine->checkpoint.running) {
            wait_for_store(engine);
        }
    }
    return engine->checkpoint.state == ENGINE_CHECKPOINT_OK;
}

enum dry_result engine_save(
    struct engine *engine, int64_t now_ms, char *reason, size_t reason_size)
{
    struct log *log = &engine->log;
    engine->now_ms = now_ms;
    if (log->store == NULL) {
        return DRY_OK;
    }
    save_retry(engine);
    for (unsigned attempt = 1; !save_once(engine, now_ms); attempt++) {
        if (!log->full || attempt == SAVE_ATTEMPTS) {
            snprintf(reason, reason_size, "%s", log->error);
            return log->full ? DRY_FULL : DRY_IO;
        }
        save_make_room(engine);
        save_retry(engine);
    }
    return DRY_OK;
}
