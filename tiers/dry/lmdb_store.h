/* Inside of the LMDB store; nobody but its own files includes this, and
 * lmdb.h appears nowhere else. The layout on disk is in README.md.
 *
 * lmdb.c        open; the table of operations
 * lmdb_read.c   read
 * lmdb_plan.c   what of the file is read together
 * lmdb_write.c  apply
 * lmdb_env.c    the environment: opening, healing, transactions, counts
 * lmdb_tree.c   a row's or a chunk's place in the file
 * lmdb_row.c    rows: where a record's payload lies
 * lmdb_scan.c   scan
 * lmdb_seal.c   whether the last commit is wholly there
 * lmdb_changes.c  which pages a commit has written
 * lmdb_check.c  the structure of the file before it is mapped
 * lmdb_page.c   pages as they are on disk; these four without LMDB */
#ifndef LARDER_TIERS_DRY_LMDB_STORE_H
#define LARDER_TIERS_DRY_LMDB_STORE_H

#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/place.h"
#include "tiers/dry/store.h"

#include <lmdb.h>
#include <pthread.h>

enum {
    LMDB_FORMAT = 2,
    LMDB_FORMAT_UNSEALED = 1, /* the same without seals: lmdb_env_upgrade */
    LMDB_PAGE_BYTES = 4096,
    LMDB_CHUNK_BYTES = LMDB_PAGE_BYTES - 16, /* one overflow page exactly */
    LMDB_ROW_PREFIX_BYTES = 12,
    LMDB_HINT_CHUNKS = 256, /* asked for at a time */
    LMDB_MIB = 1 << 20,
    LMDB_FREE_LIST = 0, /* databases of LMDB's own */
    LMDB_TABLE = 1,
};
/* The system value that says what this file is; not the caller's to use. */
#define LMDB_FORMAT_NAME "store"
#define LMDB_FORMAT_TEXT "larder dry log, format "
#define LMDB_NOTHING_TO_UNDO UINT64_MAX

struct lmdb {
    struct dry_store base;
    struct place place;
    uint64_t limit_bytes;
    uint64_t page_cache_bytes; /* see struct dry_open_options */
    unsigned max_readers;
    unsigned reader_count;
    struct lmdb_reader **readers; /* by number; each its thread's alone */
    /* Held for reading by every read, for writing while the environment is
     * closed and opened again. */
    pthread_rwlock_t gate;
    MDB_env *env;  /* NULL: could not be opened again */
    int fd;        /* of the file that is mapped at `map`; LMDB's */
    int direct_fd; /* of the same past the page cache, or -1 */
    const char *map;
    MDB_dbi system, headers, payloads;

    pthread_mutex_t lock; /* guards what follows */
    MDB_txn **idle;       /* read transactions to be renewed */
    unsigned idle_count;
    struct dry_stats stats;
    uint64_t direct_reads;

    /* The writer's. */
    uint64_t next_chunk; /* number of the next chunk of payload */
    uint64_t undo_from;  /* rows from this id on are of a failed batch */
    bool trim;           /* rows or chunks may lie beyond the right edge */
    uint64_t unsure;     /* the commit that failed and may be there, or 0 */
    bool poisoned;       /* LMDB refuses writes until it is opened again */
    bool accepted;       /* the file is ours, sound and flushed */
};

/* Where a payload lies: its first chunk and the offset in it. */
struct row {
    uint64_t chunk;
    uint32_t offset;
    uint32_t size;
};

static inline struct lmdb *lmdb_of(struct dry_store *store)
{
    check(store != NULL && store->ops == &dry_lmdb_ops);
    return (struct lmdb *)store;
}

static inline MDB_val lmdb_val(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)data};
}

/* An id or chunk number out of a key; 0 when it is none. */
static inline uint64_t lmdb_number(MDB_val key)
{
    uint64_t number = 0;
    if (key.mv_size == sizeof(number)) {
        memcpy(&number, key.mv_data, sizeof(number));
    }
    return number;
}

/* ---- lmdb_env.c: all return LMDB's codes unless they say otherwise ---- */

/* Makes the data file, empty and durable but for its name, if there is none; rc
 * of LMDB or errno. */
int lmdb_env_create(struct lmdb *store);
/* Opens the environment and its databases, creating them in an empty file. */
int lmdb_env_open(struct lmdb *store);
/* Makes a file of format 1 one of this format, but for its seals, which may
 * not be on disk before: a program that knows of none would write without. */
int lmdb_env_upgrade(struct lmdb *store);
void lmdb_env_close(struct lmdb *store);
/* Commits and flushes; with the whole of `batch`, if that is not NULL, whose
 * `written` is called in between. If that fails, the commit is to be taken back
 * by lmdb_env_heal before anything else is written. Writer thread. */
int lmdb_env_commit(
    struct lmdb *store, MDB_txn *txn, const struct dry_batch_view *batch);
/* Takes back a commit that failed, of which anything may be in the file, and
 * opens the environment again. Readers wait meanwhile. Nothing may be written
 * before it has succeeded. Writer thread. */
int lmdb_env_heal(struct lmdb *store);
/* A read transaction, which keeps the environment open until it ends. Any
 * thread. */
int lmdb_env_begin_read(struct lmdb *store, MDB_txn **txn);
void lmdb_env_end_read(struct lmdb *store, MDB_txn *txn);
/* Refreshes store->stats from what LMDB keeps counts of; no walk. */
int lmdb_env_count(struct lmdb *store);
/* The one place where LMDB's and the system's codes become results. */
enum dry_result lmdb_env_result(const struct lmdb *store, int rc);
/* The same with a reason that names the path and what failed. */
enum dry_result lmdb_env_fail(const struct lmdb *store, int rc,
    const char *doing, char *reason, size_t reason_size);

/* ---- lmdb_row.c ---- */

/* False when the value is no row. `header` is borrowed from the map. */
bool lmdb_row_parse(MDB_val value, struct row *row, struct bytes *header);
/* Fills the LMDB_ROW_PREFIX_BYTES before a header. */
void lmdb_row_write(char *to, const struct row *row);
/* The first chunk behind the row's payload and what shares its chunk: all
 * chunks a payload runs on from are full. */
uint64_t lmdb_row_end(const struct row *row);
/* Moves the cursor; *id is the key looked for and found. MDB_CORRUPTED when
 * what is there is no row. */
int lmdb_row_at(MDB_cursor *cursor, MDB_cursor_op op, uint64_t *id,
    struct row *row, struct bytes *header);
/* Asks the kernel for the pages of several chunks at once: the map is opened
 * without read-ahead, which is right for single values only. */
void lmdb_row_hint_chunks(const struct bytes *chunks, size_t count);

/* ---- lmdb_read.c ---- */

struct lmdb_reader;
void lmdb_reader_destroy(struct lmdb_reader *reader);
void lmdb_read_many(struct dry_store *base, unsigned number,
    struct dry_read **reads, size_t count);
enum dry_result lmdb_read_record(struct dry_store *base, uint64_t id,
    char **data, size_t *header_bytes, size_t *payload_bytes);

/* ---- lmdb_scan.c ---- */

enum dry_result lmdb_scan_rows(
    struct dry_store *base, uint64_t from, dry_scan_fn *fn, void *context);

/* ---- lmdb_write.c ---- */

enum dry_result lmdb_write_apply(struct dry_store *base,
    const struct dry_batch_view *batch, char *reason, size_t reason_size);

#endif
