/* Full disks, size limits and failing system calls. A failed batch leaves
 * nothing, may be given again, and what frees room always works. */
#include "tests/unit/stand_in.h"
#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>

enum { MIB = 1 << 20 };

/* ---- a full disk ---- */

struct disk {
    struct fixture fixture;
    bool mounted;
};

static int setup_disk(void **state)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    fixture_init(&disk->fixture, &dry_lmdb_ops);
    disk->mounted =
        mount("larder", disk->fixture.directory, "tmpfs", 0, "size=64m") == 0;
    *state = disk;
    return 0;
}

static int teardown_disk(void **state)
{
    struct disk *disk = *state;
    fixture_close(&disk->fixture);
    if (disk->mounted) {
        assert_int_equal(umount(disk->fixture.directory), 0);
    }
    fixture_finish(&disk->fixture);
    free(disk);
    return 0;
}

/* Puts records of 1 MiB until there is no room; the last id there is. */
static uint64_t fill(struct fixture *fixture, uint64_t next)
{
    enum dry_result result;
    while ((result = fixture_put(fixture, next, 30, MIB)) == DRY_OK) {
        next++;
    }
    assert_int_equal(result, DRY_FULL);
    assert_non_null(strstr(fixture->reason, fixture->path));
    return next - 1;
}

static void test_full_disk(void **state)
{
    struct disk *disk = *state;
    struct fixture *fixture = &disk->fixture;
    if (!disk->mounted) {
        print_message("# needs root to mount a small disk\n");
        skip();
    }
    fixture_open(fixture);
    uint64_t last = fill(fixture, 1);
    assert_true(last > 30);
    assert_non_null(strstr(fixture->reason, "disk is full"));
    for (uint64_t id = 1; id <= last; id++) {
        fixture_expect(fixture, id, 30, MIB);
    }
    uint64_t marks = last + 500;
    for (uint64_t id = last + 1; id <= marks; id++) {
        assert_int_equal(fixture_mark(fixture, id), DRY_OK);
    }
    assert_int_equal(fixture_put(fixture, marks + 1, 30, MIB), DRY_FULL);
    fixture_reopen(fixture);
    fixture_expect(fixture, last, 30, MIB);
    fixture_expect(fixture, marks, 30, 0);
    assert_int_equal(fixture_put(fixture, marks + 1, 30, MIB), DRY_FULL);

    /* What is removed makes room again, though the file keeps its size. */
    assert_int_equal(fixture_keep_from(fixture, last - 5), DRY_OK);
    assert_int_equal(fixture_mark(fixture, marks + 1), DRY_OK);
    for (uint64_t id = marks + 2; id < marks + 20; id++) {
        assert_int_equal(fixture_put(fixture, id, 30, MIB), DRY_OK);
        fixture_expect(fixture, id, 30, MIB);
    }
    fixture_expect(fixture, last, 30, MIB);
}

static void test_disk_heals(void **state)
{
    struct disk *disk = *state;
    struct fixture *fixture = &disk->fixture;
    char other[100];
    if (!disk->mounted) {
        print_message("# needs root to mount a small disk\n");
        skip();
    }
    fixture_open(fixture);
    assert_int_equal(fixture_put(fixture, 1, 30, MIB), DRY_OK);
    snprintf(other, sizeof(other), "%s/other", fixture->directory);
    int fd = open(other, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)40 * MIB), 0);
    close(fd);
    uint64_t last = fill(fixture, 2);
    /* A record of several stages fails half way, and nothing of it stays. */
    uint64_t used_bytes = fixture_stats(fixture).used_bytes;
    assert_int_equal(fixture_put(fixture, last + 1, 30, 50 * MIB), DRY_FULL);
    assert_true(fixture_stats(fixture).used_bytes < used_bytes + MIB);
    assert_int_equal(unlink(other), 0);
    for (uint64_t id = last + 1; id < last + 20; id++) {
        assert_int_equal(fixture_put(fixture, id, 30, MIB), DRY_OK);
    }
    fixture_reopen(fixture);
    for (uint64_t id = 1; id < last + 20; id++) {
        fixture_expect(fixture, id, 30, MIB);
    }
}

/* ---- the size limit ---- */

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, &dry_lmdb_ops);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(*state);
    free(*state);
    return 0;
}

static void test_limit(void **state)
{
    struct fixture *fixture = *state;
    fixture->limit_bytes = 20 * MIB;
    fixture_open(fixture);
    uint64_t last = fill(fixture, 1);
    assert_non_null(strstr(fixture->reason, "size limit"));
    assert_true(last >= 17 && last < 20);
    assert_true(fixture_stats(fixture).used_bytes <= fixture->limit_bytes);
    for (uint64_t id = last + 1; id < last + 100; id++) {
        assert_int_equal(fixture_mark(fixture, id), DRY_OK);
    }
    assert_int_equal(fixture_keep_from(fixture, last - 2), DRY_OK);
    assert_int_equal(fixture_put(fixture, last + 100, 30, MIB), DRY_OK);
    fixture_expect(fixture, last + 100, 30, MIB);
}

/* ---- the n-th system call fails ---- */

static int calls_left = -1; /* until one fails; negative: none will */
static int calls_seen, calls_failed;
static bool for_ever;

static bool fails(void)
{
    calls_seen++;
    if (calls_left > 0) {
        calls_left--;
    }
    if (calls_left != 0) {
        return false;
    }
    if (!for_ever) {
        calls_left = -1;
    }
    calls_failed++;
    errno = EIO;
    return true;
}

ssize_t stand_in_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t stand_in_writev(int fd, const struct iovec *parts, int count)
{
    return fails() ? -1 : syscall(SYS_writev, fd, parts, count);
}

int stand_in_fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* Two batches, of which one removes; whether no call of theirs failed. */
static bool write_some(struct fixture *fixture, uint64_t *next)
{
    struct dry_record records[2] = {
        fixture_record(*next, 30, 70000), fixture_record(*next + 1, 3000, 10)};
    struct dry_batch_view batch = {.records = records,
        .record_count = 2,
        .keep_from = *next > 10 ? *next - 10 : 0,
        .sync = *next % 4 == 0};
    int before = calls_failed;
    enum dry_result result = fixture_apply(fixture, &batch);
    bool failed = calls_failed > before;
    if (result != DRY_OK) {
        assert_true(failed);
        assert_int_equal(result, DRY_IO);
        assert_non_null(strstr(fixture->reason, fixture->path));
        calls_left = -1;
        fixture_expect(fixture, *next - 1, 3000, 10);
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    }
    fixture_free(records, 2);
    fixture_expect(fixture, *next, 30, 70000);
    fixture_expect(fixture, *next + 1, 3000, 10);
    *next += 2;
    return !failed;
}

static void test_each_call_fails(void **state)
{
    struct fixture *fixture = *state;
    uint64_t next = 2;
    int longest = 0;

    fixture_open(fixture);
    struct dry_record first = fixture_record(1, 3000, 10);
    struct dry_batch_view batch = {.records = &first, .record_count = 1};
    assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    fixture_free(&first, 1);
    for (int ever = 0; ever < 2; ever++) {
        for (int parity = 0; parity < 2; parity++) {
            int n = 1;
            for (bool done = false; !done; n++) {
                write_some(fixture, &next); /* alternates sync and not */
                for_ever = ever;
                calls_left = n;
                done = write_some(fixture, &next);
                calls_left = -1;
                if (parity == 1) {
                    write_some(fixture, &next);
                }
            }
            longest = n > longest ? n : longest;
        }
    }
    for_ever = false;
    assert_true(calls_seen > 100);
    assert_true(longest > 3);
    fixture_reopen(fixture);
    fixture_expect(fixture, next - 2, 30, 70000);
    fixture_expect(fixture, next - 1, 3000, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_full_disk, setup_disk, teardown_disk),
        cmocka_unit_test_setup_teardown(
            test_disk_heals, setup_disk, teardown_disk),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_call_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
