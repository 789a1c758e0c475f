/* struct server: everything the process owns, passed explicitly. Created by
 * main, lives until exit; the engine thread alone touches it.
 *
 * Each part below is declared in its own header and has its own owner file;
 * this header only brings them together. */
#ifndef LARDER_SERVER_SERVER_H
#define LARDER_SERVER_SERVER_H

#include <uv.h>

#include "server/batch.h"
#include "server/clock.h"
#include "server/coalesce.h"
#include "server/command.h"
#include "server/config.h"
#include "server/dispatch.h"
#include "server/interest.h"
#include "server/log.h"
#include "server/stats.h"
#include "server/wake.h"

#define LARDER_VERSION "0.1.0"
#define LARDER_REDIS_VERSION "7.2.4" /* what clients compare against */

struct conn;
struct acl;
struct scripting;
struct slowlog;
struct latency;
struct pubsub;
struct tracking;
struct keyspace_note;
struct unsynced_run; /* conn_held.c */
struct listener;     /* listen.h */

#define ANSWERS_MAX 256

struct server {
    uv_loop_t loop;
    struct wake engine_wake; /* by disk threads */
    uv_check_t turn;
    uv_idle_t spin; /* active while there is more to do at once */
    uv_prepare_t before_sleep;
    struct coalesce coalesce;
    uv_timer_t cron;
    uv_timer_t patience; /* active while writers wait for room */
    uv_signal_t sigterm, sigint;
    struct engine *engine;
    char *dry_path; /* of its store; heap, lent to it */
    struct config config;
    struct log log;
    struct stats stats;
    struct clock clock;
    uint64_t run_ticks; /* when the last command ended, or the batch began */
    uint64_t counted_errors; /* reply.errors that are in the statistics */
    bool holds_engine; /* until the command that ran others inside it ends */
    uint64_t slow_ns;  /* commands that took less are looked at no further */
    struct acl *acl;   /* users and their rights */
    struct slowlog *slowlog;
    struct latency *latency;
    struct pubsub *pubsub;
    struct tracking *tracking;
    struct keyspace_note *notes; /* of the engine, to be published */
    bool unsettled;              /* see keyspace_settle */

    struct scripting *scripting; /* NULL: there are no scripts */
    struct conn *busy_conn;      /* whose script has run for long: the loop
                                    turns inside it (scripting/busy.c) */
    bool wake_missed;            /* the engine had something meanwhile */
    int signal_missed;           /* and so had an operator: SIGTERM ... */

    struct listener *listeners;

    struct conn *conns; /* every client, newest first (conn.h) */
    unsigned conn_count;
    struct conn *conn_by_id; /* uthash, key conn->id */
    uint64_t next_conn_id;
    struct conn *monitors;
    struct conn *flush_list;         /* have output queued from outside */
    struct park *ready, *ready_last; /* may go on (park.h) */

    struct interest interest; /* keys watched or waited for */
    struct interest_key *served_first, *served_last; /* block_signal */
    struct reply served_reply; /* to a command that was waiting */
    size_t blocked_count, block_timers, block_bytes; /* block.h */
    size_t watching_conns, watch_count;
    struct multi *spare_multi; /* multi.h */
    size_t multi_bytes;        /* queued between MULTI and EXEC, by all */

    /* Shared by all connections while their input is handled. */
    struct batch batch;
    struct command_cache commands;
    struct reply reply;
    size_t reply_start; /* before it: answers that wait to be written */
    struct answer {
        struct conn *conn;
        size_t start, size; /* in reply.data */
    } answers[ANSWERS_MAX];
    unsigned answer_count;
    struct scratch scratch;
    /* While a command runs: its connection, behind how many bytes of `reply`
     * its own reply begins, what was sent to it in the middle of that, and
     * whether it has written what must be synced before it is acknowledged. */
    struct conn *running;
    size_t running_start;
    struct reply pushes;
    bool running_unsynced;
    /* Such replies at the end of `reply`: conn_held.c. */
    struct unsynced_run *unsynced;
    unsigned unsynced_count, unsynced_capacity;
    char *read_buffer;       /* READ_BUFFER_BYTES, never zeroed */
    uint64_t last_reader_id; /* and how much it had in this turn: */
    size_t last_reader_bytes;
    size_t turn_written_bytes;  /* to all, in this turn of the loop */
    size_t queued_output_bytes; /* sum over all connections */
    size_t queued_blob_bytes; /* of these, in blobs: a value that waits in many
                                 queues is in memory once */
    struct resp_limits limits, guest_limits; /* authenticated or not */
    uint64_t maxmemory_bytes;                /* effective */

    uint64_t start_mono_ms;
    char run_id[41];
    uint64_t load_start_us;
    bool loading;
    bool input_seen; /* since the last engine_turn */
    bool shutting_down;
    int exit_code;
    int64_t clients_paused_until_ms; /* CLIENT PAUSE */
    bool pause_writes_only;
    bool engine_has_more;          /* engine_turn wants to be called again */
    uint64_t last_second_us;       /* cron's */
    uint64_t last_second_commands; /* processed by then */
    size_t conn_input_bytes;       /* what connections take, output aside */
    int64_t checkpoint_try_ms;     /* when `save` last started one */
    bool checkpoint_running;
    int64_t checkpoint_start_ms; /* of the one that runs */
    int64_t checkpoint_last_s;   /* what the last one took; -1: none yet */
    bool checkpoint_failed;      /* the last one: writes are refused */
};

#define READ_BUFFER_BYTES ((size_t)256 * 1024)
/* What the parser keeps of an unauthenticated client's command. */
#define GUEST_INPUT_BYTES ((size_t)1024 * 1024)

/* The effective maxmemory: as configured, or 60 % of what the machine or its
 * control group has. Also what CONFIG SET maxmemory gives the engine. */
uint64_t server_maxmemory_bytes(const struct config *config);
/* Of the machine, or of its control group if that has less. */
uint64_t server_memory_bytes(void);

/* What is worked out from the configuration once instead of with every
 * command: at start and after CONFIG SET. */
void server_apply_config(struct server *server);
/* Whether the loop must not sleep before its next turn. */
void server_keep_turning(struct server *server, bool wanted);
/* SIGTERM and SIGINT. */
void server_watch_signals(struct server *server);
/* What came while a script was busy, which it has ended. */
void server_handle_missed_signal(struct server *server);

/* Tells the engine what everything outside of it takes; cron does so all the
 * time, and whoever grows by much at once. (cron.c) */
void server_count_outside(struct server *server);

/* BGSAVE and save points: starts writing everything. False when that is under
 * way already. (cron.c) */
bool server_start_checkpoint(struct server *server, int64_t now_ms);

/* Runs the server until it is told to stop; the exit code. `server->config`
 * has been loaded. */
int server_run(struct server *server);
/* Its two ends, for a program that turns the loop itself: all that comes
 * before the first turn (false: exit_code says why, the log tells), and after
 * the last. */
bool server_begin(struct server *server);
void server_end(struct server *server);

/* SHUTDOWN and signals. `save`: write everything first. Returns false (and
 * logs why) when saving failed and `force` is not set; else the loop ends. */
bool server_shutdown(struct server *server, bool save, bool force);

#endif
