#include "bench/keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint64_t keys_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t keys_random(struct keys *keys)
{
    keys->random += 0x9e3779b97f4a7c15u;
    return keys_mix(keys->random);
}

bool keys_parse_order(struct keys *keys, const char *text)
{
    keys->order = KEY_ZIPF;
    if (strcmp(text, "seq") == 0) {
        keys->order = KEY_SEQUENTIAL;
    } else if (strcmp(text, "random") == 0) {
        keys->order = KEY_RANDOM;
    } else if (strncmp(text, "zipf:", 5) == 0) {
        keys->exponent = atof(text + 5);
    }
    return keys->order != KEY_ZIPF ||
           (keys->exponent > 0 && keys->exponent < 1);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Gray et al., "Quickly generating billion-record synthetic databases". */
static void zipf_init(struct keys *keys)
{
    double theta = keys->exponent;

    for (uint64_t i = 1; i <= keys->count; i++) {
        keys->zeta += 1 / pow((double)i, theta);
    }
    keys->zeta2 = 1 + 1 / pow(2, theta);
    keys->alpha = 1 / (1 - theta);
    keys->eta = (1 - pow(2.0 / (double)keys->count, 1 - theta)) /
                (1 - keys->zeta2 / keys->zeta);
    /* Ranks are spread over the keys, one to one. */
    keys->scramble = 0x9e3779b97f4a7c15u % keys->count | 1;
    while (gcd(keys->scramble, keys->count) != 1) {
        keys->scramble += 2;
    }
}

static uint64_t zipf_rank(struct keys *keys)
{
    double u = (double)(keys_random(keys) >> 11) / 9007199254740992.0;
    double uz = u * keys->zeta;
    uint64_t rank;

    if (uz < 1) {
        return 0;
    }
    if (uz < keys->zeta2) {
        return 1;
    }
    rank = (uint64_t)((double)keys->count *
                      pow(keys->eta * u - keys->eta + 1, keys->alpha));
    return rank < keys->count ? rank : keys->count - 1;
}

void keys_init(struct keys *keys, uint64_t seed)
{
    keys->random = keys_mix(seed);
    keys->next = keys->next_scanned = 0;
    keys->zeta = 0;
    if (keys->order == KEY_ZIPF && keys->count > 0) {
        zipf_init(keys);
    }
}

uint64_t keys_next(struct keys *keys)
{
    if (keys->scan_percent > 0 &&
        keys_random(keys) % 100 < keys->scan_percent) {
        return keys->next_scanned++ % keys->count;
    }
    switch (keys->order) {
    case KEY_SEQUENTIAL:
        return keys->next++ % keys->count;
    case KEY_ZIPF:
        return zipf_rank(keys) * keys->scramble % keys->count;
    case KEY_RANDOM:
        break;
    }
    return (keys_random(keys) >> 32) * keys->count >> 32;
}
