/* Many reads of files at once: through io_uring where the kernel allows it,
 * or else one after the other. What a read from disk costs the processor is
 * mostly telling the device and being woken again; a ring pays both once for
 * all reads of a round. */
#ifndef LARDER_TIERS_DRY_RING_H
#define LARDER_TIERS_DRY_RING_H

#include "protocol/bytes.h"

#include <sys/uio.h>

struct ring;

/* One read into `parts`, which are used up. */
struct ring_read {
    int fd;
    uint64_t at; /* in the file */
    struct iovec *parts;
    int count;
    int error; /* out: 0, an errno, or ENODATA: the file ends before */
};

/* For the calling thread alone, but for ring_destroy. NULL: the kernel has no
 * io_uring or forbids it, as many containers do. */
struct ring *ring_create(void);
void ring_destroy(struct ring *ring);
/* Tells the kernel once of memory that is read to again and again, so that it
 * need not look for it at each read. It is the caller's and must outlive the
 * ring. Once a ring, by its thread; where so much memory may not be locked, it
 * does without. */
void ring_register(struct ring *ring, void *memory, size_t size);
/* Returns when all are done. `ring` may be NULL. */
void ring_read_all(struct ring *ring, struct ring_read *reads, size_t count);

#endif
