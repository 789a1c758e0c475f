#include <stdlib.h>

#include "tiers/engine_internal.h"

static uint16_t free_number(struct engine *engine)
{
    for (unsigned i = 0; i < engine->space_capacity; i++) {
        if (engine->spaces[i] == NULL) {
            return (uint16_t)i;
        }
    }
    unsigned grown = engine->space_capacity * 2;
    check(grown <= UINT16_MAX);
    engine->spaces = xrealloc(engine->spaces, grown * sizeof(*engine->spaces));
    memset(engine->spaces + engine->space_capacity, 0,
        engine->space_capacity * sizeof(*engine->spaces));
    unsigned number = engine->space_capacity;
    engine->space_capacity = grown;
    return (uint16_t)number;
}

struct space *space_create(struct engine *engine, struct db *db)
{
    struct space *space = xcalloc(1, sizeof *space);
    space->engine = engine;
    space->db = db;
    space->keyspace = engine->next_keyspace++;
    space->number = free_number(engine);
    engine->spaces[space->number] = space;
    index_init(
        &space->index, &engine->arena, engine->secret, &engine->index_bytes);
    wheel_init(&space->wheel, engine->now_ms);
    return space;
}

struct space *space_of(const struct engine *engine, const struct entry *entry)
{
    return engine->spaces[entry->space];
}

struct space *space_by_keyspace(const struct engine *engine, uint32_t keyspace)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        if (engine->dbs[i].space->keyspace == keyspace) {
            return engine->dbs[i].space;
        }
    }
    return NULL;
}

uint64_t space_hash(const struct space *space, const struct entry *entry)
{
    return index_hash(space->index.secret, entry_key_of(entry));
}

struct lru *space_list(struct space *space, const struct entry *entry)
{
    switch (entry_tier_of(entry)) {
    case TIER_HOT:
        return &space->hot;
    case TIER_COLD:
        return (entry->bits & ENTRY_SINKING) ? &space->sinking : &space->cold;
    default:
        return NULL;
    }
}

size_t entry_memory_bytes_at(const struct engine *engine, uint32_t ref)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    const struct blob *blob = entry_blob(entry);
    return arena_slot_bytes(&engine->arena, ref) +
           (blob != NULL ? memory_blob_bytes(blob) : 0);
}

/* Adds (sign 1) or takes (sign -1) an entry to and from the counters. */
static void count_entry(struct space *space, uint32_t ref, int sign)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, ref);
    size_t bytes = arena_slot_bytes(&engine->arena, ref);
    const struct blob *blob = entry_blob(entry);
    if (blob != NULL) {
        size_t blob_bytes = memory_blob_bytes(blob);
        bytes += blob_bytes;
        engine->blob_bytes += (size_t)sign * blob_bytes;
    }
    struct engine_tier_stats *tier = &space->tier[entry_tier_of(entry)];
    tier->items += (uint64_t)sign;
    tier->bytes += (uint64_t)sign * bytes;
}

static uint32_t make_entry(struct space *space, const struct entry_spec *spec)
{
    struct engine *engine = space->engine;
    uint32_t ref = arena_alloc(&engine->arena, entry_slot_size(spec));
    /* engine_admit refuses writes before the range is used up. */
    check(ref != 0);
    struct entry *entry = arena_at(&engine->arena, ref);
    entry_write(entry, spec);
    entry->space = space->number;
    return ref;
}

struct entry *space_insert(
    struct space *space, uint64_t hash, const struct entry_spec *spec)
{
    const struct arena *arena = &space->engine->arena;
    uint32_t ref = make_entry(space, spec);
    struct entry *entry = arena_at(arena, ref);
    struct lru *list = space_list(space, entry);
    if (list != NULL) {
        lru_push_head(list, arena, ref);
    }
    if (entry->bits & ENTRY_HAS_EXPIRY) {
        wheel_add(&space->wheel, arena, ref);
    }
    count_entry(space, ref, 1);
    index_insert(&space->index, hash, ref);
    return entry;
}

/* The old entry leaves its list, the new one takes its place or the head. */
static void relink(
    struct space *space, uint32_t old_ref, uint32_t ref, enum link_at where)
{
    const struct arena *arena = &space->engine->arena;
    struct entry *old = arena_at(arena, old_ref);
    struct entry *entry = arena_at(arena, ref);
    struct lru *old_list = space_list(space, old);
    struct lru *list = space_list(space, entry);
    if (where == LINK_SAME && list == old_list && list != NULL) {
        lru_substitute(list, arena, old_ref, ref);
    } else {
        if (old_list != NULL) {
            lru_remove(old_list, arena, old_ref);
        }
        if (list != NULL) {
            lru_push_head(list, arena, ref);
        }
    }
    int64_t old_expiry = entry_expiry_of(old);
    int64_t expiry = entry_expiry_of(entry);
    if (old_expiry != 0 && old_expiry == expiry) {
        wheel_substitute(&space->wheel, arena, old_ref, ref);
        return;
    }
    if (old_expiry != 0) {
        wheel_remove(&space->wheel, arena, old_ref);
    }
    if (expiry != 0) {
        wheel_add(&space->wheel, arena, ref);
    }
}

struct entry *space_replace(struct space *space, struct index_slot slot,
    const struct entry_spec *spec, enum link_at where)
{
    struct engine *engine = space->engine;
    uint32_t old_ref = *slot.ref;
    struct entry *old = arena_at(&engine->arena, old_ref);
    uint32_t ref = make_entry(space, spec);
    struct blob *old_blob = entry_blob(old);
    struct entry *entry = arena_at(&engine->arena, ref);
    count_entry(space, old_ref, -1);
    relink(space, old_ref, ref, where);
    count_entry(space, ref, 1);
    if (old_blob != entry_blob(entry)) {
        blob_unref(old_blob);
    }
    *slot.ref = ref;
    arena_free(&engine->arena, old_ref);
    return entry;
}

static void free_entry(struct space *space, uint32_t ref)
{
    struct engine *engine = space->engine;
    struct entry *entry = arena_at(&engine->arena, ref);
    count_entry(space, ref, -1);
    blob_unref(entry_blob(entry));
    arena_free(&engine->arena, ref);
}

void space_remove(struct space *space, uint64_t hash, struct index_slot slot)
{
    const struct arena *arena = &space->engine->arena;
    uint32_t ref = *slot.ref;
    struct entry *entry = arena_at(arena, ref);
    struct lru *list = space_list(space, entry);
    if (list != NULL) {
        lru_remove(list, arena, ref);
    }
    if (entry->bits & ENTRY_HAS_EXPIRY) {
        wheel_remove(&space->wheel, arena, ref);
    }
    index_remove(&space->index, hash, slot);
    free_entry(space, ref);
}

void space_use(struct space *space, struct entry *entry)
{
    struct lru *list = space_list(space, entry);
    const struct arena *arena = &space->engine->arena;
    uint32_t ref = arena_ref(arena, entry);
    bool sinking = (entry->bits & ENTRY_SINKING) != 0;
    if (list == NULL || (list->head == ref && !sinking)) {
        return;
    }
    lru_remove(list, arena, ref);
    if (sinking) {
        /* In use again: it need not sink. */
        entry->bits &= (uint16_t)~ENTRY_SINKING;
        list = &space->cold;
    }
    lru_push_head(list, arena, ref);
}

#define CLEAR_VISIT_MAX 256

struct clear_visit {
    unsigned count;
    bool more;
    uint32_t refs[CLEAR_VISIT_MAX];
    uint64_t hashes[CLEAR_VISIT_MAX];
};

static void on_clear(void *context, uint32_t ref, uint64_t hash)
{
    struct clear_visit *visit = context;
    if (visit->count == CLEAR_VISIT_MAX) {
        visit->more = true;
        return;
    }
    visit->refs[visit->count] = ref;
    visit->hashes[visit->count] = hash;
    visit->count++;
}

/* Entries leave the index one by one, because a scan reads the entries of
 * neighbouring buckets too; lists and wheel go as a whole. */
bool space_clear(struct space *space, unsigned budget)
{
    struct engine *engine = space->engine;
    for (unsigned freed = 0; space->index.count > 0 && freed < budget;) {
        struct clear_visit visit = {0};
        uint64_t next =
            index_scan(&space->index, space->clear_position, on_clear, &visit);
        for (unsigned i = 0; i < visit.count; i++) {
            struct index_slot slot =
                index_find_ref(&space->index, visit.hashes[i], visit.refs[i]);
            index_remove(&space->index, visit.hashes[i], slot);
            free_entry(space, visit.refs[i]);
        }
        freed += visit.count + 1;
        if (!visit.more) {
            space->clear_position = next;
        }
    }
    if (space->index.count > 0) {
        return false;
    }
    index_finish(&space->index);
    engine->spaces[space->number] = NULL;
    free(space);
    return true;
}

struct recount {
    const struct space *space;
    struct engine_tier_stats tier[3];
    uint64_t expiring;
    uint64_t live_records, live_bytes;
};

static void on_recount(void *context, uint32_t ref, uint64_t hash)
{
    struct recount *recount = context;
    const struct arena *arena = &recount->space->engine->arena;
    const struct entry *entry = arena_at(arena, ref);
    (void)hash;
    check(entry->space == recount->space->number);
    recount->tier[entry_tier_of(entry)].items++;
    recount->tier[entry_tier_of(entry)].bytes +=
        entry_memory_bytes_at(recount->space->engine, ref);
    recount->expiring += (entry->bits & ENTRY_HAS_EXPIRY) ? 1 : 0;
    if (entry_id_of(entry) != 0) {
        recount->live_records++;
        recount->live_bytes += entry_record_bytes(entry) + RECORD_HEADER_BYTES;
    }
}

void space_sane(const struct space *space)
{
    struct recount recount = {.space = space};
    uint64_t position = 0;
    index_sane(&space->index);
    do {
        position = index_scan(&space->index, position, on_recount, &recount);
    } while (position != 0);
    for (unsigned tier = 0; tier < 3; tier++) {
        check(recount.tier[tier].items == space->tier[tier].items);
        check(recount.tier[tier].bytes == space->tier[tier].bytes);
    }
    check(recount.live_records == space->live_records);
    check(recount.live_bytes == space->live_bytes);
    check(recount.expiring == space->wheel.items);
    check(space->hot.items == space->tier[TIER_HOT].items);
    check(space->cold.items + space->sinking.items ==
          space->tier[TIER_COLD].items);
}
