/* Sinking: one entry of a shelf, under memory pressure in slices, and after
 * commits.
 *
 * The coldest go first: the tail of the cold list, refilled from the tail of
 * the hot list so that hot holds at most HOT_SHARE of the RAM values take.
 * A cold entry whose record is not committed yet waits in the sinking list;
 * the commit drops it. */
#include "tiers/engine_internal.h"

/* Hot keeps at most this many 16ths of the bytes in RAM. */
#define HOT_SHARE_16THS 12
/* While there is less in cold and RAM is short, one goes to disk for so many
 * that refill it: it fills up, and nobody waits for all of that. */
#define REFILLS 3
/* A hot entry that has not been used for so many times as long as the coldest
 * cold one goes first, and past cold: who was written or read long ago would
 * hold the place of those that come from disk, and these go before they have
 * the time to be used twice. */
#define HOT_PATIENCE 8
/* Entries that sink between two looks at the clock: each may cost some
 * microseconds, where little is in the processor's cache. */
#define CLOCK_STEPS 4

static struct index_slot slot_of(
    struct shelf *shelf, uint32_t ref, uint64_t *hash)
{
    const struct entry *entry = arena_at(&shelf->space->engine->arena, ref);
    *hash = space_hash(shelf->space, entry);
    struct index_slot slot = index_find_ref(&shelf->space->index, *hash, ref);
    check(slot.ref != NULL);
    return slot;
}

/* A cold entry one step further: it is dropped from RAM when its record is in
 * the store, else waits for that in the sinking list. False: it cannot now. */
static bool sink_cold(struct shelf *shelf, uint32_t ref)
{
    struct engine *engine = shelf->space->engine;
    uint64_t hash = 0;
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

static void drop(struct shelf *shelf, uint32_t ref, enum engine_event event)
{
    uint64_t hash = 0;
    struct index_slot slot = slot_of(shelf, ref, &hash);
    if (event == ENGINE_EXPIRED) {
        db_expire_entry(shelf->space, hash, slot);
    } else {
        db_evict_entry(shelf->space, hash, slot);
    }
}

/* From hot to cold; if it `passes`, from there to dry at once. False: it cannot
 * now. */
static bool sink_hot(struct shelf *shelf, uint32_t ref, bool passes)
{
    struct engine *engine = shelf->space->engine;
    uint64_t hash = 0;
    if (passes && !log_has_room(engine)) {
        return false;
    }
    const struct entry *entry =
        sink_to_cold(shelf->space, slot_of(shelf, ref, &hash));
    return !passes || sink_cold(shelf, arena_ref(&engine->arena, entry));
}

/* Is there no tier below? */
static bool is_last(const struct shelf *shelf, enum tier tier)
{
    return shelf->namespace->policy.tiers >> (tier + 1) == 0;
}

enum tier tier_below(
    const struct shelf *shelf, const struct entry *entry, unsigned tier)
{
    const struct engine *engine = shelf->space->engine;
    while (++tier < TIER_NONE &&
           (!TIERS_HAS(shelf->namespace->policy.tiers, tier) ||
               (tier == TIER_DRY && item_is_ram_only(engine, entry)))) {
    }
    return (enum tier)tier;
}

bool sink_entry(struct shelf *shelf, uint32_t ref, enum engine_event event)
{
    const struct entry *entry = arena_at(&shelf->space->engine->arena, ref);
    enum tier tier = entry_tier_of(entry);
    if (tier_below(shelf, entry, tier) == TIER_NONE) {
        drop(shelf, ref, event);
        return true;
    }
    bool passes = !TIERS_HAS(shelf->namespace->policy.tiers, TIER_COLD);
    return tier == TIER_HOT ? sink_hot(shelf, ref, passes)
                            : sink_cold(shelf, ref);
}

bool sink_from(struct shelf *shelf, enum tier tier)
{
    bool keeps = shelf->namespace->policy.eviction == EVICTION_NONE;
    if (keeps && is_last(shelf, tier)) {
        return false;
    }
    uint32_t ref = shelf_victim(shelf, tier);
    return ref != 0 && sink_entry(shelf, ref, ENGINE_EVICTED);
}

/* ---- under memory pressure ---- */

/* Of the default namespace without a dry tier, what maxmemory-policy allows
 * is dropped. */
static bool evict_by_policy(struct shelf *shelf)
{
    struct engine *engine = shelf->space->engine;
    enum engine_policy policy = engine->options.policy;
    enum tier tier = shelf->cold.items > 0 ? TIER_COLD : TIER_HOT;
    if (policy == ENGINE_NOEVICTION) {
        return false;
    }
    uint32_t ref = shelf_victim(shelf, tier);
    bool only_expiring = policy >= ENGINE_VOLATILE_LRU;
    for (unsigned looked = 0; only_expiring && ref != 0; looked++) {
        const struct entry *entry = arena_at(&engine->arena, ref);
        if ((entry->bits & ENTRY_PINNED) == 0 && entry_expiry_of(entry) != 0) {
            break;
        }
        ref = looked < 256 ? lru_newer(&engine->arena, ref) : 0;
    }
    if (ref != 0) {
        drop(shelf, ref, ENGINE_EVICTED);
    }
    return ref != 0;
}

/* Could the shelf give RAM up? */
static bool can_give(const struct shelf *shelf)
{
    bool keeps = shelf->namespace->policy.eviction == EVICTION_NONE &&
                 !TIERS_HAS(shelf->namespace->policy.tiers, TIER_DRY);
    return !keeps && (shelf_peek(shelf, TIER_COLD) != 0 ||
                         shelf_peek(shelf, TIER_HOT) != 0);
}

static uint32_t tail_idle(const struct shelf *shelf)
{
    const struct engine *engine = shelf->space->engine;
    uint32_t ref = shelf_peek(shelf, TIER_COLD);
    ref = ref != 0 ? ref : shelf_peek(shelf, TIER_HOT);
    const struct entry *entry = arena_at(&engine->arena, ref);
    return access_idle(engine->now_ms, entry->access);
}

/* The shelf whose last entry was used longest ago, or NULL. */
static struct shelf *coldest_shelf(struct engine *engine)
{
    struct shelf *coldest = NULL;
    uint32_t most_idle = 0;
    for (unsigned i = 0; i < engine->options.databases; i++) {
        for (struct shelf *shelf = engine->dbs[i].space->first_shelf;
             shelf != NULL; shelf = shelf->next) {
            uint32_t idle = can_give(shelf) ? tail_idle(shelf) : 0;
            if (can_give(shelf) && (coldest == NULL || idle > most_idle)) {
                coldest = shelf;
                most_idle = idle;
            }
        }
    }
    return coldest;
}

/* The hot entry that is to pass cold, or 0. */
static uint32_t forgotten(struct shelf *shelf)
{
    const struct engine *engine = shelf->space->engine;
    uint32_t hot = shelf_peek(shelf, TIER_HOT);
    uint32_t cold = shelf_peek(shelf, TIER_COLD);
    if (hot == 0 || cold == 0 || shelf->eviction != EVICTION_LRU) {
        return 0;
    }
    const struct entry *entry = arena_at(&engine->arena, hot);
    const struct entry *coldest = arena_at(&engine->arena, cold);
    uint32_t patience =
        HOT_PATIENCE * (access_idle(engine->now_ms, coldest->access) + 1);
    return (entry->bits & ENTRY_PINNED) == 0 &&
                   access_idle(engine->now_ms, entry->access) > patience &&
                   tier_below(shelf, entry, TIER_COLD) == TIER_DRY
               ? hot
               : 0;
}

/* The one that leaves RAM next. */
static bool sink_coldest(struct shelf *shelf)
{
    uint32_t ref = forgotten(shelf);
    return ref != 0 ? sink_hot(shelf, ref, true) : sink_from(shelf, TIER_COLD);
}

/* Is it time for one to go to disk while cold is refilled? */
static bool writes_beside(struct shelf *shelf)
{
    const struct engine *engine = shelf->space->engine;
    uint32_t ref = shelf_peek(shelf, TIER_COLD);
    return ref != 0 && ++shelf->refills % REFILLS == 0 &&
           memory_is_short(engine) &&
           tier_below(shelf, arena_at(&engine->arena, ref), TIER_COLD) ==
               TIER_DRY;
}

static bool sink_one(struct engine *engine)
{
    struct shelf *shelf = coldest_shelf(engine);
    if (shelf == NULL) {
        return false;
    }
    if (engine->log.store == NULL &&
        shelf->namespace == engine->namespaces.fallback) {
        return evict_by_policy(shelf);
    }
    uint64_t hot = shelf->tier[TIER_HOT].bytes;
    uint64_t ram = hot + shelf->tier[TIER_COLD].bytes;
    bool refill = shelf->cold.items == 0 || hot > ram / 16 * HOT_SHARE_16THS;
    if (refill && shelf->tier[TIER_HOT].items > 0) {
        return (writes_beside(shelf) && sink_coldest(shelf)) ||
               sink_from(shelf, TIER_HOT);
    }
    return sink_coldest(shelf);
}

/* ---- while the disk takes nothing ---- */

/* Entries looked at, from the newest one on. */
#define NEWEST_LOOKS 64

/* Could it leave RAM without being written? */
static bool is_clean(const struct shelf *shelf, const struct entry *entry)
{
    const struct engine *engine = shelf->space->engine;
    uint64_t id = entry_id_of(entry);
    return id != 0 && id <= engine->log.committed_id &&
           (entry->bits & ENTRY_PINNED) == 0 &&
           tier_below(shelf, entry, TIER_COLD) == TIER_DRY;
}

static uint32_t newest_clean(const struct shelf *shelf, const struct lru *list)
{
    const struct arena *arena = &shelf->space->engine->arena;
    uint32_t ref = list->head;
    for (unsigned i = 0; i < NEWEST_LOOKS && ref != 0; i++) {
        if (is_clean(shelf, arena_at(arena, ref))) {
            return ref;
        }
        ref = lru_older(arena, ref);
    }
    return 0;
}

static bool sink_newest_of(struct shelf *shelf)
{
    uint64_t hash = 0;
    uint32_t ref = newest_clean(shelf, &shelf->cold);
    ref = ref != 0 ? ref : newest_clean(shelf, &shelf->hot);
    for (unsigned i = 0; ref == 0 && i < shelf_more_lists(shelf); i++) {
        ref = newest_clean(shelf, &shelf->more[i]);
    }
    if (ref == 0) {
        return false;
    }
    struct index_slot slot = slot_of(shelf, ref, &hash);
    const struct entry *entry = arena_at(&shelf->space->engine->arena, ref);
    if (entry_tier_of(entry) == TIER_HOT) {
        sink_to_cold(shelf->space, slot);
    }
    sink_to_dry(shelf->space, slot);
    return true;
}

/* More is in RAM than is allowed, and those that should leave have to be
 * written first: what clients have only read goes back. It was read last, and
 * stands before all that. */
static bool sink_newest_clean(struct engine *engine)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        for (struct shelf *shelf = engine->dbs[i].space->first_shelf;
             shelf != NULL; shelf = shelf->next) {
            if (sink_newest_of(shelf)) {
                return true;
            }
        }
    }
    return false;
}

bool sink_turn(struct engine *engine, uint64_t deadline_us)
{
    unsigned steps = 0;
    /* What is on disk goes before more is sent there. */
    if (engine->dropping && sink_committed(engine, deadline_us)) {
        return true;
    }
    while (memory_pressing(engine)) {
        if (memory_scattered(engine) && compact_slab(engine)) {
            steps += CLOCK_STEPS - steps % CLOCK_STEPS;
        } else if (sink_one(engine) ||
                   (memory_is_over(engine) && sink_newest_clean(engine))) {
            steps++;
        } else {
            break;
        }
        if (steps % CLOCK_STEPS == 0 && engine_mono_us() >= deadline_us) {
            return true;
        }
    }
    return false;
}

/* False: the time is over, and there is more. */
static bool drop_committed(struct shelf *shelf, uint64_t deadline_us)
{
    struct engine *engine = shelf->space->engine;
    for (unsigned steps = 1; shelf->sinking.tail != 0; steps++) {
        uint32_t ref = shelf->sinking.tail;
        struct entry *entry = arena_at(&engine->arena, ref);
        uint64_t id = entry_id_of(entry);
        uint64_t hash = 0;
        if (id > engine->log.committed_id) {
            break;
        }
        if (steps % CLOCK_STEPS == 0 && engine_mono_us() >= deadline_us) {
            return false;
        }
        if (id == 0 || (entry->bits & ENTRY_PINNED)) {
            shelf_use(engine, entry); /* back to the cold list */
            continue;
        }
        sink_to_dry(shelf->space, slot_of(shelf, ref, &hash));
    }
    return true;
}

static bool drop_all_committed(struct engine *engine, uint64_t deadline_us)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        for (struct shelf *shelf = engine->dbs[i].space->first_shelf;
             shelf != NULL; shelf = shelf->next) {
            if (!drop_committed(shelf, deadline_us)) {
                return false;
            }
        }
    }
    return true;
}

bool sink_committed(struct engine *engine, uint64_t deadline_us)
{
    engine->dropping = !drop_all_committed(engine, deadline_us);
    if (!engine->dropping) {
        waiters_run(
            &engine->commit_waiters, engine->log.committed_sequence, DRY_OK);
    }
    return engine->dropping;
}
