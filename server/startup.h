/* What a server process does before it serves: going to the background,
 * limits, the pid file, telling the supervisor. One thread. */
#ifndef LARDER_SERVER_STARTUP_H
#define LARDER_SERVER_STARTUP_H

#include <stdbool.h>

struct server;

/* `daemonize yes`: the parent exits here. False when it cannot be done. */
bool startup_daemonize(void);
/* The first lines of the log. */
void startup_log_banner(struct server *server);
/* Descriptors for maxclients; lowers maxclients when there are too few. */
void startup_raise_limits(struct server *server);
void startup_write_pidfile(struct server *server);
void startup_remove_pidfile(struct server *server);
/* `supervised`: one line of systemd's protocol, such as "READY=1". Nothing
 * when there is no supervisor. */
void startup_notify(struct server *server, const char *state);
/* 40 random hexadecimal digits. */
void startup_make_run_id(char out[41]);

#endif
