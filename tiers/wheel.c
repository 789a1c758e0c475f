#include "tiers/wheel.h"

/* Links: the neighbours in the slot's list. The first entry's PREVIOUS is the
 * slot's number instead, so that removal finds the list head without
 * computing which level the entry is in; no reference is that small, because
 * nothing lives in the arena's first slab. */
_Static_assert(
    WHEEL_LEVELS *WHEEL_SLOTS < ARENA_SLAB_UNITS, "slot numbers, not refs");

enum { PREVIOUS, NEXT };

static uint32_t *links_at(const struct arena *arena, uint32_t ref)
{
    return entry_wheel_links(arena_at(arena, ref));
}

static uint64_t expiry_tick(const struct arena *arena, uint32_t ref)
{
    int64_t expiry_ms = entry_deadline_of(arena_at(arena, ref));
    /* Rounded up: a slot fires when all in it are due. */
    return expiry_ms <= 0
               ? 0
               : ((uint64_t)expiry_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

void wheel_init(struct wheel *wheel, int64_t now_ms)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->tick = (uint64_t)now_ms / WHEEL_TICK_MS;
}

static void slot_add(struct wheel *wheel, const struct arena *arena,
    unsigned number, uint32_t ref)
{
    uint32_t *head = &wheel->slots[number / WHEEL_SLOTS][number % WHEEL_SLOTS];
    uint32_t *links = links_at(arena, ref);
    links[PREVIOUS] = number;
    links[NEXT] = *head;
    if (*head != 0) {
        links_at(arena, *head)[PREVIOUS] = ref;
    }
    *head = ref;
    wheel->occupied[number / WHEEL_SLOTS] |= UINT64_C(1)
                                             << (number % WHEEL_SLOTS);
}

/* Points what comes before an entry at `next`. */
static void patch_previous(struct wheel *wheel, const struct arena *arena,
    uint32_t previous, uint32_t next)
{
    if (previous >= WHEEL_LEVELS * WHEEL_SLOTS) {
        links_at(arena, previous)[NEXT] = next;
        return;
    }
    unsigned level = previous / WHEEL_SLOTS;
    unsigned slot = previous % WHEEL_SLOTS;
    wheel->slots[level][slot] = next;
    if (next == 0) {
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    }
}

static void slot_remove(
    struct wheel *wheel, const struct arena *arena, uint32_t ref)
{
    const uint32_t *links = links_at(arena, ref);
    if (links[NEXT] != 0) {
        links_at(arena, links[NEXT])[PREVIOUS] = links[PREVIOUS];
    }
    patch_previous(wheel, arena, links[PREVIOUS], links[NEXT]);
}

/* The slot for an expiry, seen from the wheel's present: the level is that
 * of the highest 6-bit digit in which the two ticks differ. */
static unsigned slot_for(const struct wheel *wheel, uint64_t tick)
{
    if (tick < wheel->tick) {
        tick = wheel->tick;
    }
    uint64_t differ = tick ^ wheel->tick;
    unsigned level =
        differ == 0 ? 0 : (63 - (unsigned)__builtin_clzll(differ)) / 6;
    if (level >= WHEEL_LEVELS) {
        /* Beyond the horizon: the slot that comes round last. */
        level = WHEEL_LEVELS - 1;
        uint64_t last = (wheel->tick >> (6 * level)) - 1;
        return level * WHEEL_SLOTS + (unsigned)(last % WHEEL_SLOTS);
    }
    return level * WHEEL_SLOTS +
           (unsigned)((tick >> (6 * level)) % WHEEL_SLOTS);
}

void wheel_add(struct wheel *wheel, const struct arena *arena, uint32_t ref)
{
    int64_t expiry_ms = entry_expiry_of(arena_at(arena, ref));
    slot_add(wheel, arena, slot_for(wheel, expiry_tick(arena, ref)), ref);
    wheel->items++;
    wheel->keys += expiry_ms != 0;
    wheel->expiry_sum_ms += (uint64_t)expiry_ms;
}

void wheel_remove(struct wheel *wheel, const struct arena *arena, uint32_t ref)
{
    check(wheel->items > 0);
    int64_t expiry_ms = entry_expiry_of(arena_at(arena, ref));
    slot_remove(wheel, arena, ref);
    wheel->items--;
    wheel->keys -= expiry_ms != 0;
    wheel->expiry_sum_ms -= (uint64_t)expiry_ms;
}

void wheel_substitute(struct wheel *wheel, const struct arena *arena,
    uint32_t old_ref, uint32_t new_ref)
{
    const uint32_t *old_links = links_at(arena, old_ref);
    uint32_t *links = links_at(arena, new_ref);
    links[PREVIOUS] = old_links[PREVIOUS];
    links[NEXT] = old_links[NEXT];
    if (links[NEXT] != 0) {
        links_at(arena, links[NEXT])[PREVIOUS] = new_ref;
    }
    patch_previous(wheel, arena, links[PREVIOUS], new_ref);
}

/* Moves entries of the slot that begins now, on each level that begins a
 * slot at this tick, to finer levels. True when nothing is left to move. */
static bool cascade(
    struct wheel *wheel, const struct arena *arena, unsigned *budget)
{
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        if (wheel->tick & ((UINT64_C(1) << (6 * level)) - 1)) {
            continue;
        }
        unsigned slot = (unsigned)((wheel->tick >> (6 * level)) % WHEEL_SLOTS);
        uint32_t ref = wheel->slots[level][slot];
        while (ref != 0) {
            uint32_t next = links_at(arena, ref)[NEXT];
            unsigned to = slot_for(wheel, expiry_tick(arena, ref));
            if (to != level * WHEEL_SLOTS + slot) {
                if (*budget == 0) {
                    return false;
                }
                (*budget)--;
                slot_remove(wheel, arena, ref);
                slot_add(wheel, arena, to, ref);
            }
            ref = next;
        }
    }
    return true;
}

/* The next tick at which something fires or cascades, at most `limit`. */
static uint64_t next_tick(const struct wheel *wheel, uint64_t limit)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t digit = wheel->tick >> (6 * level);
        unsigned slot = (unsigned)(digit % WHEEL_SLOTS);
        /* Bits of the slots after this one, in this turn of the level. */
        uint64_t later = slot == 63 ? 0 : wheel->occupied[level] >> (slot + 1);
        if (later != 0) {
            digit += 1 + (uint64_t)__builtin_ctzll(later);
            uint64_t tick = digit << (6 * level);
            return tick < limit ? tick : limit;
        }
        if (wheel->occupied[level] != 0 && level == WHEEL_LEVELS - 1) {
            /* Wraps round the last level. */
            uint64_t tick = (digit + 1) << (6 * level);
            return tick < limit ? tick : limit;
        }
    }
    return limit;
}

uint32_t wheel_due(struct wheel *wheel, const struct arena *arena,
    int64_t now_ms, unsigned *budget)
{
    uint64_t now = (uint64_t)now_ms / WHEEL_TICK_MS;
    while (wheel->items > 0) {
        if (!cascade(wheel, arena, budget)) {
            return 0;
        }
        uint32_t ref = wheel->slots[0][wheel->tick % WHEEL_SLOTS];
        if (ref != 0 && wheel->tick <= now) {
            return ref;
        }
        if (wheel->tick >= now) {
            return 0;
        }
        wheel->tick = next_tick(wheel, now);
    }
    if (wheel->tick < now) {
        wheel->tick = now;
    }
    return 0;
}

static uint64_t count_slot(
    const struct arena *arena, uint32_t ref, uint64_t now)
{
    uint64_t count = 0;
    for (; ref != 0; ref = links_at(arena, ref)[NEXT]) {
        count += expiry_tick(arena, ref) <= now;
    }
    return count;
}

uint64_t wheel_count_due(
    const struct wheel *wheel, const struct arena *arena, int64_t now_ms)
{
    uint64_t now = (uint64_t)now_ms / WHEEL_TICK_MS;
    uint64_t count = 0;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        /* Ticks of the level until now; all its slots at most. */
        uint64_t first = wheel->tick >> (6 * level);
        uint64_t last = now >> (6 * level);
        for (uint64_t at = first; at <= last && at < first + WHEEL_SLOTS;
             at++) {
            count +=
                count_slot(arena, wheel->slots[level][at % WHEEL_SLOTS], now);
        }
    }
    return count;
}
