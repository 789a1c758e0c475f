#include "tiers/dry/lmdb_check.h"
#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/lmdb_seal.h"
#include "tiers/dry/lmdb_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SPARE_READERS = 8, /* threads that read beside the reader threads */
};

/* ---- opening ---- */

static enum dry_result check_format(
    struct lmdb *store, char *reason, size_t reason_size)
{
    char *text = NULL;
    size_t size = 0, word = strlen(LMDB_FORMAT_TEXT);
    int64_t format;
    enum dry_result result =
        dry_lmdb_ops.get_system(&store->base, LMDB_FORMAT_NAME, &text, &size);
    if (result != DRY_OK && result != DRY_NOT_FOUND) {
        snprintf(reason, reason_size, "%s: its format cannot be read: %s",
            store->place.data_path, dry_result_text(result));
        return result;
    }
    if (result == DRY_NOT_FOUND || size <= word ||
        memcmp(text, LMDB_FORMAT_TEXT, word) != 0 ||
        !bytes_to_int64(bytes_of(text + word, size - word), &format)) {
        snprintf(reason, reason_size, "%s: an LMDB file that is not larder's",
            store->place.data_path);
        result = DRY_FOREIGN;
    } else if (format == LMDB_FORMAT_UNSEALED) {
        int rc = lmdb_env_upgrade(store);
        if (rc != MDB_SUCCESS) {
            result =
                lmdb_env_fail(store, rc, "cannot upgrade", reason, reason_size);
        }
    } else if (format != LMDB_FORMAT) {
        snprintf(reason, reason_size,
            "%s: format %lld, this program reads format %d",
            store->place.data_path, (long long)format, LMDB_FORMAT);
        result = DRY_FOREIGN;
    }
    free(text);
    return result;
}

/* Finds where the stream of payloads ends. Chunks behind the last row are
 * left from a batch that did not reach its commit. */
static int find_right_edge(
    struct lmdb *store, MDB_cursor *rows, MDB_cursor *chunks)
{
    struct row row;
    struct bytes header;
    uint64_t id;
    MDB_val key, value;
    int rc = lmdb_row_at(rows, MDB_LAST, &id, &row, &header);
    store->next_chunk = rc == MDB_SUCCESS ? lmdb_row_end(&row) : 0;
    if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND) {
        rc = mdb_cursor_get(chunks, &key, &value, MDB_LAST);
    }
    if (rc == MDB_SUCCESS) {
        store->trim = lmdb_number(key) >= store->next_chunk;
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int inspect(struct lmdb *store)
{
    MDB_txn *txn;
    MDB_cursor *rows = NULL, *chunks = NULL;
    int rc = lmdb_env_begin_read(store, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(txn, store->headers, &rows);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(txn, store->payloads, &chunks);
    }
    if (rc == MDB_SUCCESS) {
        rc = find_right_edge(store, rows, chunks);
    }
    mdb_cursor_close(rows);
    mdb_cursor_close(chunks);
    lmdb_env_end_read(store, txn);
    return rc;
}

/* What is left when the commit `torn` (0: none) has been taken back. */
static void tell_torn(
    const struct lmdb *store, uint64_t torn, char *reason, size_t reason_size)
{
    reason[0] = '\0';
    if (torn != 0) {
        snprintf(reason, reason_size,
            "%s: the last commit (number %llu) is not wholly on disk, after a "
            "power cut, a kill or damage, and was taken back: records end at "
            "id %llu",
            store->place.data_path, (unsigned long long)torn,
            (unsigned long long)store->stats.last_id);
    }
}

static enum dry_result open_store(
    struct lmdb *store, char *reason, size_t reason_size)
{
    uint64_t end_bytes;
    uint64_t torn;
    int rc = seal_check(store->place.data_path, &torn);
    if (rc == EBADMSG) {
        snprintf(reason, reason_size, "%s: damaged: a broken seal",
            store->place.data_path);
        return DRY_CORRUPT;
    }
    if (rc != 0) {
        return lmdb_env_fail(store, rc, "cannot open", reason, reason_size);
    }
    enum dry_result result = lmdb_check_file(
        store->place.data_path, torn, &end_bytes, reason, reason_size);
    if (result != DRY_OK) {
        return result;
    }
    rc = torn == 0 ? 0 : seal_undo(store->place.data_path, torn);
    if (rc == 0) {
        rc = lmdb_env_create(store);
    }
    if (rc == MDB_SUCCESS) {
        rc = lmdb_env_open(store);
    }
    /* Behind the last page there is room to read from now on, if only a
     * hole: a damaged page that points a little too far is then no SIGBUS. */
    if (rc == MDB_SUCCESS &&
        !place_extend_data(&store->place, end_bytes + LMDB_MIB)) {
        rc = errno;
    }
    if (rc == MDB_SUCCESS && !place_sync_names(&store->place)) {
        rc = errno;
    }
    if (rc != MDB_SUCCESS) {
        return lmdb_env_fail(store, rc, "cannot open", reason, reason_size);
    }
    result = check_format(store, reason, reason_size);
    if (result != DRY_OK) {
        return result;
    }
    rc = seal_accept(store->fd);
    store->accepted = rc == 0;
    if (rc == 0) {
        rc = lmdb_env_count(store);
    }
    if (rc == MDB_SUCCESS) {
        rc = inspect(store);
    }
    if (rc != MDB_SUCCESS) {
        return lmdb_env_fail(store, rc, "cannot read", reason, reason_size);
    }
    tell_torn(store, torn, reason, reason_size);
    return DRY_OK;
}

static void lmdb_close(struct dry_store *base)
{
    if (base == NULL) {
        return;
    }
    struct lmdb *store = lmdb_of(base);
    if (store->accepted && store->env != NULL && store->unsure == 0) {
        seal_settle(store->fd); /* else its sum is looked at again */
    }
    lmdb_env_close(store);
    place_close(&store->place);
    pthread_rwlock_destroy(&store->gate);
    pthread_mutex_destroy(&store->lock);
    for (unsigned i = 0; i < store->reader_count; i++) {
        lmdb_reader_destroy(store->readers[i]);
    }
    free(store->readers);
    free(store->idle);
    free(store);
}

static struct lmdb *store_create(const struct dry_open_options *options)
{
    struct lmdb *store = xcalloc(1, sizeof(*store));
    store->base.ops = &dry_lmdb_ops;
    store->place.lock_fd = -1;
    store->direct_fd = -1;
    store->limit_bytes = options->limit_bytes;
    store->page_cache_bytes = options->page_cache_bytes;
    store->max_readers = options->reader_threads + SPARE_READERS;
    store->reader_count = options->reader_threads;
    store->readers = xcalloc(store->reader_count + 1, sizeof(*store->readers));
    store->idle = xcalloc(store->max_readers, sizeof(*store->idle));
    store->undo_from = LMDB_NOTHING_TO_UNDO;
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
        place_reserve(&store->place, reserve > (uint64_t)8 * LMDB_MIB
                                         ? (uint64_t)8 * LMDB_MIB
                                         : reserve);
        lmdb_env_count(store); /* tells of the reserve */
        *base = &store->base;
    } else {
        lmdb_close(&store->base);
    }
    return result;
}

/* ---- the rest of the contract ---- */

static enum dry_result lmdb_get_system(
    struct dry_store *base, const char *name, char **value, size_t *size)
{
    struct lmdb *store = lmdb_of(base);
    MDB_txn *txn;
    MDB_val key = lmdb_val(name, strlen(name)), found;
    *value = NULL;
    int rc = lmdb_env_begin_read(store, &txn);
    if (rc != MDB_SUCCESS) {
        return lmdb_env_result(store, rc);
    }
    rc = mdb_get(txn, store->system, &key, &found);
    if (rc == MDB_SUCCESS) {
        *size = found.mv_size;
        *value = xmalloc(found.mv_size + 1);
        memcpy(*value, found.mv_data, found.mv_size);
    }
    lmdb_env_end_read(store, txn);
    return lmdb_env_result(store, rc);
}

static enum dry_result lmdb_sync(struct dry_store *base)
{
    struct lmdb *store = lmdb_of(base);
    int rc = store->env == NULL || store->unsure != 0
                 ? EIO
                 : mdb_env_sync(store->env, 1);
    return lmdb_env_result(store, rc);
}

static void lmdb_stats(struct dry_store *base, struct dry_stats *stats)
{
    struct lmdb *store = lmdb_of(base);
    pthread_mutex_lock(&store->lock);
    *stats = store->stats;
    stats->direct_reads = store->direct_reads;
    pthread_mutex_unlock(&store->lock);
}

const struct dry_ops dry_lmdb_ops = {
    .name = "lmdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .apply = lmdb_write_apply,
    .read = lmdb_read_record,
    .read_many = lmdb_read_many,
    .scan = lmdb_scan_rows,
    .get_system = lmdb_get_system,
    .sync = lmdb_sync,
    .stats = lmdb_stats,
};
