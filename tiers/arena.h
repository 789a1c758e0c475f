/* Slab arena: small allocations named by 32-bit references instead of
 * pointers, so that an index slot costs 4 bytes and lists 8.
 *
 *   [ slab | slab | slab | ... ]   one reserved address range
 *   a slab = ARENA_SLAB_BYTES of slots of one size class
 *   reference = byte offset / 8; 0 is never a slot
 *
 * Size classes are 8 bytes apart up to 128 and 1/16 of a power of two above,
 * so that rounding wastes 6 % at most. Larger than a slab (very long keys): a
 * run of slabs. A slab whose last slot is freed gives its memory back, but for
 * a few that stay warm. One thread. */
#ifndef LARDER_TIERS_ARENA_H
#define LARDER_TIERS_ARENA_H

#include "protocol/bytes.h"

#define ARENA_SLAB_BYTES ((size_t)64 * 1024)
#define ARENA_CLASSES 160 /* up to a whole slab */
#define ARENA_UNIT_SHIFT 3
#define ARENA_SLAB_UNITS (ARENA_SLAB_BYTES >> ARENA_UNIT_SHIFT)

struct arena_slab;

struct arena {
    char *base;
    size_t reserved_bytes;
    struct arena_slab *slabs; /* by slab number, in its own mapping */
    uint32_t slab_limit;
    uint32_t slabs_ever;             /* slabs [1, slabs_ever) were used */
    uint32_t partial[ARENA_CLASSES]; /* slabs with a free slot, 0: none */
    uint32_t warm, warm_count;       /* no slot in use, memory kept */
    uint32_t vacant;                 /* no slot in use, memory given back */
    size_t committed_bytes;          /* slabs that hold memory */
    size_t live_bytes;               /* slots in use, class sizes */
    uint32_t sparse_from; /* where the next search for a sparse slab begins */
    uint32_t draining;    /* slab that gets no new slots, 0: none */
};

/* Reserves address space for `reserve_bytes` (at most 32 GiB); takes no
 * memory. False when the range cannot be reserved. */
bool arena_init(struct arena *arena, size_t reserve_bytes);
/* Gives everything back. */
void arena_finish(struct arena *arena);

/* A slot of at least `size` bytes (> 0), uninitialised. 0 when the reserved
 * range is used up. */
uint32_t arena_alloc(struct arena *arena, size_t size);
void arena_free(struct arena *arena, uint32_t ref);

/* Slots are freed all over the place, and a slab gives its memory back only
 * with its last one. A slab that is mostly free is emptied by the owner of
 * its slots: between begin and end no new slot comes from it, so whatever is
 * allocated anew and freed there moves elsewhere.
 *
 * Chooses a slab with at least an eighth of it free, of those next in a walk
 * over all slabs, whose class has free slots elsewhere. 0: found none. */
uint32_t arena_drain_begin(struct arena *arena);
/* The slots in use of the slab that is drained, at most ARENA_SLAB_UNITS. */
size_t arena_drain_refs(const struct arena *arena, uint32_t *refs);
/* Can one more of its slots move without taking a slab for it? */
bool arena_drain_fits(const struct arena *arena);
void arena_drain_end(struct arena *arena);

/* Slabs without a slot in use keep some memory for what comes next, of any
 * class. Gives at least `bytes` of it back, or all there is. */
void arena_cool(struct arena *arena, size_t bytes);

/* What a slot of that size takes. */
size_t arena_class_bytes(size_t size);
/* What the slot behind `ref` takes. */
size_t arena_slot_bytes(const struct arena *arena, uint32_t ref);

/* What arena_cool can give back: the next slabs come from there. */
static inline size_t arena_warm_bytes(const struct arena *arena)
{
    return arena->warm_count * ARENA_SLAB_BYTES;
}

static inline void *arena_at(const struct arena *arena, uint32_t ref)
{
    return arena->base + ((size_t)ref << ARENA_UNIT_SHIFT);
}

static inline uint32_t arena_ref(const struct arena *arena, const void *slot)
{
    return (uint32_t)((size_t)((const char *)slot - arena->base) >>
                      ARENA_UNIT_SHIFT);
}

#endif
