/* The pages that a commit of LMDB has written: those of the new trees that are
 * not in the old ones. LMDB never writes to a page that is in use, so a page
 * whose number is in both is the same. */
#ifndef LARDER_TIERS_DRY_LMDB_CHANGES_H
#define LARDER_TIERS_DRY_LMDB_CHANGES_H

#include "tiers/dry/lmdb_page.h"

/* Page numbers, in the order they were found. */
struct page_list {
    uint64_t *numbers;
    size_t count, capacity;
};
void page_list_free(struct page_list *list);
/* Ascending, each once. */
void page_list_sort(struct page_list *list);

enum changes_result {
    CHANGES_FOUND,
    CHANGES_BROKEN, /* the new trees are not sound */
    CHANGES_STALE,  /* the old ones are not */
    CHANGES_UNREAD, /* errno: the file could not be read */
};
/* Appends to `written` the pages of the commit `now` that are not of the one
 * before it, sorted. Reads the file; neither commit's pages may change
 * meanwhile. Nothing in the file is trusted. */
enum changes_result changes_find(int fd, const struct meta *before,
    const struct meta *now, struct page_list *written);

#endif
