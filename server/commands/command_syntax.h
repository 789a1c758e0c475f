/* The `syntax` column of the command table, parsed: what COMMAND DOCS answers
 * as arguments and redis-cli shows while one types.
 *
 *   name            an argument           TOKEN        a word as it stands
 *   [ ... ]         optional              < a | b >    one of several
 *   TOKEN name      an argument announced by a word
 *   name [name ...] as often as one likes
 *
 * One thread. */
#ifndef LARDER_SERVER_COMMANDS_COMMAND_SYNTAX_H
#define LARDER_SERVER_COMMANDS_COMMAND_SYNTAX_H

#include "protocol/bytes.h"

enum syntax_kind { SYNTAX_NAME, SYNTAX_TOKEN, SYNTAX_ONEOF, SYNTAX_BLOCK };

struct syntax {
    enum syntax_kind kind;
    struct bytes name;  /* of a SYNTAX_NAME; borrowed from the text */
    struct bytes token; /* the word itself, or the one in front; may be empty */
    bool optional, multiple, multiple_token;
    struct syntax *children, *next; /* children of ONEOF and BLOCK */
};

/* The list of arguments, NULL when there are none. Lives in `scratch`; `text`
 * must live as long. */
struct syntax *syntax_parse(const char *text, struct scratch *scratch);

#endif
