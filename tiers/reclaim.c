/* Taking space back from the log's left edge: the oldest records are looked
 * at, the live ones appended again, and the range deleted in the same commit
 * as the last of them.
 *
 * A round: a reader lists the headers of the oldest ROUND_ROWS records; the
 * engine's thread picks the live ones (the index still names their ids); a
 * reader reads those; the engine's thread appends what is still live. It takes
 * turns with commands meanwhile. While the last rows are with the writer, the
 * next round is listed and read. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

#define ROUND_ROWS 8192
#define ROUND_BYTES ((size_t)8 * 1024 * 1024)
/* What a round may append to a disk that is full, or was: what it takes out can
 * be used two commits later, and deletions need room until then. */
#define FULL_ROUND_BYTES ((size_t)256 * 1024)
/* Reclaim while the log is larger than this many 16ths of what lives. */
#define WASTE_16THS 24
/* ... and sinking waits while the log is larger than this many. */
#define BEHIND_16THS 34
/* ... and at least this much is dead. */
#define WASTE_MIN_BYTES ((uint64_t)32 * 1024 * 1024)
/* The clock is looked at every so many rows. */
#define CLOCK_ROWS 4

struct reclaim_row {
    struct dry_read read; /* of a live one: header and payload */
    uint64_t hash;
    uint32_t keyspace; /* 0: a marks row, or damaged: nothing to move */
    size_t bytes;
    bool live;
};

enum reclaim_phase {
    RECLAIM_READING, /* headers, then records: with a reader */
    RECLAIM_PICKING, /* the live ones of what was listed */
    RECLAIM_MOVING,
};

struct reclaim {
    struct dry_job job; /* first */
    struct engine *engine;
    uint64_t from;
    uint64_t end; /* one behind the last row looked at */
    size_t row_count;
    size_t listed_bytes;
    enum reclaim_phase phase;
    size_t next;          /* row to pick or move */
    bool small;           /* for a disk that is full, or was */
    uint64_t live_bytes;  /* of what was picked */
    uint64_t moved_bytes; /* of the rows before `next`, as the log counts */
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

/* What was read of a row is freed once it is moved: all of a round together
 * would hold the loop up for milliseconds. */
static void drop_read(struct reclaim_row *row)
{
    free(row->read.data);
    row->read.data = NULL;
}

/* Also where there is none. */
static void reclaim_end(struct engine *engine)
{
    struct reclaim *reclaim = engine->reclaim;
    engine->reclaim = NULL;
    for (size_t i = 0; reclaim != NULL && i < reclaim->row_count; i++) {
        drop_read(&reclaim->rows[i]);
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

/* The rows before `next` are dead now, or have been appended again. */
static void remove_range(struct reclaim *reclaim)
{
    struct engine *engine = reclaim->engine;
    struct log *log = &engine->log;
    size_t count = reclaim->next;
    if (count == 0) {
        return;
    }
    if (!log->full) {
        /* What is removed because it was overwritten or deleted goes with
         * what overwrote it, or a crash would leave neither. */
        log_cut(engine);
    }
    log->removing_records = count;
    log->removing_bytes = reclaim->moved_bytes;
    log_seal(engine, false,
        count == reclaim->row_count ? reclaim->end
                                    : reclaim->rows[count].read.id);
}

/* Not in the middle of a command, and not before the round before is over. */
static bool move_turn(struct reclaim *reclaim, uint64_t deadline_us)
{
    struct engine *engine = reclaim->engine;
    if (engine->held || engine->log.removing) {
        return false;
    }
    /* Else the round before has been taken back, or this one is larger than a
     * disk that is full now has room for. */
    bool valid = reclaim->from == engine->log.first_id &&
                 (reclaim->small || !engine->log.full);
    if (engine->log.full) {
        deadline_us = UINT64_MAX; /* a part of it could not be written */
    }
    while (valid && reclaim->next < reclaim->row_count &&
           move_row(engine, &reclaim->rows[reclaim->next])) {
        reclaim->moved_bytes += reclaim->rows[reclaim->next].bytes;
        drop_read(&reclaim->rows[reclaim->next]);
        if (++reclaim->next % CLOCK_ROWS == 0 &&
            engine_mono_us() >= deadline_us) {
            return true;
        }
    }
    if (valid) {
        remove_range(reclaim);
    }
    reclaim_end(engine);
    return false;
}

static void on_read(struct dry_job *job)
{
    struct reclaim *reclaim = (struct reclaim *)job;
    reclaim->next = 0;
    reclaim->phase = RECLAIM_MOVING;
}

/* The rest of what was listed is left to other rounds. */
static void stop_listing_behind(struct reclaim *reclaim, size_t row)
{
    reclaim->row_count = row + 1;
    reclaim->end = reclaim->rows[row].read.id + 1;
}

static bool pick_turn(struct reclaim *reclaim, uint64_t deadline_us)
{
    struct engine *engine = reclaim->engine;
    while (reclaim->next < reclaim->row_count) {
        struct reclaim_row *row = &reclaim->rows[reclaim->next];
        row->live = live_entry(engine, row) != NULL;
        reclaim->live_bytes += row->live ? row->bytes : 0;
        if (reclaim->small && reclaim->live_bytes >= FULL_ROUND_BYTES) {
            stop_listing_behind(reclaim, reclaim->next);
        }
        if (++reclaim->next % CLOCK_ROWS == 0 &&
            engine_mono_us() >= deadline_us) {
            return true;
        }
    }
    reclaim->phase = RECLAIM_READING;
    reclaim->job.call = read_rows;
    reclaim->job.done = on_read;
    dry_workers_submit(engine->log.workers, &reclaim->job);
    return false;
}

bool reclaim_turn(struct engine *engine, uint64_t deadline_us)
{
    struct reclaim *reclaim = engine->reclaim;
    if (reclaim == NULL || reclaim->phase == RECLAIM_READING) {
        return false;
    }
    return reclaim->phase == RECLAIM_PICKING ? pick_turn(reclaim, deadline_us)
                                             : move_turn(reclaim, deadline_us);
}

static void on_listed(struct dry_job *job)
{
    struct reclaim *reclaim = (struct reclaim *)job;
    if (job->result != DRY_OK || reclaim->row_count == 0) {
        reclaim_end(reclaim->engine);
        return;
    }
    reclaim->phase = RECLAIM_PICKING;
}

static bool wasteful(const struct engine *engine)
{
    const struct log *log = &engine->log;
    uint64_t limit = engine->options.dry_maxsize_bytes;
    uint64_t total = log->total_bytes - log->removing_bytes;
    uint64_t dead = total > log->live_bytes ? total - log->live_bytes : 0;
    if (limit != 0 && log->stats.used_bytes > limit / 16 * 14) {
        return dead > total / 16;
    }
    if (log->full) {
        return dead > 0;
    }
    return dead > WASTE_MIN_BYTES && total > log->live_bytes / 16 * WASTE_16THS;
}

bool reclaim_behind(const struct engine *engine)
{
    const struct log *log = &engine->log;
    uint64_t bytes = log->total_bytes;
    if (batch_is_written(log->sealed) &&
        log->sealed->job.batch.keep_from != 0) {
        bytes -= log->removing_bytes;
    }
    return (engine->reclaim != NULL || log->removing) &&
           bytes > log->live_bytes + 2 * WASTE_MIN_BYTES &&
           bytes > log->live_bytes / 16 * BEHIND_16THS;
}

void reclaim_cron(struct engine *engine)
{
    struct log *log = &engine->log;
    reclaim_turn(engine, engine->deadline_us);
    uint64_t from = log->removing ? log->removing_to : log->first_id;
    if (log->store == NULL || log->closing || engine->reclaim != NULL ||
        !wasteful(engine) || from > log->committed_id) {
        return;
    }
    if (log->failures > 0 && !log->full) {
        return;
    }
    struct reclaim *reclaim = xmalloc(sizeof *reclaim);
    /* The rows are many, and filled in as they are listed. */
    memset(reclaim, 0, offsetof(struct reclaim, rows));
    reclaim->engine = engine;
    reclaim->small = log->full || log->stats.tight;
    reclaim->from = from;
    reclaim->job.kind = DRY_JOB_CALL;
    reclaim->job.call = list_rows;
    reclaim->job.done = on_listed;
    engine->reclaim = reclaim;
    dry_workers_submit(log->workers, &reclaim->job);
}

void reclaim_abandon(struct engine *engine)
{
    if (engine->reclaim != NULL && engine->reclaim->phase == RECLAIM_MOVING) {
        reclaim_end(engine);
    }
}

void reclaim_close(struct engine *engine)
{
    reclaim_end(engine);
}
