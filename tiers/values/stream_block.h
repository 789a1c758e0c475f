/* Blocks: several entries of a stream in one item of its tree. Entries that
 * come one after the other have much in common: most of the id, and usually
 * the names of the fields.
 *
 *   item    16 bytes base id, then one element that is the block
 *   block   1 byte count of entries (1 to STREAM_BLOCK_ENTRIES),
 *           varint names, and so many elements: names of fields,
 *           the entries
 *   entry   varint ms since the base id's,
 *           varint seq: since the base id's when that is 0, else as it is,
 *           varint words, then
 *             0: a value for each of the block's names
 *             n: n elements, names and values alternately
 *
 * The base id is that of the entry the block began with, which may be gone
 * since: it is above all ids of the block before, and not above any of its
 * own. A block is at most STREAM_BLOCK_BYTES long unless it has one entry.
 *
 * After Redis' stream nodes (a listpack with a master entry each). Nothing
 * here allocates. Any thread. */
#ifndef LARDER_TIERS_VALUES_STREAM_BLOCK_H
#define LARDER_TIERS_VALUES_STREAM_BLOCK_H

#include "tiers/values/stream.h"

#define STREAM_BLOCK_ENTRIES 100
/* As an item: a leaf of its own. */
#define STREAM_BLOCK_BYTES 1000

/* A block taken apart; points into the item. */
struct stream_block {
    struct stream_id base;
    unsigned count;
    uint64_t name_count;
    const char *names;
    const char *entries, *end;
};

struct stream_block_entry {
    struct stream_id id;
    uint64_t words;   /* names and values together */
    bool has_names;   /* else they are the block's */
    const char *text; /* its own words */
};

/* Of a trusted item. */
void stream_block_open(struct bytes item, struct stream_block *block);
/* The entry that begins at `at`; the position behind it. */
const char *stream_block_read(const struct stream_block *block, const char *at,
    struct stream_block_entry *entry);
/* How many entries an item has that shape_item_check has let pass; 0: it is no
 * block with all ids above `*last`, which then is the last one. */
unsigned stream_block_check(struct bytes item, struct stream_id *last);

/* Writes an item of one entry (`out` has room for stream_block_bound); its
 * size. `words` alternate names and values; an even count, not 0. */
size_t stream_block_begin(
    char *out, struct stream_id id, const struct bytes *words, size_t count);
size_t stream_block_bound(const struct bytes *words, size_t count);
/* Writes `item` with one more entry behind the others to `out`, which has
 * room for STREAM_BLOCK_BYTES; 0: it does not fit. */
size_t stream_block_append(char *out, struct bytes item, struct stream_id id,
    const struct bytes *words, size_t count);
/* Writes `item` without what is between `from` and `to`, `count` entries, to
 * `out`, which has room for as much as the item takes. */
size_t stream_block_cut(char *out, struct bytes item, const char *from,
    const char *to, unsigned count);

#endif
