#include "protocol/words.h"

void words_init(struct words *words, struct bytes line, struct scratch *scratch)
{
    *words = (struct words){
        .at = line.data, .end = line.data + line.size, .scratch = scratch};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What ends an unquoted word: fewer characters than are skipped before one,
 * as in Redis. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character an escape stands for; `at` is behind the backslash. */
static char escaped(const char **at, const char *end)
{
    static const char letters[] = "nrtba", meanings[] = "\n\r\t\b\a";
    char c = *(*at)++;
    const char *known;

    if (c == 'x' && end - *at >= 2) {
        int high = hex_digit((*at)[0]), low = hex_digit((*at)[1]);

        if (high >= 0 && low >= 0) {
            *at += 2;
            return (char)(high * 16 + low);
        }
    }
    known = memchr(letters, c, sizeof(letters) - 1);
    return known != NULL ? meanings[known - letters] : c;
}

/* Unquotes up to the closing quote; `*at` is behind the opening one. False
 * when there is none or it does not end the word. */
static bool unquote(const char **at, const char *end, char quote, char **to)
{
    while (*at < end && **at != quote) {
        char c = *(*at)++;

        if (c == '\\' && quote == '"' && *at < end) {
            c = escaped(at, end);
        } else if (c == '\\' && quote == '\'' && *at < end && **at == '\'') {
            c = *(*at)++;
        }
        *(*to)++ = c;
    }
    if (*at == end) {
        return false;
    }
    (*at)++;
    return *at == end || is_space(**at) || **at == '\0';
}

/* A word that has a quote somewhere: `start` to `words->at` came before. */
static enum words_result quoted_word(
    struct words *words, const char *start, struct bytes *word)
{
    const char *at = start;
    char *begin, *to;

    if (words->room == NULL) {
        /* Unquoting never lengthens: all words to come fit here. */
        words->room =
            scratch_alloc(words->scratch, (size_t)(words->end - start));
    }
    begin = to = words->room;
    while (at < words->end && !ends_word(*at)) {
        if (*at == '"' || *at == '\'') {
            char quote = *at++;

            if (!unquote(&at, words->end, quote, &to)) {
                return WORDS_UNBALANCED;
            }
            break;
        }
        *to++ = *at++;
    }
    words->room = to;
    words->at = at;
    *word = bytes_of(begin, (size_t)(to - begin));
    return WORDS_ONE;
}

enum words_result words_next(struct words *words, struct bytes *word)
{
    const char *start, *at = words->at;

    while (at < words->end && is_space(*at)) {
        at++;
    }
    words->at = at;
    if (at == words->end || *at == '\0') {
        return WORDS_END;
    }
    for (start = at; at < words->end && !ends_word(*at); at++) {
        if (*at == '"' || *at == '\'') {
            return quoted_word(words, start, word);
        }
    }
    words->at = at;
    *word = bytes_of(start, (size_t)(at - start));
    return WORDS_ONE;
}
