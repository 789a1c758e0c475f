#include "tiers/dry/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

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

    pthread_mutex_t lock; /* guards the completed list */
    pthread_cond_t completed;
    struct dry_job *first, **end;

    size_t reading, applying; /* the engine thread's */
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

static void queue_push(struct queue *queue, struct dry_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->end = job;
    queue->end = &job->next;
    bool sleeping = queue->sleepers > 0;
    pthread_mutex_unlock(&queue->lock);
    if (sleeping) {
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

/* The oldest job, waiting for one; NULL when closed and empty. */
static struct dry_job *queue_pop(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL && !queue->closed) {
        queue->sleepers++;
        pthread_cond_wait(&queue->filled, &queue->lock);
        queue->sleepers--;
    }
    struct dry_job *job = queue->first;
    if (job != NULL) {
        queue->first = job->next;
        if (queue->first == NULL) {
            queue->end = &queue->first;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return job;
}

/* ---- threads ---- */

static void run_job(struct dry_store *store, struct dry_job *job)
{
    switch (job->kind) {
    case DRY_JOB_APPLY:
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

static void complete(struct dry_workers *workers, struct dry_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    bool was_empty = workers->first == NULL;
    *workers->end = job;
    workers->end = &job->next;
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
    struct dry_job *job;
    while ((job = queue_pop(queue)) != NULL) {
        run_job(workers->store, job);
        complete(workers, job);
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
    queue_init(&workers->writes);
    queue_init(&workers->reads);
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
    if (job->kind == DRY_JOB_APPLY) {
        workers->applying++;
        queue_push(&workers->writes, job);
    } else {
        workers->reading++;
        queue_push(&workers->reads, job);
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
    return count;
}

void dry_workers_wait(struct dry_workers *workers, unsigned timeout_ms)
{
    struct timespec until;
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
