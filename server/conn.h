/* A client connection: socket, parse state, output, and what it waits for.
 *
 * Life: conn_create on accept; conn_close_soon (any time, also from inside a
 * handler) marks it; it is freed in one place, the libuv close callback.
 * Only the loop that owns it reads or writes it. An idle connection holds no
 * buffers: input is parsed in the server's shared read buffer, output goes
 * through the server's shared reply.
 *
 *   conn.c        life, lookup, figures for CLIENT LIST
 *   conn_read.c   bytes from the socket, and their way to batch.c
 *   conn_write.c  replies to the socket, the queue behind a slow reader
 *   conn_held.c   replies that wait until what they tell of is on disk, or for
 *                 the rest of an answer */
#ifndef LARDER_SERVER_CONN_H
#define LARDER_SERVER_CONN_H

#include <uthash.h>
#include <uv.h>

#include "protocol/reply.h"
#include "protocol/resp.h"
#include "server/batch.h"
#include "server/coalesce.h"
#include "tiers/engine.h"

struct server;
struct command;
struct acl_user;
struct park;       /* park.h */
struct segment;    /* conn_write.c */
struct writer;     /* conn_write.c */
struct multi;      /* multi.h */
struct watch;      /* watch.h */
struct block;      /* block.h */
struct subscriber; /* pubsub.c */
struct tracker;    /* tracking.h */

enum conn_flags {
    CONN_UNIX = 1 << 0,
    CONN_AUTHENTICATED = 1 << 1,
    CONN_MONITOR = 1 << 2,
    CONN_CLOSE_AFTER_REPLY = 1 << 3, /* write what is queued, then close */
    CONN_CLOSING = 1 << 4,           /* being closed: touch nothing */
    CONN_NO_EVICT = 1 << 5,
    CONN_REPLY_OFF = 1 << 6,
    CONN_REPLY_SKIP = 1 << 7,     /* the next command's reply */
    CONN_REPLY_SKIP_NOW = 1 << 8, /* this command's reply */
    CONN_PARKED = 1 << 9,         /* waits; its input is not parsed */
    CONN_NO_TOUCH = 1 << 10,
    CONN_READING = 1 << 11,      /* the loop delivers its input */
    CONN_OUTPUT_HELD = 1 << 12,  /* replies wait for a sync */
    CONN_FLUSH_QUEUED = 1 << 13, /* in server->flush_list */
    CONN_ANSWER_WAITS = 1 << 14, /* in server->answers */
    CONN_MULTI = 1 << 15,        /* queues commands: conn->multi */
    CONN_WATCH_BROKEN = 1 << 16, /* a watched key has changed */
};

enum conn_wait {
    CONN_WAIT_NONE,
    CONN_WAIT_FETCH,   /* for values on disk */
    CONN_WAIT_ROOM,    /* for memory */
    CONN_WAIT_SYNC,    /* for its writes to be durable */
    CONN_WAIT_PAUSE,   /* CLIENT PAUSE */
    CONN_WAIT_TURN,    /* its share of this turn is used up */
    CONN_WAIT_OUTPUT,  /* for the client to read its replies */
    CONN_WAIT_RETRY,   /* a handler's own wait */
    CONN_WAIT_BLOCKED, /* for a key to have something (block.h) */
};

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct server *server;
    struct conn *next, *prev;
    UT_hash_handle hh; /* server->conn_by_id */
    uint64_t id;
    uint32_t flags;
    uint8_t resp_version;
    uint8_t wait; /* enum conn_wait */
    uint16_t db;
    struct acl_user *user; /* never NULL; of server->acl */
    int64_t created_ms, last_used_ms;
    struct coalesce_client reads;
    char *name, *lib_name, *lib_version; /* heap or NULL */
    const struct command *last_command;
    struct conn *next_monitor, *prev_monitor; /* server->monitors */
    struct multi *multi;   /* what is queued between MULTI and EXEC, or NULL */
    struct watch *watches; /* keys it watches (watch.h) */
    unsigned watch_count;
    struct block *block; /* what its command waits for (block.h), or NULL */
    struct tier_move *tier_move;   /* TIER DEMOTE, FLUSH under way, or NULL */
    struct tracker *tracker;       /* in tracking mode (tracking.h), or NULL */
    struct subscriber *subscriber; /* its subscriptions, NULL: none */

    struct resp_parser parser;
    /* Input that could not be used up: an incomplete command, or all that
     * came in behind a command that waits. Heap, NULL when there is none. */
    char *input;
    size_t input_size, input_used; /* used: parsed already, not yet run */
    struct park *park;             /* while CONN_PARKED */
    /* Replies the socket did not take at once, and those that are kept or held
     * back. */
    struct segment *output_first, *output_last;
    size_t output_bytes;
    int64_t output_over_soft_ms; /* since when above the soft limit, or 0 */
    struct writer *writer;       /* a libuv write under way */
    struct conn *flush_next, *flush_prev; /* server->flush_list */
};

/* ---- life ---- */

/* Accepts the next connection waiting on `listener`. NULL when it could not
 * be accepted. */
struct conn *conn_create(
    struct server *server, uv_stream_t *listener, bool unix_socket);
/* Closes it and forgets its output. At once, except that a connection whose
 * command is running just now finishes that first. Twice is allowed. */
void conn_close_soon(struct conn *conn);
/* Closes it once everything queued has been written. */
void conn_close_after_reply(struct conn *conn);
/* What the parser allows it now. */
const struct resp_limits *conn_limits(const struct conn *conn);
/* Starts or stops delivery of input, by what the connection's state says. */
void conn_update_reading(struct conn *conn);
/* At once. conn_update_reading leaves a parked connection to be stopped by the
 * first input that comes. */
void conn_stop_reading(struct conn *conn);

/* ---- for CLIENT LIST, KILL, PAUSE ---- */

struct conn *conn_find(struct server *server, uint64_t id);
/* "127.0.0.1:6379", "[::1]:6379" as Redis prints them, or "path:0" of a Unix
 * socket; the peer's address and our own. */
#define CONN_ADDRESS_BYTES 128
void conn_address(struct conn *conn, char out[CONN_ADDRESS_BYTES]);
void conn_local_address(struct conn *conn, char out[CONN_ADDRESS_BYTES]);
/* Whether the peer is on this machine: Unix socket or loopback address. */
bool conn_is_local(struct conn *conn);
/* Whether it may run commands: it gave the password, or there is none. */
bool conn_is_admitted(const struct conn *conn);
/* Whether it speaks RESP2 and has subscriptions: what it reads may be messages
 * as well as replies. */
static inline bool conn_in_subscriber_mode(const struct conn *conn)
{
    return conn->subscriber != NULL && conn->resp_version == 2;
}
/* The socket's file descriptor, or -1. */
int conn_fd(const struct conn *conn);

/* Bytes of input kept unparsed; bytes of output not yet taken by the kernel;
 * bytes of RAM the connection takes in all. */
size_t conn_input_bytes(const struct conn *conn);
size_t conn_output_bytes(const struct conn *conn);
size_t conn_memory_bytes(const struct conn *conn);

/* CLIENT PAUSE and UNPAUSE: sets until when, and lets the parked ones go. */
void conn_pause_all(struct server *server, int64_t until_ms, bool writes_only);
void conn_unpause_all(struct server *server);

/* ---- output from outside the connection's own commands ---- */

/* For MONITOR's lines, published messages, invalidations: queues them on any
 * connection, behind all that it has been answered; they are written at the
 * end of this turn of the loop. Large blobs are shared, the rest is copied.
 * Whether its replies are muted (CLIENT REPLY) does not matter. To the
 * connection whose command is running they go before that command's reply
 * when none of it is written yet, else behind it: never into it. Answers that
 * wait to be written are written first, which may close connections. */
void conn_send_reply(struct conn *conn, const struct reply *message);
void conn_send(struct conn *conn, struct bytes bytes);
/* Around the handler of each command that is not nested. */
void conn_begin_reply(struct conn *conn);
void conn_end_reply(struct conn *conn);

/* The reply to a command that was waiting (block.h), which is cleared: sends
 * it at once if the socket takes it. Only while no answers wait. */
void conn_send_served(struct conn *conn, struct reply *reply);

/* ---- between the conn_*.c files, batch.c and park.c ---- */

/* uv_read_start's callbacks. */
void conn_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
void conn_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer);
/* What follows when the commands of a parked batch have been run again, with
 * that result: the input behind them, the replies. */
void conn_go_on(struct conn *conn, enum batch_result result);

/* The reply to a connection's input stands complete at the end of
 * server->reply: it will be written by conn_send_answers, or is now. */
void conn_answer(struct conn *conn);
/* The same while the connection waits for the disk: a small one is kept in the
 * connection's queue, so that one write brings all of the answer. */
void conn_keep_answer(struct conn *conn);
/* The wait is over: what was kept stands at the end of server->reply again,
 * where nothing of the connection's may be yet. Unless it was written, as the
 * disk took long, or something else was queued behind it. */
void conn_take_kept(struct conn *conn);
/* Writes the answers of this round so far. */
void conn_send_answers(struct server *server);
/* Sends what stands at the end of server->reply now, behind what is queued
 * already. While CONN_OUTPUT_HELD it is only queued. */
void conn_flush(struct conn *conn);
/* Held replies may go: they are synced (conn_held.c), */
void conn_end_hold(struct conn *conn);
/* or not, because of `cause`: those to what it wrote become errors. */
void conn_refuse_held(struct conn *conn, const char *cause);
/* Writes what is queued at the end of this turn. */
void conn_write_soon(struct conn *conn);
/* Tries to write what is queued. */
void conn_write_queued(struct conn *conn);
/* Drops the queue; only when nothing is being written. */
void conn_free_output(struct conn *conn);
/* Writes for those in server->flush_list, for some 30 ms at most. */
void conn_flush_list(struct server *server);
/* A connection with more output than this queued is not read from: whoever
 * does not read gets no more answers. */
size_t conn_output_pause_bytes(const struct server *server);
/* Disconnects readers that are too slow: client-output-buffer-limit and the
 * bound that always holds. False when the connection is being closed. */
bool conn_check_output_limit(struct conn *conn);

#endif
