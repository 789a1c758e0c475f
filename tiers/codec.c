#include "tiers/codec.h"

#include <lz4.h>

#define PREFIX_BYTES sizeof(uint32_t)

size_t codec_bound(size_t raw_bytes)
{
    return PREFIX_BYTES + (size_t)LZ4_compressBound((int)raw_bytes);
}

size_t codec_pack(enum codec codec, struct bytes raw, char *out)
{
    if (codec != CODEC_LZ4 || raw.size > CODEC_MAX_RAW_BYTES) {
        return 0;
    }
    /* Only a result worth keeping is allowed to fit. */
    size_t limit = raw.size - raw.size / 8;
    if (limit <= PREFIX_BYTES) {
        return 0;
    }
    uint32_t size = (uint32_t)raw.size;
    memcpy(out, &size, sizeof size);
    int packed = LZ4_compress_default(raw.data, out + PREFIX_BYTES,
        (int)raw.size, (int)(limit - PREFIX_BYTES));
    return packed <= 0 ? 0 : PREFIX_BYTES + (size_t)packed;
}

size_t codec_raw_bytes(enum codec codec, struct bytes packed)
{
    uint32_t size = 0;
    if (codec == CODEC_NONE) {
        return packed.size;
    }
    if (codec != CODEC_LZ4 || packed.size < PREFIX_BYTES) {
        return SIZE_MAX;
    }
    memcpy(&size, packed.data, sizeof size);
    /* LZ4 cannot expand by more than 255: a larger claim is a bomb. */
    if (size > CODEC_MAX_RAW_BYTES || size / 255 > packed.size) {
        return SIZE_MAX;
    }
    return size;
}

bool codec_unpack(enum codec codec, struct bytes packed, char *out)
{
    size_t raw = codec_raw_bytes(codec, packed);
    if (raw == SIZE_MAX) {
        return false;
    }
    if (codec == CODEC_NONE) {
        memcpy(out, packed.data, packed.size);
        return true;
    }
    int size = LZ4_decompress_safe(packed.data + PREFIX_BYTES, out,
        (int)(packed.size - PREFIX_BYTES), (int)raw);
    return size >= 0 && (size_t)size == raw;
}
