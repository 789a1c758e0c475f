#include "tiers/dry/ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

enum { ENTRIES = 128 };

struct ring {
    struct io_uring uring;
    struct iovec known; /* memory registered with the kernel, or empty */
};

struct ring *ring_create(void)
{
    struct ring *ring = xcalloc(1, sizeof(*ring));
    /* Completions wait until they are asked for, all together: Linux 6.1. */
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int rc = io_uring_queue_init(ENTRIES, &ring->uring, flags);
    if (rc == -EINVAL) {
        rc = io_uring_queue_init(ENTRIES, &ring->uring, 0);
    }
    if (rc < 0) {
        free(ring);
        return NULL;
    }
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring != NULL) {
        io_uring_queue_exit(&ring->uring);
        free(ring);
    }
}

void ring_register(struct ring *ring, void *memory, size_t size)
{
    struct iovec known = {memory, size};
    check(ring->known.iov_len == 0);
    if (io_uring_register_buffers(&ring->uring, &known, 1) == 0) {
        ring->known = known;
    }
}

/* Steps over the first `size` bytes. */
static void read_advance(struct ring_read *read, size_t size)
{
    read->at += size;
    while (read->count > 0 && size >= read->parts->iov_len) {
        size -= read->parts->iov_len;
        read->parts++;
        read->count--;
    }
    if (read->count > 0) {
        read->parts->iov_base = (char *)read->parts->iov_base + size;
        read->parts->iov_len -= size;
    }
}

/* What is left of a read, at once. */
static void read_rest(struct ring_read *read)
{
    read->error = 0;
    while (read->count > 0 && read->error == 0) {
        ssize_t got =
            preadv(read->fd, read->parts, read->count, (off_t)read->at);
        if (got > 0) {
            read_advance(read, (size_t)got);
        } else if (got == 0) {
            read->error = ENODATA;
        } else if (errno != EINTR) {
            read->error = errno;
        }
    }
}

/* Takes in what is complete; how many that were. */
static unsigned reap(struct io_uring *uring)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(uring, head, cqe)
    {
        if (cqe->res > 0) {
            read_advance(io_uring_cqe_get_data(cqe), (size_t)cqe->res);
        }
        count++;
    }
    io_uring_cq_advance(uring, count);
    return count;
}

static bool is_known(const struct ring *ring, const struct iovec *part)
{
    uintptr_t at = (uintptr_t)part->iov_base;
    uintptr_t known = (uintptr_t)ring->known.iov_base;
    return at >= known && at + part->iov_len <= known + ring->known.iov_len;
}

static void prepare(struct ring *ring, struct ring_read *read)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    check(sqe != NULL);
    if (read->count == 1 && is_known(ring, read->parts)) {
        io_uring_prep_read_fixed(sqe, read->fd, read->parts->iov_base,
            (unsigned)read->parts->iov_len, read->at, 0);
    } else {
        io_uring_prep_readv(
            sqe, read->fd, read->parts, (unsigned)read->count, read->at);
    }
    io_uring_sqe_set_data(sqe, read);
}

/* Submits up to ENTRIES reads and waits for all of them: the kernel writes to
 * their memory until then. */
static void read_some(
    struct ring *ring, struct ring_read *reads, unsigned count)
{
    struct io_uring *uring = &ring->uring;
    for (unsigned i = 0; i < count; i++) {
        prepare(ring, &reads[i]);
    }
    while (count > 0) {
        int rc = io_uring_submit_and_wait(uring, count);
        /* Short of memory it takes them later. */
        check(rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY ||
              rc == -ENOMEM);
        count -= reap(uring);
    }
}

void ring_read_all(struct ring *ring, struct ring_read *reads, size_t count)
{
    size_t step = ENTRIES;
    for (size_t i = 0; ring != NULL && count > 1 && i < count; i += step) {
        step = count - i < ENTRIES ? count - i : ENTRIES;
        read_some(ring, reads + i, (unsigned)step);
    }
    /* Those that failed, came short, or were not asked for. */
    for (size_t i = 0; i < count; i++) {
        read_rest(&reads[i]);
    }
}
