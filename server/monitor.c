/* MONITOR's lines:
 *   +1700000000.123456 [0 127.0.0.1:50000] "set" "key" "value"
 * written once a command has run, to every connection that listens. */
#include "server/monitor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "server/conn.h"
#include "server/redact.h"
#include "server/server.h"

/* A longer argument is cut: a line is text for a person to read. */
#define MONITOR_ARG_MAX_BYTES (1024 * 1024)

void monitor_add(struct conn *conn)
{
    if ((conn->flags & CONN_MONITOR) == 0) {
        conn->flags |= CONN_MONITOR;
        DL_APPEND2(conn->server->monitors, conn, prev_monitor, next_monitor);
    }
}

void monitor_remove(struct conn *conn)
{
    if ((conn->flags & CONN_MONITOR) != 0) {
        conn->flags &= ~(uint32_t)CONN_MONITOR;
        DL_DELETE2(conn->server->monitors, conn, prev_monitor, next_monitor);
    }
}

static void write_quoted(FILE *out, struct bytes text)
{
    static const char escapes[] = "\nn\rr\tt\aa\bb\"\"\\\\";
    size_t size =
        text.size < MONITOR_ARG_MAX_BYTES ? text.size : MONITOR_ARG_MAX_BYTES;
    fputs(" \"", out);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        const char *escape = escapes;
        while (*escape != '\0' && (unsigned char)*escape != byte) {
            escape += 2;
        }
        if (*escape != '\0') {
            fprintf(out, "\\%c", escape[1]);
        } else if (isprint(byte)) {
            fputc(byte, out);
        } else {
            fprintf(out, "\\x%02x", byte);
        }
    }
    fputs(size < text.size ? "...\"" : "\"", out);
}

static void write_line(FILE *out, const struct request *request)
{
    char peer[CONN_ADDRESS_BYTES + 8];
    struct conn *conn = request->conn;
    bool local = (conn->flags & CONN_UNIX) != 0;
    if (local) {
        snprintf(
            peer, sizeof(peer), "unix:%.128s", conn->server->config.unixsocket);
    } else {
        conn_address(conn, peer);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(out, "+%lld.%06ld [%u %s]", (long long)now.tv_sec,
        now.tv_nsec / 1000, conn->db, peer);
    for (int i = 0; i < request->argc; i++) {
        struct bytes shown = request->argv[i];
        if (argument_is_secret(
                request->command, request->argv, request->argc, i)) {
            shown = BYTES(REDACTED);
        }
        write_quoted(out, shown);
    }
    fputs("\r\n", out);
}

void monitor_feed(const struct request *request)
{
    if ((request->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) != 0) {
        return;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    check(out != NULL);
    write_line(out, request);
    fclose(out);
    struct conn *monitor;
    DL_FOREACH2(request->server->monitors, monitor, next_monitor)
    {
        conn_send(monitor, bytes_of(text, size));
    }
    free(text);
}
