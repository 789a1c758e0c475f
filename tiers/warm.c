/* Warm restarts: which keys are in RAM is remembered; after a start they come
 * back in the background. See warm.h. */
#include "tiers/warm.h"

#include <stdlib.h>

#include "tiers/engine_internal.h"

/* A walk over all keys so often, when anything was read or written since. */
#define WALK_MS 300000
/* The list may take this part of maxmemory while it is worked through, which
 * is while there is little else. */
#define LIST_PART 4
/* Steps between two looks at the clock. */
#define CLOCK_STEPS 16
#define SHORTEN_ITEMS 65536
/* Fetched between two looks at what the process really takes. */
#define MEASURE_BYTES ((size_t)256 * 1024)

struct warm_fetch {
    struct engine_waiter waiter; /* first */
    struct engine *engine;
    bool busy;
    size_t bytes;
    struct warm_item item;
};

/* ---- remembering ---- */

static uint64_t uses(const struct engine *engine)
{
    const struct engine_stats *counters = &engine->counters;
    return counters->hits + counters->misses + counters->dirty_keys_since_save +
           counters->records_written;
}

/* Lists it, if it will be found on disk after a restart. */
static void on_key(void *context, uint32_t ref, uint64_t hash)
{
    struct space *space = context;
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, ref);
    struct warm_write *write = engine->warm.writing;
    if (entry_is_dry(entry) || item_is_ram_only(engine, entry)) {
        return;
    }
    uint32_t hot = entry_tier_of(entry) == TIER_HOT ? WARM_HOT : 0;
    struct warm_item item = {hash, entry->access, space->keyspace | hot};
    warm_write_add(write, &item);
}

void warm_walk(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    if (!engine->options.warms || engine->log.store == NULL ||
        warm->writing != NULL || warm->reading != NULL || warm->items != NULL) {
        return;
    }
    warm->writing = warm_write_begin(engine->options.path, engine->log.workers);
    warm->database = 0;
    warm->position = 0;
    warm->walked_ms = engine->now_ms;
    warm->walked_uses = uses(engine);
}

static void walk_bucket(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    struct space *space = engine->dbs[warm->database].space;
    warm->position = index_scan(&space->index, warm->position, on_key, space);
    if (warm->position == 0) {
        warm->database++;
    }
}

/* True: the walk is over. */
static bool walk_turn(struct engine *engine, uint64_t deadline_us)
{
    struct warm *warm = &engine->warm;
    for (unsigned steps = 1; warm_write_is_idle(warm->writing); steps++) {
        if (warm->database > engine->options.databases) {
            return true; /* and the file is written */
        }
        if (warm->database == engine->options.databases) {
            warm->database++;
            warm_write_flush(warm->writing, true);
        } else if (warm_write_is_full(warm->writing)) {
            warm_write_flush(warm->writing, false);
        } else {
            walk_bucket(engine);
        }
        if (steps % CLOCK_STEPS == 0 && engine_mono_us() >= deadline_us) {
            break;
        }
    }
    return false;
}

static void end_walk(struct engine *engine)
{
    bool good = warm_write_end(engine->warm.writing);
    engine->warm.writing = NULL;
    if (!good) {
        engine_tell(engine, 3, "The list of warm keys in %s cannot be written",
            engine->options.path);
    }
}

void warm_cron(struct engine *engine)
{
    const struct warm *warm = &engine->warm;
    int64_t since_ms = engine->now_ms - warm->walked_ms;
    if ((since_ms >= WALK_MS || since_ms < 0) &&
        uses(engine) != warm->walked_uses) {
        warm_walk(engine);
    }
}

void engine_keep_warm(struct engine *engine, int64_t now_ms)
{
    struct warm *warm = &engine->warm;
    engine->now_ms = now_ms;
    for (unsigned walks = warm->writing != NULL ? 2 : 1; walks > 0; walks--) {
        warm_walk(engine); /* one under way has begun too early */
        while (warm->writing != NULL && !walk_turn(engine, UINT64_MAX)) {
            dry_workers_wait(engine->log.workers, 100);
            dry_workers_collect(engine->log.workers);
        }
        if (warm->writing != NULL) {
            end_walk(engine);
        }
    }
}

/* ---- fetching ---- */

static void end_fetching(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    engine_tell(engine, 2, "%llu keys are warm again",
        (unsigned long long)warm->fetched);
    free(warm->items);
    free(warm->fetches);
    warm->items = NULL;
    warm->fetches = NULL;
    warm->count = 0;
    warm->walked_ms = engine->now_ms;
}

void warm_begin(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    warm->walked_ms = engine->now_ms;
    if (engine->options.warms && engine->log.store != NULL) {
        warm->reading = warm_read_begin(engine, engine->log.workers,
            access_tick(engine->now_ms),
            engine->options.maxmemory_bytes / LIST_PART);
    }
}

void warm_was_read(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    const char *path = engine->options.path;
    switch (warm_read_end(warm->reading, &warm->items, &warm->count)) {
    case WARM_READ:
        engine_tell(engine, 2,
            "%llu keys were in memory when %s/warm was written",
            (unsigned long long)warm->count, path);
        break;
    case WARM_ABSENT:
        engine_tell(engine, 2, "Starting cold: there is no %s/warm", path);
        break;
    case WARM_DAMAGED:
        engine_tell(engine, 3, "Starting cold: %s/warm is damaged", path);
        break;
    case WARM_TOO_LARGE:
        engine_tell(engine, 3,
            "Starting cold: %s/warm is too large for maxmemory", path);
        break;
    }
    warm->reading = NULL;
    if (warm->items != NULL) {
        warm->fetches = xcalloc(WARM_FETCHES, sizeof *warm->fetches);
    }
}

static struct index_slot find_item(const struct engine *engine,
    const struct warm_item *item, struct space **space)
{
    struct index_slot none = {NULL};
    *space = space_by_keyspace(engine, item->keyspace & ~WARM_HOT);
    return *space == NULL ? none
                          : index_find_hash(&(*space)->index, item->hash);
}

/* Is there room for so much more in that tier of the namespace, and would
 * what was used when `access` says stay there? */
static bool tier_fits(const struct shelf *shelf, enum tier tier,
    struct engine_tier_stats more, uint32_t access)
{
    const struct engine *engine = shelf->space->engine;
    const struct policy *policy = &shelf->namespace->policy;
    const struct engine_tier_stats *now = &shelf->namespace->tier[tier];
    uint32_t idle =
        (access_tick(engine->now_ms) - (access >> ACCESS_FREQUENCY_BITS)) &
        ACCESS_TICK_MASK;
    int64_t most_ms = shelf_unread_ms(shelf, tier);
    return TIERS_HAS(policy->tiers, tier) &&
           now->items + more.items <= policy->max_items[tier] &&
           now->bytes + more.bytes <= policy->max_bytes[tier] &&
           (most_ms == 0 || (int64_t)idle * ACCESS_TICK_MS < most_ms);
}

/* The tier where the value of an item may go: the one it was in, or else the
 * other one, or TIER_NONE. */
static enum tier tier_for(const struct shelf *shelf,
    const struct warm_item *item, struct engine_tier_stats more)
{
    bool cold = tier_fits(shelf, TIER_COLD, more, item->access);
    if (cold && (item->keyspace & WARM_HOT) == 0) {
        return TIER_COLD;
    }
    if (tier_fits(shelf, TIER_HOT, more, item->access)) {
        return TIER_HOT;
    }
    return cold ? TIER_COLD : TIER_NONE;
}

/* Where the fetched value belongs: the tier it was in, if there is room, at
 * the end of its list, for what came before it was used later. */
static void place(struct engine *engine, const struct warm_fetch *fetch)
{
    struct space *space = NULL;
    struct index_slot slot = find_item(engine, &fetch->item, &space);
    if (slot.ref == NULL) {
        return;
    }
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    if (entry_tier_of(entry) != TIER_COLD || (entry->bits & ENTRY_SINKING)) {
        return;
    }
    struct engine_tier_stats one = {1, fetch->bytes};
    if (tier_for(shelf_of(engine, entry), &fetch->item, one) == TIER_HOT) {
        entry = rise_to_hot(space, slot);
    } else {
        entry->bits |= ENTRY_TOUCHED; /* nobody had to read it from disk */
    }
    shelf_place_last(engine, entry, fetch->item.access);
    engine->warm.fetched++;
}

static void on_fetched(struct engine_waiter *waiter, enum dry_result result)
{
    struct warm_fetch *fetch = (struct warm_fetch *)waiter;
    struct warm *warm = &fetch->engine->warm;
    fetch->busy = false;
    warm->fetching--;
    warm->fetching_bytes -= fetch->bytes;
    if (result == DRY_OK && warm->items != NULL) {
        place(fetch->engine, fetch);
    }
}

static struct warm_fetch *free_fetch(struct warm *warm)
{
    struct warm_fetch *fetch = warm->fetches;
    while (fetch->busy) {
        fetch++;
    }
    return fetch;
}

/* Room for it, where the rest of the process counts as well? The cron looks
 * too seldom: 20 MB are fetched between two of its looks. */
static bool has_spare(struct engine *engine, size_t bytes)
{
    struct warm *warm = &engine->warm;
    if (warm->unmeasured_bytes > MEASURE_BYTES) {
        memory_measure(engine);
        warm->unmeasured_bytes = 0;
    }
    warm->unmeasured_bytes += bytes;
    return memory_has_spare(engine, bytes);
}

enum step { STEP_TAKEN, STEP_LATER, STEP_FULL };

/* The next item of the list. */
static enum step fetch_next(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    const struct warm_item *item = &warm->items[warm->count - 1];
    struct space *space = NULL;
    struct index_slot slot = find_item(engine, item, &space);
    if (slot.ref == NULL) {
        return STEP_TAKEN; /* deleted since */
    }
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    const struct shelf *shelf = shelf_of(engine, entry);
    int64_t expiry_ms = entry_expiry_of(entry);
    /* About: what it takes is known when it is there. */
    size_t bytes = entry_stored_bytes(entry) + entry_key_of(entry).size + 64;
    struct engine_tier_stats one = {1, bytes};
    struct engine_tier_stats all = {
        warm->fetching + 1, warm->fetching_bytes + bytes};
    enum tier tier = tier_for(shelf, item, one);
    if (!entry_is_dry(entry) || space->db == NULL || tier == TIER_NONE ||
        (expiry_ms != 0 && expiry_ms <= engine->now_ms)) {
        return STEP_TAKEN;
    }
    if (!has_spare(engine, bytes)) {
        return STEP_FULL;
    }
    /* Near a limit, what is on its way may be for the same tier. */
    if (warm->fetching > 0 &&
        (all.bytes > WARM_FETCH_BYTES || tier_for(shelf, item, all) != tier)) {
        return STEP_LATER;
    }
    struct warm_fetch *fetch = free_fetch(warm);
    *fetch = (struct warm_fetch){.waiter.on_ready = on_fetched,
        .engine = engine,
        .busy = true,
        .bytes = bytes,
        .item = *item};
    warm->fetching++;
    warm->fetching_bytes += bytes;
    engine_fetch(
        engine, space->db, entry_key_of(entry), &fetch->waiter, engine->now_ms);
    return STEP_TAKEN;
}

/* The last item is done with; memory is given back now and then. */
static void shorten(struct warm *warm)
{
    warm->count--;
    if (warm->count > 0 && warm->count % SHORTEN_ITEMS == 0) {
        warm->items = xrealloc(warm->items, warm->count * sizeof *warm->items);
    }
}

static void fetch_turn(struct engine *engine, uint64_t deadline_us)
{
    struct warm *warm = &engine->warm;
    unsigned steps = 0;
    /* What clients wait for comes first. */
    bool alone = engine->counters.fetches_pending <= warm->fetching;
    while (alone && warm->count > 0 && warm->fetching < WARM_FETCHES) {
        enum step step = fetch_next(engine);
        if (step == STEP_LATER) {
            break;
        }
        if (step == STEP_FULL) {
            warm->count = 0;
            break;
        }
        shorten(warm);
        if (++steps % CLOCK_STEPS == 0 && engine_mono_us() >= deadline_us) {
            break;
        }
    }
    if (!engine->options.warms) {
        warm->count = 0;
    }
    if (warm->count == 0 && warm->fetching == 0) {
        end_fetching(engine);
    }
}

bool warm_turn(struct engine *engine, uint64_t deadline_us)
{
    struct warm *warm = &engine->warm;
    if (warm->items != NULL) {
        fetch_turn(engine, deadline_us);
    }
    if (warm->writing != NULL && walk_turn(engine, deadline_us)) {
        end_walk(engine);
    }
    /* What is under way ends in a wake. */
    return (warm->items != NULL && warm->fetching == 0 &&
               engine->counters.fetches_pending == 0) ||
           (warm->writing != NULL && warm_write_is_idle(warm->writing));
}

void engine_set_warms(struct engine *engine, bool on)
{
    engine->options.warms = on;
}

size_t warm_bytes(const struct engine *engine)
{
    return engine->warm.count * sizeof(struct warm_item);
}

void warm_close(struct engine *engine)
{
    struct warm *warm = &engine->warm;
    if (warm->writing != NULL) {
        warm_write_end(warm->writing);
    }
    free(warm->items);
    free(warm->fetches);
    *warm = (struct warm){0};
}
