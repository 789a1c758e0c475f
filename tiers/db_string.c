/* Strings in a database: the value type that entries hold inline. */
#include <stdlib.h>

#include "tiers/codec.h"
#include "tiers/engine_internal.h"

/* Redis keeps strings up to this size in one allocation ("embstr"). */
#define EMBSTR_MAX_BYTES 44
#define INT_MAX_DIGITS 20
/* A growing string gets this much room at most beyond what it needs. */
#define SPARE_MAX_BYTES (1024 * 1024)

static enum kind text_kind(struct bytes value)
{
    return value.size <= EMBSTR_MAX_BYTES ? KIND_STRING_EMBSTR
                                          : KIND_STRING_RAW;
}

static enum kind string_kind(struct bytes value)
{
    int64_t number = 0;
    if (value.size <= INT_MAX_DIGITS && bytes_to_int64(value, &number)) {
        return KIND_STRING_INT;
    }
    return text_kind(value);
}

struct bytes db_string(
    const struct db *db, const struct entry *entry, struct scratch *scratch)
{
    struct bytes stored = entry_value(entry);
    enum codec codec = entry_codec(entry);
    check(!entry_is_dry(entry));
    if (codec == CODEC_NONE) {
        return stored;
    }
    size_t size = codec_raw_bytes(codec, stored);
    check(size != SIZE_MAX); /* checked by its sum when it was read */
    char *out = scratch_alloc(scratch, size);
    check(codec_unpack(db->engine->packer, codec, stored, out));
    return bytes_of(out, size);
}

struct blob *db_string_blob(const struct entry *entry)
{
    return entry_codec(entry) == CODEC_NONE ? entry_blob(entry) : NULL;
}

size_t db_string_size(const struct db *db, const struct entry *entry)
{
    (void)db;
    check(!entry_is_dry(entry));
    return codec_raw_bytes(entry_codec(entry), entry_value(entry));
}

struct entry *db_put(
    struct db *db, struct entry_spec *spec, int64_t expiry_ms, int64_t now_ms)
{
    struct space *space = db->space;
    struct engine *engine = db->engine;
    uint64_t hash = db_hash(db, spec->key);
    struct index_slot slot = index_find(&space->index, hash, spec->key);
    struct entry *entry = NULL;
    bool keeps_tag = expiry_ms == DB_KEEP_EXPIRY;
    engine->now_ms = now_ms;
    if (slot.ref != NULL) {
        entry = arena_at(&engine->arena, *slot.ref);
        int64_t old_ms = entry_expiry_of(entry);
        if (old_ms != 0 && old_ms <= now_ms) {
            db_expire_entry(space, hash, slot);
            entry = NULL;
        } else if (entry_is_of_past(engine, entry)) {
            db_evict_entry(space, hash, slot);
            entry = NULL;
        } else if (expiry_ms == DB_KEEP_EXPIRY) {
            expiry_ms = old_ms;
        }
    }
    bool names_none = expiry_ms == DB_NO_EXPIRY ||
                      (entry == NULL && expiry_ms == DB_KEEP_EXPIRY);
    struct namespace *namespace = entry != NULL
                                      ? shelf_of(engine, entry)->namespace
                                      : namespace_find(engine, spec->key);
    if (names_none && namespace->policy.default_ttl_ms != 0) {
        expiry_ms = now_ms + namespace->policy.default_ttl_ms;
    }
    spec->expiry_ms = expiry_ms == DB_KEEP_EXPIRY ? 0 : expiry_ms;
    namespace->counters.puts++;
    db->engine->counters.puts++;
    entry_place_value(spec);
    if (entry == NULL) {
        spec->access = access_new(now_ms);
        entry = space_insert(space, hash, spec);
        log_queue(space, entry, hash);
        item_arrived(engine, entry);
        return entry;
    }
    entry_outdate(space, entry, hash);
    spec->access = access_next(engine, entry->access);
    spec->bits |= entry->bits & (ENTRY_QUEUED | ENTRY_PINNED);
    entry = space_replace(space, slot, spec, LINK_HEAD);
    if (!keeps_tag && shelf_of(engine, entry)->tag != 0) {
        space_retag(space, entry, 0);
    }
    item_arrived(engine, entry);
    return entry;
}

/* The common SET: the key is hot, has no expiry and gets none, and the new
 * value fits the slot. NULL when any of it is not so. */
static struct entry *overwrite_hot(struct db *db, struct bytes key,
    struct bytes value, enum kind kind, int64_t now_ms)
{
    struct space *space = db->space;
    struct engine *engine = db->engine;
    uint64_t hash = db_hash(db, key);
    struct index_slot slot = index_find(&space->index, hash, key);
    if (slot.ref == NULL) {
        return NULL;
    }
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    const struct shelf *shelf = shelf_of(engine, entry);
    struct namespace *namespace = shelf->namespace;
    if (entry_tier_of(entry) != TIER_HOT || shelf->tag != 0 ||
        entry_is_of_past(engine, entry) ||
        namespace->policy.default_ttl_ms != 0 ||
        (entry->bits & (ENTRY_HAS_EXPIRY | ENTRY_OUTSIDE))) {
        return NULL;
    }
    size_t record_bytes = entry_record_bytes(entry);
    size_t slot_bytes = arena_slot_bytes(&engine->arena, *slot.ref);
    if (!entry_overwrite(entry, slot_bytes, value)) {
        return NULL;
    }
    engine->now_ms = now_ms;
    entry->bits = entry_with_kind(entry->bits, kind);
    uint64_t id = entry_id_of(entry);
    if (id != 0) {
        log_count_live(shelf_of(engine, entry), record_bytes, -1);
        log_mark(space, MARK_DEAD, id, hash, 0);
        entry_set_id(entry, 0);
    }
    log_queue(space, entry, hash);
    namespace->counters.puts++;
    db->engine->counters.puts++;
    shelf_use(engine, entry);
    item_arrived(engine, entry);
    return entry;
}

static struct entry *set_as(struct db *db, struct bytes key, struct bytes value,
    enum kind kind, int64_t expiry_ms, int64_t now_ms)
{
    if (expiry_ms == DB_NO_EXPIRY || expiry_ms == DB_KEEP_EXPIRY) {
        struct entry *entry = overwrite_hot(db, key, value, kind, now_ms);
        if (entry != NULL) {
            return entry;
        }
    }
    struct entry_spec spec = {
        .key = key,
        .value = value,
        .bits = entry_with_tier((uint16_t)kind, TIER_HOT),
    };
    return db_put(db, &spec, expiry_ms, now_ms);
}

void db_set_flat(struct db *db, struct bytes key, struct bytes payload,
    enum kind kind, int64_t now_ms)
{
    set_as(db, key, payload, kind, DB_KEEP_EXPIRY, now_ms);
}

struct entry *db_set_string(struct db *db, struct bytes key, struct bytes value,
    int64_t expiry_ms, int64_t now_ms)
{
    return set_as(db, key, value, string_kind(value), expiry_ms, now_ms);
}

struct entry *db_set_text(struct db *db, struct bytes key, struct bytes value,
    int64_t expiry_ms, int64_t now_ms)
{
    return set_as(db, key, value, text_kind(value), expiry_ms, now_ms);
}

struct entry *db_set_blob(struct db *db, struct bytes key, struct blob **value,
    int64_t expiry_ms, int64_t now_ms)
{
    struct blob *blob = *value;
    *value = NULL;
    struct entry_spec spec = {
        .key = key,
        .value = blob_bytes(blob),
        .bits =
            entry_with_tier((uint16_t)string_kind(blob_bytes(blob)), TIER_HOT),
    };
    if (!entry_fits_inline(key.size, blob->size, expiry_ms != 0)) {
        spec.blob = blob;
        return db_put(db, &spec, expiry_ms, now_ms);
    }
    struct entry *entry = db_put(db, &spec, expiry_ms, now_ms);
    blob_unref(blob);
    return entry;
}

/* A blob of `size` bytes that begins as `old` did and has room to grow. */
static struct blob *grown_blob(struct bytes old, size_t size)
{
    size_t spare = size < SPARE_MAX_BYTES ? size : SPARE_MAX_BYTES;
    struct blob *blob = blob_create(size + spare);
    if (blob == NULL) {
        blob = blob_create(size);
    }
    if (blob == NULL) {
        return NULL;
    }
    size_t keep = old.size < size ? old.size : size;
    if (keep > 0) {
        memcpy(blob->data, old.data, keep);
    }
    memset(blob->data + keep, 0, size - keep);
    blob->size = size;
    return blob;
}

/* The blob of `entry` resized in place; false when it has to be copied. */
static bool resize_own_blob(struct entry *entry, size_t size)
{
    struct blob *blob = db_string_blob(entry);
    if (entry_tier_of(entry) != TIER_HOT || blob == NULL || blob->refs > 1 ||
        blob->capacity < size) {
        return false;
    }
    if (size > blob->size) {
        memset(blob->data + blob->size, 0, size - blob->size);
    }
    blob->size = size;
    return true;
}

static char *writable(struct entry *entry)
{
    struct blob *blob = entry_blob(entry);
    return blob != NULL ? blob->data : entry_inline_value(entry);
}

char *db_string_resize(
    struct db *db, struct bytes key, size_t size, int64_t now_ms)
{
    struct scratch scratch = {0};
    struct entry *entry = db_touch(db, key, now_ms);
    struct bytes old = bytes_of(NULL, 0);
    char *result = NULL;
    if (entry != NULL) {
        if (resize_own_blob(entry, size)) {
            entry_outdate(db->space, entry, db_hash(db, key));
            entry->bits = entry_with_kind(entry->bits, KIND_STRING_RAW);
            item_arrived(db->engine, entry);
            return writable(entry);
        }
        old = db_string(db, entry, &scratch);
    }
    struct entry_spec spec = {
        .key = key,
        .bits = entry_with_tier(KIND_STRING_RAW, TIER_HOT),
    };
    /* As if it had an expiry: it may, and both forms must fit. */
    if (entry_fits_inline(key.size, size, true)) {
        char *value = engine_scratch(db->engine, size + 1);
        size_t keep = old.size < size ? old.size : size;
        if (keep > 0) {
            memcpy(value, old.data, keep);
        }
        memset(value + keep, 0, size - keep);
        spec.value = bytes_of(value, size);
    } else {
        spec.blob = grown_blob(old, size);
        if (spec.blob == NULL) {
            goto out;
        }
        spec.value = blob_bytes(spec.blob);
    }
    result = writable(db_put(db, &spec, DB_KEEP_EXPIRY, now_ms));
out:
    scratch_reset(&scratch);
    return result;
}
