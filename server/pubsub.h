/* Publish and subscribe: which connections listen to which channels, shard
 * channels and patterns, and the delivery of messages to them. Names are any
 * bytes. One thread, the loop's.
 *
 * A message is built once a protocol version and queued on every subscriber;
 * it is written at the end of the turn. Nothing here closes a connection
 * whose turn it is not, except by conn_send's rules. */
#ifndef LARDER_SERVER_PUBSUB_H
#define LARDER_SERVER_PUBSUB_H

#include "protocol/bytes.h"

struct conn;
struct pubsub;
struct request;
struct server;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

struct pubsub *pubsub_create(void);
/* Every connection has been forgotten before. NULL is allowed. */
void pubsub_destroy(struct pubsub *pubsub);

/* ---- a connection's subscriptions ---- */

/* False when it listens to that already. */
bool pubsub_subscribe(
    struct conn *conn, enum pubsub_kind kind, struct bytes name);
/* False when it did not listen to that. */
bool pubsub_unsubscribe(
    struct conn *conn, enum pubsub_kind kind, struct bytes name);
/* Ends all of its subscriptions: it closes or is RESET. */
void pubsub_forget(struct conn *conn);
/* How many it has of that kind. */
unsigned pubsub_count(const struct conn *conn, enum pubsub_kind kind);
/* The name it subscribed to first of those it still has; borrowed until that
 * subscription ends. False when there is none. */
bool pubsub_first(
    const struct conn *conn, enum pubsub_kind kind, struct bytes *name);
/* Calls `fn` with the name of each of them, borrowed until it returns, until
 * one gives false; false then. */
typedef bool pubsub_subscription_fn(void *context, struct bytes name);
bool pubsub_each_subscription(const struct conn *conn, enum pubsub_kind kind,
    pubsub_subscription_fn *fn, void *context);
/* Whether it has any subscription: the subscriber mode of RESP2, the class
 * "pubsub" of output limits. */
bool pubsub_is_subscriber(const struct conn *conn);
/* Whether its connection may run the command although it listens and speaks
 * RESP2. False after an error has been answered. (commands/pubsub.c) */
bool pubsub_may_run(struct request *request);
/* What its subscriptions take in RAM, bytes. */
size_t pubsub_conn_bytes(const struct conn *conn);

/* ---- all of them ---- */

/* Different names that somebody listens to. */
size_t pubsub_name_count(const struct pubsub *pubsub, enum pubsub_kind kind);
/* Connections that listen to `name`. */
size_t pubsub_subscriber_count(
    const struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name);
/* Calls `fn` with each name, the oldest first; borrowed until it returns, and
 * it must not change subscriptions. */
typedef void pubsub_name_fn(void *context, struct bytes name);
void pubsub_each_name(const struct pubsub *pubsub, enum pubsub_kind kind,
    pubsub_name_fn *fn, void *context);
/* What all subscriptions take in RAM, bytes. */
size_t pubsub_bytes(const struct pubsub *pubsub);

/* Sends `message` to all who listen to `channel`, PUBSUB_CHANNEL (also by
 * patterns) or PUBSUB_SHARD. `blob`: the same message where it lies in a blob
 * of its own (borrowed; large ones are then not copied), or NULL. Returns the
 * number of deliveries. */
uint64_t pubsub_publish(struct server *server, enum pubsub_kind kind,
    struct bytes channel, struct bytes message, struct blob *blob);

#endif
