/* When to compress a value on its way to cold or to disk. */
#include "tiers/dictionary.h"

/* After this many values in a row that did not shrink, packing is tried for
 * one in PACK_PROBE only. */
#define PACK_GIVE_UP 64
#define PACK_PROBE 64
/* Values larger than this stay as they are: packing them would hold up the
 * loop. */
#define PACK_MAX_BYTES ((size_t)256 * 1024)

static bool may_pack(const struct namespace *namespace, size_t size)
{
    const struct policy *policy = &namespace->policy;
    return policy->codec != CODEC_NONE && size >= policy->pack_min_bytes &&
           size <= PACK_MAX_BYTES;
}

static bool worth_packing(struct namespace *namespace, size_t size)
{
    if (!may_pack(namespace, size)) {
        return false;
    }
    if (namespace->pack_failures < PACK_GIVE_UP) {
        return true;
    }
    namespace->pack_skip = (namespace->pack_skip + 1) % PACK_PROBE;
    return namespace->pack_skip == 0;
}

static size_t pack(struct engine *engine, struct namespace *namespace,
    struct bytes raw, char *out)
{
    const struct policy *policy = &namespace->policy;
    const struct codec_dictionary *dictionary =
        raw.size <= DICTIONARY_VALUE_MAX_BYTES
            ? dictionary_in_use(engine, namespace)
            : NULL;
    if (dictionary == NULL) {
        return codec_pack(
            engine->packer, policy->codec, policy->codec_level, raw, out);
    }
    size_t size = codec_pack_with(engine->packer, dictionary, raw, out);
    dictionary_judge(namespace, raw.size, size == 0 ? raw.size : size);
    return size;
}

struct bytes pack_value(
    struct engine *engine, struct namespace *namespace, struct bytes raw)
{
    if (namespace->policy.dictionary && may_pack(namespace, raw.size)) {
        dictionary_sample(engine, namespace, raw);
    }
    if (!worth_packing(namespace, raw.size)) {
        return bytes_of(NULL, 0);
    }
    char *out = engine_scratch(engine, codec_bound(raw.size));
    size_t size = pack(engine, namespace, raw, out);
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
