/* Values that a namespace keeps in some tiers only: larger ones than
 * max-item-size are in dry, smaller ones than dry-threshold in RAM; and what
 * `eviction none` refuses. */
#include <stdlib.h>

#include "tiers/codec.h"
#include "tiers/engine_internal.h"

struct leaving {
    struct leaving *next;
    uint32_t keyspace;
    size_t key_size;
    char key[];
};

size_t item_bytes(const struct entry *entry)
{
    enum codec codec = entry_codec(entry);
    return codec == CODEC_NONE || entry_is_dry(entry)
               ? entry_stored_bytes(entry)
               : codec_raw_bytes(codec, entry_value(entry));
}

size_t entry_raw_bytes(const struct entry *entry)
{
    return entry_is_dry(entry) ? 0 : item_bytes(entry);
}

static const struct policy *policy_of(
    const struct engine *engine, const struct entry *entry)
{
    return &shelf_of(engine, entry)->namespace->policy;
}

bool item_is_large(const struct engine *engine, const struct entry *entry)
{
    return engine->namespaces.choosy > 0 &&
           item_bytes(entry) > policy_of(engine, entry)->max_item_bytes;
}

bool item_is_ram_only(const struct engine *engine, const struct entry *entry)
{
    size_t least = policy_of(engine, entry)->ram_only_below;
    return __builtin_expect(least != 0, 0) && item_bytes(entry) < least;
}

bool item_arrived(struct engine *engine, const struct entry *entry)
{
    if (!item_is_large(engine, entry)) {
        return false;
    }
    struct bytes key = entry_key_of(entry);
    struct leaving *leaving = xmalloc(sizeof *leaving + key.size);
    leaving->keyspace = space_of(engine, entry)->keyspace;
    leaving->key_size = key.size;
    memcpy(leaving->key, key.data, key.size);
    leaving->next = engine->leaving;
    engine->leaving = leaving;
    return true;
}

/* False: somebody still needs it in RAM. */
static bool leave(struct engine *engine, const struct leaving *leaving)
{
    struct space *space = space_by_keyspace(engine, leaving->keyspace);
    struct bytes key = bytes_of(leaving->key, leaving->key_size);
    if (space == NULL) {
        return true;
    }
    uint64_t hash = db_hash(space->db, key);
    struct index_slot slot = index_find(&space->index, hash, key);
    const struct entry *entry =
        slot.ref == NULL ? NULL : arena_at(&engine->arena, *slot.ref);
    if (entry == NULL || entry_is_dry(entry) || !item_is_large(engine, entry)) {
        return true;
    }
    if (entry->bits & ENTRY_PINNED) {
        return false;
    }
    engine_demote(engine, space->db, key, TIER_DRY, NULL, engine->now_ms);
    return true;
}

void item_turn(struct engine *engine)
{
    struct leaving **link = &engine->leaving;
    while (*link != NULL) {
        struct leaving *leaving = *link;
        if (leave(engine, leaving)) {
            *link = leaving->next;
            free(leaving);
        } else {
            link = &leaving->next;
        }
    }
}

void item_close(struct engine *engine)
{
    while (engine->leaving != NULL) {
        struct leaving *leaving = engine->leaving;
        engine->leaving = leaving->next;
        free(leaving);
    }
}

/* ---- eviction none ---- */

static enum tier last_tier(const struct policy *policy)
{
    return (enum tier)(31 - __builtin_clz(policy->tiers));
}

bool policy_refuses(const struct policy *policy)
{
    enum tier last = last_tier(policy);
    return policy->eviction == EVICTION_NONE &&
           (policy->max_bytes[last] != UINT64_MAX ||
               policy->max_items[last] != UINT64_MAX);
}

bool engine_limits_writes(const struct engine *engine)
{
    return engine->namespaces.refusing > 0 || namespaces_wait_for_disk(engine);
}

enum engine_admission engine_admit_key(struct engine *engine, struct db *db,
    struct bytes key, size_t size_bytes, int64_t now_ms)
{
    const struct namespace *namespace = namespace_find(engine, key);
    const struct policy *policy = &namespace->policy;
    enum tier last = last_tier(policy);
    if (namespaces_wait_for_disk(engine) && namespace_piles_up(namespace)) {
        return ENGINE_PARK;
    }
    if (!policy_refuses(policy)) {
        return ENGINE_ADMIT;
    }
    uint64_t bytes =
        last == TIER_DRY ? namespace->disk_bytes : namespace->tier[last].bytes;
    bool fits = bytes + size_bytes <= policy->max_bytes[last] &&
                (namespace->tier[last].items < policy->max_items[last] ||
                    db_find(db, key, now_ms) != NULL);
    return fits ? ENGINE_ADMIT : ENGINE_REFUSE_OOM;
}
