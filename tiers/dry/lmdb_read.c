/* Records by their ids, several at once: first their rows, then the chunks of
 * their payloads.
 *
 * Branch pages, and the leaves that list the chunks, are few, stay in memory
 * and are read in the map; so are leaves of rows where the page cache has room
 * for them. All else is read from the file: a page that nobody has mapped costs
 * no fault when it comes, no flush of address translations when the kernel
 * takes it back for another, and many can be asked for at once. */
#include "tiers/dry/give_way.h"
#include "tiers/dry/lmdb_plan.h"
#include "tiers/dry/lmdb_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

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

/* One record of a round. */
struct item {
    struct dry_read *read;
    int code; /* LMDB's or the system's */
    const struct page
        *page; /* the bytes of its row's leaf: in the map, or read */
    bool in_map;
    struct row row;
};

/* What is read at once, in one transaction. */
struct round {
    struct lmdb *store;
    MDB_txn *txn;
    struct plan plan;
    struct item items[BATCH_READS];
    struct lmdb_leaf leaves[BATCH_READS]; /* of their rows, then first chunks */
    size_t count;
    char *pages;    /* for leaves of rows, one an item */
    bool rows_stay; /* the page cache keeps them */
};

/* ---- rows ---- */

static bool is_resident(const struct page *page)
{
    unsigned char there = 0;
    return mincore((void *)(uintptr_t)page, LMDB_PAGE_BYTES, &there) == 0 &&
           (there & 1) != 0;
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

static void find_leaves_of_rows(
    struct round *round, const struct lmdb_tree *rows)
{
    for (size_t i = 0; i < round->count; i++) {
        round->leaves[i] = (struct lmdb_leaf){
            .number = round->items[i].read->id, .code = MDB_SUCCESS};
    }
    lmdb_tree_leaves(rows, round->leaves, round->count);
}

/* Plans to read the page of an item's row to `to` unless it is there. */
static void plan_row(
    struct round *round, const struct lmdb_tree *rows, size_t index, char *to)
{
    struct item *item = &round->items[index];
    uint64_t leaf = round->leaves[index].page;
    item->code = round->leaves[index].code;
    if (item->code != MDB_SUCCESS) {
        return;
    }
    item->page = lmdb_tree_page(rows, leaf);
    item->in_map = round->rows_stay && is_resident(item->page);
    if (!item->in_map) {
        item->page = (const struct page *)(const void *)to;
        plan_add(&round->plan, leaf * LMDB_PAGE_BYTES,
            (struct iovec){to, LMDB_PAGE_BYTES}, &item->code);
    }
}

static int find_row(const struct round *round, struct item *item, uint64_t leaf)
{
    const struct node *node;
    int rc = lmdb_tree_node(item->page, leaf, item->read->id, &node);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    if ((node->flags & NODE_BIG) == 0) {
        return take_row(
            item, lmdb_val(page_value(node), page_value_size(node)));
    }
    return page_sane(item->page, leaf, PAGE_LEAF)
               ? take_big_row(round->store, round->txn, item)
               : MDB_CORRUPTED; /* LMDB would believe it */
}

static void find_rows(struct round *round, bool in_map)
{
    for (size_t i = 0; i < round->count; i++) {
        struct item *item = &round->items[i];
        if (item->code == MDB_SUCCESS && item->in_map == in_map) {
            item->code = find_row(round, item, round->leaves[i].page);
        }
    }
}

static int read_rows(struct round *round)
{
    struct lmdb_tree rows;
    struct give_way way = {0};
    int rc = lmdb_tree_open(round->store, round->txn, "headers", &rows);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    find_leaves_of_rows(round, &rows);
    for (size_t i = 0; i < round->count; i++) {
        give_way(&way, GIVE_WAY_ROWS);
        plan_row(round, &rows, i, round->pages + i * LMDB_PAGE_BYTES);
    }
    /* At once, as they may not be resident for long. */
    find_rows(round, true);
    plan_run(&round->plan);
    find_rows(round, false);
    return MDB_SUCCESS;
}

/* ---- payloads ---- */

static void plan_piece_of(
    struct plan *plan, uint64_t at, struct iovec part, struct item *item)
{
    if (plan->pages != NULL && item->row.size <= DIRECT_MAX_BYTES) {
        plan_add_direct(plan, at, part, &item->code);
    } else {
        plan_add(plan, at, part, &item->code);
    }
}

/* Where a chunk's bytes lie in the file: all on one page. */
struct chunk {
    uint64_t at;
    size_t size;
};

static int find_chunk(const struct lmdb_tree *payloads,
    const struct lmdb_leaf *leaf, struct chunk *chunk)
{
    uint64_t first;
    const struct node *node;
    int rc = leaf->code;
    if (rc == MDB_SUCCESS) {
        rc = lmdb_tree_node(lmdb_tree_page(payloads, leaf->page), leaf->page,
            leaf->number, &node);
    }
    if (rc != MDB_SUCCESS) {
        return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    }
    chunk->size = page_value_size(node);
    chunk->at = (uint64_t)(page_value(node) - payloads->map);
    if (node->flags & NODE_BIG) {
        memcpy(&first, page_value(node), sizeof(first));
        chunk->at = first * LMDB_PAGE_BYTES + PAGE_HEADER_BYTES;
        if (first >= payloads->page_count) {
            return MDB_CORRUPTED;
        }
    }
    return chunk->size <= LMDB_CHUNK_BYTES ? MDB_SUCCESS : MDB_CORRUPTED;
}

static void find_leaves_of_chunks(
    struct round *round, const struct lmdb_tree *payloads)
{
    for (size_t i = 0; i < round->count; i++) {
        const struct item *item = &round->items[i];
        bool has_chunks = item->code == MDB_SUCCESS && item->row.size > 0;
        round->leaves[i] = (struct lmdb_leaf){.number = item->row.chunk,
            .code = has_chunks ? MDB_SUCCESS : MDB_NOTFOUND};
    }
    lmdb_tree_leaves(payloads, round->leaves, round->count);
}

/* Finds the chunks of a payload, from the first one's leaf on, and plans to
 * read them. */
static int plan_payload(struct plan *plan, const struct lmdb_tree *payloads,
    struct item *item, struct lmdb_leaf leaf)
{
    char *to = item->read->data + item->read->header_bytes;
    size_t left = item->row.size, offset = item->row.offset;
    while (left > 0) {
        struct chunk chunk;
        int rc = find_chunk(payloads, &leaf, &chunk);
        if (rc != MDB_SUCCESS || chunk.size <= offset) {
            return rc == MDB_SUCCESS ? MDB_CORRUPTED : rc;
        }
        size_t size = chunk.size - offset;
        size = size < left ? size : left;
        plan_piece_of(plan, chunk.at + offset, (struct iovec){to, size}, item);
        to += size;
        left -= size;
        offset = 0;
        leaf.number++;
        if (left > 0) {
            lmdb_tree_leaves(payloads, &leaf, 1);
        }
    }
    return MDB_SUCCESS;
}

static int read_payloads(struct round *round)
{
    struct lmdb_tree payloads;
    struct give_way way = {0};
    int rc = lmdb_tree_open(round->store, round->txn, "payloads", &payloads);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    find_leaves_of_chunks(round, &payloads);
    for (size_t i = 0; i < round->count; i++) {
        struct item *item = &round->items[i];
        give_way(&way, GIVE_WAY_ROWS);
        if (item->code == MDB_SUCCESS) {
            rc = plan_payload(&round->plan, &payloads, item, round->leaves[i]);
            item->code = rc != MDB_SUCCESS ? rc : item->code;
        }
    }
    plan_run(&round->plan);
    return MDB_SUCCESS;
}

/* ---- the operations ---- */

static void make_direct_pages(struct lmdb_reader *reader)
{
    size_t size = (size_t)PLAN_DIRECT_PAGES * LMDB_PAGE_BYTES;
    reader->direct_pages = aligned_alloc(LMDB_PAGE_BYTES, size);
    if (reader->direct_pages != NULL && reader->ring != NULL) {
        ring_register(reader->ring, reader->direct_pages, size);
    }
}

/* What comes past the page cache, and what stays in it. In a read transaction:
 * the file is not opened again meanwhile. */
static void choose_way(struct round *round, struct lmdb_reader *reader)
{
    struct lmdb *store = round->store;
    pthread_mutex_lock(&store->lock);
    bool fits = store->stats.file_bytes <= store->page_cache_bytes;
    bool past = !fits && store->direct_fd >= 0;
    bool direct = past && reader != NULL;
    store->direct_reads += direct ? round->count : 0;
    pthread_mutex_unlock(&store->lock);
    if (direct && reader->direct_pages == NULL) {
        make_direct_pages(reader);
    }
    round->plan.pages = direct ? reader->direct_pages : NULL;
    round->rows_stay = fits || past;
}

static int read_round(struct round *round, struct lmdb_reader *reader)
{
    int rc = lmdb_env_begin_read(round->store, &round->txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    choose_way(round, reader);
    rc = read_rows(round);
    if (rc == MDB_SUCCESS) {
        rc = read_payloads(round);
    }
    lmdb_env_end_read(round->store, round->txn);
    return rc;
}

/* `reader` is NULL beside the reader threads; `pages` has room for a page a
 * read. */
static void read_batch(struct lmdb *store, struct lmdb_reader *reader,
    char *pages, struct dry_read **reads, size_t count)
{
    struct round round; /* large, and filled as it is used */
    round.store = store;
    round.pages = pages;
    round.count = count;
    plan_begin(&round.plan, store, reader != NULL ? reader->ring : NULL);
    for (size_t i = 0; i < count; i++) {
        round.items[i] = (struct item){.read = reads[i]};
        reads[i]->data = NULL;
    }
    int rc = read_round(&round, reader);
    for (size_t i = 0; i < count; i++) {
        int code = rc != MDB_SUCCESS ? rc : round.items[i].code;
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
