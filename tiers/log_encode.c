/* From live values and the rows of a batch to the bytes of records. */
#include <stdlib.h>

#include "tiers/codec.h"
#include "tiers/engine_internal.h"

struct bytes entry_payload(const struct entry *entry, struct scratch *scratch)
{
    const struct value *live = entry_live(entry);
    if (live == NULL) {
        return entry_value(entry);
    }
    size_t size = value_encoded_bytes(live);
    char *out = scratch_alloc(scratch, size);
    value_encode(live, out);
    return bytes_of(out, size);
}

static char *encode_snapshot(struct packer *packer, const struct batch_row *row,
    char *header, size_t *payload_bytes)
{
    const struct value *snapshot = row->snapshot;
    struct record record;
    size_t raw_bytes = value_encoded_bytes(snapshot);
    char *raw = xmalloc(raw_bytes);
    value_encode(snapshot, raw);
    check(record_parse(bytes_of(header, row->header_size), &record));
    record.payload = bytes_of(raw, raw_bytes);
    record.payload_inline = false;
    if (row->snapshot_codec != CODEC_NONE) {
        char *packed = xmalloc(codec_bound(raw_bytes));
        size_t size = codec_pack(packer, row->snapshot_codec,
            row->snapshot_level, record.payload, packed);
        if (size > 0) {
            record.codec = row->snapshot_codec;
            record.payload = bytes_of(packed, size);
            free(raw);
            raw = packed;
        } else {
            free(packed);
        }
    }
    /* The key lies in the header that is written over. */
    char *key = xmalloc(record.key.size + 1);
    memcpy(key, record.key.data, record.key.size);
    record.key.data = key;
    record_write(&record, header);
    free(key);
    *payload_bytes = record.payload.size;
    return raw;
}

void log_count_encoded(struct batch *batch)
{
    struct engine *engine = batch->engine;
    for (size_t i = 0; batch->has_outside && i < batch->row_count; i++) {
        struct batch_row *row = &batch->rows[i];
        if (row->snapshot == NULL) {
            continue;
        }
        log_count_row(&engine->log, row, record_log_bytes(row->payload_size));
        struct space *space = space_by_keyspace(engine, row->keyspace);
        struct index_slot slot = {0};
        if (space != NULL) {
            slot = index_find_id(&space->index, row->hash, row->id);
        }
        if (slot.ref != NULL) {
            struct entry *entry = arena_at(&engine->arena, *slot.ref);
            log_count_entry(engine, entry, -1);
            entry_set_record_bytes(entry, row->payload_size);
            log_count_entry(engine, entry, 1);
        }
    }
}

static void encode_row(struct batch *batch, struct batch_row *row)
{
    if (row->snapshot != NULL && row->encoded == NULL) {
        row->encoded = encode_snapshot(
            batch->engine->packer, row, row->header, &row->payload_size);
    }
}

static struct dry_record record_of(const struct batch_row *row)
{
    const char *payload = row->payload;
    if (row->blob != NULL) {
        payload = row->blob->data;
    } else if (row->encoded != NULL) {
        payload = row->encoded;
    }
    return (struct dry_record){
        .id = row->id,
        .header = bytes_of(row->header, row->header_size),
        .payload = bytes_of(payload, row->payload_size),
    };
}

void log_make_records(struct dry_job *job, struct dry_store *store)
{
    struct batch *batch = (struct batch *)job;
    struct dry_record *records = batch_records(batch);
    (void)store;
    for (size_t i = 0; i < batch->row_count; i++) {
        encode_row(batch, &batch->rows[i]);
        records[i] = record_of(&batch->rows[i]);
    }
    batch->job.batch.records = records;
    batch->job.batch.record_count = batch->row_count;
}
