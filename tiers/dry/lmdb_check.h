/* The structure of an LMDB 0.9 data file, seen without LMDB, which trusts
 * its file: a damaged page makes it read out of bounds or abort. Open checks
 * all that leads to the records, reading checks each page it is led to.
 *
 * LMDB has no page checksums; what is inside a value is for the records' own
 * checksums to judge. */
#ifndef LARDER_TIERS_DRY_LMDB_CHECK_H
#define LARDER_TIERS_DRY_LMDB_CHECK_H

#include "tiers/dry/store.h"

/* Checks a data file before it is mapped: size, meta pages, the table of
 * databases, the free list, and every branch page. No file, or an empty one,
 * is sound. Any thread. */
enum dry_result lmdb_check_file(
    const char *path, char *reason, size_t reason_size);

/* Whether a page in the map is a leaf page whose entries all lie in it. */
bool lmdb_check_leaf(const void *page);
/* Whether a value in the map (not one of a write transaction) lies within
 * its leaf page, or in overflow pages of its own. */
bool lmdb_check_value(const void *data, size_t size);

#endif
