/* The bytes of a HyperLogLog, as Redis keeps them in a string:
 *
 *   "HYLL"  encoding u8  3 zero bytes  cached count u64, little-endian
 *
 * The highest bit of the count says that it is out of date. Then 16384
 * registers, each the highest rank (1 to 51) seen among its elements:
 *
 *   dense   six bits each, the first in the lowest bits of the first byte
 *   sparse  runs:  00nnnnnn           n + 1 registers of 0
 *                  01nnnnnn nnnnnnnn  n + 1 registers of 0
 *                  1vvvvvnn           n + 1 registers of v + 1
 *
 * Whoever has a string may claim that it is one: nothing here trusts it
 * beyond what hll_sane checks. Any thread. */
#ifndef LARDER_SERVER_COMMANDS_HLL_H
#define LARDER_SERVER_COMMANDS_HLL_H

#include "protocol/bytes.h"

#define HLL_REGISTERS 16384
#define HLL_HEADER_BYTES 16
#define HLL_DENSE_BYTES (HLL_HEADER_BYTES + HLL_REGISTERS * 6 / 8)
/* Raising registers makes a sparse one longer by no more. */
#define HLL_SPARSE_MAX_GROWTH (HLL_REGISTERS * 2)
/* Ranks that a register can hold. */
#define HLL_RANKS 64

enum hll_encoding { HLL_DENSE, HLL_SPARSE };

/* A HyperLogLog to write on. */
struct hll {
    unsigned char *data;
    size_t size, capacity; /* capacity of at least HLL_DENSE_BYTES */
};

/* True when `text` has the header of a HyperLogLog, and for a dense one the
 * right size. The other functions need that. */
bool hll_sane(struct bytes text);
enum hll_encoding hll_encoding(struct bytes text);

/* An empty one, sparse, into `hll`. */
void hll_clear(struct hll *hll);
/* False when the cached count is out of date. */
bool hll_cached_count(struct bytes text, uint64_t *count);
void hll_cache_count(unsigned char *data, uint64_t count);
void hll_outdate(unsigned char *data);

/* The register an element belongs to, and its rank there. */
unsigned hll_place(struct bytes element, unsigned *rank);

unsigned hll_dense_get(const unsigned char *data, unsigned index);
void hll_dense_set(unsigned char *data, unsigned index, unsigned rank);

enum hll_change { HLL_SAME, HLL_CHANGED, HLL_CORRUPT };
/* Raises a register to `rank`, if it is lower. A sparse one becomes dense
 * when it would be longer than `sparse_max_bytes`. */
enum hll_change hll_raise(
    struct hll *hll, unsigned index, unsigned rank, uint64_t sparse_max_bytes);
/* Makes a sparse one dense; false when it is corrupt. */
bool hll_make_dense(struct hll *hll);

/* A run of a sparse one. */
struct hll_run {
    unsigned rank;   /* of all its registers */
    unsigned length; /* registers */
    unsigned bytes;  /* that it takes */
};
/* The run at `at`, which is inside `text`. The second byte of one that is cut
 * off counts as zero. */
struct hll_run hll_run_at(struct bytes text, size_t at);

/* Raises each of HLL_REGISTERS bytes to what `text` has; false when that is
 * corrupt. */
bool hll_merge(unsigned char *registers, struct bytes text);
/* The estimated number of different elements; false when `text` is corrupt. */
bool hll_count(struct bytes text, uint64_t *count);
uint64_t hll_count_registers(const unsigned char *registers);

#endif
