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
struct db;
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
/* Runs a command that was waiting for `key` (block.h) once more, into
 * server->served_reply; see park_serve. */
enum dispatch_result command_serve(
    struct conn *conn, const struct dispatch_input *input, struct bytes key);

/* Runs one command on behalf of outer's connection from inside outer's
 * handler (EXEC, scripts): lookup, arity, rights, the run, its statistics,
 * SLOWLOG and MONITOR. Exactly one reply, an error too, goes to the end of
 * outer->reply; if that is not the server's, its version is left alone. It
 * never waits: values that are on disk though nobody has
 * fetched them beforehand are read at once, for a second at most each
 * (sync_reads in TIER STATS), and room in memory is the caller's business, but
 * for a limit that holds always. What lies in outer's scratch is lost. */
void command_call(struct request *outer, const struct dispatch_input *input);

/* Answers for a command whose values could not be fetched: the cause, or
 * DRY_OK when they could not be kept in RAM. */
void command_refuse_fetch(struct conn *conn, const struct dispatch_input *input,
    enum dry_result cause);

/* Sets what follows from `row` being the command that runs: flags, queued,
 * runs_queue. The rest of the request is complete but for its command. */
void request_set_command(struct request *request, const struct command *row);
/* Bytes of all arguments but the name. */
size_t request_argument_bytes(const struct request *request);

/* Calls fn(context, db, key) for each key of the request whose value its
 * handler needs, until fn returns false. (command_keys.c) */
typedef bool needed_key_fn(void *context, struct db *db, struct bytes key);
void request_each_needed_key(
    const struct request *request, needed_key_fn *fn, void *context);
/* The same for those that are on disk. True when there was any. */
bool request_each_dry_key(
    const struct request *request, needed_key_fn *fn, void *context);

#endif
