/* The n-th call of a kind fails, once or from then on: functions of libc that
 * the program and the libraries it uses (LMDB) call are defined here. */
#ifndef LARDER_TESTS_UNIT_NTH_CALL_H
#define LARDER_TESTS_UNIT_NTH_CALL_H

/* Both names of each function are given here. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum nth_kind {
    NTH_NONE,
    NTH_MALLOC,
    NTH_OPEN, /* and mmap */
    NTH_WRITE,
    NTH_SYNC,
    NTH_READ,
    NTH_KINDS
};

/* In memory that the process which watches shares. */
struct nth_plan {
    enum nth_kind kind;
    unsigned nth;
    bool for_ever;
    atomic_bool on;
    atomic_uint calls; /* of the kind, while it was on */
};

/* Whether this call is to fail; errno is set then. */
bool nth_fails(enum nth_kind kind);

/* ---- what is defined ---- */

#define NTH_PART(data, size)                                                   \
    &(const struct iovec)                                                      \
    {                                                                          \
        (void *)(uintptr_t)(data), size                                        \
    }

static inline int nth_open(const char *path, int flags, va_list arguments)
{
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    return nth_fails(NTH_OPEN)
               ? -1
               : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define NTH_OPEN_AS(name)                                                      \
    int name(const char *path, int flags, ...)                                 \
    {                                                                          \
        va_list arguments;                                                     \
        va_start(arguments, flags);                                            \
        int fd = nth_open(path, flags, arguments);                             \
        va_end(arguments);                                                     \
        return fd;                                                             \
    }

/* With `kind` failing, or the system call `number` on fd and the rest. */
#define NTH_AS(type, name, kind, parameters, number, ...)                      \
    type name parameters                                                       \
    {                                                                          \
        return nth_fails(kind) ? (type)-1                                      \
                               : (type)syscall(number, __VA_ARGS__);           \
    }

#define NTH_DEFINE_CALLS                                                       \
    NTH_OPEN_AS(open)                                                          \
    NTH_OPEN_AS(open64)                                                        \
    NTH_AS(ssize_t, write, NTH_WRITE, (int fd, const void *data, size_t size), \
        SYS_write, fd, data, size)                                             \
    NTH_AS(ssize_t, writev, NTH_WRITE,                                         \
        (int fd, const struct iovec *parts, int count), SYS_writev, fd, parts, \
        count)                                                                 \
    NTH_AS(ssize_t, pwrite, NTH_WRITE,                                         \
        (int fd, const void *data, size_t size, off_t at), SYS_pwrite64, fd,   \
        data, size, at)                                                        \
    NTH_AS(ssize_t, pwrite64, NTH_WRITE,                                       \
        (int fd, const void *data, size_t size, off_t at), SYS_pwrite64, fd,   \
        data, size, at)                                                        \
    NTH_AS(int, ftruncate, NTH_WRITE, (int fd, off_t size), SYS_ftruncate, fd, \
        size)                                                                  \
    NTH_AS(int, ftruncate64, NTH_WRITE, (int fd, off_t size), SYS_ftruncate,   \
        fd, size)                                                              \
    NTH_AS(int, truncate, NTH_WRITE, (const char *path, off_t size),           \
        SYS_truncate, path, size)                                              \
    NTH_AS(int, truncate64, NTH_WRITE, (const char *path, off_t size),         \
        SYS_truncate, path, size)                                              \
    NTH_AS(int, rename, NTH_WRITE, (const char *old, const char *new),         \
        SYS_rename, old, new)                                                  \
    NTH_AS(int, fsync, NTH_SYNC, (int fd), SYS_fsync, fd)                      \
    NTH_AS(int, fdatasync, NTH_SYNC, (int fd), SYS_fdatasync, fd)              \
    NTH_AS(ssize_t, pread, NTH_READ,                                           \
        (int fd, void *data, size_t size, off_t at), SYS_pread64, fd, data,    \
        size, at)                                                              \
    NTH_AS(ssize_t, pread64, NTH_READ,                                         \
        (int fd, void *data, size_t size, off_t at), SYS_pread64, fd, data,    \
        size, at)                                                              \
    NTH_AS(ssize_t, preadv, NTH_READ,                                          \
        (int fd, const struct iovec *parts, int count, off_t at), SYS_preadv,  \
        fd, parts, count, at, 0)                                               \
    NTH_AS(ssize_t, preadv64, NTH_READ,                                        \
        (int fd, const struct iovec *parts, int count, off_t at), SYS_preadv,  \
        fd, parts, count, at, 0)

/* A sanitizer has its own allocator. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NTH_DEFINE_MALLOC
#define NTH_HAS_MALLOC 0
#else
#define NTH_HAS_MALLOC 1
#define NTH_DEFINE_MALLOC                                                      \
    void *__libc_malloc(size_t size);                                          \
    void *__libc_calloc(size_t count, size_t size);                            \
    void *__libc_realloc(void *old, size_t size);                              \
    void *__libc_memalign(size_t alignment, size_t size);                      \
    void *malloc(size_t size)                                                  \
    {                                                                          \
        return nth_fails(NTH_MALLOC) ? NULL : __libc_malloc(size);             \
    }                                                                          \
    void *calloc(size_t count, size_t size)                                    \
    {                                                                          \
        return nth_fails(NTH_MALLOC) ? NULL : __libc_calloc(count, size);      \
    }                                                                          \
    void *realloc(void *old, size_t size)                                      \
    {                                                                          \
        return nth_fails(NTH_MALLOC) ? NULL : __libc_realloc(old, size);       \
    }                                                                          \
    int posix_memalign(void **out, size_t alignment, size_t size)              \
    {                                                                          \
        *out =                                                                 \
            nth_fails(NTH_MALLOC) ? NULL : __libc_memalign(alignment, size);   \
        return *out == NULL ? ENOMEM : 0;                                      \
    }
#endif

#endif
