#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/acl.h"
#include "server/conn.h"
#include "server/server.h"

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct server *server;
    struct listener *next;
    bool is_unix;
};

/* ---- accepting ---- */

/* The client may not read it: what the socket does not take at once is
 * lost. */
static void refuse(struct conn *conn, const char *text)
{
    uv_buf_t buffer = {.base = (char *)(uintptr_t)text, .len = strlen(text)};
    uv_try_write(&conn->stream, &buffer, 1);
    conn->server->stats.connections_rejected++;
    conn_close_soon(conn);
}

static const char denied_text[] =
    "-DENIED Redis is running in protected mode because protected mode is "
    "enabled and no password is set for the default user. In this mode "
    "connections are only accepted from the loopback interface. If you want "
    "to connect from external computers to Redis you may adopt one of the "
    "following solutions: 1) Just disable protected mode sending the command "
    "'CONFIG SET protected-mode no' from the loopback interface by connecting "
    "to Redis from the same host the server is running, however MAKE SURE "
    "Redis is not publicly accessible from internet if you do so. Use CONFIG "
    "REWRITE to make this change permanent. 2) Alternatively you can just "
    "disable the protected mode by editing the Redis configuration file, and "
    "setting the protected mode option to 'no', and then restarting the "
    "server. 3) If you started the server manually just for testing, restart "
    "it with the '--protected-mode no' option. 4) Setup a an authentication "
    "password for the default user. NOTE: You only need to do one of the "
    "above things in order for the server to start accepting connections from "
    "the outside.\r\n";

bool conn_is_local(struct conn *conn)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    if ((conn->flags & CONN_UNIX) != 0) {
        return true;
    }
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&address, &size) !=
        0) {
        return false;
    }
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address;
        return ntohl(in4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *in6 =
        &((const struct sockaddr_in6 *)&address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) ||
           (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

static void set_tcp_options(struct conn *conn)
{
    int64_t keepalive_s = conn->server->config.tcp_keepalive;
    uv_tcp_nodelay(&conn->tcp, 1);
    if (keepalive_s > 0) {
        uv_tcp_keepalive(&conn->tcp, 1, (unsigned)keepalive_s);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = (struct listener *)stream;
    struct server *server = listener->server;
    const struct config *config = &server->config;
    if (status < 0) {
        /* Out of descriptors: libuv has turned the client away with the spare
         * one it keeps, and goes on accepting. */
        log_line(&server->log, LOG_WARNING, "Error accepting a client: %s",
            uv_strerror(status));
        return;
    }
    struct conn *conn = conn_create(server, stream, listener->is_unix);
    if (conn == NULL) {
        return;
    }
    if (!listener->is_unix) {
        set_tcp_options(conn);
    }
    if (server->conn_count > (uint64_t)config->maxclients) {
        refuse(conn, "-ERR max number of clients reached\r\n");
    } else if (config->protected_mode &&
               acl_default_has_no_password(server->acl) &&
               !conn_is_local(conn)) {
        refuse(conn, denied_text);
    } else {
        conn_update_reading(conn);
    }
}

/* ---- opening ---- */

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle);
}

static struct listener *create_listener(struct server *server, bool is_unix)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));
    listener->server = server;
    listener->is_unix = is_unix;
    int result = is_unix ? uv_pipe_init(&server->loop, &listener->pipe, 0)
                         : uv_tcp_init(&server->loop, &listener->tcp);
    check(result == 0);
    return listener;
}

/* Starts it, or closes it; the libuv error. */
static int start_listener(struct listener *listener, int bound)
{
    struct server *server = listener->server;
    int result = bound;
    if (result == 0) {
        result = uv_listen(
            &listener->stream, (int)server->config.tcp_backlog, on_connection);
    }
    if (result != 0) {
        uv_close(&listener->handle, on_listener_closed);
        return result;
    }
    listener->next = server->listeners;
    server->listeners = listener;
    return 0;
}

static int listen_address(struct server *server, const struct sockaddr *address)
{
    struct listener *listener = create_listener(server, false);
    unsigned flags = address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    /* libuv would sleep after each accept, for the sake of servers that share
     * a socket among processes. */
    uv_tcp_simultaneous_accepts(&listener->tcp, 1);
    return start_listener(
        listener, uv_tcp_bind(&listener->tcp, address, flags));
}

/* A name or address of `bind`; 0 or a libuv error. */
static int listen_host(struct server *server, const char *host)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE,
    };
    struct addrinfo *found;
    char port[16];
    if (strcmp(host, "*") == 0) {
        host = "0.0.0.0";
    } else if (strcmp(host, "::*") == 0) {
        host = "::";
    }
    snprintf(port, sizeof(port), "%lld", (long long)server->config.port);
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        return UV_EADDRNOTAVAIL;
    }
    int result = listen_address(server, found->ai_addr);
    freeaddrinfo(found);
    return result;
}

static bool listen_tcp(struct server *server)
{
    const struct config *config = &server->config;
    unsigned opened = 0;
    for (unsigned i = 0; i < config->bind_count; i++) {
        const char *host = config->bind[i];
        bool optional = host[0] == '-';
        int result = listen_host(server, host + (optional ? 1 : 0));
        if (result == 0) {
            opened++;
            continue;
        }
        if (optional &&
            (result == UV_EADDRNOTAVAIL || result == UV_EAFNOSUPPORT ||
                result == UV_EPROTONOSUPPORT)) {
            continue;
        }
        log_line(&server->log, LOG_WARNING,
            "Could not create server TCP listening socket %s:%lld: %s", host,
            (long long)config->port, uv_strerror(result));
        return false;
    }
    return opened > 0 || config->bind_count == 0;
}

/* Nobody can connect before uv_listen, so setting the mode between bind and
 * listen leaves no moment in which it is open to all. */
static bool listen_unix(struct server *server)
{
    const struct config *config = &server->config;
    unlink(config->unixsocket);
    struct listener *listener = create_listener(server, true);
    int result = uv_pipe_bind(&listener->pipe, config->unixsocket);
    if (result == 0 && config->unixsocketperm != 0 &&
        chmod(config->unixsocket, (mode_t)config->unixsocketperm) != 0) {
        result = uv_translate_sys_error(errno);
    }
    result = start_listener(listener, result);
    if (result != 0) {
        log_line(&server->log, LOG_WARNING, "Opening Unix socket %s: %s",
            config->unixsocket, uv_strerror(result));
    }
    return result == 0;
}

bool listen_open(struct server *server)
{
    const struct config *config = &server->config;
    if (config->port != 0 && !listen_tcp(server)) {
        log_line(&server->log, LOG_WARNING,
            "Failed listening on port %lld (TCP), aborting.",
            (long long)config->port);
        return false;
    }
    if (config->unixsocket[0] != '\0' && !listen_unix(server)) {
        return false;
    }
    if (server->listeners == NULL) {
        log_line(&server->log, LOG_WARNING,
            "Configured to not listen anywhere, exiting.");
        return false;
    }
    return true;
}

static void close_tcp(struct server *server)
{
    struct listener **link = &server->listeners;
    while (*link != NULL) {
        struct listener *listener = *link;
        if (listener->is_unix) {
            link = &listener->next;
        } else {
            *link = listener->next;
            uv_close(&listener->handle, on_listener_closed);
        }
    }
}

bool listen_reopen_tcp(struct server *server)
{
    close_tcp(server);
    if (server->config.port == 0 || listen_tcp(server)) {
        return true;
    }
    close_tcp(server);
    return false;
}

void listen_close(struct server *server)
{
    while (server->listeners != NULL) {
        struct listener *listener = server->listeners;
        server->listeners = listener->next;
        /* libuv unlinks a pipe it has bound. */
        uv_close(&listener->handle, on_listener_closed);
    }
}
