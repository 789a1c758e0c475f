/* What a connection has queued between MULTI and EXEC: copies of the commands
 * in chunks that never move, large values as the blobs they arrived in. The
 * memory counts as the client's (multi_bytes), against maxmemory, and is
 * bounded. One thread, the loop's. */
#ifndef LARDER_SERVER_MULTI_H
#define LARDER_SERVER_MULTI_H

#include "server/command.h"
#include "server/dispatch.h"

struct multi_command {
    const struct command *row; /* that runs: a subcommand's own */
    unsigned database;         /* selected when it will run */
    int argc;
    size_t first; /* of its arguments in `words` and `blobs` */
};

struct multi_chunk; /* multi.c */

struct multi {
    struct multi_command *commands;
    unsigned count, capacity;
    struct bytes *words;
    struct blob **blobs; /* by word; one reference each or NULL. NULL as a
                            whole while no word is a blob */
    size_t word_count, word_capacity;
    struct multi_chunk *chunks; /* newest first */
    size_t bytes;               /* in all, blobs included */
    uint32_t flags;             /* of all rows, united */
    bool refused;               /* EXEC answers EXECABORT */
    bool running;               /* EXEC works on it: not to be freed */
    bool abandoned;             /* while running: its connection has closed */
};

/* MULTI: conn->multi, empty; sets CONN_MULTI. */
void multi_begin(struct conn *conn);
/* EXEC, DISCARD, RESET, the connection's end: nothing is queued or watched
 * any more. Twice is allowed. */
void multi_end(struct conn *conn);
/* A command was refused: EXEC will refuse all. What is queued is freed. */
void multi_refuse(struct conn *conn);
/* Frees what server->spare_multi keeps. */
void multi_finish(struct server *server);

/* Whether `row` is queued when it comes behind MULTI. EXEC and its kin are
 * not. */
bool multi_queues(const struct command *row);
/* Queues the request (its command is the row that runs). False, with OOM
 * answered, when the queue is as large as may be. */
bool multi_add(struct request *request);
/* Bytes the connection's queue takes; 0 without one. */
size_t multi_bytes(const struct conn *conn);
/* Number of queued commands, as CLIENT LIST shows it: -1 without MULTI. */
int multi_count(const struct conn *conn);

/* Whether EXEC would run something now, and not answer an error or a null. */
bool multi_will_run(struct conn *conn, int64_t now_ms);
/* What of the queued commands' flags decides whether EXEC may run: whether
 * they write, read, need memory. */
uint32_t multi_flags(const struct conn *conn);
/* As request_each_needed_key, for all queued commands. */
void multi_each_needed_key(
    const struct request *exec, needed_key_fn *fn, void *context);
/* Runs what is queued, one reply each. */
void multi_run(struct request *exec);
/* EXEC itself was refused; its error stands in the reply from `mark` on:
 * makes it an EXECABORT, and ends the transaction. */
void multi_abort(struct request *exec, size_t mark);

#endif
