/* What the files of list commands share. */
#ifndef LARDER_SERVER_COMMANDS_LIST_H
#define LARDER_SERVER_COMMANDS_LIST_H

#include "server/commands/typed.h"
#include "tiers/values/list.h"

/* "lpop" and "rpop", "lpush" and "rpush". */
const char *list_pop_event(enum list_end end);
const char *list_push_event(enum list_end end);
/* Answers and removes the elements number first .. first + count - 1, in that
 * order or from the last to the first. The header is the caller's. */
void list_reply_range(struct request *request, struct collection *list,
    uint64_t first, uint64_t count, bool backwards);
/* LEFT or RIGHT in argument `index`; false after a syntax error. */
bool list_arg_end(struct request *request, int index, enum list_end *end);
/* Moves an element from one end of the list in argument 1 to an end of the
 * one in argument 2 and answers it. */
void list_move(struct request *request, enum list_end from, enum list_end to);

#endif
