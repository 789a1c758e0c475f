/* A directory that is none, a disk that is full, and system calls that fail:
 * said with path and reason, and over when the cause is. */
#include "tests/unit/store_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>

enum { MIB = 1 << 20, LIMIT_MIB = 256, RESERVE = LIMIT_MIB * MIB / 64 };

/* ---- system calls that fail ---- */

/* One thread only. */
static struct {
    const char *function; /* NULL: none fails */
    int error;
    unsigned nth; /* call of it; 0: all */
    unsigned calls, failed;
    uint64_t free_bytes; /* of the disk; 0: as it is */
} disk;

static bool fails(const char *function)
{
    if (disk.function == NULL || strcmp(disk.function, function) != 0) {
        return false;
    }
    disk.calls++;
    bool failing = disk.nth == 0 || disk.nth == disk.calls;
    disk.failed += failing;
    errno = failing ? disk.error : errno;
    return failing;
}

static void plan(const char *function, unsigned nth, int error)
{
    disk.function = function;
    disk.nth = nth;
    disk.error = error;
    disk.calls = disk.failed = 0;
}

/* libc's own; large files have other names there. */
#define DISK_REAL(name, symbol)                                                \
    __typeof__(&(name)) real = NULL;                                           \
    *(void **)(&real) = dlsym(RTLD_NEXT, symbol)

#define DISK_AS(name, symbol, parameters, arguments)                           \
    int name parameters                                                        \
    {                                                                          \
        DISK_REAL(name, symbol);                                               \
        return fails(#name) ? -1 : real arguments;                             \
    }

DISK_AS(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode))
DISK_AS(flock, "flock", (int fd, int operation), (fd, operation))
DISK_AS(fsync, "fsync", (int fd), (fd))
DISK_AS(rename, "rename", (const char *old, const char *new), (old, new))
DISK_AS(truncate, "truncate64", (const char *path, off_t size), (path, size))
DISK_AS(fstat, "fstat64", (int fd, struct stat *status), (fd, status))
DISK_AS(stat, "stat64", (const char *path, struct stat *status), (path, status))

int statvfs(const char *path, struct statvfs *status)
{
    DISK_REAL(statvfs, "statvfs64");
    int rc = fails("statvfs") ? -1 : real(path, status);
    if (rc == 0 && disk.free_bytes != 0) {
        status->f_bavail = disk.free_bytes / status->f_frsize;
    }
    return rc;
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    DISK_REAL(posix_fallocate, "posix_fallocate64");
    return fails("posix_fallocate") ? disk.error : real(fd, offset, size);
}

/* ---- fixture ---- */

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *fixture = (struct fixture){
        .ops = &dry_lmdb_ops, .limit_bytes = (uint64_t)LIMIT_MIB * MIB};
    assert_true(directory_make(fixture->directory, "disk"));
    snprintf(fixture->path, sizeof fixture->path, "%s/dry", fixture->directory);
    memset(&disk, 0, sizeof disk);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    memset(&disk, 0, sizeof disk);
    fixture_finish(*state);
    free(*state);
    return 0;
}

static char *path_of(const struct fixture *fixture, const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    return path;
}

static void expect_refused(struct fixture *fixture, const char *text)
{
    assert_int_equal(fixture_try_open(fixture), DRY_IO);
    assert_null(fixture->store);
    if (strstr(fixture->reason, fixture->path) == NULL ||
        strstr(fixture->reason, text) == NULL) {
        fail_msg("no \"%s\" in: %s", text, fixture->reason);
    }
}

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- places that are none ---- */

static void places_that_are_none_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char *path;
    snprintf(
        fixture->path, sizeof fixture->path, "%s/none/dry", fixture->directory);
    expect_refused(fixture, "cannot create the directory: No such file");
    snprintf(
        fixture->path, sizeof fixture->path, "%s/file", fixture->directory);
    make_file(fixture->path);
    expect_refused(fixture, "Not a directory");
    snprintf(fixture->path, sizeof fixture->path, "%s/dry", fixture->directory);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    path = path_of(fixture, "owner.lock");
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused(fixture, "Is a directory");
    rmdir(path);
    path = path_of(fixture, "data.mdb");
    assert_int_equal(symlink("data.mdb", path), 0);
    expect_refused(fixture, "symbolic links");
    unlink(path);
    /* Where the file is made before it is moved to its place. */
    path = path_of(fixture, "new");
    make_file(path);
    expect_refused(fixture, "cannot open: Not a directory");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(path_of(fixture, "new/data.mdb"), 0700), 0);
    expect_refused(fixture, "cannot open: Is a directory");
    rmdir(path_of(fixture, "new/data.mdb"));
    fixture_open(fixture);
    assert_int_equal(fixture_put(fixture, 1, 10, 10), DRY_OK);
}

/* ---- calls ---- */

/* Opens while each call of the function fails; how many that were. */
static unsigned open_badly(
    struct fixture *fixture, const char *function, int error)
{
    unsigned refused = 0, nth = 1;
    for (;; nth++) {
        plan(function, nth, error);
        enum dry_result result = fixture_try_open(fixture);
        unsigned failed = disk.failed;
        plan(NULL, 0, 0);
        if (result == DRY_OK) {
            fixture_expect(fixture, 1, 10, 10);
            fixture_close(fixture);
        } else {
            assert_int_equal(result, DRY_IO);
            assert_non_null(strstr(fixture->reason, fixture->path));
            assert_non_null(strstr(fixture->reason, strerror(error)));
            refused++;
        }
        if (failed == 0) {
            return refused;
        }
    }
}

static void calls_of_opening_may_fail(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_put(fixture, 1, 10, 10), DRY_OK);
    fixture_close(fixture);
    assert_int_equal(open_badly(fixture, "mkdir", EACCES), 1);
    assert_int_equal(open_badly(fixture, "flock", ENOLCK), 1);
    assert_true(open_badly(fixture, "fsync", EIO) >= 2);
    assert_true(open_badly(fixture, "fstat", EIO) >= 1);
    assert_true(open_badly(fixture, "stat", EACCES) >= 1);
    /* How much room there is, is not known: then nothing is refused for it. */
    unlink(path_of(fixture, "reserve"));
    plan("statvfs", 0, EIO);
    fixture_open(fixture);
    assert_true(disk.failed > 0);
    assert_false(fixture_stats(fixture).tight);
    fixture_expect(fixture, 1, 10, 10);
}

static void calls_of_creation_may_fail(void **state)
{
    static const struct {
        const char *function;
        unsigned nth;
    } calls[] = {{"mkdir", 1}, {"mkdir", 2}, {"rename", 1}, {"truncate", 1},
        {"fsync", 1}, {"fsync", 2}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        plan(calls[i].function, calls[i].nth, EROFS);
        expect_refused(fixture, "Read-only file system");
        assert_int_equal(disk.failed, 1);
        plan(NULL, 0, 0);
        directory_remove(path_of(fixture, "."));
    }
    fixture_open(fixture);
    assert_int_equal(fixture_put(fixture, 1, 10, 10), DRY_OK);
}

static void calls_of_writing_may_fail(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    uint64_t id = 1;
    /* The file grows by then. */
    plan("truncate", 0, EFBIG);
    enum dry_result result;
    while ((result = fixture_put(fixture, id, 10, MIB)) == DRY_OK) {
        id++;
        assert_true(id < 100);
    }
    assert_int_equal(result, DRY_FULL);
    assert_non_null(strstr(fixture->reason, "the disk is full"));
    plan("truncate", 0, EIO);
    assert_int_equal(fixture_put(fixture, id, 10, MIB), DRY_IO);
    assert_non_null(strstr(fixture->reason, fixture->path));
    plan("stat", 0, EIO);
    assert_int_equal(fixture_put(fixture, id, 10, MIB), DRY_IO);
    assert_non_null(strstr(fixture->reason, fixture->path));
    plan(NULL, 0, 0);
    assert_int_equal(fixture_put(fixture, id, 10, MIB), DRY_OK);
    fixture_expect(fixture, id, 10, MIB);
}

/* ---- a full disk ---- */

static off_t reserve_blocks(const struct fixture *fixture)
{
    struct stat status;
    return stat(path_of(fixture, "reserve"), &status) == 0
               ? status.st_blocks * 512
               : -1;
}

/* No room for the reserve: what brings data is refused, what frees is not,
 * and there is room again inside the file when enough has been freed. */
static void a_full_disk_takes_deletions(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_false(fixture_stats(fixture).tight);
    assert_true(reserve_blocks(fixture) >= RESERVE);
    for (uint64_t id = 1; id <= 20; id++) {
        assert_int_equal(fixture_put(fixture, id, 30, MIB), DRY_OK);
    }
    fixture_close(fixture);
    unlink(path_of(fixture, "reserve"));
    disk.free_bytes = RESERVE;
    fixture_open(fixture);
    assert_true(fixture_stats(fixture).tight);
    assert_int_equal(reserve_blocks(fixture), -1);
    assert_int_equal(fixture_put(fixture, 21, 30, MIB), DRY_FULL);
    assert_non_null(strstr(fixture->reason, "the disk is full"));
    assert_non_null(strstr(fixture->reason, fixture->path));
    assert_int_equal(fixture_mark(fixture, 21), DRY_OK);
    assert_int_equal(fixture_keep_from(fixture, 14), DRY_OK);
    assert_int_equal(fixture_mark(fixture, 22), DRY_OK);
    assert_int_equal(fixture_put(fixture, 23, 30, MIB), DRY_OK);
    fixture_expect(fixture, 23, 30, MIB);
    assert_true(fixture_stats(fixture).tight);
    disk.free_bytes = 0;
    assert_int_equal(fixture_put(fixture, 24, 30, MIB), DRY_OK);
    assert_false(fixture_stats(fixture).tight);
    assert_true(reserve_blocks(fixture) >= RESERVE);
}

/* The disk says that there is room, and then has none: nothing of the reserve
 * stays behind. */
static void half_a_reserve_is_given_back(void **state)
{
    struct fixture *fixture = *state;
    plan("posix_fallocate", 0, ENOSPC);
    fixture_open(fixture);
    assert_true(disk.failed > 0);
    assert_true(fixture_stats(fixture).tight);
    assert_int_equal(reserve_blocks(fixture), 0);
    assert_int_equal(fixture_put(fixture, 1, 30, MIB), DRY_FULL);
    plan(NULL, 0, 0);
    assert_int_equal(fixture_put(fixture, 1, 30, MIB), DRY_OK);
    assert_false(fixture_stats(fixture).tight);
}

/* One of the last time is found again, also where no new one could be made. */
static void a_reserve_is_kept(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_close(fixture);
    assert_true(reserve_blocks(fixture) >= RESERVE);
    disk.free_bytes = 4096;
    plan("posix_fallocate", 0, ENOSPC);
    fixture_open(fixture);
    assert_int_equal(disk.failed, 0);
    assert_false(fixture_stats(fixture).tight);
}

static void a_reserve_may_be_in_the_way(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(mkdir(path_of(fixture, "reserve"), 0700), 0);
    fixture_open(fixture);
    assert_true(fixture_stats(fixture).tight);
    assert_int_equal(fixture_mark(fixture, 1), DRY_OK);
    fixture_expect(fixture, 1, 30, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            places_that_are_none_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            calls_of_opening_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            calls_of_creation_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            calls_of_writing_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_full_disk_takes_deletions, setup, teardown),
        cmocka_unit_test_setup_teardown(
            half_a_reserve_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reserve_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_reserve_may_be_in_the_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
