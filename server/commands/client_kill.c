/* CLIENT KILL in its old form (an address) and its new one (filters), and
 * CLIENT HELP. */
#include "server/acl.h"
#include "server/commands/client.h"
#include "server/conn.h"
#include "server/server.h"

struct kill_filter {
    int64_t id; /* 0: any */
    bool by_type;
    enum client_type type;
    struct bytes address, local_address; /* NULL data: any */
    const struct acl_user *user;         /* NULL: any */
    bool skip_me;
};

static bool kill_id(struct request *request, int index, int64_t *id)
{
    if (bytes_to_int64(request->argv[index], id) && *id > 0) {
        return true;
    }
    reply_error(request->reply, "ERR client-id should be greater than 0");
    return false;
}

static bool kill_user(
    struct request *request, int index, const struct acl_user **found)
{
    const struct bytes user = request->argv[index];
    *found = acl_find(request->server->acl, user);
    if (*found != NULL) {
        return true;
    }
    reply_error(request->reply, "ERR No such user '%.*s'",
        user.size < 128 ? (int)user.size : 128, user.data);
    return false;
}

/* One option and its value. */
static bool kill_option(
    struct request *request, int index, struct kill_filter *filter)
{
    if (arg_is(request, index, "id")) {
        return kill_id(request, index + 1, &filter->id);
    }
    if (arg_is(request, index, "type")) {
        filter->by_type = true;
        return client_type_of(request, index + 1, &filter->type);
    }
    if (arg_is(request, index, "addr")) {
        filter->address = request->argv[index + 1];
        return true;
    }
    if (arg_is(request, index, "laddr")) {
        filter->local_address = request->argv[index + 1];
        return true;
    }
    if (arg_is(request, index, "user")) {
        return kill_user(request, index + 1, &filter->user);
    }
    if (arg_is(request, index, "skipme") &&
        (arg_is(request, index + 1, "yes") ||
            arg_is(request, index + 1, "no"))) {
        filter->skip_me = arg_is(request, index + 1, "yes");
        return true;
    }
    error_syntax(request);
    return false;
}

static bool kill_arguments(struct request *request, struct kill_filter *filter)
{
    *filter = (struct kill_filter){.skip_me = true};
    if (request->argc == 3) {
        filter->address = request->argv[2];
        filter->skip_me = false;
        return true;
    }
    for (int i = 2; i < request->argc; i += 2) {
        if (i + 1 >= request->argc) {
            error_syntax(request);
            return false;
        }
        if (!kill_option(request, i, filter)) {
            return false;
        }
    }
    return true;
}

static bool matches(struct conn *conn, const struct kill_filter *filter)
{
    char address[CONN_ADDRESS_BYTES];
    if (filter->id != 0 && (uint64_t)filter->id != conn->id) {
        return false;
    }
    if (filter->user != NULL && filter->user != conn->user) {
        return false;
    }
    if (filter->by_type && client_type(conn) != filter->type) {
        return false;
    }
    if (filter->address.data != NULL) {
        conn_address(conn, address);
        if (!bytes_equal(filter->address, bytes_of(address, strlen(address)))) {
            return false;
        }
    }
    if (filter->local_address.data != NULL) {
        conn_local_address(conn, address);
        return bytes_equal(
            filter->local_address, bytes_of(address, strlen(address)));
    }
    return true;
}

/* The killer's own connection ends too, but after it has had its answer. */
void cmd_client_kill(struct request *request)
{
    struct kill_filter filter;
    if (!kill_arguments(request, &filter)) {
        return;
    }
    int64_t killed = 0;
    struct conn *next = NULL;
    for (struct conn *conn = request->server->conns; conn; conn = next) {
        next = conn->next;
        bool me = conn == request->conn;
        if ((me && filter.skip_me) || (conn->flags & CONN_CLOSING) != 0 ||
            !matches(conn, &filter)) {
            continue;
        }
        killed++;
        if (me) {
            conn->flags |= CONN_CLOSE_AFTER_REPLY;
        } else {
            conn_close_soon(conn);
        }
    }
    if (request->argc > 3) {
        reply_integer(request->reply, killed);
    } else if (killed > 0) {
        reply_ok(request->reply);
    } else {
        reply_error(request->reply, "ERR No such client");
    }
}

void cmd_client_help(struct request *request)
{
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in "
        "OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is "
        "enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO (LIB-NAME <name>|LIB-VER <version>)",
        "    Note which client library, of which version, is connected.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Keep commands of the current connection from counting as a use.",
        NULL,
    };
    help_reply(request, lines);
}
