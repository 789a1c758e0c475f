/* Exact LRU lists threaded through entries: two 32-bit links each, head =
 * used last. An entry is in at most one list. One thread. */
#ifndef LARDER_TIERS_LRU_H
#define LARDER_TIERS_LRU_H

#include "tiers/entry_layout.h"

struct lru {
    uint32_t head, tail; /* references, 0: empty */
    uint32_t items;
    uint32_t cursor; /* somebody walks the list, and goes on here; 0: nobody,
                        or the head is behind */
};

void lru_push_head(struct lru *list, const struct arena *arena, uint32_t ref);
/* As the one used longest ago. */
void lru_push_tail(struct lru *list, const struct arena *arena, uint32_t ref);
void lru_remove(struct lru *list, const struct arena *arena, uint32_t ref);
/* `new_ref` takes the place of `old_ref`, whose links are still intact. */
void lru_substitute(struct lru *list, const struct arena *arena,
    uint32_t old_ref, uint32_t new_ref);
/* The neighbour towards the head, 0 at the head; */
uint32_t lru_newer(const struct arena *arena, uint32_t ref);
/* towards the tail, 0 at the tail. */
uint32_t lru_older(const struct arena *arena, uint32_t ref);

#endif
