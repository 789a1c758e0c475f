/* One LMDB store on a disk whose power can be cut, and that fails as planned;
 * for one source file of a program.
 *
 * The disk is a second copy of the data file. It gets what was written when
 * that is flushed; a flush that fails brings any part of it, and the kernel
 * forgets the rest: those pages read well until the power is cut, and no later
 * flush writes them. What was acknowledged, or read after opening, stays. */
#ifndef LARDER_TESTS_UNIT_STORE_DISK_H
#define LARDER_TESTS_UNIT_STORE_DISK_H

#include "tests/unit/stand_in.h"
#include "tests/unit/store_fixture.h"
#include "tiers/dry/lmdb_page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    PAGE = 4096,
    SECTOR = 512,
    FILE_MAX = 192 << 20,
    PAGES = FILE_MAX / PAGE,
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
    bool fail_meta;    /* the next write of LMDB's to a meta page */
    bool kill_undo;    /* at the next write of a whole one */
    bool kill_seal;    /* at the next write of a seal */
    int error;
    uint64_t acknowledged, tried_keep;
    unsigned commits, failures, kills, losses;
} * disk;

static const char *data_path;

static inline uint64_t below(uint64_t limit)
{
    return seed_below(&disk->random, limit);
}

/* ---- the disk ---- */

static inline bool is_data(int fd)
{
    struct stat status;
    return disk != NULL && fstat(fd, &status) == 0 &&
           status.st_ino == disk->inode;
}

static inline bool fails(bool flush)
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

/* Writes to meta pages, which have plans of their own. */
static inline bool meta_fails(size_t size, off_t offset)
{
    bool is_seal = size < PAGE && offset % PAGE >= SECTOR;
    if ((size == PAGE && disk->kill_undo) || (is_seal && disk->kill_seal)) {
        disk->kills++;
        _exit(0);
    }
    if (size == PAGE || !disk->fail_meta) {
        return false;
    }
    disk->fail_meta = false;
    disk->failures++;
    errno = EIO;
    return true;
}

static inline void wrote(off_t offset, ssize_t size)
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

static inline void bring_sector(int fd, size_t at)
{
    (void)!pread(fd, disk->durable + at, SECTOR, (off_t)at);
    if (at + SECTOR > disk->durable_size) {
        disk->durable_size = at + SECTOR;
    }
}

/* What was written goes to the disk: all, or by sectors with these odds. */
static inline void bring(int fd, unsigned percent)
{
    for (size_t page = 0; page < PAGES; page++) {
        if (disk->dirty[page] == 0) {
            continue;
        }
        bool whole = below(100) < percent;
        for (size_t at = page * PAGE; at < (page + 1) * PAGE; at += SECTOR) {
            if (whole || (percent < 100 && below(200) < percent)) {
                bring_sector(fd, at);
            }
        }
        disk->dirty[page] = 0;
    }
}

/* The same with these pages only, of what was written. */
static inline void bring_pages(int fd, size_t from, size_t until, bool payloads)
{
    struct page head;
    for (size_t page = from; page < until; page++) {
        (void)!pread(fd, &head, sizeof(head), (off_t)(page * PAGE));
        bool brought = disk->dirty[page] != 0 &&
                       (payloads || (head.flags & PAGE_OVERFLOW) == 0);
        for (size_t at = page * PAGE; brought && at < (page + 1) * PAGE;
             at += SECTOR) {
            bring_sector(fd, at);
        }
    }
    memset(disk->dirty, 0, sizeof(disk->dirty));
}

static inline unsigned some_percent(void)
{
    static const unsigned percents[] = {0, 10, 50, 90, 99};
    return percents[below(5)];
}

ssize_t stand_in_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    bool ours = is_data(fd);
    if (ours &&
        (fails(false) || (offset < 2 * PAGE && meta_fails(size, offset)))) {
        return -1;
    }
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (ours) {
        wrote(offset, done);
    }
    return done;
}

ssize_t stand_in_writev(int fd, const struct iovec *parts, int count)
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

int stand_in_fdatasync(int fd)
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

static inline int open_data(void)
{
    int fd = open(data_path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

/* The data file becomes what is on the disk. */
static inline void lose(int fd)
{
    struct stat status;
    char *page = malloc(PAGE);
    assert_int_equal(fstat(fd, &status), 0);
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
    disk->durable_size = (uint64_t)status.st_size;
}

static inline void cut_power(void)
{
    int fd = open_data();
    /* The kernel may have begun to write what was not flushed. */
    bring(fd, some_percent());
    lose(fd);
    close(fd);
}

/* Of what was not flushed, only these pages are on the disk. */
static inline void cut_power_but(size_t from, size_t until, bool payloads)
{
    int fd = open_data();
    bring_pages(fd, from, until, payloads);
    lose(fd);
    close(fd);
}

/* ---- what one process does ---- */

static inline void must(
    bool good, const char *what, const struct fixture *fixture)
{
    if (!good) {
        fprintf(stderr, "# %s: %s\n", what, fixture->reason);
        _exit(1);
    }
}

static inline size_t size_of(uint64_t id)
{
    return id % 600 == 0 ? (9 << 20) : id * 1753 % 9000;
}

static inline bool is_there(struct fixture *fixture, uint64_t id)
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

static inline void expect_all(struct fixture *fixture)
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

static inline enum dry_result put_batch(
    struct fixture *fixture, uint64_t keep_from, bool frees)
{
    struct dry_record records[BATCH_RECORDS];
    uint64_t first = disk->acknowledged + 1;
    for (uint64_t i = 0; i < BATCH_RECORDS; i++) {
        records[i] = fixture_record(first + i, 60, size_of(first + i));
    }
    struct dry_batch_view batch = {.records = records,
        .record_count = BATCH_RECORDS,
        .keep_from = keep_from,
        .frees = frees,
        .sync = below(2) == 0};
    enum dry_result result = fixture_apply(fixture, &batch);
    must(result == DRY_OK || result == DRY_IO || result == DRY_FULL,
        "cannot be written", fixture);
    if (result == DRY_OK) {
        disk->acknowledged += BATCH_RECORDS;
        disk->commits++;
    }
    fixture_free(records, BATCH_RECORDS);
    return result;
}

/* ---- processes ---- */

static inline void one_life(
    struct fixture *fixture, void (*life)(struct fixture *fixture))
{
    int status;
    disk->calls = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        life(fixture);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0); /* else that process has said why */
}

static inline void begin(struct fixture *fixture, const char *path)
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
    disk->random = seed_take("store_disk");
}

static inline int disk_setup(void **state)
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

static inline int disk_teardown(void **state)
{
    printf("# %u commits, %u failures, %u kills, %u pages lost\n",
        disk->commits, disk->failures, disk->kills, disk->losses);
    munmap(disk, sizeof(*disk));
    disk = NULL;
    fixture_finish(*state);
    free(*state);
    return 0;
}

#endif
