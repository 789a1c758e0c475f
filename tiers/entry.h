/* An entry: one key of the index with its value or the place of its value.
 *
 *   offset  0  access       u32  last use and frequency (ACCESS_*)
 *           4  bits         u16  kind, tier, codec, layout flags
 *           6  shelf        u16  which LRU lists and counters it belongs to
 *           8  key_size     u8   255: the size is in a u32 further on
 *           9  value_size   u8   or, for long, packed, shared and dry values,
 *                                an 8-bit estimate of its record's size
 *          10  id           u48  record id on disk, 0: none (dirty)
 *          16  [links]      2 x u32  neighbours in a list: hot and cold, and
 *                                dry where the namespace limits that tier
 *              [expiry]     i64 ms, then 2 x u32 neighbours in the wheel
 *              [fields]     2 x i64 ms, behind expiry: of a hash whose fields
 *                           may expire, which always has both (0: the key
 *                           itself has no expiry)
 *              [key_size]   u32
 *              [value_size] u32
 *              key bytes, value bytes (or an 8-byte pointer)
 *
 * A hot key of 16 bytes with 32 bytes of value takes 72 bytes, a dry one 32.
 * Entries live in the arena and are named by 32-bit references. Nothing in
 * an entry is aligned beyond 8 bytes. */
#ifndef LARDER_TIERS_ENTRY_H
#define LARDER_TIERS_ENTRY_H

#include "protocol/bytes.h"

struct entry;

enum tier { TIER_HOT, TIER_COLD, TIER_DRY, TIER_NONE };
enum codec { CODEC_NONE, CODEC_LZ4, CODEC_ZSTD, CODEC_ZLIB };

/* Type, encoding and form in one: a row of the value type table each
 * (values/value.c). Numbers are part of the disk format: append, never
 * renumber. At most 16. */
enum kind {
    KIND_STRING_EMBSTR,
    KIND_STRING_INT,
    KIND_STRING_RAW,
    KIND_LIST_FLAT,
    KIND_LIST_TREE,
    KIND_SET_INTEGERS,
    KIND_SET_FLAT,
    KIND_SET_TREE,
    KIND_ZSET_FLAT,
    KIND_ZSET_TREE,
    KIND_HASH_FLAT,
    KIND_HASH_TREE,
    KIND_HASH_EXPIRING_FLAT, /* some field has an expiry */
    KIND_HASH_EXPIRING_TREE,
    KIND_STREAM_SINGLE, /* in records of old only: an entry an item */
    KIND_STREAM,
    KIND_COUNT
};

enum value_type {
    TYPE_STRING,
    TYPE_LIST,
    TYPE_SET,
    TYPE_ZSET,
    TYPE_HASH,
    TYPE_STREAM
};

enum value_type kind_type(enum kind kind);
static inline bool kind_expires_fields(enum kind kind)
{
    return kind == KIND_HASH_EXPIRING_FLAT || kind == KIND_HASH_EXPIRING_TREE;
}

/* When the fields of such a hash expire: the first that does, and the last of
 * all. Absolute ms. */
struct field_deadlines {
    int64_t first_ms; /* FIELDS_NEVER: none does */
    int64_t last_ms;  /* FIELDS_NEVER: some field stays */
};
#define FIELDS_NEVER INT64_MAX

enum kind entry_kind(const struct entry *entry);
enum value_type entry_type(const struct entry *entry);
/* "string", "list" ... as TYPE answers. */
const char *entry_type_name(const struct entry *entry);
/* "int", "embstr", "raw" ... as OBJECT ENCODING answers. */
const char *entry_encoding_name(const struct entry *entry);
enum tier entry_tier(const struct entry *entry);
const char *tier_name(enum tier tier); /* "hot" "cold" "dry" "none" */
enum codec entry_codec(const struct entry *entry);
const char *codec_name(enum codec codec);
/* Absolute ms, 0: none. */
int64_t entry_expiry_ms(const struct entry *entry);
struct bytes entry_key(const struct entry *entry);
/* Record id on disk or 0. */
uint64_t entry_id(const struct entry *entry);
/* Bytes of RAM the entry and its value take, allocation classes included. */
size_t entry_memory_bytes(const struct entry *entry);
/* The value's bytes as they are kept (packed when packed); for a dry entry
 * an estimate within 7 %. */
size_t entry_stored_bytes(const struct entry *entry);
/* The same before packing; 0 for a dry entry, which does not know. */
size_t entry_raw_bytes(const struct entry *entry);

#endif
