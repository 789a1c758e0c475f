/* Reads past the page cache, of a file that is larger than it: the same
 * records as through it, and an error for those alone that cannot be read. */
#include "tests/unit/store_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>

enum { RECORDS = 400, HEADER = 20, ROUNDS = 60 };

/* ---- a kernel of another kind ---- */

static bool refuses_open, refuses_read; /* where O_DIRECT is asked for */
static bool without_ring;
static off_t bad_page = -1; /* cannot be read past the page cache */
static atomic_uint direct_preads;

static int open_direct = -1; /* the descriptor, as far as known */

int open64(const char *path, int flags, ...)
{
    __typeof__(&open) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "open64");
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    if ((flags & O_DIRECT) != 0 && refuses_open) {
        errno = EINVAL;
        return -1;
    }
    int fd = real(path, flags, mode);
    open_direct = (flags & O_DIRECT) != 0 ? fd : open_direct;
    return fd;
}

ssize_t pread64(int fd, void *data, size_t size, off_t at)
{
    __typeof__(&pread) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "pread64");
    if (fd == open_direct && refuses_read) {
        errno = EINVAL;
        return -1;
    }
    return real(fd, data, size, at);
}

ssize_t preadv64(int fd, const struct iovec *parts, int count, off_t at)
{
    __typeof__(&preadv) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "preadv64");
    if (fd == open_direct) {
        direct_preads++;
        off_t end = at;
        for (int i = 0; i < count; i++) {
            end += (off_t)parts[i].iov_len;
        }
        if (at <= bad_page && bad_page < end) {
            errno = EIO;
            return -1;
        }
    }
    return real(fd, parts, count, at);
}

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    __typeof__(&io_uring_queue_init) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "io_uring_queue_init");
    return without_ring ? -ENOSYS : real(entries, ring, flags);
}

/* ---- records ---- */

/* Several on a page, across two, on some, on more than are read at once. */
static size_t size_of(uint64_t id)
{
    static const size_t sizes[] = {0, 1, 100, 1024, 1500, 4079, 4080, 4081,
        9000, 60000, 131072, 131073, 300000};
    return id % 5 != 0 ? 900 + id % 300
                       : sizes[id / 5 % (sizeof(sizes) / sizeof(sizes[0]))];
}

static void fill(struct fixture *fixture, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last;) {
        struct dry_record records[16];
        size_t count = 0;
        for (; count < 16 && id <= last; count++, id++) {
            records[count] = fixture_record(id, HEADER, size_of(id));
        }
        struct dry_batch_view batch = {
            .records = records, .record_count = count};
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
        fixture_free(records, count);
    }
}

static void begin(struct fixture *fixture, uint64_t page_cache_bytes)
{
    fixture_init(fixture, &dry_lmdb_ops);
    fixture->page_cache_bytes = page_cache_bytes;
    fixture_open(fixture);
}

static void expect_sound(const struct dry_read *read)
{
    fixture_expect_read(read, HEADER, size_of(read->id));
}

/* Reads `count` records that follow each other. */
static void read_row(struct fixture *fixture, uint64_t first,
    struct dry_read *reads, size_t count)
{
    struct dry_read *pointers[RECORDS];
    for (size_t i = 0; i < count; i++) {
        reads[i] = (struct dry_read){.id = first + i};
        pointers[i] = &reads[i];
    }
    fixture->store->ops->read_many(fixture->store, 1, pointers, count);
}

static void expect_row(struct fixture *fixture, uint64_t first, size_t count)
{
    struct dry_read reads[RECORDS];
    read_row(fixture, first, reads, count);
    for (size_t i = 0; i < count; i++) {
        expect_sound(&reads[i]);
        free(reads[i].data);
    }
}

static void expect_random(struct fixture *fixture)
{
    uint64_t random = seed_take("direct");
    for (size_t round = 0; round < ROUNDS; round++) {
        struct dry_read reads[RECORDS], *pointers[RECORDS];
        size_t count = 1 + seed_below(&random, 100);
        for (size_t i = 0; i < count; i++) {
            reads[i] =
                (struct dry_read){.id = 1 + seed_below(&random, RECORDS)};
            pointers[i] = &reads[i];
        }
        fixture->store->ops->read_many(fixture->store, 2, pointers, count);
        for (size_t i = 0; i < count; i++) {
            expect_sound(&reads[i]);
            free(reads[i].data);
        }
    }
}

/* ---- tests ---- */

static void expect_all(struct fixture *fixture)
{
    fill(fixture, 1, RECORDS);
    expect_row(fixture, 1, RECORDS);
    expect_row(fixture, 77, 1);
    expect_random(fixture);
    fixture_reopen(fixture);
    expect_row(fixture, 1, RECORDS);
}

static void test_all_sizes(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, 1);
    expect_all(&fixture);
    assert_int_equal(fixture_stats(&fixture).direct_reads, RECORDS);
    fixture_finish(&fixture);
}

static void test_without_ring(void **state)
{
    struct fixture fixture;
    (void)state;
    without_ring = true;
    begin(&fixture, 1);
    direct_preads = 0;
    expect_all(&fixture);
    assert_true(direct_preads > RECORDS / 2);
    fixture_finish(&fixture);
    without_ring = false;
}

/* A file that fits is read through the cache; when it has grown, past it. */
static void test_grows(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, (uint64_t)2 << 20);
    fill(&fixture, 1, 100);
    assert_true(fixture_stats(&fixture).file_bytes < (uint64_t)2 << 20);
    expect_row(&fixture, 1, 100);
    assert_int_equal(fixture_stats(&fixture).direct_reads, 0);
    fill(&fixture, 101, RECORDS);
    assert_true(fixture_stats(&fixture).file_bytes > (uint64_t)2 << 20);
    expect_row(&fixture, 1, RECORDS);
    assert_int_equal(fixture_stats(&fixture).direct_reads, RECORDS);
    fixture_finish(&fixture);
}

/* The file system does not open it so, or opens it and does not read. */
static void expect_through_cache(void)
{
    struct fixture fixture;
    begin(&fixture, 1);
    expect_all(&fixture);
    assert_int_equal(fixture_stats(&fixture).direct_reads, 0);
    fixture_finish(&fixture);
}

static void test_refused(void **state)
{
    (void)state;
    refuses_open = true;
    expect_through_cache();
    refuses_open = false;
    refuses_read = true;
    expect_through_cache();
    refuses_read = false;
}

/* What cannot be read follows each other, and but for the first and the last
 * lies wholly on the page; how many that are. */
static size_t expect_on_one_page(const struct dry_read *reads)
{
    size_t failed = 0, first = RECORDS, last = 0, between_bytes = 0;
    for (size_t i = 0; i < RECORDS; i++) {
        if (reads[i].result == DRY_OK) {
            expect_sound(&reads[i]);
        } else {
            assert_int_equal(reads[i].result, DRY_IO);
            assert_null(reads[i].data);
            failed++;
            first = i < first ? i : first;
            last = i;
        }
        free(reads[i].data);
    }
    for (size_t i = first + 1; i < last; i++) {
        between_bytes += size_of(reads[i].id);
    }
    assert_true(between_bytes <= 4096);
    return failed;
}

/* One page cannot be read: nor can the records that have a part on it, and
 * all others can. */
static void test_bad_page(void **state)
{
    struct fixture fixture;
    struct dry_read reads[RECORDS];
    size_t bad_pages = 0;
    (void)state;
    without_ring = true;
    begin(&fixture, 1);
    fill(&fixture, 1, RECORDS);
    for (off_t page = 40; bad_pages < 60; page++) {
        bad_page = page * 4096;
        read_row(&fixture, 1, reads, RECORDS);
        size_t failed = expect_on_one_page(reads);
        assert_true(failed < 8);
        bad_pages += failed > 0;
    }
    bad_page = -1;
    expect_row(&fixture, 1, RECORDS);
    fixture_finish(&fixture);
    without_ring = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sizes),
        cmocka_unit_test(test_without_ring),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bad_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
