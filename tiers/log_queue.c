/* The dirty queue: which entries the next cut writes, and when it comes. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

/* appendfsync everysec: a batch this often. */
#define CUT_MS 100

/* After how many ms; -1: not before it sinks or is saved. */
static int64_t write_delay_ms(const struct shelf *shelf)
{
    const struct engine *engine = shelf->space->engine;
    const struct log *log = &engine->log;
    int64_t write = shelf->namespace->policy.write;
    switch (write) {
    case WRITE_DEMOTE:
        return -1;
    case WRITE_THROUGH:
        return 0;
    case WRITE_SERVER:
        if (engine->options.durability == ENGINE_CHECKPOINTS) {
            return -1;
        }
        return log->last_cut_ms + CUT_MS > engine->now_ms
                   ? log->last_cut_ms + CUT_MS - engine->now_ms
                   : 0;
    default:
        return write;
    }
}

void log_wrote(const struct shelf *shelf)
{
    struct log *log = &shelf->space->engine->log;
    if (shelf->namespace->policy.write == WRITE_THROUGH && log->store != NULL) {
        log->through_cut = log->cuts + 1; /* the next one */
        log->wrote_through = true;
        log_be_patient(log, &shelf->namespace->policy.patience);
    }
}

void log_wrote_all(const struct space *space)
{
    for (const struct shelf *shelf = space->first_shelf; shelf != NULL;
         shelf = shelf->next) {
        if (shelf->namespace != NULL && !shelf_is_empty(shelf)) {
            log_wrote(shelf);
        }
    }
}

bool engine_take_through(struct engine *engine)
{
    bool wrote = engine->log.wrote_through;
    engine->log.wrote_through = false;
    return wrote;
}

bool log_would_queue(const struct space *space, const struct entry *entry)
{
    return space->engine->log.store != NULL &&
           (entry->bits & ENTRY_QUEUED) == 0 &&
           write_delay_ms(shelf_of(space->engine, entry)) >= 0;
}

void log_queue(struct space *space, struct entry *entry, uint64_t hash)
{
    struct log *log = &space->engine->log;
    const struct shelf *shelf = shelf_of(space->engine, entry);
    int64_t delay_ms = write_delay_ms(shelf);
    log->wrote_while_full |= log->full;
    if (log->store == NULL || delay_ms < 0) {
        return;
    }
    log_wrote(shelf);
    if (entry->bits & ENTRY_QUEUED) {
        return;
    }
    log->behind |= shelf->namespace->policy.write > 0;
    if (log->queue_count == 0 ||
        space->engine->now_ms + delay_ms < log->cut_due_ms) {
        log->cut_due_ms = space->engine->now_ms + delay_ms;
    }
    if (log->queue_count == log->queue_capacity) {
        log->queue_capacity = log->queue_capacity * 2 + 64;
        log->queue =
            xrealloc(log->queue, log->queue_capacity * sizeof *log->queue);
    }
    entry->bits |= ENTRY_QUEUED;
    log->queue[log->queue_count++] = (struct queued){hash, space->keyspace};
}
