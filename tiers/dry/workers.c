#include "tiers/dry/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Jobs that a reader takes at once at most. */
#define TAKE_MAX 16

/* Jobs in the order they were given. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled; /* someone sleeps only when `sleepers` > 0 */
    struct dry_job *first, **end;
    unsigned count;
    unsigned takers; /* threads that share the queue */
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

    pthread_mutex_t lock; /* guards the completed list */
    pthread_cond_t completed;
    struct dry_job *first, **end;

    /* The engine thread's. */
    struct dry_job *kept, **kept_end; /* reads not yet handed over */
    unsigned kept_count;
    size_t reading, applying;
};

/* ---- queues ---- */

static void queue_init(struct queue *queue, unsigned takers)
{
    *queue = (struct queue){.first = NULL};
    queue->end = &queue->first;
    queue->takers = takers;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
}

static void queue_finish(struct queue *queue)
{
    check(queue->first == NULL);
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->filled);
}

/* Adds a list of `count` jobs that ends at `end`. */
static void queue_push(struct queue *queue, struct dry_job *first,
    struct dry_job **end, unsigned count)
{
    pthread_mutex_lock(&queue->lock);
    *queue->end = first;
    queue->end = end;
    queue->count += count;
    unsigned wake = queue->sleepers < count ? queue->sleepers : count;
    pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < wake; i++) {
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

/* The oldest jobs, a fair share of what there is, waiting for one; NULL when
 * closed and empty. */
static struct dry_job *queue_take(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL && !queue->closed) {
        queue->sleepers++;
        pthread_cond_wait(&queue->filled, &queue->lock);
        queue->sleepers--;
    }
    struct dry_job *first = queue->first;
    struct dry_job **end = &queue->first;
    unsigned share = (queue->count + queue->takers - 1) / queue->takers;
    share = share < TAKE_MAX ? share : TAKE_MAX;
    for (; share > 0 && *end != NULL; share--) {
        end = &(*end)->next;
        queue->count--;
    }
    if (first != NULL) {
        queue->first = *end;
        *end = NULL;
        if (queue->first == NULL) {
            queue->end = &queue->first;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return first;
}

/* ---- threads ---- */

static void run_job(struct dry_store *store, struct dry_job *job)
{
    switch (job->kind) {
    case DRY_JOB_APPLY:
        if (job->call != NULL) {
            job->call(job, store);
        }
        job->result = store->ops->apply(
            store, &job->batch, job->reason, sizeof(job->reason));
        break;
    case DRY_JOB_READ:
        job->result = store->ops->read(store, job->id, &job->data,
            &job->header_bytes, &job->payload_bytes);
        break;
    case DRY_JOB_CALL:
        job->call(job, store);
        break;
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

static void run_queue(struct dry_workers *workers, struct queue *queue)
{
    struct dry_job *first;
    while ((first = queue_take(queue)) != NULL) {
        struct dry_job **end = &first;
        for (; *end != NULL; end = &(*end)->next) {
            run_job(workers->store, *end);
        }
        complete(workers, first, end);
    }
}

static void *writer_main(void *argument)
{
    struct dry_workers *workers = argument;
    run_queue(workers, &workers->writes);
    return NULL;
}

static void *reader_main(void *argument)
{
    struct dry_workers *workers = argument;
    run_queue(workers, &workers->reads);
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
    queue_init(&workers->writes, 1);
    queue_init(&workers->reads, reader_count);
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
        queue_push(&workers->writes, job, &job->next, 1);
    } else {
        workers->reading++;
        *workers->kept_end = job;
        workers->kept_end = &job->next;
        workers->kept_count++;
    }
}

void dry_workers_flush(struct dry_workers *workers)
{
    if (workers->kept != NULL) {
        queue_push(&workers->reads, workers->kept, workers->kept_end,
            workers->kept_count);
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
    struct timespec until;
    dry_workers_flush(workers);
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + (uint64_t)timeout_ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
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
