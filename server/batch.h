/* A batch: the commands found in one stretch of a connection's input, parsed
 * ahead so that the memory they will touch can be fetched while the first
 * ones run. */
#ifndef LARDER_SERVER_BATCH_H
#define LARDER_SERVER_BATCH_H

#include "protocol/resp.h"

struct command;
struct conn;
struct server;

#define BATCH_COMMANDS 64

struct batch_command {
    struct resp_command parsed;
    const struct command *row; /* NULL: unknown */
    bool is_container;         /* argv[1] picks the row proper */
};

/* Zeroed struct = empty. */
struct batch {
    struct resp_args args;
    struct batch_command commands[BATCH_COMMANDS];
    unsigned count, next; /* next: the first that has not run */
};

enum batch_result {
    BATCH_DONE,   /* everything whole has run; the rest needs more input */
    BATCH_PARKED, /* the connection waits; what has not run is kept */
    BATCH_CLOSED, /* the connection is going away: drop its input */
};

/* Parses and runs what is in window[conn->input_used ... size). Updates
 * conn->input_used. The replies are in server->reply, unless they have become
 * so many that some were flushed. BATCH_PARKED: the arguments of the batch
 * that was moved to conn->park still lie in the window. */
enum batch_result batch_run_input(
    struct conn *conn, const char *window, size_t size);
/* Brings what is looked at first of the keys of `batch`, from batch->next on,
 * into the processor's caches. */
void batch_prefetch(struct conn *conn, const struct batch *batch);
/* Runs the commands of `batch` from batch->next on. */
enum batch_result batch_run(struct conn *conn, struct batch *batch);

#endif
