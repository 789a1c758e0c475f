/* HyperLogLogs: header, elements, dense registers, and the estimate. */
#include "server/commands/hll.h"

#include <endian.h>
#include <math.h>

#define MAGIC "HYLL"
#define ENCODING_AT 4
#define COUNT_AT 8
#define OUTDATED (UINT64_C(1) << 63)
#define INDEX_BITS 14
#define HASH_SEED UINT64_C(0xadc83b19)
/* Bits of the hash that are left for the rank. */
#define RANK_BITS (64 - INDEX_BITS)

bool hll_sane(struct bytes text)
{
    if (text.size < HLL_HEADER_BYTES ||
        memcmp(text.data, MAGIC, sizeof(MAGIC) - 1) != 0) {
        return false;
    }
    unsigned encoding = (unsigned char)text.data[ENCODING_AT];
    return encoding == HLL_SPARSE ||
           (encoding == HLL_DENSE && text.size == HLL_DENSE_BYTES);
}

enum hll_encoding hll_encoding(struct bytes text)
{
    return text.data[ENCODING_AT] == HLL_DENSE ? HLL_DENSE : HLL_SPARSE;
}

void hll_clear(struct hll *hll)
{
    /* One run of all registers. */
    static const unsigned char runs[] = {0x7f, 0xff};
    memset(hll->data, 0, HLL_HEADER_BYTES);
    memcpy(hll->data, MAGIC, sizeof(MAGIC) - 1);
    hll->data[ENCODING_AT] = HLL_SPARSE;
    memcpy(hll->data + HLL_HEADER_BYTES, runs, sizeof(runs));
    hll->size = HLL_HEADER_BYTES + sizeof(runs);
}

bool hll_cached_count(struct bytes text, uint64_t *count)
{
    memcpy(count, text.data + COUNT_AT, sizeof(*count));
    *count = le64toh(*count);
    return (*count & OUTDATED) == 0;
}

void hll_cache_count(unsigned char *data, uint64_t count)
{
    count = htole64(count);
    memcpy(data + COUNT_AT, &count, sizeof(count));
}

void hll_outdate(unsigned char *data)
{
    data[COUNT_AT + 7] |= 0x80;
}

/* MurmurHash64A, by Austin Appleby's description. */
static uint64_t murmur(struct bytes text, uint64_t seed)
{
    const uint64_t factor = UINT64_C(0xc6a4a7935bd1e995);
    const unsigned shift = 47;
    uint64_t hash = seed ^ (text.size * factor);
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= text.size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.data + at, sizeof(word));
        word = le64toh(word) * factor;
        word ^= word >> shift;
        hash = (hash ^ (word * factor)) * factor;
    }
    if (at < text.size) {
        uint64_t word = 0;
        memcpy(&word, text.data + at, text.size - at);
        hash = (hash ^ le64toh(word)) * factor;
    }
    hash = (hash ^ (hash >> shift)) * factor;
    return hash ^ (hash >> shift);
}

unsigned hll_place(struct bytes element, unsigned *rank)
{
    uint64_t hash = murmur(element, HASH_SEED);
    unsigned index = (unsigned)(hash % HLL_REGISTERS);
    /* The added bit ends the search where there are only zeros. */
    uint64_t rest = (hash >> INDEX_BITS) | (UINT64_C(1) << RANK_BITS);
    *rank = (unsigned)__builtin_ctzll(rest) + 1;
    return index;
}

unsigned hll_dense_get(const unsigned char *data, unsigned index)
{
    const unsigned char *at = data + HLL_HEADER_BYTES + index * 6 / 8;
    unsigned shift = index * 6 % 8;
    unsigned value = *at >> shift;
    if (shift > 2) {
        value |= (unsigned)at[1] << (8 - shift);
    }
    return value & 63;
}

void hll_dense_set(unsigned char *data, unsigned index, unsigned rank)
{
    unsigned char *at = data + HLL_HEADER_BYTES + index * 6 / 8;
    unsigned shift = index * 6 % 8;
    *at = (unsigned char)((*at & ~(63u << shift)) | (rank << shift));
    if (shift > 2) {
        at[1] = (unsigned char)((at[1] & ~(63u >> (8 - shift))) |
                                (rank >> (8 - shift)));
    }
}

/* Four dense registers lie in three bytes. */
static void unpack_four(const unsigned char *at, unsigned char *out)
{
    unsigned word = at[0] | (unsigned)at[1] << 8 | (unsigned)at[2] << 16;
    out[0] = word & 63;
    out[1] = (word >> 6) & 63;
    out[2] = (word >> 12) & 63;
    out[3] = (unsigned char)(word >> 18);
}

static void merge_dense(unsigned char *registers, const char *data)
{
    const unsigned char *at = (const unsigned char *)data + HLL_HEADER_BYTES;
    for (unsigned i = 0; i < HLL_REGISTERS; i += 4, at += 3) {
        unsigned char four[4];
        unpack_four(at, four);
        for (unsigned j = 0; j < 4; j++) {
            registers[i + j] =
                four[j] > registers[i + j] ? four[j] : registers[i + j];
        }
    }
}

bool hll_merge(unsigned char *registers, struct bytes text)
{
    if (hll_encoding(text) == HLL_DENSE) {
        merge_dense(registers, text.data);
        return true;
    }
    unsigned index = 0;
    for (size_t at = HLL_HEADER_BYTES; at < text.size;) {
        struct hll_run run = hll_run_at(text, at);
        if (run.length > HLL_REGISTERS - index) {
            return false;
        }
        for (unsigned i = index; run.rank > 0 && i < index + run.length; i++) {
            registers[i] = run.rank > registers[i] ? (unsigned char)run.rank
                                                   : registers[i];
        }
        index += run.length;
        at += run.bytes;
    }
    return index == HLL_REGISTERS;
}

/* Sigma and tau of Otmar Ertl, "New cardinality estimation algorithms for
 * HyperLogLog sketches" (2017), algorithm 6: what registers below and above
 * the range of ranks add. */
static double sigma(double x)
{
    double weight = 1;
    double sum = x;
    double before;
    if (x == 1) {
        return INFINITY;
    }
    do {
        x *= x;
        before = sum;
        sum += x * weight;
        weight += weight;
    } while (sum != before);
    return sum;
}

static double tau(double x)
{
    double weight = 1;
    double sum = 1 - x;
    double before;
    if (x == 0 || x == 1) {
        return 0;
    }
    do {
        x = sqrt(x);
        before = sum;
        weight *= 0.5;
        sum -= pow(1 - x, 2) * weight;
    } while (sum != before);
    return sum / 3;
}

static uint64_t estimate(const unsigned *ranks)
{
    const double registers = HLL_REGISTERS;
    const double bias = 0.721347520444481703680; /* 1 / (2 ln 2) */
    double sum =
        registers * tau((registers - ranks[RANK_BITS + 1]) / registers);
    for (unsigned rank = RANK_BITS; rank >= 1; rank--) {
        sum = (sum + ranks[rank]) * 0.5;
    }
    sum += registers * sigma(ranks[0] / registers);
    return (uint64_t)llroundl(bias * registers * registers / sum);
}

/* How many registers of a sparse one have each rank. */
static bool count_sparse_ranks(struct bytes text, unsigned *ranks)
{
    unsigned index = 0;
    for (size_t at = HLL_HEADER_BYTES; at < text.size;) {
        struct hll_run run = hll_run_at(text, at);
        index += run.length;
        if (index > HLL_REGISTERS) {
            return false;
        }
        ranks[run.rank] += run.length;
        at += run.bytes;
    }
    return index == HLL_REGISTERS;
}

bool hll_count(struct bytes text, uint64_t *count)
{
    unsigned ranks[HLL_RANKS] = {0};
    if (hll_encoding(text) == HLL_SPARSE) {
        if (!count_sparse_ranks(text, ranks)) {
            return false;
        }
    } else {
        const unsigned char *at =
            (const unsigned char *)text.data + HLL_HEADER_BYTES;
        for (unsigned i = 0; i < HLL_REGISTERS; i += 4, at += 3) {
            unsigned char four[4];
            unpack_four(at, four);
            ranks[four[0]]++;
            ranks[four[1]]++;
            ranks[four[2]]++;
            ranks[four[3]]++;
        }
    }
    *count = estimate(ranks);
    return true;
}

uint64_t hll_count_registers(const unsigned char *registers)
{
    unsigned ranks[HLL_RANKS] = {0};
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        ranks[registers[i]]++;
    }
    return estimate(ranks);
}
