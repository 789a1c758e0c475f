/* The hash table of one database: key hash -> arena reference of the entry.
 *
 *   directory, by the hash's top bits   segment: buckets of one cache line
 *   [ * | * | * | * ]  ----------------> [ bucket | bucket | ... ]
 *                                        tag x 12, reference x 12, spill
 *
 * - A segment covers a range of hashes, and inside it a bucket covers an equal
 *   share of that range: bucket order is hash order. A SCAN cursor is
 *   therefore a position in hash space, and survives growth and restarts.
 * - A full bucket spills into the next ones of its segment (linear probing by
 *   bucket); `spill` counts the entries that went past it, so a lookup stops
 *   where nothing spilled and deletion leaves no tombstones.
 * - Growth rebuilds one segment of at most ~2,500 entries or splits it in two:
 *   no pause and no second table.
 *
 * The idea of tag bytes compared at once is from Abseil's Swiss tables, the
 * directory from extendible hashing (Fagin et al. 1979). One thread. */
#ifndef LARDER_TIERS_INDEX_H
#define LARDER_TIERS_INDEX_H

#include "tiers/arena.h"

#define INDEX_SECRET_BYTES 192
#define INDEX_POSITION_BITS 48

struct segment;

struct index {
    struct segment **directory; /* 1 << depth of them */
    unsigned depth;
    uint64_t count;
    size_t *bytes; /* of memory in all: the owner's counter, borrowed */
    const struct arena *arena;
    const uint8_t *secret; /* INDEX_SECRET_BYTES, borrowed */
};

/* Where an entry's reference stands; valid until the next insert or remove. */
struct index_slot {
    uint32_t *ref;
};

/* `bytes` is added to as the table grows. */
void index_init(struct index *index, const struct arena *arena,
    const uint8_t *secret, size_t *bytes);
/* Makes an empty index large enough for `count` entries to come without
 * growth. */
void index_reserve(struct index *index, uint64_t count);
/* Frees the table, not the entries. */
void index_finish(struct index *index);

uint64_t index_hash(const uint8_t *secret, struct bytes key);

/* The slot of `key`, or one with ref NULL. */
struct index_slot index_find(
    const struct index *index, uint64_t hash, struct bytes key);
/* The slot of the entry with that hash and record id. */
struct index_slot index_find_id(
    const struct index *index, uint64_t hash, uint64_t id);
/* The slot that holds exactly `entry_ref`. */
struct index_slot index_find_ref(
    const struct index *index, uint64_t hash, uint32_t entry_ref);
/* The slot of an entry of that hash that has ENTRY_QUEUED. */
struct index_slot index_find_queued(const struct index *index, uint64_t hash);
/* The slot of an entry of that hash. */
struct index_slot index_find_hash(const struct index *index, uint64_t hash);
/* Adds an entry whose key is not there yet. */
void index_insert(struct index *index, uint64_t hash, uint32_t entry_ref);
/* Removes what `index_find...` found for `hash`. */
void index_remove(struct index *index, uint64_t hash, struct index_slot slot);

/* Hints: stage 0 the segment, 1 the bucket, 2 the entry, 3 its LRU neighbours.
 * At stage 3 an entry in RAM that may well be the one of that hash, or NULL. */
struct entry *index_prefetch(
    const struct index *index, uint64_t hash, unsigned stage);

/* Visits the entries of the bucket at `position` (below 2^48) and returns the
 * position of the next bucket, 0 at the end. fn must not change the index. */
uint64_t index_scan(const struct index *index, uint64_t position,
    void (*fn)(void *context, uint32_t entry_ref, uint64_t hash),
    void *context);

/* Counts every entry, checks every invariant, aborts on a violation. */
void index_sane(const struct index *index);

#endif
