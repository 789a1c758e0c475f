/* When to compress a value on its way to cold or to disk. */
#include "tiers/codec.h"
#include "tiers/engine_internal.h"

/* After this many values in a row that did not shrink, packing is tried for
 * one in PACK_PROBE only. */
#define PACK_GIVE_UP 64
#define PACK_PROBE 64
/* Values larger than this stay as they are: packing them would hold up the
 * loop. */
#define PACK_MAX_BYTES ((size_t)256 * 1024)

static bool worth_packing(struct namespace *namespace, size_t size)
{
    const struct policy *policy = &namespace->policy;
    if (policy->codec == CODEC_NONE || size < policy->pack_min_bytes ||
        size > PACK_MAX_BYTES) {
        return false;
    }
    if (namespace->pack_failures < PACK_GIVE_UP) {
        return true;
    }
    namespace->pack_skip = (namespace->pack_skip + 1) % PACK_PROBE;
    return namespace->pack_skip == 0;
}

struct bytes pack_value(
    struct engine *engine, struct namespace *namespace, struct bytes raw)
{
    if (!worth_packing(namespace, raw.size)) {
        return bytes_of(NULL, 0);
    }
    const struct policy *policy = &namespace->policy;
    char *out = engine_scratch(engine, codec_bound(raw.size));
    size_t size = codec_pack(policy->codec, policy->codec_level, raw, out);
    if (size == 0) {
        namespace->pack_failures++;
        return bytes_of(NULL, 0);
    }
    namespace->pack_failures = 0;
    engine->counters.compressed_raw_bytes += raw.size;
    engine->counters.compressed_stored_bytes += size;
    namespace->counters.compressed_raw_bytes += raw.size;
    namespace->counters.compressed_stored_bytes += size;
    return bytes_of(out, size);
}
