#include "tiers/dry/give_way.h"
#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/lmdb_store.h"

#include <errno.h>
#include <stdlib.h>

/* Payloads above this are committed in stages, so that a record of 512 MB
 * needs no dirty list of as many bytes. */
static const size_t stage_bytes = (size_t)8 * LMDB_MIB;

/* ---- writing ---- */

/* One batch on its way into the store. Payloads are written first, as one
 * stream cut into chunks, in several commits if they are many; without the
 * rows, which the last commit brings, nobody can find them. */
struct append {
    struct lmdb *store;
    const struct dry_batch_view *batch;
    MDB_txn *txn;
    MDB_cursor *chunks;
    struct row *rows; /* one for each record */
    uint64_t next_chunk;
    size_t filled;
    size_t staged_bytes;
    bool staged;
    char chunk[LMDB_CHUNK_BYTES];
};

static int append_begin(struct append *append)
{
    struct lmdb *store = append->store;
    int rc = mdb_txn_begin(store->env, NULL, 0, &append->txn);
    store->poisoned = rc == MDB_PANIC;
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(append->txn, store->payloads, &append->chunks);
    }
    append->staged_bytes = 0;
    return rc;
}

static void append_abort(struct append *append)
{
    if (append->chunks != NULL) {
        mdb_cursor_close(append->chunks);
    }
    if (append->txn != NULL) {
        mdb_txn_abort(append->txn);
    }
    append->chunks = NULL;
    append->txn = NULL;
}

/* `batch`: what is whole with this commit, or NULL. */
static int append_commit(
    struct append *append, const struct dry_batch_view *batch)
{
    MDB_txn *txn = append->txn;
    mdb_cursor_close(append->chunks);
    append->chunks = NULL;
    append->txn = NULL;
    return lmdb_env_commit(append->store, txn, batch);
}

static int put_chunk(struct append *append, const char *data, size_t size)
{
    MDB_val key = lmdb_val(&append->next_chunk, sizeof(append->next_chunk));
    MDB_val value = lmdb_val(data, size);
    int rc = mdb_cursor_put(append->chunks, &key, &value, MDB_APPEND);
    append->next_chunk++;
    append->staged_bytes += LMDB_PAGE_BYTES;
    if (rc == MDB_SUCCESS && append->staged_bytes >= stage_bytes) {
        rc = append_commit(append, NULL);
        append->staged = true;
        if (rc == MDB_SUCCESS) {
            rc = append_begin(append);
        }
    }
    return rc;
}

static int flush_chunk(struct append *append)
{
    size_t size = append->filled;
    append->filled = 0;
    return size == 0 ? MDB_SUCCESS : put_chunk(append, append->chunk, size);
}

static int put_payload(
    struct append *append, struct bytes payload, struct row *row)
{
    int rc = MDB_SUCCESS;
    size_t room = LMDB_CHUNK_BYTES - append->filled;
    check(payload.size <= UINT32_MAX);
    /* Two pages to read are worth avoiding when it costs little space. */
    if (payload.size > room && room < LMDB_CHUNK_BYTES / 8) {
        rc = flush_chunk(append);
    }
    row->chunk = append->next_chunk;
    row->offset = (uint32_t)append->filled;
    row->size = (uint32_t)payload.size;
    while (rc == MDB_SUCCESS && payload.size > 0) {
        room = LMDB_CHUNK_BYTES - append->filled;
        size_t size = payload.size < room ? payload.size : room;
        if (size == LMDB_CHUNK_BYTES) {
            rc = put_chunk(append, payload.data, size);
        } else {
            memcpy(append->chunk + append->filled, payload.data, size);
            append->filled += size;
            rc = size == room ? flush_chunk(append) : MDB_SUCCESS;
        }
        payload = bytes_of(payload.data + size, payload.size - size);
    }
    return rc;
}

static int put_rows(struct append *append)
{
    MDB_cursor *rows;
    struct give_way way = {0};
    int rc = mdb_cursor_open(append->txn, append->store->headers, &rows);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    for (size_t i = 0; rc == MDB_SUCCESS && i < append->batch->record_count;
         i++) {
        const struct dry_record *record = &append->batch->records[i];
        MDB_val key = lmdb_val(&record->id, sizeof(record->id));
        MDB_val row =
            lmdb_val(NULL, LMDB_ROW_PREFIX_BYTES + record->header.size);
        give_way(&way, GIVE_WAY_ROWS);
        rc = mdb_cursor_put(rows, &key, &row, MDB_APPEND | MDB_RESERVE);
        if (rc == MDB_SUCCESS) {
            lmdb_row_write(row.mv_data, &append->rows[i]);
            if (record->header.size > 0) {
                memcpy((char *)row.mv_data + LMDB_ROW_PREFIX_BYTES,
                    record->header.data, record->header.size);
            }
        }
    }
    mdb_cursor_close(rows);
    return rc;
}

static int put_system(struct append *append)
{
    int rc = MDB_SUCCESS;
    for (size_t i = 0;
         rc == MDB_SUCCESS && i < append->batch->system_value_count; i++) {
        const struct dry_system_value *named = &append->batch->system_values[i];
        check(strcmp(named->name, LMDB_FORMAT_NAME) != 0);
        MDB_val key = lmdb_val(named->name, strlen(named->name));
        MDB_val value = lmdb_val(named->value.data, named->value.size);
        rc = mdb_put(append->txn, append->store->system, &key, &value, 0);
    }
    return rc;
}

/* Deletes all rows or chunks with numbers below `first`. */
static int trim_below(MDB_txn *txn, MDB_dbi dbi, uint64_t first)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    struct give_way way = {0};
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (rc == MDB_SUCCESS && lmdb_number(key) < first) {
        give_way(&way, GIVE_WAY_ROWS);
        rc = mdb_cursor_del(cursor, 0);
        if (rc == MDB_SUCCESS) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Deletes all rows or chunks with numbers from `end` on. */
static int trim_from(MDB_txn *txn, MDB_dbi dbi, uint64_t end)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    while (rc == MDB_SUCCESS && lmdb_number(key) >= end) {
        rc = mdb_cursor_del(cursor, 0);
        if (rc == MDB_SUCCESS) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Removes what failed batches may have left at the right edge. */
static int trim_right(struct lmdb *store, MDB_txn *txn)
{
    int rc = trim_from(txn, store->headers, store->undo_from);
    return rc == MDB_SUCCESS
               ? trim_from(txn, store->payloads, store->next_chunk)
               : rc;
}

/* The first chunk that the row `keep_from` or one behind it uses; *chunk
 * stays as it is when there is no such row. */
static int first_kept_chunk(
    MDB_cursor *rows, uint64_t keep_from, uint64_t *chunk)
{
    struct row row;
    struct bytes header;
    int rc = lmdb_row_at(rows, MDB_SET_RANGE, &keep_from, &row, &header);
    if (rc == MDB_SUCCESS) {
        *chunk = row.chunk;
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Removes the rows below `keep_from` and the chunks only they used. */
static int trim_left(struct append *append, uint64_t keep_from)
{
    struct lmdb *store = append->store;
    uint64_t chunk = append->next_chunk;
    MDB_cursor *rows;
    int rc = mdb_cursor_open(append->txn, store->headers, &rows);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = first_kept_chunk(rows, keep_from, &chunk);
    mdb_cursor_close(rows);
    if (rc == MDB_SUCCESS) {
        rc = trim_below(append->txn, store->headers, keep_from);
    }
    return rc == MDB_SUCCESS ? trim_below(append->txn, store->payloads, chunk)
                             : rc;
}

/* Reads ahead the pages of the chunks to be removed and looks at them. LMDB
 * looks at each to see how many pages to free, one page fault after the
 * other, and believes what it finds. */
static int inspect_chunks(MDB_cursor *chunks, uint64_t first)
{
    struct bytes window[LMDB_HINT_CHUNKS];
    MDB_val key, value;
    struct give_way way = {0};
    int rc = mdb_cursor_get(chunks, &key, &value, MDB_FIRST);
    while (rc == MDB_SUCCESS && lmdb_number(key) < first) {
        size_t count = 0;
        while (rc == MDB_SUCCESS && count < LMDB_HINT_CHUNKS) {
            window[count++] = bytes_of(value.mv_data, value.mv_size);
            rc = mdb_cursor_get(chunks, &key, &value, MDB_NEXT);
        }
        lmdb_row_hint_chunks(window, count);
        for (size_t i = 0; i < count; i++) {
            give_way(&way, GIVE_WAY_PAGES);
            if (!page_value_sane(window[i].data, window[i].size)) {
                return MDB_CORRUPTED;
            }
        }
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Large rows have overflow pages too. */
static int inspect_rows(MDB_cursor *rows, uint64_t keep_from)
{
    MDB_val key, value;
    struct give_way way = {0};
    int rc = mdb_cursor_get(rows, &key, &value, MDB_FIRST);
    while (rc == MDB_SUCCESS && lmdb_number(key) < keep_from) {
        give_way(&way, GIVE_WAY_ROWS);
        if (!page_value_sane(value.mv_data, value.mv_size)) {
            return MDB_CORRUPTED;
        }
        rc = mdb_cursor_get(rows, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* What is to be removed must be sound, or LMDB would fall over it. */
static int prepare_trim(struct lmdb *store, uint64_t keep_from)
{
    MDB_txn *txn;
    MDB_cursor *rows = NULL, *chunks = NULL;
    uint64_t first = store->next_chunk;
    int rc = lmdb_env_begin_read(store, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(txn, store->headers, &rows);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(txn, store->payloads, &chunks);
    }
    if (rc == MDB_SUCCESS) {
        rc = inspect_rows(rows, keep_from);
    }
    if (rc == MDB_SUCCESS) {
        rc = first_kept_chunk(rows, keep_from, &first);
    }
    if (rc == MDB_SUCCESS) {
        rc = inspect_chunks(chunks, first);
    }
    mdb_cursor_close(rows);
    mdb_cursor_close(chunks);
    lmdb_env_end_read(store, txn);
    return rc;
}

static int append_all(struct append *append)
{
    const struct dry_batch_view *batch = append->batch;
    struct give_way way = {0};
    int rc = append_begin(append);
    if (rc == MDB_SUCCESS && append->store->trim) {
        rc = trim_right(append->store, append->txn);
    }
    for (size_t i = 0; rc == MDB_SUCCESS && i < batch->record_count; i++) {
        give_way(&way, GIVE_WAY_ROWS);
        rc = put_payload(append, batch->records[i].payload, &append->rows[i]);
    }
    if (rc == MDB_SUCCESS) {
        rc = flush_chunk(append);
    }
    if (rc == MDB_SUCCESS) {
        rc = put_rows(append);
    }
    if (rc == MDB_SUCCESS) {
        rc = put_system(append);
    }
    if (rc == MDB_SUCCESS && batch->keep_from > 0) {
        rc = trim_left(append, batch->keep_from);
    }
    return rc == MDB_SUCCESS ? append_commit(append, batch) : rc;
}

/* Takes back what a failed batch has left. If that fails too, the next
 * batch does it first. */
static void append_undo(struct append *append)
{
    struct lmdb *store = append->store;
    append_abort(append);
    store->trim = true;
    if (append->batch->record_count > 0 &&
        append->batch->records[0].id < store->undo_from) {
        store->undo_from = append->batch->records[0].id;
    }
    int rc = lmdb_env_heal(store);
    if (rc == MDB_SUCCESS && append->staged) {
        rc = append_begin(append);
        if (rc == MDB_SUCCESS) {
            rc = trim_right(store, append->txn);
        }
        if (rc == MDB_SUCCESS && append_commit(append, NULL) == MDB_SUCCESS) {
            store->trim = false;
            store->undo_from = LMDB_NOTHING_TO_UNDO;
        }
        append_abort(append);
    }
}

static int apply_once(struct lmdb *store, const struct dry_batch_view *batch)
{
    struct append *append = xcalloc(1, sizeof(*append));
    append->store = store;
    append->batch = batch;
    append->next_chunk = store->next_chunk;
    /* Not zeroed: of so much memory jemalloc would give the pages back for it,
     * which holds up the core, and each row is filled. */
    append->rows = xmalloc((batch->record_count + 1) * sizeof(*append->rows));
    int rc = append_all(append);
    if (rc == MDB_SUCCESS) {
        store->next_chunk = append->next_chunk;
        store->undo_from = LMDB_NOTHING_TO_UNDO;
        store->trim = false;
    } else {
        append_undo(append);
    }
    free(append->rows);
    free(append);
    return rc;
}

static uint64_t batch_bytes(const struct dry_batch_view *batch)
{
    uint64_t bytes = (uint64_t)64 * LMDB_PAGE_BYTES;
    for (size_t i = 0; i < batch->record_count; i++) {
        const struct dry_record *record = &batch->records[i];
        bytes += record->header.size + record->payload.size + 64;
    }
    return bytes + bytes / 32;
}

/* Whether the batch may be tried at all; rc as of LMDB. */
static int find_room(struct lmdb *store, const struct dry_batch_view *batch,
    uint64_t needed_bytes)
{
    if (!batch->frees) {
        if (store->stats.used_bytes + needed_bytes > store->limit_bytes) {
            return MDB_MAP_FULL;
        }
        /* What is left on a full disk is for removals, unless those have
         * made room enough inside the file. */
        if (!place_restore_reserve(&store->place) &&
            store->stats.free_bytes <
                2 * needed_bytes + store->place.reserve_bytes) {
            return ENOSPC;
        }
    }
    uint64_t end_bytes =
        store->stats.used_bytes + store->stats.free_bytes + 2 * needed_bytes;
    return place_extend_data(&store->place, end_bytes + (uint64_t)16 * LMDB_MIB)
               ? MDB_SUCCESS
               : errno;
}

enum dry_result lmdb_write_apply(struct dry_store *base,
    const struct dry_batch_view *batch, char *reason, size_t reason_size)
{
    struct lmdb *store = lmdb_of(base);
    int rc = lmdb_env_heal(store);
    if (rc == MDB_SUCCESS) {
        rc = find_room(store, batch, batch_bytes(batch));
    }
    if (rc == MDB_SUCCESS && batch->keep_from > 0) {
        rc = prepare_trim(store, batch->keep_from);
    }
    if (rc == MDB_SUCCESS) {
        rc = apply_once(store, batch);
        if (batch->frees && lmdb_env_result(store, rc) == DRY_FULL &&
            place_release_reserve(&store->place)) {
            rc = lmdb_env_heal(store);
            if (rc == MDB_SUCCESS) {
                rc = apply_once(store, batch);
            }
        }
    }
    enum dry_result result =
        rc == MDB_SUCCESS
            ? DRY_OK
            : lmdb_env_fail(store, rc, "cannot write", reason, reason_size);
    lmdb_env_count(store);
    return result;
}
