/* Movement between the tiers: sinking under memory pressure, in slices, and
 * rising on use.
 *
 *   hot --(pack where it pays)--> cold --(record on disk)--> dry
 *
 * The coldest go first: the tail of the cold list, refilled from the tail of
 * the hot list so that hot holds at most HOT_SHARE of the RAM values take.
 * A cold entry whose record is not committed yet waits in the sinking list;
 * the commit drops it. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

/* Hot keeps at most this many 16ths of the bytes in RAM. */
#define HOT_SHARE_16THS 12

/* Packs spec's value where it pays. */
static bool pack(struct engine *engine, struct entry_spec *spec)
{
    struct bytes packed = pack_value(engine, spec->value);
    if (packed.size == 0) {
        return false;
    }
    spec->value = packed;
    spec->blob = NULL;
    if (!entry_fits_inline(spec->key.size, packed.size, spec->expiry_ms != 0)) {
        spec->blob = blob_copy(packed);
        check(spec->blob != NULL);
    }
    spec->bits = entry_with_codec(spec->bits, CODEC_LZ4);
    return true;
}

struct entry *sink_to_cold(struct space *space, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct arena *arena = &engine->arena;
    struct entry *entry = arena_at(arena, *slot.ref);
    struct entry_spec spec;
    check(entry_tier_of(entry) == TIER_HOT);
    entry_describe(entry, &spec);
    spec.bits = entry_with_tier(spec.bits, TIER_COLD) | ENTRY_TOUCHED;
    engine->counters.demoted_hot_cold++;
    if (pack(engine, &spec)) {
        return space_replace(space, slot, &spec, LINK_HEAD);
    }
    /* Same bytes, other list. */
    size_t bytes = entry_memory_bytes_at(engine, *slot.ref);
    lru_remove(&space->hot, arena, *slot.ref);
    entry->bits = spec.bits;
    lru_push_head(&space->cold, arena, *slot.ref);
    space->tier[TIER_HOT].items--;
    space->tier[TIER_HOT].bytes -= bytes;
    space->tier[TIER_COLD].items++;
    space->tier[TIER_COLD].bytes += bytes;
    return entry;
}

void sink_to_dry(struct space *space, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    uint64_t id = entry_id_of(entry);
    struct entry_spec spec;
    check(id != 0 && id <= engine->log.committed_id);
    entry_describe(entry, &spec);
    spec.value = bytes_of(NULL, 0);
    spec.blob = NULL;
    spec.bits = entry_with_tier(spec.bits, TIER_DRY);
    spec.bits &= (uint16_t) ~(ENTRY_TOUCHED | ENTRY_SINKING);
    engine->counters.demoted_cold_dry++;
    space_replace(space, slot, &spec, LINK_SAME);
}

struct entry *rise_to_hot(struct space *space, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    struct scratch scratch = {0};
    struct entry_spec spec;
    entry_describe(entry, &spec);
    if (entry_codec(entry) != CODEC_NONE) {
        spec.value = db_string(space->db, entry, &scratch);
        spec.blob = NULL;
        if (!entry_fits_inline(
                spec.key.size, spec.value.size, spec.expiry_ms != 0)) {
            spec.blob = blob_copy(spec.value);
            check(spec.blob != NULL);
        }
    }
    spec.bits = entry_with_codec(spec.bits, CODEC_NONE);
    spec.bits = entry_with_tier(spec.bits, TIER_HOT);
    spec.bits &= (uint16_t) ~(ENTRY_TOUCHED | ENTRY_SINKING);
    engine->counters.promoted_cold_hot++;
    struct entry *hot = space_replace(space, slot, &spec, LINK_HEAD);
    scratch_reset(&scratch);
    return hot;
}

/* ---- under pressure ---- */

static struct index_slot slot_of(
    struct space *space, uint32_t ref, uint64_t *hash)
{
    const struct entry *entry = arena_at(&space->engine->arena, ref);
    *hash = space_hash(space, entry);
    struct index_slot slot = index_find_ref(&space->index, *hash, ref);
    check(slot.ref != NULL);
    return slot;
}

/* A pinned entry at the tail is given another round. */
static bool skip_pinned(struct space *space, struct lru *list)
{
    struct engine *engine = space->engine;
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
static bool sink_cold_tail(struct space *space)
{
    struct engine *engine = space->engine;
    uint32_t ref = space->cold.tail;
    uint64_t hash = 0;
    if (skip_pinned(space, &space->cold)) {
        return true;
    }
    struct index_slot slot = slot_of(space, ref, &hash);
    struct entry *entry = arena_at(&engine->arena, ref);
    uint64_t id = entry_id_of(entry);
    if (id != 0 && id <= engine->log.committed_id) {
        sink_to_dry(space, slot);
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
            log_append_entry(space, entry, hash);
        }
    }
    lru_remove(&space->cold, &engine->arena, ref);
    entry->bits |= ENTRY_SINKING;
    lru_push_head(&space->sinking, &engine->arena, ref);
    return true;
}

static bool sink_hot_tail(struct space *space)
{
    uint64_t hash = 0;
    if (!skip_pinned(space, &space->hot)) {
        sink_to_cold(space, slot_of(space, space->hot.tail, &hash));
    }
    return true;
}

/* Without a dry tier: what the policy allows is dropped. */
static bool evict_tail(struct space *space)
{
    struct engine *engine = space->engine;
    enum engine_policy policy = engine->options.policy;
    struct lru *list = space->cold.items > 0 ? &space->cold : &space->hot;
    uint64_t hash = 0;
    if (policy == ENGINE_NOEVICTION || skip_pinned(space, list)) {
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
    struct index_slot slot = slot_of(space, ref, &hash);
    db_evict_entry(space, hash, slot);
    return true;
}

/* The space whose last entry was used longest ago, or NULL. */
static struct space *coldest_space(struct engine *engine)
{
    struct space *coldest = NULL;
    uint32_t most_idle = 0;
    uint32_t now = access_tick(engine->now_ms);
    for (unsigned i = 0; i < engine->options.databases; i++) {
        struct space *space = engine->dbs[i].space;
        uint32_t ref =
            space->cold.tail != 0 ? space->cold.tail : space->hot.tail;
        if (ref == 0) {
            continue;
        }
        const struct entry *entry = arena_at(&engine->arena, ref);
        uint32_t idle =
            (now - (entry->access >> ACCESS_FREQUENCY_BITS)) & ACCESS_TICK_MASK;
        if (coldest == NULL || idle > most_idle) {
            coldest = space;
            most_idle = idle;
        }
    }
    return coldest;
}

static bool sink_one(struct engine *engine)
{
    struct space *space = coldest_space(engine);
    if (space == NULL) {
        return false;
    }
    if (engine->log.store == NULL) {
        return evict_tail(space);
    }
    uint64_t hot = space->tier[TIER_HOT].bytes;
    uint64_t ram = hot + space->tier[TIER_COLD].bytes;
    bool refill = space->cold.items == 0 || hot > ram / 16 * HOT_SHARE_16THS;
    if (refill && space->hot.items > 0) {
        return sink_hot_tail(space);
    }
    return space->cold.items > 0 && sink_cold_tail(space);
}

void sink_turn(struct engine *engine, uint64_t deadline_us)
{
    unsigned steps = 0;
    while (memory_pressing(engine) && sink_one(engine)) {
        /* The clock costs as much as a step. */
        if (++steps % 16 == 0 && engine_mono_us() >= deadline_us) {
            break;
        }
    }
}

void sink_committed(struct engine *engine)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        struct space *space = engine->dbs[i].space;
        while (space->sinking.tail != 0) {
            uint32_t ref = space->sinking.tail;
            struct entry *entry = arena_at(&engine->arena, ref);
            uint64_t id = entry_id_of(entry);
            uint64_t hash = 0;
            if (id > engine->log.committed_id) {
                break;
            }
            if (id == 0 || (entry->bits & ENTRY_PINNED)) {
                space_use(space, entry); /* back to the cold list */
                continue;
            }
            sink_to_dry(space, slot_of(space, ref, &hash));
        }
    }
}
