/* A store whose process was killed behind its last commit: it is opened, or
 * refused, whatever else is wrong with its file or the calls that read it. What
 * was committed before is never lost. */
#define PAGED_RECORDS 400
#define PAGED_REMOVED 100
#include "tests/unit/nth_io.h"
#include "tests/unit/pages_fixture.h"

NTH_IO_DEFINE_CALLS

enum {
    LAST = RECORDS + 1, /* the record of the last commit */
    LAST_BYTES = 20000,
    FAULTS_MAX = 60,
};

/* ---- a file as it was when the process was killed ---- */

struct crashed {
    struct paged *paged;
    char *image;
    size_t size;
};

static void put_back(const struct crashed *crashed, uint64_t number)
{
    assert_int_equal(syscall(SYS_pwrite64, crashed->paged->fd,
                         crashed->image + number * PAGE_BYTES, PAGE_BYTES,
                         (off_t)(number * PAGE_BYTES)),
        PAGE_BYTES);
}

static void restore(const struct crashed *crashed)
{
    for (uint64_t i = 0; i < crashed->size / PAGE_BYTES; i++) {
        put_back(crashed, i);
    }
}

static int setup(void **state)
{
    struct crashed *crashed = calloc(1, sizeof *crashed);
    nth_io_plan(NTH_NONE, 0, false);
    paged_setup(state);
    crashed->paged = *state;
    struct fixture *fixture = &crashed->paged->fixture;
    fixture_open(fixture);
    /* One that reuses what was freed before, and frees itself. */
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(fixture_keep_from(fixture, REMOVED + i), DRY_OK);
    }
    assert_int_equal(fixture_put(fixture, LAST, 60, LAST_BYTES), DRY_OK);
    paged_load_meta(crashed->paged);
    crashed->size = (crashed->paged->meta.last_page + 1) * PAGE_BYTES;
    crashed->image = malloc(crashed->size);
    assert_int_equal(syscall(SYS_pread64, crashed->paged->fd, crashed->image,
                         crashed->size, (off_t)0),
        crashed->size);
    fixture_close(fixture);
    restore(crashed);
    *state = crashed;
    return 0;
}

static int teardown(void **state)
{
    struct crashed *crashed = *state;
    void *paged = crashed->paged;
    nth_io_plan(NTH_NONE, 0, false);
    free(crashed->image);
    free(crashed);
    return paged_teardown(&paged);
}

static bool count_row(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    uint64_t *rows = context;
    (*rows)++;
    return id > 0 && header.size > 0 && payload_bytes > 0;
}

/* What the store holds now that it is open: all but the last commit, and that
 * wholly or not at all. */
static void expect_whole(struct fixture *fixture)
{
    uint64_t rows = 0;
    fixture_expect(fixture, RECORDS, 60, PAYLOAD);
    fixture_expect(fixture, REMOVED + 4, 60, PAYLOAD);
    assert_int_equal(
        fixture->store->ops->scan(fixture->store, 0, count_row, &rows), DRY_OK);
    if (fixture_stats(fixture).last_id == LAST) {
        fixture_expect(fixture, LAST, 60, LAST_BYTES);
    } else {
        fixture_expect_none(fixture, LAST);
        assert_int_equal(fixture_stats(fixture).last_id, RECORDS);
    }
    assert_int_equal(rows, fixture_stats(fixture).record_count);
    assert_int_equal(rows, fixture_stats(fixture).last_id - (REMOVED + 4) + 1);
}

/* ---- the tests ---- */

static void a_crash_is_no_damage(void **state)
{
    struct crashed *crashed = *state;
    struct fixture *fixture = &crashed->paged->fixture;
    for (unsigned i = 0; i < 2; i++) {
        fixture_open(fixture);
        fixture_expect(fixture, LAST, 60, LAST_BYTES);
        expect_whole(fixture);
        fixture_close(fixture);
    }
}

/* Opens while the n-th call of a kind fails, for every n. */
static unsigned open_badly(
    struct crashed *crashed, enum nth_kind kind, bool comes_short)
{
    struct fixture *fixture = &crashed->paged->fixture;
    unsigned refused = 0, nth = 0;
    do {
        restore(crashed);
        nth_io_plan(kind, ++nth, comes_short);
        if (fixture_try_open(fixture) != DRY_OK) {
            assert_true(nth_io.failed > 0);
            assert_non_null(strstr(fixture->reason, fixture->path));
            refused++;
        }
        nth_io_plan(kind, 0, comes_short);
        fixture_close(fixture);
        fixture_open(fixture);
        expect_whole(fixture);
        nth_io_plan(kind, 1, comes_short);
        fixture_close(fixture);
        bool failed_at_end = nth_io.failed > 0;
        nth_io_plan(NTH_NONE, 0, false);
        if (failed_at_end) {
            fixture_open(fixture);
            expect_whole(fixture);
            fixture_close(fixture);
        }
        /* After the last of them, once more. */
        nth += nth < 12 ? 0 : nth / 4;
    } while (nth < FAULTS_MAX);
    return refused;
}

static void any_read_of_opening_may_fail(void **state)
{
    assert_true(open_badly(*state, NTH_READ, false) > 0);
}

static void any_read_of_opening_may_come_short(void **state)
{
    assert_true(open_badly(*state, NTH_READ, true) > 0);
}

static void any_write_of_opening_may_fail(void **state)
{
    open_badly(*state, NTH_WRITE, false);
    open_badly(*state, NTH_WRITE, true);
}

static void any_flush_of_opening_may_fail(void **state)
{
    open_badly(*state, NTH_SYNC, false);
}

/* ---- damage on top of it ---- */

static unsigned taken; /* files that were opened all the same */

/* The file is refused; or what is opened is whole, as far as can be read. */
static void expect_no_harm(
    struct crashed *crashed, uint64_t at, uint64_t value, size_t size)
{
    struct fixture *fixture = &crashed->paged->fixture;
    uint64_t rows = 0;
    assert_int_equal(
        syscall(SYS_pwrite64, crashed->paged->fd, &value, size, (off_t)at),
        size);
    enum dry_result result = fixture_try_open(fixture);
    if (result != DRY_OK) {
        assert_non_null(strstr(fixture->reason, fixture->path));
        put_back(crashed, 0);
        put_back(crashed, 1);
        put_back(crashed, at / PAGE_BYTES);
        return;
    }
    taken++;
    result = fixture->store->ops->scan(fixture->store, 0, count_row, &rows);
    if (result == DRY_OK) {
        assert_true(rows >= RECORDS - (REMOVED + 4) + 1);
    } else {
        assert_int_equal(result, DRY_CORRUPT);
    }
    fixture_close(fixture);
    restore(crashed);
}

/* Each field of a page's header and of its nodes, one after the other. */
static void damage_page(struct crashed *crashed, uint64_t number)
{
    static const uint64_t values[] = {0, 2, UINT64_MAX};
    union buffer page;
    memcpy(&page, crashed->image + number * PAGE_BYTES, PAGE_BYTES);
    size_t nodes = page_node_count(&page.page);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t at = 0; at < PAGE_HEADER_BYTES; at += 2) {
            expect_no_harm(crashed, number * PAGE_BYTES + at, values[i], 2);
        }
        for (size_t n = 0; n < nodes; n += n < 3 ? 1 : nodes / 3) {
            uint64_t node = number * PAGE_BYTES + page.page.nodes[n];
            for (size_t at = 0; at < NODE_HEADER_BYTES; at += 2) {
                expect_no_harm(crashed, node + at, values[i], 2);
            }
            uint64_t value =
                node + NODE_HEADER_BYTES + page_node(&page.page, n)->key_size;
            if (value + 8 <= (number + 1) * PAGE_BYTES) {
                expect_no_harm(crashed, value, values[i], 8);
            }
        }
    }
}

static void damage_after_a_crash_does_no_harm(void **state)
{
    struct crashed *crashed = *state;
    struct paged *paged = crashed->paged;
    struct database headers = paged_database(paged, "headers"),
                    payloads = paged_database(paged, "payloads");
    const uint64_t pages[] = {paged->meta.table.root,
        paged->meta.free_list.root, headers.root, payloads.root,
        paged_row_of(paged, LAST).page};
    taken = 0;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        damage_page(crashed, pages[i]);
    }
    assert_true(taken > 0);
}

/* The meta page, and what the table of databases says of them. */
static void damaged_roots_do_no_harm(void **state)
{
    static const uint64_t values[] = {0, 1, 2, 33, 0x7fff, UINT64_MAX};
    static const char *const names[] = {"system", "headers", "payloads"};
    struct crashed *crashed = *state;
    struct paged *paged = crashed->paged;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t at = 0; at < sizeof(struct meta); at += 8) {
            expect_no_harm(crashed, paged->meta_at + at, values[i], 8);
            expect_no_harm(crashed, paged->older_at + at, values[i], 8);
        }
    }
    for (size_t n = 0; n < 3; n++) {
        struct paged_place row = paged_table_row(paged, names[n]);
        for (size_t at = 0; at < sizeof(struct database); at += 8) {
            for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
                expect_no_harm(crashed, row.value_at + at, values[i], 8);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_crash_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(
            any_read_of_opening_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            any_read_of_opening_may_come_short, setup, teardown),
        cmocka_unit_test_setup_teardown(
            any_write_of_opening_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            any_flush_of_opening_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            damage_after_a_crash_does_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(
            damaged_roots_do_no_harm, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
