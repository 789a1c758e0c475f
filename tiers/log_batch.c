/* The memory of a batch: its rows and their bytes. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        blob_unref(batch->rows[i].blob);
        engine_drop_value(batch->engine, batch->rows[i].snapshot);
        free(batch->rows[i].encoded);
    }
    free(batch->rows);
    free(batch->records);
    free(batch->keyspaces);
    free(batch->system);
    free(batch->data);
    free(batch);
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
