/* The n-th read, write or flush of a file fails, or comes short: once, then all
 * is as before. */
#ifndef LARDER_TESTS_UNIT_NTH_IO_H
#define LARDER_TESTS_UNIT_NTH_IO_H

#include "tests/unit/nth_call.h"

enum { NTH_IO_SECTOR = 512 };

/* One thread only. */
static struct {
    enum nth_kind kind;
    unsigned nth, calls, failed;
    bool comes_short; /* half of it is done */
} nth_io;

static inline void nth_io_plan(
    enum nth_kind kind, unsigned nth, bool comes_short)
{
    nth_io.kind = kind;
    nth_io.nth = nth;
    nth_io.comes_short = comes_short;
    nth_io.calls = nth_io.failed = 0;
}

/* How much of `size` bytes is done by the call that was counted last: whole
 * sectors, and less than one at once. */
static inline size_t nth_io_done(enum nth_kind kind, size_t size)
{
    bool now = nth_io.kind == kind && nth_io.calls == nth_io.nth;
    size_t sectors = size / NTH_IO_SECTOR / 2;
    return now && nth_io.comes_short && sectors > 0 ? sectors * NTH_IO_SECTOR
                                                    : size;
}

#define NTH_IO_AS(name, kind, type, number)                                    \
    ssize_t name(int fd, type data, size_t size, off_t at)                     \
    {                                                                          \
        return nth_fails(kind)                                                 \
                   ? -1                                                        \
                   : syscall(number, fd, data, nth_io_done(kind, size), at);   \
    }

#define NTH_IO_DEFINE_CALLS                                                    \
    bool nth_fails(enum nth_kind kind)                                         \
    {                                                                          \
        if (nth_io.kind != kind || ++nth_io.calls != nth_io.nth) {             \
            return false;                                                      \
        }                                                                      \
        nth_io.failed++;                                                       \
        errno = EIO;                                                           \
        return !nth_io.comes_short;                                            \
    }                                                                          \
    NTH_IO_AS(pread, NTH_READ, void *, SYS_pread64)                            \
    NTH_IO_AS(pread64, NTH_READ, void *, SYS_pread64)                          \
    NTH_IO_AS(pwrite, NTH_WRITE, const void *, SYS_pwrite64)                   \
    NTH_IO_AS(pwrite64, NTH_WRITE, const void *, SYS_pwrite64)                 \
    NTH_AS(ssize_t, writev, NTH_WRITE,                                         \
        (int fd, const struct iovec *parts, int count), SYS_writev, fd, parts, \
        count)                                                                 \
    NTH_AS(int, fdatasync, NTH_SYNC, (int fd), SYS_fdatasync, fd)

#endif
