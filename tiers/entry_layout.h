/* The bytes of an entry (see entry.h for the picture), for the files of
 * tiers/ that build and change entries. */
#ifndef LARDER_TIERS_ENTRY_LAYOUT_H
#define LARDER_TIERS_ENTRY_LAYOUT_H

#include "tiers/arena.h"
#include "tiers/entry.h"

struct value;

struct entry {
    uint32_t access; /* last use and frequency: access.h */
    uint16_t bits;
    uint16_t shelf;
    uint8_t key_size;
    uint8_t value_size;
    uint8_t id[6];
};

enum entry_bits {
    ENTRY_KIND_MASK = 0xf,
    ENTRY_TIER_SHIFT = 4,
    ENTRY_TIER_MASK = 3 << ENTRY_TIER_SHIFT,
    ENTRY_CODEC_SHIFT = 6,
    ENTRY_CODEC_MASK = 3 << ENTRY_CODEC_SHIFT,
    ENTRY_HAS_EXPIRY = 1 << 8,
    ENTRY_LONG_KEY = 1 << 9,
    ENTRY_LONG_VALUE = 1 << 10,
    ENTRY_OUTSIDE = 1 << 11, /* the value area holds a pointer: to a blob or,
                                with its lowest bit set, a struct value */
    ENTRY_QUEUED = 1 << 12,  /* listed in the log's dirty queue */
    ENTRY_TOUCHED = 1 << 13, /* cold: the next read promotes to hot */
    ENTRY_PINNED = 1 << 14,  /* must not sink: a parked command needs it */
    ENTRY_SINKING = 1 << 15, /* in the sinking list, not the cold one */
    /* The same bits mean other things in other tiers. */
    ENTRY_MAIN = ENTRY_SINKING,   /* hot: in the main queue of S3-FIFO */
    ENTRY_LINKED = ENTRY_SINKING, /* dry: has links, is in the dry list */
};

#define ENTRY_MAX_ID ((UINT64_C(1) << 48) - 1)
/* Entries larger than this keep their value in a blob. */
#define ENTRY_INLINE_MAX_BYTES ((size_t)4096)
#define ENTRY_SHORT_MAX 254 /* longest key or value with a one-byte size */

/* Everything an entry says, spelled out. `value` is the stored bytes, or in
 * a blob when `blob` is set; `live` is a live value, which has no bytes. A dry
 * entry has none of these, only `record_bytes`. */
struct entry_spec {
    struct bytes key;
    struct bytes value;
    struct blob *blob;
    struct value *live;
    size_t record_bytes; /* payload of its record on disk, when it has one */
    int64_t expiry_ms;
    struct field_deadlines fields; /* of kinds that have them */
    uint64_t id;
    uint32_t access;
    uint32_t tag; /* of a new entry: which of its namespace's shelves */
    uint16_t shelf;
    uint16_t bits; /* kind, tier, codec, and the state bits to keep */
};

static inline enum tier entry_tier_of(const struct entry *entry)
{
    return (enum tier)((entry->bits & ENTRY_TIER_MASK) >> ENTRY_TIER_SHIFT);
}

static inline bool entry_is_dry(const struct entry *entry)
{
    return entry_tier_of(entry) == TIER_DRY;
}

static inline uint16_t entry_with_tier(uint16_t bits, enum tier tier)
{
    return (uint16_t)((bits & ~ENTRY_TIER_MASK) | tier << ENTRY_TIER_SHIFT);
}

static inline uint16_t entry_with_codec(uint16_t bits, enum codec codec)
{
    return (uint16_t)((bits & ~ENTRY_CODEC_MASK) | codec << ENTRY_CODEC_SHIFT);
}

static inline uint16_t entry_with_kind(uint16_t bits, enum kind kind)
{
    return (uint16_t)((bits & ~ENTRY_KIND_MASK) | kind);
}

static inline bool entry_has_links(uint16_t bits)
{
    return (bits & ENTRY_TIER_MASK) != TIER_DRY << ENTRY_TIER_SHIFT ||
           (bits & ENTRY_LINKED) != 0;
}

static inline bool entry_expires_fields(uint16_t bits)
{
    return kind_expires_fields((enum kind)(bits & ENTRY_KIND_MASK));
}

static inline size_t entry_expiry_offset(const struct entry *entry)
{
    return sizeof(struct entry) + (entry_has_links(entry->bits) ? 8 : 0);
}

/* Bytes of expiry, wheel links and fields. */
static inline size_t entry_expiry_bytes(uint16_t bits)
{
    if ((bits & ENTRY_HAS_EXPIRY) == 0) {
        return 0;
    }
    return entry_expires_fields(bits) ? 32 : 16;
}

/* Where the key begins. */
static inline size_t entry_key_offset(const struct entry *entry)
{
    uint16_t bits = entry->bits;
    return entry_expiry_offset(entry) + entry_expiry_bytes(bits) +
           ((bits & ENTRY_LONG_KEY) ? 4 : 0) +
           ((bits & ENTRY_LONG_VALUE) ? 4 : 0);
}

static inline uint32_t entry_load_u32(const struct entry *entry, size_t offset)
{
    uint32_t value = 0;
    memcpy(&value, (const char *)entry + offset, sizeof value);
    return value;
}

static inline struct bytes entry_key_of(const struct entry *entry)
{
    size_t offset = entry_key_offset(entry);
    size_t size = entry->key_size;
    if (__builtin_expect((entry->bits & ENTRY_LONG_KEY) != 0, 0)) {
        size = entry_load_u32(
            entry, offset - 4 - ((entry->bits & ENTRY_LONG_VALUE) ? 4 : 0));
    }
    return bytes_of((const char *)entry + offset, size);
}

static inline uint64_t entry_id_of(const struct entry *entry)
{
    uint64_t id = 0;
    memcpy(&id, entry->id, sizeof entry->id);
    return id;
}

static inline void entry_set_id(struct entry *entry, uint64_t id)
{
    memcpy(entry->id, &id, sizeof entry->id);
}

static inline int64_t entry_expiry_of(const struct entry *entry)
{
    int64_t expiry_ms = 0;
    if (entry->bits & ENTRY_HAS_EXPIRY) {
        memcpy(&expiry_ms, (const char *)entry + entry_expiry_offset(entry),
            sizeof expiry_ms);
    }
    return expiry_ms;
}

/* Of kinds that have them. */
static inline struct field_deadlines entry_fields_of(const struct entry *entry)
{
    struct field_deadlines fields;
    memcpy(&fields, (const char *)entry + entry_expiry_offset(entry) + 16,
        sizeof fields);
    return fields;
}

/* Whether the key as a whole is over: its own expiry has passed, or that of
 * all its fields. */
static inline bool entry_is_over(const struct entry *entry, int64_t now_ms)
{
    int64_t expiry_ms = entry_expiry_of(entry);
    return (expiry_ms != 0 && expiry_ms <= now_ms) ||
           (entry_expires_fields(entry->bits) &&
               entry_fields_of(entry).last_ms <= now_ms);
}

/* What it waits for in the wheel, of one that has ENTRY_HAS_EXPIRY: its
 * expiry, or an earlier one of its fields. As long as it is not hot nobody
 * looks inside, and only the end of the last field counts. */
static inline int64_t entry_deadline_of(const struct entry *entry)
{
    int64_t expiry_ms = entry_expiry_of(entry);
    if (!entry_expires_fields(entry->bits)) {
        return expiry_ms;
    }
    struct field_deadlines fields = entry_fields_of(entry);
    int64_t fields_ms =
        entry_tier_of(entry) == TIER_HOT ? fields.first_ms : fields.last_ms;
    return expiry_ms != 0 && expiry_ms < fields_ms ? expiry_ms : fields_ms;
}

/* Neighbours in the LRU list (hot, cold) and in the expiry wheel. */
static inline uint32_t *entry_links(struct entry *entry)
{
    return (uint32_t *)(void *)((char *)entry + sizeof(struct entry));
}

static inline uint32_t *entry_wheel_links(struct entry *entry)
{
    return (uint32_t *)(void *)((char *)entry + entry_expiry_offset(entry) + 8);
}

/* The value as it is stored: inline bytes or the blob's; empty when dry or
 * live. */
struct bytes entry_value(const struct entry *entry);
/* The blob or the live value that the entry holds, or NULL. */
struct blob *entry_blob(const struct entry *entry);
struct value *entry_live(const struct entry *entry);
/* RAM that its blob or live value takes. */
size_t entry_outside_bytes(const struct entry *entry);
/* The writable inline value. */
char *entry_inline_value(struct entry *entry);

/* What the payload of the entry's record is taken to be: the same from the
 * time it is appended until it dies, though the value may be packed and
 * unpacked meanwhile. The estimate of a dry entry. */
size_t entry_record_bytes(const struct entry *entry);
void entry_set_record_bytes(struct entry *entry, size_t bytes);

/* Takes `entry` apart; the key and value are borrowed from it. */
void entry_describe(const struct entry *entry, struct entry_spec *spec);
/* Bytes that an entry of this description takes in the arena, before
 * rounding; the value is counted only when it fits inline. */
size_t entry_slot_size(const struct entry_spec *spec);
/* True when a value of that size is kept in the slot, not in a blob. */
bool entry_fits_inline(size_t key_bytes, size_t value_bytes, bool expiry);
/* Copies the description's bytes to a blob when they are neither in one nor
 * fit inline. */
void entry_place_value(struct entry_spec *spec);
/* Writes an entry into a slot of entry_slot_size bytes. Takes over the
 * blob's reference. Links are left for the caller. */
void entry_write(struct entry *entry, const struct entry_spec *spec);
/* Writes `value` over the inline value of an entry whose layout allows it:
 * same slot, same size form. False when it does not. */
bool entry_overwrite(
    struct entry *entry, size_t slot_bytes, struct bytes value);

/* The one-byte size estimate of dry entries: 5 bits of exponent, 3 of
 * mantissa, the middle of its range. */
uint8_t entry_size_code(size_t bytes);
size_t entry_size_decode(uint8_t code);

#endif
