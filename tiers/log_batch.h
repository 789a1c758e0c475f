/* What the log appends to the store at once: rows, and the memory in which they
 * lie. Engine's thread; the writer has the first sealed batch. */
#ifndef LARDER_TIERS_LOG_BATCH_H
#define LARDER_TIERS_LOG_BATCH_H

#include <stdatomic.h>

#include "tiers/dry/workers.h"
#include "tiers/entry.h"
#include "tiers/namespace_internal.h"

struct blob;
struct engine;
struct value;

/* One atomic append on its way to the store. Filled while it is the log's
 * open batch, then sealed, applied, and freed. */
struct batch_row {
    uint64_t id;
    uint64_t hash;
    uint64_t old_id;        /* of a record that is moved, else 0 */
    uint32_t keyspace;      /* 0: a marks row */
    size_t total_bytes;     /* what it adds to the log's */
    char *header, *payload; /* in blocks; no payload: inline, or in `blob` */
    size_t header_size, payload_size;
    struct blob *blob; /* one reference held */
    /* A large live value: the writer encodes it, which makes `encoded`. */
    struct value *snapshot;
    enum codec snapshot_codec; /* how its record is to be packed */
    int snapshot_level;
    char *encoded; /* malloc'd, `payload_size` bytes */
};

/* Bytes never move, because copying megabytes would hold the loop up. */
struct batch_block {
    struct batch_block *next;
    size_t size;
    char bytes[];
};

struct batch {
    struct dry_job job; /* first: done() finds the batch by it */
    struct engine *engine;
    struct batch *next;
    uint64_t sequence;
    atomic_bool written; /* being applied, and only the disk is waited for */
    uint64_t cut; /* of the cuts, the last one that went before or with it */
    struct batch_block *blocks, *filling; /* those behind it are empty */
    size_t filled;                        /* of the block being filled */
    size_t size, capacity;                /* in all blocks: used, and there */
    size_t blob_bytes;
    struct batch_row *rows;
    size_t row_count, row_capacity;
    bool has_writes;            /* rows that are neither marks nor moved */
    bool has_outside;           /* rows with a blob or a snapshot */
    struct dry_record *records; /* of the rows; the writer makes them */
    size_t record_capacity;
    struct dry_system_value *system;
    char *keyspaces;
    struct patience patience;
    unsigned dictionaries; /* the store has them up to here once it is there */
};

/* Batches follow one another as fast as the writer takes them, and new memory
 * comes from the kernel page by page: a few that are done stay to be filled
 * again, with as many blocks as there is room for. */
struct batch_pool {
    struct batch *first; /* by `next` */
    unsigned count;
    size_t bytes;
    int64_t last_ms; /* when one came last */
};

/* What it writes, about. */
static inline size_t batch_size_bytes(const struct batch *batch)
{
    return batch->size + batch->blob_bytes;
}
/* Is the open batch to be sealed now, or to gather more? What was cut goes at
 * once: cuts have their own times. False too while another is on its way. */
bool batch_is_ripe(const struct engine *engine);
/* An empty batch: one of log.spare or new. */
struct batch *batch_new(struct engine *engine);
/* Gives up what it holds; itself it may go to log.spare. */
void batch_free(struct batch *batch);
void batch_pool_clear(struct batch_pool *pool);
/* Room for `size` more bytes in a row, as long as the batch is there. */
char *batch_room(struct batch *batch, size_t size);
/* A row more, zeroed but for its id; good until the next call. */
struct batch_row *batch_add_row(struct batch *batch, uint64_t id);
/* Makes its job an apply that says `written` and wakes the engine then: who
 * waits for a disk that is behind need not wait for the flush as well, and the
 * core has something to do meanwhile. */
void batch_prepare(struct batch *batch);
/* Of a batch that is being applied; NULL is none. */
bool batch_is_written(const struct batch *batch);
/* Room for one record a row; the batch keeps it. Writer's thread. */
struct dry_record *batch_records(struct batch *batch);

#endif
