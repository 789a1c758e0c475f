/* Taking batches back from a store that does not accept them. */
#include <stdio.h>

#include "tiers/engine_internal.h"

static void abandon_marks(struct engine *engine, struct bytes row)
{
    struct mark marks[RECORD_MARKS_MAX];
    int count = record_parse_marks(row, marks);
    for (int i = 0; i < count; i++) {
        const struct mark *mark = &marks[i];
        struct space *space = space_by_keyspace(engine, mark->keyspace);
        if (space != NULL) {
            log_mark(space, mark->kind, mark->id, mark->hash, mark->expiry_ms);
        }
    }
}

/* A record that was moved is where it was. What happened to its key since
 * was noted for the new one. */
static void abandon_move(
    struct space *space, const struct batch_row *row, struct index_slot slot)
{
    if (slot.ref == NULL) {
        log_mark(space, MARK_DEAD, row->old_id, row->hash, 0);
        return;
    }
    struct entry *entry = arena_at(&space->engine->arena, *slot.ref);
    entry_set_id(entry, row->old_id);
    log_mark(
        space, MARK_EXPIRY, row->old_id, row->hash, entry_expiry_of(entry));
}

static void abandon_record(struct engine *engine, const struct batch_row *row)
{
    struct space *space = space_by_keyspace(engine, row->keyspace);
    if (space == NULL) {
        return;
    }
    struct index_slot slot = index_find_id(&space->index, row->hash, row->id);
    if (row->old_id != 0) {
        abandon_move(space, row, slot);
    } else if (slot.ref != NULL) {
        struct entry *entry = arena_at(&engine->arena, *slot.ref);
        check(!entry_is_dry(entry));
        log_count_entry(space->engine, entry, -1);
        entry_set_id(entry, 0);
        log_queue(space, entry, row->hash);
    }
}

/* The batch leaves the log: its records stay in RAM only. Their entries are
 * dirty again; the marks among its rows are given back to be written. */
static void abandon_rows(struct engine *engine, const struct batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct batch_row *row = &batch->rows[i];
        engine->log.total_records--;
        engine->log.total_bytes -= row->total_bytes;
        if (row->keyspace == 0) {
            abandon_marks(engine, bytes_of(row->header, row->header_size));
        } else {
            abandon_record(engine, row);
        }
    }
}

static void abandon_batch(struct engine *engine, struct batch *batch)
{
    engine->log.keyspaces_changed |= batch->keyspaces != NULL;
    abandon_rows(engine, batch);
    batch_free(batch);
}

static void abandon_all(struct engine *engine)
{
    struct log *log = &engine->log;
    bool wrote_through = log->wrote_through;
    while (log->sealed != NULL) {
        struct batch *batch = log->sealed;
        log->sealed = batch->next;
        abandon_batch(engine, batch);
    }
    if (log->open != NULL) {
        struct batch *batch = log->open;
        log->open = NULL;
        abandon_batch(engine, batch);
    }
    log->wrote_through = wrote_through; /* no command has */
    log->last_sealed = NULL;
    log->syncing_cut = log->synced_cut;
    log->sealed_bytes = 0;
    log->removing = false;
    log->removing_records = log->removing_bytes = 0;
    reclaim_abandon(engine);
}

/* Who waits for a cut up to this one hears that it was not written. What has
 * come since may pass a full disk, if it is deletions; and if only moved
 * records and marks were refused, the marks go again alone. */
static uint64_t refused_cut(const struct log *log, const struct batch *batch)
{
    bool wrote = log->full ? log->wrote_while_full : log->queue_count > 0;
    if (batch->job.result != DRY_FULL || wrote) {
        return UINT64_MAX;
    }
    bool moved = batch->job.batch.keep_from != 0 && !batch->has_writes &&
                 batch == log->last_sealed;
    return moved ? 0 : log->last_sealed->cut;
}

void log_refused(struct engine *engine, struct batch *batch)
{
    struct log *log = &engine->log;
    enum dry_result result = batch->job.result;
    if (log->failures == 0 || strcmp(log->error, batch->job.reason) != 0) {
        engine->options.log(engine->options.context, 3, batch->job.reason);
    }
    snprintf(log->error, sizeof log->error, "%s", batch->job.reason);
    log->failures++;
    uint64_t cut = refused_cut(log, batch);
    log->full = result == DRY_FULL;
    log->full_for_all =
        log->full && batch->job.batch.frees && batch->job.batch.keep_from == 0;
    engine->counters.store_errors++;
    struct patience patience = log_patience(engine, batch);
    log->failed_ms = engine->now_ms;
    log->retry_ms = log_retry_ms(engine, log->failures, patience.delay_ms);
    if (log->full || log->failures >= patience.attempts) {
        log->refuses = true;
        abandon_all(engine);
        log->wrote_while_full = false;
        waiters_run(&engine->sync_waiters, cut, result);
        waiters_run(&engine->commit_waiters, UINT64_MAX, result);
        fetch_after_abandon(engine);
    }
}
