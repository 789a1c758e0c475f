#include "tiers/dry/lmdb_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "tiers/dry/give_way.h"
#include "tiers/dry/lmdb_changes.h"

enum {
    SEAL_AT = 512,  /* in a meta page */
    RUN_PAGES = 16, /* read or written at a time */
};
static const uint64_t seal_magic = UINT64_C(0x6c61727365616c31);

struct seal {
    uint64_t magic;
    uint64_t transaction;
    uint64_t sum;     /* of the meta page, and the pages it has brought */
    uint64_t before;  /* of the other meta page */
    uint64_t flushed; /* known to be on disk: the sums do not matter */
    uint64_t own;     /* sum of all that */
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

/* Goes on where a write came short: half a seal would be a damaged one. */
static int write_all(int fd, const void *data, size_t size, off_t at)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t wrote = pwrite(fd, bytes, size, at);
        if (wrote <= 0) {
            return io_error(wrote);
        }
        bytes += wrote;
        size -= (size_t)wrote;
        at += wrote;
    }
    return 0;
}

int seal_flush(int fd)
{
    return fdatasync(fd) == 0 ? 0 : errno;
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
    pair->last = pair->sane ? page_last_meta(pair->metas) : 0;
    return 0;
}

static bool fits(const struct pair *pair, unsigned which)
{
    return pair->seals[which].magic == seal_magic &&
           pair->seals[which].transaction == pair->metas[which].transaction;
}

static uint64_t sum_seal(const struct seal *seal)
{
    return XXH3_64bits(seal, offsetof(struct seal, own));
}

/* A power cut leaves one seal or another, or none where there was none. */
static bool is_intact(const struct seal *seal)
{
    static const struct seal none;
    return seal->own == sum_seal(seal) ||
           memcmp(seal, &none, sizeof(none)) == 0;
}

static uint64_t sum_meta(const struct meta *meta)
{
    return XXH3_64bits(meta, sizeof(*meta));
}

/* How many pages lie one behind the other from `at` on. */
static size_t run_length(const struct page_list *list, size_t at)
{
    size_t length = 1;
    while (length < RUN_PAGES && at + length < list->count &&
           list->numbers[at + length] == list->numbers[at] + length) {
        length++;
    }
    return length;
}

/* Adds the pages to the sum. CHANGES_BROKEN: the file ends before them. */
static enum changes_result sum_pages(
    int fd, const struct page_list *list, XXH3_state_t *state)
{
    char *run = xmalloc((size_t)RUN_PAGES * PAGE_BYTES);
    enum changes_result result = CHANGES_FOUND;
    size_t length;
    struct give_way way = {0};
    for (size_t i = 0; result == CHANGES_FOUND && i < list->count;
         i += length) {
        give_way(&way, GIVE_WAY_PAGES);
        length = run_length(list, i);
        ssize_t size = (ssize_t)(length * PAGE_BYTES);
        ssize_t got = pread(
            fd, run, (size_t)size, (off_t)(list->numbers[i] * PAGE_BYTES));
        if (got != size) {
            result = got < 0 ? CHANGES_UNREAD : CHANGES_BROKEN;
        } else {
            XXH3_64bits_update(
                state, &list->numbers[i], sizeof(list->numbers[i]));
            XXH3_64bits_update(state, run, (size_t)size);
        }
    }
    free(run);
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
    struct seal seal = {.magic = seal_magic,
        .transaction = pair->metas[which].transaction,
        .sum = sum,
        .before = sum_meta(&pair->metas[!which]),
        .flushed = flushed};
    seal.own = sum_seal(&seal);
    return write_all(
        fd, &seal, sizeof(seal), (off_t)(which * PAGE_BYTES + SEAL_AT));
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
    return seal_pair(fd, &pair);
}

/* ---- settled ---- */

static int write_meta(int fd, unsigned which, const char *page)
{
    return write_all(fd, page, PAGE_BYTES, (off_t)which * PAGE_BYTES);
}

/* Writes pages again as they are. */
static int rewrite(int fd, const struct page_list *list)
{
    char *run = xmalloc((size_t)RUN_PAGES * PAGE_BYTES);
    size_t length;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count; i += length) {
        length = run_length(list, i);
        off_t at = (off_t)(list->numbers[i] * PAGE_BYTES);
        size_t size = length * PAGE_BYTES;
        ssize_t got = pread(fd, run, size, at);
        rc =
            got == (ssize_t)size ? write_all(fd, run, size, at) : io_error(got);
    }
    free(run);
    return rc;
}

/* All that the last commit has brought, and flushes it. */
static int rewrite_last(int fd, const struct pair *pair)
{
    struct page_list written = {0};
    enum changes_result result = changes_find(
        fd, &pair->metas[!pair->last], &pair->metas[pair->last], &written);
    int rc = result == CHANGES_UNREAD ? errno : 0;
    /* Else the commit before is gone, whose pages are reused after a flush. */
    if (result == CHANGES_FOUND) {
        rc = rewrite(fd, &written);
    }
    page_list_free(&written);
    for (unsigned which = 0; rc == 0 && which < 2; which++) {
        rc = write_meta(fd, which, pair->pages[which]);
    }
    return rc == 0 ? seal_flush(fd) : rc;
}

static bool is_settled(const struct pair *pair)
{
    return fits(pair, 0) && fits(pair, 1) && pair->seals[pair->last].flushed;
}

static int settle(int fd, const struct pair *pair)
{
    int rc = write_seal(fd, pair, pair->last, 0, true);
    if (rc == 0) {
        rc = seal_flush(fd);
    }
    /* Not before: if only the commit before had a seal, the last one would be
     * taken for torn. */
    if (rc == 0 && !fits(pair, !pair->last)) {
        rc = write_seal(fd, pair, !pair->last, 0, true);
        if (rc == 0) {
            rc = seal_flush(fd);
        }
    }
    return rc;
}

int seal_settle(int fd)
{
    struct pair pair;
    int rc = pair_read(fd, &pair);
    return rc != 0 || !pair.sane || is_settled(&pair) ? rc : settle(fd, &pair);
}

int seal_accept(int fd)
{
    struct pair pair;
    int rc = pair_read(fd, &pair);
    if (rc != 0 || !pair.sane || is_settled(&pair)) {
        return rc;
    }
    /* Of a flush that failed, or never was, there may be pages that are read
     * well and yet not on disk, nor going to be. */
    rc = rewrite_last(fd, &pair);
    return rc == 0 ? settle(fd, &pair) : rc;
}

/* ---- taken back ---- */

/* Whether the sum of the last commit is right; or it would not help to take it
 * back. */
static bool is_sum_right(int fd, const struct pair *pair, int *rc)
{
    uint64_t sum = 0;
    enum changes_result result = sum_last(fd, pair, &sum);
    if (result == CHANGES_UNREAD) {
        *rc = errno;
    }
    /* A power cut leaves the commit before as it was: that is damage. */
    return result == CHANGES_STALE ||
           (result == CHANGES_FOUND && sum == pair->seals[pair->last].sum);
}

/* Whether the last commit is wholly there, as far as a seal can tell; or it
 * would not help to take it back. */
static bool is_whole(
    int fd, const struct pair *pair, uint64_t size_bytes, int *rc)
{
    const struct meta *before = &pair->metas[!pair->last];
    const struct seal *seal = &pair->seals[pair->last];
    /* Nothing is left to go back to. */
    if (before->last_page >= size_bytes / PAGE_BYTES) {
        return true;
    }
    if (!fits(pair, pair->last)) {
        /* Neither: written by a program without seals. */
        return !fits(pair, !pair->last);
    }
    /* The meta page before is written to when the flush has ended. */
    return seal->flushed || seal->before != sum_meta(before) ||
           is_sum_right(fd, pair, rc);
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
    if (rc == 0 && pair.sane &&
        !(is_intact(&pair.seals[0]) && is_intact(&pair.seals[1]))) {
        rc = EBADMSG;
    }
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
    unsigned which = transaction % 2; /* as LMDB does */
    int fd = open_file(path, &size_bytes);
    if (fd < 0) {
        return EIO;
    }
    int rc = pair_read(fd, &pair);
    if (rc == 0 &&
        (!pair.sane || pair.metas[!which].transaction >= transaction)) {
        rc = EIO;
    }
    /* Even if it is not there: it may have been when that was not flushed. */
    if (rc == 0) {
        rc = write_meta(fd, which, pair.pages[!which]);
    }
    if (rc == 0) {
        rc = seal_flush(fd);
    }
    close(fd);
    return rc;
}
