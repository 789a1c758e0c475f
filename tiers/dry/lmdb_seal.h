/* Seals: how a commit of LMDB needs one flush instead of two.
 *
 * LMDB flushes what a commit has written before it writes the meta page that
 * makes it count, and flushes that too. Here both are written, and a seal
 * beside the meta page with a sum of all that was written; then comes one
 * flush. If power is lost before it ends, any part may be on disk; who opens
 * the file sees by the sum whether all of it is, and takes the commit back if
 * not: the one before it is untouched, for LMDB reuses no page of the last two.
 *
 * A meta page takes 152 bytes; its seal is in the second sector of the same
 * page, which LMDB never writes. All functions return 0 or an errno, and need
 * a file of at least two meta pages; those that are not sound are left alone.
 */
#ifndef LARDER_TIERS_DRY_LMDB_SEAL_H
#define LARDER_TIERS_DRY_LMDB_SEAL_H

#include "tiers/dry/lmdb_page.h"

/* Seals the commit `transaction`, which has just been written; seal_flush is to
 * follow. A commit that had nothing to write is not there and needs no seal. */
int seal_commit(int fd, uint64_t transaction);
/* All that has been written to the file is on disk. */
int seal_flush(int fd);
/* *torn is the number of the last commit if its seal does not fit what is
 * there, else 0. EBADMSG: a seal is damaged, and nothing can be said. For a
 * file that nobody has open; one that cannot be opened, or is none of LMDB's,
 * is for others to complain of. */
int seal_check(const char *path, uint64_t *torn);
/* The last commit has been flushed, and is not to be taken back any more,
 * whatever its pages hold. The file may be new. */
int seal_settle(int fd);
/* The same for a file that has been found sound, by whomever it was written,
 * with a seal or without: what can be read of the last commit is written and
 * flushed once more first. */
int seal_accept(int fd);
/* Takes the commit `transaction` back: the meta page that it has written, or
 * was about to write, becomes a copy of the other one, flushed. For a file
 * whose last commit it is, or is to be. */
int seal_undo(const char *path, uint64_t transaction);

#endif
