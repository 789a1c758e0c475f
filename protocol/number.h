/* Floating point numbers as Redis reads and prints them. Any thread. */
#ifndef LARDER_PROTOCOL_NUMBER_H
#define LARDER_PROTOCOL_NUMBER_H

#include "protocol/bytes.h"

/* Enough for every double. */
#define NUMBER_DOUBLE_MAX_BYTES 32
/* Enough for every long double: 4933 digits, point, 17 decimals, sign. */
#define NUMBER_LONG_DOUBLE_MAX_BYTES (5 * 1024)

/* Replies' form: 17 significant digits, "inf", "-inf", "nan". Not
 * terminated; `out` has NUMBER_DOUBLE_MAX_BYTES. Returns the length. */
size_t number_format_double(char *out, double value);

/* INCRBYFLOAT's form: no exponent, at most 17 decimals, no trailing zeros,
 * never "-0". Terminated; `size` is at least NUMBER_LONG_DOUBLE_MAX_BYTES.
 * Returns the length. */
size_t number_format_long_double(char *out, size_t size, long double value);

/* The whole of `text`: decimal, hexadecimal or "inf" in any case. False, and
 * *value alone, for anything else: white space, NaN, more than
 * NUMBER_LONG_DOUBLE_MAX_BYTES - 1 bytes, out of range. */
bool number_parse_long_double(struct bytes text, long double *value);

#endif
