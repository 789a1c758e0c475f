/* MONITOR: connections that get a line for every command. One thread. */
#ifndef LARDER_SERVER_MONITOR_H
#define LARDER_SERVER_MONITOR_H

struct conn;
struct request;

/* Both are safe to call twice. A connection must be removed before it is
 * freed. */
void monitor_add(struct conn *conn);
void monitor_remove(struct conn *conn);

/* Tells every monitor of `request`, once it has run. Commands flagged admin or
 * skip_monitor are left out, passwords are replaced. The caller asks first
 * whether server->monitors is NULL. */
void monitor_feed(const struct request *request);

#endif
