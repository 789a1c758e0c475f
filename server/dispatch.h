/* From one parsed command to its handler: lookup, arity, rights, loading,
 * admission, residency of keys, the run itself and its bookkeeping. */
#ifndef LARDER_SERVER_DISPATCH_H
#define LARDER_SERVER_DISPATCH_H

#include "protocol/bytes.h"

struct blob;
struct command;
struct conn;

/* Rows found lately, by the very bytes of the name: pipelines use few names
 * and spell them alike. Zeroed struct = empty. */
#define COMMAND_CACHE_SLOTS 64
struct command_cache {
    struct command_cache_slot {
        char name[16];
        size_t size;
        const struct command *row;
    } slots[COMMAND_CACHE_SLOTS];
};
/* As command_find, but quick. Containers are not resolved to subcommands. */
const struct command *command_cache_find(
    struct command_cache *cache, struct bytes name);

enum dispatch_result {
    DISPATCH_DONE,   /* answered */
    DISPATCH_PARKED, /* must wait; dispatch again when it was let go */
};

/* One command of a connection. `row` is what command_cache_find gave for
 * argv[0], `blobs` is as in struct request. */
struct dispatch_input {
    const struct command *row;
    const struct bytes *argv;
    int argc;
    struct blob **blobs;
};
enum dispatch_result command_dispatch(
    struct conn *conn, const struct dispatch_input *input);

#endif
