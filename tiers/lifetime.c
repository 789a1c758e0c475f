/* hot-ttl, cold-ttl, dry-ttl: what nobody has read for so long leaves its tier.
 *
 * Lists are in order of use, so only their tails need to be looked at. Where a
 * namespace's policy keeps another order, whoever is in front of the tail must
 * wait until the tail has gone. */
#include "tiers/engine_internal.h"

static int64_t idle_ms(const struct engine *engine, uint32_t ref)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    return engine_idle_ms(engine, entry, engine->now_ms);
}

/* False: out of time. */
static bool age_tier(struct shelf *shelf, enum tier tier, uint64_t deadline_us)
{
    const struct engine *engine = shelf->space->engine;
    int64_t limit_ms = shelf_unread_ms(shelf, tier);
    for (unsigned steps = 1; limit_ms != 0; steps++) {
        uint32_t ref = shelf_peek(shelf, tier);
        if (ref == 0 || idle_ms(engine, ref) < limit_ms) {
            break;
        }
        const struct entry *entry = arena_at(&engine->arena, ref);
        if ((entry->bits & ENTRY_PINNED) ||
            !sink_entry(shelf, ref, ENGINE_EXPIRED)) {
            break;
        }
        if (steps % 16 == 0 && engine_mono_us() >= deadline_us) {
            return false;
        }
    }
    return true;
}

bool lifetime_turn(struct engine *engine, uint64_t deadline_us)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        struct shelf *next = NULL;
        for (struct shelf *shelf = engine->dbs[i].space->first_shelf;
             shelf != NULL; shelf = next) {
            next = shelf->next;
            for (int tier = TIER_DRY; tier >= TIER_HOT; tier--) {
                if (!age_tier(shelf, (enum tier)tier, deadline_us)) {
                    return true;
                }
            }
        }
    }
    return false;
}
