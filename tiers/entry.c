#include "tiers/entry_layout.h"
#include "tiers/values/value.h"

static const struct {
    enum value_type type;
    const char *encoding;
} kinds[KIND_COUNT] = {
    [KIND_STRING_EMBSTR] = {TYPE_STRING, "embstr"},
    [KIND_STRING_INT] = {TYPE_STRING, "int"},
    [KIND_STRING_RAW] = {TYPE_STRING, "raw"},
    [KIND_LIST_FLAT] = {TYPE_LIST, "quicklist"},
    [KIND_LIST_TREE] = {TYPE_LIST, "quicklist"},
    [KIND_SET_INTEGERS] = {TYPE_SET, "intset"},
    [KIND_SET_FLAT] = {TYPE_SET, "hashtable"},
    [KIND_SET_TREE] = {TYPE_SET, "hashtable"},
    [KIND_ZSET_FLAT] = {TYPE_ZSET, "listpack"},
    [KIND_ZSET_TREE] = {TYPE_ZSET, "skiplist"},
    [KIND_HASH_FLAT] = {TYPE_HASH, "listpack"},
    [KIND_HASH_TREE] = {TYPE_HASH, "hashtable"},
    [KIND_HASH_EXPIRING_FLAT] = {TYPE_HASH, "listpackex"},
    [KIND_HASH_EXPIRING_TREE] = {TYPE_HASH, "hashtable"},
    [KIND_STREAM_SINGLE] = {TYPE_STREAM, "stream"},
    [KIND_STREAM] = {TYPE_STREAM, "stream"},
};

static const char *const type_names[] = {
    "string", "list", "set", "zset", "hash", "stream"};
static const char *const tier_names[] = {"hot", "cold", "dry", "none"};
static const char *const codec_names[] = {"none", "lz4", "zstd", "zlib"};

enum kind entry_kind(const struct entry *entry)
{
    return (enum kind)(entry->bits & ENTRY_KIND_MASK);
}

enum value_type kind_type(enum kind kind)
{
    return kinds[kind].type;
}

enum value_type entry_type(const struct entry *entry)
{
    return kinds[entry_kind(entry)].type;
}

const char *entry_type_name(const struct entry *entry)
{
    return type_names[entry_type(entry)];
}

const char *entry_encoding_name(const struct entry *entry)
{
    return kinds[entry_kind(entry)].encoding;
}

enum tier entry_tier(const struct entry *entry)
{
    return entry_tier_of(entry);
}

const char *tier_name(enum tier tier)
{
    return tier_names[tier];
}

enum codec entry_codec(const struct entry *entry)
{
    return (enum codec)((entry->bits & ENTRY_CODEC_MASK) >> ENTRY_CODEC_SHIFT);
}

const char *codec_name(enum codec codec)
{
    return codec_names[codec];
}

int64_t entry_expiry_ms(const struct entry *entry)
{
    return entry_expiry_of(entry);
}

struct bytes entry_key(const struct entry *entry)
{
    return entry_key_of(entry);
}

uint64_t entry_id(const struct entry *entry)
{
    return entry_id_of(entry);
}

uint8_t entry_size_code(size_t bytes)
{
    if (bytes < 8) {
        return (uint8_t)bytes;
    }
    unsigned exponent = 63 - (unsigned)__builtin_clzll(bytes); /* >= 3 */
    unsigned mantissa = (unsigned)(bytes >> (exponent - 3)) & 7;
    unsigned code = (exponent - 2) << 3 | mantissa;
    return (uint8_t)(code > UINT8_MAX ? UINT8_MAX : code);
}

size_t entry_size_decode(uint8_t code)
{
    if (code < 8) {
        return code;
    }
    unsigned shift = (code >> 3) - 1u;
    size_t low = (size_t)(8 | (code & 7)) << shift;
    return low + (((size_t)1 << shift) >> 1);
}

static size_t value_offset(const struct entry *entry)
{
    return entry_key_offset(entry) + entry_key_of(entry).size;
}

static size_t inline_value_size(const struct entry *entry)
{
    if (entry->bits & ENTRY_LONG_VALUE) {
        return entry_load_u32(entry, entry_key_offset(entry) - 4);
    }
    return entry->value_size;
}

#define LIVE_TAG ((uintptr_t)1)

/* What the value area points to, tag and all; 0: nothing. */
static uintptr_t outside(const struct entry *entry)
{
    uintptr_t tagged = 0;
    if (!entry_is_dry(entry) && (entry->bits & ENTRY_OUTSIDE)) {
        memcpy(
            &tagged, (const char *)entry + value_offset(entry), sizeof tagged);
    }
    return tagged;
}

struct blob *entry_blob(const struct entry *entry)
{
    uintptr_t tagged = outside(entry);
    return (tagged & LIVE_TAG) ? NULL : (struct blob *)tagged;
}

struct value *entry_live(const struct entry *entry)
{
    uintptr_t tagged = outside(entry);
    return (tagged & LIVE_TAG) ? (struct value *)(tagged - LIVE_TAG) : NULL;
}

size_t entry_outside_bytes(const struct entry *entry)
{
    uintptr_t tagged = outside(entry);
    if (tagged & LIVE_TAG) {
        return value_memory_bytes((struct value *)(tagged - LIVE_TAG));
    }
    const struct blob *blob = (const struct blob *)tagged;
    return blob == NULL ? 0 : sizeof *blob + blob->capacity;
}

char *entry_inline_value(struct entry *entry)
{
    return (char *)entry + value_offset(entry);
}

struct bytes entry_value(const struct entry *entry)
{
    if (entry_is_dry(entry)) {
        return bytes_of(NULL, 0);
    }
    if (entry->bits & ENTRY_OUTSIDE) {
        const struct blob *blob = entry_blob(entry);
        return blob == NULL ? bytes_of(NULL, 0) : blob_bytes(blob);
    }
    return bytes_of(
        (const char *)entry + value_offset(entry), inline_value_size(entry));
}

/* Short values are never packed, so that they are on disk as they are here;
 * the others' size byte is free to keep the record's. */
static bool keeps_record_size(uint16_t bits)
{
    return (bits & ENTRY_TIER_MASK) >> ENTRY_TIER_SHIFT == TIER_DRY ||
           (bits & (ENTRY_LONG_VALUE | ENTRY_OUTSIDE)) != 0;
}

size_t entry_record_bytes(const struct entry *entry)
{
    uint8_t code = keeps_record_size(entry->bits)
                       ? entry->value_size
                       : entry_size_code(entry->value_size);
    return entry_size_decode(code);
}

void entry_set_record_bytes(struct entry *entry, size_t bytes)
{
    if (keeps_record_size(entry->bits)) {
        entry->value_size = entry_size_code(bytes);
    }
}

size_t entry_stored_bytes(const struct entry *entry)
{
    if (entry_is_dry(entry)) {
        return entry_size_decode(entry->value_size);
    }
    const struct value *live = entry_live(entry);
    return live != NULL ? value_encoded_bytes(live) : entry_value(entry).size;
}

void entry_describe(const struct entry *entry, struct entry_spec *spec)
{
    *spec = (struct entry_spec){
        .key = entry_key_of(entry),
        .value = entry_value(entry),
        .blob = entry_blob(entry),
        .live = entry_live(entry),
        .record_bytes = entry_record_bytes(entry),
        .expiry_ms = entry_expiry_of(entry),
        .id = entry_id_of(entry),
        .access = entry->access,
        .shelf = entry->shelf,
        .bits = entry->bits,
    };
    if (entry_expires_fields(entry->bits)) {
        spec->fields = entry_fields_of(entry);
    }
    if (entry_tier_of(entry) != TIER_COLD) {
        spec->bits &= (uint16_t)~ENTRY_SINKING; /* means something else */
    }
}

static bool spec_is_dry(const struct entry_spec *spec)
{
    return (spec->bits & ENTRY_TIER_MASK) >> ENTRY_TIER_SHIFT == TIER_DRY;
}

static bool spec_is_outside(const struct entry_spec *spec)
{
    return spec->blob != NULL || spec->live != NULL;
}

/* Packed values are never short: see entry_record_bytes. */
static bool spec_is_long(const struct entry_spec *spec)
{
    return !spec_is_dry(spec) && !spec_is_outside(spec) &&
           (spec->value.size > ENTRY_SHORT_MAX ||
               (spec->bits & ENTRY_CODEC_MASK) != 0);
}

static bool spec_has_expiry(const struct entry_spec *spec)
{
    return spec->expiry_ms != 0 || entry_expires_fields(spec->bits);
}

static size_t expiry_bytes(const struct entry_spec *spec)
{
    if (!spec_has_expiry(spec)) {
        return 0;
    }
    return entry_expires_fields(spec->bits) ? 32 : 16;
}

/* Bytes between the fixed part and the key. */
static size_t optional_bytes(const struct entry_spec *spec)
{
    bool long_value = spec_is_long(spec);
    return (entry_has_links(spec->bits) ? 8 : 0) + expiry_bytes(spec) +
           (spec->key.size > ENTRY_SHORT_MAX ? 4 : 0) + (long_value ? 4 : 0);
}

static size_t value_area(const struct entry_spec *spec)
{
    if (spec_is_dry(spec)) {
        return 0;
    }
    return spec_is_outside(spec) ? sizeof(uintptr_t) : spec->value.size;
}

size_t entry_slot_size(const struct entry_spec *spec)
{
    return sizeof(struct entry) + optional_bytes(spec) + spec->key.size +
           value_area(spec);
}

bool entry_fits_inline(size_t key_bytes, size_t value_bytes, bool expiry)
{
    size_t overhead = sizeof(struct entry) + 8 + (expiry ? 16 : 0) + 8;
    return key_bytes <= ENTRY_INLINE_MAX_BYTES &&
           value_bytes <= ENTRY_INLINE_MAX_BYTES &&
           overhead + key_bytes + value_bytes <= ENTRY_INLINE_MAX_BYTES;
}

void entry_place_value(struct entry_spec *spec)
{
    if (!spec_is_dry(spec) && !spec_is_outside(spec) &&
        !entry_fits_inline(
            spec->key.size, spec->value.size, spec_has_expiry(spec))) {
        spec->blob = blob_copy(spec->value);
        check(spec->blob != NULL);
    }
}

void entry_write(struct entry *entry, const struct entry_spec *spec)
{
    bool dry = spec_is_dry(spec);
    bool long_key = spec->key.size > ENTRY_SHORT_MAX;
    bool is_outside = !dry && spec_is_outside(spec);
    bool long_value = spec_is_long(spec);
    uint16_t layout =
        ENTRY_HAS_EXPIRY | ENTRY_LONG_KEY | ENTRY_LONG_VALUE | ENTRY_OUTSIDE;
    entry->access = spec->access;
    entry->shelf = spec->shelf;
    entry->bits = (uint16_t)((spec->bits & ~layout) |
                             (spec_has_expiry(spec) ? ENTRY_HAS_EXPIRY : 0) |
                             (long_key ? ENTRY_LONG_KEY : 0) |
                             (long_value ? ENTRY_LONG_VALUE : 0) |
                             (is_outside ? ENTRY_OUTSIDE : 0));
    entry->key_size = (uint8_t)(long_key ? UINT8_MAX : spec->key.size);
    entry->value_size = dry || long_value || is_outside
                            ? entry_size_code(spec->record_bytes)
                            : (uint8_t)spec->value.size;
    entry_set_id(entry, spec->id);
    char *at = (char *)entry + entry_expiry_offset(entry);
    if (spec_has_expiry(spec)) {
        memcpy(at, &spec->expiry_ms, sizeof spec->expiry_ms);
    }
    if (entry_expires_fields(spec->bits)) {
        memcpy(at + 16, &spec->fields, sizeof spec->fields);
    }
    at += expiry_bytes(spec);
    if (long_key) {
        uint32_t size = (uint32_t)spec->key.size;
        memcpy(at, &size, sizeof size);
        at += 4;
    }
    if (long_value) {
        uint32_t size = (uint32_t)spec->value.size;
        memcpy(at, &size, sizeof size);
        at += 4;
    }
    memcpy(at, spec->key.data, spec->key.size);
    at += spec->key.size;
    if (is_outside) {
        uintptr_t tagged = spec->live != NULL ? (uintptr_t)spec->live | LIVE_TAG
                                              : (uintptr_t)spec->blob;
        memcpy(at, &tagged, sizeof tagged);
    } else if (!dry && spec->value.size > 0) {
        memcpy(at, spec->value.data, spec->value.size);
    }
}

bool entry_overwrite(struct entry *entry, size_t slot_bytes, struct bytes value)
{
    bool was_long = (entry->bits & ENTRY_LONG_VALUE) != 0;
    if (entry_is_dry(entry) || (entry->bits & ENTRY_OUTSIDE) ||
        was_long != (value.size > ENTRY_SHORT_MAX)) {
        return false;
    }
    size_t offset = value_offset(entry);
    size_t need = offset + value.size;
    /* A slot of a larger class than the value needs is memory wasted. */
    if (need > ENTRY_INLINE_MAX_BYTES ||
        arena_class_bytes(need) != slot_bytes) {
        return false;
    }
    if (was_long) {
        uint32_t size = (uint32_t)value.size;
        memcpy((char *)entry + entry_key_offset(entry) - 4, &size, sizeof size);
    } else {
        entry->value_size = (uint8_t)value.size;
    }
    memmove((char *)entry + offset, value.data, value.size);
    return true;
}
