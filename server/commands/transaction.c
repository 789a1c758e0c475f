/* Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH. What is queued in
 * between is server/multi.c's; dispatch.c gives it there. */
#include "server/conn.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/watch.h"

/* The engine is told at once when keys are watched that take so much. */
#define WATCH_TOLD_BYTES ((size_t)256 * 1024)

void cmd_multi(struct request *request)
{
    if (request->conn->multi != NULL) {
        reply_error(request->reply, "ERR MULTI calls can not be nested");
        return;
    }
    multi_begin(request->conn);
    reply_ok(request->reply);
}

void cmd_discard(struct request *request)
{
    if (request->conn->multi == NULL) {
        reply_error(request->reply, "ERR DISCARD without MULTI");
        return;
    }
    multi_end(request->conn);
    reply_ok(request->reply);
}

void cmd_exec(struct request *request)
{
    struct conn *conn = request->conn;
    if (conn->multi == NULL) {
        reply_error(request->reply, "ERR EXEC without MULTI");
    } else if (conn->multi->refused) {
        reply_error(request->reply,
            "EXECABORT Transaction discarded because of previous errors.");
        multi_end(conn);
    } else if (watch_is_broken(conn, request->now_ms)) {
        reply_null_array(request->reply);
        multi_end(conn);
    } else {
        multi_run(request);
    }
}

void cmd_watch(struct request *request)
{
    struct conn *conn = request->conn;
    if (conn->multi != NULL) {
        reply_error(request->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    /* One that is broken already breaks EXEC whatever else is watched. */
    if ((conn->flags & CONN_WATCH_BROKEN) == 0) {
        size_t bytes = request_argument_bytes(request) +
                       (size_t)request->argc *
                           (sizeof(struct watch) + sizeof(struct interest_key));
        if (!engine_admit_nested(request->engine, bytes)) {
            error_oom(request);
            return;
        }
        for (int i = 1; i < request->argc; i++) {
            /* A key whose time is over is gone from now on, which is no
             * change later. */
            db_find(request->db, request->argv[i], request->now_ms);
            watch_add(conn, request->db, request->argv[i]);
        }
        if (bytes >= WATCH_TOLD_BYTES) {
            server_count_outside(request->server);
        }
    }
    reply_ok(request->reply);
}

void cmd_unwatch(struct request *request)
{
    watch_end(request->conn);
    reply_ok(request->reply);
}
