/* A number looked up in one of the store's two trees of numbers, `headers` and
 * `payloads`, without LMDB: in its leaves they mostly follow one another, so
 * where a number stands can be told from the first one. And a leaf of the rows
 * may lie elsewhere than in the map. */
#ifndef LARDER_TIERS_DRY_LMDB_TREE_H
#define LARDER_TIERS_DRY_LMDB_TREE_H

#include "tiers/dry/lmdb_store.h"

struct lmdb_tree {
    const char *map;
    uint64_t page_count; /* of the file */
    struct database root;
};

/* The leaf page where `number` is if it is anywhere. */
struct lmdb_leaf {
    uint64_t number, page;
    int code;
};

/* All codes are LMDB's, MDB_CORRUPTED for what cannot be. Any thread. */

/* The tree `name` as of the transaction, and good as long as that. */
int lmdb_tree_open(const struct lmdb *store, MDB_txn *txn, const char *name,
    struct lmdb_tree *tree);
/* Finds the leaves of several numbers and sets their pages and codes; one whose
 * code is not MDB_SUCCESS is left alone. Branch pages are read in the map, and
 * were looked at when the file was opened. All go down a level before one goes
 * down the next: the memory of one page comes while others are searched. */
void lmdb_tree_leaves(
    const struct lmdb_tree *tree, struct lmdb_leaf *leaves, size_t count);
/* Its node on that page, whose bytes at `page` nobody needs to have looked at:
 * the value lies within the page, or is big. MDB_NOTFOUND: there is none. */
int lmdb_tree_node(const struct page *page, uint64_t leaf, uint64_t number,
    const struct node **node);

/* The number that is a node's key, or 0. */
static inline uint64_t lmdb_node_number(const struct node *node)
{
    return lmdb_number(lmdb_val(node->data, node->key_size));
}

/* What is looked at first on a leaf, and on a branch page: its ends. */
static inline void lmdb_tree_prefetch(const struct page *page)
{
    const char *bytes = (const char *)page;
    __builtin_prefetch(bytes);
    __builtin_prefetch(bytes + 64);
    __builtin_prefetch(bytes + LMDB_PAGE_BYTES - 64);
}

static inline const struct page *lmdb_tree_page(
    const struct lmdb_tree *tree, uint64_t number)
{
    return (const struct page *)(tree->map + number * LMDB_PAGE_BYTES);
}

#endif
