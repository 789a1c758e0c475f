/* Marks that wait for a batch: what happened to records that are on disk.
 *
 * Mostly they wait for half a second. When the store fails they wait until it
 * is mended, and a client that sets the expiry of one key again and again must
 * not fill the memory meanwhile: before the list grows beyond a size, marks of
 * the same record become one. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

/* Shorter lists are not worth looking through. */
#define COMPACT_MIN 65536

/* Death last, so that it is what remains of a record's marks. */
static int compare_marks(const void *left, const void *right)
{
    const struct mark *a = left, *b = right;
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    return (a->kind == MARK_DEAD) - (b->kind == MARK_DEAD);
}

/* The expiry that the record's key has now; the order of its marks is lost. */
static int64_t expiry_now(struct engine *engine, const struct mark *mark)
{
    struct space *space = space_by_keyspace(engine, mark->keyspace);
    if (space == NULL) {
        return 0;
    }
    struct index_slot slot = index_find_id(&space->index, mark->hash, mark->id);
    return slot.ref == NULL
               ? 0
               : entry_expiry_of(arena_at(&engine->arena, *slot.ref));
}

static void compact(struct engine *engine)
{
    struct log *log = &engine->log;
    size_t kept = 0;
    qsort(log->marks, log->mark_count, sizeof *log->marks, compare_marks);
    for (size_t i = 0; i < log->mark_count; i++) {
        struct mark *mark = &log->marks[i];
        bool last =
            i + 1 == log->mark_count || log->marks[i + 1].id != mark->id;
        if (!last) {
            continue;
        }
        if (mark->kind == MARK_EXPIRY) {
            mark->expiry_ms = expiry_now(engine, mark);
        }
        log->marks[kept++] = *mark;
    }
    log->mark_count = kept;
}

static void make_room(struct engine *engine)
{
    struct log *log = &engine->log;
    if (log->mark_count >= COMPACT_MIN) {
        compact(engine);
    }
    /* Unless half is free now: looking again would come too soon. */
    if (log->mark_count * 2 >= log->mark_capacity) {
        log->mark_capacity = log->mark_capacity * 2 + 64;
        log->marks =
            xrealloc(log->marks, log->mark_capacity * sizeof *log->marks);
    }
}

void log_mark(struct space *space, enum mark_kind kind, uint64_t id,
    uint64_t hash, int64_t expiry_ms)
{
    struct log *log = &space->engine->log;
    if (log->store == NULL) {
        return;
    }
    if (log->mark_count == log->mark_capacity) {
        make_room(space->engine);
    }
    log->marks[log->mark_count++] =
        (struct mark){kind, space->keyspace, id, hash, expiry_ms};
}
