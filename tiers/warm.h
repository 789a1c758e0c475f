/* The keys that are in RAM, remembered over a restart.
 *
 * A list of them, each by the hash of its key, when it was used and whether it
 * was hot, is written beside the store every few minutes, when a checkpoint
 * begins, and at a clean stop (engine_keep_warm). After the next start, once
 * commands are served, the values it names are fetched in the background, what
 * was used last first, a few at a time, until all are there or memory or a
 * limit of their namespace has no more room. The list is a hint: what it names
 * may be gone, and a file that is missing or damaged only means a cold start.
 *
 *   warm.c        the engine's side: remembering and fetching, in slices
 *   warm_file.c   the file, read and written by worker threads */
#ifndef LARDER_TIERS_WARM_H
#define LARDER_TIERS_WARM_H

#include "tiers/dry/workers.h"

struct engine;
struct warm_write; /* warm_file.c */
struct warm_read;  /* warm_file.c */

/* As it stands in the file. */
struct warm_item {
    uint64_t hash;
    uint32_t access;   /* its entry's */
    uint32_t keyspace; /* WARM_HOT: it was hot, else cold */
};
#define WARM_HOT (UINT32_C(1) << 31)

/* What is waited for at once, at most. */
#define WARM_FETCHES 64
#define WARM_FETCH_BYTES ((size_t)1024 * 1024)

struct warm {
    /* Fetching. */
    struct warm_read *reading; /* the file, just now */
    struct warm_item *items;   /* what is to be fetched; NULL: nothing */
    size_t count;              /* of those left; the next one is the last */
    struct warm_fetch
        *fetches; /* WARM_FETCHES of them, while there are items */
    unsigned fetching;
    size_t fetching_bytes;
    size_t unmeasured_bytes; /* asked for since memory_measure */
    uint64_t fetched;
    /* Remembering. */
    struct warm_write *writing; /* NULL: no walk is under way */
    unsigned database;
    uint64_t position;
    int64_t walked_ms;    /* when the last walk began */
    uint64_t walked_uses; /* how much had been read and written then */
};

/* After loading: reads the list, if there is one and warm restarts are
 * wanted. */
void warm_begin(struct engine *engine);
/* One slice of both. Once after each round of input. True: there is more to
 * do at once. */
bool warm_turn(struct engine *engine, uint64_t deadline_us);
/* Begins to remember when it is time for it. */
void warm_cron(struct engine *engine);
/* Begins to remember, unless that or the fetching goes on. */
void warm_walk(struct engine *engine);
/* The workers are gone. */
void warm_close(struct engine *engine);
/* Memory that the list takes. */
size_t warm_bytes(const struct engine *engine);

/* ---- warm_file.c ---- */

/* A file that is being written, beside the one there is, which it replaces
 * when it is whole. `path` is the store's directory, borrowed. */
struct warm_write *warm_write_begin(
    const char *path, struct dry_workers *workers);
/* Is nothing being written just now? And must what was added be written before
 * more is? */
bool warm_write_is_idle(const struct warm_write *write);
bool warm_write_is_full(const struct warm_write *write);
/* Only when idle. Far beyond full, items are left out. */
void warm_write_add(struct warm_write *write, const struct warm_item *item);
/* Hands what was added to a worker; `last`: the file is whole then. */
void warm_write_flush(struct warm_write *write, bool last);
/* Only when idle. A file that is not whole is thrown away. False: it could not
 * be written. */
bool warm_write_end(struct warm_write *write);

enum warm_result { WARM_READ, WARM_ABSENT, WARM_DAMAGED, WARM_TOO_LARGE };
/* Reads the file on a worker, sorts its items by their last use, the latest
 * last, as of `now_tick`, and calls `done` on the engine thread. */
struct warm_read *warm_read_begin(struct engine *engine,
    struct dry_workers *workers, uint32_t now_tick, size_t bytes_max);
/* In `done`: takes the items (heap, NULL when there are none) and frees the
 * read. */
enum warm_result warm_read_end(
    struct warm_read *read, struct warm_item **items, size_t *count);
/* warm.c's: the worker has read the file. */
void warm_was_read(struct engine *engine);

#endif
