/* CLIENT LIST and CLIENT INFO: one line a connection. */
#include <stdio.h>
#include <stdlib.h>

#include "server/acl_user.h"
#include "server/commands/client.h"
#include "server/conn.h"
#include "server/multi.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking.h"

bool client_type_of(struct request *request, int index, enum client_type *type)
{
    static const struct {
        const char *name;
        enum client_type type;
    } names[] = {
        {"normal", CLIENT_NORMAL},
        {"slave", CLIENT_REPLICA},
        {"replica", CLIENT_REPLICA},
        {"pubsub", CLIENT_PUBSUB},
        {"master", CLIENT_MASTER},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (arg_is(request, index, names[i].name)) {
            *type = names[i].type;
            return true;
        }
    }
    const struct bytes word = request->argv[index];
    reply_error(request->reply, "ERR Unknown client type '%.*s'",
        word.size < 128 ? (int)word.size : 128, word.data);
    return false;
}

enum client_type client_type(const struct conn *conn)
{
    /* There are neither replicas nor a master. */
    return pubsub_is_subscriber(conn) ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

static const char *flag_letters(const struct conn *conn, char *out)
{
    const struct {
        bool set;
        char letter;
    } letters[] = {
        {(conn->flags & CONN_MONITOR) != 0, 'O'},
        {pubsub_is_subscriber(conn), 'P'},
        {(conn->flags & CONN_MULTI) != 0, 'x'},
        {conn->wait == CONN_WAIT_BLOCKED, 'b'},
        {conn->tracker != NULL, 't'},
        {conn->tracker != NULL && conn->tracker->broken, 'R'},
        {conn->tracker != NULL &&
                (conn->tracker->options & TRACKING_BCAST) != 0,
            'B'},
        {(conn->flags & CONN_WATCH_BROKEN) != 0, 'd'},
        {(conn->flags & CONN_CLOSE_AFTER_REPLY) != 0, 'c'},
        {(conn->flags & CONN_CLOSING) != 0, 'A'},
        {(conn->flags & CONN_UNIX) != 0, 'U'},
        {(conn->flags & CONN_NO_EVICT) != 0, 'e'},
        {(conn->flags & CONN_NO_TOUCH) != 0, 'T'},
    };
    size_t size = 0;
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (letters[i].set) {
            out[size++] = letters[i].letter;
        }
    }
    if (size == 0) {
        out[size++] = 'N';
    }
    out[size] = '\0';
    return out;
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static void write_line(FILE *out, struct conn *conn, int64_t now_ms)
{
    char peer[CONN_ADDRESS_BYTES], local[CONN_ADDRESS_BYTES];
    char flags[16], command[COMMAND_NAME_MAX] = "NULL";
    conn_address(conn, peer);
    conn_local_address(conn, local);
    if (conn->last_command != NULL) {
        command_full_name(conn->last_command, command, sizeof(command));
    }
    size_t queued = conn_output_bytes(conn);
    fprintf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s",
        (unsigned long long)conn->id, peer, local, conn_fd(conn),
        or_empty(conn->name));
    fprintf(out, " age=%lld idle=%lld flags=%s db=%u",
        (long long)(now_ms - conn->created_ms) / 1000,
        (long long)(now_ms - conn->last_used_ms) / 1000,
        flag_letters(conn, flags), conn->db);
    fprintf(out, " sub=%u psub=%u ssub=%u multi=%d qbuf=%zu qbuf-free=0",
        pubsub_count(conn, PUBSUB_CHANNEL), pubsub_count(conn, PUBSUB_PATTERN),
        pubsub_count(conn, PUBSUB_SHARD), multi_count(conn),
        conn_input_bytes(conn));
    fprintf(out, " argv-mem=0 multi-mem=%zu rbs=0 rbp=0 obl=0 oll=%d omem=%zu",
        multi_bytes(conn), queued > 0, queued);
    fprintf(out, " tot-mem=%zu events=%s cmd=%s user=%s redir=%lld",
        conn_memory_bytes(conn), queued > 0 ? "rw" : "r", command,
        conn->user->name,
        conn->tracker == NULL ? -1LL : (long long)conn->tracker->redirect);
    fprintf(out, " resp=%u lib-name=%s lib-ver=%s", conn->resp_version,
        or_empty(conn->lib_name), or_empty(conn->lib_version));
}

char *client_describe(struct conn *conn, int64_t now_ms)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    check(out != NULL);
    write_line(out, conn, now_ms);
    fclose(out);
    return text;
}

/* Which lines CLIENT LIST wants: all, those of a type, or those whose ids
 * are arguments from `first_id` on. */
struct list_filter {
    bool by_type;
    enum client_type type;
    int first_id;
};

static bool list_arguments(struct request *request, struct list_filter *filter)
{
    *filter = (struct list_filter){0};
    if (request->argc == 2) {
        return true;
    }
    if (request->argc == 4 && arg_is(request, 2, "type")) {
        filter->by_type = true;
        return client_type_of(request, 3, &filter->type);
    }
    if (request->argc < 4 || !arg_is(request, 2, "id")) {
        error_syntax(request);
        return false;
    }
    filter->first_id = 3;
    for (int i = 3; i < request->argc; i++) {
        int64_t id;
        if (!bytes_to_int64(request->argv[i], &id)) {
            reply_error(request->reply, "ERR Invalid client ID");
            return false;
        }
    }
    return true;
}

static void write_by_id(struct request *request, int first_id, FILE *out)
{
    for (int i = first_id; i < request->argc; i++) {
        int64_t id = 0;
        bytes_to_int64(request->argv[i], &id);
        struct conn *conn = conn_find(request->server, (uint64_t)id);
        if (conn != NULL) {
            write_line(out, conn, request->now_ms);
            fputc('\n', out);
        }
    }
}

static void write_all(
    struct request *request, const struct list_filter *filter, FILE *out)
{
    struct conn *conn = request->server->conns;
    for (; conn != NULL; conn = conn->next) {
        if (!filter->by_type || client_type(conn) == filter->type) {
            write_line(out, conn, request->now_ms);
            fputc('\n', out);
        }
    }
}

void cmd_client_list(struct request *request)
{
    struct list_filter filter;
    if (!list_arguments(request, &filter)) {
        return;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    check(out != NULL);
    if (filter.first_id > 0) {
        write_by_id(request, filter.first_id, out);
    } else {
        write_all(request, &filter, out);
    }
    fclose(out);
    reply_verbatim(request->reply, "txt", bytes_of(text, size));
    free(text);
}

void cmd_client_info(struct request *request)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    check(out != NULL);
    write_line(out, request->conn, request->now_ms);
    fputc('\n', out);
    fclose(out);
    reply_verbatim(request->reply, "txt", bytes_of(text, size));
    free(text);
}
