/* LD_PRELOAD of a server under test: its disk fails, or hangs, while the file
 * named by FAILING_DISK exists and says so ("fail" or "hang"). Only writes to
 * a place (pwrite) and syncs, as stores make them; the log goes on. While it
 * says "stall", the read of a single record (preadv64) hangs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static bool says(const char *word)
{
    char text[8] = "";
    const char *path = getenv("FAILING_DISK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    return size > 0 && strncmp(text, word, strlen(word)) == 0;
}

static bool fails(void)
{
    while (says("hang")) {
        usleep(10000);
    }
    errno = EIO;
    return says("fail");
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t) = (ssize_t(*)(
        int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    return fails() ? -1 : next(fd, data, size, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    ssize_t (*next)(int, const struct iovec *, int, off_t) = (ssize_t(*)(
        int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev");
    return fails() ? -1 : next(fd, parts, count, at);
}

ssize_t preadv64(int fd, const struct iovec *parts, int count, off_t at)
{
    ssize_t (*next)(int, const struct iovec *, int, off_t) = (ssize_t(*)(
        int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "preadv64");
    while (says("stall")) {
        usleep(10000);
    }
    return next(fd, parts, count, at);
}

int fdatasync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : next(fd);
}
