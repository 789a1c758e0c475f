#include "tiers/lru.h"

enum { NEWER, OLDER };

static uint32_t *links_at(const struct arena *arena, uint32_t ref)
{
    return entry_links(arena_at(arena, ref));
}

/* Makes the neighbours of `links` point at `newer_sees` and `older_sees`. */
static void patch(struct lru *list, const struct arena *arena,
    const uint32_t *links, uint32_t newer_sees, uint32_t older_sees)
{
    if (links[NEWER] != 0) {
        links_at(arena, links[NEWER])[OLDER] = newer_sees;
    } else {
        list->head = newer_sees;
    }
    if (links[OLDER] != 0) {
        links_at(arena, links[OLDER])[NEWER] = older_sees;
    } else {
        list->tail = older_sees;
    }
}

/* Between two neighbours, 0 at an end. */
static void put_between(struct lru *list, const struct arena *arena,
    uint32_t ref, uint32_t newer, uint32_t older)
{
    uint32_t *links = links_at(arena, ref);
    links[NEWER] = newer;
    links[OLDER] = older;
    patch(list, arena, links, ref, ref);
    list->items++;
}

void lru_push_head(struct lru *list, const struct arena *arena, uint32_t ref)
{
    put_between(list, arena, ref, 0, list->head);
}

void lru_push_tail(struct lru *list, const struct arena *arena, uint32_t ref)
{
    put_between(list, arena, ref, list->tail, 0);
}

void lru_remove(struct lru *list, const struct arena *arena, uint32_t ref)
{
    const uint32_t *links = links_at(arena, ref);
    check(list->items > 0);
    if (list->cursor == ref) {
        list->cursor = links[NEWER];
    }
    patch(list, arena, links, links[OLDER], links[NEWER]);
    list->items--;
}

void lru_substitute(struct lru *list, const struct arena *arena,
    uint32_t old_ref, uint32_t new_ref)
{
    const uint32_t *old_links = links_at(arena, old_ref);
    uint32_t *links = links_at(arena, new_ref);
    if (list->cursor == old_ref) {
        list->cursor = new_ref;
    }
    links[NEWER] = old_links[NEWER];
    links[OLDER] = old_links[OLDER];
    patch(list, arena, links, new_ref, new_ref);
}

uint32_t lru_newer(const struct arena *arena, uint32_t ref)
{
    return links_at(arena, ref)[NEWER];
}

uint32_t lru_older(const struct arena *arena, uint32_t ref)
{
    return links_at(arena, ref)[OLDER];
}
