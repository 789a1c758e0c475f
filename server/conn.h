/* A client connection: socket, parse state, output, and what it waits for.
 *
 * Life: conn_create on accept; conn_close_soon (any time, also from inside a
 * handler) marks it; it is freed in one place, the libuv close callback.
 * Only the loop that owns it reads or writes it. An idle connection holds no
 * buffers: input is parsed in the server's shared read buffer, output goes
 * through the server's shared reply. */
#ifndef LARDER_SERVER_CONN_H
#define LARDER_SERVER_CONN_H

#include <uv.h>
#include <uthash.h>

#include "protocol/reply.h"
#include "protocol/resp.h"
#include "tiers/engine.h"

struct server;

enum conn_flags {
    CONN_UNIX = 1 << 0,
    CONN_AUTHENTICATED = 1 << 1,
    CONN_MONITOR = 1 << 2,
    CONN_CLOSE_AFTER_REPLY = 1 << 3, /* write what is queued, then close */
    CONN_CLOSING = 1 << 4,
    CONN_NO_EVICT = 1 << 5,
    CONN_REPLY_OFF = 1 << 6,
    CONN_REPLY_SKIP = 1 << 7,      /* the next command's reply */
    CONN_REPLY_SKIP_NOW = 1 << 8,  /* this command's reply */
    CONN_PARKED = 1 << 9,          /* waits; its input is not parsed */
    CONN_NO_TOUCH = 1 << 10,
};

enum conn_wait { CONN_WAIT_NONE, CONN_WAIT_FETCH, CONN_WAIT_ROOM,
    CONN_WAIT_SYNC, CONN_WAIT_PAUSE, CONN_WAIT_LOAD };

struct conn {
    union {
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
    uint8_t wait;
    uint16_t db;
    int64_t created_ms, last_used_ms;
    char *name, *lib_name, *lib_version; /* heap or NULL */
    const struct command *last_command;
    struct conn *next_monitor, *prev_monitor; /* server->monitors */
    struct tier_move *tier_move; /* TIER DEMOTE, FLUSH under way, or NULL */
    /* ... parse state, kept input, output queue, waiters: see conn.c's owner */
};

/* Marks for closing; what is queued is dropped. Any time, any handler. */
void conn_close_soon(struct conn *conn);
/* Queues bytes (copied) on any connection, also one whose request does not
 * run now: MONITOR's lines. */
void conn_send(struct conn *conn, struct bytes data);
/* Bytes of input kept unparsed; bytes of output not yet taken by the kernel;
 * bytes of RAM the connection takes in all. */
size_t conn_input_bytes(const struct conn *conn);
size_t conn_output_bytes(const struct conn *conn);
size_t conn_memory_bytes(const struct conn *conn);

#endif
