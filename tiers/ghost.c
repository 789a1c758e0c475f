#include "tiers/ghost.h"

#include <stdlib.h>

/* Keys of one bucket; the oldest makes room. */
#define BUCKET_KEYS 8
#define BUCKETS_MIN 8
#define BUCKETS_MAX ((size_t)1 << 23)

struct slot {
    uint32_t print; /* of the hash */
    uint32_t added; /* number of the addition, 0: empty */
};

struct ghost {
    struct slot *slots;
    size_t bucket_count; /* a power of two */
    uint32_t additions;
    uint32_t limit; /* of the last addition */
    size_t *bytes;
};

static void allocate(struct ghost *ghost, size_t bucket_count)
{
    ghost->bucket_count = bucket_count;
    ghost->slots = xcalloc(bucket_count * BUCKET_KEYS, sizeof(*ghost->slots));
    *ghost->bytes += bucket_count * BUCKET_KEYS * sizeof(*ghost->slots);
}

struct ghost *ghost_create(size_t *bytes)
{
    struct ghost *ghost = xcalloc(1, sizeof *ghost);
    ghost->bytes = bytes;
    allocate(ghost, BUCKETS_MIN);
    return ghost;
}

void ghost_destroy(struct ghost *ghost)
{
    if (ghost != NULL) {
        *ghost->bytes -=
            ghost->bucket_count * BUCKET_KEYS * sizeof(*ghost->slots);
        free(ghost->slots);
        free(ghost);
    }
}

/* The bucket follows from the print, so that a table can grow. */
static struct slot *bucket_of(const struct ghost *ghost, uint32_t print)
{
    uint64_t mixed = print * UINT64_C(0x9e3779b97f4a7c15);
    size_t bucket = (size_t)(mixed >> 32) & (ghost->bucket_count - 1);
    return ghost->slots + bucket * BUCKET_KEYS;
}

/* How many additions ago; an empty slot is the oldest. */
static uint32_t age(const struct ghost *ghost, const struct slot *slot)
{
    return slot->added == 0 ? UINT32_MAX : ghost->additions - slot->added;
}

static void put(struct ghost *ghost, uint32_t print, uint32_t added)
{
    struct slot *bucket = bucket_of(ghost, print);
    struct slot *oldest = bucket;
    for (unsigned i = 1; i < BUCKET_KEYS; i++) {
        if (age(ghost, &bucket[i]) > age(ghost, oldest)) {
            oldest = &bucket[i];
        }
    }
    *oldest = (struct slot){print, added};
}

static void grow(struct ghost *ghost)
{
    struct slot *old = ghost->slots;
    size_t count = ghost->bucket_count * BUCKET_KEYS;
    *ghost->bytes -= count * sizeof(*old);
    allocate(ghost, ghost->bucket_count * 2);
    for (size_t i = 0; i < count; i++) {
        if (age(ghost, &old[i]) <= ghost->limit) {
            put(ghost, old[i].print, old[i].added);
        }
    }
    free(old);
}

void ghost_add(struct ghost *ghost, uint64_t hash, uint64_t limit)
{
    ghost->limit = limit < UINT32_MAX / 2 ? (uint32_t)limit : UINT32_MAX / 2;
    /* Buckets half full on average seldom overflow. */
    if (ghost->limit > ghost->bucket_count * (BUCKET_KEYS / 2) &&
        ghost->bucket_count < BUCKETS_MAX) {
        grow(ghost);
    }
    ghost->additions++;
    if (ghost->additions == 0) {
        ghost->additions = 1; /* 0 is for empty slots */
    }
    put(ghost, (uint32_t)(hash >> 16), ghost->additions);
}

bool ghost_take(struct ghost *ghost, uint64_t hash)
{
    uint32_t print = (uint32_t)(hash >> 16);
    struct slot *bucket = bucket_of(ghost, print);
    for (unsigned i = 0; i < BUCKET_KEYS; i++) {
        if (bucket[i].added != 0 && bucket[i].print == print) {
            bool recent = age(ghost, &bucket[i]) <= ghost->limit;
            bucket[i].added = 0;
            return recent;
        }
    }
    return false;
}
