#include "tiers/dry/lmdb_store.h"

#include <sys/mman.h>

bool lmdb_row_parse(MDB_val value, struct row *row, struct bytes *header)
{
    uint64_t position;
    if (value.mv_size < LMDB_ROW_PREFIX_BYTES) {
        return false;
    }
    memcpy(&position, value.mv_data, sizeof(position));
    memcpy(&row->size, (char *)value.mv_data + sizeof(position),
        sizeof(row->size));
    row->chunk = position / LMDB_PAGE_BYTES;
    row->offset = (uint32_t)(position % LMDB_PAGE_BYTES);
    *header = bytes_of((char *)value.mv_data + LMDB_ROW_PREFIX_BYTES,
        value.mv_size - LMDB_ROW_PREFIX_BYTES);
    return row->offset < LMDB_CHUNK_BYTES;
}

void lmdb_row_write(char *to, const struct row *row)
{
    uint64_t position = row->chunk * LMDB_PAGE_BYTES + row->offset;
    memcpy(to, &position, sizeof(position));
    memcpy(to + sizeof(position), &row->size, sizeof(row->size));
}

uint64_t lmdb_row_end(const struct row *row)
{
    uint64_t end = (uint64_t)row->offset + row->size;
    return row->chunk + (end + LMDB_CHUNK_BYTES - 1) / LMDB_CHUNK_BYTES;
}

int lmdb_row_at(MDB_cursor *cursor, MDB_cursor_op op, uint64_t *id,
    struct row *row, struct bytes *header)
{
    MDB_val key = lmdb_val(id, sizeof(*id)), value;
    int rc = mdb_cursor_get(cursor, &key, &value, op);
    if (rc == MDB_SUCCESS) {
        if (key.mv_size != sizeof(*id) || !lmdb_row_parse(value, row, header)) {
            return MDB_CORRUPTED;
        }
        *id = lmdb_number(key);
    }
    return rc;
}

void lmdb_row_hint_chunks(const struct bytes *chunks, size_t count)
{
    for (size_t i = 0; i < count;) {
        const char *start =
            chunks[i].data - (uintptr_t)chunks[i].data % LMDB_PAGE_BYTES;
        const char *end = start + LMDB_PAGE_BYTES;
        while (++i < count && chunks[i].data >= end &&
               chunks[i].data < end + LMDB_PAGE_BYTES) {
            end += LMDB_PAGE_BYTES;
        }
        madvise((void *)start, (size_t)(end - start), MADV_WILLNEED);
    }
}
