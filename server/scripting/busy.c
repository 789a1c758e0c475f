/* A script that runs for long. Beyond busy-reply-threshold the loop turns
 * from inside the script, a millisecond apart: other clients are answered
 * BUSY, SCRIPT KILL and SHUTDOWN NOSAVE work, new clients come in. Nothing
 * else goes on: no park, no cut of the log, no expiry, so that the script
 * stays one step.
 *
 * What makes this safe although libuv calls us from its loop already:
 * - The script's connection is not read and cannot be closed (busy_conn).
 * - All that one round of input uses (batch, reply, read buffer, scratch) is
 *   exchanged for a second set while the loop turns.
 * - Of other connections nobody further up the stack holds a pointer. */
#include <stdlib.h>

#include "server/conn.h"
#include "server/scripting/script.h"

/* Between two turns of the loop. */
#define TURN_NS 1000000

struct busy {
    struct batch batch;
    struct reply reply;
    size_t reply_start;
    struct scratch scratch;
    char *read_buffer;
    uint64_t run_ticks, counted_errors;
    struct conn *running;
    size_t running_start;
    struct reply pushes;
    bool running_unsynced;
};

#define EXCHANGE(type, a, b)                                                   \
    do {                                                                       \
        type held = (a);                                                       \
        (a) = (b);                                                             \
        (b) = held;                                                            \
    } while (0)

static void exchange(struct server *server, struct busy *busy)
{
    EXCHANGE(struct batch, server->batch, busy->batch);
    EXCHANGE(struct reply, server->reply, busy->reply);
    EXCHANGE(size_t, server->reply_start, busy->reply_start);
    EXCHANGE(struct scratch, server->scratch, busy->scratch);
    EXCHANGE(char *, server->read_buffer, busy->read_buffer);
    EXCHANGE(uint64_t, server->run_ticks, busy->run_ticks);
    EXCHANGE(uint64_t, server->counted_errors, busy->counted_errors);
    EXCHANGE(struct conn *, server->running, busy->running);
    EXCHANGE(size_t, server->running_start, busy->running_start);
    EXCHANGE(struct reply, server->pushes, busy->pushes);
    EXCHANGE(bool, server->running_unsynced, busy->running_unsynced);
}

static struct busy *create_busy(void)
{
    struct busy *busy = xcalloc(1, sizeof(*busy));
    reply_init(&busy->reply);
    reply_init(&busy->pushes);
    resp_args_init(&busy->batch.args);
    busy->read_buffer = xmalloc(READ_BUFFER_BYTES);
    return busy;
}

static void destroy_busy(struct busy *busy)
{
    reply_finish(&busy->reply);
    reply_finish(&busy->pushes);
    resp_args_finish(&busy->batch.args);
    scratch_reset(&busy->scratch);
    free(busy->read_buffer);
    free(busy);
}

/* ---- while it runs ---- */

static void become_busy(struct script_run *run)
{
    struct conn *conn = run->request->conn;
    struct server *server = run->request->server;
    run->held = create_busy();
    server->busy_conn = conn;
    conn_update_reading(conn);
    log_line(&server->log, LOG_WARNING,
        "Slow script detected: still in execution after %llu milliseconds. "
        "You can try killing the script using the %s command. Script name "
        "is: %s.",
        (unsigned long long)((server_mono_us() - run->start_us) / 1000),
        run->is_eval ? "SCRIPT KILL" : "FUNCTION KILL", run->name);
}

/* Lets the loop turn once. */
static void turn_loop(struct script_run *run)
{
    struct server *server = run->request->server;
    conn_send_answers(server);
    exchange(server, run->held);
    uv_run(&server->loop, UV_RUN_NOWAIT);
    conn_send_answers(server);
    conn_flush_list(server);
    exchange(server, run->held);
    if (server->shutting_down) {
        uv_stop(&server->loop); /* the inner run has used up the first one */
        run->killed = true;
    }
}

static int raise_killed(lua_State *lua)
{
    script_push_error(lua, "ERR Script killed by user with SCRIPT KILL...");
    return lua_error(lua);
}

void busy_look(lua_State *lua, struct script_run *run)
{
    struct server *server = run->request->server;
    uint64_t now_ticks = clock_ticks();
    if (!run->killed && clock_ticks_to_ns(&server->clock,
                            now_ticks - run->since_ticks) >= run->wait_ns) {
        if (!run->busy) {
            run->busy = true;
            become_busy(run);
        }
        turn_loop(run);
        run->since_ticks = clock_ticks();
        run->wait_ns = TURN_NS;
    }
    if (run->killed) {
        raise_killed(lua);
    }
}

bool vm_is_killed(lua_State *lua)
{
    const struct script_run *run = vm_of(lua)->scripting->run;
    return run != NULL && run->killed;
}

void vm_raise_killed(lua_State *lua)
{
    raise_killed(lua);
}

/* ---- before and after ---- */

void busy_begin(struct script_run *run)
{
    const struct server *server = run->request->server;
    int64_t threshold_ms = server->config.busy_reply_threshold;
    run->since_ticks = clock_ticks();
    /* Ticks are good for an hour; who allows more allows it for ever. */
    bool bounded = threshold_ms > 0 && threshold_ms < 3600000;
    run->wait_ns = bounded ? (uint64_t)threshold_ms * 1000000 : UINT64_MAX;
    run->start_us = server_mono_us();
}

void busy_end(struct script_run *run)
{
    struct conn *conn = run->request->conn;
    struct server *server = run->request->server;
    if (!run->busy) {
        return;
    }
    destroy_busy(run->held);
    server->busy_conn = NULL;
    conn_update_reading(conn);
    if (server->wake_missed) {
        server->wake_missed = false;
        wake_signal(&server->engine_wake);
    }
}

/* ---- seen from outside ---- */

bool scripting_is_busy(const struct server *server)
{
    return server->busy_conn != NULL;
}

const char *scripting_busy_error(const struct server *server)
{
    return server->scripting->run->is_eval
               ? "BUSY Redis is busy running a script. You can only call "
                 "SCRIPT KILL or SHUTDOWN NOSAVE."
               : "BUSY Redis is busy running a script. You can only call "
                 "FUNCTION KILL or SHUTDOWN NOSAVE.";
}

void scripting_abort(struct server *server)
{
    struct script_run *run = server->scripting->run;
    run->killed = true;
    log_line(&server->log, LOG_WARNING,
        "The script %s is ended by the shutdown%s", run->name,
        run->wrote ? ", in the middle of what it writes" : "");
}

/* SCRIPT KILL and FUNCTION KILL. */
static void kill_run(struct request *request, bool is_eval)
{
    struct scripting *scripting = request->server->scripting;
    struct script_run *run = scripting == NULL ? NULL : scripting->run;
    if (run == NULL) {
        reply_error(
            request->reply, "NOTBUSY No scripts in execution right now.");
    } else if (run->wrote) {
        reply_error(request->reply,
            "UNKILLABLE Sorry the script already executed write commands "
            "against the dataset. You can either wait the script termination "
            "or kill the server in a hard way using the SHUTDOWN NOSAVE "
            "command.");
    } else if (run->is_eval != is_eval) {
        reply_error(
            request->reply, "%s", scripting_busy_error(request->server));
    } else {
        run->killed = true;
        log_line(&request->server->log, LOG_WARNING,
            "Lua script killed by user with SCRIPT KILL.");
        reply_ok(request->reply);
    }
}

void cmd_script_kill(struct request *request)
{
    kill_run(request, true);
}

void cmd_function_kill(struct request *request)
{
    kill_run(request, false);
}
