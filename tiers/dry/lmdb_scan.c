/* The scan of all rows at start. It walks the tree in the map by itself: LMDB
 * would trust pages that nobody has looked at yet, and reads ahead badly. */
#include "tiers/dry/give_way.h"
#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/lmdb_tree.h"

#include <sys/mman.h>

enum { AHEAD_PAGES = 64 };

struct scan {
    struct lmdb_tree tree;
    uint64_t from;
    uint64_t least; /* the next row's id is at least this */
    dry_scan_fn *fn;
    void *context;
    bool stopped;
};

static const struct page *page_at(
    const struct scan *scan, uint64_t number, unsigned kind)
{
    if (number >= scan->tree.page_count) {
        return NULL;
    }
    const struct page *page = lmdb_tree_page(&scan->tree, number);
    return page_sane(page, number, kind) ? page : NULL;
}

/* The value of a row, wherever it is; NULL when it is damaged. */
static const char *row_value(const struct scan *scan, const struct node *node)
{
    const char *value = page_value(node);
    size_t size = page_value_size(node);
    if (node->flags & NODE_BIG) {
        uint64_t number;
        memcpy(&number, value, sizeof(number));
        if (number >= scan->tree.page_count ||
            page_run(size) > scan->tree.page_count - number) {
            return NULL;
        }
        value = scan->tree.map + number * PAGE_BYTES + PAGE_HEADER_BYTES;
    }
    return page_value_sane(value, size) ? value : NULL;
}

static int scan_row(struct scan *scan, const struct node *node)
{
    struct row row;
    struct bytes header;
    uint64_t id = lmdb_node_number(node);
    if (id == 0) {
        return MDB_CORRUPTED; /* not the key of a row */
    }
    if (id < scan->least) {
        return MDB_SUCCESS; /* before where the caller begins */
    }
    const char *value = row_value(scan, node);
    if (value == NULL || !lmdb_row_parse(lmdb_val(value, page_value_size(node)),
                             &row, &header)) {
        return MDB_CORRUPTED;
    }
    scan->least = id + 1;
    scan->stopped = !scan->fn(scan->context, id, header, row.size);
    return MDB_SUCCESS;
}

static int scan_leaf(struct scan *scan, uint64_t number)
{
    const struct page *page = page_at(scan, number, PAGE_LEAF);
    int rc = page != NULL ? MDB_SUCCESS : MDB_CORRUPTED;
    for (size_t i = 0;
         rc == MDB_SUCCESS && !scan->stopped && i < page_node_count(page);
         i++) {
        rc = scan_row(scan, page_node(page, i));
    }
    return rc;
}

/* Asks for the children from `first` on that lie side by side. */
static void read_ahead(
    const struct scan *scan, const struct page *branch, size_t first)
{
    size_t count = page_node_count(branch), i = first;
    count = count - first > AHEAD_PAGES ? first + AHEAD_PAGES : count;
    while (i < count) {
        uint64_t start = page_child(page_node(branch, i)), pages = 1;
        while (
            ++i < count && page_child(page_node(branch, i)) == start + pages) {
            pages++;
        }
        if (start + pages <= scan->tree.page_count) {
            madvise((void *)(scan->tree.map + start * PAGE_BYTES),
                pages * PAGE_BYTES, MADV_WILLNEED);
        }
    }
}

/* Whether all of child `i` comes before the rows wanted. By a key that is none
 * it cannot be told. */
static bool behind(const struct scan *scan, const struct page *branch, size_t i)
{
    if (i + 1 >= page_node_count(branch)) {
        return false;
    }
    uint64_t id = lmdb_node_number(page_node(branch, i + 1));
    return id != 0 && id <= scan->from;
}

static int scan_tree(struct scan *scan, uint64_t number, unsigned depth)
{
    if (depth <= 1) {
        return scan_leaf(scan, number);
    }
    const struct page *page = page_at(scan, number, PAGE_BRANCH);
    int rc = page != NULL ? MDB_SUCCESS : MDB_CORRUPTED;
    size_t asked = 0;
    struct give_way way = {0};
    for (size_t i = 0;
         rc == MDB_SUCCESS && !scan->stopped && i < page_node_count(page);
         i++) {
        if (behind(scan, page, i)) {
            continue;
        }
        if (depth == 2 && i >= asked) {
            read_ahead(scan, page, i);
            asked = i + AHEAD_PAGES;
        }
        give_way(&way, GIVE_WAY_PAGES);
        rc = scan_tree(scan, page_child(page_node(page, i)), depth - 1);
    }
    return rc;
}

enum dry_result lmdb_scan_rows(
    struct dry_store *base, uint64_t from, dry_scan_fn *fn, void *context)
{
    struct lmdb *store = lmdb_of(base);
    struct scan scan = {
        .from = from, .least = from, .fn = fn, .context = context};
    MDB_txn *txn;
    int rc = lmdb_env_begin_read(store, &txn);
    if (rc != MDB_SUCCESS) {
        return lmdb_env_result(store, rc);
    }
    rc = lmdb_tree_open(store, txn, "headers", &scan.tree);
    const struct database *root = &scan.tree.root;
    if (rc == MDB_SUCCESS && root->root != PAGE_NONE) {
        rc = scan_tree(&scan, root->root, root->depth);
    }
    lmdb_env_end_read(store, txn);
    return lmdb_env_result(store, rc);
}
