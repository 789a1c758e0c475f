/* libFuzzer target: a pattern and a text, divided by the first newline. A
 * match ends within its bound and reads nothing else; what must match does. */
#include <stdlib.h>

#include "protocol/glob.h"

#define STEPS 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool holds(struct bytes text, char c)
{
    return text.size > 0 && memchr(text.data, c, text.size) != NULL;
}

/* Every byte of the text behind a backslash matches it and nothing longer. */
static void quoted(struct bytes text)
{
    char *pattern = malloc(text.size * 2 + 1);
    check(pattern != NULL);
    for (size_t i = 0; i < text.size; i++) {
        pattern[i * 2] = '\\';
        pattern[i * 2 + 1] = text.data[i];
    }
    struct bytes whole = bytes_of(pattern, text.size * 2);
    check(glob_match(whole, text, false));
    check(text.size == 0 ||
          !glob_match(whole, bytes_of(text.data, text.size - 1), false));
    free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL) {
        return 0;
    }
    size_t first = (size_t)(end - data), second = size - first - 1, steps;
    /* Each exactly as long as it is; the pattern has room for a star. */
    char *pattern = malloc(first + 1), *text = malloc(second > 0 ? second : 1);
    check(pattern != NULL && text != NULL);
    memcpy(pattern, data, first);
    memcpy(text, end + 1, second);
    struct bytes p = bytes_of(pattern, first), t = bytes_of(text, second);
    bool matches = glob_match_counted(p, t, STEPS, &steps);
    /* An element of the pattern counts as a whole, and again to go back. */
    check(steps <= STEPS + 2 * first + 1);
    if (steps < STEPS) {
        check(glob_match(p, t, false) == matches);
        if (matches && !holds(p, '[') && !holds(p, '\\')) {
            check(glob_match(p, t, true));
            pattern[first] = '*';
            size_t more;
            check(
                second == 0 || glob_match_counted(bytes_of(pattern, first + 1),
                                   t, STEPS * 4, &more));
        }
    }
    if (second > 0) {
        quoted(t);
    }
    free(pattern);
    free(text);
    return 0;
}
