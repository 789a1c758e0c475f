#include <stdlib.h>

#include "tiers/engine_internal.h"

uint64_t db_size(const struct db *db)
{
    return db->space->index.count;
}

uint64_t db_tier_size(const struct db *db, enum tier tier)
{
    return space_tier_items(db->space, tier);
}

uint64_t db_expiring(const struct db *db)
{
    return db->space->wheel.keys;
}

int64_t db_mean_ttl_ms(const struct db *db, int64_t now_ms)
{
    const struct wheel *wheel = &db->space->wheel;
    if (wheel->keys == 0) {
        return 0;
    }
    int64_t mean = (int64_t)(wheel->expiry_sum_ms / wheel->keys) - now_ms;
    return mean > 0 ? mean : 0;
}

uint64_t db_hash(const struct db *db, struct bytes key)
{
    return index_hash(db->engine->secret, key);
}

void db_prefetch(struct db *db, uint64_t key_hash, unsigned stage)
{
    const struct entry *entry =
        index_prefetch(&db->space->index, key_hash, stage);
    if (entry != NULL) { /* what its namespace keeps of each use */
        const struct shelf *shelf = shelf_of(db->engine, entry);
        __builtin_prefetch(shelf, 1);
        __builtin_prefetch(arena_at(&db->engine->arena, shelf->hot.head), 1);
    }
}

/* ---- dirt, deletion, expiry ---- */

void entry_outdate(struct space *space, struct entry *entry, uint64_t hash)
{
    uint64_t id = entry_id_of(entry);
    if (id != 0) {
        log_count_entry(space->engine, entry, -1);
        log_mark(space, MARK_DEAD, id, hash, 0);
        entry_set_id(entry, 0);
    }
    log_queue(space, entry, hash);
}

/* Deletes with the record's dead mark; no event. */
static void db_remove(
    struct space *space, uint64_t hash, struct index_slot slot)
{
    struct engine *engine = space->engine;
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    uint64_t id = entry_id_of(entry);
    if (id != 0) {
        log_count_entry(space->engine, entry, -1);
        log_mark(space, MARK_DEAD, id, hash, 0);
    }
    /* While it is queued, the death of an earlier record may be as well. */
    if (id != 0 || (entry->bits & ENTRY_QUEUED) != 0) {
        log_wrote(shelf_of(engine, entry));
    }
    space_remove(space, hash, slot);
}

void db_tell(const struct db *db, enum engine_event event, struct bytes key)
{
    const struct engine_options *options = &db->engine->options;
    if (options->on_event != NULL) {
        options->on_event(options->context, event, db->number, key);
    }
}

/* Removes an entry that no command asked to remove, and tells the caller's
 * listener once it is gone. */
static void remove_and_tell(struct space *space, uint64_t hash,
    struct index_slot slot, enum engine_event event)
{
    struct engine *engine = space->engine;
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    struct bytes key = entry_key_of(entry);
    char *copy = NULL;
    if (engine->options.on_event != NULL) {
        copy = xmalloc(key.size + 1);
        memcpy(copy, key.data, key.size);
    }
    db_remove(space, hash, slot);
    if (copy != NULL) {
        db_tell(space->db, event, bytes_of(copy, key.size));
        if (event == ENGINE_FIELDS_EXPIRED) {
            db_tell(space->db, ENGINE_EMPTIED, bytes_of(copy, key.size));
        }
        free(copy);
    }
}

void db_expire_entry(struct space *space, uint64_t hash, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    int64_t expiry_ms = entry_expiry_of(entry);
    if (entry_expires_fields(entry->bits) &&
        (expiry_ms == 0 || expiry_ms > engine->now_ms)) {
        remove_and_tell(space, hash, slot, ENGINE_FIELDS_EXPIRED);
        return;
    }
    engine->counters.expired++;
    engine->counters.expired_by_tier[entry_tier_of(entry)]++;
    shelf_of(engine, entry)
        ->namespace->counters.expired[entry_tier_of(entry)]++;
    remove_and_tell(space, hash, slot, ENGINE_EXPIRED);
}

void db_evict_entry(struct space *space, uint64_t hash, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    engine->counters.evicted++;
    engine->counters.evicted_by_tier[entry_tier_of(entry)]++;
    shelf_of(engine, entry)
        ->namespace->counters.evicted[entry_tier_of(entry)]++;
    remove_and_tell(space, hash, slot, ENGINE_EVICTED);
}

/* ---- looking ---- */

struct found {
    struct index_slot slot;
    struct entry *entry; /* NULL: absent */
    uint64_t hash;
};

/* A collection cannot be looked into while it is packed. */
static bool must_rise(const struct entry *entry)
{
    enum value_form form = value_form(entry_kind(entry));
    if (form == VALUE_STRING || entry_tier_of(entry) != TIER_COLD) {
        return false;
    }
    return entry_codec(entry) != CODEC_NONE ||
           (form == VALUE_TREE && entry_live(entry) == NULL);
}

/* What is over goes, the whole key or some of its fields. */
static void settle(struct db *db, struct found *found, int64_t now_ms)
{
    const struct entry *entry = found->entry;
    if (entry_is_over(entry, now_ms)) {
        db_expire_entry(db->space, found->hash, found->slot);
        found->slot.ref = NULL;
        found->entry = NULL;
    } else if (fields_are_due(entry, now_ms) && !entry_is_dry(entry) &&
               !must_rise(entry)) {
        found->slot = fields_expire(db->space, found->slot, UINT64_MAX);
        found->entry = found->slot.ref == NULL
                           ? NULL
                           : arena_at(&db->engine->arena, *found->slot.ref);
    }
}

static struct found find(struct db *db, struct bytes key, int64_t now_ms)
{
    struct found found = {.hash = db_hash(db, key)};
    db->engine->now_ms = now_ms;
    found.slot = index_find(&db->space->index, found.hash, key);
    if (found.slot.ref == NULL) {
        return found;
    }
    found.entry = arena_at(&db->engine->arena, *found.slot.ref);
    if ((found.entry->bits & ENTRY_HAS_EXPIRY) != 0) {
        settle(db, &found, now_ms);
    }
    if (found.entry != NULL && entry_is_of_past(db->engine, found.entry)) {
        db_evict_entry(db->space, found.hash, found.slot);
        found.slot.ref = NULL;
        found.entry = NULL;
    }
    return found;
}

enum db_residency db_residency(struct db *db, struct bytes key, int64_t now_ms)
{
    struct found found = find(db, key, now_ms);
    if (found.entry == NULL) {
        return DB_ABSENT;
    }
    return entry_is_dry(found.entry) ? DB_DRY : DB_RESIDENT;
}

struct entry *db_find(struct db *db, struct bytes key, int64_t now_ms)
{
    return find(db, key, now_ms).entry;
}

/* One more use of an entry: time, frequency, place in its list, and from
 * cold to hot when there is room, or when the entry has been used so lately
 * that another one is a better one to be cold. Not at the use that it was
 * fetched from disk for. */
static struct entry *use(struct db *db, struct found *found)
{
    struct engine *engine = db->engine;
    struct entry *entry = found->entry;
    bool stays = engine->uses_ignored || item_is_large(engine, entry);
    if (stays && !must_rise(entry)) {
        return entry;
    }
    if (entry_tier_of(entry) == TIER_COLD) {
        if (must_rise(entry) ||
            ((entry->bits & ENTRY_TOUCHED) &&
                shelf_admits(shelf_of(engine, entry), entry))) {
            entry->access = access_next(engine, entry->access);
            found->entry = rise_to_hot(db->space, found->slot);
            if ((found->entry->bits & ENTRY_HAS_EXPIRY) != 0) {
                settle(db, found, engine->now_ms);
            }
            return found->entry;
        }
        entry->bits |= ENTRY_TOUCHED;
    }
    shelf_use(engine, entry);
    return entry;
}

static void miss(struct db *db, struct bytes key)
{
    namespace_find(db->engine, key)->counters.misses++;
    db->engine->counters.misses++;
    if (db->engine->tells_missed) {
        db_tell(db, ENGINE_MISSED, key);
    }
}

/* A key is given this much at least, or its expiry stays as it is. */
#define RENEW_MIN_MS 50

/* sliding-ttl: the expiry a write would give now, if that is later. */
static void renew_expiry(struct db *db, const struct found *found)
{
    struct entry *entry = found->entry;
    struct engine *engine = db->engine;
    int64_t old_ms = entry_expiry_of(entry);
    int64_t new_ms = engine->now_ms +
                     shelf_of(engine, entry)->namespace->policy.default_ttl_ms;
    if (old_ms == 0 || engine->uses_ignored || new_ms < old_ms + RENEW_MIN_MS) {
        return;
    }
    space_move_expiry(db->space, entry, new_ms);
    uint64_t id = entry_id_of(entry);
    if (id != 0) {
        log_mark(db->space, MARK_EXPIRY, id, found->hash, new_ms);
    } else {
        log_queue(db->space, entry, found->hash);
    }
}

struct entry *db_read(struct db *db, struct bytes key, int64_t now_ms)
{
    struct found found = find(db, key, now_ms);
    struct engine_stats *counters = &db->engine->counters;
    if (found.entry == NULL) {
        miss(db, key);
        return NULL;
    }
    counters->hits++;
    struct shelf *shelf = shelf_of(db->engine, found.entry);
    enum tier tier = entry_tier_of(found.entry);
    if (tier == TIER_COLD && !(found.entry->bits & ENTRY_TOUCHED)) {
        tier = TIER_DRY; /* it was fetched for this read */
    }
    counters->tier_hits[tier]++;
    db->engine->read_tiers |= (uint8_t)(1 << tier);
    shelf->hits[tier]++;
    if ((found.entry->bits & ENTRY_HAS_EXPIRY) &&
        shelf->namespace->policy.sliding) {
        renew_expiry(db, &found);
    }
    return use(db, &found);
}

struct entry *db_read_many(struct db *db, struct bytes key, int64_t now_ms)
{
    struct engine *engine = db->engine;
    const struct namespace *namespace = namespace_find(engine, key);
    bool ignored = engine->uses_ignored;
    engine->uses_ignored = ignored || !namespace->policy.mget_touch;
    struct entry *entry = db_read(db, key, now_ms);
    engine->uses_ignored = ignored;
    return entry;
}

struct entry *db_look(struct db *db, struct bytes key, int64_t now_ms)
{
    struct entry *entry = find(db, key, now_ms).entry;
    if (entry == NULL) {
        miss(db, key);
    } else {
        db->engine->counters.hits++;
    }
    return entry;
}

struct entry *db_look_quietly(struct db *db, struct bytes key, int64_t now_ms)
{
    struct engine_stats *counters = &db->engine->counters;
    struct entry *entry = find(db, key, now_ms).entry;
    *(entry == NULL ? &counters->misses : &counters->hits) += 1;
    return entry;
}

struct entry *db_touch(struct db *db, struct bytes key, int64_t now_ms)
{
    struct found found = find(db, key, now_ms);
    return found.entry == NULL ? NULL : use(db, &found);
}

/* ---- whole keys ---- */

bool db_delete(struct db *db, struct bytes key, int64_t now_ms)
{
    struct found found = find(db, key, now_ms);
    if (found.entry == NULL) {
        return false;
    }
    shelf_of(db->engine, found.entry)->namespace->counters.deletes++;
    db->engine->counters.deletes++;
    db_remove(db->space, found.hash, found.slot);
    return true;
}

struct entry *db_set_expiry(
    struct db *db, struct entry *entry, int64_t expiry_ms)
{
    struct space *space = db->space;
    struct engine *engine = db->engine;
    uint64_t hash = space_hash(space, entry);
    if (entry_expiry_of(entry) == expiry_ms) {
        return entry;
    }
    uint64_t id = entry_id_of(entry);
    if (id != 0) {
        log_mark(space, MARK_EXPIRY, id, hash, expiry_ms);
        log_wrote(shelf_of(engine, entry));
    } else {
        log_queue(space, entry, hash);
    }
    struct index_slot slot =
        index_find_ref(&space->index, hash, arena_ref(&engine->arena, entry));
    check(slot.ref != NULL);
    struct entry_spec spec;
    entry_describe(entry, &spec);
    spec.expiry_ms = expiry_ms;
    entry_place_value(&spec);
    return space_replace(space, slot, &spec, LINK_SAME);
}

struct entry *db_set_tag(struct db *db, struct entry *entry, struct bytes tag)
{
    space_retag(db->space, entry, ttl_rule_id(tag));
    return entry;
}

/* Writes `spec` (value, kind, codec, expiry) at `to`, replacing what is
 * there; a dirty hot or cold entry. */
static void put_copy(struct db *target, struct bytes to,
    const struct entry_spec *spec, int64_t now_ms)
{
    struct entry_spec copy = *spec;
    struct found found = find(target, to, now_ms);
    copy.key = to;
    copy.id = 0;
    copy.bits &= (uint16_t) ~(ENTRY_QUEUED | ENTRY_SINKING | ENTRY_PINNED);
    entry_place_value(&copy);
    if (found.entry != NULL) {
        db_remove(target->space, found.hash, found.slot);
    }
    struct entry *entry = space_insert(target->space, found.hash, &copy);
    log_queue(target->space, entry, found.hash);
    item_arrived(target->engine, entry);
}

void db_copy(struct db *db, struct bytes from, struct db *target,
    struct bytes to, int64_t now_ms)
{
    struct found found = find(db, from, now_ms);
    check(found.entry != NULL && !entry_is_dry(found.entry));
    struct entry_spec spec;
    entry_describe(found.entry, &spec);
    spec.tag = shelf_of(db->engine, found.entry)->tag;
    /* The arena never moves what it holds, so the borrowed value stays good
     * while `to` is replaced; `from` and `to` differ. */
    if (spec.blob != NULL) {
        blob_ref(spec.blob);
    }
    if (spec.live != NULL) {
        spec.live = value_snapshot(spec.live);
    }
    put_copy(target, to, &spec, now_ms);
}

void db_rename(struct db *db, struct bytes from, struct db *target,
    struct bytes to, int64_t now_ms)
{
    if (db == target && bytes_equal(from, to)) {
        return;
    }
    db_copy(db, from, target, to, now_ms);
    db_delete(db, from, now_ms);
}

/* ---- walking ---- */

struct scan_visit {
    struct db *db;
    int64_t now_ms;
    db_scan_fn *fn;
    void *context;
};

static void on_scan(void *context, uint32_t ref, uint64_t hash)
{
    const struct scan_visit *visit = context;
    const struct entry *entry = arena_at(&visit->db->engine->arena, ref);
    (void)hash;
    if (!entry_is_over(entry, visit->now_ms)) {
        visit->fn(visit->context, entry_key_of(entry), entry);
    }
}

uint64_t db_scan(struct db *db, uint64_t cursor, int64_t now_ms, db_scan_fn *fn,
    void *context)
{
    struct scan_visit visit = {db, now_ms, fn, context};
    if (cursor >> INDEX_POSITION_BITS) {
        return 0;
    }
    return index_scan(&db->space->index, cursor, on_scan, &visit);
}

struct random_visit {
    uint64_t random;
    uint64_t seen;
    const struct entry *chosen;
};

/* Reservoir of one: each key of the bucket is as likely. */
static void on_random(
    void *context, struct bytes key, const struct entry *entry)
{
    struct random_visit *visit = context;
    (void)key;
    visit->seen++;
    visit->random = visit->random * UINT64_C(6364136223846793005) + 1;
    if ((visit->random >> 33) % visit->seen == 0) {
        visit->chosen = entry;
    }
}

struct entry *db_random(struct db *db, uint64_t random, int64_t now_ms)
{
    struct random_visit visit = {.random = random};
    uint64_t start = random >> (64 - INDEX_POSITION_BITS);
    uint64_t cursor = start;
    bool wrapped = false;
    /* From there to the end, then from the beginning to there. */
    while (visit.chosen == NULL && !(wrapped && cursor > start)) {
        cursor = db_scan(db, cursor, now_ms, on_random, &visit);
        if (cursor == 0 && wrapped) {
            break;
        }
        wrapped = wrapped || cursor == 0;
    }
    return visit.chosen == NULL
               ? NULL
               : arena_at(&db->engine->arena,
                     arena_ref(&db->engine->arena, visit.chosen));
}
