#include "tiers/index.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "tiers/entry_layout.h"

__extension__ typedef unsigned __int128 uint128;

#define SLOTS 12
#define SLOT_MASK ((1u << SLOTS) - 1)
/* A segment grows when it is fuller than this many 256ths. */
#define FULL_256THS 230

struct bucket {
    uint8_t tag[SLOTS]; /* 0: empty */
    uint32_t ref[SLOTS];
    uint32_t spill; /* entries at home here or before, stored further on */
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

struct segment {
    struct bucket *buckets;
    uint32_t bucket_count;
    uint32_t count;
    uint32_t depth; /* hash bits that all its entries share */
};

/* Bucket counts a segment grows through: two of the allocator's size classes
 * a step, so that none of its rounding is wasted. */
static const uint16_t bucket_steps[] = {
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80, 112, 160, 224};
#define STEP_COUNT (sizeof bucket_steps / sizeof bucket_steps[0])
#define MAX_BUCKETS 224
/* A reserved index has segments of at most this many entries. */
#define RESERVE_SEGMENT_ENTRIES 2000
#define MAX_DEPTH 32

uint64_t index_hash(const uint8_t *secret, struct bytes key)
{
    return XXH3_64bits_withSecret(
        key.data, key.size, secret, INDEX_SECRET_BYTES);
}

static uint8_t tag_of(uint64_t hash)
{
    uint8_t tag = (uint8_t)hash;
    return tag == 0 ? 1 : tag;
}

static unsigned match_tag(const struct bucket *bucket, uint8_t tag)
{
#ifdef __SSE2__
    __m128i tags = _mm_loadu_si128((const __m128i *)(const void *)bucket);
    __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));
    return (unsigned)_mm_movemask_epi8(equal) & SLOT_MASK;
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        mask |= (unsigned)(bucket->tag[i] == tag) << i;
    }
    return mask;
#endif
}

static struct segment *segment_of(const struct index *index, uint64_t hash)
{
    size_t at = index->depth == 0 ? 0 : hash >> (64 - index->depth);
    return index->directory[at]; /* NOLINT: one that was split is not in it */
}

static uint32_t home_of(const struct segment *segment, uint64_t hash)
{
    uint64_t rest = hash << segment->depth;
    return (uint32_t)(((uint128)rest * segment->bucket_count) >> 64);
}

static uint32_t bucket_after(const struct segment *segment, uint32_t bucket)
{
    return bucket + 1 == segment->bucket_count ? 0 : bucket + 1;
}

static size_t segment_bytes(const struct segment *segment)
{
    return sizeof *segment + segment->bucket_count * sizeof(struct bucket);
}

static struct segment *segment_create(
    struct index *index, uint32_t bucket_count, uint32_t depth)
{
    struct segment *segment = xcalloc(1, sizeof *segment);
    segment->buckets = xcalloc_lines(bucket_count * sizeof(struct bucket));
    segment->bucket_count = bucket_count;
    segment->depth = depth;
    *index->bytes += segment_bytes(segment);
    return segment;
}

static void segment_destroy(struct index *index, struct segment *segment)
{
    *index->bytes -= segment_bytes(segment);
    free(segment->buckets);
    free(segment);
}

void index_init(struct index *index, const struct arena *arena,
    const uint8_t *secret, size_t *bytes)
{
    *index = (struct index){.arena = arena, .secret = secret, .bytes = bytes};
    index->directory = xmalloc(sizeof *index->directory);
    *index->bytes += sizeof *index->directory;
    index->directory[0] = segment_create(index, 1, 0);
}

void index_finish(struct index *index)
{
    size_t size = (size_t)1 << index->depth;
    for (size_t i = 0; i < size;) {
        struct segment *segment = index->directory[i];
        i += (size_t)1 << (index->depth - segment->depth);
        segment_destroy(index, segment);
    }
    *index->bytes -= size * sizeof *index->directory;
    free(index->directory);
    *index = (struct index){0};
}

static uint32_t buckets_for(uint32_t count)
{
    for (unsigned i = 0; i < STEP_COUNT; i++) {
        if (bucket_steps[i] * SLOTS * FULL_256THS / 256 > count) {
            return bucket_steps[i];
        }
    }
    return MAX_BUCKETS;
}

void index_reserve(struct index *index, uint64_t count)
{
    unsigned depth = 0;
    check(index->count == 0 && index->depth == 0);
    while (count >> depth > RESERVE_SEGMENT_ENTRIES && depth < MAX_DEPTH) {
        depth++;
    }
    if (depth == 0) {
        return;
    }
    size_t size = (size_t)1 << depth;
    uint32_t share = (uint32_t)(count >> depth);
    /* Room for what chance adds to a segment's share. */
    uint32_t buckets = buckets_for(share + share / 16 + SLOTS);
    segment_destroy(index, index->directory[0]);
    index->directory =
        xrealloc(index->directory, size * sizeof(*index->directory));
    *index->bytes += (size - 1) * sizeof(*index->directory);
    index->depth = depth;
    for (size_t i = 0; i < size; i++) {
        index->directory[i] = segment_create(index, buckets, depth);
    }
}

static const struct entry *entry_at(const struct index *index, uint32_t ref)
{
    return arena_at(index->arena, ref);
}

static uint64_t entry_hash(const struct index *index, uint32_t ref)
{
    return index_hash(index->secret, entry_key_of(entry_at(index, ref)));
}

/* Walks the buckets where an entry of `hash` can be; `match` decides. Inlined
 * into each caller, so that the match costs no call. */
static inline __attribute__((always_inline)) struct index_slot probe(
    const struct index *index, uint64_t hash,
    bool (*match)(const struct index *index, uint32_t ref, const void *wanted),
    const void *wanted)
{
    const struct segment *segment = segment_of(index, hash);
    uint32_t at = home_of(segment, hash);
    for (uint32_t i = 0; i < segment->bucket_count; i++) {
        struct bucket *bucket = &segment->buckets[at];
        unsigned mask = match_tag(bucket, tag_of(hash));
        for (; mask != 0; mask &= mask - 1) {
            unsigned slot = (unsigned)__builtin_ctz(mask);
            if (match(index, bucket->ref[slot], wanted)) {
                return (struct index_slot){&bucket->ref[slot]};
            }
        }
        if (bucket->spill == 0) {
            break;
        }
        at = bucket_after(segment, at);
    }
    return (struct index_slot){NULL};
}

static inline bool match_key(
    const struct index *index, uint32_t ref, const void *wanted)
{
    const struct bytes *key = wanted;
    return bytes_equal(entry_key_of(entry_at(index, ref)), *key);
}

static inline bool match_id(
    const struct index *index, uint32_t ref, const void *wanted)
{
    const uint64_t *id = wanted;
    return entry_id_of(entry_at(index, ref)) == *id;
}

static inline bool match_ref(
    const struct index *index, uint32_t ref, const void *wanted)
{
    const uint32_t *entry_ref = wanted;
    (void)index;
    return ref == *entry_ref;
}

static inline bool match_hash(
    const struct index *index, uint32_t ref, const void *wanted)
{
    const uint64_t *hash = wanted;
    return entry_hash(index, ref) == *hash;
}

static inline bool match_queued(
    const struct index *index, uint32_t ref, const void *wanted)
{
    const uint64_t *hash = wanted;
    return (entry_at(index, ref)->bits & ENTRY_QUEUED) != 0 &&
           entry_hash(index, ref) == *hash;
}

struct index_slot index_find(
    const struct index *index, uint64_t hash, struct bytes key)
{
    return probe(index, hash, match_key, &key);
}

struct index_slot index_find_id(
    const struct index *index, uint64_t hash, uint64_t id)
{
    return probe(index, hash, match_id, &id);
}

struct index_slot index_find_ref(
    const struct index *index, uint64_t hash, uint32_t entry_ref)
{
    return probe(index, hash, match_ref, &entry_ref);
}

struct index_slot index_find_hash(const struct index *index, uint64_t hash)
{
    return probe(index, hash, match_hash, &hash);
}

struct index_slot index_find_queued(const struct index *index, uint64_t hash)
{
    return probe(index, hash, match_queued, &hash);
}

/* Stores a reference in the first free slot from its home on. There is one:
 * segments are never full. */
static void segment_place(struct segment *segment, uint64_t hash, uint32_t ref)
{
    uint32_t at = home_of(segment, hash);
    for (;;) {
        struct bucket *bucket = &segment->buckets[at];
        unsigned empty = match_tag(bucket, 0);
        if (empty != 0) {
            unsigned slot = (unsigned)__builtin_ctz(empty);
            bucket->tag[slot] = tag_of(hash);
            bucket->ref[slot] = ref;
            segment->count++;
            return;
        }
        bucket->spill++;
        at = bucket_after(segment, at);
    }
}

/* Collects the references of a segment and prefetches their entries. */
static uint32_t segment_refs(
    const struct index *index, const struct segment *segment, uint32_t *refs)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < segment->bucket_count; i++) {
        const struct bucket *bucket = &segment->buckets[i];
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (bucket->tag[slot] != 0) {
                refs[count++] = bucket->ref[slot];
                __builtin_prefetch(entry_at(index, bucket->ref[slot]));
            }
        }
    }
    return count;
}

static void directory_double(struct index *index)
{
    size_t size = (size_t)1 << index->depth;
    struct segment **directory = xmalloc(2 * size * sizeof *directory);
    for (size_t i = 0; i < 2 * size; i++) {
        directory[i] = index->directory[i / 2];
    }
    free(index->directory);
    index->directory = directory;
    index->depth++;
    *index->bytes += size * sizeof *directory;
}

/* Points the directory's range of `segment`, which covers `hash`, at it. */
static void directory_point(
    struct index *index, uint64_t hash, struct segment *segment)
{
    size_t span = (size_t)1 << (index->depth - segment->depth);
    size_t at = index->depth == 0 ? 0 : hash >> (64 - index->depth);
    at &= ~(span - 1);
    for (size_t i = 0; i < span; i++) {
        index->directory[at + i] = segment;
    }
}

/* Each half gets room for what it will hold: a checkpoint writes entries in
 * the order of their hashes, so that at the next start all entries of a full
 * segment may belong to one half. */
static void segment_split(
    struct index *index, struct segment *old, uint64_t hash)
{
    uint32_t refs[MAX_BUCKETS * SLOTS];
    uint64_t hashes[MAX_BUCKETS * SLOTS];
    uint32_t count = segment_refs(index, old, refs);
    if (old->depth == index->depth) {
        directory_double(index);
    }
    uint64_t half = UINT64_C(1) << (63 - old->depth);
    uint64_t prefix =
        old->depth == 0 ? 0 : hash >> (64 - old->depth) << (64 - old->depth);
    uint32_t high_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = entry_hash(index, refs[i]);
        high_count += (hashes[i] & half) != 0;
    }
    uint32_t low_count = count - high_count;
    struct segment *low = segment_create(
        index, buckets_for(low_count + low_count / 8), old->depth + 1);
    struct segment *high = segment_create(
        index, buckets_for(high_count + high_count / 8), old->depth + 1);
    for (uint32_t i = 0; i < count; i++) {
        segment_place((hashes[i] & half) ? high : low, hashes[i], refs[i]);
    }
    directory_point(index, prefix, low);
    directory_point(index, prefix | half, high);
    segment_destroy(index, old);
}

static void segment_grow(
    struct index *index, struct segment *old, uint64_t hash)
{
    uint32_t refs[MAX_BUCKETS * SLOTS];
    uint32_t count = segment_refs(index, old, refs);
    uint32_t buckets = buckets_for(count + 1);
    struct segment *grown = segment_create(index, buckets, old->depth);
    for (uint32_t i = 0; i < count; i++) {
        segment_place(grown, entry_hash(index, refs[i]), refs[i]);
    }
    directory_point(index, hash, grown);
    segment_destroy(index, old);
}

void index_insert(struct index *index, uint64_t hash, uint32_t entry_ref)
{
    struct segment *segment = segment_of(index, hash);
    while (segment->count + 1 >=
           segment->bucket_count * SLOTS * FULL_256THS / 256) {
        if (segment->bucket_count == MAX_BUCKETS) {
            segment_split(index, segment, hash);
        } else {
            segment_grow(index, segment, hash);
        }
        segment = segment_of(index, hash);
    }
    segment_place(segment, hash, entry_ref);
    index->count++;
}

void index_remove(struct index *index, uint64_t hash, struct index_slot slot)
{
    struct segment *segment = segment_of(index, hash);
    size_t offset = (size_t)((char *)slot.ref - (char *)segment->buckets);
    uint32_t stored = (uint32_t)(offset / sizeof(struct bucket));
    check(stored < segment->bucket_count);
    struct bucket *bucket = &segment->buckets[stored];
    bucket->tag[slot.ref - bucket->ref] = 0;
    for (uint32_t at = home_of(segment, hash); at != stored;
         at = bucket_after(segment, at)) {
        check(segment->buckets[at].spill > 0);
        segment->buckets[at].spill--;
    }
    segment->count--;
    index->count--;
}

struct entry *index_prefetch(
    const struct index *index, uint64_t hash, unsigned stage)
{
    /* A function that only prefetches has no effect that link-time
     * optimisation sees: without this its calls are dropped. */
    __asm__ volatile("");
    const struct segment *segment = segment_of(index, hash);
    if (stage == 0) {
        __builtin_prefetch(segment);
        return NULL;
    }
    const struct bucket *bucket = &segment->buckets[home_of(segment, hash)];
    if (stage == 1) {
        __builtin_prefetch(bucket);
        return NULL;
    }
    struct entry *found = NULL;
    unsigned mask = match_tag(bucket, tag_of(hash));
    for (; mask != 0; mask &= mask - 1) {
        uint32_t ref = bucket->ref[__builtin_ctz(mask)];
        struct entry *entry = arena_at(index->arena, ref);
        if (stage == 2) {
            __builtin_prefetch(entry);
            __builtin_prefetch((const char *)entry + 64);
        } else if (!entry_is_dry(entry)) {
            const uint32_t *links = entry_links(entry);
            __builtin_prefetch(arena_at(index->arena, links[0]), 1);
            __builtin_prefetch(arena_at(index->arena, links[1]), 1);
            found = entry;
        }
    }
    return found;
}

/* First hash that is at home in bucket `bucket` of a segment that starts at
 * `prefix`, rounded up to a position; 1 << 48 at the end. */
static uint64_t position_of(
    const struct segment *segment, uint64_t prefix, uint32_t bucket)
{
    check(segment->bucket_count > 0);
    uint128 rest = (uint128)bucket << 64;
    rest = (rest + segment->bucket_count - 1) / segment->bucket_count;
    unsigned shift = 64 - INDEX_POSITION_BITS;
    uint128 below = ((uint128)1 << segment->depth) - 1;
    uint128 hash = (rest + below) >> segment->depth;
    hash += prefix;
    return (uint64_t)((hash + ((1u << shift) - 1)) >> shift);
}

uint64_t index_scan(const struct index *index, uint64_t position,
    void (*fn)(void *context, uint32_t entry_ref, uint64_t hash), void *context)
{
    uint64_t hash = position << (64 - INDEX_POSITION_BITS);
    const struct segment *segment = segment_of(index, hash);
    uint32_t home = home_of(segment, hash);
    uint32_t at = home;
    for (uint32_t i = 0; i < segment->bucket_count; i++) {
        const struct bucket *bucket = &segment->buckets[at];
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (bucket->tag[slot] == 0) {
                continue;
            }
            uint64_t entry = entry_hash(index, bucket->ref[slot]);
            if (home_of(segment, entry) == home) {
                fn(context, bucket->ref[slot], entry);
            }
        }
        if (bucket->spill == 0) {
            break;
        }
        at = bucket_after(segment, at);
    }
    uint64_t prefix = segment->depth == 0
                          ? 0
                          : hash >> (64 - segment->depth)
                                        << (64 - segment->depth);
    uint64_t next = position_of(segment, prefix, home + 1);
    return next >> INDEX_POSITION_BITS ? 0 : next;
}

void index_sane(const struct index *index)
{
    uint64_t total = 0;
    for (size_t i = 0; i < (size_t)1 << index->depth;) {
        const struct segment *segment = index->directory[i];
        uint32_t count = 0;
        uint64_t spills = 0, distance = 0;
        for (uint32_t at = 0; at < segment->bucket_count; at++) {
            const struct bucket *bucket = &segment->buckets[at];
            spills += bucket->spill;
            for (unsigned slot = 0; slot < SLOTS; slot++) {
                if (bucket->tag[slot] == 0) {
                    continue;
                }
                uint64_t hash = entry_hash(index, bucket->ref[slot]);
                check(bucket->tag[slot] == tag_of(hash));
                check(segment_of(index, hash) == segment);
                uint32_t home = home_of(segment, hash);
                distance +=
                    (at + segment->bucket_count - home) % segment->bucket_count;
                count++;
            }
        }
        check(count == segment->count);
        check(spills == distance);
        total += count;
        i += (size_t)1 << (index->depth - segment->depth);
    }
    check(total == index->count);
}
