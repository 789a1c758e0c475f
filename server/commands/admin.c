/* Commands for whoever runs the server: the clock, saving, stopping, MONITOR,
 * and what a server that is alone answers about replication, clusters,
 * modules and users. */
#include <stdio.h>

#include "server/conn.h"
#include "server/monitor.h"
#include "server/scripting/scripting.h"
#include "server/server.h"

void cmd_time(struct request *request)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char text[32];
    reply_array(request->reply, 2);
    reply_bulk_integer(request->reply, now.tv_sec);
    snprintf(text, sizeof(text), "%ld", now.tv_nsec / 1000);
    reply_bulk_text(request->reply, text);
}

/* ---- saving ---- */

void cmd_lastsave(struct request *request)
{
    struct engine_stats stats;
    engine_stats(request->engine, &stats);
    reply_integer(request->reply, stats.last_save_ms / 1000);
}

void cmd_save(struct request *request)
{
    if (engine_checkpoint_state(request->engine) == ENGINE_CHECKPOINT_RUNNING) {
        reply_error(request->reply, "ERR Background save already in progress");
        return;
    }
    char reason[256] = "";
    if (engine_save(request->engine, request->now_ms, reason, sizeof(reason)) ==
        DRY_OK) {
        log_line(&request->server->log, LOG_NOTICE, "DB saved on disk");
        request->server->stats.saves++;
        reply_ok(request->reply);
        return;
    }
    log_line(&request->server->log, LOG_WARNING, "Saving failed: %s", reason);
    reply_error(request->reply, "ERR saving failed: %s", reason);
}

void cmd_bgsave(struct request *request)
{
    bool schedule = request->argc == 2 && arg_is(request, 1, "schedule");
    if (request->argc > 1 && !schedule) {
        error_syntax(request);
        return;
    }
    if (server_start_checkpoint(request->server, request->now_ms)) {
        log_line(&request->server->log, LOG_NOTICE, "Checkpoint started");
        reply_status(request->reply, "Background saving started");
    } else {
        reply_error(request->reply, "ERR Background save already in progress");
    }
}

/* The log on disk is kept compact all the time, so there is nothing to
 * rewrite; what a caller wants from this command, everything on disk, is
 * what a checkpoint gives. */
void cmd_bgrewriteaof(struct request *request)
{
    if (server_start_checkpoint(request->server, request->now_ms)) {
        reply_status(
            request->reply, "Background append only file rewriting started");
    } else {
        reply_error(request->reply,
            "ERR Background append only file rewriting already in progress");
    }
}

/* ---- stopping ---- */

struct shutdown_words {
    bool save, nosave, now, force, abort;
};

static bool shutdown_arguments(
    struct request *request, struct shutdown_words *words)
{
    *words = (struct shutdown_words){0};
    for (int i = 1; i < request->argc; i++) {
        if (arg_is(request, i, "nosave")) {
            words->nosave = true;
        } else if (arg_is(request, i, "save")) {
            words->save = true;
        } else if (arg_is(request, i, "now")) {
            words->now = true;
        } else if (arg_is(request, i, "force")) {
            words->force = true;
        } else if (arg_is(request, i, "abort")) {
            words->abort = true;
        } else {
            return false;
        }
    }
    bool others = words->save || words->nosave || words->now || words->force;
    return !(words->abort && others) && !(words->save && words->nosave);
}

/* Without NOSAVE everything is written first: a tiered server that is told to
 * stop keeps its data, whatever the save points say. */
void cmd_shutdown(struct request *request)
{
    struct shutdown_words words;
    if (!shutdown_arguments(request, &words)) {
        error_syntax(request);
        return;
    }
    if (words.abort) {
        reply_error(request->reply, "ERR No shutdown in progress.");
        return;
    }
    if (scripting_is_busy(request->server) && !words.nosave) {
        /* What the script has done so far is no state to save. */
        reply_error(
            request->reply, "%s", scripting_busy_error(request->server));
        return;
    }
    log_line(&request->server->log, LOG_WARNING, "User requested shutdown...");
    if (!server_shutdown(request->server, !words.nosave, words.force)) {
        reply_error(
            request->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
    }
}

void cmd_monitor(struct request *request)
{
    if (request->nested) {
        reply_error(request->reply,
            "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    monitor_add(request->conn);
    reply_ok(request->reply);
}

/* ---- alone ---- */

void cmd_role(struct request *request)
{
    reply_array(request->reply, 3);
    reply_bulk_text(request->reply, "master");
    reply_integer(request->reply, 0);
    reply_array(request->reply, 0);
}

void cmd_lolwut(struct request *request)
{
    int64_t version;
    if (request->argc >= 3 && arg_is(request, 1, "version") &&
        !arg_int64(request, 2, &version)) {
        return;
    }
    static const char text[] =
        "Redis ver. " LARDER_REDIS_VERSION " (larder " LARDER_VERSION ")\n";
    reply_verbatim(request->reply, "txt", bytes_of(text, sizeof(text) - 1));
}

void cmd_replicaof(struct request *request)
{
    if (arg_is(request, 1, "no") && arg_is(request, 2, "one")) {
        reply_ok(request->reply);
        return;
    }
    int64_t port;
    if (!bytes_to_int64(request->argv[2], &port) || port < 0 || port > 65535) {
        reply_error(request->reply, "ERR Invalid master port");
        return;
    }
    reply_error(request->reply,
        "ERR %.*s is not supported: this server cannot be a replica",
        (int)request->argv[0].size, request->argv[0].data);
}

void cmd_failover(struct request *request)
{
    for (int i = 1; i < request->argc; i++) {
        int left = request->argc - 1 - i;
        int64_t value;
        if (arg_is(request, i, "abort") && request->argc == 2) {
            reply_error(request->reply, "ERR No failover in progress.");
            return;
        }
        if (arg_is(request, i, "timeout") && left >= 1) {
            if (!arg_int64(request, ++i, &value)) {
                return;
            }
            if (value <= 0) {
                reply_error(request->reply,
                    "ERR FAILOVER timeout must be greater than 0");
                return;
            }
        } else if (arg_is(request, i, "to") && left >= 2) {
            if (!arg_int64(request, i + 2, &value)) {
                return;
            }
            i += 2;
        } else if (!arg_is(request, i, "force")) {
            error_syntax(request);
            return;
        }
    }
    reply_error(request->reply, "ERR FAILOVER requires connected replicas.");
}

void cmd_cluster_disabled(struct request *request)
{
    reply_error(
        request->reply, "ERR This instance has cluster support disabled");
}

void cmd_module_list(struct request *request)
{
    reply_array(request->reply, 0);
}

void cmd_module_refused(struct request *request)
{
    reply_error(request->reply,
        "ERR MODULE command not allowed. This server does not load modules.");
}

void cmd_module_help(struct request *request)
{
    static const char *const lines[] = {
        "LIST",
        "    Return a list of loaded modules.",
        NULL,
    };
    help_reply(request, lines);
}
