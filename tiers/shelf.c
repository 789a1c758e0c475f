/* Where entries stand in order of use, and what they add up to. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

static uint16_t free_number(struct engine *engine)
{
    for (unsigned i = 0; i < engine->shelf_capacity; i++) {
        if (engine->shelves[i] == NULL) {
            return (uint16_t)i;
        }
    }
    unsigned number = engine->shelf_capacity;
    unsigned grown = number * 2 + 16;
    check(grown <= UINT16_MAX);
    engine->shelves =
        xrealloc(engine->shelves, grown * sizeof(*engine->shelves));
    memset(engine->shelves + number, 0,
        (grown - number) * sizeof(*engine->shelves));
    engine->shelf_capacity = grown;
    return (uint16_t)number;
}

struct shelf *shelf_create(struct space *space)
{
    struct engine *engine = space->engine;
    struct shelf *shelf = xcalloc(1, sizeof *shelf);
    shelf->space = space;
    shelf->number = free_number(engine);
    engine->shelves[shelf->number] = shelf;
    return shelf;
}

void shelf_destroy(struct shelf *shelf)
{
    shelf->space->engine->shelves[shelf->number] = NULL;
    free(shelf);
}

struct lru *shelf_list(struct shelf *shelf, const struct entry *entry)
{
    switch (entry_tier_of(entry)) {
    case TIER_HOT:
        return &shelf->hot;
    case TIER_COLD:
        return (entry->bits & ENTRY_SINKING) ? &shelf->sinking : &shelf->cold;
    default:
        return NULL;
    }
}

void shelf_count(struct engine *engine, uint32_t ref, int sign)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    size_t outside = entry_outside_bytes(entry);
    size_t bytes = arena_slot_bytes(&engine->arena, ref) + outside;
    engine->blob_bytes += (size_t)sign * outside;
    struct engine_tier_stats *tier =
        &shelf_of(engine, entry)->tier[entry_tier_of(entry)];
    tier->items += (uint64_t)sign;
    tier->bytes += (uint64_t)sign * bytes;
}

void shelf_count_live(
    struct engine *engine, const struct entry *entry, size_t before)
{
    size_t grown = entry_outside_bytes(entry) - before;
    engine->blob_bytes += grown;
    shelf_of(engine, entry)->tier[entry_tier_of(entry)].bytes += grown;
}

void shelf_link(struct engine *engine, uint32_t ref)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    struct lru *list = shelf_list(shelf_of(engine, entry), entry);
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

void shelf_relink(
    struct engine *engine, uint32_t old_ref, uint32_t ref, enum link_at where)
{
    const struct arena *arena = &engine->arena;
    const struct entry *entry = arena_at(arena, ref);
    struct shelf *shelf = shelf_of(engine, entry);
    struct lru *list = shelf_list(shelf, entry);
    if (where == LINK_SAME && list != NULL &&
        list == shelf_list(shelf, arena_at(arena, old_ref))) {
        lru_substitute(list, arena, old_ref, ref);
    } else {
        shelf_unlink(engine, old_ref);
        shelf_link(engine, ref);
    }
}

void shelf_use(struct engine *engine, struct entry *entry)
{
    struct lru *list = shelf_list(shelf_of(engine, entry), entry);
    uint32_t ref = arena_ref(&engine->arena, entry);
    bool sinking = (entry->bits & ENTRY_SINKING) != 0;
    if (list == NULL || (list->head == ref && !sinking)) {
        return;
    }
    lru_remove(list, &engine->arena, ref);
    /* In use again: it need not sink. */
    entry->bits &= (uint16_t)~ENTRY_SINKING;
    shelf_link(engine, ref);
}

void shelf_cool(struct engine *engine, uint32_t ref, uint16_t bits)
{
    shelf_count(engine, ref, -1);
    shelf_unlink(engine, ref);
    struct entry *entry = arena_at(&engine->arena, ref);
    entry->bits = bits;
    shelf_link(engine, ref);
    shelf_count(engine, ref, 1);
}

void shelf_sink(struct engine *engine, uint32_t ref)
{
    struct entry *entry = arena_at(&engine->arena, ref);
    shelf_unlink(engine, ref);
    entry->bits |= ENTRY_SINKING;
    shelf_link(engine, ref);
}
