/* Memory that is free but scattered: a slab of the arena gives its memory back
 * only when its last slot is free, while entries sink in the order of their
 * use, from all over the place. So the entries of a sparse slab move into the
 * free slots of others: a value in RAM is worth more than the gap beside it. */
#include <stdlib.h>

#include "tiers/engine_internal.h"

/* The entry as it is, in another slot. */
static void move_entry(struct space *space, uint32_t ref)
{
    const struct entry *entry = arena_at(&space->engine->arena, ref);
    struct index_slot slot =
        index_find_ref(&space->index, space_hash(space, entry), ref);
    struct entry_spec spec;
    check(slot.ref != NULL);
    entry_describe(entry, &spec);
    space_replace(space, slot, &spec, LINK_SAME);
}

bool compact_slab(struct engine *engine)
{
    struct arena *arena = &engine->arena;
    if (arena_drain_begin(arena) == 0) {
        return false;
    }
    uint32_t *refs = xmalloc(ARENA_SLAB_UNITS * sizeof *refs);
    size_t count = arena_drain_refs(arena, refs);
    size_t moved = 0;
    for (; moved < count && arena_drain_fits(arena); moved++) {
        struct space *space = space_of(engine, arena_at(arena, refs[moved]));
        if (space->db == NULL) {
            break; /* flushed: its lists are dissolving, it all goes anyway */
        }
        move_entry(space, refs[moved]);
    }
    free(refs);
    arena_drain_end(arena);
    return moved == count;
}
