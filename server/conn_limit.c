/* How much output a connection may leave unread. */
#include "server/conn.h"
#include "server/pubsub.h"
#include "server/server.h"

/* See conn_output_pause_bytes. */
#define PAUSE_BYTES ((size_t)64 * 1024 * 1024)
#define PAUSE_BYTES_TIGHT ((size_t)1024 * 1024)
/* What an unauthenticated client may leave unread. */
#define GUEST_OUTPUT_BYTES 1024
/* See tight_share. */
#define SHARE_BYTES_MIN ((size_t)64 * 1024)

size_t conn_output_pause_bytes(const struct server *server)
{
    bool tight = server->queued_output_bytes > server->maxmemory_bytes / 8;
    return tight ? PAUSE_BYTES_TIGHT : PAUSE_BYTES;
}

/* Others write what a subscriber does not read, so there is nothing to stop
 * reading from: when the copies in all queues exceed a quarter of maxmemory, no
 * subscriber may have more than its part of that. */
static size_t tight_share(const struct server *server)
{
    size_t all = server->maxmemory_bytes / 4;
    if (server->queued_output_bytes - server->queued_blob_bytes <= all) {
        return SIZE_MAX;
    }
    size_t share = all / server->conn_count;
    return share > SHARE_BYTES_MIN ? share : SHARE_BYTES_MIN;
}

/* Redis lets a normal client's output grow without end by default; here half
 * of maxmemory is the end for any. */
static size_t hard_limit(
    const struct conn *conn, const struct output_limit *limit)
{
    if (!conn_is_admitted(conn)) {
        return GUEST_OUTPUT_BYTES;
    }
    size_t bound = conn->server->maxmemory_bytes / 2;
    if (bound < PAUSE_BYTES) {
        bound = PAUSE_BYTES;
    }
    if (pubsub_is_subscriber(conn) && bound > tight_share(conn->server)) {
        bound = tight_share(conn->server);
    }
    return limit->hard_bytes != 0 && limit->hard_bytes < bound
               ? limit->hard_bytes
               : bound;
}

static bool soft_limit_reached(
    struct conn *conn, const struct output_limit *limit, size_t size)
{
    if (limit->soft_bytes == 0 || size <= limit->soft_bytes) {
        conn->output_over_soft_ms = 0;
        return false;
    }
    int64_t now_ms = server_now_ms();
    if (conn->output_over_soft_ms == 0) {
        conn->output_over_soft_ms = now_ms;
    }
    return now_ms - conn->output_over_soft_ms >
           (int64_t)limit->soft_seconds * 1000;
}

static enum output_class output_class(const struct conn *conn)
{
    if ((conn->flags & CONN_MONITOR) != 0) {
        return OUTPUT_REPLICA;
    }
    return pubsub_is_subscriber(conn) ? OUTPUT_PUBSUB : OUTPUT_NORMAL;
}

bool conn_check_output_limit(struct conn *conn)
{
    struct server *server = conn->server;
    const struct output_limit *limit =
        &server->config.client_output_buffer_limit[output_class(conn)];
    size_t size = conn_output_bytes(conn);
    if (size <= hard_limit(conn, limit) &&
        !soft_limit_reached(conn, limit, size)) {
        return true;
    }
    log_line(&server->log, LOG_WARNING,
        "Client id=%llu closed for overcoming of output buffer limits.",
        (unsigned long long)conn->id);
    server->stats.output_limit_disconnections++;
    conn_close_soon(conn);
    return false;
}
