/* Replies to the socket. The answers to one round of input lie one behind the
 * other in server->reply and are written when all of the round has been read:
 * a client that is woken by each single reply costs a wake-up each. For the
 * same reason what a pipeline was answered before a value that comes from disk
 * is kept, for a short time, and written with the rest.
 *
 * Mostly one write takes all; what the socket does not take becomes segments
 * in a queue, and libuv is asked, one write at a time, to say when there is
 * room again. */
#include <stdlib.h>
#include <utlist.h>

#include "server/conn_output.h"
#include "server/park.h"
#include "server/server.h"

#define SEGMENT_BYTES ((size_t)16 * 1024)
/* Of the first segment of a queue, its header included; mostly it is one
 * message for a subscriber. Each next one is twice as large. */
#define SEGMENT_BYTES_MIN ((size_t)1024)
#define WRITE_BUFFERS 64
/* Answers of a round kept before they are written after all. */
#define ANSWER_BYTES_MAX ((size_t)256 * 1024)
/* When so much has been written in a turn of the loop, large values, which
 * need no copy to wait, are written in rounds of so long: six hundred replies
 * of a megabyte at once held up everybody else for a second. But a value that
 * sinks stays in memory meanwhile: so they may be this part of maxmemory. */
#define TURN_WRITE_BYTES ((size_t)4 * 1024 * 1024)
#define FLUSH_ROUND_US 30000
#define PUT_OFF_PART 8

struct writer {
    uv_write_t request;
    struct conn *conn;
    size_t size;
};

/* ---- the queue ---- */

struct segment *conn_insert_segment(
    struct conn *conn, struct segment *previous, size_t size)
{
    struct segment *segment = xmalloc(sizeof(*segment) + size);
    *segment = (struct segment){.capacity = size};
    struct segment **link =
        previous != NULL ? &previous->next : &conn->output_first;
    segment->next = *link;
    *link = segment;
    if (segment->next == NULL) {
        conn->output_last = segment;
    }
    return segment;
}

void conn_count_queued(struct conn *conn, size_t size)
{
    conn->output_bytes += size;
    conn->server->queued_output_bytes += size;
}

static size_t next_capacity(const struct segment *last)
{
    size_t size = SEGMENT_BYTES_MIN;
    if (last != NULL && last->blob == NULL) {
        size = 2 * (last->capacity + sizeof(*last));
    }
    return (size < SEGMENT_BYTES ? size : SEGMENT_BYTES) - sizeof(*last);
}

static void queue_bytes(struct conn *conn, struct bytes bytes)
{
    struct segment *last = conn->output_last;
    conn_count_queued(conn, bytes.size);
    if (last != NULL && last->blob == NULL && last->capacity > last->size) {
        size_t room = last->capacity - last->size;
        size_t size = bytes.size < room ? bytes.size : room;
        memcpy(last->bytes + last->size, bytes.data, size);
        last->size += size;
        bytes = bytes_of(bytes.data + size, bytes.size - size);
    }
    if (bytes.size > 0) {
        size_t usual = next_capacity(last);
        last = conn_insert_segment(
            conn, last, bytes.size > usual ? bytes.size : usual);
        memcpy(last->bytes, bytes.data, bytes.size);
        last->size = bytes.size;
    }
}

static void queue_blob(struct conn *conn, struct blob *blob, size_t start)
{
    struct segment *segment = conn_insert_segment(conn, conn->output_last, 0);
    segment->blob = blob_ref(blob);
    segment->start = start;
    segment->size = blob->size;
    conn_count_queued(conn, blob->size - start);
    conn->server->queued_blob_bytes += blob->size - start;
}

static void count_unqueued(
    struct conn *conn, const struct segment *segment, size_t size)
{
    conn->output_bytes -= size;
    conn->server->queued_output_bytes -= size;
    if (segment->blob != NULL) {
        conn->server->queued_blob_bytes -= size;
    }
}

void conn_remove_segment(struct conn *conn, struct segment *previous)
{
    struct segment **link =
        previous != NULL ? &previous->next : &conn->output_first;
    struct segment *segment = *link;
    *link = segment->next;
    if (segment->next == NULL) {
        conn->output_last = previous;
    }
    count_unqueued(conn, segment, segment->size - segment->start);
    blob_unref(segment->blob);
    free(segment);
}

static void consume(struct conn *conn, size_t size)
{
    while (size > 0) {
        struct segment *first = conn->output_first;
        check(first != NULL);
        size_t left = first->size - first->start;
        if (size < left) {
            count_unqueued(conn, first, size);
            first->start += size;
            return;
        }
        size -= left;
        conn_remove_segment(conn, NULL);
    }
}

void conn_free_output(struct conn *conn)
{
    consume(conn, conn->output_bytes);
}

size_t conn_output_bytes(const struct conn *conn)
{
    size_t written = 0;
    if (conn->writer != NULL) {
        written =
            conn->writer->size - uv_stream_get_write_queue_size(&conn->stream);
    }
    return conn->output_bytes - written;
}

/* ---- a reply as a row of buffers ---- */

/* Calls for each piece of the reply behind its first `skip` bytes. */
typedef bool piece_fn(
    void *context, struct bytes piece, struct blob *blob, size_t start);

static bool each_piece(
    const struct reply *reply, size_t skip, piece_fn *fn, void *context)
{
    size_t at = 0;
    for (size_t i = 0; i <= reply->splice_count; i++) {
        bool last = i == reply->splice_count;
        size_t end = last ? reply->size : reply->splices[i].at;
        size_t size = end - at;
        size_t skipped = skip < size ? skip : size;
        skip -= skipped;
        if (size > skipped &&
            !fn(context, bytes_of(reply->data + at + skipped, size - skipped),
                NULL, 0)) {
            return false;
        }
        at = end;
        if (last) {
            break;
        }
        struct blob *blob = reply->splices[i].blob;
        skipped = skip < blob->size ? skip : blob->size;
        skip -= skipped;
        if (blob->size > skipped &&
            !fn(context, bytes_of(blob->data + skipped, blob->size - skipped),
                blob, skipped)) {
            return false;
        }
    }
    return true;
}

struct gather {
    uv_buf_t buffers[WRITE_BUFFERS];
    unsigned count;
    size_t size;
};

static void gather_add(struct gather *gather, struct bytes piece)
{
    gather->buffers[gather->count++] =
        (uv_buf_t){.base = (char *)(uintptr_t)piece.data, .len = piece.size};
    gather->size += piece.size;
}

static bool gather_piece(
    void *context, struct bytes piece, struct blob *blob, size_t start)
{
    (void)blob;
    (void)start;
    struct gather *gather = context;
    gather_add(gather, piece);
    return gather->count < WRITE_BUFFERS;
}

struct queueing {
    struct conn *conn;
    size_t left;
};

static bool queue_piece(
    void *context, struct bytes piece, struct blob *blob, size_t start)
{
    struct queueing *queueing = context;
    size_t size = piece.size < queueing->left ? piece.size : queueing->left;
    if (size == 0) {
        return false;
    }
    if (blob != NULL) {
        check(size == piece.size);
        queue_blob(queueing->conn, blob, start);
    } else {
        queue_bytes(queueing->conn, bytes_of(piece.data, size));
    }
    queueing->left -= size;
    return true;
}

void conn_queue_range(
    struct conn *conn, const struct reply *reply, size_t from, size_t to)
{
    struct queueing queueing = {.conn = conn, .left = to - from};
    each_piece(reply, from, queue_piece, &queueing);
}

static void queue_reply(
    struct conn *conn, const struct reply *reply, size_t from)
{
    conn_queue_range(conn, reply, from, reply_pending_bytes(reply));
}

/* ---- writing ---- */

/* Bytes the kernel took; 0 when it takes no more just now. A broken
 * connection is closed. */
static size_t write_now(struct conn *conn, uv_buf_t *buffers, unsigned count)
{
    int wrote = uv_try_write(&conn->stream, buffers, count);
    if (wrote < 0) {
        if (wrote != UV_EAGAIN) {
            conn_close_soon(conn);
        }
        return 0;
    }
    conn->server->turn_written_bytes += (size_t)wrote;
    conn->server->stats.net_output_bytes += (size_t)wrote;
    conn->server->stats.writes_processed++;
    return (size_t)wrote;
}

/* Writes what the socket takes of a reply behind its first `start` bytes; how
 * many bytes that was. */
static size_t write_reply(
    struct conn *conn, const struct reply *reply, size_t start)
{
    size_t wrote = 0;
    for (;;) {
        struct gather gather = {.count = 0};
        each_piece(reply, start + wrote, gather_piece, &gather);
        if (gather.count == 0) {
            return wrote;
        }
        size_t size = write_now(conn, gather.buffers, gather.count);
        wrote += size;
        if (size < gather.size) {
            return wrote;
        }
    }
}

/* What could not be written is in the queue now. */
static void after_queueing(struct conn *conn)
{
    if (conn_check_output_limit(conn)) {
        conn_write_queued(conn);
    }
}

static void send_answer(struct server *server, const struct answer *answer)
{
    struct conn *conn = answer->conn;
    char *data = server->reply.data + answer->start;
    uv_buf_t buffer = {.base = data, .len = answer->size};
    conn->flags &= ~(uint32_t)CONN_ANSWER_WAITS;
    /* Behind the rest of an answer before it, if there is one. */
    size_t wrote = conn->output_first == NULL ? write_now(conn, &buffer, 1) : 0;
    if (wrote < answer->size && (conn->flags & CONN_CLOSING) == 0) {
        queue_bytes(conn, bytes_of(data + wrote, answer->size - wrote));
        after_queueing(conn);
    }
}

void conn_send_answers(struct server *server)
{
    unsigned count = server->answer_count;
    server->answer_count = 0;
    for (unsigned i = 0; i < count; i++) {
        send_answer(server, &server->answers[i]);
    }
    if (server->reply_start == server->reply.size) {
        reply_clear(&server->reply);
        server->reply_start = 0;
    }
}

/* Is it for conn_flush_list, as what comes behind such a reply always is? */
static bool is_put_off(const struct conn *conn, const struct reply *reply)
{
    const struct server *server = conn->server;
    return (conn->flags & CONN_FLUSH_QUEUED) != 0 ||
           (reply->splice_count > 0 &&
               server->turn_written_bytes > TURN_WRITE_BYTES &&
               server->queued_blob_bytes <
                   server->maxmemory_bytes / PUT_OFF_PART);
}

void conn_flush(struct conn *conn)
{
    struct server *server = conn->server;
    struct reply *reply = &server->reply;
    conn_send_answers(server);
    size_t start = server->reply_start;
    size_t size = reply_pending_bytes(reply) - start;
    bool later = is_put_off(conn, reply);
    if (size > 0 && (conn->flags & CONN_CLOSING) == 0) {
        size_t wrote = 0;
        if (!later && conn->output_first == NULL &&
            (conn->flags & CONN_OUTPUT_HELD) == 0) {
            wrote = write_reply(conn, reply, start);
        }
        if (wrote < size && (conn->flags & CONN_CLOSING) == 0) {
            held_queue(conn, reply, start + wrote);
            if (later) {
                conn_write_soon(conn);
            } else {
                after_queueing(conn);
            }
        }
    }
    server->unsynced_count = 0;
    reply_clear(reply);
    server->reply_start = 0;
}

void conn_answer(struct conn *conn)
{
    struct server *server = conn->server;
    struct reply *reply = &server->reply;
    size_t size = reply->size - server->reply_start;
    uint32_t special = CONN_OUTPUT_HELD | CONN_CLOSE_AFTER_REPLY | CONN_CLOSING;
    if (size == 0 && reply->splice_count == 0) {
        return;
    }
    if (reply->splice_count > 0 || conn->output_first != NULL ||
        (conn->flags & special) != 0) {
        conn_flush(conn);
        return;
    }
    server->answers[server->answer_count++] = (struct answer){
        .conn = conn, .start = server->reply_start, .size = size};
    server->reply_start = reply->size;
    conn->flags |= CONN_ANSWER_WAITS;
    if (server->answer_count == ANSWERS_MAX || reply->size > ANSWER_BYTES_MAX) {
        conn_send_answers(server);
    }
}

static void gather_queue(const struct conn *conn, struct gather *gather)
{
    for (const struct segment *segment = conn->output_first;
         segment != NULL && gather->count < WRITE_BUFFERS;
         segment = segment->next) {
        const char *base =
            segment->blob != NULL ? segment->blob->data : segment->bytes;
        gather_add(gather,
            bytes_of(base + segment->start, segment->size - segment->start));
    }
}

/* All that was queued has been written. */
static void output_drained(struct conn *conn)
{
    if ((conn->flags & CONN_CLOSE_AFTER_REPLY) != 0) {
        conn_close_soon(conn);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct writer *writer = (struct writer *)request;
    struct conn *conn = writer->conn;
    size_t size = writer->size;
    conn->writer = NULL;
    free(writer);
    if ((conn->flags & CONN_CLOSING) != 0) {
        return;
    }
    if (status < 0) {
        conn_close_soon(conn);
        return;
    }
    conn->server->stats.net_output_bytes += size;
    conn->server->stats.writes_processed++;
    consume(conn, size);
    conn_write_queued(conn);
}

static void start_writer(struct conn *conn)
{
    struct gather gather = {.count = 0};
    gather_queue(conn, &gather);
    struct writer *writer = xcalloc(1, sizeof(*writer));
    writer->conn = conn;
    writer->size = gather.size;
    conn->writer = writer;
    if (uv_write(&writer->request, &conn->stream, gather.buffers, gather.count,
            on_written) != 0) {
        conn->writer = NULL;
        free(writer);
        conn_close_soon(conn);
    }
}

void conn_write_queued(struct conn *conn)
{
    uint32_t blocked = CONN_CLOSING | CONN_OUTPUT_HELD;
    if ((conn->flags & blocked) != 0 || conn->writer != NULL) {
        return;
    }
    while (conn->output_first != NULL) {
        struct gather gather = {.count = 0};
        gather_queue(conn, &gather);
        size_t wrote = write_now(conn, gather.buffers, gather.count);
        if ((conn->flags & CONN_CLOSING) != 0) {
            return;
        }
        consume(conn, wrote);
        if (wrote < gather.size) {
            start_writer(conn);
            break;
        }
    }
    if ((conn->flags & CONN_CLOSING) != 0) {
        return;
    }
    if (conn->output_first == NULL) {
        output_drained(conn);
    }
    if (conn->wait == CONN_WAIT_OUTPUT &&
        conn_output_bytes(conn) <= conn_output_pause_bytes(conn->server) / 2) {
        park_end(conn);
    }
    conn_update_reading(conn);
}

void conn_write_soon(struct conn *conn)
{
    if ((conn->flags & CONN_FLUSH_QUEUED) == 0) {
        conn->flags |= CONN_FLUSH_QUEUED;
        DL_APPEND2(conn->server->flush_list, conn, flush_prev, flush_next);
    }
}

void conn_begin_reply(struct conn *conn)
{
    struct server *server = conn->server;
    server->running = conn;
    server->running_start = reply_pending_bytes(&server->reply);
    server->running_unsynced = false;
}

void conn_end_reply(struct conn *conn)
{
    struct server *server = conn->server;
    server->running = NULL;
    if (server->running_unsynced) {
        server->running_unsynced = false;
        held_note(
            server, server->running_start, reply_pending_bytes(&server->reply));
    }
    if (server->pushes.size > 0) {
        reply_append(&server->reply, &server->pushes);
        reply_clear(&server->pushes);
    }
}

/* To the connection whose command is running. */
static void send_to_running(struct server *server, const struct reply *message)
{
    struct reply *reply = &server->reply;
    if (reply_pending_bytes(reply) == server->running_start) {
        reply_append(reply, message);
        server->running_start = reply_pending_bytes(reply);
    } else {
        reply_append(&server->pushes, message);
    }
}

void conn_send_reply(struct conn *conn, const struct reply *message)
{
    struct server *server = conn->server;
    if ((conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY)) != 0) {
        return;
    }
    if (conn == server->running) {
        send_to_running(server, message);
        return;
    }
    if ((conn->flags & CONN_ANSWER_WAITS) != 0) {
        conn_send_answers(server); /* they came first */
        if ((conn->flags & CONN_CLOSING) != 0) {
            return;
        }
    }
    queue_reply(conn, message, 0);
    conn_write_soon(conn);
}

void conn_send(struct conn *conn, struct bytes bytes)
{
    struct reply message = {
        .data = (char *)(uintptr_t)bytes.data, .size = bytes.size};
    conn_send_reply(conn, &message);
}

void conn_send_served(struct conn *conn, struct reply *reply)
{
    bool unsynced = conn->server->running_unsynced;
    conn->server->running_unsynced = false;
    check((conn->flags & CONN_ANSWER_WAITS) == 0);
    if ((conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY)) == 0) {
        size_t wrote = 0;
        size_t size = reply_pending_bytes(reply);
        if (conn->output_first == NULL &&
            (conn->flags & CONN_OUTPUT_HELD) == 0) {
            wrote = write_reply(conn, reply, 0);
        }
        if (wrote < size && (conn->flags & CONN_CLOSING) == 0) {
            if (unsynced) {
                held_queue_served(conn, reply);
            } else {
                queue_reply(conn, reply, wrote);
            }
            after_queueing(conn);
        }
    }
    reply_clear(reply);
}

/* The end of a turn. Whoever is left goes on in the next. */
void conn_flush_list(struct server *server)
{
    uint64_t end_us = server_mono_us() + FLUSH_ROUND_US;
    while (server->flush_list != NULL && server_mono_us() <= end_us) {
        struct conn *conn = server->flush_list;
        DL_DELETE2(server->flush_list, conn, flush_prev, flush_next);
        conn->flags &= ~(uint32_t)CONN_FLUSH_QUEUED;
        conn_write_queued(conn);
        if (conn->output_first != NULL && (conn->flags & CONN_CLOSING) == 0) {
            conn_check_output_limit(conn);
        }
    }
    server->turn_written_bytes = 0;
}
