#include "server/cron.h"

#include <poll.h>

#include "server/allocator.h"
#include "server/conn.h"
#include "server/keyspace.h"
#include "server/latency.h"
#include "server/multi.h"
#include "server/pubsub.h"
#include "server/scripting/scripting.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/watch.h"

/* How long a client that is being closed may take to read its last reply. */
#define LAST_REPLY_MS 10000
/* After a failed checkpoint, the pause before the next. */
#define CHECKPOINT_RETRY_MS 5000

/* Nothing is read from a connection that waits, so the loop does not see its
 * end: a long wait must look for it, or clients that gave up would pile up. */
static bool left_while_waiting(const struct conn *conn)
{
    if ((conn->flags & CONN_PARKED) == 0 ||
        (conn->wait != CONN_WAIT_PAUSE && conn->wait != CONN_WAIT_ROOM &&
            conn->wait != CONN_WAIT_BLOCKED)) {
        return false;
    }
    struct pollfd peer = {.fd = conn_fd(conn), .events = POLLRDHUP};
    return poll(&peer, 1, 0) > 0 &&
           (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* False when the connection is being closed. */
static bool check_times(struct conn *conn, int64_t now_ms)
{
    const struct config *config = &conn->server->config;
    int64_t idle_ms = now_ms - conn->last_used_ms;
    if (left_while_waiting(conn)) {
        conn_close_soon(conn);
        return false;
    }
    if ((conn->flags & CONN_CLOSE_AFTER_REPLY) != 0 &&
        (conn->flags & CONN_PARKED) == 0 && idle_ms > LAST_REPLY_MS) {
        conn_close_soon(conn);
        return false;
    }
    uint32_t exempt = CONN_MONITOR | CONN_PARKED;
    if (config->timeout > 0 && (conn->flags & exempt) == 0 &&
        !pubsub_is_subscriber(conn) && idle_ms > config->timeout * 1000) {
        log_line(&conn->server->log, LOG_VERBOSE, "Closing idle client");
        conn_close_soon(conn);
        return false;
    }
    return conn->output_first == NULL || conn_check_output_limit(conn);
}

/* Every second: who must go, and what all of them take. */
static void check_conns(struct server *server, int64_t now_ms)
{
    size_t input_bytes = 0;
    struct conn *next;
    for (struct conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (check_times(conn, now_ms)) {
            /* What follows at once is counted apart. */
            input_bytes += conn_memory_bytes(conn) - conn->output_bytes -
                           multi_bytes(conn) - watch_bytes(conn);
        }
    }
    server->conn_input_bytes = input_bytes;
}

bool server_start_checkpoint(struct server *server, int64_t now_ms)
{
    if (!engine_checkpoint_start(server->engine, now_ms)) {
        return false;
    }
    server->checkpoint_running = true;
    server->checkpoint_start_ms = now_ms;
    return true;
}

static void end_checkpoint(struct server *server)
{
    enum engine_checkpoint_state state =
        engine_checkpoint_state(server->engine);
    if (!server->checkpoint_running || state == ENGINE_CHECKPOINT_RUNNING) {
        return;
    }
    server->checkpoint_running = false;
    server->checkpoint_last_s =
        (server_now_ms() - server->checkpoint_start_ms) / 1000;
    bool failed = state == ENGINE_CHECKPOINT_FAILED;
    server->checkpoint_failed = failed && server->config.save_count > 0;
    server->stats.saves += !failed;
    log_line(&server->log, failed ? LOG_WARNING : LOG_NOTICE,
        failed ? "Background saving error: %s"
               : "Background saving terminated with success%s",
        failed ? engine_store_error(server->engine) : "");
}

/* `save <seconds> <changes>`. */
static void maybe_checkpoint(struct server *server, int64_t now_ms)
{
    const struct config *config = &server->config;
    struct engine_stats stats;
    end_checkpoint(server);
    if (server->checkpoint_running ||
        now_ms - server->checkpoint_try_ms < CHECKPOINT_RETRY_MS) {
        return;
    }
    engine_stats(server->engine, &stats);
    int64_t since_ms = now_ms - stats.last_save_ms;
    for (unsigned i = 0; i < config->save_count; i++) {
        const struct save_point *point = &config->save[i];
        if (stats.dirty_keys_since_save < point->changes ||
            since_ms <= (int64_t)point->seconds * 1000) {
            continue;
        }
        log_line(&server->log, LOG_NOTICE,
            "%llu changes in %llu seconds. Saving...",
            (unsigned long long)point->changes,
            (unsigned long long)point->seconds);
        server->checkpoint_try_ms = now_ms;
        server_start_checkpoint(server, now_ms);
        break;
    }
}

void server_count_outside(struct server *server)
{
    /* Queued blobs are the engine's values, or, once those have sunk, part of
     * what the process has beyond the accounts, which the engine measures. */
    struct scripting_figures scripts;
    scripting_figures(server->scripting, &scripts);
    size_t outside = server->conn_input_bytes + server->queued_output_bytes -
                     server->queued_blob_bytes + READ_BUFFER_BYTES +
                     server->reply.capacity + server->multi_bytes +
                     server->interest.bytes + server->block_bytes +
                     tracking_figures(server->tracking).bytes +
                     server->watch_count * sizeof(struct watch) +
                     scripts.eval_vm_bytes + scripts.function_vm_bytes;
    engine_set_outside_bytes(server->engine, outside);
}

static void note_memory(struct server *server)
{
    struct engine_stats stats;
    server_count_outside(server);
    engine_stats(server->engine, &stats);
    if (stats.used_bytes > server->stats.peak_used_bytes) {
        server->stats.peak_used_bytes = stats.used_bytes;
    }
}

/* The disk lets these clients wait: they get what was answered before. */
static void send_kept_answers(struct server *server)
{
    struct conn *next;
    if (server->stats.parked_reads == 0) {
        return;
    }
    for (struct conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->wait == CONN_WAIT_FETCH) {
            conn_write_queued(conn);
        }
    }
}

/* Commands a second that a server which has little to do may run. */
#define IDLE_COMMANDS 100

/* Up to 4 MB that were freed, which the allocator keeps however long it is not
 * asked for any. */
static void give_memory_back(struct server *server)
{
    uint64_t commands = server->stats.commands_processed;
    if (commands - server->last_second_commands <= IDLE_COMMANDS) {
        allocator_purge();
    }
    server->last_second_commands = commands;
}

static void on_cron(uv_timer_t *timer)
{
    struct server *server = timer->data;
    int64_t now_ms = server_now_ms();
    uint64_t now_us = server_mono_us();
    if (server->busy_conn != NULL) {
        send_kept_answers(server); /* nothing is resumed beside a script */
        return;
    }
    if (!server->loading) {
        if (engine_cron(server->engine, now_ms)) {
            server->engine_has_more = true;
            server_keep_turning(server, true);
        }
        if (server->unsettled) {
            keyspace_settle(server);
        }
        latency_note(server->latency, &server->config, "expire-cycle", now_us);
        if (engine_checkpoint_state(server->engine) ==
                ENGINE_CHECKPOINT_RUNNING &&
            !server->checkpoint_running) {
            /* CONFIG SET appendonly made the engine start one. */
            server->checkpoint_running = true;
            server->checkpoint_start_ms = now_ms;
        }
    }
    if (now_us - server->stats.last_sample_us >= 100000) {
        stats_sample(&server->stats, now_us);
        note_memory(server);
        send_kept_answers(server);
    }
    if (server->clients_paused_until_ms != 0 &&
        server->clients_paused_until_ms <= now_ms) {
        conn_unpause_all(server);
    }
    tracking_tidy(server);
    if (now_us - server->last_second_us >= 1000000) {
        server->last_second_us = now_us;
        clock_adjust(&server->clock);
        check_conns(server, now_ms);
        give_memory_back(server);
        if (!server->loading) {
            maybe_checkpoint(server, now_ms);
        }
    }
    if (server->ready != NULL) {
        /* The loop would sleep before its next turn otherwise. */
        server_keep_turning(server, true);
    }
}

static uint64_t period_ms(const struct server *server)
{
    return (uint64_t)(1000 / server->config.hz);
}

void cron_start(struct server *server)
{
    check(uv_timer_init(&server->loop, &server->cron) == 0);
    server->cron.data = server;
    uv_timer_start(&server->cron, on_cron, 1, period_ms(server));
}

void cron_set_hz(struct server *server)
{
    uv_timer_set_repeat(&server->cron, period_ms(server));
}
