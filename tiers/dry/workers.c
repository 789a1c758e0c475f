#include "tiers/dry/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tiers/dry/clock.h"
#include "tiers/dry/priority.h"

/* Reads that a reader takes at once at most: the more the cheaper, but all of
 * them arrive when the last one does, and so long the others have nothing to
 * do. Zipf mix of bench/run spill at 0.4 of its size, to Redis, in two runs:
 * 0.49 and 0.42 with 32, 0.48 and 0.40 with 64. */
#define TAKE_MAX 32
#define TAKE_BYTES ((size_t)1024 * 1024)
/* Reads that are kept back at most: a reader that begins while the engine's
 * thread goes on keeps the disk and the core busy at the same time. The same
 * mix, thousands a second in two runs each: 163, 162 and 138, 134 with 4, 173,
 * 174 and 152, 164 with 8, 164, 173 and 120, 146 with 16; 133, 156 and 129, 139
 * when all that a turn of the loop asks for was kept, and readers were nicer
 * than the loop. */
#define KEEP_MAX 8

/* Jobs in the order they were given. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled; /* someone sleeps only when `sleepers` > 0 */
    struct dry_job *first, **end;
    unsigned sleepers;
    bool closed;
};

struct dry_workers {
    struct dry_store *store;
    void (*wake)(void *context);
    void *context;

    struct queue writes, reads;
    pthread_t *threads; /* the writer, then the readers */
    unsigned thread_count;
    atomic_uint readers_begun;

    pthread_mutex_t lock; /* guards the completed list */
    pthread_cond_t completed;
    struct dry_job *first, **end;

    /* The engine thread's. */
    struct dry_job *kept, **kept_end; /* reads not yet handed over */
    unsigned kept_count;
    size_t reading, applying;
};

/* ---- queues ---- */

static void queue_init(struct queue *queue)
{
    *queue = (struct queue){.first = NULL};
    queue->end = &queue->first;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
}

static void queue_finish(struct queue *queue)
{
    check(queue->first == NULL);
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->filled);
}

/* Adds a list of jobs that ends at `end`. */
static void queue_push(
    struct queue *queue, struct dry_job *first, struct dry_job **end)
{
    pthread_mutex_lock(&queue->lock);
    *queue->end = first;
    queue->end = end;
    bool wake = queue->sleepers > 0;
    pthread_mutex_unlock(&queue->lock);
    if (wake) {
        pthread_cond_signal(&queue->filled);
    }
}

static void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

/* Where a list is cut that one thread takes from the queue: behind one job, or
 * behind several reads. */
static struct dry_job **first_share(struct dry_job **first)
{
    struct dry_job **end = first;
    size_t bytes = 0;
    unsigned count = 0;
    do {
        bytes += (*end)->expected_bytes;
        end = &(*end)->next;
        count++;
    } while ((*first)->kind == DRY_JOB_READ && *end != NULL &&
             (*end)->kind == DRY_JOB_READ && count < TAKE_MAX &&
             bytes < TAKE_BYTES);
    return end;
}

/* The oldest jobs, waiting for one; NULL when closed and empty. */
static struct dry_job *queue_take(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL && !queue->closed) {
        queue->sleepers++;
        pthread_cond_wait(&queue->filled, &queue->lock);
        queue->sleepers--;
    }
    struct dry_job *first = queue->first;
    if (first != NULL) {
        struct dry_job **end = first_share(&queue->first);
        queue->first = *end;
        *end = NULL;
        if (queue->first == NULL) {
            queue->end = &queue->first;
        }
    }
    bool more = queue->first != NULL && queue->sleepers > 0;
    pthread_mutex_unlock(&queue->lock);
    if (more) {
        pthread_cond_signal(&queue->filled);
    }
    return first;
}

/* ---- threads ---- */

static void apply(struct dry_store *store, struct dry_job *job)
{
    if (job->call != NULL) {
        job->call(job, store);
    }
    job->result =
        store->ops->apply(store, &job->batch, job->reason, sizeof(job->reason));
}

/* A list of at most TAKE_MAX reads. */
static void read_all(
    struct dry_store *store, unsigned reader, struct dry_job *first)
{
    struct dry_read reads[TAKE_MAX], *pointers[TAKE_MAX];
    size_t count = 0;
    for (struct dry_job *job = first; job != NULL; job = job->next) {
        reads[count] = (struct dry_read){.id = job->id};
        pointers[count] = &reads[count];
        count++;
    }
    store->ops->read_many(store, reader, pointers, count);
    count = 0;
    for (struct dry_job *job = first; job != NULL; job = job->next) {
        const struct dry_read *read = &reads[count++];
        job->result = read->result;
        job->data = read->data;
        job->header_bytes = read->header_bytes;
        job->payload_bytes = read->payload_bytes;
        if (job->arrived != NULL) {
            job->arrived(job);
        }
    }
}

/* Adds a list of jobs to the completed ones. */
static void complete(
    struct dry_workers *workers, struct dry_job *first, struct dry_job **end)
{
    pthread_mutex_lock(&workers->lock);
    bool was_empty = workers->first == NULL;
    *workers->end = first;
    workers->end = end;
    if (was_empty) {
        pthread_cond_signal(&workers->completed);
    }
    pthread_mutex_unlock(&workers->lock);
    if (was_empty) {
        workers->wake(workers->context);
    }
}

static void *writer_main(void *argument)
{
    struct dry_workers *workers = argument;
    struct dry_job *job;
    priority_short_slices();
    priority_be_nicer(PRIORITY_WRITER);
    while ((job = queue_take(&workers->writes)) != NULL) {
        apply(workers->store, job);
        complete(workers, job, &job->next);
    }
    return NULL;
}

static void *reader_main(void *argument)
{
    struct dry_workers *workers = argument;
    unsigned number = atomic_fetch_add(&workers->readers_begun, 1);
    struct dry_job *first;
    priority_short_slices();
    while ((first = queue_take(&workers->reads)) != NULL) {
        struct dry_job **end = &first;
        if (first->kind == DRY_JOB_CALL) {
            first->reader = number;
            first->call(first, workers->store);
        } else {
            read_all(workers->store, number, first);
        }
        while (*end != NULL) {
            end = &(*end)->next;
        }
        complete(workers, first, end);
    }
    return NULL;
}

/* ---- for the engine thread ---- */

struct dry_workers *dry_workers_create(struct dry_store *store,
    unsigned reader_count, void (*wake)(void *context), void *context)
{
    check(reader_count > 0 && wake != NULL);
    struct dry_workers *workers = xcalloc(1, sizeof(*workers));
    workers->store = store;
    workers->wake = wake;
    workers->context = context;
    workers->end = &workers->first;
    queue_init(&workers->writes);
    queue_init(&workers->reads);
    workers->kept_end = &workers->kept;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&workers->completed, &attributes);
    pthread_condattr_destroy(&attributes);

    workers->thread_count = reader_count + 1;
    workers->threads = xcalloc(workers->thread_count, sizeof(pthread_t));
    for (unsigned i = 0; i < workers->thread_count; i++) {
        int rc = pthread_create(&workers->threads[i], NULL,
            i == 0 ? writer_main : reader_main, workers);
        check(rc == 0);
    }
    return workers;
}

void dry_workers_destroy(struct dry_workers *workers)
{
    if (workers == NULL) {
        return;
    }
    /* done() may submit again: go on until nothing comes any more. */
    while (workers->reading + workers->applying > 0) {
        dry_workers_wait(workers, 1000);
        dry_workers_collect(workers);
    }
    queue_close(&workers->writes);
    queue_close(&workers->reads);
    for (unsigned i = 0; i < workers->thread_count; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    check(workers->first == NULL);
    queue_finish(&workers->writes);
    queue_finish(&workers->reads);
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->completed);
    free(workers->threads);
    free(workers);
}

void dry_workers_submit(struct dry_workers *workers, struct dry_job *job)
{
    check(job->done != NULL);
    job->result = DRY_OK;
    job->data = NULL;
    job->reason[0] = '\0';
    job->next = NULL;
    if (job->kind == DRY_JOB_APPLY) {
        workers->applying++;
        queue_push(&workers->writes, job, &job->next);
    } else {
        workers->reading++;
        *workers->kept_end = job;
        workers->kept_end = &job->next;
        if (++workers->kept_count == KEEP_MAX) {
            dry_workers_flush(workers);
        }
    }
}

void dry_workers_flush(struct dry_workers *workers)
{
    if (workers->kept != NULL) {
        queue_push(&workers->reads, workers->kept, workers->kept_end);
        workers->kept = NULL;
        workers->kept_end = &workers->kept;
        workers->kept_count = 0;
    }
}

size_t dry_workers_collect(struct dry_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    struct dry_job *job = workers->first;
    workers->first = NULL;
    workers->end = &workers->first;
    pthread_mutex_unlock(&workers->lock);
    size_t count = 0;
    while (job != NULL) {
        struct dry_job *next = job->next; /* done() may free or reuse it */
        size_t *running =
            job->kind == DRY_JOB_APPLY ? &workers->applying : &workers->reading;
        check(*running > 0);
        (*running)--;
        job->done(job);
        job = next;
        count++;
    }
    dry_workers_flush(workers);
    return count;
}

void dry_workers_wait(struct dry_workers *workers, unsigned timeout_ms)
{
    dry_workers_flush(workers);
    struct timespec until = clock_after_ms(CLOCK_MONOTONIC, timeout_ms);
    pthread_mutex_lock(&workers->lock);
    int rc = 0;
    while (workers->first == NULL && rc == 0) {
        rc =
            pthread_cond_timedwait(&workers->completed, &workers->lock, &until);
    }
    pthread_mutex_unlock(&workers->lock);
}

size_t dry_workers_reading(const struct dry_workers *workers)
{
    return workers->reading;
}

size_t dry_workers_applying(const struct dry_workers *workers)
{
    return workers->applying;
}
