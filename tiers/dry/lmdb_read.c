/* Records by their ids, several at once, in two rounds of reads: the leaf
 * pages that hold the rows, then the chunks of the payloads.
 *
 * LMDB says where things are; its branch pages, and the leaves that list the
 * chunks, are few and stay in memory. What is read is read from the file, not
 * out of the map: a page that nobody has mapped costs no fault when it comes,
 * no flush of address translations when the kernel takes it back for another,
 * and many can be asked for at once. */
#include "tiers/dry/give_way.h"
#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/lmdb_plan.h"

#include <errno.h>
#include <stdlib.h>

enum {
    BATCH_READS = 64,
    /* Larger payloads are read to where they are wanted. */
    DIRECT_MAX_BYTES = PLAN_DIRECT_PAGES / 4 * LMDB_PAGE_BYTES,
};

/* What a reader thread keeps between batches. */
struct lmdb_reader {
    struct ring *ring;
    char *direct_pages; /* PLAN_DIRECT_PAGES of them, once they are needed */
    char pages[BATCH_READS * LMDB_PAGE_BYTES];
};

/* ---- rows ---- */

/* One record of a batch. */
struct item {
    struct dry_read *read;
    int code; /* LMDB's or the system's */
    uint64_t leaf;
    struct row row;
};

struct rows {
    const char *map;
    uint64_t page_count;
    struct database tree;
};

/* The last node whose key is not above `id`, or -1. The first key of a branch
 * page is empty and below all. */
static int find_node(const struct page *page, uint64_t id)
{
    int low = -1, high = (int)page_node_count(page);
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        const struct node *node = page_node(page, (size_t)middle);
        uint64_t key = lmdb_number(lmdb_val(node->data, node->key_size));
        if (key <= id) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The leaf page where the row of `id` is if it is anywhere. */
static int find_leaf(const struct rows *rows, uint64_t id, uint64_t *leaf)
{
    uint64_t number = rows->tree.root;
    if (number == PAGE_NONE) {
        return MDB_NOTFOUND;
    }
    for (unsigned level = 1; level < rows->tree.depth; level++) {
        const struct page *page =
            (const struct page *)(rows->map + number * LMDB_PAGE_BYTES);
        int index = number < rows->page_count ? find_node(page, id) : -1;
        if (index < 0) {
            return MDB_CORRUPTED;
        }
        number = page_child(page_node(page, (size_t)index));
    }
    *leaf = number;
    return number < rows->page_count ? MDB_SUCCESS : MDB_CORRUPTED;
}

/* The row's value on its leaf page, if it is there and not on pages of its
 * own; MDB_BIG_ROW then. */
#define MDB_BIG_ROW 1
static int value_on_page(
    const struct page *page, const struct item *item, MDB_val *value)
{
    uint64_t id = item->read->id;
    if (!page_sane(page, item->leaf, PAGE_LEAF)) {
        return MDB_CORRUPTED;
    }
    int index = find_node(page, id);
    const struct node *node = index < 0 ? NULL : page_node(page, (size_t)index);
    if (node == NULL ||
        lmdb_number(lmdb_val(node->data, node->key_size)) != id) {
        return MDB_NOTFOUND;
    }
    *value = lmdb_val(page_value(node), page_value_size(node));
    return (node->flags & NODE_BIG) ? MDB_BIG_ROW : MDB_SUCCESS;
}

/* Takes the row apart and makes room for header and payload. */
static int take_row(struct item *item, MDB_val value)
{
    struct dry_read *read = item->read;
    struct bytes header;
    if (!lmdb_row_parse(value, &item->row, &header)) {
        return MDB_CORRUPTED;
    }
    read->data = malloc(header.size + item->row.size + 1);
    if (read->data == NULL) {
        return ENOMEM;
    }
    read->header_bytes = header.size;
    read->payload_bytes = item->row.size;
    memcpy(read->data, header.data, header.size);
    return MDB_SUCCESS;
}

/* Out of the map: rows with very long keys. */
static int take_big_row(
    const struct lmdb *store, MDB_txn *txn, struct item *item)
{
    MDB_val key = lmdb_val(&item->read->id, sizeof(item->read->id)), value;
    int rc = mdb_get(txn, store->headers, &key, &value);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    return page_value_sane(value.mv_data, value.mv_size) ? take_row(item, value)
                                                         : MDB_CORRUPTED;
}

static int read_rows(struct plan *plan, MDB_txn *txn, char *pages,
    struct item *items, size_t count)
{
    const struct lmdb *store = plan->store;
    struct rows rows = {.map = store->map};
    MDB_envinfo info;
    int rc = lmdb_row_tree(txn, &rows.tree);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    mdb_env_info(store->env, &info);
    rows.page_count = info.me_last_pgno + 1;
    struct give_way way = {0};
    for (size_t i = 0; i < count; i++) {
        give_way(&way, GIVE_WAY_ROWS);
        struct iovec part = {pages + i * LMDB_PAGE_BYTES, LMDB_PAGE_BYTES};
        items[i].code = find_leaf(&rows, items[i].read->id, &items[i].leaf);
        if (items[i].code == MDB_SUCCESS) {
            plan_add(
                plan, items[i].leaf * LMDB_PAGE_BYTES, part, &items[i].code);
        }
    }
    plan_run(plan);
    for (size_t i = 0; i < count; i++) {
        const char *page = pages + i * LMDB_PAGE_BYTES;
        MDB_val value;
        if (items[i].code == MDB_SUCCESS) {
            items[i].code = value_on_page(
                (const struct page *)(const void *)page, &items[i], &value);
        }
        if (items[i].code == MDB_SUCCESS) {
            items[i].code = take_row(&items[i], value);
        } else if (items[i].code == MDB_BIG_ROW) {
            items[i].code = take_big_row(store, txn, &items[i]);
        }
    }
    return MDB_SUCCESS;
}

/* ---- payloads ---- */

static void plan_piece_of(
    struct plan *plan, uint64_t at, struct iovec part, struct item *item)
{
    /* What is damaged may cross the end of its page. */
    bool on_page = at % LMDB_PAGE_BYTES + part.iov_len <= LMDB_PAGE_BYTES;
    if (plan->pages != NULL && item->row.size <= DIRECT_MAX_BYTES && on_page) {
        plan_add_direct(plan, at, part, &item->code);
    } else {
        plan_add(plan, at, part, &item->code);
    }
}

/* Finds the chunks of a payload and plans to read them. */
static int plan_payload(
    struct plan *plan, MDB_cursor *chunks, struct item *item)
{
    struct row row = item->row;
    char *to = item->read->data + item->read->header_bytes;
    size_t left = row.size;
    while (left > 0) {
        MDB_val key = lmdb_val(&row.chunk, sizeof(row.chunk)), value;
        int rc = mdb_cursor_get(chunks, &key, &value, MDB_SET_KEY);
        if (rc != MDB_SUCCESS || value.mv_size <= row.offset ||
            value.mv_size > LMDB_CHUNK_BYTES) {
            return rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
        }
        const char *piece = (char *)value.mv_data + row.offset;
        size_t size = value.mv_size - row.offset;
        size = size < left ? size : left;
        plan_piece_of(plan, (uint64_t)(piece - plan->store->map),
            (struct iovec){to, size}, item);
        to += size;
        left -= size;
        row.chunk++;
        row.offset = 0;
    }
    return MDB_SUCCESS;
}

static int read_payloads(
    struct plan *plan, MDB_txn *txn, struct item *items, size_t count)
{
    MDB_cursor *chunks;
    struct give_way way = {0};
    int rc = mdb_cursor_open(txn, plan->store->payloads, &chunks);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        give_way(&way, GIVE_WAY_ROWS);
        if (items[i].code == MDB_SUCCESS) {
            rc = plan_payload(plan, chunks, &items[i]);
            items[i].code = rc != MDB_SUCCESS ? rc : items[i].code;
        }
    }
    plan_run(plan);
    mdb_cursor_close(chunks);
    return MDB_SUCCESS;
}

/* ---- the operations ---- */

/* Where payloads come that are read past the page cache; NULL: none are. In a
 * read transaction: the file is not opened again meanwhile. */
static char *pages_for_direct(
    struct lmdb *store, struct lmdb_reader *reader, size_t count)
{
    if (reader == NULL || store->direct_fd < 0) {
        return NULL;
    }
    pthread_mutex_lock(&store->lock);
    bool direct = store->stats.file_bytes > store->page_cache_bytes;
    store->direct_reads += direct ? count : 0;
    pthread_mutex_unlock(&store->lock);
    if (direct && reader->direct_pages == NULL) {
        reader->direct_pages = aligned_alloc(
            LMDB_PAGE_BYTES, (size_t)PLAN_DIRECT_PAGES * LMDB_PAGE_BYTES);
    }
    return direct ? reader->direct_pages : NULL;
}

/* `reader` is NULL beside the reader threads; `pages` has room for a page a
 * read. */
static void read_batch(struct lmdb *store, struct lmdb_reader *reader,
    char *pages, struct dry_read **reads, size_t count)
{
    struct item items[BATCH_READS];
    struct plan plan;
    MDB_txn *txn;
    int rc = lmdb_env_begin_read(store, &txn);
    plan_begin(&plan, store, reader != NULL ? reader->ring : NULL);
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct item){.read = reads[i]};
        reads[i]->data = NULL;
    }
    if (rc == MDB_SUCCESS) {
        plan.pages = pages_for_direct(store, reader, count);
        rc = read_rows(&plan, txn, pages, items, count);
        if (rc == MDB_SUCCESS) {
            rc = read_payloads(&plan, txn, items, count);
        }
        lmdb_env_end_read(store, txn);
    }
    for (size_t i = 0; i < count; i++) {
        int code = rc != MDB_SUCCESS ? rc : items[i].code;
        if (code != MDB_SUCCESS) {
            free(reads[i]->data);
            reads[i]->data = NULL;
        }
        reads[i]->result = lmdb_env_result(store, code);
    }
}

static struct lmdb_reader *reader_of(struct lmdb *store, unsigned number)
{
    check(number < store->reader_count);
    if (store->readers[number] == NULL) {
        store->readers[number] = xmalloc(sizeof(**store->readers));
        store->readers[number]->ring = ring_create();
        store->readers[number]->direct_pages = NULL;
    }
    return store->readers[number];
}

void lmdb_reader_destroy(struct lmdb_reader *reader)
{
    if (reader != NULL) {
        ring_destroy(reader->ring);
        free(reader->direct_pages);
        free(reader);
    }
}

void lmdb_read_many(struct dry_store *base, unsigned number,
    struct dry_read **reads, size_t count)
{
    struct lmdb *store = lmdb_of(base);
    struct lmdb_reader *reader = reader_of(store, number);
    for (size_t i = 0; i < count; i += BATCH_READS) {
        size_t size = count - i < BATCH_READS ? count - i : BATCH_READS;
        read_batch(store, reader, reader->pages, reads + i, size);
    }
}

enum dry_result lmdb_read_record(struct dry_store *base, uint64_t id,
    char **data, size_t *header_bytes, size_t *payload_bytes)
{
    _Alignas(uint64_t) char page[LMDB_PAGE_BYTES];
    struct dry_read read = {.id = id}, *reads = &read;
    read_batch(lmdb_of(base), NULL, page, &reads, 1);
    *data = read.data;
    *header_bytes = read.header_bytes;
    *payload_bytes = read.payload_bytes;
    return read.result;
}
