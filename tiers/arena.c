#include "tiers/arena.h"

#include <stdlib.h>
#include <sys/mman.h>

#define NO_SLOT UINT16_MAX
/* Vacant slabs that keep their memory, so that a workload at a slab's edge
 * does not pay a system call each time: so many, and this part of all, because
 * what a commit lets go at once is soon filled again. */
#define WARM_SLABS 16
#define WARM_PART 64
/* Slabs looked at in search of a sparse one. */
#define SPARSE_LOOK 64

/* size_class of the first slab of a run; of the others and of vacant slabs. */
#define CLASS_RUN UINT16_MAX
#define CLASS_NONE (UINT16_MAX - 1)

struct arena_slab {
    uint32_t next, prev; /* in partial[class], warm or vacant; a run: its
                            length in slabs in `next` */
    uint16_t size_class;
    uint16_t used;       /* slots in use */
    uint16_t free_units; /* first freed slot, in units from the slab's start */
    uint16_t fresh;      /* slots never used begin here */
};

static unsigned class_of(size_t size)
{
    size_t units = (size + 7) >> 3;
    if (units <= 16) {
        return (unsigned)units - 1;
    }
    unsigned power = 63 - (unsigned)__builtin_clzll(units - 1); /* >= 4 */
    unsigned step = power - 4; /* 16 steps between two powers of two */
    unsigned part = (unsigned)((units - 1) >> step) - 16;
    return 16 + (power - 4) * 16 + part;
}

static size_t class_bytes(unsigned size_class)
{
    if (size_class < 16) {
        return ((size_t)size_class + 1) << 3;
    }
    unsigned step = (size_class - 16) / 16;
    size_t part = (size_class - 16) % 16;
    check(step < 16);
    return ((17 + part) << step) << 3;
}

static uint32_t run_length(size_t size)
{
    return (uint32_t)((size + ARENA_SLAB_BYTES - 1) / ARENA_SLAB_BYTES);
}

size_t arena_class_bytes(size_t size)
{
    if (size > ARENA_SLAB_BYTES) {
        return run_length(size) * ARENA_SLAB_BYTES;
    }
    return class_bytes(class_of(size));
}

bool arena_init(struct arena *arena, size_t reserve_bytes)
{
    memset(arena, 0, sizeof *arena);
    check(reserve_bytes <= ((size_t)UINT32_MAX << ARENA_UNIT_SHIFT));
    arena->reserved_bytes = reserve_bytes & ~(ARENA_SLAB_BYTES - 1);
    arena->slab_limit = (uint32_t)(arena->reserved_bytes / ARENA_SLAB_BYTES);
    int protection = PROT_READ | PROT_WRITE;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = mmap(NULL, arena->reserved_bytes, protection, flags, -1, 0);
    if (base == MAP_FAILED) {
        return false;
    }
    arena->base = base;
    void *slabs = mmap(NULL, arena->slab_limit * sizeof(struct arena_slab),
        protection, flags, -1, 0);
    if (slabs == MAP_FAILED) {
        munmap(base, arena->reserved_bytes);
        return false;
    }
    arena->slabs = slabs;
    arena->slabs_ever = 1; /* reference 0 lies in slab 0 */
    return true;
}

void arena_finish(struct arena *arena)
{
    munmap(arena->base, arena->reserved_bytes);
    munmap(arena->slabs, arena->slab_limit * sizeof(struct arena_slab));
    memset(arena, 0, sizeof *arena);
}

static char *slab_start(const struct arena *arena, uint32_t number)
{
    return arena->base + (size_t)number * ARENA_SLAB_BYTES;
}

static void list_push(struct arena *arena, uint32_t *head, uint32_t number)
{
    struct arena_slab *slab = &arena->slabs[number];
    slab->prev = 0;
    slab->next = *head;
    if (*head != 0) {
        arena->slabs[*head].prev = number;
    }
    *head = number;
}

static void list_remove(struct arena *arena, uint32_t *head, uint32_t number)
{
    struct arena_slab *slab = &arena->slabs[number];
    if (slab->prev != 0) {
        arena->slabs[slab->prev].next = slab->next;
    } else {
        *head = slab->next;
    }
    if (slab->next != 0) {
        arena->slabs[slab->next].prev = slab->prev;
    }
}

static uint32_t warm_take(struct arena *arena)
{
    uint32_t number = arena->warm;
    if (number != 0) {
        list_remove(arena, &arena->warm, number);
        arena->warm_count--;
    }
    return number;
}

/* A slab that takes memory anew; 0 when there is none left. */
static uint32_t cold_take(struct arena *arena)
{
    uint32_t number = arena->vacant;
    if (number != 0) {
        list_remove(arena, &arena->vacant, number);
    } else if (arena->slabs_ever < arena->slab_limit) {
        number = arena->slabs_ever++;
    } else {
        return 0;
    }
    arena->committed_bytes += ARENA_SLAB_BYTES;
    return number;
}

/* A slab for `size_class`, in its partial list; 0 when there is none left. */
static uint32_t slab_take(struct arena *arena, unsigned size_class)
{
    uint32_t number = warm_take(arena);
    if (number == 0) {
        number = cold_take(arena);
    }
    if (number == 0) {
        return 0;
    }
    struct arena_slab *slab = &arena->slabs[number];
    slab->size_class = (uint16_t)size_class;
    slab->used = 0;
    slab->free_units = NO_SLOT;
    slab->fresh = 0;
    list_push(arena, &arena->partial[size_class], number);
    return number;
}

/* First of `length` vacant slabs in a row, taken off their list; 0: none. */
static uint32_t run_reuse(struct arena *arena, uint32_t length)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i < arena->slabs_ever; i++) {
        found = arena->slabs[i].size_class == CLASS_NONE ? found + 1 : 0;
        if (found == length) {
            for (uint32_t j = i + 1 - length; j <= i; j++) {
                list_remove(arena, &arena->vacant, j);
            }
            return i + 1 - length;
        }
    }
    return 0;
}

static uint32_t run_alloc(struct arena *arena, size_t size)
{
    uint32_t length = run_length(size);
    uint32_t first = run_reuse(arena, length);
    if (first == 0) {
        if (length > arena->slab_limit - arena->slabs_ever) {
            return 0;
        }
        first = arena->slabs_ever;
        arena->slabs_ever += length;
    }
    for (uint32_t i = first; i < first + length; i++) {
        arena->slabs[i] = (struct arena_slab){.size_class = CLASS_RUN};
    }
    arena->slabs[first].next = length;
    arena->committed_bytes += length * ARENA_SLAB_BYTES;
    arena->live_bytes += length * ARENA_SLAB_BYTES;
    return first * (uint32_t)ARENA_SLAB_UNITS;
}

static void slab_vacate(struct arena *arena, uint32_t number)
{
    madvise(slab_start(arena, number), ARENA_SLAB_BYTES, MADV_DONTNEED);
    arena->committed_bytes -= ARENA_SLAB_BYTES;
    arena->slabs[number].size_class = CLASS_NONE;
    list_push(arena, &arena->vacant, number);
}

static void run_free(struct arena *arena, uint32_t first)
{
    uint32_t length = arena->slabs[first].next;
    arena->live_bytes -= length * ARENA_SLAB_BYTES;
    for (uint32_t i = first; i < first + length; i++) {
        slab_vacate(arena, i);
    }
}

uint32_t arena_alloc(struct arena *arena, size_t size)
{
    if (size > ARENA_SLAB_BYTES) {
        return run_alloc(arena, size);
    }
    unsigned size_class = class_of(size);
    size_t bytes = class_bytes(size_class);
    uint32_t number = arena->partial[size_class];
    if (number == 0) {
        number = slab_take(arena, size_class);
        if (number == 0) {
            return 0;
        }
    }
    struct arena_slab *slab = &arena->slabs[number];
    char *start = slab_start(arena, number);
    char *slot = NULL;
    if (slab->free_units != NO_SLOT) {
        slot = start + ((size_t)slab->free_units << ARENA_UNIT_SHIFT);
        memcpy(&slab->free_units, slot, sizeof slab->free_units);
    } else {
        slot = start + (size_t)slab->fresh * bytes;
        slab->fresh++;
    }
    slab->used++;
    arena->live_bytes += bytes;
    bool more = slab->free_units != NO_SLOT ||
                ((size_t)slab->fresh + 1) * bytes <= ARENA_SLAB_BYTES;
    if (!more) {
        list_remove(arena, &arena->partial[size_class], number);
    }
    return arena_ref(arena, slot);
}

static bool may_stay_warm(const struct arena *arena)
{
    return arena->warm_count < WARM_SLABS ||
           arena->warm_count <
               arena->committed_bytes / ARENA_SLAB_BYTES / WARM_PART;
}

/* The slab has no slot in use: forget its class, and give its memory back
 * unless few vacant slabs are warm. */
static void slab_retire(struct arena *arena, uint32_t number)
{
    struct arena_slab *slab = &arena->slabs[number];
    if (number == arena->draining) {
        arena->draining = 0;
    } else {
        list_remove(arena, &arena->partial[slab->size_class], number);
    }
    slab->size_class = 0; /* warm: no class until taken, and no run */
    if (may_stay_warm(arena)) {
        arena->warm_count++;
        list_push(arena, &arena->warm, number);
        return;
    }
    slab_vacate(arena, number);
}

void arena_cool(struct arena *arena, size_t bytes)
{
    for (size_t given = 0; given < bytes && arena->warm != 0;
         given += ARENA_SLAB_BYTES) {
        slab_vacate(arena, warm_take(arena));
    }
}

void arena_free(struct arena *arena, uint32_t ref)
{
    uint32_t number = ref / (uint32_t)ARENA_SLAB_UNITS;
    struct arena_slab *slab = &arena->slabs[number];
    if (slab->size_class == CLASS_RUN) {
        run_free(arena, number);
        return;
    }
    check(slab->used > 0);
    size_t bytes = class_bytes(slab->size_class);
    bool was_full = slab->free_units == NO_SLOT &&
                    ((size_t)slab->fresh + 1) * bytes > ARENA_SLAB_BYTES;
    memcpy(arena_at(arena, ref), &slab->free_units, sizeof slab->free_units);
    slab->free_units = (uint16_t)(ref % ARENA_SLAB_UNITS);
    slab->used--;
    arena->live_bytes -= bytes;
    if (was_full) {
        list_push(arena, &arena->partial[slab->size_class], number);
    }
    if (slab->used == 0) {
        slab_retire(arena, number);
    }
}

static size_t slab_free_bytes(const struct arena_slab *slab)
{
    if (slab->size_class >= CLASS_NONE || slab->used == 0) {
        return 0; /* part of a run, vacant or warm */
    }
    return ARENA_SLAB_BYTES - slab->used * class_bytes(slab->size_class);
}

uint32_t arena_drain_begin(struct arena *arena)
{
    size_t most_free = ARENA_SLAB_BYTES / 8 - 1;
    uint32_t sparse = 0;
    for (unsigned i = 0; i < SPARSE_LOOK && i < arena->slabs_ever; i++) {
        uint32_t number = arena->sparse_from++ % arena->slabs_ever;
        const struct arena_slab *slab = &arena->slabs[number];
        size_t free_bytes = number == 0 ? 0 : slab_free_bytes(slab);
        if (free_bytes > most_free && (slab->next != 0 || slab->prev != 0)) {
            most_free = free_bytes;
            sparse = number;
        }
    }
    if (sparse != 0) {
        check(arena->draining == 0);
        unsigned size_class = arena->slabs[sparse].size_class;
        list_remove(arena, &arena->partial[size_class], sparse);
        arena->draining = sparse;
    }
    return sparse;
}

size_t arena_drain_refs(const struct arena *arena, uint32_t *refs)
{
    const struct arena_slab *slab = &arena->slabs[arena->draining];
    uint32_t first = arena->draining * (uint32_t)ARENA_SLAB_UNITS;
    size_t slot_units = class_bytes(slab->size_class) >> ARENA_UNIT_SHIFT;
    bool vacant[ARENA_SLAB_UNITS] = {false};
    size_t count = 0;
    for (uint16_t units = slab->free_units; units != NO_SLOT;) {
        vacant[units] = true;
        memcpy(&units, arena_at(arena, first + units), sizeof units);
    }
    for (size_t i = 0; i < slab->fresh; i++) {
        size_t units = i * slot_units;
        if (!vacant[units]) {
            refs[count++] = first + (uint32_t)units;
        }
    }
    check(count == slab->used);
    return count;
}

bool arena_drain_fits(const struct arena *arena)
{
    unsigned size_class = arena->slabs[arena->draining].size_class;
    return arena->partial[size_class] != 0;
}

void arena_drain_end(struct arena *arena)
{
    uint32_t number = arena->draining;
    if (number != 0) {
        arena->draining = 0;
        list_push(
            arena, &arena->partial[arena->slabs[number].size_class], number);
    }
}

size_t arena_slot_bytes(const struct arena *arena, uint32_t ref)
{
    const struct arena_slab *slab =
        &arena->slabs[ref / (uint32_t)ARENA_SLAB_UNITS];
    if (slab->size_class == CLASS_RUN) {
        return slab->next * ARENA_SLAB_BYTES;
    }
    return class_bytes(slab->size_class);
}
