#include "tiers/dry/lmdb_tree.h"

/* The table's record on the tree `name`, as of the transaction. */
static int read_root(MDB_txn *txn, const char *name, struct database *root)
{
    MDB_val key = lmdb_val(name, strlen(name)), value;
    int rc = mdb_get(txn, LMDB_TABLE, &key, &value);
    if (rc == MDB_SUCCESS && value.mv_size != sizeof(*root)) {
        return MDB_CORRUPTED;
    }
    if (rc == MDB_SUCCESS) {
        memcpy(root, value.mv_data, sizeof(*root));
    }
    return rc == MDB_SUCCESS && root->depth > PAGE_MAX_DEPTH ? MDB_CORRUPTED
                                                             : rc;
}

int lmdb_tree_open(const struct lmdb *store, MDB_txn *txn, const char *name,
    struct lmdb_tree *tree)
{
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    tree->map = store->map;
    tree->page_count = info.me_last_pgno + 1;
    return read_root(txn, name, &tree->root);
}

/* ---- branch pages ---- */

/* The last child whose first key is not above `number`. The first key of a
 * branch page is empty and below all. */
static size_t find_child(const struct page *page, uint64_t number)
{
    size_t low = 0, high = page_node_count(page);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (lmdb_node_number(page_node(page, middle)) <= number) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* From a branch page to the child where the number is. */
static void go_down(const struct lmdb_tree *tree, struct lmdb_leaf *leaf)
{
    const struct page *page = lmdb_tree_page(tree, leaf->page);
    leaf->code = MDB_CORRUPTED;
    if (page_header_sane(page, leaf->page, PAGE_BRANCH)) {
        leaf->page =
            page_child(page_node(page, find_child(page, leaf->number)));
        if (leaf->page < tree->page_count) {
            lmdb_tree_prefetch(lmdb_tree_page(tree, leaf->page));
            leaf->code = MDB_SUCCESS;
        }
    }
}

static void begin_at_root(const struct lmdb_tree *tree, struct lmdb_leaf *leaf)
{
    uint64_t root = tree->root.root;
    leaf->page = root;
    if (root == PAGE_NONE) {
        leaf->code = MDB_NOTFOUND;
    } else if (root >= tree->page_count) {
        leaf->code = MDB_CORRUPTED;
    }
}

void lmdb_tree_leaves(
    const struct lmdb_tree *tree, struct lmdb_leaf *leaves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (leaves[i].code == MDB_SUCCESS) {
            begin_at_root(tree, &leaves[i]);
        }
    }
    for (unsigned level = 1; level < tree->root.depth; level++) {
        for (size_t i = 0; i < count; i++) {
            if (leaves[i].code == MDB_SUCCESS) {
                go_down(tree, &leaves[i]);
            }
        }
    }
}

/* ---- leaf pages ---- */

/* NULL: it does not lie within the page, or its key is no number. */
static const struct node *node_at(const struct page *page, size_t index)
{
    if (!page_node_sane(page, index, PAGE_LEAF)) {
        return NULL;
    }
    const struct node *node = page_node(page, index);
    return node->key_size == sizeof(uint64_t) ? node : NULL;
}

/* Begins where it stands if all numbers from the first one on are there, and
 * goes on by halves if they are not. */
static int search(
    const struct page *page, uint64_t number, const struct node **node)
{
    size_t low = 0, high = page_node_count(page);
    *node = node_at(page, 0);
    if (*node == NULL) {
        return MDB_CORRUPTED;
    }
    uint64_t guess =
        number - lmdb_node_number(*node); /* huge when it is below */
    size_t middle = guess < high ? (size_t)guess : high - 1;
    while (low < high) {
        *node = node_at(page, middle);
        if (*node == NULL) {
            return MDB_CORRUPTED;
        }
        uint64_t key = lmdb_node_number(*node);
        if (key == number) {
            return MDB_SUCCESS;
        }
        if (key < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
        middle = low + (high - low) / 2;
    }
    return MDB_NOTFOUND;
}

int lmdb_tree_node(const struct page *page, uint64_t leaf, uint64_t number,
    const struct node **node)
{
    return page_header_sane(page, leaf, PAGE_LEAF) ? search(page, number, node)
                                                   : MDB_CORRUPTED;
}
