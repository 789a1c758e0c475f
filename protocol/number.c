#include "protocol/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

size_t number_format_double(char *out, double value)
{
    int size;

    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value &&
        (value != 0 || !signbit(value))) {
        return bytes_from_int64(out, (int64_t)value);
    }
    /* A NaN has a sign, which must not show. */
    size = snprintf(out, NUMBER_DOUBLE_MAX_BYTES, "%.17g",
        isnan(value) ? fabs(value) : value);
    check(size > 0 && size < NUMBER_DOUBLE_MAX_BYTES);
    return (size_t)size;
}

size_t number_format_long_double(char *out, size_t size, long double value)
{
    int printed;
    size_t length;

    check(size >= NUMBER_LONG_DOUBLE_MAX_BYTES);
    if (isinf(value)) {
        return (size_t)snprintf(out, size, value > 0 ? "inf" : "-inf");
    }
    printed = snprintf(out, size, "%.17Lf", value);
    check(printed > 0 && (size_t)printed < size);
    length = (size_t)printed;
    if (memchr(out, '.', length) != NULL) {
        while (out[length - 1] == '0') {
            length--;
        }
        length -= out[length - 1] == '.';
    }
    if (length == 2 && memcmp(out, "-0", 2) == 0) {
        out[0] = '0';
        length = 1;
    }
    out[length] = '\0';
    return length;
}

bool number_parse_long_double(struct bytes text, long double *value)
{
    char copy[NUMBER_LONG_DOUBLE_MAX_BYTES];
    long double parsed;
    char *end;

    if (text.size == 0 || text.size >= sizeof(copy) ||
        isspace((unsigned char)text.data[0])) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    errno = 0;
    parsed = strtold(copy, &end);
    if (end != copy + text.size || isnan(parsed)) {
        return false;
    }
    /* Denormal results also set ERANGE, and are fine. */
    if (errno == ERANGE && (isinf(parsed) || parsed == 0)) {
        return false;
    }
    *value = parsed;
    return true;
}
