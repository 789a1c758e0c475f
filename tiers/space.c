#include <stdlib.h>

#include "tiers/engine_internal.h"

struct space *space_create(struct engine *engine, struct db *db)
{
    struct space *space = xcalloc(1, sizeof *space);
    space->engine = engine;
    space->db = db;
    space->keyspace = engine->next_keyspace++;
    index_init(
        &space->index, &engine->arena, engine->secret, &engine->index_bytes);
    wheel_init(&space->wheel, engine->now_ms);
    shelf_for(space, engine->namespaces.fallback, 0);
    return space;
}

struct space *space_of(const struct engine *engine, const struct entry *entry)
{
    return shelf_of(engine, entry)->space;
}

struct space *space_by_keyspace(const struct engine *engine, uint32_t keyspace)
{
    for (unsigned i = 0; i < engine->options.databases; i++) {
        if (engine->dbs[i].space->keyspace == keyspace) {
            return engine->dbs[i].space;
        }
    }
    return NULL;
}

uint64_t space_hash(const struct space *space, const struct entry *entry)
{
    return index_hash(space->index.secret, entry_key_of(entry));
}

uint64_t space_tier_items(const struct space *space, enum tier tier)
{
    return space->tier_items[tier];
}

size_t entry_memory_bytes_at(const struct engine *engine, uint32_t ref)
{
    const struct entry *entry = arena_at(&engine->arena, ref);
    return arena_slot_bytes(&engine->arena, ref) + entry_outside_bytes(entry);
}

static uint32_t make_entry(struct shelf *shelf, const struct entry_spec *spec)
{
    struct engine *engine = shelf->space->engine;
    struct entry_spec changed;
    uint16_t bits = shelf_bits(shelf, spec->bits);
    if (bits != spec->bits) {
        changed = *spec;
        changed.bits = bits;
        spec = &changed;
    }
    uint32_t ref = arena_alloc(&engine->arena, entry_slot_size(spec));
    /* engine_admit refuses writes before the range is used up. */
    check(ref != 0);
    struct entry *entry = arena_at(&engine->arena, ref);
    entry_write(entry, spec);
    entry->shelf = shelf->number;
    return ref;
}

struct entry *space_insert(
    struct space *space, uint64_t hash, const struct entry_spec *spec)
{
    struct engine *engine = space->engine;
    struct shelf *shelf =
        shelf_for(space, namespace_find(engine, spec->key), spec->tag);
    uint32_t ref = make_entry(shelf, spec);
    struct entry *entry = arena_at(&engine->arena, ref);
    shelf_link(engine, ref);
    if (entry->bits & ENTRY_HAS_EXPIRY) {
        wheel_add(&space->wheel, &engine->arena, ref);
    }
    shelf_count(engine, ref, 1);
    index_insert(&space->index, hash, ref);
    if (space->engine->tells_added && space->engine->load_from == 0) {
        db_tell(space->db, ENGINE_ADDED, spec->key);
    }
    return entry;
}

static void relink_wheel(struct space *space, uint32_t old_ref, uint32_t ref)
{
    const struct arena *arena = &space->engine->arena;
    const struct entry *old = arena_at(arena, old_ref);
    const struct entry *entry = arena_at(arena, ref);
    bool had = (old->bits & ENTRY_HAS_EXPIRY) != 0;
    bool has = (entry->bits & ENTRY_HAS_EXPIRY) != 0;
    if (had && has && entry_expiry_of(old) == entry_expiry_of(entry) &&
        entry_deadline_of(old) == entry_deadline_of(entry)) {
        wheel_substitute(&space->wheel, arena, old_ref, ref);
        return;
    }
    if (had) {
        wheel_remove(&space->wheel, arena, old_ref);
    }
    if (has) {
        wheel_add(&space->wheel, arena, ref);
    }
}

static struct entry *replace_on(struct shelf *shelf, struct index_slot slot,
    const struct entry_spec *spec, enum link_at where)
{
    struct space *space = shelf->space;
    struct engine *engine = space->engine;
    uint32_t old_ref = *slot.ref;
    struct entry *old = arena_at(&engine->arena, old_ref);
    uint32_t ref = make_entry(shelf, spec);
    struct blob *old_blob = entry_blob(old);
    struct value *old_live = entry_live(old);
    struct entry *entry = arena_at(&engine->arena, ref);
    shelf_count(engine, old_ref, -1);
    shelf_relink(engine, old_ref, ref, where);
    relink_wheel(space, old_ref, ref);
    shelf_count(engine, ref, 1);
    if (old_blob != entry_blob(entry)) {
        blob_unref(old_blob);
    }
    if (old_live != entry_live(entry)) {
        engine_drop_value(engine, old_live);
    }
    *slot.ref = ref;
    arena_free(&engine->arena, old_ref);
    return entry;
}

struct entry *space_replace(struct space *space, struct index_slot slot,
    const struct entry_spec *spec, enum link_at where)
{
    struct engine *engine = space->engine;
    const struct entry *old = arena_at(&engine->arena, *slot.ref);
    return replace_on(shelf_of(engine, old), slot, spec, where);
}

/* Same bytes, other shelf. */
static void reshelve(struct engine *engine, struct shelf *shelf, uint32_t ref)
{
    struct entry *entry = arena_at(&engine->arena, ref);
    shelf_count(engine, ref, -1);
    shelf_unlink(engine, ref);
    if (entry_tier_of(entry) == TIER_HOT) {
        entry->bits &= (uint16_t)~ENTRY_MAIN;
    }
    entry->bits = shelf_bits(shelf, entry->bits);
    entry->shelf = shelf->number;
    shelf_link(engine, ref);
    shelf_count(engine, ref, 1);
}

static void move_to_shelf(struct space *space, uint32_t ref, uint32_t tag)
{
    struct engine *engine = space->engine;
    struct entry *entry = arena_at(&engine->arena, ref);
    struct shelf *shelf =
        shelf_for(space, namespace_find(engine, entry_key_of(entry)), tag);
    bool recorded = entry_id_of(entry) != 0;
    if (shelf == shelf_of(engine, entry)) {
        return;
    }
    if (recorded) {
        log_count_entry(engine, entry, -1);
    }
    if (entry_is_dry(entry) &&
        shelf->links_dry != entry_has_links(entry->bits)) {
        struct entry_spec spec;
        struct index_slot slot =
            index_find_ref(&space->index, space_hash(space, entry), ref);
        entry_describe(entry, &spec);
        entry = replace_on(shelf, slot, &spec, LINK_HEAD);
    } else {
        reshelve(engine, shelf, ref);
    }
    if (recorded) {
        log_count_entry(engine, entry, 1);
    }
}

void space_retag(struct space *space, struct entry *entry, uint32_t tag)
{
    move_to_shelf(space, arena_ref(&space->engine->arena, entry), tag);
}

bool entry_is_outdated(const struct engine *engine, const struct entry *entry)
{
    const struct namespace *namespace =
        namespace_find(engine, entry_key_of(entry));
    return shelf_of(engine, entry)->schema_version !=
           namespace->policy.schema_version;
}

void space_rehome(struct space *space, uint32_t ref)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, ref);
    if (entry_is_outdated(engine, entry)) {
        uint64_t hash = space_hash(space, entry);
        db_evict_entry(space, hash, index_find_ref(&space->index, hash, ref));
    } else {
        move_to_shelf(space, ref, shelf_of(engine, entry)->tag);
    }
}

void space_move_expiry(
    struct space *space, struct entry *entry, int64_t expiry_ms)
{
    const struct arena *arena = &space->engine->arena;
    uint32_t ref = arena_ref(arena, entry);
    wheel_remove(&space->wheel, arena, ref);
    memcpy((char *)entry + entry_expiry_offset(entry), &expiry_ms,
        sizeof expiry_ms);
    wheel_add(&space->wheel, arena, ref);
}

static void free_entry(struct engine *engine, uint32_t ref)
{
    struct entry *entry = arena_at(&engine->arena, ref);
    shelf_count(engine, ref, -1);
    blob_unref(entry_blob(entry));
    engine_drop_value(engine, entry_live(entry));
    arena_free(&engine->arena, ref);
}

void space_remove(struct space *space, uint64_t hash, struct index_slot slot)
{
    struct engine *engine = space->engine;
    uint32_t ref = *slot.ref;
    const struct entry *entry = arena_at(&engine->arena, ref);
    shelf_unlink(engine, ref);
    if (entry->bits & ENTRY_HAS_EXPIRY) {
        wheel_remove(&space->wheel, &engine->arena, ref);
    }
    index_remove(&space->index, hash, slot);
    free_entry(engine, ref);
}

#define CLEAR_VISIT_MAX 256

struct clear_visit {
    unsigned count;
    bool more;
    uint32_t refs[CLEAR_VISIT_MAX];
    uint64_t hashes[CLEAR_VISIT_MAX];
};

static void on_clear(void *context, uint32_t ref, uint64_t hash)
{
    struct clear_visit *visit = context;
    if (visit->count == CLEAR_VISIT_MAX) {
        visit->more = true;
        return;
    }
    visit->refs[visit->count] = ref;
    visit->hashes[visit->count] = hash;
    visit->count++;
}

/* Entries leave the index one by one, because a scan reads the entries of
 * neighbouring buckets too; lists and wheel go as a whole. */
bool space_clear(struct space *space, unsigned budget)
{
    struct engine *engine = space->engine;
    for (unsigned freed = 0; space->index.count > 0 && freed < budget;) {
        struct clear_visit visit = {0};
        uint64_t next =
            index_scan(&space->index, space->clear_position, on_clear, &visit);
        for (unsigned i = 0; i < visit.count; i++) {
            struct index_slot slot =
                index_find_ref(&space->index, visit.hashes[i], visit.refs[i]);
            index_remove(&space->index, visit.hashes[i], slot);
            free_entry(engine, visit.refs[i]);
        }
        freed += visit.count + 1;
        if (!visit.more) {
            space->clear_position = next;
        }
    }
    return space->index.count == 0;
}

void space_retire(struct space *space)
{
    for (struct shelf *shelf = space->first_shelf; shelf != NULL;
         shelf = shelf->next) {
        struct namespace *namespace = shelf->namespace;
        for (unsigned tier = 0; tier < 3; tier++) {
            namespace->tier[tier].items -= shelf->tier[tier].items;
            namespace->tier[tier].bytes -= shelf->tier[tier].bytes;
        }
        namespace->sinking.items -= shelf->sinking_now.items;
        namespace->sinking.bytes -= shelf->sinking_now.bytes;
        namespace->disk_bytes -= shelf->live_bytes;
        shelf_leave_namespace(shelf);
    }
}

void space_destroy(struct space *space)
{
    while (space->first_shelf != NULL) {
        shelf_destroy(space->first_shelf);
    }
    free(space->shelves);
    index_finish(&space->index);
    free(space);
}

struct recount {
    const struct space *space;
    uint64_t expiring;
    uint64_t live_records, live_bytes;
    struct engine_tier_stats (*tier)[3]; /* by number of the shelf */
    uint64_t *linked;                    /* dry entries in a list, likewise */
};

static void on_recount(void *context, uint32_t ref, uint64_t hash)
{
    struct recount *recount = context;
    const struct engine *engine = recount->space->engine;
    const struct entry *entry = arena_at(&engine->arena, ref);
    struct engine_tier_stats *tier =
        &recount->tier[entry->shelf][entry_tier_of(entry)];
    (void)hash;
    check(space_of(engine, entry) == recount->space);
    tier->items++;
    tier->bytes += entry_memory_bytes_at(engine, ref);
    recount->linked[entry->shelf] +=
        entry_is_dry(entry) && entry_has_links(entry->bits);
    recount->expiring += (entry->bits & ENTRY_HAS_EXPIRY) ? 1 : 0;
    if (entry_id_of(entry) != 0) {
        recount->live_records++;
        recount->live_bytes += entry_record_bytes(entry) + RECORD_HEADER_BYTES;
    }
}

static void shelf_sane(const struct shelf *shelf,
    const struct engine_tier_stats *tier, uint64_t linked)
{
    uint64_t hot = shelf->hot.items;
    unsigned more = shelf_more_lists(shelf);
    for (unsigned i = 0; i < more; i++) {
        hot += shelf->more[i].items;
    }
    for (unsigned i = 0; i < 3; i++) {
        check(tier[i].items == shelf->tier[i].items);
        check(tier[i].bytes == shelf->tier[i].bytes);
    }
    check(hot == shelf->tier[TIER_HOT].items);
    check(shelf->dry.items == linked);
    check(shelf->cold.items + shelf->sinking.items ==
          shelf->tier[TIER_COLD].items);
}

void space_sane(const struct space *space)
{
    struct recount recount = {.space = space};
    uint64_t position = 0;
    recount.tier =
        xcalloc(space->engine->shelf_capacity, sizeof(*recount.tier));
    recount.linked =
        xcalloc(space->engine->shelf_capacity, sizeof(*recount.linked));
    index_sane(&space->index);
    do {
        position = index_scan(&space->index, position, on_recount, &recount);
    } while (position != 0);
    uint64_t live_bytes = 0, tier_items[3] = {0};
    for (const struct shelf *shelf = space->first_shelf; shelf != NULL;
         shelf = shelf->next) {
        shelf_sane(
            shelf, recount.tier[shelf->number], recount.linked[shelf->number]);
        live_bytes += shelf->live_bytes;
        for (unsigned i = 0; i < 3; i++) {
            tier_items[i] += shelf->tier[i].items;
        }
    }
    check(memcmp(tier_items, space->tier_items, sizeof tier_items) == 0);
    check(live_bytes == space->live_bytes);
    check(recount.live_records == space->live_records);
    check(recount.live_bytes == space->live_bytes);
    check(recount.expiring == space->wheel.items);
    free(recount.tier);
    free(recount.linked);
}
