/* Moving by hand, pins, and waiting for the log. */
#include "tiers/engine_internal.h"

static struct index_slot find_slot(
    struct db *db, struct bytes key, uint64_t *hash)
{
    *hash = db_hash(db, key);
    return index_find(&db->space->index, *hash, key);
}

static struct entry *find_entry(struct db *db, struct bytes key)
{
    uint64_t hash = 0;
    struct index_slot slot = find_slot(db, key, &hash);
    return slot.ref == NULL ? NULL : arena_at(&db->engine->arena, *slot.ref);
}

void engine_pin(struct engine *engine, struct db *db, struct bytes key)
{
    (void)engine;
    struct entry *entry = find_entry(db, key);
    if (entry != NULL) {
        entry->bits |= ENTRY_PINNED;
    }
}

static bool unpin(struct db *db, struct bytes key)
{
    struct entry *entry = find_entry(db, key);
    bool pinned = entry != NULL && (entry->bits & ENTRY_PINNED) != 0;
    if (pinned) {
        entry->bits &= (uint16_t)~ENTRY_PINNED;
    }
    return pinned;
}

void engine_unpin(struct engine *engine, struct db *db, struct bytes key)
{
    bool done = unpin(db, key);
    /* After SWAPDB the entry is in another database. Whoever else has pinned
     * a key of that name fetches it again at worst. */
    for (unsigned i = 0; !done && i < engine->options.databases; i++) {
        done = unpin(&engine->dbs[i], key);
    }
}

void engine_promote(
    struct engine *engine, struct db *db, struct bytes key, int64_t now_ms)
{
    uint64_t hash = 0;
    struct index_slot slot = find_slot(db, key, &hash);
    engine->now_ms = now_ms;
    if (slot.ref != NULL) {
        const struct entry *entry = arena_at(&engine->arena, *slot.ref);
        if (entry_tier_of(entry) == TIER_COLD) {
            rise_to_hot(db->space, slot);
        }
    }
}

/* Moves a cold entry whose record is not committed to the sinking list, with
 * its record in the open batch; `waiter`, if any, closes the batch and is
 * called once it and all batches before it have sunk. */
static bool sink_later(struct db *db, struct entry *entry, uint64_t hash,
    struct engine_waiter *waiter)
{
    struct engine *engine = db->engine;
    struct space *space = db->space;
    if (entry_id_of(entry) == 0 && (entry->bits & ENTRY_QUEUED)) {
        log_cut(engine); /* what was written before it goes before it */
    }
    if (entry_id_of(entry) == 0) {
        log_append_entry(space, entry, hash);
    }
    if (!(entry->bits & ENTRY_SINKING)) {
        shelf_sink(engine, arena_ref(&engine->arena, entry));
    }
    if (waiter == NULL) {
        return false; /* the batch stays open for further ones */
    }
    log_seal(engine, false, 0);
    waiter->after_id = engine->log.next_sequence - 1;
    waiters_add(&engine->commit_waiters, waiter);
    return true;
}

bool engine_demote(struct engine *engine, struct db *db, struct bytes key,
    enum tier to, struct engine_waiter *waiter, int64_t now_ms)
{
    uint64_t hash = 0;
    struct index_slot slot = find_slot(db, key, &hash);
    engine->now_ms = now_ms;
    if (slot.ref == NULL) {
        return false;
    }
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    if (to == TIER_DRY && item_is_ram_only(engine, entry)) {
        return false;
    }
    if (to != TIER_HOT && entry_tier_of(entry) == TIER_HOT) {
        entry = sink_to_cold(db->space, slot);
    }
    if (to != TIER_DRY || entry_is_dry(entry) || engine->log.store == NULL ||
        engine->log.failures > 0) {
        return false;
    }
    uint64_t id = entry_id_of(entry);
    if (id != 0 && id <= engine->log.committed_id) {
        sink_to_dry(db->space, slot);
        return false;
    }
    return sink_later(db, entry, hash, waiter);
}

bool engine_disk_is_behind(const struct engine *engine)
{
    return log_waits_for_disk(engine);
}

enum tier engine_tier_below(
    const struct engine *engine, const struct entry *entry, enum tier tier)
{
    return tier_below(shelf_of(engine, entry), entry, tier);
}

void engine_evict(
    struct engine *engine, struct db *db, struct bytes key, int64_t now_ms)
{
    uint64_t hash = 0;
    struct index_slot slot = find_slot(db, key, &hash);
    engine->now_ms = now_ms;
    if (slot.ref != NULL) {
        db_evict_entry(db->space, hash, slot);
    }
}

bool engine_wait_synced(struct engine *engine, struct engine_waiter *waiter)
{
    const struct log *log = &engine->log;
    waiter->since_ms = engine->now_ms;
    if (log->store == NULL) {
        return false;
    }
    if (engine->options.durability != ENGINE_ALWAYS) {
        if (log->through_cut <= log->synced_cut) {
            return false;
        }
        waiter->after_id = log->through_cut;
        waiters_add(&engine->sync_waiters, waiter);
        return true;
    }
    /* What a full disk has refused was not this one's. */
    bool refused = log->full && !log->wrote_while_full;
    bool queued = log->mark_count > 0 || log->keyspaces_changed ||
                  (!refused && log->queue_count > 0);
    uint64_t cut = log->cuts + queued;
    if (cut <= log->synced_cut || (refused && !queued && log->sealed == NULL)) {
        return false;
    }
    waiter->after_id = cut;
    waiters_add(&engine->sync_waiters, waiter);
    return true;
}

const char *engine_store_error(const struct engine *engine)
{
    return engine->log.error;
}

void engine_ignore_uses(struct engine *engine, bool on)
{
    engine->uses_ignored = on;
}

/* ---- live options ---- */

void engine_set_maxmemory(struct engine *engine, uint64_t bytes)
{
    engine->options.maxmemory_bytes = bytes;
    engine->room_lent_bytes = 0; /* a part of what there was */
}

void engine_set_policy(struct engine *engine, enum engine_policy policy)
{
    engine->options.policy = policy;
}

void engine_set_durability(
    struct engine *engine, enum engine_durability durability)
{
    enum engine_durability before = engine->options.durability;
    engine->options.durability = durability;
    if (before == ENGINE_CHECKPOINTS && durability != before) {
        /* What was written so far is not queued: save it as a whole, and
         * what a checkpoint that runs has passed already once more. */
        engine->checkpoint.running = false;
        engine_checkpoint_start(engine, engine->now_ms);
    }
    if (durability != before &&
        (durability == ENGINE_CHECKPOINTS || before == ENGINE_ALWAYS)) {
        log_cut(engine); /* somebody may wait for it to be synced */
        log_seal(engine, true, 0);
    }
}

void engine_set_value_limits(
    struct engine *engine, const struct value_limits *limits)
{
    engine->limits = *limits;
}

void engine_set_expire_slice(struct engine *engine, unsigned slice_us)
{
    engine->options.expire_slice_us = slice_us;
}

void engine_set_active_expire(struct engine *engine, bool on)
{
    engine->options.active_expire = on;
}

void engine_set_events(struct engine *engine, bool missed, bool added)
{
    engine->tells_missed = missed;
    engine->tells_added = added;
}
