/* What writes and flushes the data file, in place of libc's: for one source
 * file of a program, which defines all but pwrite64. They take the place for
 * the LMDB library too, under the names that it and the store were linked with.
 */
#ifndef LARDER_TESTS_UNIT_STAND_IN_H
#define LARDER_TESTS_UNIT_STAND_IN_H

#include <sys/types.h>
#include <sys/uio.h>

ssize_t stand_in_pwrite(
    int fd, const void *data, size_t size, off_t offset) __asm__("pwrite");
ssize_t stand_in_pwrite64(
    int fd, const void *data, size_t size, off_t offset) __asm__("pwrite64");
ssize_t stand_in_writev(int fd, const struct iovec *parts, int count) __asm__(
    "writev");
int stand_in_fdatasync(int fd) __asm__("fdatasync");

ssize_t stand_in_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return stand_in_pwrite(fd, data, size, offset);
}

#endif
