/* Reads of a file, with a ring and without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tiers/dry/ring.h"

enum { FILE_BYTES = 100000, READS = 300 };

/* ---- a kernel of another kind ---- */

static int refused;         /* by io_uring: 0, or an errno ... */
static bool refused_always; /* ... or only when it is asked for flags */
static unsigned interrupts; /* of the next reads */
static unsigned reads_made;

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    __typeof__(&io_uring_queue_init) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "io_uring_queue_init");
    return refused != 0 && (refused_always || flags != 0)
               ? -refused
               : real(entries, ring, flags);
}

static int unlocked; /* errno of a process that may not lock memory, or 0 */

int io_uring_register_buffers(
    struct io_uring *ring, const struct iovec *buffers, unsigned count)
{
    __typeof__(&io_uring_register_buffers) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "io_uring_register_buffers");
    return unlocked != 0 ? -unlocked : real(ring, buffers, count);
}

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at)
{
    __typeof__(&preadv) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "preadv64");
    reads_made++;
    if (interrupts > 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    return real(fd, parts, count, at);
}

static unsigned char byte_at(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 16);
}

static int make_file(void)
{
    char path[] = "/var/tmp/larder-ring-XXXXXX";
    unsigned char *bytes = malloc(FILE_BYTES);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 0; i < FILE_BYTES; i++) {
        bytes[i] = byte_at(i);
    }
    assert_int_equal(write(fd, bytes, FILE_BYTES), FILE_BYTES);
    free(bytes);
    return fd;
}

/* More reads than a ring has entries, of two parts each. The last ones reach
 * beyond the end of the file, with one part or with both. */
static void read_pieces(struct ring *ring)
{
    static unsigned char to[READS][400];
    struct ring_read reads[READS];
    struct iovec parts[READS][2];
    int fd = make_file();
    for (size_t i = 0; i < READS; i++) {
        parts[i][0] = (struct iovec){to[i], 100};
        parts[i][1] = (struct iovec){to[i] + 100, 300};
        reads[i] = (struct ring_read){
            .fd = fd, .at = i * 331, .parts = parts[i], .count = 2};
    }
    reads[READS - 2].at = FILE_BYTES - 200;
    reads[READS - 1].at = FILE_BYTES + 5000;
    ring_read_all(ring, reads, READS);
    for (size_t i = 0; i < READS - 2; i++) {
        assert_int_equal(reads[i].error, 0);
        for (size_t j = 0; j < 400; j++) {
            assert_int_equal(to[i][j], byte_at(i * 331 + j));
        }
    }
    assert_int_equal(reads[READS - 2].error, ENODATA);
    assert_int_equal(reads[READS - 1].error, ENODATA);
    ring_read_all(ring, reads, 0);
    close(fd);
}

static void test_ring(void **state)
{
    struct ring *ring = ring_create();
    (void)state;
    if (ring == NULL) {
        skip(); /* not allowed here */
    }
    read_pieces(ring);
    read_pieces(ring);
    ring_destroy(ring);
}

static void test_without_ring(void **state)
{
    (void)state;
    read_pieces(NULL);
    ring_destroy(NULL);
}

static void expect_bad_file(struct ring *ring)
{
    char to[2][10];
    struct iovec parts[2] = {{to[0], 10}, {to[1], 10}};
    struct ring_read reads[2] = {{.fd = -1, .parts = &parts[0], .count = 1},
        {.fd = -1, .parts = &parts[1], .count = 1}};
    ring_read_all(ring, reads, 2);
    assert_int_equal(reads[0].error, EBADF);
    assert_int_equal(reads[1].error, EBADF);
}

static void test_errors(void **state)
{
    struct ring *ring = ring_create();
    (void)state;
    expect_bad_file(ring);
    expect_bad_file(NULL);
    ring_destroy(ring);
}

/* Linux before 6.1 does not know the flags. */
static void test_older_kernel(void **state)
{
    (void)state;
    refused = EINVAL;
    struct ring *ring = ring_create();
    refused = 0;
    if (ring == NULL) {
        skip(); /* not allowed here */
    }
    read_pieces(ring);
    ring_destroy(ring);
}

/* Many containers do not allow it at all. */
static void test_forbidden(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, EINVAL, ENOMEM};
    (void)state;
    refused_always = true;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        refused = errors[i];
        assert_null(ring_create());
    }
    refused = 0;
    refused_always = false;
}

static void test_interrupted(void **state)
{
    (void)state;
    interrupts = 5;
    reads_made = 0;
    read_pieces(NULL);
    assert_int_equal(interrupts, 0);
    /* One more each, and for each read that comes short of its end. */
    assert_in_range(reads_made, READS + 5, READS + 5 + 2);
}

enum { KNOWN_BYTES = 20000, KNOWN_READS = 60, KNOWN_SIZE = 400 };

/* One after the other before, in and behind the memory that is registered, some
 * across its ends; the last one comes short. */
static void read_to_known_memory(struct ring *ring)
{
    enum { BYTES = KNOWN_READS * KNOWN_SIZE };
    static unsigned char to[BYTES];
    struct ring_read reads[KNOWN_READS];
    struct iovec parts[KNOWN_READS];
    int fd = make_file();
    memset(to, 0, sizeof to);
    ring_register(ring, to + 1900, KNOWN_BYTES);
    for (size_t i = 0; i < KNOWN_READS; i++) {
        parts[i] = (struct iovec){to + i * KNOWN_SIZE, KNOWN_SIZE};
        reads[i] = (struct ring_read){
            .fd = fd, .at = i * 1001, .parts = &parts[i], .count = 1};
    }
    reads[20].at = FILE_BYTES - 100;
    ring_read_all(ring, reads, KNOWN_READS);
    for (size_t i = 0; i < BYTES; i++) {
        size_t read = i / KNOWN_SIZE, within = i % KNOWN_SIZE;
        bool short_one = read == 20;
        assert_int_equal(reads[read].error, short_one ? ENODATA : 0);
        if (!short_one) {
            assert_int_equal(to[i], byte_at(read * 1001 + within));
        } else if (within < 100) {
            assert_int_equal(to[i], byte_at(FILE_BYTES - 100 + within));
        }
    }
    close(fd);
}

static void test_known_memory(void **state)
{
    static const int errors[] = {0, ENOMEM, EPERM, EOPNOTSUPP};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct ring *ring = ring_create();
        if (ring == NULL) {
            skip(); /* not allowed here */
        }
        unlocked = errors[i];
        read_to_known_memory(ring);
        unlocked = 0;
        ring_destroy(ring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_without_ring),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_older_kernel),
        cmocka_unit_test(test_forbidden),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_known_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
