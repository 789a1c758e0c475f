/* Splits a line into words by Redis' quoting rules, as inline commands and
 * redis.conf use them: words are separated by white space; "..." knows \n \r
 * \t \b \a \xHH and \ before any other character, '...' knows \'; a closing
 * quote must end the word. One thread a reader. */
#ifndef LARDER_PROTOCOL_WORDS_H
#define LARDER_PROTOCOL_WORDS_H

#include "protocol/bytes.h"

struct words {
    const char *at, *end;
    struct scratch *scratch; /* where unquoted words are put */
    char *room;              /* NULL until the first quoted word */
};

enum words_result { WORDS_ONE, WORDS_END, WORDS_UNBALANCED };

/* `line` and `scratch` are borrowed as long as the words are used. */
void words_init(
    struct words *words, struct bytes line, struct scratch *scratch);
/* The next word, a slice of the line or of the scratch memory. */
enum words_result words_next(struct words *words, struct bytes *word);

#endif
