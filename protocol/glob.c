#include "protocol/glob.h"

/* Signed, as characters are where Redis' ranges are made: from 0x80 to 0xff
 * they come before 0. */
static signed char fold(char c, bool nocase)
{
    return (signed char)(nocase && c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Whether `c` is in the class whose content begins at *at; moves *at behind
 * the class. */
static bool match_class(
    const char **at, const char *end, signed char c, bool nocase)
{
    const char *p = *at;
    bool negated = p < end && *p == '^', found = false;

    p += negated;
    while (p < end && *p != ']') {
        signed char low, high;

        if (*p == '\\' && end - p >= 2) {
            low = high = fold(p[1], nocase);
            p += 2;
        } else if (end - p >= 3 && p[1] == '-') {
            low = fold(p[0], nocase);
            high = fold(p[2], nocase);
            p += 3;
        } else {
            low = high = fold(*p++, nocase);
        }
        found |= low <= high ? c >= low && c <= high : c >= high && c <= low;
    }
    *at = p < end ? p + 1 : p;
    return found != negated;
}

/* Whether `c` matches the pattern's element at *at, which is not a star;
 * moves *at behind it. */
static bool match_one(const char **at, const char *end, char c, bool nocase)
{
    const char *p = *at;

    switch (*p) {
    case '?':
        *at = p + 1;
        return true;
    case '[':
        *at = p + 1;
        return match_class(at, end, fold(c, nocase), nocase);
    case '\\':
        p += end - p >= 2;
        break;
    default:
        break;
    }
    *at = p + 1;
    return fold(*p, nocase) == fold(c, nocase);
}

/* Going back to the last star is enough: whatever an earlier star could take
 * more, the last one can take as well. So the work is at most the product of
 * the two sizes. */
static bool match(struct bytes pattern, struct bytes text, bool nocase,
    size_t max_steps, size_t *taken)
{
    const char *p = pattern.data, *p_end = p + pattern.size;
    const char *t = text.data, *t_end = t + text.size;
    const char *after_star = NULL, *retry = NULL;
    size_t steps = 0;

    *taken = 0;
    if (text.size == 0) {
        return pattern.size == 0 || bytes_equal(pattern, BYTES("*"));
    }
    while (t < t_end) {
        const char *element = p;

        if (p < p_end && *p == '*') {
            after_star = ++p;
            retry = t;
            if (p == p_end) {
                *taken = steps;
                return true;
            }
            continue;
        }
        if (p < p_end && match_one(&p, p_end, *t, nocase)) {
            t++;
        } else if (after_star != NULL) {
            t = ++retry;
            steps += (size_t)(p - element);
            p = after_star;
        } else {
            *taken = steps;
            return false;
        }
        steps += p > element ? (size_t)(p - element) : 1;
        if (steps > max_steps) {
            *taken = steps;
            return false;
        }
    }
    *taken = steps;
    while (p < p_end && *p == '*') {
        p++;
    }
    return p == p_end;
}

bool glob_match(struct bytes pattern, struct bytes text, bool nocase)
{
    size_t steps;

    return match(pattern, text, nocase, GLOB_MAX_STEPS, &steps);
}

bool glob_match_counted(
    struct bytes pattern, struct bytes text, size_t max_steps, size_t *steps)
{
    return match(pattern, text, false, max_steps, steps);
}
