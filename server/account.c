#include "server/account.h"

#include "server/conn.h"
#include "server/latency.h"
#include "server/monitor.h"
#include "server/park.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "server/tracking.h"

void account_error(
    struct request *request, const struct command *row, bool rejected)
{
    struct stats *stats = &request->server->stats;
    stats_count_error(stats, request->reply->error_code);
    if (row != NULL) {
        struct command_stats *counted = &stats->commands[row - command_rows];
        *(rejected ? &counted->rejected_calls : &counted->failed_calls) += 1;
    }
}

static void count_call(struct request *request, uint64_t ns)
{
    struct server *server = request->server;
    struct command_stats *counted =
        &server->stats.commands[request->command - command_rows];
    counted->calls++;
    counted->ns_rest += (uint32_t)(ns % 1000);
    counted->usec += ns / 1000 + counted->ns_rest / 1000;
    counted->ns_rest %= 1000;
    server->stats.commands_processed++;
    if (server->config.latency_tracking) {
        if (counted->latency == NULL) {
            counted->latency = xcalloc(1, sizeof(*counted->latency));
        }
        histogram_add(counted->latency, ns / 1000);
    }
}

/* Waiting for the disk included: that is what the tier costs. */
static void count_tier(struct request *request, uint64_t ns)
{
    struct server *server = request->server;
    enum tier tier = engine_take_read_tier(request->engine);
    if (tier != TIER_NONE && server->config.latency_tracking) {
        uint64_t waited_ns =
            request->nested ? 0 : park_waited_ns(request->conn);
        histogram_add(
            &server->stats.tier_latency[tier], (ns + waited_ns) / 1000);
    }
}

/* SLOWLOG counts from the command's arrival; LATENCY tells waiting and work
 * apart. */
static void note_slow(struct request *request, uint64_t ns)
{
    struct server *server = request->server;
    struct conn *conn = request->conn;
    const struct config *config = &server->config;
    uint64_t waited_ns = request->nested ? 0 : park_waited_ns(conn);
    uint64_t us = (ns + waited_ns) / 1000;
    int64_t now_s = request->now_ms / 1000;
    if (latency_wants(config, ns / 1000000)) {
        bool fast = (request->command->flags & CMD_FAST) != 0;
        latency_add(server->latency, fast ? "fast-command" : "command",
            ns / 1000000, now_s);
    }
    if (latency_wants(config, waited_ns / 1000000)) {
        latency_add(server->latency, "dry-wait", waited_ns / 1000000, now_s);
    }
    if (slowlog_wants(config, us) &&
        (request->command->flags & CMD_SKIP_SLOWLOG) == 0) {
        char address[CONN_ADDRESS_BYTES];
        conn_address(conn, address);
        struct slowlog_record record = {
            .command = request->command,
            .argv = request->argv,
            .argc = request->argc,
            .time_s = now_s,
            .us = us,
            .address = address,
            .name = conn->name,
            .waited = waited_ns > 0 || request->read_at_once,
        };
        slowlog_add(
            server->slowlog, (uint64_t)config->slowlog_max_len, &record);
    }
}

/* Its reply is held until what it wrote is synced, and becomes an error when
 * that fails. */
static void hold_reply(struct request *request)
{
    const struct config *config = &request->server->config;
    uint32_t writes = CMD_WRITE | CMD_MAY_REPLICATE;
    bool always = config->appendonly &&
                  config->appendfsync == APPEND_FSYNC_ALWAYS &&
                  (request->command->flags & CMD_WRITE) != 0;
    if (!engine_take_through(request->engine) && !always) {
        return;
    }
    request->conn->flags |= CONN_OUTPUT_HELD;
    /* Not of a command that only came upon a key that had expired. */
    if ((request->command->flags & writes) != 0) {
        request->server->running_unsynced = true;
    }
}

/* What a client could cache. EVAL_RO and its like read by other commands. */
static bool reads_keys(const struct command *row)
{
    return (row->flags & CMD_READONLY) != 0 && row->key_flags[0] != '\0' &&
           (row->flags & (CMD_PUBSUB | CMD_NOSCRIPT)) == 0;
}

static void note_read(struct request *request)
{
    if (request->conn->tracker != NULL && reads_keys(request->command)) {
        tracking_note_read(request);
    }
}

/* What follows from a command that has run. */
void account_run(struct request *request, uint64_t ticks)
{
    struct server *server = request->server;
    struct conn *conn = request->conn;
    uint64_t ns = clock_ticks_to_ns(&server->clock, ticks);
    if (!request->resumed) {
        count_call(request, ns);
    }
    count_tier(request, ns);
    if (ns >= server->slow_ns || conn->park != NULL) {
        note_slow(request, ns);
        conn->last_used_ms = server_now_ms(); /* not that of outer commands */
    }
    if (request->scratch->chunks != NULL) {
        scratch_reset(request->scratch);
    }
    /* PFCOUNT only reads, and yet may keep what it has counted. */
    if (request->changes > 0) {
        engine_count_changes(request->engine, request->changes);
    }
    hold_reply(request);
    if (!request->resumed) {
        note_read(request);
    }
    if (server->monitors != NULL && !request->resumed) {
        monitor_feed(request);
    }
}

/* The command waits for a key, which counts as its call. */
void account_blocked(struct request *request, uint64_t ticks)
{
    struct server *server = request->server;
    count_call(request, clock_ticks_to_ns(&server->clock, ticks));
    note_read(request);
    if (server->monitors != NULL) {
        monitor_feed(request);
    }
}
