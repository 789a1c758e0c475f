/* When to compress a value on its way to cold or to disk. */
#include "tiers/codec.h"
#include "tiers/engine_internal.h"

#define PACK_MIN_BYTES 1024
/* After this many values in a row that did not shrink, packing is tried for
 * one in PACK_PROBE only. */
#define PACK_GIVE_UP 64
#define PACK_PROBE 64
/* Values larger than this stay as they are: packing them would hold up the
 * loop. */
#define PACK_MAX_BYTES ((size_t)256 * 1024)

static bool worth_packing(struct engine *engine, size_t size)
{
    if (size < PACK_MIN_BYTES || size > PACK_MAX_BYTES) {
        return false;
    }
    if (engine->pack_failures < PACK_GIVE_UP) {
        return true;
    }
    engine->pack_skip = (engine->pack_skip + 1) % PACK_PROBE;
    return engine->pack_skip == 0;
}

struct bytes pack_value(struct engine *engine, struct bytes raw)
{
    if (!worth_packing(engine, raw.size)) {
        return bytes_of(NULL, 0);
    }
    char *out = engine_scratch(engine, codec_bound(raw.size));
    size_t size = codec_pack(CODEC_LZ4, raw, out);
    if (size == 0) {
        engine->pack_failures++;
        return bytes_of(NULL, 0);
    }
    engine->pack_failures = 0;
    engine->counters.compressed_raw_bytes += raw.size;
    engine->counters.compressed_stored_bytes += size;
    return bytes_of(out, size);
}
