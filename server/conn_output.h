/* The queue of a connection's output, between conn_write.c and conn_held.c. */
#ifndef LARDER_SERVER_CONN_OUTPUT_H
#define LARDER_SERVER_CONN_OUTPUT_H

#include "server/conn.h"

/* A stretch of queued output: bytes of its own, or of a blob. Never moves,
 * because a write under way points into it. */
struct segment {
    struct segment *next;
    struct blob *blob; /* one reference held; NULL: own bytes */
    size_t start, size, capacity;
    /* Of replies that become errors if a sync fails: how many begin here, and
     * whether it only goes on with those of the segments before. */
    unsigned unsynced;
    bool unsynced_rest;
    char bytes[];
};

/* A segment of its own for `size` bytes behind `previous` (NULL: at the
 * beginning), empty and not counted yet (conn_count_queued). */
struct segment *conn_insert_segment(
    struct conn *conn, struct segment *previous, size_t size);
/* So many bytes more are queued. */
void conn_count_queued(struct conn *conn, size_t size);
/* Takes out the segment behind `previous` (NULL: the first). */
void conn_remove_segment(struct conn *conn, struct segment *previous);
/* Queues the bytes from `from` up to `to` of what the reply holds; blobs lie
 * on one side of either. */
void conn_queue_range(
    struct conn *conn, const struct reply *reply, size_t from, size_t to);

/* ---- conn_held.c: replies that wait until what they tell of is synced ---- */

/* The reply of the command that has run is such a one and lies in
 * server->reply from `start` up to `end`. */
void held_note(struct server *server, size_t start, size_t end);
/* conn_queue_range from `start` to the end, with what was noted. */
void held_queue(struct conn *conn, const struct reply *reply, size_t start);
/* The same for one reply as a whole, to a command that was waiting. */
void held_queue_served(struct conn *conn, const struct reply *reply);

#endif
