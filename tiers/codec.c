#include "tiers/codec.h"

#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

#define PREFIX_BYTES sizeof(uint32_t)
/* What a byte of packed data can become at most; a larger claim is a bomb.
 * zlib's figure is its documentation's. A zstd block of 4 bytes can repeat one
 * byte 128 KB long. */
#define LZ4_EXPANDS 255
#define ZLIB_EXPANDS 1040
#define ZSTD_EXPANDS ((size_t)32 * 1024)

size_t codec_bound(size_t raw_bytes)
{
    /* Whichever codec: only what is smaller than raw is kept. */
    return PREFIX_BYTES + raw_bytes;
}

/* Into `out` of `room` bytes; 0 when it does not fit. */
static size_t pack(
    enum codec codec, int level, struct bytes raw, char *out, size_t room)
{
    switch (codec) {
    case CODEC_LZ4: {
        int size =
            LZ4_compress_default(raw.data, out, (int)raw.size, (int)room);
        return size > 0 ? (size_t)size : 0;
    }
    case CODEC_ZSTD: {
        size_t size = ZSTD_compress(out, room, raw.data, raw.size,
            level != 0 ? level : ZSTD_CLEVEL_DEFAULT);
        return ZSTD_isError(size) ? 0 : size;
    }
    case CODEC_ZLIB: {
        uLongf size = room;
        int result = compress2((Bytef *)out, &size, (const Bytef *)raw.data,
            raw.size, level != 0 ? level : Z_DEFAULT_COMPRESSION);
        return result == Z_OK ? size : 0;
    }
    case CODEC_NONE:
        break;
    }
    return 0;
}

size_t codec_pack(enum codec codec, int level, struct bytes raw, char *out)
{
    if (raw.size > CODEC_MAX_RAW_BYTES) {
        return 0;
    }
    /* Only a result worth keeping is allowed to fit. */
    size_t limit = raw.size - raw.size / 8;
    if (limit <= PREFIX_BYTES) {
        return 0;
    }
    uint32_t size = (uint32_t)raw.size;
    memcpy(out, &size, sizeof size);
    size_t packed =
        pack(codec, level, raw, out + PREFIX_BYTES, limit - PREFIX_BYTES);
    return packed == 0 ? 0 : PREFIX_BYTES + packed;
}

size_t codec_raw_bytes(enum codec codec, struct bytes packed)
{
    static const size_t expands[] = {[CODEC_LZ4] = LZ4_EXPANDS,
        [CODEC_ZSTD] = ZSTD_EXPANDS,
        [CODEC_ZLIB] = ZLIB_EXPANDS};
    uint32_t size = 0;
    if (codec == CODEC_NONE) {
        return packed.size;
    }
    if (packed.size < PREFIX_BYTES) {
        return SIZE_MAX;
    }
    memcpy(&size, packed.data, sizeof size);
    if (size > CODEC_MAX_RAW_BYTES || size / expands[codec] > packed.size) {
        return SIZE_MAX;
    }
    return size;
}

static bool unpack(enum codec codec, struct bytes packed, char *out, size_t raw)
{
    switch (codec) {
    case CODEC_LZ4: {
        int size =
            LZ4_decompress_safe(packed.data, out, (int)packed.size, (int)raw);
        return size >= 0 && (size_t)size == raw;
    }
    case CODEC_ZSTD:
        return ZSTD_decompress(out, raw, packed.data, packed.size) == raw;
    case CODEC_ZLIB: {
        uLongf size = raw;
        return uncompress((Bytef *)out, &size, (const Bytef *)packed.data,
                   packed.size) == Z_OK &&
               size == raw;
    }
    case CODEC_NONE:
        break;
    }
    return false;
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
    return unpack(codec,
        bytes_of(packed.data + PREFIX_BYTES, packed.size - PREFIX_BYTES), out,
        raw);
}
