/* The end: signals, SHUTDOWN, and what must be on disk before. */
#include <signal.h>

#include "server/conn.h"
#include "server/listen.h"
#include "server/scripting/scripting.h"
#include "server/server.h"
#include "server/startup.h"

/* Replies that waited for their writes to be synced may go now, and those kept
 * for the disk or for their turn; then all connections close. */
static void dismiss_conns(struct server *server, bool saved)
{
    struct conn *next;
    for (struct conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (saved && conn->wait == CONN_WAIT_SYNC) {
            conn_end_hold(conn);
        }
        conn_write_queued(conn);
        conn_close_soon(conn);
    }
}

static bool save_all(struct server *server, bool force)
{
    char reason[256] = "";
    log_line(
        &server->log, LOG_NOTICE, "Saving everything to disk before exiting.");
    if (engine_save(server->engine, server_now_ms(), reason, sizeof(reason)) ==
        DRY_OK) {
        engine_keep_warm(server->engine, server_now_ms());
        return true;
    }
    log_line(&server->log, LOG_WARNING, "Error trying to save the data: %s%s",
        reason, force ? "" : ", can't exit.");
    return false;
}

bool server_shutdown(struct server *server, bool save, bool force)
{
    if (server->shutting_down) {
        return true;
    }
    log_line(&server->log, LOG_WARNING, "User requested shutdown...");
    startup_notify(server, "STOPPING=1\n");
    bool saved = false;
    /* While loading nothing can be dirty. */
    if (save && !server->loading) {
        saved = save_all(server, force);
        if (!saved && !force) {
            return false;
        }
    }
    server->shutting_down = true;
    startup_remove_pidfile(server);
    listen_close(server);
    dismiss_conns(server, saved);
    log_line(
        &server->log, LOG_WARNING, "larder is now ready to exit, bye bye...");
    uv_stop(&server->loop);
    return true;
}

static void shut_down_for(struct server *server, int signal_number)
{
    int how = signal_number == SIGINT ? server->config.shutdown_on_sigint
                                      : server->config.shutdown_on_sigterm;
    bool save = (how & CONFIG_SHUTDOWN_NOSAVE) == 0;
    bool force = (how & CONFIG_SHUTDOWN_FORCE) != 0;
    server_shutdown(server, save, force);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    bool interrupt = number == SIGINT;
    log_line(&server->log, LOG_WARNING, "Received %s scheduling shutdown...",
        interrupt ? "SIGINT" : "SIGTERM");
    if (interrupt) {
        /* A second one ends the process whatever it is doing. */
        uv_signal_stop(&server->sigint);
        signal(SIGINT, SIG_DFL);
    }
    if (scripting_is_busy(server)) {
        scripting_abort(server);
        server->signal_missed = number;
    } else {
        shut_down_for(server, number);
    }
}

void server_handle_missed_signal(struct server *server)
{
    if (server->signal_missed != 0) {
        int number = server->signal_missed;
        server->signal_missed = 0;
        shut_down_for(server, number);
    }
}

void server_watch_signals(struct server *server)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    uv_signal_init(&server->loop, &server->sigterm);
    uv_signal_init(&server->loop, &server->sigint);
    server->sigterm.data = server->sigint.data = server;
    uv_signal_start(&server->sigterm, on_signal, SIGTERM);
    uv_signal_start(&server->sigint, on_signal, SIGINT);
}
