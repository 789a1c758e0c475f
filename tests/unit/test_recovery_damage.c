/* Damage that opening does not see, because it is where only a scan or a read
 * looks, or because it comes while the store is open: an error for what lies
 * there, and nothing else. */
#include "tests/unit/pages_fixture.h"

enum {
    MIDDLE = 1000, /* a record neither at the left nor at the right */
    OTHER = 1500,  /* a record far from it */
    LAST_CHUNK = 4080,
};

struct damaged {
    uint64_t at, before;
    size_t size;
};

static void put(struct paged *paged, uint64_t at, uint64_t value, size_t size)
{
    assert_int_equal(pwrite(paged->fd, &value, size, (off_t)at), size);
}

/* `size` bytes at `at` in the file become `value`. */
static struct damaged damage(
    struct paged *paged, uint64_t at, uint64_t value, size_t size)
{
    struct damaged damaged = {.at = at, .size = size};
    assert_int_equal(pread(paged->fd, &damaged.before, size, (off_t)at), size);
    put(paged, at, value, size);
    return damaged;
}

static void mend(struct paged *paged, const struct damaged *damaged)
{
    put(paged, damaged->at, damaged->before, damaged->size);
}

static enum dry_result read_one(struct paged *paged, uint64_t id)
{
    struct dry_store *store = paged->fixture.store;
    char *data = NULL;
    size_t header_bytes, payload_bytes;
    enum dry_result result =
        store->ops->read(store, id, &data, &header_bytes, &payload_bytes);
    assert_true((data != NULL) == (result == DRY_OK));
    free(data);
    /* Together with others it is no other. */
    struct dry_read reads[] = {{.id = OTHER}, {.id = id}};
    struct dry_read *pointers[] = {&reads[0], &reads[1]};
    store->ops->read_many(store, 0, pointers, 2);
    assert_int_equal(reads[1].result, result);
    free(reads[0].data);
    free(reads[1].data);
    return result;
}

static bool count_row(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    uint64_t *rows = context;
    (*rows)++;
    return id >= REMOVED && header.size == paged_header_bytes(id) &&
           payload_bytes == PAYLOAD;
}

static enum dry_result scan_all(struct paged *paged, uint64_t from)
{
    struct dry_store *store = paged->fixture.store;
    uint64_t rows = 0;
    enum dry_result result = store->ops->scan(store, from, count_row, &rows);
    if (result == DRY_OK) {
        assert_int_equal(rows, RECORDS - (from > REMOVED ? from : REMOVED) + 1);
    }
    return result;
}

static void expect_sound(struct paged *paged)
{
    assert_int_equal(scan_all(paged, 0), DRY_OK);
    assert_int_equal(scan_all(paged, MIDDLE), DRY_OK);
    fixture_expect(&paged->fixture, MIDDLE, 60, PAYLOAD);
    fixture_expect(
        &paged->fixture, BIG_ROW, paged_header_bytes(BIG_ROW), PAYLOAD);
    fixture_expect_none(&paged->fixture, 1);
}

static int setup_open(void **state, uint64_t page_cache_bytes)
{
    paged_setup(state);
    struct paged *paged = *state;
    paged->fixture.page_cache_bytes = page_cache_bytes;
    fixture_open(&paged->fixture);
    expect_sound(paged);
    return 0;
}

/* Leaves of rows are read from the file, */
static int setup_file(void **state)
{
    return setup_open(state, 0);
}

/* or looked at in the map. */
static int setup_map(void **state)
{
    return setup_open(state, UINT64_MAX);
}

/* ---- rows ---- */

/* The record cannot be read, nor all be scanned; the rest can. */
static void expect_bad_row(
    struct paged *paged, uint64_t id, uint64_t at, uint64_t value, size_t size)
{
    struct damaged damaged = damage(paged, at, value, size);
    assert_int_equal(read_one(paged, id), DRY_CORRUPT);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    assert_int_equal(scan_all(paged, OTHER), DRY_OK);
    fixture_expect(&paged->fixture, OTHER, 60, PAYLOAD);
    mend(paged, &damaged);
}

static void rows_are_checked(void **state)
{
    struct paged *paged = *state;
    struct paged_place row = paged_row_of(paged, MIDDLE),
                       big = paged_row_of(paged, BIG_ROW);
    uint64_t page = row.page * PAGE_BYTES, run;
    expect_bad_row(paged, MIDDLE, page + AT_NUMBER, row.page + 1, 8);
    expect_bad_row(paged, MIDDLE, page + AT_FLAGS, PAGE_BRANCH, 2);
    /* An offset that no chunk has. */
    expect_bad_row(paged, MIDDLE, row.value_at, 0xfff, 2);

    /* Pages of its own: elsewhere, too many, or not marked as such. */
    pread(paged->fd, &run, sizeof run, (off_t)big.value_at);
    uint64_t outside = paged->meta.last_page + 1;
    struct damaged damaged = damage(paged, big.value_at, outside, 8);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    mend(paged, &damaged);
    damaged = damage(paged, big.value_at, outside - 1, 8);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    mend(paged, &damaged);
    expect_bad_row(paged, BIG_ROW, run * PAGE_BYTES + AT_FLAGS, PAGE_LEAF, 2);
    expect_bad_row(paged, BIG_ROW, run * PAGE_BYTES + AT_LOWER, 3, 4);
    expect_sound(paged);
}

/* A row too short to say where its payload is; a key that is no id. */
static void shapes_of_rows_are_checked(void **state)
{
    struct paged *paged = *state;
    struct paged_place row = paged_row_of(paged, MIDDLE);
    union buffer before, page;
    paged_read(paged, row.page, &before);
    paged_resize_value(paged, row.page, row.index, 8, &page);
    paged_write(paged, row.page, &page);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    page = before;
    size_t at = row.at % PAGE_BYTES;
    put16(&page, at + NODE_KEY, 6);
    put16(&page, at + NODE_LOW, (uint16_t)(row.value_size + 2));
    paged_write(paged, row.page, &page);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    paged_write(paged, row.page, &before);
    expect_sound(paged);
}

/* ---- the way to rows ---- */

static void branches_of_chunks_are_checked(struct paged *paged)
{
    struct database tree = paged_database(paged, "payloads");
    union buffer before, zeros = {.bytes = {0}};
    assert_true(tree.depth > 1);
    paged_read(paged, tree.root, &before);
    paged_write(paged, tree.root, &zeros);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    paged_write(paged, tree.root, &before);
}

static void branch_pages_are_checked(void **state)
{
    struct paged *paged = *state;
    struct database tree = paged_database(paged, "headers");
    assert_true(tree.depth > 1);
    uint64_t root = tree.root * PAGE_BYTES;
    struct paged_place child = {0};
    for (size_t i = 0; child.child != paged_row_of(paged, MIDDLE).page; i++) {
        child = paged_node(paged, tree.root, i);
    }
    struct damaged damaged =
        damage(paged, child.at, paged->meta.last_page + 1, 4);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    mend(paged, &damaged);
    /* No children at all, fewer, and as many as no page has. */
    static const uint16_t lowers[] = {PAGE_HEADER_BYTES, PAGE_HEADER_BYTES - 1,
        0, PAGE_BYTES + 2, UINT16_MAX};
    for (size_t i = 0; i < sizeof lowers / sizeof *lowers; i++) {
        damaged = damage(paged, root + AT_LOWER, lowers[i], 2);
        assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
        assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
        mend(paged, &damaged);
    }
    branches_of_chunks_are_checked(paged);
    expect_sound(paged);
}

/* The first key of a branch page is empty. Another one that is no id either
 * hides nothing from a scan. */
static void keys_of_branch_pages_hide_nothing(void **state)
{
    struct paged *paged = *state;
    struct database tree = paged_database(paged, "headers");
    union buffer before, page;
    paged_read(paged, tree.root, &before);
    page = before;
    /* The last one put lies at the lowest place: it can be made shorter. */
    size_t last = page_node_count(&before.page) - 1, lowest = last;
    for (size_t i = 0; i <= last; i++) {
        lowest = before.page.nodes[i] < before.page.nodes[lowest] ? i : lowest;
    }
    assert_true(lowest > 0);
    size_t at = before.page.nodes[lowest];
    memmove(page.bytes + at + 2, before.bytes + at, NODE_HEADER_BYTES + 6);
    put16(&page, at + 2 + NODE_KEY, 6);
    put16(&page, AT_FIRST + 2 * lowest, (uint16_t)(at + 2));
    page.page.upper += 2;
    assert_true(page_sane(&page.page, tree.root, PAGE_BRANCH));
    paged_write(paged, tree.root, &page);
    assert_int_equal(scan_all(paged, 0), DRY_OK);
    assert_int_equal(scan_all(paged, REMOVED), DRY_OK);
    paged_write(paged, tree.root, &before);
    expect_sound(paged);
}

static void the_root_of_rows_is_checked(void **state)
{
    struct paged *paged = *state;
    struct paged_place headers = paged_table_row(paged, "headers");
    struct damaged damaged =
        damage(paged, headers.value_at + offsetof(struct database, depth),
            PAGE_MAX_DEPTH + 1, 2);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    mend(paged, &damaged);
    union buffer before, page;
    paged_read(paged, headers.page, &before);
    paged_resize_value(
        paged, headers.page, headers.index, sizeof(struct database) - 2, &page);
    paged_write(paged, headers.page, &page);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    assert_int_equal(scan_all(paged, 0), DRY_CORRUPT);
    paged_write(paged, headers.page, &before);
    expect_sound(paged);
}

/* ---- payloads ---- */

static void chunks_are_checked(void **state)
{
    struct paged *paged = *state;
    struct paged_place row = paged_row_of(paged, MIDDLE);
    struct paged_place chunk = paged_find_flag(paged,
        paged_first_leaf(paged, paged_database(paged, "payloads")), NODE_BIG);
    /* A chunk that is not there. */
    struct damaged damaged = damage(paged, row.value_at + 4, 1 << 20, 4);
    assert_int_equal(read_one(paged, MIDDLE), DRY_CORRUPT);
    mend(paged, &damaged);
    /* One that ends before the payload begins, and one that is too long. */
    uint64_t id = REMOVED;
    assert_int_equal(read_one(paged, id), DRY_OK);
    damaged = damage(paged, chunk.at + NODE_LOW, 0, 2);
    assert_int_equal(read_one(paged, id), DRY_CORRUPT);
    mend(paged, &damaged);
    damaged = damage(paged, chunk.at + NODE_LOW, LAST_CHUNK + 1, 2);
    assert_int_equal(read_one(paged, id), DRY_CORRUPT);
    mend(paged, &damaged);
    assert_int_equal(read_one(paged, id), DRY_OK);
    expect_sound(paged);
}

/* The end of the file is cut off: what was there is gone, and only that. */
static void a_file_may_be_cut_while_open(void **state)
{
    struct paged *paged = *state;
    struct stat status;
    unsigned damaged = 0;
    assert_int_equal(fstat(paged->fd, &status), 0);
    /* Records that were put in after the last commit of a tree's page. */
    off_t end = (off_t)(paged->meta.last_page - 4) * PAGE_BYTES;
    assert_true(status.st_size > end);
    for (uint64_t id = RECORDS; id > RECORDS - 20; id--) {
        assert_int_equal(read_one(paged, id), DRY_OK);
    }
    assert_int_equal(ftruncate(paged->fd, end), 0);
    for (uint64_t id = RECORDS; id > RECORDS - 20; id--) {
        enum dry_result result = read_one(paged, id);
        damaged += result == DRY_CORRUPT;
        assert_true(result == DRY_OK || result == DRY_CORRUPT);
    }
    assert_true(damaged > 0);
}

/* ---- removal ---- */

/* LMDB would believe what it finds on the pages that it frees. */
static void what_is_removed_is_checked(void **state)
{
    struct paged *paged = *state;
    struct fixture *fixture = &paged->fixture;
    uint64_t run;
    struct paged_place chunk = paged_find_flag(paged,
        paged_first_leaf(paged, paged_database(paged, "payloads")), NODE_BIG);
    struct paged_place big = paged_row_of(paged, BIG_ROW);
    pread(paged->fd, &run, sizeof run, (off_t)chunk.value_at);
    struct damaged damaged =
        damage(paged, run * PAGE_BYTES + AT_LOWER, 1000, 4);
    assert_int_equal(fixture_keep_from(fixture, MIDDLE), DRY_CORRUPT);
    assert_non_null(strstr(fixture->reason, fixture->path));
    assert_int_equal(scan_all(paged, 0), DRY_OK); /* nothing was removed */
    mend(paged, &damaged);
    pread(paged->fd, &run, sizeof run, (off_t)big.value_at);
    damaged = damage(paged, run * PAGE_BYTES + AT_FLAGS, PAGE_LEAF, 2);
    assert_int_equal(fixture_keep_from(fixture, OTHER), DRY_CORRUPT);
    assert_non_null(strstr(fixture->reason, fixture->path));
    mend(paged, &damaged);
    expect_sound(paged);
    assert_int_equal(fixture_keep_from(fixture, OTHER), DRY_OK);
    assert_int_equal(fixture_stats(fixture).first_id, OTHER);
    fixture_expect_none(fixture, MIDDLE);
    fixture_expect(fixture, OTHER, 60, PAYLOAD);
}

/* ---- rows at the edges, which opening reads ---- */

static void edges_are_read_when_opened(void **state)
{
    struct paged *paged = *state;
    struct paged_place last = paged_row_of(paged, RECORDS),
                       first = paged_row_of(paged, REMOVED);
    union buffer page;
    fixture_close(&paged->fixture);
    paged_resize_value(paged, last.page, last.index, 8, &page);
    expect_page_refused(paged, last.page, &page, DRY_CORRUPT, "cannot read");
    paged_resize_value(paged, first.page, first.index, 8, &page);
    expect_page_refused(paged, first.page, &page, DRY_CORRUPT, "cannot read");
    paged_read(paged, first.page, &page);
    put16(&page, first.at % PAGE_BYTES + NODE_KEY, 6);
    put16(&page, first.at % PAGE_BYTES + NODE_LOW,
        (uint16_t)(first.value_size + 2));
    expect_page_refused(paged, first.page, &page, DRY_CORRUPT, "cannot read");
    fixture_open(&paged->fixture);
    expect_sound(paged);
}

int main(void)
{
#define BOTH(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_file, paged_teardown),         \
        cmocka_unit_test_setup_teardown(test, setup_map, paged_teardown)
    const struct CMUnitTest tests[] = {
        BOTH(rows_are_checked),
        BOTH(shapes_of_rows_are_checked),
        BOTH(branch_pages_are_checked),
        BOTH(keys_of_branch_pages_hide_nothing),
        BOTH(the_root_of_rows_is_checked),
        BOTH(chunks_are_checked),
        BOTH(a_file_may_be_cut_while_open),
        BOTH(what_is_removed_is_checked),
        BOTH(edges_are_read_when_opened),
    };
#undef BOTH
    return cmocka_run_group_tests(tests, NULL, NULL);
}
