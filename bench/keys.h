/* Which key comes next: in order, at random, or by Zipf's law, with a share of
 * the requests walking through all keys in order (a scan). All follows from
 * the seed, so that a simulation sees the requests that a server saw. */
#ifndef LARDER_BENCH_KEYS_H
#define LARDER_BENCH_KEYS_H

#include <stdbool.h>
#include <stdint.h>

enum key_order { KEY_RANDOM, KEY_SEQUENTIAL, KEY_ZIPF };

struct keys {
    enum key_order order;
    uint64_t count;
    double exponent;       /* of Zipf's law: above 0, below 1 */
    unsigned scan_percent; /* of the requests */
    uint64_t random;       /* state of the generator */
    uint64_t next, next_scanned;
    double zeta, zeta2, alpha, eta;
    uint64_t scramble;
};

/* "seq", "random" or "zipf:EXPONENT"; false: none of them. */
bool keys_parse_order(struct keys *keys, const char *text);
/* After order, count, exponent and scan_percent are set. */
void keys_init(struct keys *keys, uint64_t seed);
/* 0 to count - 1. */
uint64_t keys_next(struct keys *keys);
uint64_t keys_random(struct keys *keys);
/* The bits of a number, stirred; one to one. */
uint64_t keys_mix(uint64_t value);

#endif
