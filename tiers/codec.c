#include "tiers/codec.h"

#include <lz4.h>
#include <zlib.h>

#include "tiers/codec_zstd.h"

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

/* How much of `out` may be used; 0: none, for nothing would be gained. */
static size_t begin(struct bytes raw, char *out)
{
    uint32_t size = (uint32_t)raw.size;
    if (raw.size > CODEC_MAX_RAW_BYTES) {
        return 0;
    }
    /* Only a result worth keeping is allowed to fit. */
    size_t limit = raw.size - raw.size / 8;
    if (limit <= PREFIX_BYTES) {
        return 0;
    }
    memcpy(out, &size, sizeof size);
    return limit - PREFIX_BYTES;
}

/* Into `out` of `room` bytes; 0 when it does not fit. */
static size_t pack(
    enum codec codec, int level, struct bytes raw, char *out, size_t room)
{
    if (codec == CODEC_LZ4) {
        int size =
            LZ4_compress_default(raw.data, out, (int)raw.size, (int)room);
        return size > 0 ? (size_t)size : 0;
    }
    uLongf size = room;
    int result = compress2((Bytef *)out, &size, (const Bytef *)raw.data,
        raw.size, level != 0 ? level : Z_DEFAULT_COMPRESSION);
    return result == Z_OK ? size : 0;
}

size_t codec_pack(struct packer *packer, enum codec codec, int level,
    struct bytes raw, char *out)
{
    size_t room = begin(raw, out);
    if (room == 0 || codec == CODEC_NONE) {
        return 0;
    }
    size_t packed =
        codec == CODEC_ZSTD
            ? zstd_pack(packer, level, raw, out + PREFIX_BYTES, room)
            : pack(codec, level, raw, out + PREFIX_BYTES, room);
    return packed == 0 ? 0 : PREFIX_BYTES + packed;
}

size_t codec_pack_with(struct packer *packer,
    const struct codec_dictionary *dictionary, struct bytes raw, char *out)
{
    size_t room = begin(raw, out);
    size_t packed = room == 0 ? 0
                              : zstd_pack_with(packer, dictionary, raw,
                                    out + PREFIX_BYTES, room);
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

static bool unpack(struct packer *packer, enum codec codec, struct bytes packed,
    char *out, size_t raw)
{
    if (codec == CODEC_LZ4) {
        int size =
            LZ4_decompress_safe(packed.data, out, (int)packed.size, (int)raw);
        return size >= 0 && (size_t)size == raw;
    }
    if (codec == CODEC_ZSTD) {
        return zstd_unpack(packer, packed, out, raw);
    }
    uLongf size = raw;
    return uncompress((Bytef *)out, &size, (const Bytef *)packed.data,
               packed.size) == Z_OK &&
           size == raw;
}

bool codec_unpack(
    struct packer *packer, enum codec codec, struct bytes packed, char *out)
{
    size_t raw = codec_raw_bytes(codec, packed);
    if (raw == SIZE_MAX) {
        return false;
    }
    if (codec == CODEC_NONE) {
        memcpy(out, packed.data, packed.size);
        return true;
    }
    return unpack(packer, codec,
        bytes_of(packed.data + PREFIX_BYTES, packed.size - PREFIX_BYTES), out,
        raw);
}
