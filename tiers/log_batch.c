/* The memory of a batch: its rows and their bytes. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

/* A commit of few records costs as much as some hundred of them, and while it
 * is flushed reads wait: what sinks and nobody waits for is gathered, so much
 * or so long. Zipf mix of bench/run spill at 0.4 of its size, to Redis: 0.46
 * at once, 0.51, 0.48 and 0.52 after 20, 50 and 100 ms. */
#define GATHER_BYTES ((size_t)256 * 1024)
#define GATHER_MS 50

/* So many are spare, each of at most this part of maxmemory, and only where
 * there is room for it. */
#define SPARE_BATCHES 2
#define SPARE_PART 32

/* A block, with what stands before its bytes. */
#define BLOCK_BYTES ((size_t)128 * 1024)

static void drop_block(struct batch *batch)
{
    struct batch_block *block = batch->blocks;
    batch->blocks = block->next;
    batch->capacity -= block->size;
    free(block);
}

static void batch_destroy(struct batch *batch)
{
    while (batch->blocks != NULL) {
        drop_block(batch);
    }
    free(batch->rows);
    free(batch->records);
    free(batch);
}

static void batch_empty(struct batch *batch)
{
    for (size_t i = 0; batch->has_outside && i < batch->row_count; i++) {
        blob_unref(batch->rows[i].blob);
        engine_drop_value(batch->engine, batch->rows[i].snapshot);
        free(batch->rows[i].encoded);
    }
    free(batch->keyspaces);
    free(batch->system);
    *batch = (struct batch){
        .blocks = batch->blocks,
        .filling = batch->blocks,
        .capacity = batch->capacity,
        .rows = batch->rows,
        .row_capacity = batch->row_capacity,
        .records = batch->records,
        .record_capacity = batch->record_capacity,
    };
}

struct batch *batch_new(struct engine *engine)
{
    struct batch_pool *pool = &engine->log.spare;
    struct batch *batch = pool->first;
    if (batch != NULL) {
        pool->first = batch->next;
        pool->count--;
        pool->bytes -= batch->capacity;
        batch->next = NULL;
    } else {
        batch = xcalloc(1, sizeof *batch);
    }
    batch->engine = engine;
    return batch;
}

static void on_written(void *context)
{
    struct batch *batch = context;
    const struct engine_options *options = &batch->engine->options;
    atomic_store(&batch->written, true);
    options->wake(options->context);
}

void batch_prepare(struct batch *batch)
{
    atomic_store(&batch->written, false);
    batch->job.kind = DRY_JOB_APPLY;
    batch->job.batch.written = on_written;
    batch->job.batch.context = batch;
}

bool batch_is_written(const struct batch *batch)
{
    return batch != NULL && atomic_load(&batch->written);
}

void batch_free(struct batch *batch)
{
    struct engine *engine = batch->engine;
    struct batch_pool *pool = &engine->log.spare;
    uint64_t limit = engine->options.maxmemory_bytes;
    batch_empty(batch);
    if (engine->log.closing || pool->count == SPARE_BATCHES) {
        batch_destroy(batch);
        return;
    }
    while (batch->blocks != NULL &&
           (batch->capacity > limit / SPARE_PART ||
               memory_used(engine) + batch->capacity > limit)) {
        drop_block(batch);
    }
    batch->filling = batch->blocks;
    batch->next = pool->first;
    pool->first = batch;
    pool->count++;
    pool->bytes += batch->capacity;
    pool->last_ms = engine->now_ms;
}

void batch_pool_clear(struct batch_pool *pool)
{
    while (pool->first != NULL) {
        struct batch *batch = pool->first;
        pool->first = batch->next;
        batch_destroy(batch);
    }
    *pool = (struct batch_pool){0};
}

struct dry_record *batch_records(struct batch *batch)
{
    if (batch->record_capacity < batch->row_count) {
        batch->record_capacity = batch->row_capacity;
        batch->records = xrealloc(
            batch->records, batch->record_capacity * sizeof *batch->records);
    }
    return batch->records;
}

/* To the empty block behind the one being filled, or a new one there. */
static void next_block(struct batch *batch, size_t size)
{
    struct batch_block **link =
        batch->filling == NULL ? &batch->blocks : &batch->filling->next;
    size_t common = BLOCK_BYTES - sizeof(struct batch_block);
    if (*link == NULL || (*link)->size < size) {
        size_t block_size = size < common ? common : size;
        struct batch_block *block = xmalloc(sizeof(*block) + block_size);
        block->next = *link;
        block->size = block_size;
        batch->capacity += block_size;
        *link = block;
    }
    batch->filling = *link;
    batch->filled = 0;
}

char *batch_room(struct batch *batch, size_t size)
{
    while (
        batch->filling == NULL || batch->filling->size - batch->filled < size) {
        next_block(batch, size);
    }
    char *room = batch->filling->bytes + batch->filled;
    batch->filled += size;
    batch->size += size;
    return room;
}

struct batch_row *batch_add_row(struct batch *batch, uint64_t id)
{
    if (batch->row_count == batch->row_capacity) {
        batch->row_capacity = batch->row_capacity * 2 + 64;
        batch->rows =
            xrealloc(batch->rows, batch->row_capacity * sizeof *batch->rows);
    }
    struct batch_row *row = &batch->rows[batch->row_count++];
    *row = (struct batch_row){.id = id};
    return row;
}

bool batch_is_ripe(const struct engine *engine)
{
    const struct log *log = &engine->log;
    if (log->open == NULL || log->sealed != NULL) {
        return false;
    }
    bool wanted = memory_is_wanted(engine) || engine->late_fetches != NULL ||
                  engine->commit_waiters.first != NULL ||
                  engine->checkpoint.running;
    return wanted || log->cuts > log->sealed_cut ||
           batch_size_bytes(log->open) >= GATHER_BYTES ||
           is_due(engine, log->open_ms, GATHER_MS);
}
