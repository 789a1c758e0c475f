/* Active expiry: keys are deleted when their time comes, in every tier and
 * without reading anything from disk. */
#include "tiers/engine_internal.h"

/* What a command that asks for it may take. */
#define CALL_US 1000

/* True: it was about fields, which may have taken its time. */
static bool expire_ref(struct space *space, uint32_t ref)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, ref);
    bool fields = entry_expires_fields(entry->bits);
    uint64_t hash = space_hash(space, entry);
    struct index_slot slot = index_find_ref(&space->index, hash, ref);
    check(slot.ref != NULL);
    if (fields) {
        fields_turn(space, hash, slot);
    } else {
        db_expire_entry(space, hash, slot);
    }
    return fields;
}

/* True: out of time. */
static bool expire_space(struct space *space, uint64_t deadline_us)
{
    struct engine *engine = space->engine;
    for (unsigned steps = 1;; steps++) {
        unsigned moves = 64;
        bool fields = false;
        uint32_t ref =
            wheel_due(&space->wheel, &engine->arena, engine->now_ms, &moves);
        if (ref != 0) {
            fields = expire_ref(space, ref);
        } else if (moves > 0) {
            return false; /* nothing due */
        }
        if ((fields || steps % 16 == 0) && engine_mono_us() >= deadline_us) {
            return true;
        }
    }
}

static bool expire_all(struct engine *engine, uint64_t deadline_us)
{
    bool more = false;
    for (unsigned i = 0; i < engine->options.databases && !more; i++) {
        more = expire_space(engine->dbs[i].space, deadline_us);
    }
    return more;
}

bool expire_turn(struct engine *engine, uint64_t deadline_us)
{
    return engine->options.active_expire &&
           (expire_all(engine, deadline_us) ||
               lifetime_turn(engine, deadline_us));
}

bool engine_expire(struct engine *engine, int64_t now_ms)
{
    engine->now_ms = now_ms;
    return expire_all(engine, engine_mono_us() + CALL_US);
}

uint64_t engine_expired_waiting(const struct engine *engine, int64_t now_ms)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < engine->options.databases; i++) {
        const struct space *space = engine->dbs[i].space;
        count += wheel_count_due(&space->wheel, &engine->arena, now_ms);
    }
    return count;
}
