/* What the memory allocator knows of itself, when it is jemalloc. Any
 * thread. */
#ifndef LARDER_SERVER_ALLOCATOR_H
#define LARDER_SERVER_ALLOCATOR_H

#include <stdint.h>

struct allocator_stats { /* bytes; all 0 when the allocator does not tell */
    uint64_t allocated;  /* handed out */
    uint64_t active;     /* in pages that hold something handed out */
    uint64_t resident;   /* in RAM because of the allocator */
};
void allocator_stats(struct allocator_stats *stats);

/* Once, after the last fork. From then on memory that was freed goes back to
 * the system within a second even when nobody allocates, but for some 4 MB:
 * what the process has, not what it uses, is compared with maxmemory. */
void allocator_start(void);

/* "jemalloc-5.3.0" or "libc". */
const char *allocator_name(void);
/* Gives unused pages back to the system. */
void allocator_purge(void);
/* The allocator's own report, heap, or NULL when it has none. */
char *allocator_report(void);

/* Resident set size of this process in bytes, 0 when it cannot be read. */
uint64_t allocator_process_rss(void);

#endif
