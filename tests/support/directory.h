/* Directories of the tests' own: made, and removed with all that is in them. */
#ifndef LARDER_TESTS_SUPPORT_DIRECTORY_H
#define LARDER_TESTS_SUPPORT_DIRECTORY_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIRECTORY_PATH_BYTES 64

/* One whose name has `name` in it; its path into DIRECTORY_PATH_BYTES bytes. In
 * RAM where possible: syncs would take all the time otherwise. */
static inline bool directory_make(char *path, const char *name)
{
    snprintf(path, DIRECTORY_PATH_BYTES, "%s/larder-%s-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp", name);
    return mkdtemp(path) != NULL;
}

static inline int directory_remove_one(
    const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void directory_remove(const char *path)
{
    nftw(path, directory_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
