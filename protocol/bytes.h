/* The ground all folders stand on: borrowed byte ranges, shared blobs, a
 * scratch arena, and allocation and checks that abort instead of failing.
 *
 * A `struct bytes` never owns what it points at: whoever receives one may
 * read it until the giver's next call and must not store it.
 * Single-threaded unless a function says otherwise. */
#ifndef LARDER_PROTOCOL_BYTES_H
#define LARDER_PROTOCOL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed range. `data` may be NULL only when `size` is 0. */
struct bytes {
    const char *data;
    size_t size;
};

/* A string literal as bytes, without its terminator. */
#define BYTES(literal)                                                         \
    ((struct bytes){.data = (literal), .size = sizeof(literal) - 1})

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Lexicographic order of unsigned bytes, the shorter first on a tie. */
int bytes_compare(struct bytes a, struct bytes b);

/* True when both are the same ASCII text, letters compared without case. */
bool bytes_equal_nocase(struct bytes a, const char *text);

/* The whole of `text` as a decimal integer in the canonical form (no sign but
 * '-', no leading zeros, no spaces, "-0" refused), as Redis accepts it.
 * False leaves `*value` alone. */
bool bytes_to_int64(struct bytes text, int64_t *value);

/* Decimal digits of `value` into `out` (at least 21 bytes, not terminated);
 * the number of bytes written. */
size_t bytes_from_int64(char *out, int64_t value);

/* A bug: print the text and abort. Always compiled in. */
#define check(condition)                                                       \
    ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
_Noreturn void check_failed(const char *condition, const char *file, int line);

/* malloc, calloc and realloc that abort when memory is exhausted. For sizes
 * the program chooses; sizes a client chooses are bounded before. Free with
 * free(). Any thread. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
/* Zeroed memory in whole lines of the processor's cache: of LINE_BYTES, at a
 * multiple of it. `size` is one, too, and not 0. */
#define LINE_BYTES 64
void *xcalloc_lines(size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);

/* A reference-counted heap buffer: a large value that several replies and
 * the keyspace share. The count is not atomic: one thread. `capacity` bytes
 * are allocated behind `size`, so that APPEND need not copy each time.
 * A blob with refs > 1 must not be written to. */
struct blob {
    uint32_t refs;
    size_t size;
    size_t capacity;
    char data[];
};

/* A blob with one reference, `size` bytes uninitialised, and the same
 * capacity. NULL when memory is exhausted: `size` may come from a client. */
struct blob *blob_create(size_t size);
struct blob *blob_copy(struct bytes content);
/* The blob with room for `capacity` bytes (at least its size), possibly
 * moved; the new part is uninitialised. `blob` must have one reference, which
 * the result takes over. NULL, and `blob` untouched, when memory is
 * exhausted. */
struct blob *blob_reserve(struct blob *blob, size_t capacity);
struct blob *blob_ref(struct blob *blob);
/* Drops one reference, frees at the last. NULL is allowed. */
void blob_unref(struct blob *blob);
static inline struct bytes blob_bytes(const struct blob *blob)
{
    return bytes_of(blob->data, blob->size);
}

/* Memory that lives as long as one request: allocate at will, free all at
 * once with scratch_reset. Zeroed struct = empty. */
struct scratch {
    struct scratch_chunk *chunks;
};
/* `size` uninitialised bytes, aligned for any type; never NULL. */
void *scratch_alloc(struct scratch *scratch, size_t size);
void scratch_reset(struct scratch *scratch);

#endif
