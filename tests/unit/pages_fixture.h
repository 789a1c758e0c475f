/* A store with trees of some depth, closed; its file's pages, found and
 * changed without LMDB. */
#ifndef LARDER_TESTS_UNIT_PAGES_FIXTURE_H
#define LARDER_TESTS_UNIT_PAGES_FIXTURE_H

#include "tests/unit/store_fixture.h"
#include "tiers/dry/lmdb_page.h"

#include <fcntl.h>

/* So many that the list of the pages of those removed, all at once, has pages
 * of its own; unless a test asks for less. */
#ifndef PAGED_RECORDS
#define PAGED_RECORDS 1600
#define PAGED_REMOVED 700
#endif

enum {
    RECORDS = PAGED_RECORDS,
    REMOVED = PAGED_REMOVED,
    PAYLOAD = 4000,
    SYSTEM_BYTES = 5000, /* a system value with pages of its own */
    BATCH = 100,
    BIG_ROW =
        PAGED_RECORDS / 4 * 3, /* a record whose row has pages of its own */
};

/* Where things lie in a page, and in a node. */
enum {
    AT_NUMBER = 0,
    AT_FLAGS = 10,
    AT_LOWER = 12,
    AT_UPPER = 14,
    AT_FIRST = 16,
    NODE_LOW = 0,
    NODE_HIGH = 2,
    NODE_FLAGS = 4,
    NODE_KEY = 6,
};

union buffer {
    struct page page;
    char bytes[PAGE_BYTES];
};

static inline void put16(union buffer *buffer, size_t at, uint16_t value)
{
    memcpy(buffer->bytes + at, &value, sizeof value);
}

struct paged {
    struct fixture fixture; /* of a store that is closed */
    int fd;
    struct meta meta; /* the newer one ... */
    uint64_t meta_at; /* ... and where it lies, behind its page's header */
    uint64_t older_at;
};

static inline size_t paged_header_bytes(uint64_t id)
{
    return id == BIG_ROW ? 5000 : 60;
}

static inline void paged_fill(struct fixture *fixture)
{
    struct dry_record records[BATCH];
    static char system[SYSTEM_BYTES];
    struct dry_system_value value = {"large", bytes_of(system, sizeof(system))};
    for (uint64_t id = 1; id <= RECORDS; id += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            records[i] =
                fixture_record(id + i, paged_header_bytes(id + i), PAYLOAD);
        }
        struct dry_batch_view batch = {.records = records,
            .record_count = BATCH,
            .system_values = &value,
            .system_value_count = 1};
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
        fixture_free(records, BATCH);
    }
    assert_int_equal(fixture_keep_from(fixture, REMOVED), DRY_OK);
}

/* The newer meta page, as the file has it now. */
static inline void paged_load_meta(struct paged *paged)
{
    struct meta other;
    paged->meta_at = PAGE_HEADER_BYTES;
    paged->older_at = PAGE_BYTES + PAGE_HEADER_BYTES;
    pread(paged->fd, &paged->meta, sizeof other, PAGE_HEADER_BYTES);
    pread(paged->fd, &other, sizeof other, PAGE_BYTES + PAGE_HEADER_BYTES);
    if (other.transaction > paged->meta.transaction) {
        paged->meta = other;
        paged->older_at = PAGE_HEADER_BYTES;
        paged->meta_at = PAGE_BYTES + PAGE_HEADER_BYTES;
    }
}

static inline int paged_setup(void **state)
{
    struct paged *paged = calloc(1, sizeof *paged);
    struct fixture *fixture = &paged->fixture;
    char path[120];
    fixture_init_in_ram(fixture, "pages");
    fixture_open(fixture);
    paged_fill(fixture);
    fixture_close(fixture);
    snprintf(path, sizeof path, "%s/data.mdb", fixture->path);
    paged->fd = open(path, O_RDWR);
    assert_true(paged->fd >= 0);
    paged_load_meta(paged);
    *state = paged;
    return 0;
}

static inline int paged_teardown(void **state)
{
    struct paged *paged = *state;
    close(paged->fd);
    fixture_finish(&paged->fixture);
    free(paged);
    return 0;
}

static inline void paged_read(
    const struct paged *paged, uint64_t number, union buffer *buffer)
{
    assert_int_equal(
        pread(paged->fd, buffer, PAGE_BYTES, (off_t)(number * PAGE_BYTES)),
        PAGE_BYTES);
}

static inline void paged_write(
    const struct paged *paged, uint64_t number, const union buffer *buffer)
{
    assert_int_equal(
        pwrite(paged->fd, buffer, PAGE_BYTES, (off_t)(number * PAGE_BYTES)),
        PAGE_BYTES);
}

static inline void expect_refused(
    struct paged *paged, enum dry_result result, const char *text)
{
    struct fixture *fixture = &paged->fixture;
    enum dry_result opened = fixture_try_open(fixture);
    if (opened != result) {
        fail_msg("%s: %s", text, dry_result_text(opened));
    }
    assert_null(fixture->store);
    if (strstr(fixture->reason, fixture->path) == NULL ||
        strstr(fixture->reason, text) == NULL) {
        fail_msg("no \"%s\" in: %s", text, fixture->reason);
    }
}

/* The page is put in the place of what is there, and taken out again. */
static inline void expect_page_refused(struct paged *paged, uint64_t number,
    const union buffer *page, enum dry_result result, const char *text)
{
    union buffer before, after;
    paged_read(paged, number, &before);
    paged_write(paged, number, page);
    expect_refused(paged, result, text);
    paged_read(paged, number, &after);
    assert_memory_equal(page, &after, PAGE_BYTES);
    paged_write(paged, number, &before);
}

/* The same for `size` bytes at `at` in the file. */
static inline void expect_damage(struct paged *paged, uint64_t at,
    uint64_t value, size_t size, const char *text)
{
    union buffer page;
    paged_read(paged, at / PAGE_BYTES, &page);
    memcpy(page.bytes + at % PAGE_BYTES, &value, size);
    expect_page_refused(paged, at / PAGE_BYTES, &page, DRY_CORRUPT, text);
}

/* ---- finding things in it ---- */

/* A node of a page, and where it lies in the file. */
struct paged_place {
    uint64_t page;
    size_t index;
    uint64_t at;
    uint64_t value_at; /* of the value or its page's number */
    size_t value_size;
    uint64_t child;
};

static inline struct paged_place paged_node(
    const struct paged *paged, uint64_t page, size_t index)
{
    union buffer buffer;
    paged_read(paged, page, &buffer);
    assert_true(index < page_node_count(&buffer.page));
    const struct node *node = page_node(&buffer.page, index);
    uint64_t at = page * PAGE_BYTES + buffer.page.nodes[index];
    return (struct paged_place){page, index, at,
        at + NODE_HEADER_BYTES + node->key_size, page_value_size(node),
        page_child(node)};
}

/* A database in their table, which is one page. */
static inline struct paged_place paged_table_row(
    const struct paged *paged, const char *name)
{
    union buffer buffer;
    paged_read(paged, paged->meta.table.root, &buffer);
    assert_int_equal(paged->meta.table.depth, 1);
    for (size_t i = 0; i < page_node_count(&buffer.page); i++) {
        const struct node *node = page_node(&buffer.page, i);
        if (bytes_equal(bytes_of(node->data, node->key_size),
                bytes_of(name, strlen(name)))) {
            return paged_node(paged, paged->meta.table.root, i);
        }
    }
    fail_msg("no %s", name);
    return (struct paged_place){0};
}

static inline struct database paged_database(
    const struct paged *paged, const char *name)
{
    struct paged_place row = paged_table_row(paged, name);
    struct database database;
    assert_int_equal(
        pread(paged->fd, &database, sizeof database, (off_t)row.value_at),
        sizeof database);
    return database;
}

/* The first leaf page of a tree. */
static inline uint64_t paged_first_leaf(
    const struct paged *paged, struct database tree)
{
    uint64_t number = tree.root;
    for (unsigned level = 1; level < tree.depth; level++) {
        union buffer buffer;
        paged_read(paged, number, &buffer);
        number = page_child(page_node(&buffer.page, 0));
    }
    return number;
}

/* The node of `id` in the tree of rows, and its leaf page. */
static inline struct paged_place paged_row_of(
    const struct paged *paged, uint64_t id)
{
    struct database tree = paged_database(paged, "headers");
    uint64_t number = tree.root, key = 0;
    union buffer buffer;
    for (unsigned level = 1;; level++) {
        size_t index = 0;
        paged_read(paged, number, &buffer);
        for (size_t i = level < tree.depth ? 1 : 0;
             i < page_node_count(&buffer.page); i++) {
            memcpy(&key, page_node(&buffer.page, i)->data, sizeof key);
            index = key <= id ? i : index;
        }
        if (level == tree.depth) {
            return paged_node(paged, number, index);
        }
        number = page_child(page_node(&buffer.page, index));
    }
}

/* The first node of a leaf page with that flag, or without any. */
static inline struct paged_place paged_find_flag(
    const struct paged *paged, uint64_t leaf, unsigned flag)
{
    union buffer buffer;
    paged_read(paged, leaf, &buffer);
    for (size_t i = 0; i < page_node_count(&buffer.page); i++) {
        if (page_node(&buffer.page, i)->flags == flag) {
            return paged_node(paged, leaf, i);
        }
    }
    fail_msg("no node with flag %u", flag);
    return (struct paged_place){0};
}

/* A copy of a leaf page whose node `index` has a value of `size` bytes. */
static inline void paged_resize_value(const struct paged *paged, uint64_t leaf,
    size_t index, size_t size, union buffer *out)
{
    union buffer from;
    paged_read(paged, leaf, &from);
    *out = from;
    size_t upper = PAGE_BYTES;
    for (size_t i = 0; i < page_node_count(&from.page); i++) {
        const struct node *node = page_node(&from.page, i);
        size_t value = i == index ? size : page_value_size(node);
        value = node->flags & NODE_BIG ? sizeof(uint64_t) : value;
        size_t whole = NODE_HEADER_BYTES + node->key_size + value;
        upper -= whole + whole % 2;
        memcpy(out->bytes + upper, node, whole);
        put16(out, AT_FIRST + 2 * i, (uint16_t)upper);
        if (i == index) {
            put16(out, upper + NODE_LOW, (uint16_t)size);
        }
    }
    out->page.upper = (uint16_t)upper;
    assert_true(page_sane(&out->page, leaf, PAGE_LEAF));
}

#endif
