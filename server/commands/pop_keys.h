/* Popping from the first of several keys that is there, at once or after
 * having waited for one: what lists and sorted sets share. One thread. */
#ifndef LARDER_SERVER_COMMANDS_POP_KEYS_H
#define LARDER_SERVER_COMMANDS_POP_KEYS_H

#include "server/block.h"

struct pop_keys {
    int first_key, last_key; /* arguments */
    bool from_end;           /* RIGHT, MAX */
    int64_t count;           /* at least 1 */
};

/* Reads "numkeys key [key ...] <end> [COUNT count]" from argument `numkeys_at`
 * on, the ends being called `start` and `end`. False after an error. */
bool pop_keys_parse(struct request *request, int numkeys_at, const char *start,
    const char *end, struct pop_keys *keys);

/* Answers with elements of the key in argument `key` and removes them. False:
 * the key is not there. True too after WRONGTYPE. */
typedef bool pop_keys_fn(
    struct request *request, int key, const struct pop_keys *keys);
/* Pops from the first key that is there, and answers null if there is none. */
void pop_keys_now(
    struct request *request, const struct pop_keys *keys, pop_keys_fn *pop);
/* The same, but waits for one of `type`; the timeout is in argument
 * `timeout_at`. */
void pop_keys_or_wait(struct request *request, const struct pop_keys *keys,
    pop_keys_fn *pop, enum value_type type, int timeout_at);

#endif
