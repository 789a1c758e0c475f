/* The hits of an exact LRU cache in the requests that the load generator made
 * of the same keys, order and seed: first every key in order (the fill), then
 * so many requests of the first seed, then of the second, which count.
 *
 *   simulate KEYS ITEMS ORDER SCAN SEED REQUESTS SEED REQUESTS
 *
 * ORDER and SCAN as in the load generator's --order and --scan. Prints
 * requests=N hits=N. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/keys.h"

/* A ring of the keys in the cache through node `count`, the last used after
 * it; next is ABSENT of a key that is not there. */
#define ABSENT UINT32_MAX

struct node {
    uint32_t previous, next;
};

struct cache {
    struct node *nodes;
    uint32_t head; /* no key: the ring's beginning */
    uint64_t items, limit;
};

static void take_out(struct cache *cache, uint32_t key)
{
    struct node *node = &cache->nodes[key];

    cache->nodes[node->previous].next = node->next;
    cache->nodes[node->next].previous = node->previous;
    node->next = ABSENT;
    cache->items--;
}

static void put_first(struct cache *cache, uint32_t key)
{
    uint32_t second = cache->nodes[cache->head].next;

    cache->nodes[key] = (struct node){cache->head, second};
    cache->nodes[cache->head].next = key;
    cache->nodes[second].previous = key;
    cache->items++;
}

static bool request(struct cache *cache, uint32_t key)
{
    bool hit = cache->nodes[key].next != ABSENT;

    if (hit) {
        take_out(cache, key);
    } else if (cache->items == cache->limit) {
        take_out(cache, cache->nodes[cache->head].previous);
    }
    put_first(cache, key);
    return hit;
}

static uint64_t play(
    struct cache *cache, struct keys *keys, uint64_t seed, uint64_t requests)
{
    uint64_t hits = 0;

    keys_init(keys, seed);
    for (uint64_t i = 0; i < requests; i++) {
        hits += request(cache, (uint32_t)keys_next(keys));
    }
    return hits;
}

static void fill(struct cache *cache, uint32_t keys)
{
    cache->head = keys;
    cache->nodes = calloc((size_t)keys + 1, sizeof(*cache->nodes));
    if (cache->nodes == NULL) {
        exit(1);
    }
    for (uint32_t key = 0; key < keys; key++) {
        cache->nodes[key] = (struct node){ABSENT, ABSENT};
    }
    cache->nodes[keys] = (struct node){keys, keys};
    for (uint32_t key = 0; key < keys; key++) {
        request(cache, key);
    }
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
    struct keys keys = {0};
    struct cache cache = {0};

    if (argc != 9 || !keys_parse_order(&keys, argv[3]) ||
        number(argv[1]) == 0 || number(argv[1]) >= ABSENT ||
        number(argv[2]) == 0) {
        fputs("simulate KEYS ITEMS seq|random|zipf:EXPONENT SCAN_PERCENT\n"
              "         SEED REQUESTS SEED REQUESTS\n",
            stderr);
        return 2;
    }
    keys.count = number(argv[1]);
    keys.scan_percent = (unsigned)number(argv[4]);
    cache.limit = number(argv[2]);
    fill(&cache, (uint32_t)keys.count);
    play(&cache, &keys, number(argv[5]), number(argv[6]));
    uint64_t requests = number(argv[8]);
    uint64_t hits = play(&cache, &keys, number(argv[7]), requests);

    printf("requests=%llu hits=%llu\n", (unsigned long long)requests,
        (unsigned long long)hits);
    free(cache.nodes);
    return 0;
}
