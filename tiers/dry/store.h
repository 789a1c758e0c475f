/* The contract of a dry store: an append-only log of records on disk,
 * addressed by 64-bit ids that ascend and are never used twice.
 *
 * Everything is synchronous; threads live above (tiers/dry/workers.c). Write
 * functions are called by one thread at a time; `read` and `scan` by several
 * at once, beside the writer. The store knows nothing of keys beyond the
 * header bytes it is handed, and never interprets payloads.
 *
 * One batch = one atomic commit: after a crash either all of a batch is
 * there or none of it, and batches survive in the order they were applied. */
#ifndef LARDER_TIERS_DRY_STORE_H
#define LARDER_TIERS_DRY_STORE_H

#include "protocol/bytes.h"

enum dry_result {
    DRY_OK,
    DRY_NOT_FOUND, /* no such id (stale fetch: reclaimed or never written) */
    DRY_FULL,      /* no room: disk full or size limit reached; heals */
    DRY_IO,        /* the medium failed; the store may have been reopened */
    DRY_CORRUPT,   /* checksum or structure wrong */
    DRY_FOREIGN,   /* not our store, or of another format version */
};
const char *dry_result_text(enum dry_result result);

/* One record to append. `header` is the row read at start (see
 * tiers/record.h), `payload` what does not fit there (may be empty). Both
 * borrowed until the call returns. */
struct dry_record {
    uint64_t id;
    struct bytes header;
    struct bytes payload;
};

/* What one commit applies, in this order: system values, appends (ids
 * ascending and above every earlier id), then removal of all records with
 * id < keep_from (0: none). */
struct dry_batch_view {
    const struct dry_record *records;
    size_t record_count;
    const struct dry_system_value *system_values;
    size_t system_value_count;
    uint64_t keep_from;
    bool sync; /* on return the batch and all before it survive power loss */
    /* The batch gives room back or soon will (dead marks, reclaim): it may
     * pass the size limit and use the room kept back for a full disk. */
    bool frees;
    /* Unless NULL: called when all of it has been handed to the disk and only
     * the wait for that is left, which may fail. Writer's thread. */
    void (*written)(void *context);
    void *context;
};

/* Small named values kept beside the log (format, hash secret, keyspaces).
 * `name` is a short ASCII word. */
struct dry_system_value {
    const char *name;
    struct bytes value;
};

struct dry_stats {
    uint64_t first_id, last_id; /* 0 when empty */
    uint64_t record_count;
    uint64_t file_bytes;   /* as the file system has it */
    uint64_t used_bytes;   /* pages in use */
    uint64_t free_bytes;   /* pages inside the file that can be reused */
    uint64_t limit_bytes;  /* size limit */
    uint64_t direct_reads; /* records, while the file is too large for the page
                              cache, since it was opened */
    bool tight; /* the room kept for removals is used: write little at once */
};

/* Called for each record in id order; borrowed bytes die when it returns.
 * Return false to stop. Must not call the store. */
typedef bool dry_scan_fn(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes);

/* One record to read: `id` in, the rest out, as of `read`. */
struct dry_read {
    uint64_t id;
    enum dry_result result;
    char *data;
    size_t header_bytes, payload_bytes;
};

struct dry_open_options {
    const char *path; /* directory, created 0700 if absent */
    uint64_t limit_bytes;
    /* What the kernel's page cache may hold: `read_many` reads past it while
     * the file is larger, where the file system can. 0: never. */
    uint64_t page_cache_bytes;
    unsigned reader_threads;
};

struct dry_store; /* typed by its first member: see struct dry_ops */

struct dry_ops {
    const char *name;
    /* Opens or creates. On failure *store is NULL and `reason` (of
     * `reason_size`) names path and cause; nothing on disk is deleted. On
     * success `reason` is empty, or says what the operator should know: that
     * a commit which is not wholly there was taken back. */
    enum dry_result (*open)(struct dry_store **store,
        const struct dry_open_options *options, char *reason,
        size_t reason_size);
    /* Waits for nothing: no call may be under way. NULL is allowed. */
    void (*close)(struct dry_store *store);
    /* Applies one batch. After DRY_FULL or DRY_IO nothing of it is there and
     * the same batch may be given again; a poisoned environment has been
     * reopened. `reason` as in open. */
    enum dry_result (*apply)(struct dry_store *store,
        const struct dry_batch_view *batch, char *reason, size_t reason_size);
    /* Copies header and payload of `id`, one behind the other, into a
     * malloc'd buffer that the caller frees. Any thread. */
    enum dry_result (*read)(struct dry_store *store, uint64_t id, char **data,
        size_t *header_bytes, size_t *payload_bytes);
    /* The same for several records; the disk is asked for all of them before
     * any is waited for. `reader` is the number of the calling thread, below
     * options.reader_threads and no other thread's. */
    void (*read_many)(struct dry_store *store, unsigned reader,
        struct dry_read **reads, size_t count);
    /* Headers with id >= from, ascending, from one snapshot. Any thread. */
    enum dry_result (*scan)(
        struct dry_store *store, uint64_t from, dry_scan_fn *fn, void *context);
    /* A system value into a malloc'd buffer; DRY_NOT_FOUND. Any thread. */
    enum dry_result (*get_system)(
        struct dry_store *store, const char *name, char **value, size_t *size);
    /* Makes everything applied so far survive power loss. Writer thread. */
    enum dry_result (*sync)(struct dry_store *store);
    void (*stats)(struct dry_store *store, struct dry_stats *stats);
};

/* Every implementation begins with this, so that a pointer to a store finds
 * its operations. */
struct dry_store {
    const struct dry_ops *ops;
};

extern const struct dry_ops dry_lmdb_ops;

#endif
