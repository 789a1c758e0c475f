/* Who leaves a tier next: the policies; and for whom a hot one has to leave.
 * All take the same few steps however many entries there are. */
#include "tiers/engine_internal.h"
#include "tiers/ghost.h"

/* `random` evicts, on average, every eighth entry it comes by. */
#define RANDOM_STRIDE 16
/* `ttl` takes the one that expires first of so many. */
#define TTL_SAMPLES 16
/* S3-FIFO: the small queue's share, and from which frequency on a key leaves
 * it for the main one. */
#define SMALL_PERCENT 10
#define SMALL_STAYS_FROM 2
#define MAIN_FREQUENCY_MAX 3
/* Entries looked at for one victim. */
#define STEPS_MAX 64

static void to_head(struct engine *engine, struct lru *list, uint32_t ref)
{
    lru_remove(list, &engine->arena, ref);
    lru_push_head(list, &engine->arena, ref);
}

static unsigned frequency(const struct entry *entry)
{
    return entry->access & ACCESS_FREQUENCY_MASK;
}

static void set_frequency(struct entry *entry, unsigned count)
{
    entry->access = (entry->access & ~ACCESS_FREQUENCY_MASK) | count;
}

/* The list is a ring, and its end a hand that goes round in random strides:
 * whoever came when, the next to go may be anyone. */
static uint32_t random_victim(struct engine *engine, struct lru *list)
{
    unsigned stride = (unsigned)(engine_random(engine) % RANDOM_STRIDE);
    for (unsigned i = 0; i < stride && list->items > 1; i++) {
        to_head(engine, list, list->tail);
    }
    return list->tail;
}

/* A key that never expires comes last. */
static uint64_t expiry_rank(const struct entry *entry)
{
    int64_t expiry_ms = entry_expiry_of(entry);
    return expiry_ms == 0 ? UINT64_MAX : (uint64_t)expiry_ms;
}

static uint32_t ttl_victim(struct engine *engine, struct lru *list)
{
    uint32_t best = list->tail;
    for (unsigned i = 0; i < TTL_SAMPLES && i < list->items; i++) {
        uint32_t ref = list->tail;
        to_head(engine, list, ref);
        if (expiry_rank(arena_at(&engine->arena, ref)) <
            expiry_rank(arena_at(&engine->arena, best))) {
            best = ref;
        }
    }
    return best;
}

static uint32_t lowest_frequency(const struct shelf *shelf)
{
    for (unsigned i = 0; i <= ACCESS_FREQUENCY_MASK; i++) {
        if (shelf->more[i].tail != 0) {
            return shelf->more[i].tail;
        }
    }
    return 0;
}

/* One of the other lists is looked at too, and its last entry put where it
 * belongs by now: what is used no more comes down in time. */
static uint32_t lfu_victim(struct shelf *shelf)
{
    struct engine *engine = shelf->space->engine;
    unsigned other = (unsigned)engine_random(engine) & ACCESS_FREQUENCY_MASK;
    struct lru *list = &shelf->more[other];
    if (list->tail != 0) {
        uint32_t ref = list->tail;
        struct entry *entry = arena_at(&engine->arena, ref);
        lru_remove(list, &engine->arena, ref);
        set_frequency(entry, access_frequency(engine, entry->access));
        lru_push_head(&shelf->more[frequency(entry)], &engine->arena, ref);
    }
    return lowest_frequency(shelf);
}

/* S3-FIFO: Yang et al., "FIFO queues are all you need for cache eviction",
 * 2023. */
static uint32_t s3_victim(struct shelf *shelf)
{
    struct engine *engine = shelf->space->engine;
    struct lru *small = &shelf->hot, *main = shelf->more;
    for (unsigned step = 0; step < STEPS_MAX; step++) {
        uint64_t items = small->items + main->items;
        bool from_small =
            main->items == 0 || small->items * 100 > items * SMALL_PERCENT;
        uint32_t ref = from_small ? small->tail : main->tail;
        if (ref == 0) {
            return 0;
        }
        struct entry *entry = arena_at(&engine->arena, ref);
        unsigned count = frequency(entry);
        if (from_small && count < SMALL_STAYS_FROM) {
            ghost_add(shelf->ghost, space_hash(shelf->space, entry), items);
            return ref;
        }
        if (!from_small && count == 0) {
            return ref;
        }
        lru_remove(from_small ? small : main, &engine->arena, ref);
        if (from_small) {
            entry->bits |= ENTRY_MAIN;
            count = 1;
        }
        set_frequency(entry,
            (count < MAIN_FREQUENCY_MAX ? count : MAIN_FREQUENCY_MAX) - 1);
        lru_push_head(main, &engine->arena, ref);
    }
    return main->tail != 0 ? main->tail : small->tail;
}

static uint32_t choose(struct shelf *shelf, enum tier tier)
{
    struct engine *engine = shelf->space->engine;
    struct lru *list = tier == TIER_HOT    ? &shelf->hot
                       : tier == TIER_COLD ? &shelf->cold
                                           : &shelf->dry;
    if (tier == TIER_HOT && shelf->eviction == EVICTION_LFU) {
        return lfu_victim(shelf);
    }
    if (tier == TIER_HOT && shelf->eviction == EVICTION_S3_FIFO) {
        return s3_victim(shelf);
    }
    if (list->tail == 0) {
        return 0;
    }
    switch (shelf->eviction) {
    case EVICTION_RANDOM:
        return random_victim(engine, list);
    case EVICTION_TTL:
        return ttl_victim(engine, list);
    default:
        return list->tail;
    }
}

uint32_t shelf_victim(struct shelf *shelf, enum tier tier)
{
    struct engine *engine = shelf->space->engine;
    for (unsigned step = 0; step < STEPS_MAX; step++) {
        uint32_t ref = choose(shelf, tier);
        if (ref == 0) {
            return 0;
        }
        const struct entry *entry = arena_at(&engine->arena, ref);
        if (!(entry->bits & ENTRY_PINNED)) {
            return ref;
        }
        /* It is given another round. */
        to_head(engine, shelf_list(shelf, entry), ref);
    }
    return 0;
}

uint32_t shelf_peek(const struct shelf *shelf, enum tier tier)
{
    switch (tier) {
    case TIER_HOT:
        if (shelf->eviction == EVICTION_LFU) {
            return lowest_frequency(shelf);
        }
        return shelf->hot.tail != 0 || shelf->more == NULL ? shelf->hot.tail
                                                           : shelf->more->tail;
    case TIER_COLD:
        return shelf->cold.tail;
    default:
        return shelf->dry.tail;
    }
}

/* ---- who takes a hot one's place ---- */

static bool has_room(const struct shelf *shelf, const struct entry *entry)
{
    const struct namespace *namespace = shelf->namespace;
    const struct policy *policy = &namespace->policy;
    struct engine_tier_stats hot = namespace->tier[TIER_HOT];
    size_t bytes = item_bytes(entry);
    return hot.items < policy->max_items[TIER_HOT] &&
           hot.bytes + bytes <= policy->max_bytes[TIER_HOT] &&
           memory_has_spare(shelf->space->engine, bytes);
}

bool shelf_admits(const struct shelf *shelf, const struct entry *entry)
{
    const struct engine *engine = shelf->space->engine;
    uint32_t ref = shelf_peek(shelf, TIER_HOT);
    /* Cold may be only a step on the way up. A live value is as it would be in
     * hot. */
    if (ref == 0 || !TIERS_HAS(shelf->namespace->policy.tiers, TIER_COLD) ||
        entry_live(entry) != NULL || has_room(shelf, entry)) {
        return true;
    }
    const struct entry *victim = arena_at(&engine->arena, ref);
    if (shelf->eviction == EVICTION_LFU) {
        unsigned ours = access_frequency(engine, entry->access);
        unsigned theirs = access_frequency(engine, victim->access);
        if (ours != theirs) {
            return ours > theirs;
        }
    }
    return access_idle(engine->now_ms, entry->access) <=
           access_idle(engine->now_ms, victim->access);
}
