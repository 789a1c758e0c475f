#include "server/dispatch.h"

#include <stdio.h>

#include "server/account.h"
#include "server/acl.h"
#include "server/admission.h"
#include "server/block.h"
#include "server/conn.h"
#include "server/keyspace.h"
#include "server/multi.h"
#include "server/nested.h"
#include "server/park.h"
#include "server/pubsub.h"
#include "server/scripting/scripting.h"
#include "server/server.h"
#include "server/tracking.h"

/* As much of a client's words as an error shows. */
#define SHOWN_BYTES 128

/* ---- refusals ---- */

static void refuse_unknown(struct request *request)
{
    char shown[SHOWN_BYTES + 64];
    size_t used = 0;
    shown[0] = '\0';
    for (int i = 1; i < request->argc && used < SHOWN_BYTES; i++) {
        struct bytes word = request->argv[i];
        size_t room = SHOWN_BYTES - used;
        int size = (int)(word.size < room ? word.size : room);
        int wrote = snprintf(shown + used, sizeof(shown) - used, "'%.*s' ",
            size, word.data == NULL ? "" : word.data);
        used += (size_t)wrote;
    }
    struct bytes name = request->argv[0];
    int size = name.size < SHOWN_BYTES ? (int)name.size : SHOWN_BYTES;
    reply_error(request->reply,
        "ERR unknown command '%.*s', with args beginning with: %s", size,
        name.data == NULL ? "" : name.data, shown);
}

/* What a browser sends when a web page makes it talk to us. */
static bool is_http(struct bytes name)
{
    return bytes_equal_nocase(name, "post") ||
           bytes_equal_nocase(name, "host:");
}

static void hang_up_on_http(struct conn *conn)
{
    char address[CONN_ADDRESS_BYTES];
    conn_address(conn, address);
    log_line(&conn->server->log, LOG_WARNING,
        "Possible SECURITY ATTACK detected. %s sent an HTTP request, as when "
        "a web page abuses a browser to reach this server. Connection closed.",
        address);
    conn_close_soon(conn);
}

/* The row that runs: a container's subcommand where there is one. NULL after
 * an error has been answered. */
static const struct command *resolve_row(
    struct request *request, const struct dispatch_input *input)
{
    if (input->row == NULL) {
        if (is_http(request->argv[0])) {
            hang_up_on_http(request->conn);
        } else {
            refuse_unknown(request);
        }
        return NULL;
    }
    if (!input->is_container || input->argc < 2) {
        return input->row;
    }
    const struct command *row = command_find_sub(input->row, input->argv[1]);
    if (row == NULL) {
        request->command = input->row;
        error_unknown_subcommand(request);
    }
    return row;
}

static bool arity_fits(const struct command *row, int argc)
{
    return row->arity >= 0 ? argc == row->arity : argc >= -row->arity;
}

/* Errors that do not depend on keys or memory. */
static bool may_run(struct request *request, enum acl_context context)
{
    const struct command *row = request->command;
    struct server *server = request->server;
    if (!arity_fits(row, request->argc) || row->handler == NULL) {
        error_arity(request);
        return false;
    }
    if ((request->conn->flags & CONN_AUTHENTICATED) == 0 &&
        (row->flags & CMD_NO_AUTH) == 0 && !conn_is_admitted(request->conn)) {
        reply_error(request->reply, "NOAUTH Authentication required.");
        return false;
    }
    if (request->queued && (row->flags & CMD_NO_MULTI) != 0) {
        reply_error(
            request->reply, "ERR Command not allowed inside a transaction");
        return false;
    }
    if (!acl_check(request, context)) {
        return false;
    }
    if (conn_in_subscriber_mode(request->conn) && !pubsub_may_run(request)) {
        return false;
    }
    if (server->loading && (row->flags & CMD_LOADING) == 0) {
        reply_error(
            request->reply, "LOADING Redis is loading the dataset in memory");
        return false;
    }
    if (scripting_is_busy(server) && !request->nested &&
        (row->flags & CMD_ALLOW_BUSY) == 0) {
        reply_error(request->reply, "%s", scripting_busy_error(server));
        return false;
    }
    if (server->checkpoint_failed && (request->flags & CMD_WRITE) != 0 &&
        server->config.stop_writes_on_bgsave_error) {
        reply_error(request->reply,
            "MISCONF Redis is configured to save RDB snapshots, but it's "
            "currently unable to persist to disk. Commands that may modify "
            "the data set are disabled, because this instance is configured "
            "to report errors during writes if RDB snapshotting fails "
            "(stop-writes-on-bgsave-error option). Please check the Redis "
            "logs for details about the RDB error.");
        return false;
    }
    uint32_t of_keys = CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE;
    if ((request->conn->flags & CONN_MONITOR) != 0 &&
        (request->flags & of_keys) != 0) {
        /* Redis counts monitors among the replicas. */
        reply_error(
            request->reply, "ERR Replica can't interact with the keyspace");
        return false;
    }
    return true;
}

/* ---- waits ---- */

static bool is_paused(const struct request *request)
{
    const struct server *server = request->server;
    if (server->clients_paused_until_ms <= request->now_ms) {
        return false;
    }
    return !server->pause_writes_only ||
           (request->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
}

size_t request_argument_bytes(const struct request *request)
{
    size_t size = 0;
    for (int i = 1; i < request->argc; i++) {
        size += request->argv[i].size;
    }
    return size;
}

/* Room for a command that may need memory. */
static enum dispatch_result admit(struct request *request, bool *refused)
{
    size_t size = request->runs_queue ? multi_bytes(request->conn)
                                      : request_argument_bytes(request);
    enum engine_admission admission = admission_by_namespace(request);
    if (admission == ENGINE_REFUSE_OOM) {
        *refused = true;
        return DISPATCH_DONE;
    }
    if (admission == ENGINE_ADMIT) {
        admission = engine_admit(request->engine, size, request->now_ms);
    }
    switch (admission) {
    case ENGINE_ADMIT:
        break;
    case ENGINE_PARK:
        if (!park_room_refused(request->conn)) {
            park_for_room(request->conn);
            return DISPATCH_PARKED;
        }
        /* It has waited in vain already. */
        error_oom(request);
        *refused = true;
        break;
    case ENGINE_REFUSE_OOM:
        error_oom(request);
        *refused = true;
        break;
    case ENGINE_REFUSE_DISK:
        reply_error(request->reply,
            "MISCONF Writes are refused because the data cannot be written "
            "to disk: %s",
            engine_store_error(request->engine));
        *refused = true;
        break;
    }
    return DISPATCH_DONE;
}

static bool on_dry_key(void *context, struct db *db, struct bytes key)
{
    (void)context;
    (void)db;
    (void)key;
    return false;
}

/* Everything a command may have to wait for before it runs. *refused: an
 * error has been answered instead. */
static enum dispatch_result wait_for_turn(
    struct request *request, bool *refused)
{
    struct conn *conn = request->conn;
    const struct command *row = request->command;
    bool needs_room = (request->flags & CMD_DENYOOM) != 0 || request->queued;
    if (is_paused(request)) {
        park_for(conn, CONN_WAIT_PAUSE);
        return DISPATCH_PARKED;
    }
    /* Making room again after a fetch could drop what was fetched. */
    if (needs_room && !park_has_fetched(request->conn)) {
        enum dispatch_result result = admit(request, refused);
        if (result != DISPATCH_DONE || *refused) {
            return result;
        }
    }
    if (row->needs != need_none && !request->queued &&
        (request->runs_queue || db_tier_size(request->db, TIER_DRY) > 0) &&
        request_each_dry_key(request, on_dry_key, NULL)) {
        return DISPATCH_NEEDS_FETCH;
    }
    return DISPATCH_DONE;
}

/* ---- the run ---- */

/* CLIENT REPLY SKIP holds for the one command after it. */
static void shift_skip(struct conn *conn)
{
    bool skip_next = (conn->flags & CONN_REPLY_SKIP) != 0;
    conn->flags &= ~(uint32_t)(CONN_REPLY_SKIP | CONN_REPLY_SKIP_NOW);
    if (skip_next) {
        conn->flags |= CONN_REPLY_SKIP_NOW;
    }
}

static enum dispatch_result run_handler(struct request *request)
{
    struct conn *conn = request->conn;
    struct server *server = request->server;
    uint64_t start_ticks = server->run_ticks;
    server->counted_errors = request->reply->errors;
    if (!request->nested) {
        conn->last_command = request->command; /* CLIENT INFO names itself */
    }
    bool untouched = (conn->flags & CONN_NO_TOUCH) != 0 &&
                     request->command->handler != cmd_touch;
    if (untouched) {
        engine_ignore_uses(request->engine, true);
    }
    request->command->handler(request);
    if (untouched) {
        engine_ignore_uses(request->engine, false);
    }
    if (__builtin_expect(engine_over(request->engine), 0)) {
        engine_trim(request->engine, request->now_ms);
    }
    server->run_ticks = clock_ticks();
    /* A command let in while a script is busy does not end the script. */
    if (server->holds_engine && !request->nested && server->busy_conn == NULL) {
        server->holds_engine = false;
        engine_hold(request->engine, false);
    }
    bool served = request->served_by.data != NULL; /* while parked */
    if (request->blocks || (!served && (conn->flags & CONN_PARKED) != 0)) {
        scratch_reset(request->scratch);
        if (request->blocks && !request->resumed) {
            account_blocked(request, server->run_ticks - start_ticks);
        }
        return DISPATCH_PARKED;
    }
    /* What a nested command has answered is counted already. */
    if (request->reply->errors != server->counted_errors) {
        server->counted_errors = request->reply->errors;
        account_error(request, request->command, false);
    }
    account_run(request, server->run_ticks - start_ticks);
    return DISPATCH_DONE;
}

static enum dispatch_result run(struct request *request)
{
    /* One that is served answers elsewhere. */
    if (request->nested || request->served_by.data != NULL) {
        return run_handler(request);
    }
    conn_begin_reply(request->conn);
    enum dispatch_result result = run_handler(request);
    if (request->server->unsettled) {
        keyspace_settle(request->server);
    }
    conn_end_reply(request->conn);
    return result;
}

static void init_request(struct request *request, struct conn *conn,
    const struct dispatch_input *input, struct reply *reply)
{
    struct server *server = conn->server;
    *request = (struct request){
        .server = server,
        .conn = conn,
        .engine = server->engine,
        .db = engine_db(server->engine, conn->db),
        .command = input->row,
        .argv = input->argv,
        .argc = input->argc,
        .arg_blobs = input->blobs,
        .reply = reply,
        .scratch = &server->scratch,
        .now_ms = conn->last_used_ms,
    };
    if (reply != &server->reply && reply != &server->served_reply) {
        return; /* a script's, which speaks its own version and is never mute */
    }
    reply->version = conn->resp_version;
    reply->muted = (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP_NOW)) != 0;
}

void request_set_command(struct request *request, const struct command *row)
{
    struct conn *conn = request->conn;
    request->command = row;
    request->flags = row->flags;
    if ((conn->flags & CONN_MULTI) == 0 || request->nested) {
        return;
    }
    request->queued = multi_queues(row);
    request->runs_queue =
        row->handler == cmd_exec && multi_will_run(conn, request->now_ms);
    if (request->runs_queue) {
        request->flags |= multi_flags(conn);
    }
}

/* A command behind MULTI. False after it was refused. */
static bool queue(struct request *request)
{
    request->conn->last_command = request->command;
    if (!multi_add(request)) {
        return false;
    }
    reply_status(request->reply, "QUEUED");
    return true;
}

/* An error was answered instead of running the command, `mark` being where
 * its reply begins; `row` is NULL when there is no such command. */
static void refuse(
    struct request *request, const struct command *row, size_t mark)
{
    if (row != NULL && row->handler == cmd_exec) {
        multi_abort(request, mark);
    } else {
        multi_refuse(request->conn);
    }
    account_error(request, row, true);
}

/* The connection's command has been answered, the reply being complete. */
static void finish_command(struct conn *conn)
{
    struct server *server = conn->server;
    if (conn->flags & (CONN_REPLY_SKIP | CONN_REPLY_SKIP_NOW)) {
        shift_skip(conn);
    }
    if (conn->block != NULL) {
        block_end(conn);
    }
    if (server->served_first != NULL && server->busy_conn == NULL) {
        block_serve(server);
    }
}

/* A command that was waiting for a key is over without having been served.
 * False: it is to run as usual. */
static bool end_wait(struct request *request)
{
    uint64_t errors = request->reply->errors;
    if (!block_answer(request)) {
        return false;
    }
    if (request->reply->errors != errors) {
        account_error(request, request->command, false);
    }
    finish_command(request->conn);
    if (request->conn->tracker != NULL) {
        tracking_command_done(request->conn, NULL);
    }
    return true;
}

enum dispatch_result command_dispatch(
    struct conn *conn, const struct dispatch_input *input)
{
    struct request request;
    init_request(&request, conn, input, &conn->server->reply);
    enum dispatch_result result = DISPATCH_DONE;
    bool refused = true;
    uint64_t errors = request.reply->errors;
    size_t mark = request.reply->size;
    if (conn->block != NULL) {
        if (end_wait(&request)) {
            return DISPATCH_DONE;
        }
        request.resumed = true;
    }
    const struct command *row = resolve_row(&request, input);
    if (row != NULL) {
        request_set_command(&request, row);
        refused = !may_run(&request, ACL_SENT);
        if (!refused) {
            result = wait_for_turn(&request, &refused);
        }
        if (!refused && result == DISPATCH_DONE) {
            if (request.queued) {
                refused = !queue(&request);
            } else {
                result = run(&request);
            }
        }
    }
    if (result == DISPATCH_DONE) {
        if (refused && request.reply->errors != errors) {
            refuse(&request, row, mark);
        }
        finish_command(conn);
        if (conn->tracker != NULL) {
            tracking_command_done(conn, row);
        }
    }
    return result;
}

enum dispatch_result command_serve(
    struct conn *conn, const struct dispatch_input *input, struct bytes key)
{
    struct request request;
    init_request(&request, conn, input, &conn->server->served_reply);
    request.now_ms = server_now_ms();
    request.served_by = key;
    request.resumed = true;
    request_set_command(&request, input->row);
    if (request_each_dry_key(&request, on_dry_key, NULL)) {
        return DISPATCH_NEEDS_FETCH;
    }
    request.server->run_ticks = clock_ticks();
    enum dispatch_result result = run(&request);
    if (result == DISPATCH_DONE) {
        shift_skip(conn);
        if (conn->tracker != NULL) {
            tracking_command_done(conn, input->row);
        }
    }
    return result;
}

/* Scripts and EXEC tell of a refusal in words of their own. */
static enum acl_context nested_context(const struct request *outer)
{
    bool is_script = strcmp(outer->command->group, "scripting") == 0;
    return is_script ? ACL_SCRIPT : ACL_EXEC;
}

void command_call(struct request *outer, const struct dispatch_input *input)
{
    struct request request;
    init_request(&request, outer->conn, input, outer->reply);
    request.nested = true;
    request.scripted = nested_context(outer) == ACL_SCRIPT;
    request.now_ms = outer->now_ms;
    uint64_t errors = request.reply->errors;
    const struct command *row = resolve_row(&request, input);
    if (row != NULL) {
        request_set_command(&request, row);
        request.server->holds_engine = true;
        engine_hold(request.engine, true);
        if (may_run(&request, nested_context(outer)) && nested_fits(&request) &&
            nested_fetch(&request)) {
            run(&request);
            nested_release(&request);
            outer->read_at_once |= request.read_at_once; /* for SLOWLOG */
            return;
        }
    }
    if (request.reply->errors != errors) {
        request.server->counted_errors = request.reply->errors;
        account_error(&request, row, true);
    }
}

void command_refuse_fetch(struct conn *conn, const struct dispatch_input *input,
    enum dry_result cause)
{
    struct request request;
    init_request(&request, conn, input, &conn->server->reply);
    size_t mark = request.reply->size;
    error_not_fetched(&request, cause);
    refuse(&request, input->row, mark);
    finish_command(conn);
}
