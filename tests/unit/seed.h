/* Random tests that can be repeated: the seed is printed, and LARDER_SEED
 * sets it. */
#ifndef LARDER_TESTS_UNIT_SEED_H
#define LARDER_TESTS_UNIT_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t seed_take(const char *what)
{
    const char *given = getenv("LARDER_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)time(NULL) * 2654435761u;
    seed |= 1;
    printf("# %s: LARDER_SEED=%llu\n", what, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

static inline uint64_t seed_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

static inline uint64_t seed_below(uint64_t *state, uint64_t limit)
{
    return seed_next(state) % limit;
}

/* Sanitized builds are many times slower: there random tests try less, and the
 * plain build does all. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static inline unsigned tries(unsigned many)
{
    return SANITIZED ? many / 4 : many;
}

#endif
