/* One entry down a tier or up again.
 *
 *   hot --(pack where it pays)--> cold --(record on disk)--> dry
 */
#include "tiers/engine_internal.h"

/* Live values that are larger keep their form in cold. */
#define LIVE_PACK_MAX_BYTES ((size_t)16 * 1024)

/* Packs spec's value where it pays. */
static bool pack(
    struct engine *engine, const struct entry *entry, struct entry_spec *spec)
{
    struct scratch scratch = {0};
    struct namespace *namespace = shelf_of(engine, entry)->namespace;
    if (spec->live != NULL &&
        value_encoded_bytes(spec->live) > LIVE_PACK_MAX_BYTES) {
        return false;
    }
    struct bytes packed =
        pack_value(engine, namespace, entry_payload(entry, &scratch));
    scratch_reset(&scratch);
    if (packed.size == 0) {
        return false;
    }
    spec->value = packed;
    spec->blob = NULL;
    spec->live = NULL;
    entry_place_value(spec);
    spec->bits = entry_with_codec(spec->bits, namespace->policy.codec);
    return true;
}

struct entry *sink_to_cold(struct space *space, struct index_slot slot)
{
    struct engine *engine = space->engine;
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    struct entry_spec spec;
    check(entry_tier_of(entry) == TIER_HOT);
    entry_describe(entry, &spec);
    spec.bits = entry_with_tier(spec.bits, TIER_COLD) | ENTRY_TOUCHED;
    engine->counters.demoted_hot_cold++;
    shelf_of(engine, entry)->namespace->counters.demoted_hot_cold++;
    if (pack(engine, entry, &spec)) {
        return space_replace(space, slot, &spec, LINK_HEAD);
    }
    /* Same bytes, other list. */
    shelf_cool(engine, *slot.ref, spec.bits);
    return entry;
}

void sink_to_dry(struct space *space, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    uint64_t id = entry_id_of(entry);
    struct entry_spec spec;
    check(id != 0 && id <= engine->log.committed_id);
    entry_describe(entry, &spec);
    spec.value = bytes_of(NULL, 0);
    spec.blob = NULL;
    spec.live = NULL;
    spec.bits = entry_with_tier(spec.bits, TIER_DRY);
    spec.bits &= (uint16_t) ~(ENTRY_TOUCHED | ENTRY_SINKING);
    engine->counters.demoted_cold_dry++;
    shelf_of(engine, entry)->namespace->counters.demoted_cold_dry++;
    space_replace(space, slot, &spec, LINK_SAME);
}

struct entry *rise_to_hot(struct space *space, struct index_slot slot)
{
    struct engine *engine = space->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    struct scratch scratch = {0};
    struct entry_spec spec;
    entry_describe(entry, &spec);
    if (entry_codec(entry) != CODEC_NONE) {
        spec.value = db_string(space->db, entry, &scratch);
        spec.blob = NULL;
    }
    if (value_form(entry_kind(entry)) == VALUE_TREE && spec.live == NULL) {
        spec.live = value_decode(entry_kind(entry), spec.value, engine->secret);
        check(spec.live != NULL); /* checked when it was read */
        spec.bits = entry_with_kind(spec.bits, spec.live->kind);
        spec.value = bytes_of(NULL, 0);
        spec.blob = NULL;
    }
    entry_place_value(&spec);
    spec.bits = entry_with_codec(spec.bits, CODEC_NONE);
    spec.bits = entry_with_tier(spec.bits, TIER_HOT);
    spec.bits &= (uint16_t) ~(ENTRY_TOUCHED | ENTRY_SINKING);
    engine->counters.promoted_cold_hot++;
    shelf_of(engine, entry)->namespace->counters.promoted_cold_hot++;
    struct entry *hot = space_replace(space, slot, &spec, LINK_HEAD);
    scratch_reset(&scratch);
    return hot;
}
