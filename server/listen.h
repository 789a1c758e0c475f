/* Listening sockets: TCP on every `bind` address, the Unix socket, and who
 * may come in. One thread. */
#ifndef LARDER_SERVER_LISTEN_H
#define LARDER_SERVER_LISTEN_H

#include <stdbool.h>

struct server;

/* Opens all that the configuration asks for. False, with the reason logged,
 * when one that is not optional cannot be had, or nothing is left. */
bool listen_open(struct server *server);
/* CONFIG SET bind and port: closes the TCP sockets there are and opens those
 * of the configuration. False, with the reason logged, when that fails: there
 * are none then. Clients stay. */
bool listen_reopen_tcp(struct server *server);
/* Stops accepting, removes the Unix socket's file. */
void listen_close(struct server *server);

#endif
