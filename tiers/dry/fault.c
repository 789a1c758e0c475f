#include "tiers/dry/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tiers/dry/clock.h"

enum { TRACE_CALLS = 64 };

struct fault {
    struct dry_store base;
    struct dry_store *inner;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t planned;
    struct fault_plan plans[FAULT_OPS];
    unsigned changes[FAULT_OPS]; /* of the plan */
    uint64_t counts[FAULT_OPS];
    struct fault_call trace[TRACE_CALLS];
    size_t traced; /* calls so far; the newest overwrite the oldest */
};

static struct fault *fault_of(struct dry_store *store)
{
    check(store != NULL && store->ops == &dry_fault_ops);
    return (struct fault *)store;
}

static void kill_process(void)
{
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

/* Holds a call up until then, or until there is another plan. */
static void delay(struct fault *fault, enum fault_op op, unsigned delay_ms)
{
    unsigned change = fault->changes[op];
    struct timespec until = clock_after_ms(CLOCK_REALTIME, delay_ms);
    int rc = 0;
    while (fault->changes[op] == change && rc == 0) {
        rc = pthread_cond_timedwait(&fault->planned, &fault->lock, &until);
    }
}

/* Counts a call and returns what is planned for it, delay done. */
static struct fault_plan begin(struct fault *fault, enum fault_op op)
{
    pthread_mutex_lock(&fault->lock);
    uint64_t call = ++fault->counts[op];
    struct fault_plan plan = fault->plans[op];
    if (plan.delay_ms > 0) {
        delay(fault, op, plan.delay_ms);
    }
    pthread_mutex_unlock(&fault->lock);
    bool now = plan.for_ever ? call >= plan.first : call == plan.first;
    if (!now) {
        plan.action = FAULT_NONE;
    }
    if (plan.action == FAULT_KILL_BEFORE) {
        kill_process();
    }
    return plan;
}

static enum dry_result end(struct fault *fault, const struct fault_plan *plan,
    enum fault_op op, uint64_t id, enum dry_result result)
{
    if (plan->action == FAULT_KILL_AFTER) {
        kill_process();
    }
    pthread_mutex_lock(&fault->lock);
    fault->trace[fault->traced++ % TRACE_CALLS] =
        (struct fault_call){.op = op, .id = id, .result = result};
    pthread_mutex_unlock(&fault->lock);
    return result;
}

struct dry_store *fault_wrap(struct dry_store *inner)
{
    struct fault *fault = xcalloc(1, sizeof(*fault));
    fault->base.ops = &dry_fault_ops;
    fault->inner = inner;
    pthread_mutex_init(&fault->lock, NULL);
    pthread_cond_init(&fault->planned, NULL);
    return &fault->base;
}

void fault_plan(
    struct dry_store *store, enum fault_op op, const struct fault_plan *plan)
{
    struct fault *fault = fault_of(store);
    pthread_mutex_lock(&fault->lock);
    fault->plans[op] = plan != NULL ? *plan : (struct fault_plan){.first = 0};
    fault->changes[op]++;
    pthread_cond_broadcast(&fault->planned);
    pthread_mutex_unlock(&fault->lock);
}

uint64_t fault_count(struct dry_store *store, enum fault_op op)
{
    struct fault *fault = fault_of(store);
    pthread_mutex_lock(&fault->lock);
    uint64_t count = fault->counts[op];
    pthread_mutex_unlock(&fault->lock);
    return count;
}

size_t fault_calls(
    struct dry_store *store, struct fault_call *calls, size_t limit)
{
    struct fault *fault = fault_of(store);
    pthread_mutex_lock(&fault->lock);
    size_t count = fault->traced < TRACE_CALLS ? fault->traced : TRACE_CALLS;
    count = count < limit ? count : limit;
    for (size_t i = 0; i < count; i++) {
        calls[i] = fault->trace[(fault->traced - count + i) % TRACE_CALLS];
    }
    pthread_mutex_unlock(&fault->lock);
    return count;
}

/* ---- the operations ---- */

static enum dry_result fault_open(struct dry_store **store,
    const struct dry_open_options *options, char *reason, size_t reason_size)
{
    enum dry_result result =
        dry_lmdb_ops.open(store, options, reason, reason_size);
    if (result == DRY_OK) {
        *store = fault_wrap(*store);
    }
    return result;
}

static void fault_close(struct dry_store *store)
{
    if (store == NULL) {
        return;
    }
    struct fault *fault = fault_of(store);
    fault->inner->ops->close(fault->inner);
    pthread_mutex_destroy(&fault->lock);
    pthread_cond_destroy(&fault->planned);
    free(fault);
}

/* Between a batch that is applied and who gave it. */
struct flush {
    struct fault *fault;
    const struct dry_batch_view *batch;
};

static void on_written(void *context)
{
    struct flush *flush = context;
    if (flush->batch->written != NULL) {
        flush->batch->written(flush->batch->context);
    }
    begin(flush->fault, FAULT_FLUSH);
}

static enum dry_result fault_apply(struct dry_store *store,
    const struct dry_batch_view *batch, char *reason, size_t reason_size)
{
    struct fault *fault = fault_of(store);
    struct fault_plan plan = begin(fault, FAULT_APPLY);
    enum dry_result result = plan.result;
    struct flush flush = {fault, batch};
    struct dry_batch_view inner = *batch;
    inner.written = on_written;
    inner.context = &flush;
    if (plan.action == FAULT_FAIL) {
        snprintf(reason, reason_size, "planned: %s", dry_result_text(result));
    } else {
        result =
            fault->inner->ops->apply(fault->inner, &inner, reason, reason_size);
    }
    return end(fault, &plan, FAULT_APPLY,
        batch->record_count > 0 ? batch->records[0].id : 0, result);
}

static enum dry_result fault_read(struct dry_store *store, uint64_t id,
    char **data, size_t *header_bytes, size_t *payload_bytes)
{
    struct fault *fault = fault_of(store);
    struct fault_plan plan = begin(fault, FAULT_READ);
    enum dry_result result = plan.result;
    *data = NULL;
    if (plan.action != FAULT_FAIL) {
        result = fault->inner->ops->read(
            fault->inner, id, data, header_bytes, payload_bytes);
    }
    return end(fault, &plan, FAULT_READ, id, result);
}

/* Each read is one call of the plan. */
static void fault_read_many(struct dry_store *store, unsigned reader,
    struct dry_read **reads, size_t count)
{
    struct fault *fault = fault_of(store);
    struct fault_plan *plans = xcalloc(count, sizeof(*plans));
    struct dry_read **passed = xcalloc(count, sizeof(*passed));
    size_t passed_count = 0;
    for (size_t i = 0; i < count; i++) {
        plans[i] = begin(fault, FAULT_READ);
        reads[i]->result = plans[i].result;
        reads[i]->data = NULL;
        if (plans[i].action != FAULT_FAIL) {
            passed[passed_count++] = reads[i];
        }
    }
    fault->inner->ops->read_many(fault->inner, reader, passed, passed_count);
    for (size_t i = 0; i < count; i++) {
        reads[i]->result =
            end(fault, &plans[i], FAULT_READ, reads[i]->id, reads[i]->result);
    }
    free(passed);
    free(plans);
}

static enum dry_result fault_scan(
    struct dry_store *store, uint64_t from, dry_scan_fn *fn, void *context)
{
    struct fault *fault = fault_of(store);
    struct fault_plan plan = begin(fault, FAULT_SCAN);
    enum dry_result result = plan.result;
    if (plan.action != FAULT_FAIL) {
        result = fault->inner->ops->scan(fault->inner, from, fn, context);
    }
    return end(fault, &plan, FAULT_SCAN, from, result);
}

static enum dry_result fault_get_system(
    struct dry_store *store, const char *name, char **value, size_t *size)
{
    struct fault *fault = fault_of(store);
    return fault->inner->ops->get_system(fault->inner, name, value, size);
}

static enum dry_result fault_sync(struct dry_store *store)
{
    struct fault *fault = fault_of(store);
    struct fault_plan plan = begin(fault, FAULT_SYNC);
    enum dry_result result = plan.result;
    if (plan.action != FAULT_FAIL) {
        result = fault->inner->ops->sync(fault->inner);
    }
    return end(fault, &plan, FAULT_SYNC, 0, result);
}

static void fault_stats(struct dry_store *store, struct dry_stats *stats)
{
    struct fault *fault = fault_of(store);
    fault->inner->ops->stats(fault->inner, stats);
}

const struct dry_ops dry_fault_ops = {
    .name = "fault",
    .open = fault_open,
    .close = fault_close,
    .apply = fault_apply,
    .read = fault_read,
    .read_many = fault_read_many,
    .scan = fault_scan,
    .get_system = fault_get_system,
    .sync = fault_sync,
    .stats = fault_stats,
};
