/* Expiry in time order without a second table: a hierarchical timing wheel
 * (Varghese and Lauck, 1987) whose slots are lists threaded through the
 * entries that have an expiry. 7 levels of 64 slots, the finest
 * WHEEL_TICK_MS wide; what lies beyond the last level waits in it.
 *
 * Adding, moving and removing are O(1); an entry is moved down at most once a
 * level. One thread. */
#ifndef LARDER_TIERS_WHEEL_H
#define LARDER_TIERS_WHEEL_H

#include "tiers/entry_layout.h"

#define WHEEL_LEVELS 7
#define WHEEL_SLOTS 64
#define WHEEL_TICK_MS 16

struct wheel {
    uint64_t tick;                   /* everything before it has fired */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit a non-empty slot */
    uint32_t slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t items;
    uint64_t keys; /* of the items those whose key has an expiry: not only
                      fields of it */
    /* Sum of the expiries, for the mean time to live; exact, may wrap. */
    uint64_t expiry_sum_ms;
};

/* Starts empty at `now_ms`. */
void wheel_init(struct wheel *wheel, int64_t now_ms);
/* The entry's expiry and wheel links are in the entry itself. */
void wheel_add(struct wheel *wheel, const struct arena *arena, uint32_t ref);
void wheel_remove(struct wheel *wheel, const struct arena *arena, uint32_t ref);
/* `new_ref` (same expiry) takes the place of `old_ref`. */
void wheel_substitute(struct wheel *wheel, const struct arena *arena,
    uint32_t old_ref, uint32_t new_ref);
/* An entry whose expiry is <= now_ms, still in the wheel, or 0 when there is
 * none. Does at most `*budget` moves of entries between levels and takes
 * them off it; 0 with *budget 0 means "ask again". */
uint32_t wheel_due(struct wheel *wheel, const struct arena *arena,
    int64_t now_ms, unsigned *budget);

/* How many entries wheel_due would find. Looks at all of them, and at those
 * in slots of which a part is due. */
uint64_t wheel_count_due(
    const struct wheel *wheel, const struct arena *arena, int64_t now_ms);

#endif
