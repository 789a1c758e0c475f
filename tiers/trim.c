/* Limits of namespaces: what a tier holds above its limit sinks, or is dropped
 * from the last one. A few entries after each command, the rest in turns. */
#include "tiers/engine_internal.h"

/* Entries after one command: more than one command adds, mostly. */
#define COMMAND_STEPS 2
/* Entries between two looks at the clock. */
#define CLOCK_STEPS 4
/* Writers wait for the disk when their namespace is above its limit by more
 * than so many 32nds of it. */
#define PILE_32NDS 1

bool engine_over(const struct engine *engine)
{
    return engine->namespaces.over != NULL;
}

void namespace_note_over(struct engine *engine, struct namespace *namespace)
{
    if (!namespace->over) {
        namespace->over = true;
        namespace->next_over = engine->namespaces.over;
        engine->namespaces.over = namespace;
    }
}

/* Of the namespace's shelves in all databases, the one whose next to leave
 * was used longest ago. */
static struct shelf *coldest(
    const struct engine *engine, struct namespace *namespace, enum tier tier)
{
    struct shelf *found = NULL;
    uint32_t most_idle = 0;
    if (namespace->shelves != NULL &&
        namespace->shelves->next_of_namespace == NULL) {
        return namespace->shelves;
    }
    for (struct shelf *shelf = namespace->shelves; shelf != NULL;
         shelf = shelf->next_of_namespace) {
        uint32_t ref = shelf_peek(shelf, tier);
        if (ref == 0) {
            continue;
        }
        const struct entry *entry = arena_at(&engine->arena, ref);
        uint32_t idle = access_idle(engine->now_ms, entry->access);
        /* Of those used in the same quarter of a second, the fullest. */
        if (found == NULL || idle > most_idle ||
            (idle == most_idle &&
                shelf->tier[tier].items > found->tier[tier].items)) {
            found = shelf;
            most_idle = idle;
        }
    }
    return found;
}

/* One step towards the limits. False: they hold, or nothing can be done. */
static bool trim_one(const struct engine *engine, struct namespace *namespace)
{
    /* From below, so that what sinks finds room. */
    for (int tier = TIER_DRY; tier >= TIER_HOT; tier--) {
        if (!namespace_is_over(namespace, (enum tier)tier)) {
            continue;
        }
        struct shelf *shelf = coldest(engine, namespace, (enum tier)tier);
        if (shelf != NULL && sink_from(shelf, (enum tier)tier)) {
            return true;
        }
    }
    return false;
}

static bool is_over(const struct namespace *namespace)
{
    return namespace_is_over(namespace, TIER_HOT) ||
           namespace_is_over(namespace, TIER_COLD) ||
           namespace_is_over(namespace, TIER_DRY);
}

/* Those that keep their limits leave the list. */
static void settle(struct engine *engine)
{
    struct namespace **link = &engine->namespaces.over;
    while (*link != NULL) {
        struct namespace *namespace = *link;
        if (is_over(namespace)) {
            link = &namespace->next_over;
        } else {
            namespace->over = false;
            *link = namespace->next_over;
        }
    }
}

bool namespaces_wait_for_disk(const struct engine *engine)
{
    return engine->namespaces.over != NULL && log_waits_for_disk(engine);
}

bool namespace_piles_up(const struct namespace *namespace)
{
    return namespace_is_above(namespace, TIER_HOT, PILE_32NDS) ||
           namespace_is_above(namespace, TIER_COLD, PILE_32NDS);
}

void engine_trim(struct engine *engine, int64_t now_ms)
{
    engine->now_ms = now_ms;
    for (struct namespace *namespace = engine->namespaces.over;
         namespace != NULL; namespace = namespace->next_over) {
        unsigned steps = 0;
        while (steps < COMMAND_STEPS && trim_one(engine, namespace)) {
            steps++;
        }
    }
    settle(engine);
}

bool trim_turn(struct engine *engine, uint64_t deadline_us)
{
    bool more = false;
    for (struct namespace *namespace = engine->namespaces.over;
         namespace != NULL; namespace = namespace->next_over) {
        unsigned steps = 1;
        while (trim_one(engine, namespace)) {
            if (steps++ % CLOCK_STEPS == 0 && engine_mono_us() >= deadline_us) {
                more = true;
                break;
            }
        }
    }
    settle(engine);
    return more;
}
