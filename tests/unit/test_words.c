/* Lines into words, by the quoting rules of Redis' inline commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "protocol/words.h"

/* The words joined by '|'; "!" at the end: quotes that do not fit. */
static const struct {
    const char *line;
    size_t size;
    const char *words;
} cases[] = {
#define CASE(line, words)                                                      \
    {                                                                          \
        line, sizeof(line) - 1, words                                          \
    }
    CASE("", ""),
    CASE(" \t\v\f ", ""),
    CASE("a b\tc\rd\ne", "a|b|c|d|e|"),
    CASE("a\vb", "a\vb|"), /* skipped before a word, but does not end one */
    CASE("a\0b c", "a|"),
    CASE("\0a", ""),
    CASE("\"a b\" 'c d'", "a b|c d|"),
    CASE("a\"b\" c", "ab|c|"),
    CASE("\"\"", "|"),
    CASE("\"\\n\\r\\t\\b\\a\\q\\\"\"", "\n\r\t\b\aq\"|"),
    CASE("\"\\x41\\x4a\\x4A\\x4\"", "AJJx4|"),
    CASE("\"\\xg1\\x1g\\x/1\"", "xg1x1gx/1|"),
    CASE("\"\\x4", "!"),
    CASE("\"a\\", "!"),
    CASE("'a\\'b' '\\n' c", "a'b|\\n|c|"),
    CASE("'a\\", "!"),
    CASE("'a", "!"),
    CASE("\"a\"b", "!"),
    CASE("a 'b'\"c\"", "a|!"),
    CASE("\"a\"\0b", "a|"),
    CASE("\"a\"\vb", "a|b|"),
};

static void lines_become_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scratch scratch = {0};
        struct words words;
        struct bytes word;
        enum words_result result;
        char got[64];
        size_t used = 0;
        words_init(&words, bytes_of(cases[i].line, cases[i].size), &scratch);
        while ((result = words_next(&words, &word)) == WORDS_ONE) {
            memcpy(got + used, word.data, word.size);
            used += word.size;
            got[used++] = '|';
        }
        if (result == WORDS_UNBALANCED) {
            got[used++] = '!';
        }
        got[used] = '\0';
        assert_string_equal(got, cases[i].words);
        scratch_reset(&scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
