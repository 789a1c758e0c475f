/* A decorator around any dry store that fails, delays, kills and takes notes
 * as a test plans it, so that error paths are tested like any other.
 *
 * Calls are counted from 1 for each operation apart. Plans may be changed at
 * any time, by any thread. */
#ifndef LARDER_TIERS_DRY_FAULT_H
#define LARDER_TIERS_DRY_FAULT_H

#include "tiers/dry/store.h"

enum fault_op {
    FAULT_APPLY,
    FAULT_FLUSH, /* within it, when all is written; cannot FAULT_FAIL */
    FAULT_READ,
    FAULT_SCAN,
    FAULT_SYNC,
    FAULT_OPS
};

enum fault_action {
    FAULT_NONE,
    FAULT_FAIL,        /* answer `result`, without asking the store */
    FAULT_KILL_BEFORE, /* SIGKILL to this process: nothing is flushed */
    FAULT_KILL_AFTER,  /* the same when the store is done */
};

struct fault_plan {
    enum fault_action action;
    uint64_t first;         /* the call it happens at, counted from 1 */
    bool for_ever;          /* at all later calls too */
    enum dry_result result; /* FAULT_FAIL */
    unsigned delay_ms;      /* every call of the operation, in any case */
};

/* A call that has returned: `id` is the record read, the first one applied
 * or where the scan began; 0 for none. */
struct fault_call {
    enum fault_op op;
    uint64_t id;
    enum dry_result result;
};

/* Opens an LMDB store and wraps it, without a plan. */
extern const struct dry_ops dry_fault_ops;

/* Wraps an open store, which the wrapper closes when it is closed. */
struct dry_store *fault_wrap(struct dry_store *inner);
/* Sets the plan of one operation, which ends the delays of the plan before.
 * `plan` is copied; NULL: none. */
void fault_plan(
    struct dry_store *store, enum fault_op op, const struct fault_plan *plan);
/* Calls of an operation so far, failed ones included. */
uint64_t fault_count(struct dry_store *store, enum fault_op op);
/* Copies the latest calls, at most `limit` (and 64), oldest first; how many. */
size_t fault_calls(
    struct dry_store *store, struct fault_call *calls, size_t limit);

#endif
