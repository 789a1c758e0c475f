/* How long a store that fails, or does not answer, is given. */
#include "tiers/engine_internal.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void log_be_patient(struct log *log, const struct patience *patience)
{
    struct patience *most = &log->patience;
    if (patience->attempts > most->attempts) {
        most->attempts = patience->attempts;
    }
    most->delay_ms = larger(most->delay_ms, patience->delay_ms);
    most->deadline_ms = larger(most->deadline_ms, patience->deadline_ms);
}

struct patience log_patience(
    const struct engine *engine, const struct batch *batch)
{
    bool of_nobody = batch == NULL || batch->patience.attempts == 0;
    return of_nobody ? engine->namespaces.fallback->policy.patience
                     : batch->patience;
}

/* The writes are still on their way: only the clients hear of it. */
void log_deadline_turn(struct engine *engine)
{
    struct waiter_list *list = &engine->sync_waiters;
    struct patience patience = log_patience(engine, engine->log.sealed);
    struct waiter_list late = {0};
    struct engine_waiter *next = NULL;
    for (struct engine_waiter *waiter = list->first; waiter != NULL;
         waiter = next) {
        next = waiter->next;
        if (engine->now_ms - waiter->since_ms >= patience.deadline_ms) {
            waiters_remove(waiter);
            waiters_add(&late, waiter);
        }
    }
    waiters_run(&late, UINT64_MAX, DRY_IO);
}
