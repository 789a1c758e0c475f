/* For libFuzzer targets: a whole server, its loop turned by the target, and
 * connections to it. One server for all inputs: what is behind an input is
 * emptied, and nothing may be left of it. */
#ifndef LARDER_TESTS_FUZZ_WHOLE_SERVER_H
#define LARDER_TESTS_FUZZ_WHOLE_SERVER_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/conn.h"
#include "server/server.h"
#include "tests/support/directory.h"

enum { WHOLE_PEERS = 2, WHOLE_NEST_MAX = 64 };

/* A client: its socket, and what it has been sent. */
struct peer {
    int fd;     /* -1: the server has closed it */
    char *text; /* NULL, or ended by a NUL */
    size_t size;
};

struct whole {
    struct server server;
    struct peer peers[WHOLE_PEERS];
    char directory[DIRECTORY_PATH_BYTES], socket_path[100];
};

static struct whole *whole;

/* ---- life ---- */

static inline void whole_stop(void)
{
    server_end(&whole->server);
    config_finish(&whole->server.config);
    directory_remove(whole->directory);
    free(whole);
    whole = NULL;
}

/* `more`: lines of configuration. */
static inline void whole_start(const char *more)
{
    char path[100], name[] = "larder-server", *arguments[] = {name, path, NULL};
    whole = xcalloc(1, sizeof *whole);
    check(directory_make(whole->directory, "fuzz"));
    snprintf(whole->socket_path, sizeof whole->socket_path, "%s/socket",
        whole->directory);
    snprintf(path, sizeof path, "%s/conf", whole->directory);
    FILE *file = fopen(path, "w");
    check(file != NULL);
    fprintf(file,
        "port 0\nunixsocket %s\ndir %s\nlogfile /dev/null\nsave \"\"\n"
        "hz 100\nmaxmemory 96mb\ndry-maxsize 256mb\n"
        "proto-max-bulk-len 1mb\n%s",
        whole->socket_path, whole->directory, more);
    fclose(file);
    config_init(&whole->server.config);
    check(config_load(&whole->server.config, 2, arguments));
    check(server_begin(&whole->server));
    while (whole->server.loading) {
        uv_run(&whole->server.loop, UV_RUN_ONCE);
    }
    atexit(whole_stop);
}

/* ---- clients ---- */

static inline void peer_open(struct peer *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *peer = (struct peer){.fd = socket(AF_UNIX, SOCK_STREAM, 0)};
    snprintf(
        address.sun_path, sizeof address.sun_path, "%s", whole->socket_path);
    check(peer->fd >= 0);
    check(connect(peer->fd, (struct sockaddr *)&address, sizeof address) == 0);
}

/* Begins an input: its clients connect, at first to a server that is started
 * with `more` configuration; then true. */
static inline bool whole_begin(const char *more)
{
    bool first = whole == NULL;
    if (first) {
        whole_start(more);
    }
    for (unsigned i = 0; i < WHOLE_PEERS; i++) {
        peer_open(&whole->peers[i]);
    }
    return first;
}

static inline void peer_close(struct peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    free(peer->text);
    *peer = (struct peer){.fd = -1};
}

/* What has come; whether there was any. */
static inline bool peer_read(struct peer *peer)
{
    static char chunk[65536];
    bool any = false;
    while (peer->fd >= 0) {
        ssize_t got = recv(peer->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got < 0) {
            break;
        }
        any = true;
        if (got == 0) {
            close(peer->fd);
            peer->fd = -1;
            break;
        }
        peer->text = xrealloc(peer->text, peer->size + (size_t)got + 1);
        memcpy(peer->text + peer->size, chunk, (size_t)got);
        peer->size += (size_t)got;
        peer->text[peer->size] = '\0';
    }
    return any;
}

/* ---- turns ---- */

/* Whether somebody waits for what will come by itself. */
static inline bool whole_is_waiting(void)
{
    if (whole->server.ready != NULL) {
        return true;
    }
    for (struct conn *conn = whole->server.conns; conn != NULL;
         conn = conn->next) {
        if (conn->wait != CONN_WAIT_NONE && conn->wait != CONN_WAIT_BLOCKED &&
            conn->wait != CONN_WAIT_PAUSE) {
            return true;
        }
    }
    return false;
}

/* Turns the loop until nothing more happens. */
static inline void whole_settle(void)
{
    struct server *server = &whole->server;
    for (unsigned quiet = 0; quiet < 2;) {
        uint64_t reads = server->stats.reads_processed,
                 commands = server->stats.commands_processed;
        unsigned conns = server->conn_count;
        bool waiting = whole_is_waiting();
        uv_run(&server->loop, waiting ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        bool any = waiting || conns != server->conn_count ||
                   reads != server->stats.reads_processed ||
                   commands != server->stats.commands_processed;
        for (unsigned i = 0; i < WHOLE_PEERS; i++) {
            any = peer_read(&whole->peers[i]) || any;
        }
        quiet = any ? 0 : quiet + 1;
    }
}

/* At most as much as a socket takes while nobody reads. */
static inline void whole_send(struct peer *peer, const void *data, size_t size)
{
    if (peer->fd >= 0 && size > 0) {
        /* It may have been closed meanwhile. */
        ssize_t sent = send(peer->fd, data, size, MSG_NOSIGNAL);
        check(sent == (ssize_t)size || (sent < 0 && errno == EPIPE));
    }
    whole_settle();
}

static inline void whole_say(struct peer *peer, const char *text)
{
    whole_send(peer, text, strlen(text));
}

/* ---- what must hold ---- */

/* One line of a reply; how many replies it promises behind itself, or -1 when
 * it is none. Moves *at behind it, and behind its payload. */
static inline long reply_line(const char *text, size_t size, size_t *at)
{
    const char *end = memchr(text + *at, '\n', size - *at);
    if (end == NULL || end == text + *at || end[-1] != '\r') {
        return -1;
    }
    char type = text[*at];
    long count = strtol(text + *at + 1, NULL, 10);
    *at = (size_t)(end - text) + 1;
    switch (type) {
    case '$':
    case '=':
        if (count >= 0) {
            *at += (size_t)count + 2;
        }
        return *at <= size ? 0 : -1;
    case '*':
    case '~':
    case '>':
        return count > 0 ? count : 0;
    case '%':
        return count * 2;
    default:
        return strchr("+-:_,#(", type) != NULL ? 0 : -1;
    }
}

/* Whether it is any number of whole replies. */
static inline bool replies_are_whole(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        for (long left = 1; left > 0; left--) {
            long more = at < size ? reply_line(text, size, &at) : -1;
            if (more < 0) {
                return false;
            }
            left += more;
        }
    }
    return true;
}

/* Ends an input: its clients go, then all there is. */
static inline void whole_empty(void)
{
    static const char all_gone[] = "+OK\r\n+OK\r\n+OK\r\n:0\r\n";
    struct server *server = &whole->server;
    conn_unpause_all(server);
    whole_settle();
    for (unsigned i = 0; i < WHOLE_PEERS; i++) {
        struct peer *peer = &whole->peers[i];
        check(replies_are_whole(peer->text, peer->size));
        peer_close(peer);
    }
    whole_settle();
    while (server->conns != NULL) {
        /* That these have gone cron would notice within a second. */
        check(server->conns->wait == CONN_WAIT_BLOCKED);
        conn_close_soon(server->conns);
    }
    whole_settle();
    check(server->conn_count == 0);
    check(server->blocked_count == 0 && server->block_bytes == 0);
    check(server->watch_count == 0 && server->multi_bytes == 0);
    check(server->queued_output_bytes == 0 && server->monitors == NULL);
    check(server->served_first == NULL && server->busy_conn == NULL);
    struct peer *broom = &whole->peers[0];
    peer_open(broom);
    whole_say(broom, "FLUSHALL\nSCRIPT FLUSH\nFUNCTION FLUSH\nDBSIZE\n");
    check(broom->size == sizeof all_gone - 1 &&
          memcmp(broom->text, all_gone, broom->size) == 0);
    peer_close(broom);
    whole_settle();
}

#endif
