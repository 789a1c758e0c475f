/* For LD_PRELOAD: notes every change that a program makes to the files below
 * LARDER_RECORD_DIR, with its bytes, and every sync, in LARDER_RECORD_LOG
 * (outside of that directory). images.py reads it and makes of it what a power
 * cut may leave.
 *
 * A change is noted before it is made. A sync is noted twice, before and after,
 * for it covers only what came before it began; a write to a file opened with
 * O_DSYNC is a sync of itself. What is not seen here (io_uring, other calls)
 * shows when the files are compared with the notes.
 *
 * The calls go to the kernel directly: whatever is preloaded before this
 * (libeatmydata) has its way, and nothing is looked up while jemalloc starts.
 */
/* Both names of each function are given here. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* As in images.py. */
enum kind {
    KIND_MKDIR = 1, /* name */
    KIND_CREATE,    /* file, name */
    KIND_RENAME,    /* two names, each with a zero byte behind it */
    KIND_UNLINK,    /* name, of a file or directory */
    KIND_WRITE,     /* file, offset, bytes */
    KIND_RESIZE,    /* file, offset: its size from now on */
    KIND_SYNC,      /* file: begins; of a directory: names in it */
    KIND_SYNCED,    /* file, offset: the event that began it */
    KIND_WRITTEN,   /* file, offset: the event, a write, that is durable */
    KIND_MAPPED,    /* file: shared and writable, from now on unseen */
    KIND_FAILED,    /* file, offset: the event, which failed */
    KIND_DIRECTORY, /* file, name: this directory was opened */
};

struct event {
    uint64_t kind;
    uint64_t file; /* inode */
    uint64_t time_ns;
    uint64_t offset;
    uint64_t size; /* of the bytes that follow */
};

enum { FD_LIMIT = 65536 };

static struct {
    uint64_t file; /* 0: not below the directory */
    bool synchronous;
} files[FD_LIMIT];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX];
static size_t directory_size;
static int log_fd = -1;
static uint64_t next_event;

__attribute__((constructor)) static void begin(void)
{
    const char *log = getenv("LARDER_RECORD_LOG");
    const char *below = getenv("LARDER_RECORD_DIR");
    if (log == NULL || below == NULL || realpath(below, directory) == NULL) {
        return;
    }
    directory_size = strlen(directory);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log,
        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* ---- notes ---- */

/* Without notes nothing could be said: better no program at all. */
static void put(const struct iovec *parts, int count, size_t size)
{
    if (syscall(SYS_writev, log_fd, parts, count) != (long)size) {
        abort();
    }
}

/* Notes an event; its number. Under the mutex. */
static uint64_t note(enum kind kind, uint64_t file, uint64_t offset,
    const void *data, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct event event = {kind, file,
        (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, offset,
        size};
    const struct iovec parts[] = {
        {&event, sizeof event}, {(void *)(uintptr_t)data, size}};
    put(parts, size > 0 ? 2 : 1, sizeof event + size);
    return next_event++;
}

static uint64_t file_of(int fd)
{
    return fd >= 0 && fd < FD_LIMIT ? files[fd].file : 0;
}

/* The part of an absolute path below the directory; NULL: not below it. */
static const char *name_of(const char *path)
{
    bool below = strncmp(path, directory, directory_size) == 0 &&
                 path[directory_size] == '/';
    return below ? path + directory_size + 1 : NULL;
}

/* Like name_of for any path, with memory for the result. */
static const char *name_at(const char *path, char *memory, size_t size)
{
    char cwd[PATH_MAX];
    if (log_fd < 0) {
        return NULL;
    }
    if (path[0] == '/') {
        snprintf(memory, size, "%s", path);
    } else if (syscall(SYS_getcwd, cwd, sizeof cwd) > 0) {
        while (strncmp(path, "./", 2) == 0) {
            path += 2;
        }
        snprintf(memory, size, "%s%s%s", cwd, path[0] == '.' ? "" : "/",
            path[0] == '.' ? path + 1 : path);
    } else {
        return NULL;
    }
    return name_of(memory);
}

/* ---- opening ---- */

/* Remembers an open file, and notes what opening it has done. */
static void opened(int fd, const char *name, int flags, bool created)
{
    struct stat status;
    if (fd >= FD_LIMIT || fstat(fd, &status) != 0) {
        abort();
    }
    files[fd].file = status.st_ino;
    files[fd].synchronous = (flags & O_DSYNC) != 0;
    if (created) {
        note(KIND_CREATE, status.st_ino, 0, name, strlen(name));
    } else if (S_ISDIR(status.st_mode)) {
        note(KIND_DIRECTORY, status.st_ino, 0, name, strlen(name));
    } else if ((flags & O_TRUNC) != 0) {
        note(KIND_RESIZE, status.st_ino, 0, NULL, 0);
    }
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    char real[PATH_MAX], link[40];
    if (log_fd < 0) {
        return (int)syscall(SYS_openat, at, path, flags, mode);
    }
    pthread_mutex_lock(&mutex);
    bool created = (flags & O_CREAT) != 0 &&
                   syscall(SYS_faccessat, at, path, F_OK, 0) != 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    int error = errno;
    if (fd >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, real, sizeof real - 1);
        real[size > 0 ? size : 0] = '\0';
        bool whole = strcmp(real, directory) == 0;
        const char *name = whole ? "" : name_of(real);
        if (name != NULL) {
            opened(fd, name, flags, created);
        }
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...)                                 \
    {                                                                          \
        va_list arguments;                                                     \
        va_start(arguments, flags);                                            \
        mode_t mode = mode_of(flags, arguments);                               \
        va_end(arguments);                                                     \
        return open_any(AT_FDCWD, path, flags, mode);                          \
    }
#define OPENAT(name)                                                           \
    int name(int at, const char *path, int flags, ...)                         \
    {                                                                          \
        va_list arguments;                                                     \
        va_start(arguments, flags);                                            \
        mode_t mode = mode_of(flags, arguments);                               \
        va_end(arguments);                                                     \
        return open_any(at, path, flags, mode);                                \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    if (file_of(fd) != 0) {
        files[fd].file = 0;
    }
    return (int)syscall(SYS_close, fd);
}

/* ---- writing ---- */

/* Writes at `offset`, noted; -1: where the file stands. */
static ssize_t write_any(
    int fd, const struct iovec *parts, int count, off_t offset)
{
    size_t size = 0;
    pthread_mutex_lock(&mutex);
    off_t at = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    char *data = malloc(size + 1);
    if (data == NULL) {
        abort();
    }
    size = 0;
    for (int i = 0; i < count; i++) {
        memcpy(data + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    uint64_t file = file_of(fd);
    uint64_t event = note(KIND_WRITE, file, (uint64_t)at, data, size);
    free(data);
    long done = offset >= 0 ? syscall(SYS_pwritev, fd, parts, count, offset, 0)
                            : syscall(SYS_writev, fd, parts, count);
    int error = errno;
    if (done != (long)size) {
        note(KIND_FAILED, file, event, NULL, 0);
    } else if (files[fd].synchronous) {
        note(KIND_WRITTEN, file, event, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    const struct iovec part = {(void *)(uintptr_t)data, size};
    return file_of(fd) != 0 ? write_any(fd, &part, 1, -1)
                            : syscall(SYS_write, fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return file_of(fd) != 0 ? write_any(fd, parts, count, -1)
                            : syscall(SYS_writev, fd, parts, count);
}

#define PWRITE(name)                                                           \
    ssize_t name(int fd, const void *data, size_t size, off_t offset)          \
    {                                                                          \
        const struct iovec part = {(void *)(uintptr_t)data, size};             \
        return file_of(fd) != 0                                                \
                   ? write_any(fd, &part, 1, offset)                           \
                   : syscall(SYS_pwrite64, fd, data, size, offset);            \
    }
#define PWRITEV(name)                                                          \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t offset)   \
    {                                                                          \
        return file_of(fd) != 0                                                \
                   ? write_any(fd, parts, count, offset)                       \
                   : syscall(SYS_pwritev, fd, parts, count, offset, 0);        \
    }
PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)

/* ---- sizes ---- */

static int resize(int fd, uint64_t file, const char *path, off_t size)
{
    pthread_mutex_lock(&mutex);
    uint64_t event = note(KIND_RESIZE, file, (uint64_t)size, NULL, 0);
    int rc = (int)(path == NULL ? syscall(SYS_ftruncate, fd, size)
                                : syscall(SYS_truncate, path, size));
    int error = errno;
    if (rc != 0) {
        note(KIND_FAILED, file, event, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return rc;
}

#define FTRUNCATE(name)                                                        \
    int name(int fd, off_t size)                                               \
    {                                                                          \
        return file_of(fd) != 0 ? resize(fd, file_of(fd), NULL, size)          \
                                : (int)syscall(SYS_ftruncate, fd, size);       \
    }
#define TRUNCATE(name)                                                         \
    int name(const char *path, off_t size)                                     \
    {                                                                          \
        char memory[2 * PATH_MAX];                                             \
        struct stat status;                                                    \
        bool noted = name_at(path, memory, sizeof memory) != NULL &&           \
                     stat(path, &status) == 0;                                 \
        return noted ? resize(-1, status.st_ino, path, size)                   \
                     : (int)syscall(SYS_truncate, path, size);                 \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)
TRUNCATE(truncate)
TRUNCATE(truncate64)

#define POSIX_FALLOCATE(name)                                                  \
    int name(int fd, off_t offset, off_t size)                                 \
    {                                                                          \
        struct stat status;                                                    \
        int rc = syscall(SYS_fallocate, fd, 0, offset, size) == 0 ? 0 : errno; \
        if (file_of(fd) != 0 && rc == 0 && fstat(fd, &status) == 0) {          \
            pthread_mutex_lock(&mutex);                                        \
            note(KIND_RESIZE, file_of(fd), (uint64_t)status.st_size, NULL, 0); \
            pthread_mutex_unlock(&mutex);                                      \
        }                                                                      \
        return rc;                                                             \
    }
POSIX_FALLOCATE(posix_fallocate)
POSIX_FALLOCATE(posix_fallocate64)

/* ---- syncs ---- */

static int sync_any(int fd, long call)
{
    uint64_t file = file_of(fd), event = 0;
    if (file != 0) {
        pthread_mutex_lock(&mutex);
        event = note(KIND_SYNC, file, 0, NULL, 0);
        pthread_mutex_unlock(&mutex);
    }
    int rc = (int)syscall(call, fd);
    int error = errno;
    if (file != 0 && rc == 0) {
        pthread_mutex_lock(&mutex);
        note(KIND_SYNCED, file, event, NULL, 0);
        pthread_mutex_unlock(&mutex);
    }
    errno = error;
    return rc;
}

int fsync(int fd)
{
    return sync_any(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_any(fd, SYS_fdatasync);
}

/* What may change through it is not seen; msync would not tell either. */
#define MMAP(name)                                                             \
    void *name(                                                                \
        void *where, size_t size, int access, int flags, int fd, off_t offset) \
    {                                                                          \
        bool shared = (flags & MAP_SHARED) != 0 && (access & PROT_WRITE) != 0; \
        if (shared && file_of(fd) != 0) {                                      \
            pthread_mutex_lock(&mutex);                                        \
            note(KIND_MAPPED, file_of(fd), 0, NULL, 0);                        \
            pthread_mutex_unlock(&mutex);                                      \
        }                                                                      \
        return (void *)syscall(                                                \
            SYS_mmap, where, size, access, flags, fd, offset);                 \
    }
MMAP(mmap)
MMAP(mmap64)

/* ---- names ---- */

/* A call that makes or removes what `path` names; `mode` is for those that
 * want one. */
static int change_name(long call, const char *path, mode_t mode, enum kind kind)
{
    char memory[2 * PATH_MAX];
    const char *name = name_at(path, memory, sizeof memory);
    pthread_mutex_lock(&mutex);
    int rc = (int)syscall(call, path, mode);
    int error = errno;
    if (rc == 0 && name != NULL) {
        note(kind, 0, 0, name, strlen(name));
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return change_name(SYS_mkdir, path, mode, KIND_MKDIR);
}

int unlink(const char *path)
{
    return change_name(SYS_unlink, path, 0, KIND_UNLINK);
}

int rmdir(const char *path)
{
    return change_name(SYS_rmdir, path, 0, KIND_UNLINK);
}

int rename(const char *old, const char *new)
{
    char memories[2][2 * PATH_MAX], both[4 * PATH_MAX];
    const char *from = name_at(old, memories[0], sizeof memories[0]);
    const char *to = name_at(new, memories[1], sizeof memories[1]);
    pthread_mutex_lock(&mutex);
    int rc = (int)syscall(SYS_rename, old, new);
    int error = errno;
    if (rc == 0 && from != NULL && to != NULL) {
        int size = snprintf(both, sizeof both, "%s%c%s%c", from, 0, to, 0);
        note(KIND_RENAME, 0, 0, both, (size_t)size);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return rc;
}
