/* The threads above a dry store: one writer, several readers, each with its
 * own queue. The engine thread submits jobs and later collects them with
 * dry_workers_collect; in between a job belongs to the workers.
 *
 * A job is caller's memory embedded in a larger struct; the workers never
 * allocate or free it. Jobs of the writer complete in the order given;
 * reads complete in any order. */
#ifndef LARDER_TIERS_DRY_WORKERS_H
#define LARDER_TIERS_DRY_WORKERS_H

#include "tiers/dry/store.h"

enum dry_job_kind {
    DRY_JOB_APPLY, /* writer: call(job) if there is one, then `batch` */
    DRY_JOB_READ,  /* readers: `id` -> data, header_bytes, payload_bytes;
                      then `arrived`, if any */
    DRY_JOB_CALL,  /* readers: call(job), for long scans and reclaim reads */
};

struct dry_job {
    enum dry_job_kind kind;
    struct dry_batch_view batch; /* what it points at lives until collected */
    uint64_t id;
    size_t expected_bytes; /* DRY_JOB_READ: about what it will read */
    void (*arrived)(struct dry_job *job); /* reader thread */
    void (*call)(struct dry_job *job, struct dry_store *store);
    /* Called by dry_workers_collect on the engine thread. */
    void (*done)(struct dry_job *job);
    enum dry_result result;
    char *data; /* DRY_JOB_READ: malloc'd, now the owner's of the job */
    size_t header_bytes, payload_bytes;
    char reason[160];
    unsigned reader;      /* DRY_JOB_CALL: for `read_many`, on its thread */
    struct dry_job *next; /* the workers' own */
};

struct dry_workers;

/* Starts `reader_count` readers and one writer. `wake(context)` is called
 * from any worker thread when the completed list turns non-empty; it must
 * only signal the engine thread. `store` stays the caller's
 * and must outlive the workers. */
struct dry_workers *dry_workers_create(struct dry_store *store,
    unsigned reader_count, void (*wake)(void *context), void *context);
/* Finishes what is queued, joins the threads, collects. NULL is allowed. */
void dry_workers_destroy(struct dry_workers *workers);
/* Engine thread. Never blocks. Reads are kept back, so that a reader is woken
 * once for several, until there are eight or until dry_workers_flush. */
void dry_workers_submit(struct dry_workers *workers, struct dry_job *job);
/* Hands the reads kept back to the readers. Engine thread. */
void dry_workers_flush(struct dry_workers *workers);
/* Calls done() of every completed job, oldest first; how many there were.
 * Engine thread. done() may submit again and may free its job; what it
 * submits is flushed. */
size_t dry_workers_collect(struct dry_workers *workers);
/* Flushes, then blocks until at least one job is complete or `timeout_ms` has
 * passed; for shutdown, SAVE and the bounded synchronous read. Engine thread.
 */
void dry_workers_wait(struct dry_workers *workers, unsigned timeout_ms);
/* Jobs queued or running: reads, applies. Engine thread. */
size_t dry_workers_reading(const struct dry_workers *workers);
size_t dry_workers_applying(const struct dry_workers *workers);

#endif
