#include "tiers/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define NUMBER_MAX (INT64_C(1) << 62)
#define DURATION_MAX_MS (INT64_C(100) * 366 * 86400 * 1000)

struct unit {
    const char *name;
    int64_t factor;
};

/* The first that divides a number is the one it is written with. */
static const struct unit sizes[] = {
    {"gb", INT64_C(1) << 30},
    {"mb", INT64_C(1) << 20},
    {"kb", INT64_C(1) << 10},
    {"", 1},
    {"b", 1},
    {"g", 1000000000},
    {"m", 1000000},
    {"k", 1000},
    {NULL, 0},
};
static const struct unit durations[] = {
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
    {NULL, 0},
};

/* The digits at the beginning of `text`; NULL when there are none, or too
 * many. Else what follows them. */
static const char *parse_digits(const char *text, int64_t *number)
{
    const char *end = text;
    *number = 0;
    for (; *end >= '0' && *end <= '9'; end++) {
        *number = *number * 10 + (*end - '0');
        if (*number > NUMBER_MAX / 16) {
            return NULL;
        }
    }
    return end == text ? NULL : end;
}

static bool parse(
    const char *text, const struct unit *units, int64_t high, int64_t *value)
{
    int64_t number = 0;
    const char *name = parse_digits(text, &number);
    for (; name != NULL && units->name != NULL; units++) {
        if (strcasecmp(units->name, name) == 0) {
            bool fits = number <= high / units->factor;
            *value = fits ? number * units->factor : 0;
            return fits;
        }
    }
    return false;
}

bool unit_parse_bytes(const char *text, int64_t *bytes)
{
    return parse(text, sizes, NUMBER_MAX, bytes);
}

bool unit_parse_duration(const char *text, int64_t *ms)
{
    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return true;
    }
    return parse(text, durations, DURATION_MAX_MS, ms);
}

bool unit_parse_count(const char *text, int64_t *count)
{
    const char *end = parse_digits(text, count);
    return end != NULL && *end == '\0';
}

static void format(int64_t value, const struct unit *units, char *out)
{
    while (value % units->factor != 0) {
        units++;
    }
    snprintf(out, UNIT_TEXT_BYTES, "%" PRId64 "%s", value / units->factor,
        units->name);
}

void unit_format_bytes(int64_t bytes, char *out)
{
    if (bytes == 0) {
        snprintf(out, UNIT_TEXT_BYTES, "0");
        return;
    }
    format(bytes, sizes, out);
}

void unit_format_duration(int64_t ms, char *out)
{
    if (ms == 0) {
        snprintf(out, UNIT_TEXT_BYTES, "0");
        return;
    }
    format(ms, durations, out);
}
