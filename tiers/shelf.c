/* Where entries stand in order of use, and what they add up to. */
#include <stdlib.h>

#include "tiers/engine_internal.h"
#include "tiers/ghost.h"

/* Entry numbers are 16 bits; the last ones are kept for default namespaces,
 * of which each database needs one. */
#define NUMBERS_MAX UINT16_MAX
#define NUMBERS_FOR_ALL (NUMBERS_MAX - 2 * ENGINE_MAX_DATABASES)
#define FREQUENCIES (ACCESS_FREQUENCY_MASK + 1)

/* ---- making and finding ---- */

static unsigned free_number(struct engine *engine)
{
    for (unsigned i = 0; i < engine->shelf_capacity; i++) {
        if (engine->shelves[i] == NULL) {
            return i;
        }
    }
    unsigned number = engine->shelf_capacity;
    unsigned grown = number * 2 + 16;
    if (grown > NUMBERS_MAX) {
        grown = NUMBERS_MAX;
    }
    check(number < grown);
    engine->shelves =
        xrealloc(engine->shelves, grown * sizeof(*engine->shelves));
    memset(engine->shelves + number, 0,
        (grown - number) * sizeof(*engine->shelves));
    engine->shelf_capacity = grown;
    return number;
}

bool policy_links_dry(const struct policy *policy)
{
    return policy->max_bytes[TIER_DRY] != UINT64_MAX ||
           policy->max_items[TIER_DRY] != UINT64_MAX ||
           policy->unread_ms[TIER_DRY] != 0;
}

const struct tag_policy *policy_tag(const struct policy *policy, uint32_t tag)
{
    for (unsigned i = 0; i < policy->tag_count; i++) {
        if (policy->tags[i].tag == tag) {
            return &policy->tags[i];
        }
    }
    return NULL;
}

/* Made anew when the rules of its tag change. */
static void set_tag(
    struct shelf *shelf, const struct policy *policy, uint32_t tag)
{
    shelf->tag = tag;
    memcpy(shelf->unread_ms, policy_tag(policy, tag)->unread_ms,
        sizeof shelf->unread_ms);
    shelf->links_dry |= shelf->unread_ms[TIER_DRY] != 0;
}

static struct shelf *shelf_create(
    struct space *space, struct namespace *namespace, unsigned number)
{
    struct engine *engine = space->engine;
    struct shelf *shelf = xcalloc_lines(sizeof *shelf);
    shelf->space = space;
    shelf->namespace = namespace;
    shelf->number = (uint16_t)number;
    shelf->eviction = (uint8_t) namespace->policy.eviction;
    shelf->links_dry = policy_links_dry(&namespace->policy);
    shelf->schema_version = namespace->policy.schema_version;
    if (shelf->eviction == EVICTION_LFU) {
        shelf->more = xcalloc(FREQUENCIES, sizeof *shelf->more);
    } else if (shelf->eviction == EVICTION_S3_FIFO) {
        shelf->more = xcalloc(1, sizeof *shelf->more);
        shelf->ghost = ghost_create(&engine->index_bytes);
    }
    shelf->next = space->first_shelf;
    space->first_shelf = shelf;
    shelf->next_of_namespace = namespace->shelves;
    namespace->shelves = shelf;
    engine->shelves[number] = shelf;
    return shelf;
}

static void make_place(struct space *space, unsigned number)
{
    if (number < space->shelf_capacity) {
        return;
    }
    unsigned capacity = number + 8;
    space->shelves =
        xrealloc(space->shelves, capacity * sizeof(struct shelf *));
    memset(space->shelves + space->shelf_capacity, 0,
        (capacity - space->shelf_capacity) * sizeof(struct shelf *));
    space->shelf_capacity = capacity;
}

static struct shelf *tagged_shelf(
    struct space *space, struct namespace *namespace, uint32_t tag)
{
    struct shelf *shelf = namespace->shelves;
    while (shelf != NULL &&
           (shelf->space != space || shelf->tag != tag || shelf->renewed)) {
        shelf = shelf->next_of_namespace;
    }
    unsigned number = shelf == NULL ? free_number(space->engine) : 0;
    if (shelf == NULL && number < NUMBERS_FOR_ALL) {
        shelf = shelf_create(space, namespace, number);
        set_tag(shelf, &namespace->policy, tag);
    }
    return shelf;
}

struct shelf *shelf_for(
    struct space *space, struct namespace *namespace, uint32_t tag)
{
    struct engine *engine = space->engine;
    unsigned place = namespace->number;
    if (tag != 0 && policy_tag(&namespace->policy, tag) != NULL) {
        struct shelf *shelf = tagged_shelf(space, namespace, tag);
        if (shelf != NULL) {
            return shelf;
        }
    }
    if (place < space->shelf_capacity && space->shelves[place] != NULL) {
        return space->shelves[place];
    }
    unsigned number = free_number(engine);
    if (number >= NUMBERS_FOR_ALL && namespace != engine->namespaces.fallback) {
        return shelf_for(space, engine->namespaces.fallback, 0);
    }
    make_place(space, place);
    space->shelves[place] = shelf_create(space, namespace, number);
    return space->shelves[place];
}

static void leave_list(struct shelf **list, struct shelf *shelf, bool of_space)
{
    while (*list != shelf) {
        list = of_space ? &(*list)->next : &(*list)->next_of_namespace;
    }
    *list = of_space ? shelf->next : shelf->next_of_namespace;
}

void shelf_add_hits(uint64_t hits[3], const struct shelf *shelf)
{
    for (unsigned tier = 0; tier < 3; tier++) {
        hits[tier] += shelf->hits[tier];
    }
}

void shelf_leave_namespace(struct shelf *shelf)
{
    if (shelf->namespace != NULL) {
        leave_list(&shelf->namespace->shelves, shelf, false);
        shelf_add_hits(shelf->namespace->counters.hits, shelf);
        shelf->namespace = NULL;
    }
}

void shelf_destroy(struct shelf *shelf)
{
    struct space *space = shelf->space;
    leave_list(&space->first_shelf, shelf, true);
    shelf_leave_namespace(shelf);
    for (unsigned i = 0; i < space->shelf_capacity; i++) {
        if (space->shelves[i] == shelf) {
            space->shelves[i] = NULL;
        }
    }
    space->engine->shelves[shelf->number] = NULL;
    ghost_destroy(shelf->ghost);
    free(shelf->more);
    free(shelf);
}

unsigned shelf_more_lists(const struct shelf *shelf)
{
    if (shelf->more == NULL) {
        return 0;
    }
    return shelf->eviction == EVICTION_LFU ? FREQUENCIES : 1;
}

bool shelf_is_empty(const struct shelf *shelf)
{
    return shelf->tier[TIER_HOT].items + shelf->tier[TIER_COLD].items +
               shelf->tier[TIER_DRY].items ==
           0;
}

/* ---- lists ---- */

static unsigned frequency(const struct entry *entry)
{
    return entry->access & ACCESS_FREQUENCY_MASK;
}

uint16_t shelf_bits(const struct shelf *shelf, uint16_t bits)
{
    switch ((bits & ENTRY_TIER_MASK) >> ENTRY_TIER_SHIFT) {
    case TIER_COLD:
        /* Cold is only a step on the way up where it is not used. */
        return TIERS_HAS(shelf->namespace->policy.tiers, TIER_COLD)
                   ? bits
                   : bits | ENTRY_TOUCHED;
    case TIER_DRY:
        return (uint16_t)(shelf->links_dry ? bits | ENTRY_LINKED
                                           : bits & ~ENTRY_LINKED);
    default:
        return bits;
    }
}

struct lru *shelf_list(struct shelf *shelf, const struct entry *entry)
{
    switch (entry_tier_of(entry)) {
    case TIER_HOT:
        if (shelf->more == NULL) {
            return &shelf->hot;
        }
        if (shelf->eviction == EVICTION_LFU) {
            return &shelf->more[frequency(entry)];
        }
        return (entry->bits & ENTRY_MAIN) ? shelf->more : &shelf->hot;
    case TIER_COLD:
        return (entry->bits & ENTRY_SINKING) ? &shelf->sinking : &shelf->cold;
    case TIER_DRY:
        return (entry->bits & ENTRY_LINKED) ? &shelf->dry : NULL;
    default:
        return NULL;
    }
}

/* Adds to the sums that an entry is part of. */
static void count_entry(struct engine *engine, const struct entry *entry,
    uint64_t items, uint64_t bytes)
{
    struct shelf *shelf = shelf_of(engine, entry);
    struct namespace *namespace = shelf->namespace;
    enum tier tier = entry_tier_of(entry);
    bool sinking = tier == TIER_COLD && (entry->bits & ENTRY_SINKING) != 0;
    shelf->space->tier_items[tier] += items;
    shelf->tier[tier].items += items;
    shelf->tier[tier].bytes += bytes;
    if (sinking) {
        shelf->sinking_now.items += items;
        shelf->sinking_now.bytes += bytes;
    }
    if (namespace == NULL) {
        return;
    }
    namespace->tier[tier].items += items;
    namespace->tier[tier].bytes += bytes;
    if (sinking) {
        namespace->sinking.items += items;
        namespace->sinking.bytes += bytes;
    }
    if (__builtin_expect(namespace_is_over(namespace, tier), 0)) {
        namespace_note_over(engine, namespace);
    }
}

void shelf_count(struct engine *engine, uint32_t ref, int sign)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    size_t outside = entry_outside_bytes(entry);
    size_t bytes = arena_slot_bytes(&engine->arena, ref) + outside;
    engine->blob_bytes += (size_t)sign * outside;
    count_entry(engine, entry, (uint64_t)sign, (uint64_t)sign * bytes);
}

void shelf_count_live(
    struct engine *engine, const struct entry *entry, size_t grown)
{
    engine->blob_bytes += grown;
    count_entry(engine, entry, 0, grown);
}

/* S3-FIFO: a key that has left the small queue lately goes to the main one.
 * Every key begins to count its uses anew. */
static void choose_queue(struct shelf *shelf, struct entry *entry)
{
    uint64_t hash = space_hash(shelf->space, entry);
    entry->access &= ~ACCESS_FREQUENCY_MASK;
    if (ghost_take(shelf->ghost, hash)) {
        entry->bits |= ENTRY_MAIN;
    } else {
        entry->bits &= (uint16_t)~ENTRY_MAIN;
    }
}

void shelf_link(struct engine *engine, uint32_t ref)
{
    struct entry *entry = arena_at(&engine->arena, ref);
    struct shelf *shelf = shelf_of(engine, entry);
    if (shelf->ghost != NULL && entry_tier_of(entry) == TIER_HOT) {
        choose_queue(shelf, entry);
    }
    struct lru *list = shelf_list(shelf, entry);
    if (list != NULL) {
        lru_push_head(list, &engine->arena, ref);
    }
}

void shelf_unlink(struct engine *engine, uint32_t ref)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    struct lru *list = shelf_list(shelf_of(engine, entry), entry);
    if (list != NULL) {
        lru_remove(list, &engine->arena, ref);
    }
}

/* Does a use change an entry's place? */
static bool moves_on_use(const struct shelf *shelf)
{
    return shelf->eviction == EVICTION_LRU || shelf->eviction == EVICTION_LFU ||
           shelf->eviction == EVICTION_NONE;
}

void shelf_relink(
    struct engine *engine, uint32_t old_ref, uint32_t ref, enum link_at where)
{
    const struct arena *arena = &engine->arena;
    const struct entry *old = arena_at(arena, old_ref);
    struct entry *entry = arena_at(arena, ref);
    struct shelf *shelf = shelf_of(engine, entry);
    if (entry_tier_of(old) == TIER_HOT && entry_tier_of(entry) == TIER_HOT) {
        entry->bits |= old->bits & ENTRY_MAIN;
    }
    struct lru *list = shelf_list(shelf, entry);
    bool stays = where == LINK_SAME || !moves_on_use(shelf);
    if (stays && list != NULL && old->shelf == entry->shelf &&
        list == shelf_list(shelf, old)) {
        lru_substitute(list, arena, old_ref, ref);
    } else {
        shelf_unlink(engine, old_ref);
        shelf_link(engine, ref);
    }
}

/* The entry's state bits change, and with them its list. */
static void change_bits(struct engine *engine, uint32_t ref, uint16_t bits)
{
    struct entry *entry = arena_at(&engine->arena, ref);
    shelf_count(engine, ref, -1);
    shelf_unlink(engine, ref);
    entry->bits = bits;
    shelf_link(engine, ref);
    shelf_count(engine, ref, 1);
}

void shelf_cool(struct engine *engine, uint32_t ref, uint16_t bits)
{
    change_bits(engine, ref, bits);
}

void shelf_sink(struct engine *engine, uint32_t ref)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    change_bits(engine, ref, entry->bits | ENTRY_SINKING);
}

void shelf_place_last(
    struct engine *engine, struct entry *entry, uint32_t access)
{
    struct shelf *shelf = shelf_of(engine, entry);
    uint32_t ref = arena_ref(&engine->arena, entry);
    lru_remove(shelf_list(shelf, entry), &engine->arena, ref);
    entry->access = access;
    lru_push_tail(shelf_list(shelf, entry), &engine->arena, ref);
}

void shelf_use(struct engine *engine, struct entry *entry)
{
    struct shelf *shelf = shelf_of(engine, entry);
    struct lru *list = shelf_list(shelf, entry);
    uint32_t access = access_next(engine, entry->access);
    uint32_t ref = arena_ref(&engine->arena, entry);
    if (list == &shelf->sinking) {
        /* In use again: it need not sink. */
        entry->access = access;
        change_bits(engine, ref, (uint16_t)(entry->bits & ~ENTRY_SINKING));
        return;
    }
    bool stays = list == NULL || !moves_on_use(shelf) ||
                 (list->head == ref && shelf->eviction != EVICTION_LFU);
    if (stays) {
        entry->access = access;
        return;
    }
    lru_remove(list, &engine->arena, ref);
    entry->access = access;
    lru_push_head(shelf_list(shelf, entry), &engine->arena, ref);
}
