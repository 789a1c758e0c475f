/* The engine's side of the log: records and marks gathered into batches,
 * batches handed to the writer one at a time and in order, commits noted.
 *
 * A record's id tells its state: up to committed_id it is in the store, above
 * it is on its way. An entry that changes loses its id, so a commit needs to
 * look no entry up, and a late commit can confirm nothing but itself. */
#include "tiers/dictionary.h"

#include <stdio.h>
#include <stdlib.h>

/* What a commit writes and what comes after it hold others up where engine and
 * writer share a core: p99 of a reader beside a writer 0.66 ms with 4 and 8
 * MB, 0.42 with these, at the same rate (policy.beside). */
#define BATCH_BYTES ((size_t)1024 * 1024)
#define BATCH_ROWS 4096
/* Sealed batches that may wait for the writer before appending stops. */
#define SEALED_MAX_BYTES ((size_t)2 * 1024 * 1024)
/* Values larger than this are written from where they lie. */
#define COPY_MAX_BYTES ((size_t)256 * 1024)
/* Live values whose records are larger are encoded by the writer. */
#define LIVE_MAX_BYTES ((size_t)64 * 1024)
/* Dead marks and flushes reach the disk within this time. */
#define MARKS_MS 500
/* appendfsync everysec: made durable this often. */
#define SYNC_MS 900
#define RETRY_MIN_MS 200
/* Without writes for so long, batches that are done do not stay. */
#define SPARE_MS 1000

/* ---- building a batch ---- */

static struct batch *open_batch(struct engine *engine)
{
    struct log *log = &engine->log;
    if (log->open == NULL) {
        log->open = batch_new(engine);
        log->open->sequence = log->next_sequence;
        log->open_ms = engine->now_ms;
    }
    return log->open;
}

static uint64_t take_id(struct engine *engine)
{
    uint64_t id = engine->log.next_id++;
    check(id <= ENTRY_MAX_ID);
    return id;
}

void log_count_live(struct shelf *shelf, size_t record_bytes, int sign)
{
    struct space *space = shelf->space;
    uint64_t bytes = record_log_bytes(record_bytes);
    shelf->live_bytes += (uint64_t)sign * bytes;
    if (shelf->namespace != NULL) {
        shelf->namespace->disk_bytes += (uint64_t)sign * bytes;
    }
    space->live_records += (uint64_t)sign;
    space->live_bytes += (uint64_t)sign * bytes;
    space->engine->log.live_bytes += (uint64_t)sign * bytes;
}

void log_count_row(struct log *log, struct batch_row *row, uint64_t bytes)
{
    log->total_bytes += bytes - row->total_bytes;
    row->total_bytes = bytes;
}

static uint64_t append(struct engine *engine, const struct record *record,
    struct blob *blob, uint64_t hash)
{
    struct log *log = &engine->log;
    struct batch *batch = open_batch(engine);
    struct batch_row *row = batch_add_row(batch, take_id(engine));
    row->hash = hash;
    row->keyspace = record->keyspace;
    row->header_size = record_row_bytes(record);
    row->header = batch_room(batch, row->header_size);
    record_write(record, row->header);
    if (!record_is_inline(record->payload.size)) {
        row->payload_size = record->payload.size;
        if (blob != NULL && record->payload.size > COPY_MAX_BYTES) {
            row->blob = blob_ref(blob);
            batch->has_outside = true;
            batch->blob_bytes += record->payload.size;
        } else {
            check(record->payload.data != NULL);
            row->payload = batch_room(batch, record->payload.size);
            memcpy(row->payload, record->payload.data, record->payload.size);
        }
    }
    log->total_records++;
    log_count_row(log, row, record_log_bytes(record->payload.size));
    engine->counters.records_written++;
    return row->id;
}

/* A large batch goes on its way, except inside a cut, which is atomic. */
static void seal_if_large(struct engine *engine)
{
    const struct batch *batch = engine->log.open;
    if (!engine->log.cutting && batch != NULL &&
        (batch_size_bytes(batch) >= BATCH_BYTES ||
            batch->row_count >= BATCH_ROWS)) {
        log_seal(engine, false, 0);
    }
}

/* A large live value goes as a snapshot. */
static size_t append_snapshot(struct engine *engine, struct record *record,
    const struct value *live, uint64_t hash)
{
    struct log *log = &engine->log;
    size_t bytes = value_encoded_bytes(live);
    append(engine, record, NULL, hash);
    struct batch_row *row = &log->open->rows[log->open->row_count - 1];
    row->snapshot = value_snapshot(live);
    log_count_row(log, row, record_log_bytes(bytes));
    log->open->has_outside = true;
    log->open->blob_bytes += bytes;
    return bytes;
}

static void set_snapshot_codec(
    struct engine *engine, const struct policy *policy)
{
    struct batch *batch = engine->log.open;
    struct batch_row *row = &batch->rows[batch->row_count - 1];
    row->snapshot_codec = policy->codec;
    row->snapshot_level = policy->codec_level;
}

void log_append_entry(struct space *space, struct entry *entry, uint64_t hash)
{
    struct engine *engine = space->engine;
    struct scratch scratch = {0};
    const struct shelf *shelf = shelf_of(engine, entry);
    struct namespace *namespace = shelf->namespace;
    const struct value *live = entry_live(entry);
    bool large = live != NULL && value_encoded_bytes(live) > LIVE_MAX_BYTES;
    struct record record = {
        .kind = entry_kind(entry),
        .codec = entry_codec(entry),
        .keyspace = space->keyspace,
        .expiry_ms = entry_expiry_of(entry),
        .tag = shelf->tag,
        .schema_version = shelf->schema_version,
        .key = entry_key_of(entry),
        .payload = large ? bytes_of(NULL, 0) : entry_payload(entry, &scratch),
    };
    if (kind_expires_fields(record.kind)) {
        record.fields = entry_fields_of(entry);
    }
    struct blob *blob = entry_blob(entry);
    check(!entry_is_dry(entry) && entry_id_of(entry) == 0);
    log_be_patient(&engine->log, &namespace->policy.patience);
    /* What is cold and not packed was tried when it sank. */
    if (!large && entry_tier_of(entry) == TIER_HOT) {
        struct bytes packed = pack_value(engine, namespace, record.payload);
        if (packed.size > 0) {
            record.payload = packed;
            record.codec = namespace->policy.codec;
            blob = NULL;
        }
    }
    size_t bytes = record.payload.size;
    if (large) {
        bytes = append_snapshot(engine, &record, live, hash);
        set_snapshot_codec(engine, &namespace->policy);
    } else {
        append(engine, &record, blob, hash);
    }
    struct batch *batch = engine->log.open;
    batch->has_writes = true;
    entry_set_id(entry, batch->rows[batch->row_count - 1].id);
    entry_set_record_bytes(entry, bytes);
    log_count_entry(engine, entry, 1);
    entry->bits &= (uint16_t)~ENTRY_QUEUED;
    scratch_reset(&scratch);
    seal_if_large(engine);
}

void log_move_record(struct space *space, const struct record *record,
    struct entry *entry, uint64_t hash)
{
    struct log *log = &space->engine->log;
    uint64_t old_id = entry_id_of(entry);
    log_count_entry(space->engine, entry, -1);
    entry_set_id(entry, append(space->engine, record, NULL, hash));
    entry_set_record_bytes(entry, record->payload.size);
    log_count_entry(space->engine, entry, 1);
    log->open->rows[log->open->row_count - 1].old_id = old_id;
}

/* ---- the dirty queue and marks ---- */

static void append_marks(struct engine *engine)
{
    struct log *log = &engine->log;
    for (size_t done = 0; done < log->mark_count;) {
        size_t left = log->mark_count - done;
        unsigned count =
            (unsigned)(left < RECORD_MARKS_MAX ? left : RECORD_MARKS_MAX);
        struct batch *batch = open_batch(engine);
        struct batch_row *row = batch_add_row(batch, take_id(engine));
        row->header_size = record_marks_bytes(count);
        row->header = batch_room(batch, row->header_size);
        record_write_marks(log->marks + done, count, row->header);
        done += count;
        log->total_records++;
        log_count_row(log, row, row->header_size);
    }
    log->mark_count = 0;
    log->last_marks_ms = engine->now_ms;
}

static void append_queue(struct engine *engine)
{
    struct log *log = &engine->log;
    for (size_t i = 0; i < log->queue_count; i++) {
        struct queued queued = log->queue[i];
        struct space *space = space_by_keyspace(engine, queued.keyspace);
        if (space == NULL) {
            continue; /* flushed since */
        }
        struct index_slot slot = index_find_queued(&space->index, queued.hash);
        if (slot.ref == NULL) {
            continue; /* deleted since, or of the same hash and written */
        }
        struct entry *entry = arena_at(&engine->arena, *slot.ref);
        entry->bits &= (uint16_t)~ENTRY_QUEUED;
        if (entry_id_of(entry) == 0 && !item_is_ram_only(engine, entry)) {
            log_append_entry(space, entry, queued.hash);
        }
    }
    log->queue_count = 0;
}

/* A cut or a seal in the middle of a command would tear it apart. */
static bool put_off(struct engine *engine)
{
    engine->log.put_off |= engine->held;
    return engine->held;
}

void log_cut(struct engine *engine)
{
    struct log *log = &engine->log;
    if (log->store == NULL || put_off(engine)) {
        return;
    }
    log->cuts +=
        log->queue_count > 0 || log->mark_count > 0 || log->keyspaces_changed;
    log->cutting = true;
    append_queue(engine);
    append_marks(engine);
    log->cutting = false;
    log->last_cut_ms = engine->now_ms;
}

/* ---- sealing and applying ---- */

static void on_applied(struct dry_job *job);

static void apply_next(struct engine *engine)
{
    struct log *log = &engine->log;
    struct batch *batch = log->sealed;
    if (batch == NULL || log->applying) {
        return;
    }
    /* What frees room does not wait for room. */
    bool passes = log->full && batch->job.batch.frees && !log->full_for_all;
    if (!passes && !is_due(engine, log->failed_ms, log->retry_ms)) {
        return;
    }
    log->applying = true;
    batch_prepare(batch);
    batch->job.call = log_make_records;
    batch->job.done = on_applied;
    dry_workers_submit(log->workers, &batch->job);
}

/* Reclaim, and batches of nothing but dead marks or a new keyspace, must
 * pass even when the disk is full. */
static bool frees_room(const struct batch *batch, uint64_t keep_from)
{
    /* An empty batch to a store that fails asks whether it still does. */
    bool frees = batch->row_count > 0 || batch->keyspaces != NULL ||
                 keep_from != 0 || batch->engine->log.failures == 0;
    for (size_t i = 0; frees && keep_from == 0 && i < batch->row_count; i++) {
        frees = batch->rows[i].keyspace == 0;
    }
    return frees;
}

void log_seal(struct engine *engine, bool sync, uint64_t keep_from)
{
    struct log *log = &engine->log;
    if (log->store == NULL || put_off(engine)) {
        return;
    }
    if (log->keyspaces_changed && !log->cutting && log->failures == 0) {
        /* FLUSHALL and what an EXEC wrote behind it belong together. */
        log_cut(engine);
    }
    if (log->open == NULL &&
        (keep_from != 0 || log->keyspaces_changed || sync)) {
        open_batch(engine);
    }
    struct batch *batch = log->open;
    if (batch == NULL) {
        return;
    }
    log->open = NULL;
    log->next_sequence++;
    batch->cut = log->sealed_cut = log->cuts;
    log_attach_system(engine, batch);
    batch->patience = log->patience;
    log->patience = (struct patience){0};
    batch->job.batch.sync = sync || engine->options.durability == ENGINE_ALWAYS;
    if (batch->job.batch.sync) {
        log->syncing_cut = log->cuts;
        log->behind = false;
    }
    batch->job.batch.keep_from = keep_from;
    batch->job.batch.frees = frees_room(batch, keep_from);
    if (keep_from != 0) {
        log->removing = true;
        log->removing_to = keep_from;
    }
    log->sealed_bytes += batch_size_bytes(batch);
    if (log->last_sealed != NULL) {
        log->last_sealed->next = batch;
    } else {
        log->sealed = batch;
    }
    log->last_sealed = batch;
    apply_next(engine);
}

int64_t log_retry_ms(struct engine *engine, unsigned failures, int64_t limit_ms)
{
    unsigned doublings = failures < 16 ? failures - 1 : 15;
    int64_t delay_ms = (int64_t)RETRY_MIN_MS << doublings;
    delay_ms = delay_ms < limit_ms ? delay_ms : limit_ms;
    return delay_ms -
           (int64_t)(engine_random(engine) % (uint64_t)(delay_ms / 4 + 1));
}

static void apply_done(struct engine *engine, struct batch *batch)
{
    struct log *log = &engine->log;
    log->sealed = batch->next;
    if (log->sealed == NULL) {
        log->last_sealed = NULL;
    }
    log->sealed_bytes -= batch_size_bytes(batch);
    if (batch->row_count > 0) {
        log->committed_id = batch->rows[batch->row_count - 1].id;
    }
    log->committed_sequence = batch->sequence;
    if (batch->dictionaries > engine->dictionaries->saved) {
        engine->dictionaries->saved = batch->dictionaries;
    }
    log_count_encoded(batch);
    if (batch->job.batch.sync) {
        log->synced_sequence = batch->sequence;
        log->synced_cut = batch->cut;
        group_done(&log->group, engine_mono_us());
    }
    if (batch->job.batch.keep_from != 0) {
        log->first_id = batch->job.batch.keep_from;
        log->removing = false;
        log->total_records -= log->removing_records;
        log->total_bytes -= log->removing_bytes;
        log->removing_records = log->removing_bytes = 0;
    }
    if (log->full && batch->job.batch.frees) {
        log->full_for_all = false;
        log->retry_ms = 0; /* there may be room for all now */
    } else if (log->failures > 0) {
        engine->options.log(
            engine->options.context, 2, "The dry store can be written again");
        log->failures = 0;
        log->refuses = log->full = false;
        log->error[0] = 0;
        log->retry_ms = 0;
    }
    engine->counters.batches++;
    engine->counters.bytes_written += batch_size_bytes(batch);
    batch_free(batch);
}

static bool has_writes(const struct log *log)
{
    return log->queue_count > 0 || log->mark_count > 0 || log->open != NULL ||
           log->keyspaces_changed || log->cuts > log->sealed_cut;
}

/* Group commit: whatever came while a batch was under way goes into the next
 * one. False: nobody waits for a commit. */
static bool commit_group(struct engine *engine)
{
    struct log *log = &engine->log;
    bool through = log->through_cut > log->syncing_cut;
    if (engine->options.durability != ENGINE_ALWAYS && !through) {
        return false;
    }
    if ((!has_writes(log) && !through) || log->sealed != NULL) {
        return true;
    }
    size_t waiting = engine->sync_waiters.count;
    uint64_t now_us = engine_mono_us();
    if (!group_gathers(&log->group, waiting, now_us)) {
        group_begin(&log->group, waiting, now_us);
        log_cut(engine);
        log_seal(engine, true, 0);
    }
    return true;
}

static void on_applied(struct dry_job *job)
{
    struct batch *batch = (struct batch *)job;
    struct engine *engine = batch->engine;
    struct log *log = &engine->log;
    bool reclaimed = batch->job.batch.keep_from != 0;
    log->applying = false;
    if (job->result != DRY_OK) {
        log_refused(engine, batch);
        return;
    }
    apply_done(engine, batch);
    apply_next(engine);
    sink_committed(engine, engine->deadline_us);
    fetch_after_commit(engine);
    if (reclaimed) {
        reclaim_cron(engine); /* overwriting may be faster than the clock */
    }
    waiters_run(&engine->sync_waiters, log->synced_cut, DRY_OK);
}

void engine_hold(struct engine *engine, bool on)
{
    struct log *log = &engine->log;
    if (on && !engine->held) {
        engine->held_from = memory_used(engine);
    }
    engine->held = on;
    if (!on && log->put_off) {
        log->put_off = false;
        log_cut(engine);
        log_seal(engine, true, 0);
    }
}

/* ---- the loop's duties ---- */

static bool works(const struct log *log)
{
    return log->store != NULL && log->failures == 0;
}

static bool waits(const struct engine *engine)
{
    const struct log *log = &engine->log;
    uint64_t bytes = log->sealed_bytes;
    if (batch_is_written(log->sealed)) {
        bytes -= batch_size_bytes(log->sealed);
    }
    return bytes >= SEALED_MAX_BYTES || reclaim_behind(engine);
}

bool log_has_room(const struct engine *engine)
{
    return works(&engine->log) && !waits(engine);
}

bool log_waits_for_disk(const struct engine *engine)
{
    return works(&engine->log) && waits(engine);
}

bool log_idle(const struct engine *engine)
{
    const struct log *log = &engine->log;
    return log->open == NULL && log->sealed == NULL && log->mark_count == 0 &&
           log->queue_count == 0 && !log->keyspaces_changed;
}

/* Deletions and flushes pass a full disk, so they go without what needs
 * room. */
static void seal_marks(struct engine *engine)
{
    struct log *log = &engine->log;
    bool alone = log->full && !log->wrote_while_full && log->open == NULL &&
                 log->sealed == NULL;
    if (alone && (log->mark_count > 0 || log->keyspaces_changed)) {
        append_marks(engine);
        log->cuts++;
        log_seal(engine, log->through_cut > log->syncing_cut, 0);
    }
}

void log_turn(struct engine *engine)
{
    struct log *log = &engine->log;
    if (log->store == NULL) {
        return;
    }
    log->group.gathers = false;
    apply_next(engine);
    if (log->failures > 0) {
        seal_marks(engine);
        return;
    }
    if (commit_group(engine)) {
        return;
    }
    bool queue_large = log->queue_count >= BATCH_ROWS;
    bool due = engine->now_ms >= log->cut_due_ms ||
               engine->now_ms < log->last_cut_ms; /* the clock was set back */
    bool sync = false;
    if (log->queue_count > 0 && log->sealed == NULL && (queue_large || due)) {
        log_cut(engine);
        sync = log->behind;
    }
    if (batch_is_ripe(engine)) {
        log_seal(engine, sync, 0);
    }
}

void log_retry(struct engine *engine)
{
    struct log *log = &engine->log;
    engine->counters.store_retries++;
    log->retry_ms = 0;
    seal_marks(engine); /* what is tried below may be refused */
    if (log->sealed == NULL) {
        log_cut(engine);
        log_seal(engine, true, 0);
    }
    apply_next(engine);
}

/* Retries; marks and flushes that wait for nothing else; the sync of
 * everysec. */
void log_cron(struct engine *engine)
{
    struct log *log = &engine->log;
    if (log->store == NULL) {
        return;
    }
    log_deadline_turn(engine);
    if (log->spare.count > 0 && is_due(engine, log->spare.last_ms, SPARE_MS)) {
        batch_pool_clear(&log->spare);
    }
    if (log->failures > 0 && !log->applying &&
        is_due(engine, log->failed_ms, log->retry_ms)) {
        log_retry(engine);
        return;
    }
    bool marks_due = (log->mark_count > 0 || log->keyspaces_changed) &&
                     is_due(engine, log->last_marks_ms, MARKS_MS);
    bool sync_due =
        engine->options.durability == ENGINE_EVERYSEC &&
        is_due(engine, log->last_sync_ms, SYNC_MS) &&
        (has_writes(log) || log->committed_sequence > log->synced_sequence);
    if (marks_due || sync_due) {
        log_cut(engine);
        log_seal(engine, sync_due, 0);
        log->last_sync_ms = sync_due ? engine->now_ms : log->last_sync_ms;
    } else if (batch_is_ripe(engine)) {
        log_seal(engine, false, 0);
    }
}
