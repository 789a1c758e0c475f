/* What redis-server 7.0.15 answers to SCAN MATCH, and the bound on work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "protocol/glob.h"

static const struct {
    const char *pattern, *text;
    bool matches;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"**", "", false},
    {"*", "abc", true},
    {"?", "", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"*?", "a", true},
    {"?*", "a", true},
    {"a*", "a", true},
    {"a**", "a", true},
    {"*a*", "ba", true},
    {"*abc", "ababc", true},
    {"*abc", "ababd", false},
    {"a*b*c", "axbxbxc", true},
    {"a*b*c", "axbxb", false},
    {"[", "[", false},
    {"[]", "]", false},
    {"[^", "a", true},
    {"[^]", "]", true},
    {"[a", "a", true},
    {"[a", "b", false},
    {"[a-", "-", true},
    {"[a-]", "^", true},
    {"[a-]", "-", false},
    {"[\x87-\x01]", "c", false},
    {"[\x87-\x01]", "\x90", true},
    {"[\x01-\x87]", "\xff", true},
    {"[]a]", "a", false},
    {"[^]a]", "b", false},
    {"[z-a]", "e", true},
    {"[a\\]]", "]", true},
    {"\\", "\\", true},
    {"\\a", "a", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\", "a\\", true},
    {"*\\", "a\\", true},
    {"[\\", "\\", true},
    {"[a\\", "\\", true},
    {"[a-c]x", "ax", true},
    {"[^a]", "b", true},
    {"[^a]", "a", false},
    {"[-a]", "-", true},
    {"[^-a]", "-", false},
    {"a[b", "ab", true},
    {"[[]", "[", true},
    {"[a]]", "a]", true},
    {"[\\a-c]", "b", false},
    {"[\\a-c]", "-", true},
    {"[a-\\c]", "^", true},
    {"[a-\\]]", "a]", true},
    {"[^^]", "^", false},
    {"[a^]", "^", true},
    {"[a-c-e]", "d", false},
    {"*[", "a", false},
    {"*[a", "ba", true},
    {"x*]", "x]", true},
    {"*[^", "ab", true},
    {"[!a]", "!", true},
    {"A", "a", false},
};

static struct bytes text_bytes(const char *text)
{
    return bytes_of(text, strlen(text));
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool matches = glob_match(
            text_bytes(cases[i].pattern), text_bytes(cases[i].text), false);

        if (matches != cases[i].matches) {
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
        }
    }
}

static void test_nocase(void **state)
{
    (void)state;
    assert_true(glob_match(BYTES("MaX*"), BYTES("maxmemory"), true));
    assert_true(glob_match(BYTES("[A-C]"), BYTES("b"), true));
    assert_true(glob_match(BYTES("[a-c]"), BYTES("B"), true));
    assert_true(glob_match(BYTES("[^A]"), BYTES("b"), true));
    assert_false(glob_match(BYTES("[^A]"), BYTES("a"), true));
    assert_false(glob_match(BYTES("MAX"), BYTES("max"), false));
    assert_true(glob_match(BYTES("x\0?"), BYTES("x\0z"), false));
}

/* Against the definition, on all short patterns over a small alphabet. */
static bool naive(const char *p, const char *t)
{
    if (*p == '*') {
        return naive(p + 1, t) || (*t != '\0' && naive(p, t + 1));
    }
    if (*p == '\0' || *t == '\0') {
        return *p == *t;
    }
    return (*p == '?' || *p == *t) && naive(p + 1, t + 1);
}

static void test_against_definition(void **state)
{
    static const char pattern_letters[] = "ab?*", text_letters[] = "ab";

    (void)state;
    for (unsigned p = 0; p < 1u << 12; p++) {
        char pattern[7] = {0};

        for (unsigned i = 0; i < 6; i++) {
            pattern[i] = pattern_letters[p >> 2 * i & 3];
        }
        for (unsigned t = 0; t < 1u << 7; t++) {
            char text[8] = {0};

            for (unsigned i = 0; i < 7; i++) {
                text[i] = text_letters[t >> i & 1];
            }
            assert_int_equal(
                glob_match(text_bytes(pattern), text_bytes(text), false),
                naive(pattern, text));
        }
    }
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_work_is_bounded(void **state)
{
    enum { SIZE = 100000 };
    char *text = malloc(SIZE), *pattern = malloc(SIZE);
    double start = seconds();

    (void)state;
    memset(text, 'a', SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        pattern[i] = i % 2 ? '*' : 'a';
    }
    pattern[SIZE - 1] = 'b';
    assert_false(
        glob_match(bytes_of(pattern, SIZE), bytes_of(text, SIZE), false));
    for (size_t i = 0; i < SIZE; i++) {
        pattern[i] = i % 2 ? '?' : '*';
    }
    assert_true(
        glob_match(bytes_of(pattern, SIZE), bytes_of(text, SIZE), false));
    memset(pattern, 'a', SIZE);
    pattern[0] = '*';
    pattern[SIZE / 2] = 'b';
    assert_false(
        glob_match(bytes_of(pattern, SIZE / 2 + 1), bytes_of(text, SIZE), 0));
    pattern[1] = '[';
    assert_false(
        glob_match(bytes_of(pattern, SIZE), bytes_of(text, SIZE), false));
    assert_true(seconds() - start < 2);
    free(text);
    free(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nocase),
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_work_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
