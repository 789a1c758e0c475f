/* A dry store in LMDB, used as a log. The layout on disk, and why it is so,
 * is in README.md; the only file that knows LMDB. */
#include "tiers/dry/place.h"
#include "tiers/dry/store.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    FORMAT = 1,
    PAGE_BYTES = 4096,
    CHUNK_BYTES = PAGE_BYTES - 16, /* one overflow page exactly */
    ROW_PREFIX_BYTES = 12,
    SPARE_READERS = 8,
    HINT_CHUNKS = 256,
    MIB = 1 << 20,
};
/* Payloads above this are committed in stages, so that a record of 512 MB
 * needs no dirty list of as many bytes. */
static const size_t stage_bytes = (size_t)32 * MIB;
static const char format_name[] = "store";
static const char format_text[] = "larder dry log, format ";
static const uint64_t nothing_to_undo = UINT64_MAX;

struct lmdb {
    struct dry_store base;
    struct place place;
    uint64_t limit_bytes;
    unsigned max_readers;
    /* Held for reading by every read, for writing while the environment is
     * closed and opened again. */
    pthread_rwlock_t gate;
    MDB_env *env; /* NULL: could not be opened again */
    MDB_dbi system, headers, payloads;

    pthread_mutex_t lock; /* guards what follows */
    MDB_txn **idle;       /* read transactions to be renewed */
    unsigned idle_count;
    struct dry_stats stats;

    /* The writer's. */
    uint64_t next_chunk; /* number of the next chunk of payload */
    uint64_t undo_from;  /* rows from this id on are of a failed batch */
    bool trim;           /* rows or chunks may lie beyond the right edge */
};

/* Where a payload lies: its first chunk and the offset in it. */
struct row {
    uint64_t chunk;
    uint32_t offset;
    uint32_t size;
};

static struct lmdb *lmdb_of(struct dry_store *store)
{
    check(store != NULL && store->ops == &dry_lmdb_ops);
    return (struct lmdb *)store;
}

static MDB_val val_of(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)data};
}

static uint64_t key_of(MDB_val key)
{
    uint64_t number = 0;
    if (key.mv_size == sizeof(number)) {
        memcpy(&number, key.mv_data, sizeof(number));
    }
    return number;
}

/* ---- results ---- */

/* The one place where LMDB's and the system's codes become results. A full
 * disk reaches us as EIO (a short write), so the file system is asked. */
static enum dry_result result_of(const struct lmdb *store, int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return DRY_OK;
    case MDB_NOTFOUND:
        return DRY_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return DRY_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_BAD_VALSIZE:
        return DRY_CORRUPT;
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return DRY_FOREIGN;
    case MDB_KEYEXIST: /* an id not above all before it: the caller's bug */
        check(rc != MDB_KEYEXIST);
        return DRY_IO;
    default:
        return place_free_bytes(&store->place) < (uint64_t)2 * MIB ? DRY_FULL
                                                                   : DRY_IO;
    }
}

static enum dry_result fail(const struct lmdb *store, int rc, const char *doing,
    char *reason, size_t reason_size)
{
    enum dry_result result = result_of(store, rc);
    snprintf(reason, reason_size, "%s: %s: %s%s", store->place.path, doing,
        result == DRY_FULL && rc != MDB_MAP_FULL ? "no room on disk: " : "",
        mdb_strerror(rc));
    return result;
}

/* ---- read transactions ---- */

static int reader_begin(struct lmdb *store, MDB_txn **txn)
{
    pthread_rwlock_rdlock(&store->gate);
    int rc = EIO;
    *txn = NULL;
    if (store->env != NULL) {
        pthread_mutex_lock(&store->lock);
        if (store->idle_count > 0) {
            *txn = store->idle[--store->idle_count];
        }
        pthread_mutex_unlock(&store->lock);
        rc = *txn != NULL ? mdb_txn_renew(*txn)
                          : mdb_txn_begin(store->env, NULL, MDB_RDONLY, txn);
    }
    if (rc != MDB_SUCCESS) {
        if (*txn != NULL) {
            mdb_txn_abort(*txn);
        }
        pthread_rwlock_unlock(&store->gate);
    }
    return rc;
}

static void reader_end(struct lmdb *store, MDB_txn *txn)
{
    mdb_txn_reset(txn);
    pthread_mutex_lock(&store->lock);
    if (store->idle_count < store->max_readers) {
        store->idle[store->idle_count++] = txn;
        txn = NULL;
    }
    pthread_mutex_unlock(&store->lock);
    if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&store->gate);
}

/* ---- rows ---- */

static bool row_parse(MDB_val value, struct row *row, struct bytes *header)
{
    uint64_t position;
    if (value.mv_size < ROW_PREFIX_BYTES) {
        return false;
    }
    memcpy(&position, value.mv_data, sizeof(position));
    memcpy(&row->size, (char *)value.mv_data + sizeof(position),
        sizeof(row->size));
    row->chunk = position / PAGE_BYTES;
    row->offset = (uint32_t)(position % PAGE_BYTES);
    *header = bytes_of((char *)value.mv_data + ROW_PREFIX_BYTES,
        value.mv_size - ROW_PREFIX_BYTES);
    return row->offset < CHUNK_BYTES;
}

/* The first chunk behind the row's payload and what shares its chunk: all
 * chunks a payload runs on from are full. */
static uint64_t row_end(const struct row *row)
{
    uint64_t end = (uint64_t)row->offset + row->size;
    return row->chunk + (end + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

static int row_at(MDB_cursor *cursor, MDB_cursor_op op, uint64_t *id,
    struct row *row, struct bytes *header)
{
    MDB_val key = val_of(id, sizeof(*id)), value;
    int rc = mdb_cursor_get(cursor, &key, &value, op);
    if (rc == MDB_SUCCESS) {
        if (key.mv_size != sizeof(*id) || !row_parse(value, row, header)) {
            return MDB_CORRUPTED;
        }
        *id = key_of(key);
    }
    return rc;
}

/* ---- statistics ---- */

static int count_pages(
    MDB_txn *txn, MDB_dbi dbi, uint64_t *bytes, uint64_t *entries)
{
    MDB_stat stat;
    int rc = mdb_stat(txn, dbi, &stat);
    if (rc == MDB_SUCCESS) {
        *bytes += (uint64_t)(stat.ms_branch_pages + stat.ms_leaf_pages +
                             stat.ms_overflow_pages) *
                  stat.ms_psize;
        *entries = stat.ms_entries;
    }
    return rc;
}

static int read_edges(struct lmdb *store, MDB_txn *txn, struct dry_stats *stats)
{
    MDB_cursor *cursor;
    struct row row;
    struct bytes header;
    int rc = mdb_cursor_open(txn, store->headers, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = row_at(cursor, MDB_FIRST, &stats->first_id, &row, &header);
    if (rc == MDB_SUCCESS) {
        rc = row_at(cursor, MDB_LAST, &stats->last_id, &row, &header);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Counts what LMDB keeps counts of; no walk. Databases 0 and 1 are LMDB's
 * own: the free list and the table of databases. */
static int refresh_stats(struct lmdb *store)
{
    struct dry_stats stats = {.limit_bytes = store->limit_bytes};
    uint64_t size_bytes = 0, ignored;
    MDB_envinfo info;
    MDB_txn *txn;
    int rc = reader_begin(store, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    stats.used_bytes = (uint64_t)2 * PAGE_BYTES;
    const MDB_dbi dbis[] = {
        0, 1, store->system, store->payloads, store->headers};
    for (size_t i = 0; rc == MDB_SUCCESS && i < 5; i++) {
        rc = count_pages(txn, dbis[i], &stats.used_bytes,
            dbis[i] == store->headers ? &stats.record_count : &ignored);
    }
    if (rc == MDB_SUCCESS) {
        rc = read_edges(store, txn, &stats);
    }
    if (rc == MDB_SUCCESS) {
        mdb_env_info(store->env, &info);
        uint64_t end_bytes = ((uint64_t)info.me_last_pgno + 1) * PAGE_BYTES;
        stats.free_bytes =
            end_bytes > stats.used_bytes ? end_bytes - stats.used_bytes : 0;
        place_data_size(&store->place, &size_bytes, &stats.file_bytes);
    }
    reader_end(store, txn);
    if (rc == MDB_SUCCESS) {
        pthread_mutex_lock(&store->lock);
        store->stats = stats;
        pthread_mutex_unlock(&store->lock);
    }
    return rc;
}

static void lmdb_stats(struct dry_store *base, struct dry_stats *stats)
{
    struct lmdb *store = lmdb_of(base);
    pthread_mutex_lock(&store->lock);
    *stats = store->stats;
    pthread_mutex_unlock(&store->lock);
}

/* ---- opening ---- */

static void env_close(struct lmdb *store)
{
    while (store->idle_count > 0) {
        mdb_txn_abort(store->idle[--store->idle_count]);
    }
    if (store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
}

static int env_open(struct lmdb *store)
{
    int dead;
    int rc = mdb_env_create(&store->env);
    if (rc != MDB_SUCCESS) {
        store->env = NULL;
        return rc;
    }
    uint64_t map_bytes =
        store->limit_bytes + store->limit_bytes * 3 / 10 + (uint64_t)1024 * MIB;
    map_bytes -= map_bytes % PAGE_BYTES;
    rc = mdb_env_set_mapsize(store->env, map_bytes);
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxreaders(store->env, store->max_readers);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxdbs(store->env, 4);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(
            store->env, store->place.path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_reader_check(store->env, &dead);
    }
    if (rc != MDB_SUCCESS) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    return rc;
}

/* Creates the databases in an empty file, and opens them. */
static int open_databases(struct lmdb *store)
{
    MDB_txn *txn;
    MDB_stat stat;
    char text[sizeof(format_text) + 20];
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_stat(txn, 1, &stat);
    bool fresh = rc == MDB_SUCCESS && stat.ms_entries == 0;
    unsigned create = fresh ? MDB_CREATE : 0;
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_open(txn, "system", create, &store->system);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_open(
            txn, "headers", create | MDB_INTEGERKEY, &store->headers);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_open(
            txn, "payloads", create | MDB_INTEGERKEY, &store->payloads);
    }
    if (rc == MDB_SUCCESS && fresh) {
        int size = snprintf(text, sizeof(text), "%s%d", format_text, FORMAT);
        MDB_val key = val_of(format_name, strlen(format_name));
        MDB_val value = val_of(text, (size_t)size);
        rc = mdb_put(txn, store->system, &key, &value, 0);
    }
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc == MDB_NOTFOUND ? MDB_INCOMPATIBLE : rc;
    }
    return mdb_txn_commit(txn);
}

static enum dry_result check_format(
    struct lmdb *store, char *reason, size_t reason_size)
{
    char *text;
    size_t size;
    enum dry_result result =
        dry_lmdb_ops.get_system(&store->base, format_name, &text, &size);
    if (result != DRY_OK) {
        snprintf(reason, reason_size, "%s: not a larder store",
            store->place.data_path);
        return DRY_FOREIGN;
    }
    size_t word = strlen(format_text);
    int64_t format = 0;
    if (size <= word || memcmp(text, format_text, word) != 0 ||
        !bytes_to_int64(bytes_of(text + word, size - word), &format)) {
        snprintf(reason, reason_size, "%s: not a larder store",
            store->place.data_path);
        result = DRY_FOREIGN;
    } else if (format != FORMAT) {
        snprintf(reason, reason_size,
            "%s: format %lld, this program reads format %d",
            store->place.data_path, (long long)format, FORMAT);
        result = DRY_FOREIGN;
    }
    free(text);
    return result;
}

/* Finds where the stream of payloads ends. Chunks behind the last row are
 * left from a batch that did not reach its commit. */
static int find_right_edge(struct lmdb *store)
{
    MDB_txn *txn;
    MDB_cursor *rows = NULL, *chunks = NULL;
    struct row row;
    struct bytes header;
    uint64_t id;
    MDB_val key, value;
    int rc = reader_begin(store, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(txn, store->headers, &rows);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(txn, store->payloads, &chunks);
    }
    if (rc == MDB_SUCCESS) {
        rc = row_at(rows, MDB_LAST, &id, &row, &header);
        store->next_chunk = rc == MDB_SUCCESS ? row_end(&row) : 0;
    }
    if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND) {
        rc = mdb_cursor_get(chunks, &key, &value, MDB_LAST);
        store->trim = rc == MDB_SUCCESS && key_of(key) >= store->next_chunk;
        rc = rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    }
    mdb_cursor_close(rows);
    mdb_cursor_close(chunks);
    reader_end(store, txn);
    return rc;
}

static enum dry_result open_store(
    struct lmdb *store, char *reason, size_t reason_size)
{
    int rc = env_open(store);
    if (rc == MDB_SUCCESS) {
        rc = open_databases(store);
    }
    if (rc != MDB_SUCCESS) {
        return fail(store, rc, "cannot open", reason, reason_size);
    }
    enum dry_result result = check_format(store, reason, reason_size);
    if (result != DRY_OK) {
        return result;
    }
    rc = find_right_edge(store);
    if (rc == MDB_SUCCESS) {
        rc = refresh_stats(store);
    }
    return rc == MDB_SUCCESS
               ? DRY_OK
               : fail(store, rc, "cannot read", reason, reason_size);
}

static void lmdb_close(struct dry_store *base)
{
    if (base == NULL) {
        return;
    }
    struct lmdb *store = lmdb_of(base);
    env_close(store);
    place_close(&store->place);
    pthread_rwlock_destroy(&store->gate);
    pthread_mutex_destroy(&store->lock);
    free(store->idle);
    free(store);
}

static struct lmdb *store_create(const struct dry_open_options *options)
{
    struct lmdb *store = xcalloc(1, sizeof(*store));
    store->base.ops = &dry_lmdb_ops;
    store->place.lock_fd = -1;
    store->limit_bytes = options->limit_bytes;
    store->max_readers = options->reader_threads + SPARE_READERS;
    store->idle = xcalloc(store->max_readers, sizeof(*store->idle));
    store->undo_from = nothing_to_undo;
    pthread_mutex_init(&store->lock, NULL);
    /* Readers come without a pause; the one that opens again must get in. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(
        &attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&store->gate, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return store;
}

static enum dry_result lmdb_open(struct dry_store **base,
    const struct dry_open_options *options, char *reason, size_t reason_size)
{
    struct lmdb *store = store_create(options);
    *base = NULL;
    enum dry_result result = place_open(
        &store->place, options->path, "data.mdb", reason, reason_size);
    if (result == DRY_OK) {
        result = open_store(store, reason, reason_size);
    }
    if (result == DRY_OK) {
        uint64_t reserve = options->limit_bytes / 64;
        place_reserve(&store->place,
            reserve > (uint64_t)8 * MIB ? (uint64_t)8 * MIB : reserve);
        *base = &store->base;
    } else {
        lmdb_close(&store->base);
    }
    return result;
}

/* ---- writing ---- */

/* One batch on its way into the store. Payloads are written first, as one
 * stream cut into chunks, in several commits if they are many; without the
 * rows, which the last commit brings, nobody can find them. */
struct append {
    struct lmdb *store;
    const struct dry_batch_view *batch;
    MDB_txn *txn;
    MDB_cursor *chunks;
    uint64_t *positions; /* of each record's payload */
    uint64_t next_chunk;
    size_t filled;
    size_t staged_bytes;
    bool staged;
    char chunk[CHUNK_BYTES];
};

static int append_begin(struct append *append)
{
    unsigned flags = append->batch->sync ? 0 : MDB_NOMETASYNC;
    int rc = mdb_txn_begin(append->store->env, NULL, flags, &append->txn);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(
            append->txn, append->store->payloads, &append->chunks);
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

static int append_commit(struct append *append)
{
    MDB_txn *txn = append->txn;
    mdb_cursor_close(append->chunks);
    append->chunks = NULL;
    append->txn = NULL;
    return mdb_txn_commit(txn);
}

static int put_chunk(struct append *append, const char *data, size_t size)
{
    MDB_val key = val_of(&append->next_chunk, sizeof(append->next_chunk));
    MDB_val value = val_of(data, size);
    int rc = mdb_cursor_put(append->chunks, &key, &value, MDB_APPEND);
    append->next_chunk++;
    append->staged_bytes += PAGE_BYTES;
    if (rc == MDB_SUCCESS && append->staged_bytes >= stage_bytes) {
        rc = append_commit(append);
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
    struct append *append, struct bytes payload, uint64_t *position)
{
    int rc = MDB_SUCCESS;
    size_t room = CHUNK_BYTES - append->filled;
    /* Two pages to read are worth avoiding when it costs little space. */
    if (payload.size > room && room < CHUNK_BYTES / 8) {
        rc = flush_chunk(append);
    }
    *position = append->next_chunk * PAGE_BYTES + append->filled;
    while (rc == MDB_SUCCESS && payload.size > 0) {
        room = CHUNK_BYTES - append->filled;
        size_t size = payload.size < room ? payload.size : room;
        if (size == CHUNK_BYTES) {
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
    int rc = mdb_cursor_open(append->txn, append->store->headers, &rows);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    for (size_t i = 0; rc == MDB_SUCCESS && i < append->batch->record_count;
         i++) {
        const struct dry_record *record = &append->batch->records[i];
        uint32_t payload_size = (uint32_t)record->payload.size;
        MDB_val key = val_of(&record->id, sizeof(record->id));
        MDB_val row = val_of(NULL, ROW_PREFIX_BYTES + record->header.size);
        rc = mdb_cursor_put(rows, &key, &row, MDB_APPEND | MDB_RESERVE);
        if (rc == MDB_SUCCESS) {
            char *to = row.mv_data;
            memcpy(to, &append->positions[i], 8);
            memcpy(to + 8, &payload_size, 4);
            if (record->header.size > 0) {
                memcpy(to + ROW_PREFIX_BYTES, record->header.data,
                    record->header.size);
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
        check(strcmp(named->name, format_name) != 0);
        MDB_val key = val_of(named->name, strlen(named->name));
        MDB_val value = val_of(named->value.data, named->value.size);
        rc = mdb_put(append->txn, append->store->system, &key, &value, 0);
    }
    return rc;
}

/* Deletes rows or chunks from one end for as long as they are outside
 * [first, end). */
static int trim_database(
    MDB_txn *txn, MDB_dbi dbi, uint64_t first, uint64_t end)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    while (
        (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == MDB_SUCCESS &&
        key_of(key) < first) {
        rc = mdb_cursor_del(cursor, 0);
        if (rc != MDB_SUCCESS) {
            break;
        }
    }
    while (
        rc == MDB_SUCCESS && end != UINT64_MAX &&
        (rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST)) == MDB_SUCCESS &&
        key_of(key) >= end) {
        rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Removes what failed batches may have left at the right edge. */
static int trim_right(struct lmdb *store, MDB_txn *txn)
{
    int rc = trim_database(txn, store->headers, 0, store->undo_from);
    return rc == MDB_SUCCESS
               ? trim_database(txn, store->payloads, 0, store->next_chunk)
               : rc;
}

/* Removes the rows below `keep_from` and the chunks only they used. */
static int trim_left(struct append *append, uint64_t keep_from)
{
    struct lmdb *store = append->store;
    MDB_cursor *rows;
    struct row row;
    struct bytes header;
    uint64_t id;
    int rc = trim_database(append->txn, store->headers, keep_from, UINT64_MAX);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(append->txn, store->headers, &rows);
    }
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = row_at(rows, MDB_FIRST, &id, &row, &header);
    mdb_cursor_close(rows);
    if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND) {
        uint64_t first = rc == MDB_SUCCESS ? row.chunk : append->next_chunk;
        rc = trim_database(append->txn, store->payloads, first, UINT64_MAX);
    }
    return rc;
}

static int append_all(struct append *append)
{
    const struct dry_batch_view *batch = append->batch;
    int rc = append_begin(append);
    if (rc == MDB_SUCCESS && append->store->trim) {
        rc = trim_right(append->store, append->txn);
    }
    for (size_t i = 0; rc == MDB_SUCCESS && i < batch->record_count; i++) {
        check(batch->records[i].payload.size <= UINT32_MAX);
        rc = put_payload(
            append, batch->records[i].payload, &append->positions[i]);
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
    return rc == MDB_SUCCESS ? append_commit(append) : rc;
}

/* Closes and opens the environment if a failed meta page write poisoned it.
 * Readers wait meanwhile. */
static int heal(struct lmdb *store)
{
    MDB_txn *txn;
    int rc = MDB_PANIC;
    if (store->env != NULL) {
        rc = mdb_txn_begin(store->env, NULL, 0, &txn);
        if (rc == MDB_SUCCESS) {
            mdb_txn_abort(txn);
        }
    }
    if (rc == MDB_PANIC) {
        pthread_rwlock_wrlock(&store->gate);
        env_close(store);
        rc = env_open(store);
        if (rc == MDB_SUCCESS) {
            rc = open_databases(store);
        }
        if (rc != MDB_SUCCESS) {
            env_close(store);
        }
        pthread_rwlock_unlock(&store->gate);
    }
    return rc;
}

static int apply_once(struct lmdb *store, const struct dry_batch_view *batch)
{
    struct append *append = xcalloc(1, sizeof(*append));
    append->store = store;
    append->batch = batch;
    append->next_chunk = store->next_chunk;
    append->positions =
        xcalloc(batch->record_count + 1, sizeof(*append->positions));
    int rc = append_all(append);
    if (rc == MDB_SUCCESS) {
        store->next_chunk = append->next_chunk;
        store->undo_from = nothing_to_undo;
        store->trim = false;
    } else {
        append_abort(append);
        store->trim = true;
        if (batch->record_count > 0 &&
            batch->records[0].id < store->undo_from) {
            store->undo_from = batch->records[0].id;
        }
        heal(store);
    }
    free(append->positions);
    free(append);
    return rc;
}

static uint64_t batch_bytes(const struct dry_batch_view *batch)
{
    uint64_t bytes = (uint64_t)64 * PAGE_BYTES;
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
        /* Room that was given up for removals is not for other writes. */
        if (!place_restore_reserve(&store->place)) {
            return ENOSPC;
        }
    }
    uint64_t end_bytes =
        store->stats.used_bytes + store->stats.free_bytes + 2 * needed_bytes;
    return place_extend_data(&store->place, end_bytes + (uint64_t)16 * MIB)
               ? MDB_SUCCESS
               : errno;
}

static enum dry_result lmdb_apply(struct dry_store *base,
    const struct dry_batch_view *batch, char *reason, size_t reason_size)
{
    struct lmdb *store = lmdb_of(base);
    int rc = heal(store);
    if (rc == MDB_SUCCESS) {
        rc = find_room(store, batch, batch_bytes(batch));
    }
    if (rc == MDB_SUCCESS) {
        rc = apply_once(store, batch);
        if (batch->frees && result_of(store, rc) == DRY_FULL &&
            place_release_reserve(&store->place)) {
            rc = apply_once(store, batch);
        }
    }
    enum dry_result result = rc == MDB_SUCCESS ? DRY_OK
                                               : fail(store, rc, "cannot write",
                                                     reason, reason_size);
    refresh_stats(store);
    return result;
}

static enum dry_result lmdb_sync(struct dry_store *base)
{
    struct lmdb *store = lmdb_of(base);
    int rc = store->env == NULL ? EIO : mdb_env_sync(store->env, 1);
    return result_of(store, rc);
}

/* ---- reading ---- */

/* Asks the kernel for the pages of several chunks at once: the map is
 * opened without read-ahead, which is right for single values. */
static void hint_chunks(const struct bytes *parts, size_t count)
{
    for (size_t i = 0; i < count;) {
        const char *start =
            parts[i].data - (uintptr_t)parts[i].data % PAGE_BYTES;
        const char *end = start + PAGE_BYTES;
        while (++i < count && parts[i].data >= end &&
               parts[i].data < end + PAGE_BYTES) {
            end += PAGE_BYTES;
        }
        madvise((void *)start, (size_t)(end - start), MADV_WILLNEED);
    }
}

/* Gathers up to `limit` parts of a payload and copies them. */
static int copy_window(
    MDB_cursor *chunks, struct row *row, char **to, size_t *left)
{
    struct bytes parts[HINT_CHUNKS];
    size_t count = 0, bytes = 0;
    while (count < HINT_CHUNKS && bytes < *left) {
        MDB_val key = val_of(&row->chunk, sizeof(row->chunk)), value;
        int rc = mdb_cursor_get(chunks, &key, &value, MDB_SET_KEY);
        if (rc != MDB_SUCCESS || value.mv_size <= row->offset ||
            value.mv_size > CHUNK_BYTES) {
            return rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
        }
        size_t size = value.mv_size - row->offset;
        size = size < *left - bytes ? size : *left - bytes;
        parts[count++] = bytes_of((char *)value.mv_data + row->offset, size);
        bytes += size;
        row->chunk++;
        row->offset = 0;
    }
    if (count > 1) {
        hint_chunks(parts, count);
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(*to, parts[i].data, parts[i].size);
        *to += parts[i].size;
    }
    *left -= bytes;
    return MDB_SUCCESS;
}

static int copy_payload(
    const struct lmdb *store, MDB_txn *txn, struct row row, char *to)
{
    MDB_cursor *chunks;
    size_t left = row.size;
    int rc = mdb_cursor_open(txn, store->payloads, &chunks);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    while (rc == MDB_SUCCESS && left > 0) {
        rc = copy_window(chunks, &row, &to, &left);
    }
    mdb_cursor_close(chunks);
    return rc;
}

static enum dry_result lmdb_read(struct dry_store *base, uint64_t id,
    char **data, size_t *header_bytes, size_t *payload_bytes)
{
    struct lmdb *store = lmdb_of(base);
    MDB_txn *txn;
    MDB_val key = val_of(&id, sizeof(id)), value;
    struct row row;
    struct bytes header;
    *data = NULL;
    int rc = reader_begin(store, &txn);
    if (rc != MDB_SUCCESS) {
        return result_of(store, rc);
    }
    rc = mdb_get(txn, store->headers, &key, &value);
    if (rc == MDB_SUCCESS && !row_parse(value, &row, &header)) {
        rc = MDB_CORRUPTED;
    }
    if (rc == MDB_SUCCESS) {
        *data = malloc(header.size + row.size + 1);
        rc = *data == NULL ? ENOMEM : MDB_SUCCESS;
    }
    if (rc == MDB_SUCCESS) {
        *header_bytes = header.size;
        *payload_bytes = row.size;
        memcpy(*data, header.data, header.size);
        rc = copy_payload(store, txn, row, *data + header.size);
    }
    reader_end(store, txn);
    if (rc != MDB_SUCCESS) {
        free(*data);
        *data = NULL;
    }
    return result_of(store, rc);
}

static enum dry_result lmdb_scan(
    struct dry_store *base, uint64_t from, dry_scan_fn *fn, void *context)
{
    struct lmdb *store = lmdb_of(base);
    MDB_txn *txn;
    MDB_cursor *rows;
    struct row row;
    struct bytes header;
    uint64_t id = from;
    int rc = reader_begin(store, &txn);
    if (rc != MDB_SUCCESS) {
        return result_of(store, rc);
    }
    rc = mdb_cursor_open(txn, store->headers, &rows);
    if (rc == MDB_SUCCESS) {
        rc = row_at(rows, MDB_SET_RANGE, &id, &row, &header);
        while (rc == MDB_SUCCESS && fn(context, id, header, row.size)) {
            rc = row_at(rows, MDB_NEXT, &id, &row, &header);
        }
        mdb_cursor_close(rows);
    }
    reader_end(store, txn);
    return rc == MDB_NOTFOUND ? DRY_OK : result_of(store, rc);
}

static enum dry_result lmdb_get_system(
    struct dry_store *base, const char *name, char **value, size_t *size)
{
    struct lmdb *store = lmdb_of(base);
    MDB_txn *txn;
    MDB_val key = val_of(name, strlen(name)), found;
    *value = NULL;
    int rc = reader_begin(store, &txn);
    if (rc != MDB_SUCCESS) {
        return result_of(store, rc);
    }
    rc = mdb_get(txn, store->system, &key, &found);
    if (rc == MDB_SUCCESS) {
        *size = found.mv_size;
        *value = xmalloc(found.mv_size + 1);
        memcpy(*value, found.mv_data, found.mv_size);
    }
    reader_end(store, txn);
    return result_of(store, rc);
}

const struct dry_ops dry_lmdb_ops = {
    .name = "lmdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .apply = lmdb_apply,
    .read = lmdb_read,
    .scan = lmdb_scan,
    .get_system = lmdb_get_system,
    .sync = lmdb_sync,
    .stats = lmdb_stats,
};
