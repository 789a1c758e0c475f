/* The memory of a batch: its rows and their bytes. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

/* So many are spare, each of at most this part of maxmemory, and only where
 * there is room for it. */
#define SPARE_BATCHES 2
#define SPARE_PART 32

static void batch_destroy(struct batch *batch)
{
    free(batch->rows);
    free(batch->records);
    free(batch->data);
    free(batch);
}

static void batch_empty(struct batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        blob_unref(batch->rows[i].blob);
        engine_drop_value(batch->engine, batch->rows[i].snapshot);
        free(batch->rows[i].encoded);
    }
    free(batch->keyspaces);
    free(batch->system);
    *batch = (struct batch){
        .data = batch->data,
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

void batch_free(struct batch *batch)
{
    struct engine *engine = batch->engine;
    struct batch_pool *pool = &engine->log.spare;
    uint64_t limit = engine->options.maxmemory_bytes;
    batch_empty(batch);
    if (engine->log.closing || pool->count == SPARE_BATCHES ||
        batch->capacity > limit / SPARE_PART ||
        memory_used(engine) + batch->capacity > limit) {
        batch_destroy(batch);
        return;
    }
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

char *batch_room(struct batch *batch, size_t size)
{
    if (batch->size + size > batch->capacity) {
        size_t capacity = batch->capacity == 0 ? 64 * 1024 : batch->capacity;
        while (capacity < batch->size + size) {
            capacity *= 2;
        }
        batch->data = xrealloc(batch->data, capacity);
        batch->capacity = capacity;
    }
    char *room = batch->data + batch->size;
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
