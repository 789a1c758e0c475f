/* Redis' patterns: * ? [a-z] [^x] and \ before a character. Any thread. */
#ifndef LARDER_PROTOCOL_GLOB_H
#define LARDER_PROTOCOL_GLOB_H

#include "protocol/bytes.h"

/* Comparisons one match may take: about 10 ms. Only patterns and texts of
 * many kilobytes each can get there. */
#define GLOB_MAX_STEPS (4 * 1024 * 1024)

/* True when the whole of `text` matches. As in KEYS an empty text matches
 * "" and "*" only, a class may lack its end, and a backwards range is
 * turned around. A match that takes more than GLOB_MAX_STEPS is false. */
bool glob_match(struct bytes pattern, struct bytes text, bool nocase);
/* The same with case, and a bound of its own: *steps is how many it took. */
bool glob_match_counted(
    struct bytes pattern, struct bytes text, size_t max_steps, size_t *steps);

#endif
