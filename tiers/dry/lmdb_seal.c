#include "tiers/dry/lmdb_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "tiers/dry/lmdb_changes.h"

enum { SEAL_AT = 512 }; /* in a meta page */
static const uint64_t seal_magic = UINT64_C(0x6c61727365616c31);

struct seal {
    uint64_t magic;
    uint64_t transaction;
    uint64_t sum;     /* of the meta page, and the pages it has brought */
    uint64_t flushed; /* known to be on disk: the sum does not matter */
};

/* Both meta pages. */
struct pair {
    char pages[2][PAGE_BYTES] __attribute__((aligned(8)));
    struct meta metas[2];
    struct seal seals[2];
    unsigned last; /* which of them */
    bool sane;
};

static int io_error(ssize_t got)
{
    return got < 0 ? errno : EIO;
}

static int pair_read(int fd, struct pair *pair)
{
    ssize_t got = pread(fd, pair->pages, sizeof(pair->pages), 0);
    if (got < 0) {
        return errno;
    }
    pair->sane = got == (ssize_t)sizeof(pair->pages);
    for (unsigned i = 0; pair->sane && i < 2; i++) {
        memcpy(&pair->seals[i], pair->pages[i] + SEAL_AT, sizeof(struct seal));
        pair->sane = page_meta(pair->pages[i], &pair->metas[i]);
    }
    pair->last =
        pair->sane && pair->metas[1].transaction > pair->metas[0].transaction;
    return 0;
}

static bool fits(const struct pair *pair, unsigned which)
{
    return pair->seals[which].magic == seal_magic &&
           pair->seals[which].transaction == pair->metas[which].transaction;
}

/* Adds the pages to the sum. CHANGES_BROKEN: the file ends before them. */
static enum changes_result sum_pages(
    int fd, const struct page_list *list, XXH3_state_t *state)
{
    char *page = xmalloc(PAGE_BYTES);
    enum changes_result result = CHANGES_FOUND;
    for (size_t i = 0; result == CHANGES_FOUND && i < list->count; i++) {
        ssize_t got =
            pread(fd, page, PAGE_BYTES, (off_t)(list->numbers[i] * PAGE_BYTES));
        if (got != PAGE_BYTES) {
            result = got < 0 ? CHANGES_UNREAD : CHANGES_BROKEN;
        } else {
            XXH3_64bits_update(
                state, &list->numbers[i], sizeof(list->numbers[i]));
            XXH3_64bits_update(state, page, PAGE_BYTES);
        }
    }
    free(page);
    return result;
}

/* The sum that the seal of the last commit should have. */
static enum changes_result sum_last(
    int fd, const struct pair *pair, uint64_t *sum)
{
    const struct meta *now = &pair->metas[pair->last];
    struct page_list written = {0};
    enum changes_result result =
        changes_find(fd, &pair->metas[!pair->last], now, &written);
    if (result == CHANGES_FOUND) {
        XXH3_state_t *state = XXH3_createState();
        check(state != NULL);
        XXH3_64bits_reset(state);
        XXH3_64bits_update(state, now, sizeof(*now));
        result = sum_pages(fd, &written, state);
        *sum = XXH3_64bits_digest(state);
        XXH3_freeState(state);
    }
    page_list_free(&written);
    return result;
}

static int write_seal(
    int fd, const struct pair *pair, unsigned which, uint64_t sum, bool flushed)
{
    struct seal seal = {
        seal_magic, pair->metas[which].transaction, sum, flushed};
    ssize_t wrote =
        pwrite(fd, &seal, sizeof(seal), (off_t)(which * PAGE_BYTES + SEAL_AT));
    return wrote == (ssize_t)sizeof(seal) ? 0 : io_error(wrote);
}

static int seal_pair(int fd, const struct pair *pair)
{
    uint64_t sum = 0;
    enum changes_result result = sum_last(fd, pair, &sum);
    if (result != CHANGES_FOUND) {
        return result == CHANGES_UNREAD ? errno : EIO;
    }
    return write_seal(fd, pair, pair->last, sum, false);
}

int seal_commit(int fd, uint64_t transaction)
{
    struct pair pair;
    int rc = pair_read(fd, &pair);
    if (rc != 0 || !pair.sane) {
        return rc != 0 ? rc : EIO;
    }
    if (pair.metas[pair.last].transaction != transaction) {
        return 0;
    }
    rc = seal_pair(fd, &pair);
    return rc == 0 && fdatasync(fd) != 0 ? errno : rc;
}

int seal_settle(int fd)
{
    struct pair pair;
    int rc = pair_read(fd, &pair);
    if (rc != 0 || !pair.sane ||
        (fits(&pair, 0) && fits(&pair, 1) && pair.seals[pair.last].flushed)) {
        return rc;
    }
    rc = write_seal(fd, &pair, pair.last, 0, true);
    if (rc == 0) {
        rc = write_seal(fd, &pair, !pair.last, 0, true);
    }
    return rc == 0 && fdatasync(fd) != 0 ? errno : rc;
}

/* The last meta page becomes a copy of the other one. */
static int undo(int fd, const struct pair *pair)
{
    ssize_t wrote = pwrite(fd, pair->pages[!pair->last], PAGE_BYTES,
        (off_t)pair->last * PAGE_BYTES);
    if (wrote != PAGE_BYTES) {
        return io_error(wrote);
    }
    return fdatasync(fd) == 0 ? 0 : errno;
}

/* Whether the last commit is wholly there, as far as a seal can tell; or it
 * would not help to take it back. */
static bool is_whole(
    int fd, const struct pair *pair, uint64_t size_bytes, int *rc)
{
    uint64_t sum = 0;
    *rc = 0;
    /* Taken back before; or written by a program without seals. */
    if (pair->metas[0].transaction == pair->metas[1].transaction ||
        !fits(pair, !pair->last) ||
        pair->metas[!pair->last].last_page >= size_bytes / PAGE_BYTES) {
        return true;
    }
    if (!fits(pair, pair->last)) {
        return false;
    }
    if (pair->seals[pair->last].flushed) {
        return true;
    }
    enum changes_result result = sum_last(fd, pair, &sum);
    if (result == CHANGES_UNREAD) {
        *rc = errno;
    }
    return result == CHANGES_FOUND && sum == pair->seals[pair->last].sum;
}

/* -1: there is no such file, or it is for others to complain of. */
static int open_file(const char *path, uint64_t *size_bytes)
{
    struct stat status = {0};
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))) {
        close(fd);
        fd = -1;
    }
    *size_bytes = (uint64_t)status.st_size;
    return fd;
}

int seal_check(const char *path, uint64_t *torn)
{
    struct pair pair;
    uint64_t size_bytes;
    *torn = 0;
    int fd = open_file(path, &size_bytes);
    if (fd < 0) {
        return 0;
    }
    int rc = pair_read(fd, &pair);
    if (rc == 0 && pair.sane && !is_whole(fd, &pair, size_bytes, &rc) &&
        rc == 0) {
        *torn = pair.metas[pair.last].transaction;
    }
    close(fd);
    return rc;
}

int seal_undo(const char *path, uint64_t transaction)
{
    struct pair pair;
    uint64_t size_bytes;
    int fd = open_file(path, &size_bytes);
    if (fd < 0) {
        return EIO;
    }
    int rc = pair_read(fd, &pair);
    if (rc == 0 && !pair.sane) {
        rc = EIO;
    }
    if (rc == 0 && pair.metas[pair.last].transaction == transaction) {
        rc = undo(fd, &pair);
    }
    close(fd);
    return rc;
}
