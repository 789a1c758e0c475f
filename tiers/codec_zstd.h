/* What codec.c asks of zstd. All sizes 0 or false: it does not fit, or the
 * bytes are damaged. */
#ifndef LARDER_TIERS_CODEC_ZSTD_H
#define LARDER_TIERS_CODEC_ZSTD_H

#include "tiers/codec.h"

size_t zstd_pack(
    struct packer *packer, int level, struct bytes raw, char *out, size_t room);
size_t zstd_pack_with(struct packer *packer,
    const struct codec_dictionary *dictionary, struct bytes raw, char *out,
    size_t room);
/* True when exactly `raw` bytes came out. */
bool zstd_unpack(
    struct packer *packer, struct bytes packed, char *out, size_t raw);

#endif
