/* Active expiry: keys are deleted when their time comes, in every tier and
 * without reading anything from disk. */
#include "tiers/engine_internal.h"

void expire_turn(struct engine *engine, uint64_t deadline_us)
{
    if (!engine->options.active_expire) {
        return;
    }
    for (unsigned i = 0; i < engine->options.databases; i++) {
        struct space *space = engine->dbs[i].space;
        for (unsigned steps = 1;; steps++) {
            unsigned moves = 64;
            uint32_t ref = wheel_due(
                &space->wheel, &engine->arena, engine->now_ms, &moves);
            if (ref != 0) {
                uint64_t hash =
                    space_hash(space, arena_at(&engine->arena, ref));
                struct index_slot slot =
                    index_find_ref(&space->index, hash, ref);
                check(slot.ref != NULL);
                db_expire_entry(space, hash, slot);
            } else if (moves > 0) {
                break; /* nothing due */
            }
            if (steps % 16 == 0 && engine_mono_us() >= deadline_us) {
                return;
            }
        }
    }
}
