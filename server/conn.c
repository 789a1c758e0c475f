/* Life of a connection, and what CLIENT LIST tells of it. */
#include "server/conn.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utlist.h>

#include "server/acl.h"
#include "server/block.h"
#include "server/commands/tier.h"
#include "server/listen.h"
#include "server/monitor.h"
#include "server/multi.h"
#include "server/park.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/watch.h"

static void init_handle(struct conn *conn, bool unix_socket)
{
    uv_loop_t *loop = &conn->server->loop;
    int result = unix_socket ? uv_pipe_init(loop, &conn->pipe, 0)
                             : uv_tcp_init(loop, &conn->tcp);
    check(result == 0);
}

static void link_conn(struct conn *conn)
{
    struct server *server = conn->server;
    conn->next = server->conns;
    if (server->conns != NULL) {
        server->conns->prev = conn;
    }
    server->conns = conn;
    server->conn_count++;
    HASH_ADD(hh, server->conn_by_id, id, sizeof(conn->id), conn);
}

static void unlink_conn(struct conn *conn)
{
    struct server *server = conn->server;
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        server->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    coalesce_leave(&server->coalesce, &conn->reads);
    server->conn_count--;
    HASH_DELETE(hh, server->conn_by_id, conn);
}

struct conn *conn_create(
    struct server *server, uv_stream_t *listener, bool unix_socket)
{
    struct conn *conn = xcalloc(1, sizeof(*conn));
    conn->server = server;
    conn->id = ++server->next_conn_id;
    conn->resp_version = 2;
    conn->flags = unix_socket ? CONN_UNIX : 0;
    acl_start_connection(conn);
    conn->created_ms = conn->last_used_ms = server_now_ms();
    resp_init(&conn->parser, conn_limits(conn));
    init_handle(conn, unix_socket);
    link_conn(conn);
    if (uv_accept(listener, &conn->stream) != 0) {
        conn_close_soon(conn);
        return NULL;
    }
    server->stats.connections_received++;
    return conn;
}

bool conn_is_admitted(const struct conn *conn)
{
    return (conn->flags & CONN_AUTHENTICATED) != 0 ||
           acl_is_open(conn->server->acl);
}

const struct resp_limits *conn_limits(const struct conn *conn)
{
    const struct server *server = conn->server;
    return conn_is_admitted(conn) ? &server->limits : &server->guest_limits;
}

/* The one place where a connection is freed. */
static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = (struct conn *)handle;
    conn_free_output(conn);
    free(conn->input);
    resp_finish(&conn->parser);
    free(conn->name);
    free(conn->lib_name);
    free(conn->lib_version);
    free(conn);
}

static void leave_flush_list(struct conn *conn)
{
    if ((conn->flags & CONN_FLUSH_QUEUED) == 0) {
        return;
    }
    DL_DELETE2(conn->server->flush_list, conn, flush_prev, flush_next);
    conn->flags &= ~(uint32_t)CONN_FLUSH_QUEUED;
}

void conn_close_soon(struct conn *conn)
{
    if ((conn->flags & CONN_CLOSING) != 0) {
        return;
    }
    if ((conn->flags & CONN_ANSWER_WAITS) != 0) {
        conn_send_answers(conn->server);
    }
    if (conn == conn->server->busy_conn) {
        conn->flags |= CONN_CLOSE_AFTER_REPLY; /* its script runs just now */
        return;
    }
    if ((conn->flags & CONN_CLOSING) != 0) {
        return; /* by a failed write */
    }
    conn->flags |= CONN_CLOSING;
    conn->flags &= ~(uint32_t)CONN_READING;
    tier_move_cancel(conn);
    multi_end(conn);
    block_end(conn);
    park_cancel(conn);
    monitor_remove(conn);
    pubsub_forget(conn);
    tracking_stop(conn);
    leave_flush_list(conn);
    unlink_conn(conn);
    /* Stops reading; a write under way ends with an error first. */
    uv_close(&conn->handle, on_closed);
}

void conn_close_after_reply(struct conn *conn)
{
    conn->flags |= CONN_CLOSE_AFTER_REPLY;
    if (conn->output_first == NULL) {
        conn_close_soon(conn);
    } else {
        conn_update_reading(conn);
    }
}

void conn_stop_reading(struct conn *conn)
{
    conn->flags &= ~(uint32_t)CONN_READING;
    uv_read_stop(&conn->stream);
}

void conn_update_reading(struct conn *conn)
{
    uint32_t stopped = CONN_PARKED | CONN_CLOSING | CONN_CLOSE_AFTER_REPLY;
    bool wanted =
        (conn->flags & stopped) == 0 && conn != conn->server->busy_conn &&
        (conn->output_first == NULL ||
            conn_output_bytes(conn) <= conn_output_pause_bytes(conn->server));
    bool reading = (conn->flags & CONN_READING) != 0;
    if (reading && (conn->flags & stopped) == CONN_PARKED) {
        /* Mostly it waits a moment, and the client for its answer: that it
         * sends more is noticed when it happens, by conn_on_read. */
        return;
    }
    if (wanted == reading || (conn->flags & CONN_CLOSING) != 0) {
        return;
    }
    if (wanted) {
        conn->flags |= CONN_READING;
        check(uv_read_start(&conn->stream, conn_on_alloc, conn_on_read) == 0);
    } else {
        conn_stop_reading(conn);
    }
}

/* ---- figures ---- */

struct conn *conn_find(struct server *server, uint64_t id)
{
    struct conn *conn;
    HASH_FIND(hh, server->conn_by_id, &id, sizeof(id), conn);
    return conn;
}

int conn_fd(const struct conn *conn)
{
    uv_os_fd_t fd;
    return uv_fileno(&conn->handle, &fd) == 0 ? fd : -1;
}

static void format_address(
    const struct sockaddr_storage *address, char out[CONN_ADDRESS_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        uv_ip6_name(in6, host, sizeof(host));
        snprintf(
            out, CONN_ADDRESS_BYTES, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)address;
        uv_ip4_name(in4, host, sizeof(host));
        snprintf(out, CONN_ADDRESS_BYTES, "%s:%u", host, ntohs(in4->sin_port));
    }
}

static void describe_address(struct conn *conn, bool peer, char *out)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    if ((conn->flags & CONN_UNIX) != 0) {
        snprintf(
            out, CONN_ADDRESS_BYTES, "%s:0", conn->server->config.unixsocket);
        return;
    }
    struct sockaddr *target = (struct sockaddr *)&address;
    int result = peer ? uv_tcp_getpeername(&conn->tcp, target, &size)
                      : uv_tcp_getsockname(&conn->tcp, target, &size);
    if (result == 0) {
        format_address(&address, out);
    } else {
        snprintf(out, CONN_ADDRESS_BYTES, "?:0");
    }
}

void conn_address(struct conn *conn, char out[CONN_ADDRESS_BYTES])
{
    describe_address(conn, true, out);
}

void conn_local_address(struct conn *conn, char out[CONN_ADDRESS_BYTES])
{
    describe_address(conn, false, out);
}

size_t conn_input_bytes(const struct conn *conn)
{
    return conn->input_size + resp_held_bytes(&conn->parser);
}

size_t conn_memory_bytes(const struct conn *conn)
{
    size_t size = sizeof(*conn) + conn_input_bytes(conn) + conn->output_bytes +
                  multi_bytes(conn) + watch_bytes(conn) +
                  pubsub_conn_bytes(conn);
    if (conn->park != NULL) {
        size += sizeof(*conn->park);
    }
    return size;
}

/* ---- CLIENT PAUSE ---- */

void conn_pause_all(struct server *server, int64_t until_ms, bool writes_only)
{
    server->clients_paused_until_ms = until_ms;
    server->pause_writes_only = writes_only;
}

void conn_unpause_all(struct server *server)
{
    server->clients_paused_until_ms = 0;
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        if (conn->wait == CONN_WAIT_PAUSE) {
            park_end(conn);
        }
    }
}
