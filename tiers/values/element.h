/* Elements: the smallest unit of a collection, a string or an integer.
 *
 *   varint head, then
 *     head odd:  nothing; the integer is zigzag(head >> 1)
 *     head even: head >> 1 bytes of text
 *
 * An element is an integer exactly when its text is the canonical decimal of
 * one whose magnitude is below 2^62; so two elements are equal when their
 * bytes are. Varints are little-endian base 128, shortest form, at most 10
 * bytes. Nothing here allocates. Any thread. */
#ifndef LARDER_TIERS_VALUES_ELEMENT_H
#define LARDER_TIERS_VALUES_ELEMENT_H

#include "protocol/bytes.h"

/* Most bytes that an element of `size` bytes of text takes. */
#define ELEMENT_HEAD_MAX 10
#define ELEMENT_BOUND(size) ((size) + ELEMENT_HEAD_MAX)

/* A decoded element. Integers are printed into `digits` only when their text
 * is asked for. Points into the bytes it was read from. */
struct element {
    bool is_integer;
    int64_t integer;  /* when is_integer */
    struct bytes raw; /* the text when it is not an integer */
    char digits[21];
};

size_t varint_write(char *out, uint64_t value);
/* The position behind the varint, or NULL when it does not end before `end`
 * or is not the shortest form. */
const char *varint_read(const char *at, const char *end, uint64_t *value);
/* The same for who reads on after a failure: NULL goes through. */
static inline const char *varint_read_on(
    const char *at, const char *end, uint64_t *value)
{
    return at == NULL ? NULL : varint_read(at, end, value);
}
size_t varint_size(uint64_t value);

/* Writes the element for `text` to `out` (ELEMENT_BOUND bytes); its size. */
size_t element_write(char *out, struct bytes text);
size_t element_write_integer(char *out, int64_t value);
size_t element_size(struct bytes text);
/* Reads an element of trusted bytes; the position behind it. */
const char *element_read(const char *at, struct element *element);
/* The position behind the element of trusted bytes. */
const char *element_skip(const char *at);
/* The same for bytes that may be damaged: NULL when they are no element in
 * canonical form. */
const char *element_check(const char *at, const char *end);
/* The text, borrowed from the element. */
struct bytes element_text(struct element *element);

#endif
