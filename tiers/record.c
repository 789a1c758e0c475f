#include "tiers/record.h"

#include "tiers/entry_layout.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FLAG_INLINE 1
#define FLAG_EXTRA 2
#define SUM_OFFSET 4
#define SUMMED_OFFSET 8
#define MARKS_OFFSET 12

static void put(char *out, size_t offset, const void *value, size_t size)
{
    memcpy(out + offset, value, size);
}

static void get(struct bytes row, size_t offset, void *value, size_t size)
{
    memcpy(value, row.data + offset, size);
}

/* The first word (type, kind, codec, flags) is the seed, so that it is summed
 * too. */
static uint32_t header_sum(const char *row, size_t end)
{
    uint32_t word = 0;
    memcpy(&word, row, sizeof word);
    return (uint32_t)XXH3_64bits_withSeed(
        row + SUMMED_OFFSET, end - SUMMED_OFFSET, word);
}

bool record_is_inline(size_t payload_bytes)
{
    return payload_bytes <= RECORD_INLINE_MAX_BYTES;
}

uint64_t record_log_bytes(uint64_t payload_bytes)
{
    return entry_size_decode(entry_size_code(payload_bytes)) +
           RECORD_HEADER_BYTES;
}

/* RECORD_EXTRA_BYTES, or 0 when the row does without. */
static size_t record_extra_bytes(const struct record *record)
{
    return record->tag != 0 || record->schema_version != 0 ? RECORD_EXTRA_BYTES
                                                           : 0;
}

/* Where the header ends: behind key and fields. */
static size_t header_end(enum kind kind, size_t extra, size_t key_size)
{
    return RECORD_HEADER_BYTES + extra + key_size +
           (kind_expires_fields(kind) ? sizeof(struct field_deadlines) : 0);
}

size_t record_row_bytes(const struct record *record)
{
    size_t size =
        header_end(record->kind, record_extra_bytes(record), record->key.size);
    if (record_is_inline(record->payload.size)) {
        size += record->payload.size;
    }
    return size;
}

void record_write(const struct record *record, char *out)
{
    bool in_row = record_is_inline(record->payload.size);
    uint32_t key_size = (uint32_t)record->key.size;
    uint64_t sum = XXH3_64bits(record->payload.data, record->payload.size);
    if (record->damaged) {
        sum = ~sum; /* no payload will ever match */
    }
    out[0] = ROW_VALUE;
    out[1] = (char)record->kind;
    out[2] = (char)record->codec;
    size_t extra = record_extra_bytes(record);
    out[3] = (char)((in_row ? FLAG_INLINE : 0) | (extra > 0 ? FLAG_EXTRA : 0));
    put(out, 8, &record->keyspace, 4);
    put(out, 12, &key_size, 4);
    put(out, 16, &record->expiry_ms, 8);
    put(out, 24, &sum, 8);
    if (extra > 0) {
        put(out, RECORD_HEADER_BYTES, &record->tag, 4);
        put(out, RECORD_HEADER_BYTES + 4, &record->schema_version, 4);
    }
    put(out, RECORD_HEADER_BYTES + extra, record->key.data, key_size);
    size_t end = header_end(record->kind, extra, record->key.size);
    if (kind_expires_fields(record->kind)) {
        put(out, end - sizeof record->fields, &record->fields,
            sizeof record->fields);
    }
    if (in_row && record->payload.size > 0) {
        put(out, end, record->payload.data, record->payload.size);
    }
    uint32_t head = header_sum(out, end);
    put(out, SUM_OFFSET, &head, sizeof head);
}

bool record_parse(struct bytes row, struct record *record)
{
    uint32_t key_size = 0, sum = 0;
    if (record_row_type(row) != ROW_VALUE || row.size < RECORD_HEADER_BYTES) {
        return false;
    }
    get(row, SUM_OFFSET, &sum, sizeof sum);
    get(row, 12, &key_size, sizeof key_size);
    unsigned kind = (unsigned char)row.data[1];
    unsigned codec = (unsigned char)row.data[2];
    unsigned flags = (unsigned char)row.data[3];
    size_t extra = (flags & FLAG_EXTRA) ? RECORD_EXTRA_BYTES : 0;
    size_t end = header_end((enum kind)kind, extra, key_size);
    if (end > row.size || header_sum(row.data, end) != sum ||
        kind >= KIND_COUNT || codec > CODEC_ZLIB ||
        flags > (FLAG_INLINE | FLAG_EXTRA)) {
        return false;
    }
    *record = (struct record){
        .kind = (enum kind)kind,
        .codec = (enum codec)codec,
        .key = bytes_of(row.data + RECORD_HEADER_BYTES + extra, key_size),
        .payload_inline = flags & FLAG_INLINE,
        .payload = bytes_of(row.data + end, row.size - end),
    };
    get(row, 8, &record->keyspace, 4);
    get(row, 16, &record->expiry_ms, 8);
    get(row, 24, &record->payload_sum, 8);
    if (extra > 0) {
        get(row, RECORD_HEADER_BYTES, &record->tag, 4);
        get(row, RECORD_HEADER_BYTES + 4, &record->schema_version, 4);
    }
    if (kind_expires_fields(record->kind)) {
        get(row, end - sizeof record->fields, &record->fields,
            sizeof record->fields);
    }
    return record->payload_inline || record->payload.size == 0;
}

bool record_check_payload(const struct record *record, struct bytes payload)
{
    return XXH3_64bits(payload.data, payload.size) == record->payload_sum;
}

enum row_type record_row_type(struct bytes row)
{
    if (row.size < MARKS_OFFSET) {
        return (enum row_type)0;
    }
    return row.data[0] == ROW_VALUE || row.data[0] == ROW_MARKS
               ? (enum row_type)row.data[0]
               : (enum row_type)0;
}

size_t record_marks_bytes(unsigned count)
{
    return MARKS_OFFSET + (size_t)count * RECORD_MARK_BYTES;
}

void record_write_marks(const struct mark *marks, unsigned count, char *out)
{
    check(count <= RECORD_MARKS_MAX);
    memset(out, 0, MARKS_OFFSET);
    out[0] = ROW_MARKS;
    uint32_t stored = count;
    put(out, SUMMED_OFFSET, &stored, sizeof stored);
    for (unsigned i = 0; i < count; i++) {
        char *at = out + MARKS_OFFSET + (size_t)i * RECORD_MARK_BYTES;
        /* The kind shares the keyspace's word: a database is flushed at
         * most 2^31 times. */
        uint32_t word = marks[i].keyspace << 1 | (marks[i].kind == MARK_EXPIRY);
        put(at, 0, &word, 4);
        put(at, 4, &marks[i].id, 8);
        put(at, 12, &marks[i].hash, 8);
        put(at, 20, &marks[i].expiry_ms, 8);
    }
    uint32_t sum = header_sum(out, record_marks_bytes(count));
    put(out, SUM_OFFSET, &sum, sizeof sum);
}

int record_parse_marks(struct bytes row, struct mark *marks)
{
    uint32_t count = 0, sum = 0;
    if (record_row_type(row) != ROW_MARKS) {
        return -1;
    }
    get(row, SUM_OFFSET, &sum, sizeof sum);
    get(row, SUMMED_OFFSET, &count, sizeof count);
    if (count > RECORD_MARKS_MAX || record_marks_bytes(count) != row.size ||
        header_sum(row.data, row.size) != sum) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t at = MARKS_OFFSET + (size_t)i * RECORD_MARK_BYTES;
        uint32_t word = 0;
        get(row, at, &word, 4);
        marks[i].kind = (word & 1) ? MARK_EXPIRY : MARK_DEAD;
        marks[i].keyspace = word >> 1;
        get(row, at + 4, &marks[i].id, 8);
        get(row, at + 12, &marks[i].hash, 8);
        get(row, at + 20, &marks[i].expiry_ms, 8);
    }
    return (int)count;
}
