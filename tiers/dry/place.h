/* The directory a dry store lives in: created 0700, held by one process at a
 * time, with a reserve of disk space that is given up when the disk is full
 * so that removals can still be committed.
 *
 * Used by one thread, except place_free_bytes (any). */
#ifndef LARDER_TIERS_DRY_PLACE_H
#define LARDER_TIERS_DRY_PLACE_H

#include "tiers/dry/store.h"

struct place {
    char *path;      /* heap: the directory */
    char *data_path; /* heap: the data file in it */
    int lock_fd;     /* open for as long as the directory is ours, or -1 */
    uint64_t reserve_bytes;
    bool reserved; /* the reserve file has its blocks */
};

/* Creates the directory if absent and locks it. On failure nothing is held
 * and `reason` says why. `data_name` is the data file's name in it. */
enum dry_result place_open(struct place *place, const char *path,
    const char *data_name, char *reason, size_t reason_size);
/* The path of `name` in the directory; heap. */
char *place_path(const struct place *place, const char *name);
/* Makes the names in the directory durable, and its own; false with errno set.
 * A file whose name is not on disk is lost with all that was synced in it. */
bool place_sync_names(const struct place *place);
/* Gives the directory up. Zeroed or failed: allowed. */
void place_close(struct place *place);

/* Sizes the reserve and tries to establish it. */
void place_reserve(struct place *place, uint64_t bytes);
/* Establishes the reserve when it is not there and the disk has room for it
 * twice over; whether it is there now. */
bool place_restore_reserve(struct place *place);
/* Gives the reserve's blocks back to the file system. False when there were
 * none. */
bool place_release_reserve(struct place *place);

/* What an unprivileged process may still write, or UINT64_MAX when the file
 * system does not say. */
uint64_t place_free_bytes(const struct place *place);
/* Size and blocks of the data file; false with errno set. */
bool place_data_size(
    const struct place *place, uint64_t *size_bytes, uint64_t *disk_bytes);
/* Makes the data file at least `bytes` long without using disk blocks. The
 * pages an LMDB commit frees again may never be written; a file that covers
 * them can be told from one that was cut short, and is safe to touch. */
bool place_extend_data(const struct place *place, uint64_t bytes);

#endif
