/* CLIENT: what a connection asks about itself and sets for itself, and PAUSE.
 * Listing is in client_list.c, killing in client_kill.c, help for client-side
 * caching in client_tracking.c. */
#include "server/commands/client.h"

#include <stdlib.h>

#include "server/block.h"
#include "server/conn.h"
#include "server/server.h"

static bool printable(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static void replace_text(char **field, struct bytes text)
{
    free(*field);
    *field = NULL;
    if (text.size > 0) {
        *field = xmalloc(text.size + 1);
        memcpy(*field, text.data, text.size);
        (*field)[text.size] = '\0';
    }
}

bool client_set_name(struct request *request, struct bytes name)
{
    if (!printable(name)) {
        reply_error(request->reply,
            "ERR Client names cannot contain spaces, newlines or special "
            "characters.");
        return false;
    }
    replace_text(&request->conn->name, name);
    return true;
}

void cmd_client_id(struct request *request)
{
    reply_integer(request->reply, (int64_t)request->conn->id);
}

void cmd_client_setname(struct request *request)
{
    if (client_set_name(request, request->argv[2])) {
        reply_ok(request->reply);
    }
}

void cmd_client_getname(struct request *request)
{
    const char *name = request->conn->name;
    if (name == NULL) {
        reply_null(request->reply);
    } else {
        reply_bulk_text(request->reply, name);
    }
}

void cmd_client_setinfo(struct request *request)
{
    char **field;
    const char *shown;
    if (arg_is(request, 2, "lib-name")) {
        field = &request->conn->lib_name;
        shown = "lib-name";
    } else if (arg_is(request, 2, "lib-ver")) {
        field = &request->conn->lib_version;
        shown = "lib-ver";
    } else {
        const struct bytes option = request->argv[2];
        reply_error(request->reply, "ERR Unrecognized option '%.*s'",
            option.size < 128 ? (int)option.size : 128, option.data);
        return;
    }
    if (!printable(request->argv[3])) {
        reply_error(request->reply,
            "ERR %s cannot contain spaces, newlines or special characters.",
            shown);
        return;
    }
    replace_text(field, request->argv[3]);
    reply_ok(request->reply);
}

void cmd_client_reply(struct request *request)
{
    struct conn *conn = request->conn;
    if (arg_is(request, 2, "on")) {
        conn->flags &=
            ~(uint32_t)(CONN_REPLY_OFF | CONN_REPLY_SKIP | CONN_REPLY_SKIP_NOW);
        request->reply->muted = false;
        reply_ok(request->reply);
    } else if (arg_is(request, 2, "off")) {
        conn->flags |= CONN_REPLY_OFF;
    } else if (arg_is(request, 2, "skip")) {
        if ((conn->flags & CONN_REPLY_OFF) == 0) {
            conn->flags |= CONN_REPLY_SKIP;
        }
    } else {
        error_syntax(request);
    }
}

/* ON or OFF of argument 2 into one of the connection's flags. */
static void switch_flag(struct request *request, uint32_t flag)
{
    if (arg_is(request, 2, "on")) {
        request->conn->flags |= flag;
    } else if (arg_is(request, 2, "off")) {
        request->conn->flags &= ~flag;
    } else {
        error_syntax(request);
        return;
    }
    reply_ok(request->reply);
}

void cmd_client_no_evict(struct request *request)
{
    switch_flag(request, CONN_NO_EVICT);
}

void cmd_client_no_touch(struct request *request)
{
    switch_flag(request, CONN_NO_TOUCH);
}

static bool pause_arguments(
    struct request *request, int64_t *timeout_ms, bool *writes_only)
{
    *writes_only = false;
    if (request->argc > 4) {
        error_subcommand_syntax(request);
        return false;
    }
    if (request->argc == 4 && arg_is(request, 3, "write")) {
        *writes_only = true;
    } else if (request->argc == 4 && !arg_is(request, 3, "all")) {
        reply_error(
            request->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return false;
    }
    if (!bytes_to_int64(request->argv[2], timeout_ms)) {
        reply_error(
            request->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*timeout_ms < 0) {
        reply_error(request->reply, "ERR timeout is negative");
        return false;
    }
    if (*timeout_ms > INT64_MAX - request->now_ms) {
        reply_error(request->reply, "ERR timeout is out of range");
        return false;
    }
    return true;
}

/* A pause within a pause only makes it longer or stricter. */
void cmd_client_pause(struct request *request)
{
    struct server *server = request->server;
    int64_t timeout_ms;
    bool writes_only;
    if (!pause_arguments(request, &timeout_ms, &writes_only)) {
        return;
    }
    int64_t until_ms = request->now_ms + timeout_ms;
    if (server->clients_paused_until_ms > request->now_ms) {
        writes_only = writes_only && server->pause_writes_only;
        if (until_ms < server->clients_paused_until_ms) {
            until_ms = server->clients_paused_until_ms;
        }
    }
    conn_pause_all(server, until_ms, writes_only);
    reply_ok(request->reply);
}

void cmd_client_unpause(struct request *request)
{
    conn_unpause_all(request->server);
    reply_ok(request->reply);
}

/* Of what BLPOP and its kin wait for: a fetch from disk is no such wait in
 * Redis' sense. */
void cmd_client_unblock(struct request *request)
{
    int64_t id;
    if (request->argc > 4) {
        error_subcommand_syntax(request);
        return;
    }
    if (request->argc == 4 && !arg_is(request, 3, "timeout") &&
        !arg_is(request, 3, "error")) {
        reply_error(request->reply,
            "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!arg_int64(request, 2, &id)) {
        return;
    }
    struct conn *conn = conn_find(request->server, (uint64_t)id);
    bool with_error = request->argc == 4 && arg_is(request, 3, "error");
    reply_integer(
        request->reply, conn != NULL && block_end_early(conn, with_error));
}
