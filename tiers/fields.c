/* Hashes whose fields expire. The entry says when the first and the last of
 * them do (struct field_deadlines), so that nobody looks for them: a hot hash
 * comes up in the wheel with its first field and loses what is due; one in a
 * lower tier when nothing would be left of it. A field that is due is removed
 * before anybody reads its hash, as a key is that has expired. */
#include <stdlib.h>

#include "tiers/collection.h"
#include "tiers/engine_internal.h"
#include "tiers/values/hash.h"

/* Fields removed before the turn looks at the time again. */
#define FIELDS_AT_ONCE 64

struct index_slot fields_expire(
    struct space *space, struct index_slot slot, uint64_t most)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    struct bytes borrowed = entry_key_of(entry);
    struct collection hash;
    /* The entry, and with it its key, moves when it is written. */
    char *text = xmalloc(borrowed.size + 1);
    memcpy(text, borrowed.data, borrowed.size);
    struct bytes key = bytes_of(text, borrowed.size);
    collection_write(
        &hash, space->db, key, entry, entry_kind(entry), engine->now_ms);
    uint64_t expired = hash_expire(&hash, engine->now_ms, most);
    collection_end(&hash, true);
    if (expired > 0) {
        db_tell(space->db, ENGINE_FIELDS_EXPIRED, key);
    }
    slot = index_find(&space->index, db_hash(space->db, key), key);
    free(text);
    return slot;
}

void fields_turn(struct space *space, uint64_t hash, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    if (entry_is_over(entry, engine->now_ms)) {
        db_expire_entry(space, hash, slot);
    } else if (entry_tier_of(entry) == TIER_HOT &&
               fields_are_due(entry, engine->now_ms)) {
        fields_expire(space, slot, FIELDS_AT_ONCE);
    } else {
        /* It was hot when it was put there. */
        uint32_t ref = *slot.ref;
        wheel_remove(&space->wheel, &engine->arena, ref);
        wheel_add(&space->wheel, &engine->arena, ref);
    }
}
