/* Reads of the store's file that are done together: bytes of a row's page or of
 * a payload's chunks, each to where it is wanted.
 *
 * Through the kernel's page cache, or past it: a cache that does not hold the
 * file holds what was read last, which is in RAM anyway; to make room in it for
 * each page costs more than the read, and drives out the pages of the trees. */
#ifndef LARDER_TIERS_DRY_LMDB_PLAN_H
#define LARDER_TIERS_DRY_LMDB_PLAN_H

#include "tiers/dry/lmdb_store.h"
#include "tiers/dry/ring.h"

enum {
    PLAN_READS = 128,
    PLAN_PIECES = 512,
    /* Pages read past the page cache at once, and of one piece at most: more
     * is sooner read to where it is wanted. */
    PLAN_DIRECT_PAGES = 128,
};

/* A part of what a read brings. */
struct plan_piece {
    int *code; /* where an error goes: LMDB's or the system's */
    size_t read;
    char *to; /* unless NULL: copied there from `from`, when it has come */
    const char *from;
    size_t size;
};

struct plan {
    const struct lmdb *store;
    struct ring *ring; /* or NULL */
    struct ring_read reads[PLAN_READS];
    size_t read_count;
    struct iovec parts[PLAN_PIECES];
    size_t part_count;
    struct plan_piece pieces[PLAN_PIECES];
    size_t piece_count;
    uint64_t end;     /* of the last read, in the file */
    const int *owner; /* the code it was begun for */
    char *pages;      /* PLAN_DIRECT_PAGES, aligned to pages; NULL: nothing is
                         read past the page cache */
    size_t page_count;
    char page_header[PAGE_HEADER_BYTES]; /* between two pieces: not wanted */
};

/* Empty, and through the page cache alone until the caller gives it `pages`.
 * They stay the caller's, as `ring`, which may be NULL. */
void plan_begin(struct plan *plan, const struct lmdb *store, struct ring *ring);
/* Plans to read the `part.iov_len` bytes at `at` of the file to
 * `part.iov_base`; parts of one *code that lie on pages behind each other are
 * one read. *code changes only when it fails. Reads what there is when there is
 * no room for more. */
void plan_add(struct plan *plan, uint64_t at, struct iovec part, int *code);
/* The same past the page cache. The part lies on one page, which is read once
 * for those behind each other that have a part on it. */
void plan_add_direct(
    struct plan *plan, uint64_t at, struct iovec part, int *code);
/* Does what is planned; returns when all of it is there. */
void plan_run(struct plan *plan);

/* Opens the store's file for reads past the page cache: a descriptor, or -1
 * where its file system or device knows none. */
int plan_open_direct(const char *path);

#endif
