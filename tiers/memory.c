/* What maxmemory is compared with, and who may write. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tiers/dry/clock.h"
#include "tiers/engine_internal.h"

/* Shares of maxmemory, in 256ths. Free slots among entries do not count in the
 * first four: they are where the next values go. */
#define HIGH_256THS 243  /* above it, entries sink */
#define SHORT_256THS 247 /* and the disk is not left idle meanwhile */
#define ADMIT_256THS 250 /* writers wait for what sinks */
#define LENT_256THS 254  /* what they may be lent ends here */
/* With free slots: above this one there are too many, and sparse slabs are
 * emptied. */
#define SCATTERED_256THS 248
/* Also while entries have to sink, if there are so many free slots and hardly
 * any memory is left for values of other sizes. */
#define HOLES_256THS 2
/* Writers that have waited so long are let into a little of what they may be
 * lent, this part or so many bytes: for all these times the disk may stand
 * still. */
#define LOAN_US UINT64_C(20000)
#define LOAN_PART 20
#define LOAN_BYTES ((size_t)512 * 1024)
/* What is fetched in advance fills it up to here. */
#define SPARE_256THS 235
/* Writers that wait are let in when so much is free, or this share where that
 * is less: until the disk has taken it, all of them wait. 2.1 M keys of 1 KB
 * into 420 MB, three runs each: 100,000 to 115,000 a second and at most 118 to
 * 142 ms with the share alone, 132,000 to 145,000 and 59 to 76 with this. */
#define ROOM_BYTES ((size_t)1024 * 1024)
#define ROOM_256THS 2
/* Of the arena's address range. */
#define ARENA_256THS 250
/* Slabs that nothing is in give so much back at once: each is a system call. */
#define COOL_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* When nothing can sink any more, waiting writers are refused after this:
 * until then the allocator may still give freed memory back. */
#define ROOM_WAIT_US UINT64_C(3000000)

size_t memory_used(const struct engine *engine)
{
    const struct log *log = &engine->log;
    size_t used = engine->arena.committed_bytes + engine->blob_bytes +
                  engine->index_bytes + engine->outside_bytes +
                  engine->fetch_bytes + engine->overhead_bytes +
                  warm_bytes(engine);
    if (log->open != NULL) {
        used += log->open->capacity + log->open->blob_bytes;
    }
    used += log->sealed_bytes + log->spare.bytes +
            log->mark_capacity * sizeof(struct mark) +
            log->queue_capacity * sizeof(struct queued);
    return used;
}

static size_t share(const struct engine *engine, unsigned part_256ths)
{
    return engine->options.maxmemory_bytes / 256 * part_256ths;
}

/* Whether entries take more than so many 256ths of the arena's address range,
 * which ends at 32 GiB whatever maxmemory is. */
static bool arena_beyond(const struct engine *engine, unsigned part_256ths)
{
    const struct arena *arena = &engine->arena;
    return arena->committed_bytes - arena_warm_bytes(arena) >
           arena->reserved_bytes / 256 * part_256ths;
}

/* What memory_used would be without free slots between the entries. */
static size_t memory_filled(const struct engine *engine)
{
    const struct arena *arena = &engine->arena;
    return memory_used(engine) - (arena->committed_bytes - arena->live_bytes);
}

/* What memory_used would be without slabs that nothing is in: writers get
 * those first. If they counted, writers that wait would do so until a 64th of
 * all more is on disk. */
static size_t memory_occupied(const struct engine *engine)
{
    return memory_used(engine) - arena_warm_bytes(&engine->arena);
}

/* What writers may fill. Without a disk there is nothing to wait for. */
static size_t admit_below(const struct engine *engine, size_t lent_bytes)
{
    if (engine->log.store == NULL) {
        return engine->options.maxmemory_bytes;
    }
    return share(engine, ADMIT_256THS) + lent_bytes;
}

/* Is there room for so much more, when values may fill as much as `below`? */
static bool fits(const struct engine *engine, size_t bytes, size_t below)
{
    return memory_filled(engine) + bytes <= below &&
           memory_occupied(engine) + bytes <= engine->options.maxmemory_bytes;
}

bool memory_scattered(const struct engine *engine)
{
    size_t filled = memory_filled(engine), occupied = memory_occupied(engine);
    if (filled > share(engine, HIGH_256THS)) {
        return occupied > share(engine, LENT_256THS) &&
               occupied - filled > share(engine, HOLES_256THS);
    }
    return occupied > share(engine, SCATTERED_256THS) ||
           arena_beyond(engine, HIGH_256THS);
}

bool memory_cool(struct engine *engine)
{
    size_t used = memory_used(engine);
    size_t limit = engine->options.maxmemory_bytes;
    size_t excess = used > limit ? used - limit : 0;
    arena_cool(
        &engine->arena, excess < COOL_MAX_BYTES ? excess : COOL_MAX_BYTES);
    return excess > COOL_MAX_BYTES && arena_warm_bytes(&engine->arena) > 0;
}

/* Is there no room for what asked for it? That may be more than sinking keeps
 * free. */
static bool is_asked_for_room(const struct engine *engine)
{
    size_t wanted = engine->room_wanted_bytes;
    return wanted > 0 &&
           !fits(engine, wanted, admit_below(engine, engine->room_lent_bytes));
}

bool memory_pressing(const struct engine *engine)
{
    return memory_filled(engine) > share(engine, HIGH_256THS) ||
           memory_scattered(engine) || is_asked_for_room(engine);
}

bool memory_is_over(const struct engine *engine)
{
    return memory_occupied(engine) > engine->options.maxmemory_bytes;
}

bool memory_is_wanted(const struct engine *engine)
{
    return memory_is_over(engine) || engine->room_waiters.first != NULL ||
           is_asked_for_room(engine);
}

bool memory_is_short(const struct engine *engine)
{
    return memory_filled(engine) > share(engine, SHORT_256THS) ||
           memory_is_wanted(engine);
}

/* So much of maxmemory may be on its way up at once, beyond what the commands
 * need that run next. */
#define FETCH_256THS 16

bool engine_may_fetch_ahead(const struct engine *engine)
{
    return engine->fetch_bytes <= share(engine, FETCH_256THS) &&
           !memory_is_over(engine);
}

bool memory_has_spare(const struct engine *engine, size_t bytes)
{
    return memory_used(engine) + bytes <= share(engine, SPARE_256THS);
}

/* A sanitizer's shadow and what it keeps of freed memory are not the
 * server's. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL_IS_KNOWN false
#else
#define REAL_IS_KNOWN true
#endif

/* Anonymous memory the process really has, from the kernel. */
static size_t anonymous_bytes(void)
{
    char line[128];
    size_t resident = 0, shared = 0;
    FILE *file = REAL_IS_KNOWN ? fopen("/proc/self/statm", "re") : NULL;
    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof line, file) == NULL ||
        sscanf(line, "%*s %zu %zu", &resident, &shared) != 2) {
        resident = shared = 0;
    }
    fclose(file);
    return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Overhead is never negative, so that memory not touched yet is no excuse. */
void memory_measure(struct engine *engine)
{
    size_t accounted = memory_used(engine) - engine->overhead_bytes;
    size_t real = anonymous_bytes();
    engine->overhead_bytes = real > accounted ? real - accounted : 0;
}

void memory_cron(struct engine *engine)
{
    memory_measure(engine);
    memory_turn(engine);
}

/* Is anything in RAM that could still sink? */
static bool memory_can_sink(const struct engine *engine)
{
    if (engine->log.store == NULL) {
        return false;
    }
    for (unsigned i = 0; i < engine->options.databases; i++) {
        const struct space *space = engine->dbs[i].space;
        if (space->index.count > space_tier_items(space, TIER_DRY)) {
            return true;
        }
    }
    return false;
}

/* Could there be room soon? */
static bool can_make_room(const struct engine *engine)
{
    if (engine->log.store == NULL) {
        return engine->options.policy != ENGINE_NOEVICTION;
    }
    return memory_can_sink(engine) || !log_idle(engine);
}

/* Enough for those who wait? Where nothing can sink, all may be filled. */
static bool has_room(const struct engine *engine)
{
    size_t least = share(engine, ROOM_256THS);
    size_t room = least < ROOM_BYTES ? least : ROOM_BYTES;
    return fits(engine, room, admit_below(engine, 0)) ||
           (fits(engine, room, engine->options.maxmemory_bytes) &&
               !can_make_room(engine));
}

/* Has there been nothing for so long that could make room? Counted from when
 * somebody first had to wait, not from when he asked again. */
static bool is_stuck(struct engine *engine)
{
    bool waits = engine->room_waiters.first != NULL;
    if (engine->room_stuck_us == 0 && !waits) {
        return false;
    }
    if (can_make_room(engine)) {
        engine->room_stuck_us = 0;
    } else if (engine->room_stuck_us == 0) {
        engine->room_stuck_us = engine_mono_us();
    }
    return engine->room_stuck_us != 0 &&
           engine_mono_us() > engine->room_stuck_us + ROOM_WAIT_US;
}

/* All of them: each asks again, and waits again if others used it up, or if it
 * wants more than that. */
static void let_in(struct engine *engine, size_t lent_bytes)
{
    engine->room_lent_bytes = lent_bytes;
    engine->room_wanted_bytes = 0;
    waiters_run(&engine->room_waiters, UINT64_MAX, DRY_OK);
}

/* Of so many bytes that may be lent; more when somebody has a larger value. */
static size_t loan_bytes(const struct engine *engine)
{
    size_t part = share(engine, LENT_256THS - ADMIT_256THS) / LOAN_PART;
    size_t wanted = engine->room_wanted_bytes;
    part = part < LOAN_BYTES ? part : LOAN_BYTES;
    return wanted > part && fits(engine, wanted, share(engine, LENT_256THS))
               ? wanted
               : part;
}

/* Have they waited long enough? *lent_bytes is what they get then, with what is
 * still lent. */
static bool lends(const struct engine *engine, size_t *lent_bytes)
{
    size_t admitted = share(engine, ADMIT_256THS);
    size_t loan = loan_bytes(engine);
    size_t below = memory_filled(engine) + loan;
    *lent_bytes = below > admitted ? below - admitted : 0;
    return engine_mono_us() >= engine->room_wait_us + LOAN_US &&
           fits(engine, loan, share(engine, LENT_256THS));
}

void memory_turn(struct engine *engine)
{
    struct waiter_list *list = &engine->room_waiters;
    const struct log *log = &engine->log;
    bool stuck = is_stuck(engine);
    size_t lent_bytes = 0;
    if (engine->room_lent_bytes > 0 && has_room(engine)) {
        engine->room_lent_bytes = 0;
    }
    if (list->first == NULL) {
        engine->room_wanted_bytes = 0;
    } else if (log->refuses) {
        waiters_run(list, UINT64_MAX, log->full ? DRY_FULL : DRY_IO);
    } else if (stuck) {
        waiters_run(list, UINT64_MAX, DRY_FULL);
    } else if (!namespaces_wait_for_disk(engine) &&
               (has_room(engine) || lends(engine, &lent_bytes))) {
        let_in(engine, lent_bytes);
    }
}

enum engine_admission engine_admit(
    struct engine *engine, size_t size_bytes, int64_t now_ms)
{
    const struct log *log = &engine->log;
    size_t limit = engine->options.maxmemory_bytes;
    engine->now_ms = now_ms;
    if (__builtin_expect(log->refuses, 0)) {
        return log->full ? ENGINE_REFUSE_OOM : ENGINE_REFUSE_DISK;
    }
    if (__builtin_expect(arena_beyond(engine, ARENA_256THS), 0)) {
        return ENGINE_REFUSE_OOM;
    }
    size_t below = admit_below(engine, engine->room_lent_bytes);
    if (__builtin_expect(fits(engine, size_bytes, below), 1)) {
        return ENGINE_ADMIT;
    }
    /* A value as large as everything cannot wait for room. */
    bool may_wait = size_bytes <= limit / 2;
    if (may_wait && size_bytes > engine->room_wanted_bytes) {
        engine->room_wanted_bytes = size_bytes;
    }
    sink_turn(engine, engine_mono_us() + 500);
    if (fits(engine, size_bytes, can_make_room(engine) ? below : limit)) {
        return ENGINE_ADMIT;
    }
    /* What only the allocator holds back is given back soon. */
    size_t held = memory_occupied(engine) - engine->overhead_bytes;
    if (engine->log.store == NULL ||
        (!can_make_room(engine) && held + size_bytes > limit)) {
        return ENGINE_REFUSE_OOM;
    }
    return may_wait ? ENGINE_PARK : ENGINE_REFUSE_OOM;
}

enum engine_admission engine_admit_now(struct engine *engine, size_t size_bytes,
    unsigned timeout_ms, int64_t now_ms)
{
    uint64_t deadline_us = engine_mono_us() + (uint64_t)timeout_ms * 1000;
    enum engine_admission admission = engine_admit(engine, size_bytes, now_ms);
    while (admission == ENGINE_PARK && engine_mono_us() < deadline_us) {
        log_turn(engine);
        dry_workers_wait(engine->log.workers, 10);
        dry_workers_collect(engine->log.workers);
        if (engine->dropping) {
            sink_committed(engine, deadline_us);
        }
        admission = engine_admit(engine, size_bytes, now_ms);
    }
    return admission;
}

bool engine_admit_nested(const struct engine *engine, size_t size_bytes)
{
    size_t limit = engine->options.maxmemory_bytes;
    size_t from =
        engine->held && engine->held_from > limit ? engine->held_from : limit;
    return memory_used(engine) + size_bytes <= from + limit / 4 &&
           !arena_beyond(engine, ARENA_256THS);
}

void engine_wait_room(struct engine *engine, struct engine_waiter *waiter)
{
    if (engine->room_waiters.first == NULL) {
        engine->room_wait_us = engine_mono_us();
    }
    waiters_add(&engine->room_waiters, waiter);
}

bool engine_has_room_waiters(const struct engine *engine)
{
    return engine->room_waiters.first != NULL;
}

void engine_set_outside_bytes(struct engine *engine, size_t bytes)
{
    engine->outside_bytes = bytes;
}

char *engine_scratch(struct engine *engine, size_t size)
{
    if (size > engine->scratch_bytes) {
        free(engine->scratch);
        engine->scratch = xmalloc(size);
        engine->scratch_bytes = size;
    }
    return engine->scratch;
}

uint64_t engine_mono_us(void)
{
    return clock_now_ns(CLOCK_MONOTONIC) / 1000;
}
