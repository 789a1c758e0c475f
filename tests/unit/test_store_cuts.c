/* Power cuts, kills and calls that fail, in any order, on one LMDB store.
 *
 * The disk is a second copy of the data file. It gets what was written when
 * that is flushed; a flush that fails brings any part of it, and the kernel
 * forgets the rest: those pages read well until the power is cut, and no later
 * flush writes them. What was acknowledged, or read after opening, stays. */
#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum {
    PAGE = 4096,
    SECTOR = 512,
    FILE_MAX = 192 << 20,
    PAGES = FILE_MAX / PAGE,
    BATCHES = 8, /* that one process writes */
    BATCH_RECORDS = 3,
};

/* Shared by the processes. */
static struct disk {
    char durable[FILE_MAX];
    char dirty[PAGES];
    char touched[PAGES]; /* ever written to */
    uint64_t durable_size;
    uint64_t inode; /* of the data file */
    uint64_t random;
    unsigned calls, kill_at, fail_from, fail_until; /* calls from 1 */
    bool only_flushes; /* the others are not counted */
    int error;
    uint64_t acknowledged, tried_keep;
    unsigned commits, failures, kills, losses;
} * disk;

static const char *data_path;

static uint64_t below(uint64_t limit)
{
    return seed_below(&disk->random, limit);
}

/* ---- the disk ---- */

static bool is_data(int fd)
{
    struct stat status;
    return disk != NULL && fstat(fd, &status) == 0 &&
           status.st_ino == disk->inode;
}

static bool fails(bool flush)
{
    if (disk->only_flushes && !flush) {
        return false;
    }
    disk->calls++;
    if (disk->calls == disk->kill_at) {
        disk->kills++;
        _exit(0);
    }
    if (disk->calls < disk->fail_from || disk->calls >= disk->fail_until) {
        return false;
    }
    disk->failures++;
    errno = disk->error;
    return true;
}

static void wrote(off_t offset, ssize_t size)
{
    if (size > 0) {
        size_t end = (size_t)(offset + size + PAGE - 1) / PAGE;
        if (end > PAGES) {
            abort();
        }
        for (size_t page = (size_t)offset / PAGE; page < end; page++) {
            disk->dirty[page] = 1;
            disk->touched[page] = 1;
        }
    }
}

/* What was written goes to the disk: all, or by sectors with these odds. */
static void bring(int fd, unsigned percent)
{
    for (size_t page = 0; page < PAGES; page++) {
        if (disk->dirty[page] == 0) {
            continue;
        }
        bool whole = below(100) < percent;
        for (size_t at = page * PAGE; at < (page + 1) * PAGE; at += SECTOR) {
            if (whole || (percent < 100 && below(200) < percent)) {
                (void)!pread(fd, disk->durable + at, SECTOR, (off_t)at);
                if (at + SECTOR > disk->durable_size) {
                    disk->durable_size = at + SECTOR;
                }
            }
        }
        disk->dirty[page] = 0;
    }
}

static unsigned some_percent(void)
{
    static const unsigned percents[] = {0, 10, 50, 90, 99};
    return percents[below(5)];
}

/* These take the place of libc's for the LMDB library too, under the names
 * that it and the store were linked with. */
ssize_t disk_pwrite(
    int fd, const void *data, size_t size, off_t offset) __asm__("pwrite");
ssize_t disk_pwrite64(
    int fd, const void *data, size_t size, off_t offset) __asm__("pwrite64");
ssize_t disk_writev(int fd, const struct iovec *parts, int count) __asm__(
    "writev");
int disk_fdatasync(int fd) __asm__("fdatasync");

ssize_t disk_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    bool ours = is_data(fd);
    if (ours && fails(false)) {
        return -1;
    }
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (ours) {
        wrote(offset, done);
    }
    return done;
}

ssize_t disk_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return disk_pwrite(fd, data, size, offset);
}

ssize_t disk_writev(int fd, const struct iovec *parts, int count)
{
    bool ours = is_data(fd);
    if (ours && fails(false)) {
        return -1;
    }
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    if (ours) {
        wrote(offset, done);
    }
    return done;
}

int disk_fdatasync(int fd)
{
    struct stat status;
    if (!is_data(fd)) {
        return (int)syscall(SYS_fdatasync, fd);
    }
    bool failed = fails(true);
    int error = errno;
    bring(fd, failed ? some_percent() : 100);
    if (!failed && fstat(fd, &status) == 0) {
        disk->durable_size = (uint64_t)status.st_size;
    }
    errno = error;
    return failed ? -1 : 0;
}

/* The data file becomes what is on the disk. */
static void cut_power(const char *path)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    struct stat status;
    char *page = malloc(PAGE);
    assert_int_equal(fstat(fd, &status), 0);
    /* The kernel may have begun to write what was not flushed. */
    bring(fd, some_percent());
    if (below(2) == 0 && disk->durable_size < (uint64_t)status.st_size) {
        assert_int_equal(ftruncate(fd, (off_t)disk->durable_size), 0);
        assert_int_equal(fstat(fd, &status), 0);
    }
    size_t end = (size_t)(status.st_size + PAGE - 1) / PAGE;
    assert_true(end <= PAGES);
    for (size_t i = 0; i < end; i++) {
        char *durable = disk->durable + i * PAGE;
        if (disk->touched[i] == 0) {
            continue;
        }
        memset(page, 0, PAGE);
        (void)!pread(fd, page, PAGE, (off_t)(i * PAGE));
        if (memcmp(page, durable, PAGE) != 0) {
            disk->losses++;
            assert_int_equal(
                syscall(SYS_pwrite64, fd, durable, PAGE, i * PAGE), PAGE);
        }
    }
    free(page);
    close(fd);
    disk->durable_size = (uint64_t)status.st_size;
}

/* ---- what one process does ---- */

static void must(bool good, const char *what, const struct fixture *fixture)
{
    if (!good) {
        fprintf(stderr, "# %s: %s\n", what, fixture->reason);
        _exit(1);
    }
}

static size_t size_of(uint64_t id)
{
    return id % 600 == 0 ? (9 << 20) : id * 53 % 9000;
}

static bool is_there(struct fixture *fixture, uint64_t id)
{
    char *data;
    size_t header_bytes, payload_bytes;
    struct dry_record record = fixture_record(id, 60, size_of(id));
    bool same = fixture->store->ops->read(fixture->store, id, &data,
                    &header_bytes, &payload_bytes) == DRY_OK &&
                header_bytes == 60 && payload_bytes == size_of(id) &&
                memcmp(data, record.header.data, 60 + size_of(id)) == 0;
    free(data);
    fixture_free(&record, 1);
    return same;
}

static void expect_all(struct fixture *fixture)
{
    struct dry_stats stats = fixture_stats(fixture);
    must(stats.last_id >= disk->acknowledged, "lost", fixture);
    must(stats.first_id <= disk->tried_keep || disk->tried_keep == 0,
        "lost at the left", fixture);
    must(stats.record_count == 0 ||
             stats.record_count == stats.last_id - stats.first_id + 1,
        "gaps", fixture);
    for (uint64_t id = stats.first_id; id != 0 && id <= stats.last_id; id++) {
        must(is_there(fixture, id), "damaged", fixture);
    }
    disk->acknowledged = stats.last_id;
}

static void write_batch(struct fixture *fixture)
{
    struct dry_record records[BATCH_RECORDS];
    uint64_t first = disk->acknowledged + 1;
    for (uint64_t i = 0; i < BATCH_RECORDS; i++) {
        records[i] = fixture_record(first + i, 60, size_of(first + i));
    }
    struct dry_batch_view batch = {.records = records,
        .record_count = BATCH_RECORDS,
        .frees = below(2) == 0,
        .sync = below(2) == 0};
    if (first > 20 && below(3) == 0) {
        batch.keep_from = first - 20 + below(10);
        disk->tried_keep = batch.keep_from > disk->tried_keep
                               ? batch.keep_from
                               : disk->tried_keep;
    }
    enum dry_result result = fixture_apply(fixture, &batch);
    must(result == DRY_OK || result == DRY_IO || result == DRY_FULL,
        "cannot be written", fixture);
    if (result == DRY_OK) {
        disk->acknowledged += BATCH_RECORDS;
        disk->commits++;
    }
    fixture_free(records, BATCH_RECORDS);
}

static void live(struct fixture *fixture)
{
    bool calm = disk->fail_from == 0;
    enum dry_result result = fixture_try_open(fixture);
    must(
        result == DRY_OK || (!calm && (result == DRY_IO || result == DRY_FULL)),
        "cannot be opened", fixture);
    if (result != DRY_OK) {
        return;
    }
    expect_all(fixture);
    for (int i = 0; i < BATCHES; i++) {
        write_batch(fixture);
    }
    if (calm) {
        expect_all(fixture);
    }
    if (below(3) == 0) {
        fixture_close(fixture);
    }
}

/* ---- many of them ---- */

/* Often one of the first, while it opens. */
static unsigned some_call(void)
{
    return 1 + (unsigned)below(below(2) == 0        ? 4
                               : disk->only_flushes ? 12
                                                    : 70);
}

static void one_life(struct fixture *fixture)
{
    int status;
    disk->calls = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        live(fixture);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0); /* else that process has said why */
}

static void plan_life(void)
{
    disk->only_flushes = below(2) == 0;
    disk->kill_at = below(2) == 0 ? 0 : some_call();
    disk->fail_from = below(2) == 0 ? 0 : some_call();
    disk->fail_until = disk->fail_from;
    if (disk->fail_from != 0) {
        disk->fail_until += below(3) == 0 ? 1000 : 1 + (unsigned)below(4);
        if (below(3) == 0) {
            disk->kill_at = disk->fail_from + (unsigned)below(5);
        }
    }
    disk->error = below(2) == 0 ? EIO : ENOSPC;
}

static void begin(struct fixture *fixture, const char *path)
{
    struct stat status;
    disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(disk != MAP_FAILED);
    fixture_open(fixture);
    fixture_close(fixture);
    assert_int_equal(stat(path, &status), 0);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && status.st_size < FILE_MAX);
    assert_int_equal(
        read(fd, disk->durable, FILE_MAX), (ssize_t)status.st_size);
    close(fd);
    disk->inode = status.st_ino;
    disk->durable_size = (uint64_t)status.st_size;
    disk->random = seed_take("store_cuts");
}

static int setup(void **state)
{
    static char path[120];
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, &dry_lmdb_ops);
    fixture->limit_bytes = 48 << 20;
    snprintf(path, sizeof(path), "%s/data.mdb", fixture->path);
    data_path = path;
    begin(fixture, path);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    printf("# %u commits, %u failures, %u kills, %u pages lost\n",
        disk->commits, disk->failures, disk->kills, disk->losses);
    munmap(disk, sizeof(*disk));
    disk = NULL;
    fixture_finish(*state);
    free(*state);
    return 0;
}

static void test_cuts(void **state)
{
    const char *rounds = getenv("LARDER_CUTS");
    for (int i = rounds != NULL ? atoi(rounds) : 200; i > 0; i--) {
        plan_life();
        one_life(*state);
        if (below(2) == 0) {
            cut_power(data_path);
        }
    }
    assert_true(disk->commits > 100 && disk->failures > 100);
    assert_true(disk->kills > 20 && disk->losses > 100);
}

/* Each call of several commits fails, and the second or third after it never
 * comes: what LMDB does about a failed meta page is half of it. */
static void test_failed_and_killed(void **state)
{
    for (unsigned call = 1; call <= 30; call++) {
        for (unsigned more = 2; more <= 3; more++) {
            disk->fail_from = call;
            disk->fail_until = call + 1;
            disk->kill_at = call + more;
            disk->error = EIO;
            one_life(*state);
            disk->fail_from = disk->fail_until = disk->kill_at = 0;
            one_life(*state);
        }
    }
    assert_true(disk->failures > 50 && disk->kills > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_failed_and_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cuts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
