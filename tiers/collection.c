#include "tiers/collection.h"

#include "tiers/engine_internal.h"
#include "tiers/values/hash.h"

static void open_value(struct collection *collection, const struct entry *entry)
{
    const uint8_t *secret = collection->db->engine->secret;
    collection->kind = entry_kind(entry);
    collection->live = entry_live(entry);
    check(!entry_is_dry(entry));
    if (collection->live != NULL) {
        collection->ref = arena_ref(&collection->db->engine->arena, entry);
        collection->live_bytes = value_memory_bytes(collection->live);
        seq_open_tree(&collection->seq, &collection->live->items, secret);
        return;
    }
    uint64_t count = 0;
    check(entry_codec(entry) == CODEC_NONE); /* db_read brought it up */
    struct bytes items = value_flat_items(entry_value(entry), &count);
    seq_open_flat(
        &collection->seq, value_shape(collection->kind), items, count, secret);
}

void collection_read(
    struct collection *collection, struct db *db, const struct entry *entry)
{
    *collection = (struct collection){.db = db, .exists = true};
    open_value(collection, entry);
}

void collection_write(struct collection *collection, struct db *db,
    struct bytes key, const struct entry *entry, enum kind kind, int64_t now_ms)
{
    *collection = (struct collection){
        .db = db,
        .key = key,
        .now_ms = now_ms,
        .exists = entry != NULL,
        .kind = kind,
    };
    const uint8_t *secret = db->engine->secret;
    if (entry != NULL) {
        open_value(collection, entry);
        struct seq view = collection->seq;
        if (collection->live == NULL) {
            seq_open_copy(&collection->seq, view.shape,
                bytes_of(view.data, view.size), view.count, secret);
        }
    } else if (value_form(kind) == VALUE_TREE) {
        collection->live = value_create(kind);
        collection->is_new = true;
        seq_open_tree(&collection->seq, &collection->live->items, secret);
    } else {
        seq_open_copy(
            &collection->seq, value_shape(kind), bytes_of(NULL, 0), 0, secret);
    }
}

void collection_grow(struct collection *collection, enum kind kind)
{
    check(collection->live == NULL && value_form(kind) == VALUE_TREE);
    collection->live = value_create(kind);
    collection->is_new = true;
    collection->kind = kind;
    seq_to_tree(&collection->seq, &collection->live->items);
}

/* The entry says when fields of its hash expire; it may move. */
static void settle_fields(struct collection *collection, uint64_t hash)
{
    struct space *space = collection->db->space;
    struct arena *arena = &space->engine->arena;
    const struct entry *entry = arena_at(arena, collection->ref);
    struct field_deadlines fields = hash_deadlines(collection);
    struct entry_spec spec;
    entry_describe(entry, &spec);
    if (entry_kind(entry) == collection->kind &&
        spec.fields.first_ms == fields.first_ms &&
        spec.fields.last_ms == fields.last_ms) {
        return;
    }
    spec.fields = fields;
    spec.bits = entry_with_kind(spec.bits, collection->kind);
    struct index_slot slot =
        index_find_ref(&space->index, hash, collection->ref);
    check(slot.ref != NULL);
    entry = space_replace(space, slot, &spec, LINK_SAME);
    collection->ref = arena_ref(arena, entry);
}

/* The entry's live value has changed in place. */
static void settle_live(struct collection *collection)
{
    struct db *db = collection->db;
    struct entry *entry = arena_at(&db->engine->arena, collection->ref);
    check(entry_live(entry) == collection->live);
    shelf_count_live(db->engine, entry,
        value_memory_bytes(collection->live) - collection->live_bytes);
    bool fields = kind_expires_fields(collection->kind);
    bool hashed =
        fields || entry_id_of(entry) != 0 || log_would_queue(db->space, entry);
    uint64_t hash = hashed ? db_hash(db, collection->key) : 0;
    entry_outdate(db->space, entry, hash);
    if (fields) {
        settle_fields(collection, hash);
    } else {
        entry->bits = entry_with_kind(entry->bits, collection->kind);
    }
    item_arrived(db->engine, arena_at(&db->engine->arena, collection->ref));
}

static void store_flat(struct collection *collection)
{
    struct seq *seq = &collection->seq;
    char head[SEQ_HEADROOM];
    size_t size = varint_write(head, seq->count);
    char *payload = seq->data - size;
    memcpy(payload, head, size);
    struct bytes value = bytes_of(payload, size + seq->size);
    if (!kind_expires_fields(collection->kind)) {
        db_set_flat(collection->db, collection->key, value, collection->kind,
            collection->now_ms);
        return;
    }
    struct entry_spec spec = {
        .key = collection->key,
        .value = value,
        .fields = hash_deadlines(collection),
        .bits = entry_with_tier((uint16_t)collection->kind, TIER_HOT),
    };
    db_put(collection->db, &spec, DB_KEEP_EXPIRY, collection->now_ms);
}

static void store(struct collection *collection)
{
    if (collection->live != NULL && !collection->is_new) {
        settle_live(collection);
    } else if (collection->live != NULL) {
        struct entry_spec spec = {
            .key = collection->key,
            .live = collection->live,
            .fields = kind_expires_fields(collection->kind)
                          ? hash_deadlines(collection)
                          : (struct field_deadlines){0},
            .bits = entry_with_tier((uint16_t)collection->kind, TIER_HOT),
        };
        db_put(collection->db, &spec, DB_KEEP_EXPIRY, collection->now_ms);
        collection->is_new = false;
    } else {
        store_flat(collection);
    }
}

bool collection_end(struct collection *collection, bool changed)
{
    /* A stream without entries is still there. */
    bool gone = changed && collection_count(collection) == 0 &&
                collection->kind != KIND_STREAM;
    if (gone && collection->exists) {
        if (collection->live != NULL && !collection->is_new) {
            settle_live(collection);
        }
        db_delete(collection->db, collection->key, collection->now_ms);
    } else if (changed && !gone) {
        store(collection);
    }
    if (collection->is_new) {
        engine_drop_value(collection->db->engine, collection->live);
    }
    seq_close(&collection->seq);
    return gone;
}

void collection_keep(struct collection *collection)
{
    struct seq view = collection->seq;
    if (collection->live != NULL) {
        collection->live = value_snapshot(collection->live);
        seq_open_tree(&collection->seq, &collection->live->items, view.secret);
    } else {
        seq_open_copy(&collection->seq, view.shape,
            bytes_of(view.data, view.size), view.count, view.secret);
    }
}

void collection_release(struct collection *collection)
{
    engine_drop_value(collection->db->engine, collection->live);
    seq_close(&collection->seq);
}

const struct value_limits *collection_limits(
    const struct collection *collection)
{
    return &collection->db->engine->limits;
}

uint64_t collection_random(struct collection *collection)
{
    return engine_random(collection->db->engine);
}
