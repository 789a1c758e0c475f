/* Replies that are held back: until what they tell of is on disk
 * (CONN_OUTPUT_HELD), or kept until a value that comes from there lets the rest
 * of the pipeline be answered with them.
 *
 * While a connection is held, all it is answered is queued, the replies to its
 * writes in segments of their own. When the sync succeeds the queue is written
 * as it is; when it fails, each of those replies becomes an error first. */
#include <stdlib.h>

#include "server/conn_output.h"
#include "server/server.h"

/* Of an answer that is kept. */
#define KEEP_BYTES_MAX ((size_t)16 * 1024)

/* Replies that follow one another, from `start` up to `end` of
 * server->reply. */
struct unsynced_run {
    size_t start, end;
    unsigned count;
};

void held_note(struct server *server, size_t start, size_t end)
{
    unsigned count = server->unsynced_count;
    if (start == end) {
        return; /* CLIENT REPLY OFF */
    }
    if (count > 0 && server->unsynced[count - 1].end == start) {
        server->unsynced[count - 1].end = end;
        server->unsynced[count - 1].count++;
        return;
    }
    if (count == server->unsynced_capacity) {
        server->unsynced_capacity = count * 2 + 16;
        server->unsynced = xrealloc(server->unsynced,
            server->unsynced_capacity * sizeof(*server->unsynced));
    }
    server->unsynced[server->unsynced_count++] =
        (struct unsynced_run){start, end, 1};
}

/* Nothing is added to the last segment any more. */
static void close_last(struct conn *conn)
{
    if (conn->output_last != NULL) {
        conn->output_last->capacity = conn->output_last->size;
    }
}

static void queue_run(struct conn *conn, const struct reply *reply,
    const struct unsynced_run *run)
{
    struct segment *last = conn->output_last;
    close_last(conn);
    conn_queue_range(conn, reply, run->start, run->end);
    struct segment *first = last != NULL ? last->next : conn->output_first;
    first->unsynced = run->count;
    for (struct segment *rest = first->next; rest != NULL; rest = rest->next) {
        rest->unsynced_rest = true;
    }
    close_last(conn);
}

void held_queue(struct conn *conn, const struct reply *reply, size_t start)
{
    struct server *server = conn->server;
    size_t at = start;
    for (unsigned i = 0; i < server->unsynced_count; i++) {
        const struct unsynced_run *run = &server->unsynced[i];
        conn_queue_range(conn, reply, at, run->start);
        queue_run(conn, reply, run);
        at = run->end;
    }
    conn_queue_range(conn, reply, at, reply_pending_bytes(reply));
    server->unsynced_count = 0;
}

void held_queue_served(struct conn *conn, const struct reply *reply)
{
    struct unsynced_run run = {0, reply_pending_bytes(reply), 1};
    if (run.end > 0) {
        queue_run(conn, reply, &run);
    }
}

/* Before the first of the segments of these replies: as many errors. */
static void insert_errors(struct conn *conn, struct segment *previous,
    unsigned count, struct bytes error)
{
    struct server *server = conn->server;
    size_t size = count * error.size;
    struct segment *errors = conn_insert_segment(conn, previous, size);
    for (unsigned i = 0; i < count; i++) {
        memcpy(errors->bytes + i * error.size, error.data, error.size);
        stats_count_error(&server->stats, "MISCONF");
    }
    errors->size = size;
    conn_count_queued(conn, size);
}

static void replace_unsynced(struct conn *conn, struct bytes error)
{
    struct segment *previous = NULL;
    struct segment *segment = conn->output_first;
    while (segment != NULL) {
        struct segment *next = segment->next;
        unsigned count = segment->unsynced;
        if (count == 0 && !segment->unsynced_rest) {
            previous = segment;
        } else {
            conn_remove_segment(conn, previous);
        }
        if (count > 0) {
            insert_errors(conn, previous, count, error);
            previous = previous != NULL ? previous->next : conn->output_first;
        }
        segment = next;
    }
}

void conn_end_hold(struct conn *conn)
{
    conn->server->unsynced_count = 0;
    conn->flags &= ~(uint32_t)CONN_OUTPUT_HELD;
    for (struct segment *segment = conn->output_first; segment != NULL;
         segment = segment->next) {
        segment->unsynced = 0;
        segment->unsynced_rest = false;
    }
}

void conn_refuse_held(struct conn *conn, const char *cause)
{
    struct reply error;
    reply_init(&error);
    reply_error(&error,
        "MISCONF Errors writing to disk: %s. What the command changed is in "
        "memory, but not safe.",
        cause);
    replace_unsynced(conn, bytes_of(error.data, error.size));
    reply_finish(&error);
    conn_end_hold(conn);
}

/* ---- kept while a value comes from disk ---- */

void conn_keep_answer(struct conn *conn)
{
    struct server *server = conn->server;
    struct reply *reply = &server->reply;
    size_t start = server->reply_start;
    size_t size = reply->size - start;
    uint32_t special = CONN_OUTPUT_HELD | CONN_CLOSE_AFTER_REPLY |
                       CONN_CLOSING | CONN_ANSWER_WAITS;
    if (reply->splice_count > 0 || conn->output_first != NULL ||
        (conn->flags & special) != 0 || size > KEEP_BYTES_MAX) {
        conn_answer(conn);
    } else if (size > 0) {
        conn_queue_range(conn, reply, start, reply->size);
        reply->size = start;
    }
}

void conn_take_kept(struct conn *conn)
{
    struct segment *kept = conn->output_first;
    struct reply *reply = &conn->server->reply;
    check(reply_pending_bytes(reply) == conn->server->reply_start);
    uint32_t special = CONN_OUTPUT_HELD | CONN_CLOSING | CONN_ANSWER_WAITS;
    if (kept == NULL || kept->next != NULL || kept->blob != NULL ||
        conn->writer != NULL || (conn->flags & special) != 0) {
        return;
    }
    struct reply message = {
        .data = kept->bytes + kept->start, .size = kept->size - kept->start};
    reply_append(reply, &message);
    conn_remove_segment(conn, NULL);
}
