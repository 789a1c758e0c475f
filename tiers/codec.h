/* Compression of values in cold and dry. A packed value is
 *   u32 raw size (little endian), compressed bytes.
 * A frame of zstd names the dictionary it was made with, if any.
 * The decoder trusts nothing: packed bytes may come from a damaged disk.
 * Any thread. */
#ifndef LARDER_TIERS_CODEC_H
#define LARDER_TIERS_CODEC_H

#include "tiers/entry.h"

#define CODEC_LEVEL_MAX 19 /* of zstd */
#define CODEC_ZLIB_LEVEL_MAX 9
/* Dictionaries are numbered from 1 to here: a frame says it in one byte. */
#define CODEC_DICTIONARIES_MAX 255

/* Values larger than this are left unpacked: LZ4's own limit is 2 GB, and a
 * declared raw size beyond it is refused. */
#define CODEC_MAX_RAW_BYTES (UINT32_C(512) * 1024 * 1024)

/* What zstd keeps between calls: contexts, which take longer to make than a
 * small value to pack, and what unpacks by dictionaries. */
struct packer;
struct packer *packer_create(void);
/* No call may be under way. NULL is allowed. */
void packer_destroy(struct packer *packer);
/* Values that were packed with dictionary `id` can be unpacked from now on,
 * until the end. Once for each id. False: the bytes are no dictionary. */
bool packer_know(struct packer *packer, unsigned id, struct bytes dictionary);

/* Room that codec_pack needs for `raw_bytes`. */
size_t codec_bound(size_t raw_bytes);
/* Packs `raw` into `out` (of codec_bound) and returns the packed size, or 0
 * when that is not at least an eighth smaller than raw. `level`: 1 to
 * CODEC_LEVEL_MAX for zstd, 1 to CODEC_ZLIB_LEVEL_MAX for zlib, 0: the
 * library's own default; LZ4 has none. */
size_t codec_pack(struct packer *packer, enum codec codec, int level,
    struct bytes raw, char *out);
/* Raw size of packed bytes, or SIZE_MAX when they are damaged. */
size_t codec_raw_bytes(enum codec codec, struct bytes packed);
/* Unpacks into `out` of codec_raw_bytes(). False when damaged, or packed with
 * a dictionary that is not known. */
bool codec_unpack(
    struct packer *packer, enum codec codec, struct bytes packed, char *out);

/* A dictionary of zstd's made ready for packing at one level; packs as
 * CODEC_ZSTD. */
struct codec_dictionary;
/* NULL: the bytes, which are copied, are no dictionary of that id. */
struct codec_dictionary *codec_dictionary_create(
    unsigned id, struct bytes bytes, int level);
void codec_dictionary_destroy(struct codec_dictionary *dictionary);
/* What it takes of memory. */
size_t codec_dictionary_bytes(const struct codec_dictionary *dictionary);
/* As codec_pack. */
size_t codec_pack_with(struct packer *packer,
    const struct codec_dictionary *dictionary, struct bytes raw, char *out);
/* Makes a dictionary of `count` samples, which lie one behind the other at
 * `samples`, into `out` of `room` bytes. Its size; 0: they make none. Takes
 * hundredths of a second. */
size_t codec_train(unsigned id, const char *samples, const size_t *sizes,
    unsigned count, char *out, size_t room);

#endif
