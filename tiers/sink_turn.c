/* Sinking under memory pressure, in slices, and after commits.
 *
 * The coldest go first: the tail of the cold list, refilled from the tail of
 * the hot list so that hot holds at most HOT_SHARE of the RAM values take.
 * A cold entry whose record is not committed yet waits in the sinking list;
 * the commit drops it. */
#include "tiers/engine_internal.h"

/* Hot keeps at most this many 16ths of the bytes in RAM. */
#define HOT_SHARE_16THS 12
/* Entries that sink between two looks at the clock, which costs as much as one
 * of them. */
#define CLOCK_STEPS 16

static struct index_slot slot_of(
    struct shelf *shelf, uint32_t ref, uint64_t *hash)
{
    const struct entry *entry = arena_at(&shelf->space->engine->arena, ref);
    *hash = space_hash(shelf->space, entry);
    struct index_slot slot = index_find_ref(&shelf->space->index, *hash, ref);
    check(slot.ref != NULL);
    return slot;
}

/* A pinned entry at the tail is given another round. */
static bool skip_pinned(struct shelf *shelf, struct lru *list)
{
    struct engine *engine = shelf->space->engine;
    struct entry *entry = arena_at(&engine->arena, list->tail);
    if (!(entry->bits & ENTRY_PINNED)) {
        return false;
    }
    uint32_t ref = list->tail;
    lru_remove(list, &engine->arena, ref);
    lru_push_head(list, &engine->arena, ref);
    return true;
}

/* The tail of the cold list one step down. False: nothing can be done now. */
static bool sink_cold_tail(struct shelf *shelf)
{
    struct engine *engine = shelf->space->engine;
    uint32_t ref = shelf->cold.tail;
    uint64_t hash = 0;
    if (skip_pinned(shelf, &shelf->cold)) {
        return true;
    }
    struct index_slot slot = slot_of(shelf, ref, &hash);
    struct entry *entry = arena_at(&engine->arena, ref);
    uint64_t id = entry_id_of(entry);
    if (id != 0 && id <= engine->log.committed_id) {
        sink_to_dry(shelf->space, slot);
        return true;
    }
    if (id == 0) {
        if (!log_has_room(engine)) {
            return false;
        }
        if (entry->bits & ENTRY_QUEUED) {
            /* What was written before it goes before it. */
            log_cut(engine);
        }
        if (entry_id_of(entry) == 0) {
            log_append_entry(shelf->space, entry, hash);
        }
    }
    shelf_sink(engine, ref);
    return true;
}

static bool sink_hot_tail(struct shelf *shelf)
{
    uint64_t hash = 0;
    if (!skip_pinned(shelf, &shelf->hot)) {
        sink_to_cold(shelf->space, slot_of(shelf, shelf->hot.tail, &hash));
    }
    return true;
}

/* Without a dry tier: what the policy allows is dropped. */
static bool evict_tail(struct shelf *shelf)
{
    struct engine *engine = shelf->space->engine;
    enum engine_policy policy = engine->options.policy;
    struct lru *list = shelf->cold.items > 0 ? &shelf->cold : &shelf->hot;
    uint64_t hash = 0;
    if (policy == ENGINE_NOEVICTION || skip_pinned(shelf, list)) {
        return policy != ENGINE_NOEVICTION;
    }
    bool only_expiring = policy >= ENGINE_VOLATILE_LRU;
    uint32_t ref = list->tail;
    for (unsigned looked = 0; only_expiring && ref != 0; looked++) {
        const struct entry *entry = arena_at(&engine->arena, ref);
        if (entry->bits & ENTRY_HAS_EXPIRY) {
            break;
        }
        ref = looked < 256 ? lru_newer(&engine->arena, ref) : 0;
    }
    if (ref == 0) {
        return false;
    }
    struct index_slot slot = slot_of(shelf, ref, &hash);
    db_evict_entry(shelf->space, hash, slot);
    return true;
}

static bool uses_ram(const struct shelf *shelf)
{
    return shelf->cold.items + shelf->hot.items > 0;
}

static uint32_t tail_idle(const struct shelf *shelf)
{
    const struct engine *engine = shelf->space->engine;
    uint32_t ref = shelf->cold.tail != 0 ? shelf->cold.tail : shelf->hot.tail;
    const struct entry *entry = arena_at(&engine->arena, ref);
    uint32_t now = access_tick(engine->now_ms);
    return (now - (entry->access >> ACCESS_FREQUENCY_BITS)) & ACCESS_TICK_MASK;
}

/* The shelf whose last entry was used longest ago, or NULL. */
static struct shelf *coldest_shelf(struct engine *engine)
{
    struct shelf *coldest = NULL;
    uint32_t most_idle = 0;
    for (unsigned i = 0; i < engine->options.databases; i++) {
        for (struct shelf *shelf = engine->dbs[i].space->shelf; shelf != NULL;
             shelf = shelf->next) {
            uint32_t idle = uses_ram(shelf) ? tail_idle(shelf) : 0;
            if (uses_ram(shelf) && (coldest == NULL || idle > most_idle)) {
                coldest = shelf;
                most_idle = idle;
            }
        }
    }
    return coldest;
}

static bool sink_one(struct engine *engine)
{
    struct shelf *shelf = coldest_shelf(engine);
    if (shelf == NULL) {
        return false;
    }
    if (engine->log.store == NULL) {
        return evict_tail(shelf);
    }
    uint64_t hot = shelf->tier[TIER_HOT].bytes;
    uint64_t ram = hot + shelf->tier[TIER_COLD].bytes;
    bool refill = shelf->cold.items == 0 || hot > ram / 16 * HOT_SHARE_16THS;
    if (refill && shelf->hot.items > 0) {
        return sink_hot_tail(shelf);
    }
    return shelf->cold.items > 0 && sink_cold_tail(shelf);
}

void sink_turn(struct engine *engine, uint64_t deadline_us)
{
    unsigned steps = 0;
    while (memory_pressing(engine)) {
        if (memory_scattered(engine) && compact_slab(engine)) {
            steps += CLOCK_STEPS - steps % CLOCK_STEPS;
        } else if (sink_one(engine)) {
            steps++;
        } else {
            break;
        }
        if (steps % CLOCK_STEPS == 0 && engine_mono_us() >= deadline_us) {
            break;
        }
    }
}

static void drop_committed(struct shelf *shelf)
{
    struct engine *engine = shelf->space->engine;
    while (shelf->sinking.tail != 0) {
        uint32_t ref = shelf->sinking.tail;
        struct entry *entry = arena_at(&engine->arena, ref);
        uint64_t id = entry_id_of(entry);
        uint64_t hash = 0;
        if (id > engine->log.committed_id) {
            break;
        }
        if (id == 0 || (entry->bits & ENTRY_PINNED)) {
            shelf_use(engine, entry); /* back to the cold list */
            continue;
        }
        sink_to_dry(shelf->space, slot_of(shelf, ref, &hash));
    }
}

void sink_committed(struct engine *engine)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        for (struct shelf *shelf = engine->dbs[i].space->shelf; shelf != NULL;
             shelf = shelf->next) {
            drop_committed(shelf);
        }
    }
}
