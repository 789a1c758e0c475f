/* From one parsed command to its handler: lookup, arity, rights, loading,
 * admission, residency of keys, the run itself and its bookkeeping. */
#ifndef LARDER_SERVER_DISPATCH_H
#define LARDER_SERVER_DISPATCH_H

#include "protocol/bytes.h"
#include "tiers/dry/store.h"

struct blob;
struct command;
struct config;
struct conn;
struct request;

/* Rows found lately, by the very bytes of the name: pipelines use few names
 * and spell them alike. Zeroed struct = empty. */
#define COMMAND_CACHE_BITS 6
#define COMMAND_CACHE_NAME_MAX 16
struct command_cache {
    struct command_cache_slot {
        uint64_t packed[2]; /* the name, with its size */
        size_t size;
        const struct command *row;
        bool is_container;
    } slots[1 << COMMAND_CACHE_BITS];
};
/* As config_find_command, but quick; *is_container as command_is_container.
 * Always the same `config` for a cache. */
const struct command *command_cache_find(struct command_cache *cache,
    const struct config *config, struct bytes name, bool *is_container);

enum dispatch_result {
    DISPATCH_DONE,        /* answered */
    DISPATCH_NEEDS_FETCH, /* a needed value is on disk: call park_for_fetch */
    DISPATCH_PARKED,      /* waits; dispatch again when it was let go */
};

/* One command of a connection. `row` and `is_container` are what
 * command_cache_find gave for argv[0], `blobs` is as in struct request. */
struct dispatch_input {
    const struct command *row;
    bool is_container;
    int argc;
    const struct bytes *argv;
    struct blob **blobs;
};
enum dispatch_result command_dispatch(
    struct conn *conn, const struct dispatch_input *input);
/* Answers for a command whose values could not be fetched: the cause, or
 * DRY_OK when they could not be kept in RAM. */
void command_refuse_fetch(struct conn *conn, const struct dispatch_input *input,
    enum dry_result cause);

/* Calls fn(context, key) for each key of the request whose value its handler
 * needs and that is on disk, until fn returns false. True when there was
 * any. */
typedef bool dry_key_fn(void *context, struct bytes key);
bool request_each_dry_key(
    const struct request *request, dry_key_fn *fn, void *context);

#endif
