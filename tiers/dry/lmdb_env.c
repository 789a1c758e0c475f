#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/lmdb_plan.h"
#include "tiers/dry/lmdb_seal.h"
#include "tiers/dry/lmdb_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum dry_result lmdb_env_result(const struct lmdb *store, int rc)
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
    case EIO: /* how a full disk reaches us: a short write */
        return place_free_bytes(&store->place) < (uint64_t)2 * LMDB_MIB
                   ? DRY_FULL
                   : DRY_IO;
    default:
        return DRY_IO;
    }
}

enum dry_result lmdb_env_fail(const struct lmdb *store, int rc,
    const char *doing, char *reason, size_t reason_size)
{
    enum dry_result result = lmdb_env_result(store, rc);
    const char *text = result != DRY_FULL   ? mdb_strerror(rc)
                       : rc == MDB_MAP_FULL ? "the size limit is reached"
                                            : "the disk is full";
    snprintf(reason, reason_size, "%s: %s: %s", store->place.path, doing, text);
    return result;
}

/* ---- read transactions ---- */

int lmdb_env_begin_read(struct lmdb *store, MDB_txn **txn)
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

void lmdb_env_end_read(struct lmdb *store, MDB_txn *txn)
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
    rc = lmdb_row_at(cursor, MDB_FIRST, &stats->first_id, &row, &header);
    if (rc == MDB_SUCCESS) {
        rc = lmdb_row_at(cursor, MDB_LAST, &stats->last_id, &row, &header);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

int lmdb_env_count(struct lmdb *store)
{
    struct dry_stats stats = {
        .limit_bytes = store->limit_bytes,
        .tight = !store->place.reserved,
    };
    uint64_t size_bytes = 0, ignored;
    MDB_envinfo info;
    MDB_txn *txn;
    int rc = lmdb_env_begin_read(store, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    stats.used_bytes = (uint64_t)2 * LMDB_PAGE_BYTES;
    const MDB_dbi dbis[] = {LMDB_FREE_LIST, LMDB_TABLE, store->system,
        store->payloads, store->headers};
    for (size_t i = 0; rc == MDB_SUCCESS && i < 5; i++) {
        rc = count_pages(txn, dbis[i], &stats.used_bytes,
            dbis[i] == store->headers ? &stats.record_count : &ignored);
    }
    if (rc == MDB_SUCCESS) {
        rc = read_edges(store, txn, &stats);
    }
    if (rc == MDB_SUCCESS) {
        mdb_env_info(store->env, &info);
        uint64_t end_bytes =
            ((uint64_t)info.me_last_pgno + 1) * LMDB_PAGE_BYTES;
        stats.free_bytes =
            end_bytes > stats.used_bytes ? end_bytes - stats.used_bytes : 0;
        place_data_size(&store->place, &size_bytes, &stats.file_bytes);
    }
    lmdb_env_end_read(store, txn);
    if (rc == MDB_SUCCESS) {
        pthread_mutex_lock(&store->lock);
        store->stats = stats;
        pthread_mutex_unlock(&store->lock);
    }
    return rc;
}

int lmdb_env_commit(
    struct lmdb *store, MDB_txn *txn, const struct dry_batch_view *batch)
{
    uint64_t transaction = mdb_txn_id(txn);
    check(store->unsure == 0); /* or there were two to take back */
    int rc = mdb_txn_commit(txn);
    if (rc == MDB_SUCCESS) {
        rc = seal_commit(store->fd, transaction);
    }
    if (rc == 0 && batch != NULL && batch->written != NULL) {
        batch->written(batch->context);
    }
    if (rc == 0) {
        rc = seal_flush(store->fd);
    }
    if (rc != 0) {
        store->unsure = transaction; /* what of it is in the file */
    }
    return rc;
}

/* ---- opening ---- */

void lmdb_env_close(struct lmdb *store)
{
    while (store->idle_count > 0) {
        mdb_txn_abort(store->idle[--store->idle_count]);
    }
    if (store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    if (store->direct_fd >= 0) {
        close(store->direct_fd);
        store->direct_fd = -1;
    }
}

static int configure(struct lmdb *store)
{
    uint64_t map_bytes = store->limit_bytes + store->limit_bytes / 10 * 3 +
                         (uint64_t)1024 * LMDB_MIB;
    map_bytes -= map_bytes % LMDB_PAGE_BYTES;
    int rc = mdb_env_set_mapsize(store->env, map_bytes);
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxreaders(store->env, store->max_readers);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxdbs(store->env, 4);
    }
    return rc;
}

static int put_format(struct lmdb *store, MDB_txn *txn)
{
    char text[sizeof(LMDB_FORMAT_TEXT) + 20];
    int size = snprintf(text, sizeof(text), LMDB_FORMAT_TEXT "%d", LMDB_FORMAT);
    MDB_val key = lmdb_val(LMDB_FORMAT_NAME, strlen(LMDB_FORMAT_NAME));
    MDB_val value = lmdb_val(text, (size_t)size);
    return mdb_put(txn, store->system, &key, &value, 0);
}

/* Creates the databases in an empty file, and opens them. */
static int open_databases(struct lmdb *store)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_stat(txn, LMDB_TABLE, &stat);
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
        rc = put_format(store, txn);
    }
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc == MDB_NOTFOUND ? MDB_INCOMPATIBLE : rc;
    }
    return fresh ? lmdb_env_commit(store, txn, NULL) : mdb_txn_commit(txn);
}

/* With both flushes of LMDB's own. */
static int commit_format(struct lmdb *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = put_format(store, txn);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

int lmdb_env_upgrade(struct lmdb *store)
{
    int rc = mdb_env_set_flags(store->env, MDB_NOSYNC, 0);
    if (rc == MDB_SUCCESS) {
        rc = commit_format(store);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_flags(store->env, MDB_NOSYNC, 1);
    }
    return rc;
}

/* Finds where the file is mapped, which LMDB does not tell: a value lies on a
 * page that knows its number. */
static int find_map(struct lmdb *store)
{
    MDB_txn *txn;
    MDB_val key = lmdb_val(LMDB_FORMAT_NAME, strlen(LMDB_FORMAT_NAME)), value;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_get(txn, store->system, &key, &value);
    if (rc == MDB_SUCCESS) {
        const char *page = (const char *)value.mv_data -
                           (uintptr_t)value.mv_data % LMDB_PAGE_BYTES;
        uint64_t number = ((const struct page *)(const void *)page)->number;
        store->map = page - number * LMDB_PAGE_BYTES;
    }
    mdb_txn_abort(txn);
    /* A file without the value is refused later, with a better reason. */
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int create_in(const char *directory)
{
    MDB_env *env;
    int fd;
    int rc = mdb_env_create(&env);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_env_open(env, directory, MDB_NOLOCK, 0600);
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_get_fd(env, &fd);
    }
    if (rc == MDB_SUCCESS) {
        rc = seal_settle(fd);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_sync(env, 1);
    }
    mdb_env_close(env);
    return rc;
}

/* LMDB by itself writes the first pages of a file without a sync, and half of
 * them is what cannot be opened. */
int lmdb_env_create(struct lmdb *store)
{
    if (access(store->place.data_path, F_OK) == 0) {
        return MDB_SUCCESS;
    }
    char *directory = place_path(&store->place, "new");
    char *file = place_path(&store->place, "new/data.mdb");
    bool ready = (mkdir(directory, 0700) == 0 || errno == EEXIST) &&
                 (unlink(file) == 0 || errno == ENOENT);
    int rc = ready ? create_in(directory) : errno;
    if (rc == MDB_SUCCESS && rename(file, store->place.data_path) != 0) {
        rc = errno;
    }
    rmdir(directory);
    free(directory);
    free(file);
    return rc;
}

int lmdb_env_open(struct lmdb *store)
{
    int dead;
    int rc = mdb_env_create(&store->env);
    if (rc != MDB_SUCCESS) {
        store->env = NULL;
        return rc;
    }
    rc = configure(store);
    if (rc == MDB_SUCCESS) {
        /* Flushes are ours: see lmdb_seal.h. */
        rc = mdb_env_open(store->env, store->place.path,
            MDB_NOTLS | MDB_NORDAHEAD | MDB_NOSYNC, 0600);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_get_fd(store->env, &store->fd);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_reader_check(store->env, &dead);
    }
    if (rc == MDB_SUCCESS) {
        rc = open_databases(store);
    }
    if (rc == MDB_SUCCESS) {
        rc = find_map(store);
    }
    if (rc == MDB_SUCCESS) {
        /* The neighbours of what is read are not wanted. */
        posix_fadvise(store->fd, 0, 0, POSIX_FADV_RANDOM);
        if (store->page_cache_bytes != 0) {
            store->direct_fd = plan_open_direct(store->place.data_path);
        }
    }
    if (rc != MDB_SUCCESS) {
        lmdb_env_close(store);
    }
    return rc;
}

int lmdb_env_heal(struct lmdb *store)
{
    int rc = 0;
    if (store->env != NULL && store->unsure == 0 && !store->poisoned) {
        return MDB_SUCCESS;
    }
    pthread_rwlock_wrlock(&store->gate);
    if (store->unsure != 0) {
        rc = seal_undo(store->place.data_path, store->unsure);
    }
    if (rc == 0) {
        store->unsure = 0;
    }
    /* Even if it cannot be taken back: what there is can be read. */
    lmdb_env_close(store);
    int open_rc = lmdb_env_open(store);
    store->poisoned = false;
    pthread_rwlock_unlock(&store->gate);
    return rc != 0 ? rc : open_rc;
}
