/* Putting the parts together: the engine, the loop and its duties. */
#include "server/server.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "server/acl.h"
#include "server/block.h"
#include "server/config_apply.h"
#include "server/config_namespace.h"
#include "server/conn.h"
#include "server/cron.h"
#include "server/keyspace.h"
#include "server/latency.h"
#include "server/listen.h"
#include "server/multi.h"
#include "server/park.h"
#include "server/pubsub.h"
#include "server/scripting/scripting.h"
#include "server/slowlog.h"
#include "server/startup.h"
#include "server/tracking.h"
#include "tiers/dry/priority.h"

/* Loading takes turns with clients, who are told -LOADING. */
#define LOAD_SLICE_MS 20
/* How often the engine is asked while writers wait for room. */
#define PATIENCE_MS 10
/* A command that took longer has made the time of day stale that the rest of
 * its batch goes by. */
#define STALE_CLOCK_NS 500000

/* ---- the loop's duties ---- */

static void on_spin(uv_idle_t *handle)
{
    (void)handle; /* being active keeps the loop from sleeping */
}

void server_keep_turning(struct server *server, bool wanted)
{
    if (wanted) {
        uv_idle_start(&server->spin, on_spin);
    } else {
        uv_idle_stop(&server->spin);
    }
}

static void on_patience(uv_timer_t *handle)
{
    struct server *server = handle->data;
    server->engine_has_more = true;
    server_keep_turning(server, true);
}

/* While writers wait for room the engine has its turn, whatever comes. */
static void watch_patience(struct server *server)
{
    bool wanted = engine_has_room_waiters(server->engine);
    bool active = uv_is_active((uv_handle_t *)&server->patience) != 0;
    if (wanted && !active) {
        uv_timer_start(
            &server->patience, on_patience, PATIENCE_MS, PATIENCE_MS);
    } else if (!wanted && active) {
        uv_timer_stop(&server->patience);
    }
}

static bool input_is_ready(uv_loop_t *loop)
{
    struct pollfd input = {.fd = uv_backend_fd(loop), .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

/* Clients that wait for the disk leave the others more of the core than they
 * take: naps would only keep those waiting. In bench/run spill they cost a
 * fifth of the rate. */
static bool some_wait_for_disk(const struct server *server)
{
    return server->stats.parked_reads + server->stats.parked_writes > 0;
}

/* The loop looks for input next, and sleeps if there is none: then it naps
 * first if many clients are at work. What disk threads have ends a nap; a timer
 * may be late by one. */
static void on_before_sleep(uv_prepare_t *handle)
{
    struct server *server = handle->data;
    struct coalesce *coalesce = &server->coalesce;
    coalesce_turn(coalesce);
    if (server->busy_conn != NULL || some_wait_for_disk(server) ||
        uv_backend_timeout(&server->loop) == 0) {
        return;
    }
    uint32_t nap_us = coalesce_nap_us(coalesce, server->conn_count,
        (uint32_t)server->config.wakeup_coalesce_us);
    if (nap_us == 0 || input_is_ready(&server->loop)) {
        return;
    }
    struct pollfd disk = {.fd = server->engine_wake.fd, .events = POLLIN};
    struct timespec time = {.tv_nsec = (long)nap_us * 1000};
    coalesce_nap(coalesce);
    server->stats.loop_naps++;
    ppoll(&disk, 1, &time, NULL); /* a signal ends it, too */
}

static void end_loading(struct server *server)
{
    struct engine_load_progress progress = engine_load_progress(server->engine);
    double seconds =
        (double)(server_mono_us() - server->load_start_us) / 1000000;
    server->loading = false;
    keyspace_apply_config(server);
    log_line(&server->log, LOG_NOTICE,
        "DB loaded from disk: %.3f seconds, %llu records", seconds,
        (unsigned long long)progress.loaded_records);
    log_line(&server->log, LOG_NOTICE, "Ready to accept connections");
    startup_notify(server, "STATUS=Ready to accept connections\nREADY=1\n");
}

static void load_slice(struct server *server)
{
    enum dry_result result = DRY_OK;
    char reason[256] = "";
    bool more = engine_load(server->engine, server_now_ms(), LOAD_SLICE_MS,
        &result, reason, sizeof(reason));
    if (result != DRY_OK) {
        log_line(&server->log, LOG_WARNING, "Cannot load the data: %s", reason);
        server->exit_code = 1;
        uv_stop(&server->loop);
    } else if (!more) {
        end_loading(server);
    }
}

/* After each round of input: the engine makes room and cuts batches, and
 * whoever waited goes on. */
static void on_turn(uv_check_t *handle)
{
    struct server *server = handle->data;
    bool more = false;
    server->last_reader_id = 0;
    if (server->shutting_down) {
        return;
    }
    if (server->busy_conn != NULL) {
        conn_send_answers(server);
        conn_flush_list(server);
        return; /* nothing else goes on while a script is busy */
    }
    server_handle_missed_signal(server);
    if (server->served_first != NULL) {
        block_serve(server);
    }
    if (server->ready != NULL) {
        /* Before the engine's turn, which sees to what they write. */
        park_run_ready(server);
        server->input_seen = true;
    }
    conn_send_answers(server);
    if (server->loading) {
        load_slice(server);
        more = true;
    } else if (server->input_seen || server->engine_has_more) {
        server->input_seen = false;
        uint64_t begin_us = server_mono_us();
        server->engine_has_more = engine_turn(server->engine, server_now_ms());
        latency_note(
            server->latency, &server->config, "eviction-cycle", begin_us);
        more = server->engine_has_more;
    }
    if (server->unsettled) {
        keyspace_settle(server);
    }
    tracking_broadcast(server);
    conn_flush_list(server);
    watch_patience(server);
    server_keep_turning(server, more || server->ready != NULL ||
                                    server->flush_list != NULL ||
                                    server->input_seen);
}

static void on_engine_wake(void *context)
{
    struct server *server = context;
    uint64_t begin_us = server_mono_us();
    if (server->busy_conn != NULL) {
        server->wake_missed = true;
        return;
    }
    engine_collect(server->engine, server_now_ms());
    if (server->unsettled) {
        keyspace_settle(server);
    }
    latency_note(server->latency, &server->config, "dry-collect", begin_us);
    server->engine_has_more = true; /* what has arrived may need a turn */
}

static void wake_engine(void *context)
{
    struct server *server = context;
    wake_signal(&server->engine_wake);
}

static void log_from_engine(void *context, int level, const char *text)
{
    struct server *server = context;
    log_line(&server->log, (enum log_level)level, "%s", text);
}

/* ---- the engine ---- */

/* `dry-maxsize 0`: as much as the disk holds. */
static uint64_t dry_maxsize_bytes(const struct config *config)
{
    struct statvfs disk;
    if (config->dry_maxsize != 0) {
        return config->dry_maxsize;
    }
    char *path = config_dry_path(config);
    bool known = statvfs(path, &disk) == 0 || /* at the first start: */
                 statvfs(dirname(path), &disk) == 0;
    free(path);
    if (!known) {
        return UINT64_C(1) << 40;
    }
    return (uint64_t)disk.f_blocks * disk.f_frsize;
}

/* `dry-page-cache 0`: what `maxmemory` leaves of the machine's memory, or of
 * that of the control group. */
static uint64_t page_cache_bytes(
    const struct config *config, uint64_t maxmemory_bytes)
{
    if (config->dry_page_cache != 0) {
        return config->dry_page_cache;
    }
    uint64_t bytes = server_memory_bytes();
    return bytes > maxmemory_bytes ? bytes - maxmemory_bytes
                                   : 1; /* 0 would be any size */
}

/* A tenth of a turn by each step of active-expire-effort: beside busy clients
 * about as much as Redis gives to it. */
static unsigned expire_slice_us(const struct config *config)
{
    return 100 * (unsigned)config->active_expire_effort;
}

static bool create_engine(struct server *server)
{
    const struct config *config = &server->config;
    char reason[512] = "";
    server->dry_path = config_dry_path(config);
    struct engine_options options = {
        .path = server->dry_path,
        .databases = (unsigned)config->databases,
        .maxmemory_bytes = server->maxmemory_bytes,
        .dry_maxsize_bytes = dry_maxsize_bytes(config),
        .page_cache_bytes = page_cache_bytes(config, server->maxmemory_bytes),
        .reader_threads = (unsigned)config->dry_readers,
        .durability = config_durability(config),
        .policy = (enum engine_policy)config->maxmemory_policy,
        .active_expire = true,
        .expire_slice_us = expire_slice_us(config),
        .warms = config->warm_restart,
        .wake = wake_engine,
        .on_event = keyspace_on_engine_event,
        .log = log_from_engine,
        .context = server,
    };
    server->engine = engine_create(&options, reason, sizeof(reason));
    if (server->engine == NULL) {
        log_line(&server->log, LOG_WARNING, "Cannot open the data in %s: %s",
            server->dry_path, reason);
    }
    if (server->engine != NULL) {
        engine_set_value_limits(server->engine, &server->config.values);
        config_apply_namespaces(config, server->engine);
    }
    return server->engine != NULL;
}

/* ---- life ---- */

static uint64_t slow_ns(const struct config *config)
{
    uint64_t ns = STALE_CLOCK_NS;
    if (config->slowlog_log_slower_than >= 0) {
        uint64_t log_ns = (uint64_t)config->slowlog_log_slower_than * 1000;
        ns = log_ns < ns ? log_ns : ns;
    }
    return ns; /* latency-monitor-threshold is at least a millisecond */
}

void server_apply_config(struct server *server)
{
    const struct config *config = &server->config;
    server->slow_ns = slow_ns(config);
    if (server->engine != NULL) {
        engine_set_value_limits(server->engine, &config->values);
        engine_set_warms(server->engine, config->warm_restart);
        engine_set_expire_slice(server->engine, expire_slice_us(config));
    }
    server->maxmemory_bytes = server_maxmemory_bytes(config);
    if (server->engine != NULL && !server->loading) {
        keyspace_apply_config(server);
    }
    uint64_t total = config->client_query_buffer_limit;
    server->limits = (struct resp_limits){
        .max_bulk_bytes = config->proto_max_bulk_len,
        .max_total_bytes = total == 0 ? SIZE_MAX : total,
    };
    server->guest_limits = server->limits;
    server->guest_limits.unauthenticated = true;
    if (server->guest_limits.max_total_bytes > GUEST_INPUT_BYTES) {
        server->guest_limits.max_total_bytes = GUEST_INPUT_BYTES;
    }
}

static void init_parts(struct server *server)
{
    const struct config *config = &server->config;
    server->log.level = (enum log_level)config->loglevel;
    server->log.path = xstrdup(config->logfile);
    if (config->syslog_enabled) {
        log_syslog_open(xstrdup(config->syslog_ident), config->syslog_facility);
        server->log.to_syslog = true;
    }
    clock_init(&server->clock);
    stats_init(&server->stats, command_row_count);
    server->acl = acl_create();
    server->slowlog = slowlog_create();
    server->latency = latency_create();
    server->pubsub = pubsub_create();
    server->tracking = tracking_create();
    server->read_buffer = xmalloc(READ_BUFFER_BYTES);
    reply_init(&server->reply);
    reply_init(&server->pushes);
    reply_init(&server->served_reply);
    resp_args_init(&server->batch.args);
    server->checkpoint_last_s = -1;
    server->start_mono_ms = server_mono_us() / 1000;
    startup_make_run_id(server->run_id);
    server_apply_config(server);
    server->scripting = scripting_create(server);
}

static void init_loop(struct server *server)
{
    uv_loop_t *loop = &server->loop;
    check(uv_loop_init(loop) == 0);
    wake_init(&server->engine_wake, loop, on_engine_wake, server);
    check(uv_check_init(loop, &server->turn) == 0);
    check(uv_idle_init(loop, &server->spin) == 0);
    check(uv_timer_init(loop, &server->patience) == 0);
    check(uv_prepare_init(loop, &server->before_sleep) == 0);
    server->turn.data = server->spin.data = server;
    server->before_sleep.data = server->patience.data = server;
    uv_check_start(&server->turn, on_turn);
    coalesce_init(&server->coalesce);
    uv_prepare_start(&server->before_sleep, on_before_sleep);
    server_watch_signals(server);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void server_end(struct server *server)
{
    listen_close(server);
    while (server->conns != NULL) {
        conn_close_soon(server->conns);
    }
    park_run_ready(server); /* frees what is left in the list */
    block_serve(server);    /* likewise */
    interest_finish(server);
    engine_destroy(server->engine);
    free(server->dry_path);
    uv_walk(&server->loop, close_handle, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&server->loop) == 0);
    wake_finish(&server->engine_wake);
    acl_destroy(server->acl);
    scripting_destroy(server->scripting);
    slowlog_destroy(server->slowlog);
    latency_destroy(server->latency);
    keyspace_finish(server);
    pubsub_destroy(server->pubsub);
    tracking_destroy(server->tracking);
    stats_finish(&server->stats);
    resp_args_finish(&server->batch.args);
    reply_finish(&server->reply);
    reply_finish(&server->pushes);
    reply_finish(&server->served_reply);
    free(server->unsynced);
    scratch_reset(&server->scratch);
    multi_finish(server);
    free(server->read_buffer);
    free(server->log.path);
}

bool server_begin(struct server *server)
{
    init_parts(server);
    startup_log_banner(server);
    startup_raise_limits(server);
    startup_write_pidfile(server);
    init_loop(server);
    server->load_start_us = server_mono_us();
    server->loading = true;
    if (!acl_load_at_start(server) || !create_engine(server) ||
        !scripting_load(server->scripting) || !listen_open(server)) {
        server->exit_code = 1;
        return false;
    }
    cron_start(server);
    server_keep_turning(server, true);
    return true;
}

int server_run(struct server *server)
{
    if (server_begin(server)) {
        priority_short_slices();
        prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* in ns, for naps */
        uv_run(&server->loop, UV_RUN_DEFAULT);
    }
    if (server->exit_code != 0) {
        startup_remove_pidfile(server);
    }
    server_end(server);
    return server->exit_code;
}
