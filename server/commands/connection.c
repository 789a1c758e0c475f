/* The commands with which a connection introduces itself: PING, ECHO, SELECT,
 * QUIT, AUTH, HELLO, RESET. */
#include <stdlib.h>

#include "server/acl.h"
#include "server/commands/client.h"
#include "server/conn.h"
#include "server/monitor.h"
#include "server/multi.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking.h"

#define DEFAULT_USER BYTES("default")

void cmd_ping(struct request *request)
{
    if (request->argc > 2) {
        error_arity(request);
    } else if (conn_in_subscriber_mode(request->conn)) {
        reply_array(request->reply, 2);
        reply_bulk_text(request->reply, "pong");
        reply_bulk(
            request->reply, request->argc == 2 ? request->argv[1] : BYTES(""));
    } else if (request->argc == 2) {
        reply_bulk(request->reply, request->argv[1]);
    } else {
        reply_status(request->reply, "PONG");
    }
}

void cmd_echo(struct request *request)
{
    reply_bulk(request->reply, request->argv[1]);
}

void cmd_select(struct request *request)
{
    unsigned number;
    if (arg_db(request, 1, &number)) {
        request->conn->db = (uint16_t)number;
        reply_ok(request->reply);
    }
}

void cmd_quit(struct request *request)
{
    request->conn->flags |= CONN_CLOSE_AFTER_REPLY;
    reply_ok(request->reply);
}

void cmd_auth(struct request *request)
{
    if (request->argc > 3) {
        error_syntax(request);
        return;
    }
    bool named = request->argc == 3;
    if (!named && acl_default_has_no_password(request->server->acl)) {
        reply_error(request->reply,
            "ERR AUTH <password> called without any password configured for "
            "the default user. Are you sure your configuration is correct?");
        return;
    }
    struct bytes user = named ? request->argv[1] : DEFAULT_USER;
    if (acl_authenticate(request, user, request->argv[request->argc - 1])) {
        reply_ok(request->reply);
    }
}

static bool hello_version(struct request *request, uint8_t *version)
{
    int64_t number;
    if (!bytes_to_int64(request->argv[1], &number)) {
        reply_error(request->reply,
            "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (number != 2 && number != 3) {
        reply_error(request->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    *version = (uint8_t)number;
    return true;
}

static bool hello_options(struct request *request)
{
    for (int i = 2; i < request->argc; i++) {
        int left = request->argc - 1 - i;
        if (arg_is(request, i, "auth") && left >= 2) {
            if (!acl_authenticate(
                    request, request->argv[i + 1], request->argv[i + 2])) {
                return false;
            }
            i += 2;
        } else if (arg_is(request, i, "setname") && left >= 1) {
            if (!client_set_name(request, request->argv[i + 1])) {
                return false;
            }
            i++;
        } else {
            const struct bytes option = request->argv[i];
            reply_error(request->reply,
                "ERR Syntax error in HELLO option '%.*s'",
                option.size < 128 ? (int)option.size : 128, option.data);
            return false;
        }
    }
    return true;
}

static void hello_answer(struct request *request)
{
    struct reply *reply = request->reply;
    reply_map(reply, 7);
    reply_bulk_text(reply, "server");
    reply_bulk_text(reply, "redis");
    reply_bulk_text(reply, "version");
    reply_bulk_text(reply, LARDER_REDIS_VERSION);
    reply_bulk_text(reply, "proto");
    reply_integer(reply, request->conn->resp_version);
    reply_bulk_text(reply, "id");
    reply_integer(reply, (int64_t)request->conn->id);
    reply_bulk_text(reply, "mode");
    reply_bulk_text(reply, "standalone");
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, "master");
    reply_bulk_text(reply, "modules");
    reply_array(reply, 0);
}

void cmd_hello(struct request *request)
{
    struct conn *conn = request->conn;
    uint8_t version = 0;
    if (request->argc >= 2 && !hello_version(request, &version)) {
        return;
    }
    if (!hello_options(request)) {
        return;
    }
    if (!conn_is_admitted(conn)) {
        reply_error(request->reply,
            "NOAUTH HELLO must be called with the client already "
            "authenticated, otherwise the HELLO AUTH <user> <pass> "
            "option can be used to authenticate the client and select the "
            "RESP protocol version at the same time");
        return;
    }
    if (version != 0) {
        conn->resp_version = version;
        request->reply->version = version;
    }
    hello_answer(request);
}

void cmd_reset(struct request *request)
{
    struct conn *conn = request->conn;
    monitor_remove(conn);
    multi_end(conn);
    pubsub_forget(conn);
    tracking_stop(conn);
    conn->flags &=
        ~(uint32_t)(CONN_REPLY_OFF | CONN_REPLY_SKIP | CONN_REPLY_SKIP_NOW |
                    CONN_NO_EVICT | CONN_NO_TOUCH);
    acl_start_connection(conn);
    conn->db = 0;
    conn->resp_version = 2;
    free(conn->name);
    conn->name = NULL;
    request->reply->version = 2;
    request->reply->muted = false;
    reply_status(request->reply, "RESET");
}
