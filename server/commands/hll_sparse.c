/* Sparse HyperLogLogs: their runs, and raising one register.
 *
 * Where Redis splits and joins runs, so does this: the same elements in the
 * same order give the same bytes. */
#include "server/commands/hll.h"

#define RANK_MAX 32      /* what a run can say */
#define RANKED_RUN_MAX 4 /* registers */
#define SHORT_ZERO_RUN_MAX 64
/* Runs looked at for joining, beginning before the one that changed. */
#define JOIN_STEPS 5
/* Most bytes that one run becomes: two long runs of zeros and a rank. */
#define SPLIT_MAX_BYTES 5

static struct bytes hll_text(const struct hll *hll)
{
    return bytes_of(hll->data, hll->size);
}

struct hll_run hll_run_at(struct bytes text, size_t at)
{
    unsigned head = (unsigned char)text.data[at];
    if (head & 0x80) {
        return (struct hll_run){.rank = ((head >> 2) & 0x1f) + 1,
            .length = (head & 3) + 1,
            .bytes = 1};
    }
    if ((head & 0x40) == 0) {
        return (struct hll_run){.length = head + 1, .bytes = 1};
    }
    unsigned low = at + 1 < text.size ? (unsigned char)text.data[at + 1] : 0;
    return (struct hll_run){
        .length = ((head & 0x3f) << 8 | low) + 1, .bytes = 2};
}

/* Writes a run, none when it is empty; its bytes. */
static size_t write_run(unsigned char *out, unsigned rank, unsigned length)
{
    if (length == 0) {
        return 0;
    }
    if (rank > 0) {
        out[0] = (unsigned char)(0x80 | (rank - 1) << 2 | (length - 1));
        return 1;
    }
    if (length <= SHORT_ZERO_RUN_MAX) {
        out[0] = (unsigned char)(length - 1);
        return 1;
    }
    out[0] = (unsigned char)(0x40 | (length - 1) >> 8);
    out[1] = (unsigned char)(length - 1);
    return 2;
}

/* Makes one run of neighbours with the same rank, near `at`. */
static void join_runs(struct hll *hll, size_t at)
{
    for (unsigned step = 0; step < JOIN_STEPS && at < hll->size; step++) {
        struct hll_run run = hll_run_at(hll_text(hll), at);
        struct hll_run next = {0};
        if (run.rank > 0 && at + 1 < hll->size) {
            next = hll_run_at(hll_text(hll), at + 1);
        }
        if (next.rank == 0 || next.rank != run.rank ||
            next.length + run.length > RANKED_RUN_MAX) {
            at += run.bytes;
            continue;
        }
        write_run(hll->data + at, run.rank, run.length + next.length);
        memmove(hll->data + at + 1, hll->data + at + 2, hll->size - at - 2);
        hll->size--;
    }
}

bool hll_make_dense(struct hll *hll)
{
    unsigned char registers[HLL_REGISTERS] = {0};
    if (hll_encoding(hll_text(hll)) == HLL_DENSE) {
        return true;
    }
    if (!hll_merge(registers, hll_text(hll))) {
        return false;
    }
    check(hll->capacity >= HLL_DENSE_BYTES);
    hll->data[4] = HLL_DENSE;
    hll->size = HLL_DENSE_BYTES;
    memset(hll->data + HLL_HEADER_BYTES, 0, HLL_DENSE_BYTES - HLL_HEADER_BYTES);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (registers[i] > 0) {
            hll_dense_set(hll->data, i, registers[i]);
        }
    }
    return true;
}

static enum hll_change raise_dense(
    struct hll *hll, unsigned index, unsigned rank)
{
    if (hll_dense_get(hll->data, index) >= rank) {
        return HLL_SAME;
    }
    hll_dense_set(hll->data, index, rank);
    return HLL_CHANGED;
}

static enum hll_change raise_after_growth(
    struct hll *hll, unsigned index, unsigned rank)
{
    if (!hll_make_dense(hll)) {
        return HLL_CORRUPT;
    }
    /* Runs before this one may have raised the register: see hll_raise. */
    return raise_dense(hll, index, rank);
}

/* A run, and where it is. */
struct place {
    struct hll_run run;
    size_t at, before; /* its offset, and that of the run before it */
    unsigned first;    /* its first register */
};

/* The run that holds register `index`; false when there is none. */
static bool find_run(const struct hll *hll, unsigned index, struct place *place)
{
    *place = (struct place){.at = HLL_HEADER_BYTES, .before = HLL_HEADER_BYTES};
    while (place->at < hll->size) {
        place->run = hll_run_at(hll_text(hll), place->at);
        if (index < place->first + place->run.length) {
            return place->at + place->run.bytes <= hll->size;
        }
        place->before = place->at;
        place->at += place->run.bytes;
        place->first += place->run.length;
    }
    return false;
}

enum hll_change hll_raise(
    struct hll *hll, unsigned index, unsigned rank, uint64_t sparse_max_bytes)
{
    unsigned char parts[SPLIT_MAX_BYTES];
    struct place place;
    if (hll_encoding(hll_text(hll)) == HLL_DENSE) {
        return raise_dense(hll, index, rank);
    }
    if (rank > RANK_MAX) {
        return raise_after_growth(hll, index, rank);
    }
    if (!find_run(hll, index, &place)) {
        return HLL_CORRUPT;
    }
    struct hll_run run = place.run;
    if (run.rank >= rank) {
        return HLL_SAME;
    }
    size_t size = write_run(parts, run.rank, index - place.first);
    size += write_run(parts + size, rank, 1);
    size +=
        write_run(parts + size, run.rank, place.first + run.length - 1 - index);
    size_t new_size = hll->size - run.bytes + size;
    if (new_size > hll->size && new_size > sparse_max_bytes) {
        return raise_after_growth(hll, index, rank);
    }
    if (new_size > hll->capacity) {
        return HLL_CORRUPT; /* more runs than registers */
    }
    memmove(hll->data + place.at + size, hll->data + place.at + run.bytes,
        hll->size - place.at - run.bytes);
    memcpy(hll->data + place.at, parts, size);
    hll->size = new_size;
    join_runs(hll, place.before);
    return HLL_CHANGED;
}
