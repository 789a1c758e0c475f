/* struct server: everything the process owns, passed explicitly. Created by
 * main, lives until exit; the engine thread alone touches it.
 *
 * Each part below is declared in its own header and has its own owner file;
 * this header only brings them together. */
#ifndef LARDER_SERVER_SERVER_H
#define LARDER_SERVER_SERVER_H

#include <uv.h>

#include "server/command.h"
#include "server/config.h"
#include "server/log.h"
#include "server/stats.h"

#define LARDER_VERSION "0.1.0"
#define LARDER_REDIS_VERSION "7.2.4" /* what clients compare against */

struct conn;
struct slowlog;
struct latency;

struct server {
    uv_loop_t loop;
    uv_async_t engine_wake;
    uv_check_t turn;
    uv_timer_t cron;
    struct engine *engine;
    struct config config;
    struct log log;
    struct stats stats;
    struct slowlog *slowlog;
    struct latency *latency;

    struct conn *conns; /* every client, newest first (conn.h) */
    unsigned conn_count;
    struct conn *conn_by_id; /* uthash, key conn->id */
    uint64_t next_conn_id;
    struct conn *monitors;

    int64_t start_ms;      /* wall clock at start */
    uint64_t start_mono_ms;
    char run_id[41];
    bool loading;
    bool shutting_down;
    int64_t clients_paused_until_ms; /* CLIENT PAUSE */
    bool pause_writes_only;
};

/* Wall clock in ms since 1970; monotonic clock in microseconds. */
int64_t server_now_ms(void);
uint64_t server_mono_us(void);

/* SHUTDOWN and signals. `save`: write everything first. Returns false (and
 * logs why) when saving failed and `force` is not set; else the loop ends. */
bool server_shutdown(struct server *server, bool save, bool force);

#endif
