/* Compression of values in cold and dry. A packed value is
 *   u32 raw size (little endian), compressed bytes.
 * The decoder trusts nothing: packed bytes may come from a damaged disk.
 * Any thread. */
#ifndef LARDER_TIERS_CODEC_H
#define LARDER_TIERS_CODEC_H

#include "tiers/entry.h"

#define CODEC_LEVEL_MAX 19 /* of zstd */
#define CODEC_ZLIB_LEVEL_MAX 9

/* Values larger than this are left unpacked: LZ4's own limit is 2 GB, and a
 * declared raw size beyond it is refused. */
#define CODEC_MAX_RAW_BYTES (UINT32_C(512) * 1024 * 1024)

/* Room that codec_pack needs for `raw_bytes`. */
size_t codec_bound(size_t raw_bytes);
/* Packs `raw` into `out` (of codec_bound) and returns the packed size, or 0
 * when that is not at least an eighth smaller than raw. `level`: 1 to
 * CODEC_LEVEL_MAX for zstd, 1 to CODEC_ZLIB_LEVEL_MAX for zlib, 0: the
 * library's own default; LZ4 has none. */
size_t codec_pack(enum codec codec, int level, struct bytes raw, char *out);
/* Raw size of packed bytes, or SIZE_MAX when they are damaged. */
size_t codec_raw_bytes(enum codec codec, struct bytes packed);
/* Unpacks into `out` of codec_raw_bytes(). False when damaged. */
bool codec_unpack(enum codec codec, struct bytes packed, char *out);

#endif
