/* What the files of string commands share. One thread; everything here acts
 * on the request's selected database. */
#ifndef LARDER_SERVER_COMMANDS_STRING_H
#define LARDER_SERVER_COMMANDS_STRING_H

#include "server/command.h"

/* Answers the whole content of a resident string entry, a null when `entry`
 * is NULL. Large values are sent from where they lie. */
void string_reply(struct request *request, const struct entry *entry);

/* Writes argument `value` over whatever is at the key in argument `key`,
 * without copying it when it arrived in a blob of its own. `expiry_ms` as in
 * db_set_string. */
void string_store(
    struct request *request, int key, int value, int64_t expiry_ms);
/* Counts and tells that the string at `key` has changed; `event` as in
 * keyspace_event. */
void string_changed(
    struct request *request, struct bytes key, const char *event);
/* Both, the event being "set". */
void string_set(struct request *request, int key, int value, int64_t expiry_ms);

/* A string that stays where it is while other keys are looked up. */
struct string_hold {
    struct bytes text;
    struct blob *blob; /* a reference, or NULL: the text is in the scratch */
};
/* Holds the string at `key`, empty when there is no key; a use of the key.
 * False after having answered WRONGTYPE, and nothing is held then. */
bool string_hold(
    struct request *request, struct bytes key, struct string_hold *hold);
void string_release(struct string_hold *hold);

/* False after having answered that a string of `size` bytes grown by `extra`
 * would be longer than proto-max-bulk-len. */
bool string_length_allowed(
    struct request *request, uint64_t size, uint64_t extra);

#endif
