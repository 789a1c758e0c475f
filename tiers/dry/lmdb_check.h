/* The structure of a data file, checked before LMDB maps it and trusts it.
 *
 * LMDB has no page checksums; what is inside a value is for the records' own
 * checksums to judge. */
#ifndef LARDER_TIERS_DRY_LMDB_CHECK_H
#define LARDER_TIERS_DRY_LMDB_CHECK_H

#include "tiers/dry/store.h"

/* Checks size, meta pages, the table of databases, and that each page has one
 * owner: the free list or a database. Not looked into are payloads and, but
 * for the edges, the pages of rows: lmdb_scan.c does that. No file, or an empty
 * one, is sound. *end_bytes is where the pages in use end. The commit `torn`
 * (0: none) will be taken back: the one before it is looked at. Any thread. */
enum dry_result lmdb_check_file(const char *path, uint64_t torn,
    uint64_t *end_bytes, char *reason, size_t reason_size);

#endif
