/* Taking space back from the log's left edge: the oldest records are looked
 * at, the live ones appended again, and the range deleted in the same commit
 * as the last of them.
 *
 * A round: a reader lists the headers of the oldest ROUND_ROWS records; the
 * engine's thread picks the live ones (the index still names their ids); a
 * reader reads those; the engine's thread appends what is still live. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

#define ROUND_ROWS 2048
#define ROUND_BYTES ((size_t)2 * 1024 * 1024)
/* Reclaim while the log is larger than this many 16ths of what lives. */
#define WASTE_16THS 24
/* ... and at least this much is dead. */
#define WASTE_MIN_BYTES ((uint64_t)32 * 1024 * 1024)

struct reclaim_row {
    struct dry_read read; /* of a live one: header and payload */
    uint64_t hash;
    uint32_t keyspace; /* 0: a marks row, or damaged: nothing to move */
    size_t bytes;
    bool live;
};

struct reclaim {
    struct dry_job job; /* first */
    struct engine *engine;
    uint64_t from;
    uint64_t end; /* one behind the last row looked at */
    size_t row_count;
    size_t listed_bytes;
    bool read; /* its rows, while the engine was held */
    struct reclaim_row rows[ROUND_ROWS];
};

/* ---- reader threads ---- */

static bool on_header(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    struct reclaim *reclaim = context;
    struct reclaim_row *row = &reclaim->rows[reclaim->row_count++];
    struct record record;
    *row = (struct reclaim_row){.read.id = id};
    row->bytes = header.size + payload_bytes;
    if (record_parse(header, &record)) {
        row->hash = index_hash(reclaim->engine->secret, record.key);
        row->keyspace = record.keyspace;
        row->bytes = record_log_bytes(
            record.payload_inline ? record.payload.size : payload_bytes);
    }
    reclaim->end = id + 1;
    reclaim->listed_bytes += row->bytes;
    return reclaim->row_count < ROUND_ROWS &&
           reclaim->listed_bytes < ROUND_BYTES;
}

static void list_rows(struct dry_job *job, struct dry_store *store)
{
    struct reclaim *reclaim = (struct reclaim *)job;
    job->result = store->ops->scan(store, reclaim->from, on_header, reclaim);
}

/* All of them together: one by one they would each wait for the disk. */
static void read_rows(struct dry_job *job, struct dry_store *store)
{
    struct reclaim *reclaim = (struct reclaim *)job;
    struct dry_read *reads[ROUND_ROWS];
    size_t count = 0;
    for (size_t i = 0; i < reclaim->row_count; i++) {
        if (reclaim->rows[i].live) {
            reads[count++] = &reclaim->rows[i].read;
        }
    }
    store->ops->read_many(store, job->reader, reads, count);
    job->result = DRY_OK;
}

/* ---- engine thread ---- */

static void reclaim_end(struct engine *engine)
{
    struct reclaim *reclaim = engine->reclaim;
    engine->reclaim = NULL;
    for (size_t i = 0; reclaim != NULL && i < reclaim->row_count; i++) {
        free(reclaim->rows[i].read.data);
    }
    free(reclaim);
}

static struct entry *live_entry(
    struct engine *engine, const struct reclaim_row *row)
{
    if (row->keyspace == 0) {
        return NULL;
    }
    struct space *space = space_by_keyspace(engine, row->keyspace);
    if (space == NULL) {
        return NULL;
    }
    struct index_slot slot =
        index_find_id(&space->index, row->hash, row->read.id);
    return slot.ref == NULL ? NULL : arena_at(&engine->arena, *slot.ref);
}

/* Appends the row's record again, with the expiry its key has now. One that
 * is damaged is written from RAM if the value is there, or else as a record
 * that says so: its key goes on answering an error instead of vanishing. False:
 * it cannot be read now. */
static bool move_row(struct engine *engine, const struct reclaim_row *row)
{
    struct entry *entry = live_entry(engine, row);
    const struct dry_read *read = &row->read;
    struct record record = {0};
    struct scratch scratch = {0};
    if (entry == NULL) {
        return true;
    }
    if (read->result == DRY_IO || !row->live) {
        return false;
    }
    bool good = read->result == DRY_OK &&
                record_parse(bytes_of(read->data, read->header_bytes), &record);
    if (good && !record.payload_inline) {
        record.payload =
            bytes_of(read->data + read->header_bytes, read->payload_bytes);
    }
    if (!good || !record_check_payload(&record, record.payload)) {
        record = (struct record){
            .kind = entry_kind(entry),
            .codec = entry_codec(entry),
            .keyspace = row->keyspace,
            .tag = shelf_of(engine, entry)->tag,
            .schema_version = shelf_of(engine, entry)->schema_version,
            .key = entry_key_of(entry),
            .payload = entry_payload(entry, &scratch),
            .damaged = entry_is_dry(entry),
        };
    }
    record.expiry_ms = entry_expiry_of(entry);
    if (kind_expires_fields(record.kind)) {
        record.fields = entry_fields_of(entry);
    }
    log_move_record(space_of(engine, entry), &record, entry, row->hash);
    engine->counters.reclaimed_records++;
    scratch_reset(&scratch);
    return true;
}

/* The live records have been read: they go into the log again. */
static void finish_round(struct reclaim *reclaim)
{
    struct engine *engine = reclaim->engine;
    struct log *log = &engine->log;
    uint64_t keep_from = reclaim->end;
    if (!log->full) {
        /* What is removed because it was overwritten or deleted goes with
         * what overwrote it, or a crash would leave neither. */
        log_cut(engine);
    }
    for (size_t i = 0; i < reclaim->row_count; i++) {
        const struct reclaim_row *row = &reclaim->rows[i];
        if (!move_row(engine, row)) {
            keep_from = row->read.id;
            break;
        }
        log->removing_records++;
        log->removing_bytes += row->bytes;
    }
    if (keep_from != reclaim->from) {
        log_seal(engine, false, keep_from);
    } else {
        log->removing_records = log->removing_bytes = 0;
    }
    reclaim_end(engine);
}

static void on_read(struct dry_job *job)
{
    struct reclaim *reclaim = (struct reclaim *)job;
    if (reclaim->engine->held) {
        reclaim->read = true; /* goes on in reclaim_cron: no cut just now */
        return;
    }
    finish_round(reclaim);
}

static void on_listed(struct dry_job *job)
{
    struct reclaim *reclaim = (struct reclaim *)job;
    struct engine *engine = reclaim->engine;
    if (job->result != DRY_OK || reclaim->row_count == 0) {
        reclaim_end(engine);
        return;
    }
    for (size_t i = 0; i < reclaim->row_count; i++) {
        struct reclaim_row *row = &reclaim->rows[i];
        row->live = live_entry(engine, row) != NULL;
    }
    job->call = read_rows;
    job->done = on_read;
    dry_workers_submit(engine->log.workers, job);
}

static bool wasteful(const struct engine *engine)
{
    const struct log *log = &engine->log;
    uint64_t limit = engine->options.dry_maxsize_bytes;
    uint64_t dead = log->total_bytes > log->live_bytes
                        ? log->total_bytes - log->live_bytes
                        : 0;
    if (limit != 0 && log->stats.used_bytes > limit / 16 * 14) {
        return dead > log->total_bytes / 16;
    }
    if (log->full) {
        return dead > 0;
    }
    return dead > WASTE_MIN_BYTES &&
           log->total_bytes > log->live_bytes / 16 * WASTE_16THS;
}

void reclaim_cron(struct engine *engine)
{
    struct log *log = &engine->log;
    if (engine->reclaim != NULL && engine->reclaim->read && !engine->held) {
        finish_round(engine->reclaim);
    }
    if (log->store == NULL || log->closing || engine->reclaim != NULL ||
        !wasteful(engine) || log->first_id > log->committed_id) {
        return;
    }
    if (log->removing || (log->failures > 0 && !log->full)) {
        return;
    }
    struct reclaim *reclaim = xcalloc(1, sizeof *reclaim);
    reclaim->engine = engine;
    reclaim->from = log->first_id;
    reclaim->job.kind = DRY_JOB_CALL;
    reclaim->job.call = list_rows;
    reclaim->job.done = on_listed;
    engine->reclaim = reclaim;
    dry_workers_submit(log->workers, &reclaim->job);
}

void reclaim_close(struct engine *engine)
{
    if (engine->reclaim != NULL) {
        reclaim_end(engine);
    }
}
