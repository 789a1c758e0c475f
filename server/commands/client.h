/* What the files of CLIENT, HELLO, INFO and MONITOR share. One thread. */
#ifndef LARDER_SERVER_COMMANDS_CLIENT_H
#define LARDER_SERVER_COMMANDS_CLIENT_H

#include "server/command.h"

/* Gives the connection a name, or with an empty one takes it away. False
 * after an error has been answered. */
bool client_set_name(struct request *request, struct bytes name);

/* Classes of CLIENT LIST TYPE and CLIENT KILL TYPE. */
enum client_type {
    CLIENT_NORMAL,
    CLIENT_REPLICA,
    CLIENT_MASTER,
    CLIENT_PUBSUB
};
/* False after an error has been answered. */
bool client_type_of(struct request *request, int index, enum client_type *type);
enum client_type client_type(const struct conn *conn);
/* The connection as CLIENT LIST shows it, without line end: heap. */
char *client_describe(struct conn *conn, int64_t now_ms);

#endif
