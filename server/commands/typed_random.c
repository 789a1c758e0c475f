/* Random members of collections. */
#include "server/commands/typed.h"

/* More repeated members would be a reply beyond any limit. */
#define RANDOM_COUNT_MAX (INT64_C(1) << 26)

bool typed_random_count(struct request *request, int index, int64_t *count)
{
    return arg_int64_range(request, index, -INT64_MAX, INT64_MAX, count);
}

bool typed_random_allowed(struct request *request, int64_t count)
{
    if (count < -RANDOM_COUNT_MAX) {
        reply_error(request->reply, "ERR value is out of range");
        return false;
    }
    return true;
}

/* A set of numbers in open addressing; 0 is a free slot, so numbers are kept
 * with one added. */
struct number_set {
    uint64_t *slots;
    uint64_t mask;
};

static bool number_set_add(struct number_set *set, uint64_t number)
{
    uint64_t at = (number * UINT64_C(0x9e3779b97f4a7c15) >> 20) & set->mask;
    while (set->slots[at] != 0) {
        if (set->slots[at] == number + 1) {
            return false;
        }
        at = (at + 1) & set->mask;
    }
    set->slots[at] = number + 1;
    return true;
}

static struct number_set number_set_make(
    struct request *request, uint64_t numbers)
{
    uint64_t slots = 16;
    while (slots < numbers * 2) {
        slots *= 2;
    }
    struct number_set set = {
        .slots = scratch_alloc(request->scratch, slots * sizeof(uint64_t)),
        .mask = slots - 1,
    };
    memset(set.slots, 0, slots * sizeof(uint64_t));
    return set;
}

uint64_t *typed_random_ranks(struct request *request,
    struct collection *collection, uint64_t picks, bool repeat)
{
    uint64_t count = collection_count(collection);
    uint64_t *ranks =
        scratch_alloc(request->scratch, (picks + 1) * sizeof(uint64_t));
    if (repeat) {
        for (uint64_t i = 0; i < picks; i++) {
            ranks[i] = collection_random(collection) % count;
        }
        return ranks;
    }
    check(picks <= count);
    struct number_set set = number_set_make(request, picks);
    for (uint64_t i = 0; i < picks; i++) {
        uint64_t last = count - picks + i;
        uint64_t rank = collection_random(collection) % (last + 1);
        if (!number_set_add(&set, rank)) {
            rank = last;
            number_set_add(&set, rank);
        }
        ranks[i] = rank;
    }
    return ranks;
}
