/* What is looked at before a file is mapped: each thing that may be wrong with
 * it is found, named, and refused with the path; the file stays as it is. */
#include "tests/unit/pages_fixture.h"

/* ---- one page ---- */

/* Of `leaf_of_two`. */
enum {
    NUMBER = 7,
    VALUE = 10,
    NODE = NODE_HEADER_BYTES + 8 + VALUE,
    FIRST_NODE = PAGE_BYTES - NODE,
    SECOND_NODE = FIRST_NODE - NODE,
};

/* Leaf page NUMBER with two nodes, keys of 8 bytes. */
static void leaf_of_two(union buffer *buffer)
{
    memset(buffer, 0, sizeof *buffer);
    buffer->page.number = NUMBER;
    buffer->page.flags = PAGE_LEAF;
    buffer->page.lower = PAGE_HEADER_BYTES + 2 * sizeof(uint16_t);
    buffer->page.upper = SECOND_NODE;
    put16(buffer, AT_FIRST, FIRST_NODE);
    put16(buffer, AT_FIRST + 2, SECOND_NODE);
    for (unsigned i = 0; i < 2; i++) {
        size_t node = i == 0 ? FIRST_NODE : SECOND_NODE;
        put16(buffer, node + NODE_LOW, VALUE);
        put16(buffer, node + NODE_KEY, 8);
    }
}

static void a_page_is_sane_or_not(void **state)
{
    static const struct {
        size_t at;
        unsigned value;
    } wrong[] = {
        {AT_NUMBER, NUMBER + 1},
        {AT_FLAGS, PAGE_BRANCH},
        {AT_LOWER, PAGE_HEADER_BYTES - 2},
        {AT_LOWER, PAGE_HEADER_BYTES + 5},
        {AT_LOWER, SECOND_NODE + 2},
        {AT_LOWER, PAGE_HEADER_BYTES}, /* no node */
        {AT_UPPER, PAGE_BYTES + 2},
        {AT_UPPER, SECOND_NODE - 2}, /* a gap */
        {AT_FIRST, SECOND_NODE - 2},
        {AT_FIRST, PAGE_BYTES - NODE_HEADER_BYTES + 2},
        {AT_FIRST, FIRST_NODE + 1},
        {FIRST_NODE + NODE_KEY, 512},
        {FIRST_NODE + NODE_LOW, VALUE + 2},
        {FIRST_NODE + NODE_HIGH, 1},
        {FIRST_NODE + NODE_FLAGS, 4},
        {FIRST_NODE + NODE_FLAGS, NODE_BIG | NODE_DATABASE},
    };
    union buffer buffer;
    (void)state;
    leaf_of_two(&buffer);
    assert_true(page_sane(&buffer.page, NUMBER, PAGE_LEAF));
    assert_int_equal(page_node_count(&buffer.page), 2);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        leaf_of_two(&buffer);
        put16(&buffer, wrong[i].at, (uint16_t)wrong[i].value);
        if (page_sane(&buffer.page, NUMBER, PAGE_LEAF)) {
            fail_msg("%u at %zu was taken", wrong[i].value, wrong[i].at);
        }
    }
    /* Only the number of a page lies behind the key: sizes differ. */
    leaf_of_two(&buffer);
    put16(&buffer, FIRST_NODE + NODE_FLAGS, NODE_BIG);
    put16(&buffer, FIRST_NODE + NODE_KEY, 10);
    assert_true(page_sane(&buffer.page, NUMBER, PAGE_LEAF));
}

/* Of a branch page, the sizes are parts of page numbers. */
static void a_branch_has_no_values(void **state)
{
    enum { FIRST = PAGE_BYTES - NODE_HEADER_BYTES };
    union buffer buffer = {.page = {.number = NUMBER, .flags = PAGE_BRANCH}};
    (void)state;
    buffer.page.lower = PAGE_HEADER_BYTES + sizeof(uint16_t);
    buffer.page.upper = FIRST;
    put16(&buffer, AT_FIRST, FIRST);
    put16(&buffer, FIRST + NODE_LOW, 0x1234);
    put16(&buffer, FIRST + NODE_HIGH, 0x5678);
    put16(&buffer, FIRST + NODE_FLAGS, 0x9abc);
    assert_true(page_sane(&buffer.page, NUMBER, PAGE_BRANCH));
    assert_true(
        page_child(page_node(&buffer.page, 0)) == UINT64_C(0x9abc56781234));
}

static void a_value_lies_within_its_pages(void **state)
{
    char *memory = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
    struct page *page = (struct page *)memory;
    (void)state;
    assert_non_null(memory);
    memset(memory, 0, PAGE_BYTES);
    assert_true(page_value_sane(memory + 17, PAGE_BYTES - 17));
    assert_false(page_value_sane(memory + 17, PAGE_BYTES - 16));
    assert_false(page_value_sane(memory + 15, 1));
    page->flags = PAGE_OVERFLOW;
    page->pages = 2;
    assert_true(page_value_sane(memory + PAGE_HEADER_BYTES, PAGE_BYTES));
    assert_false(page_value_sane(memory + PAGE_HEADER_BYTES, 10));
    page->flags = PAGE_LEAF;
    assert_false(page_value_sane(memory + PAGE_HEADER_BYTES, PAGE_BYTES));
    free(memory);
}

/* ---- what may be wrong ---- */

#define IN_META(field) (paged->meta_at + offsetof(struct meta, field))
#define IN_DATABASE(field) offsetof(struct database, field)

static void meta_pages_are_checked(void **state)
{
    struct paged *paged = *state;
    uint64_t older = paged->older_at;
    expect_damage(paged, IN_META(magic), 0, 4, "a broken meta page");
    expect_damage(paged, IN_META(version), 2, 4, "a broken meta page");
    expect_damage(paged, older, 0, 4, "a broken meta page");
    expect_damage(paged, older + 4, 2, 4, "a broken meta page");
    expect_damage(paged, older - PAGE_HEADER_BYTES + AT_FLAGS, PAGE_LEAF, 2,
        "a broken meta page");
    expect_damage(
        paged, IN_META(free_list.page_size), 8192, 4, "a broken meta page");
    expect_damage(paged, older + offsetof(struct meta, free_list.page_size), 0,
        4, "a broken meta page");
    expect_damage(paged, IN_META(last_page), 1 << 20, 8,
        "cut short, "); /* the file, as it seems */
    expect_damage(
        paged, IN_META(table.flags), 8, 2, "a database of the wrong kind");
    expect_damage(
        paged, IN_META(free_list.flags), 0, 2, "a database of the wrong kind");
    expect_damage(
        paged, IN_META(table.depth), 0, 2, "a database of impossible depth");
    expect_damage(paged, IN_META(table.depth), PAGE_MAX_DEPTH + 1, 2,
        "a database of impossible depth");
    expect_damage(paged, IN_META(table.root), UINT64_MAX, 8,
        "a database without its root");
    expect_damage(
        paged, IN_META(table.root), 1, 8, "a page number outside the file");
    expect_damage(paged, IN_META(table.root), paged->meta.last_page + 1, 8,
        "a page number outside the file");
    expect_damage(paged, IN_META(table.root), paged->meta.free_list.root, 8,
        "a page that is used twice");
    fixture_open(&paged->fixture);
    fixture_expect(&paged->fixture, RECORDS, 60, PAYLOAD);
}

static void the_table_of_databases_is_checked(void **state)
{
    struct paged *paged = *state;
    struct paged_place system = paged_table_row(paged, "system"),
                       headers = paged_table_row(paged, "headers"),
                       payloads = paged_table_row(paged, "payloads");
    union buffer page;
    paged_read(paged, system.page, &page);
    page.bytes[(system.at + NODE_HEADER_BYTES) % PAGE_BYTES] = 'S';
    expect_page_refused(paged, system.page, &page, DRY_FOREIGN,
        "an LMDB file that is not larder's");
    expect_damage(
        paged, headers.at + NODE_FLAGS, 0, 2, "a damaged table of databases");
    paged_resize_value(
        paged, system.page, 0, sizeof(struct database) - 2, &page);
    expect_page_refused(
        paged, system.page, &page, DRY_CORRUPT, "a damaged table of databases");
    expect_damage(paged, headers.value_at + IN_DATABASE(flags), 0, 2,
        "a database of the wrong kind");
    expect_damage(paged, headers.value_at + IN_DATABASE(depth), 1, 2,
        "a damaged page"); /* a branch page, where a leaf should be */
    expect_damage(paged, payloads.value_at + IN_DATABASE(root),
        paged_database(paged, "headers").root, 8, "a page that is used twice");
    expect_damage(paged, payloads.value_at + IN_DATABASE(root), UINT64_MAX, 8,
        "a database without its root");
    uint64_t leaf = paged_first_leaf(paged, paged_database(paged, "headers"));
    expect_damage(paged, leaf * PAGE_BYTES + AT_LOWER, 0, 2, "a damaged page");
    fixture_open(&paged->fixture);
    fixture_expect(&paged->fixture, RECORDS, 60, PAYLOAD);
}

static void the_payloads_are_checked(void **state)
{
    struct paged *paged = *state;
    struct database payloads = paged_database(paged, "payloads");
    assert_true(payloads.depth > 1);
    uint64_t leaf = paged_first_leaf(paged, payloads);
    struct paged_place first = paged_node(paged, payloads.root, 0),
                       second = paged_node(paged, payloads.root, 1),
                       chunk = paged_find_flag(paged, leaf, NODE_BIG);
    /* A branch page's node begins with its child's number. */
    expect_damage(
        paged, second.at, first.child, 4, "a page that is used twice");
    expect_damage(paged, second.at, paged->meta.last_page + 1, 4,
        "a page number outside the file");
    expect_damage(
        paged, chunk.at + NODE_LOW, PAGE_BYTES + 1, 2, "a damaged chunk");
    expect_damage(paged, chunk.at + NODE_HIGH, 1, 2, "a damaged chunk");
    expect_damage(
        paged, chunk.value_at, 1, 8, "a page number outside the file");
    expect_damage(paged, chunk.value_at, leaf, 8, "a page that is used twice");

    /* With a key of 6 bytes and two more of value. */
    union buffer page;
    uint64_t last = paged_first_leaf(paged, (struct database){.root = leaf});
    struct paged_place odd = paged_node(paged, last, 0);
    paged_resize_value(paged, last, 0, odd.value_size, &page);
    size_t at = page.page.nodes[0];
    put16(&page, at + NODE_KEY, 6);
    put16(&page, at + NODE_FLAGS, 0);
    put16(&page, at + NODE_LOW, 10);
    expect_page_refused(paged, last, &page, DRY_CORRUPT, "a damaged chunk");
    put16(&page, at + NODE_KEY, 8);
    put16(&page, at + NODE_FLAGS, NODE_DATABASE);
    put16(&page, at + NODE_LOW, 8);
    expect_page_refused(paged, last, &page, DRY_CORRUPT, "a damaged chunk");
    fixture_open(&paged->fixture);
    fixture_expect(&paged->fixture, RECORDS, 60, PAYLOAD);
}

/* The word that says whose file it is, and of which format. */
static void the_format_is_checked(void **state)
{
    static const char not_ours[] = "an LMDB file that is not larder's";
    struct paged *paged = *state;
    uint64_t leaf = paged_first_leaf(paged, paged_database(paged, "system"));
    union buffer before, page;
    paged_read(paged, leaf, &before);
    size_t index = 0;
    while (memcmp(page_node(&before.page, index)->data, "store", 5) != 0) {
        index++;
    }
    struct paged_place format = paged_node(paged, leaf, index);
    size_t at = format.value_at % PAGE_BYTES, end = at + format.value_size - 1;
    page = before;
    page.bytes[end] = '9';
    expect_page_refused(paged, leaf, &page, DRY_FOREIGN, "format 9, this");
    page.bytes[end] = 'x';
    expect_page_refused(paged, leaf, &page, DRY_FOREIGN, not_ours);
    page = before;
    page.bytes[at] = 'L';
    expect_page_refused(paged, leaf, &page, DRY_FOREIGN, not_ours);
    page = before;
    page.bytes[at - 1] = 'd'; /* of its name: there is none then */
    expect_page_refused(paged, leaf, &page, DRY_FOREIGN, not_ours);
    paged_resize_value(paged, leaf, index, 6, &page);
    expect_page_refused(paged, leaf, &page, DRY_FOREIGN, not_ours);
    fixture_open(&paged->fixture);
}

static void system_values_are_checked(void **state)
{
    struct paged *paged = *state;
    uint64_t leaf = paged_first_leaf(paged, paged_database(paged, "system"));
    struct paged_place large = paged_find_flag(paged, leaf, NODE_BIG);
    expect_damage(paged, large.value_at, paged->meta.last_page + 1, 8,
        "a page number outside the file");
    expect_damage(paged, large.value_at, leaf, 8, "a page that is used twice");
    fixture_open(&paged->fixture);
}

static void the_free_list_is_checked(void **state)
{
    struct paged *paged = *state;
    uint64_t leaf = paged_first_leaf(paged, paged->meta.free_list);
    struct paged_place large = paged_find_flag(paged, leaf, NODE_BIG),
                       small = paged_find_flag(paged, leaf, 0);
    uint64_t start;
    union buffer page;
    pread(paged->fd, &start, sizeof start, (off_t)large.value_at);
    uint64_t numbers = start * PAGE_BYTES + PAGE_HEADER_BYTES;
    expect_damage(paged, small.value_at, 5000, 8, "a damaged free list");
    expect_damage(
        paged, small.value_at + 8, 1, 8, "a page number outside the file");
    expect_damage(
        paged, small.value_at + 8, leaf, 8, "a page that is used twice");
    expect_damage(paged, numbers, 1 << 20, 8, "a damaged free list");
    expect_damage(paged, numbers + 8, 1, 8, "a page number outside the file");
    expect_damage(paged, large.value_at, leaf, 8, "a page that is used twice");
    expect_damage(
        paged, large.at + NODE_HIGH, 0x7fff, 2, "a damaged free list");
    paged_resize_value(paged, leaf, small.index, sizeof(uint64_t) - 2, &page);
    expect_page_refused(paged, leaf, &page, DRY_CORRUPT, "a damaged free list");
    fixture_open(&paged->fixture);
    fixture_expect(&paged->fixture, RECORDS, 60, PAYLOAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_sane_or_not),
        cmocka_unit_test(a_branch_has_no_values),
        cmocka_unit_test(a_value_lies_within_its_pages),
        cmocka_unit_test_setup_teardown(
            meta_pages_are_checked, paged_setup, paged_teardown),
        cmocka_unit_test_setup_teardown(
            the_table_of_databases_is_checked, paged_setup, paged_teardown),
        cmocka_unit_test_setup_teardown(
            the_payloads_are_checked, paged_setup, paged_teardown),
        cmocka_unit_test_setup_teardown(
            the_format_is_checked, paged_setup, paged_teardown),
        cmocka_unit_test_setup_teardown(
            system_values_are_checked, paged_setup, paged_teardown),
        cmocka_unit_test_setup_teardown(
            the_free_list_is_checked, paged_setup, paged_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
