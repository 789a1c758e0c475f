#include "tiers/dry/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char *join(const char *path, const char *name)
{
    size_t size = strlen(path) + strlen(name) + 2;
    char *joined = xmalloc(size);
    snprintf(joined, size, "%s/%s", path, name);
    return joined;
}

static enum dry_result lock(
    struct place *place, char *reason, size_t reason_size)
{
    char *path = join(place->path, "owner.lock");
    enum dry_result result = DRY_OK;
    place->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (place->lock_fd < 0) {
        snprintf(reason, reason_size, "%s: %s", path, strerror(errno));
        result = DRY_IO;
    } else if (flock(place->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(reason, reason_size, "%s: %s", place->path,
            errno == EWOULDBLOCK ? "in use by another process"
                                 : strerror(errno));
        result = DRY_IO;
    }
    free(path);
    return result;
}

enum dry_result place_open(struct place *place, const char *path,
    const char *data_name, char *reason, size_t reason_size)
{
    *place = (struct place){.lock_fd = -1};
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        snprintf(reason, reason_size, "%s: cannot create the directory: %s",
            path, strerror(errno));
        return DRY_IO;
    }
    place->path = xstrdup(path);
    place->data_path = join(path, data_name);
    enum dry_result result = lock(place, reason, reason_size);
    if (result != DRY_OK) {
        place_close(place);
    }
    return result;
}

static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return synced;
}

char *place_path(const struct place *place, const char *name)
{
    return join(place->path, name);
}

bool place_sync_names(const struct place *place)
{
    char *parent = place_path(place, "..");
    bool synced = sync_directory(place->path) && sync_directory(parent);
    int error = errno;
    free(parent);
    errno = error;
    return synced;
}

void place_close(struct place *place)
{
    if (place->path != NULL && place->lock_fd >= 0) {
        close(place->lock_fd);
    }
    free(place->path);
    free(place->data_path);
    *place = (struct place){.lock_fd = -1};
}

void place_reserve(struct place *place, uint64_t bytes)
{
    place->reserve_bytes = bytes;
    place_restore_reserve(place);
}

bool place_restore_reserve(struct place *place)
{
    if (place->reserved) {
        return true;
    }
    char *path = join(place->path, "reserve");
    struct stat status;
    bool there = stat(path, &status) == 0 &&
                 (uint64_t)status.st_blocks * 512 >= place->reserve_bytes;
    if (!there && place_free_bytes(place) / 2 >= place->reserve_bytes) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        there =
            fd >= 0 && posix_fallocate(fd, 0, (off_t)place->reserve_bytes) == 0;
        if (fd >= 0 && !there) {
            /* Half a reserve would hold room that nobody may use. */
            (void)!ftruncate(fd, 0);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    free(path);
    place->reserved = there;
    return there;
}

bool place_release_reserve(struct place *place)
{
    if (!place->reserved) {
        return false;
    }
    char *path = join(place->path, "reserve");
    place->reserved = false;
    bool released = truncate(path, 0) == 0;
    free(path);
    return released;
}

uint64_t place_free_bytes(const struct place *place)
{
    struct statvfs status;
    if (statvfs(place->path, &status) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)status.f_bavail * status.f_frsize;
}

bool place_data_size(
    const struct place *place, uint64_t *size_bytes, uint64_t *disk_bytes)
{
    struct stat status;
    if (stat(place->data_path, &status) != 0) {
        return false;
    }
    *size_bytes = (uint64_t)status.st_size;
    *disk_bytes = (uint64_t)status.st_blocks * 512;
    return true;
}

bool place_extend_data(const struct place *place, uint64_t bytes)
{
    uint64_t size_bytes, disk_bytes;
    if (!place_data_size(place, &size_bytes, &disk_bytes)) {
        return false;
    }
    return size_bytes >= bytes || truncate(place->data_path, (off_t)bytes) == 0;
}
