/* Bytes from the socket to commands: conn_on_alloc says where the kernel may
 * write, conn_on_read has them parsed and run, and keeps what is left over.
 *
 *   shared read buffer:  [ tail kept before | new input               ]
 *                          copied from conn->input
 *
 * A large argument goes straight into the blob the parser is filling. */
#include <stdlib.h>

#include "server/conn.h"
#include "server/park.h"
#include "server/server.h"

/* What is read at once, unless it is the middle of a large value: most of such
 * a value is then read to where it will stay. */
#define READ_BYTES ((size_t)128 * 1024)
/* Input of one connection in one turn of the loop. */
#define TURN_BYTES READ_BUFFER_BYTES

static bool had_its_share(struct conn *conn)
{
    struct server *server = conn->server;
    if (server->last_reader_id != conn->id) {
        server->last_reader_id = conn->id;
        server->last_reader_bytes = 0;
    }
    return server->last_reader_bytes >= TURN_BYTES;
}

void conn_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct conn *conn = (struct conn *)handle;
    struct server *server = conn->server;
    if ((conn->flags & CONN_PARKED) != 0 || had_its_share(conn)) {
        /* libuv then calls conn_on_read with UV_ENOBUFS and comes back in
         * the next turn if it is still to read. */
        *buffer = uv_buf_init(NULL, 0);
        return;
    }
    size_t size;
    char *room = resp_blob_room(&conn->parser, &size);
    if (room == NULL) {
        if (conn->input_size > 0) {
            memcpy(server->read_buffer, conn->input, conn->input_size);
        }
        room = server->read_buffer + conn->input_size;
        size = READ_BUFFER_BYTES - conn->input_size;
        size = size < READ_BYTES ? size : READ_BYTES;
    }
    *buffer = uv_buf_init(room, (unsigned)(size < INT_MAX ? size : INT_MAX));
}

static void drop_input(struct conn *conn)
{
    free(conn->input);
    conn->input = NULL;
    conn->input_size = 0;
    conn->input_used = 0;
}

/* Keeps window[from...size) for the next time; the window may be
 * conn->input itself. */
static char *keep_input(
    struct conn *conn, const char *window, size_t from, size_t size)
{
    char *old = conn->input;
    size_t left = size - from;
    conn->input = NULL;
    if (left > 0) {
        conn->input = xmalloc(left);
        memcpy(conn->input, window + from, left);
    }
    conn->input_size = left;
    free(old);
    return conn->input;
}

/* The window is about to be used for other connections: moves what has not
 * run to conn->input, and the arguments of the parked batch with it. */
static void keep_parked_window(
    struct conn *conn, const char *window, size_t size)
{
    struct park *park = conn->park;
    if (window == conn->input || size == 0) {
        return;
    }
    if (!park->has_batch) {
        keep_input(conn, window, conn->input_used, size);
        conn->input_used = 0;
        return;
    }
    const char *moved = keep_input(conn, window, 0, size);
    uintptr_t low = (uintptr_t)window, high = low + size;
    for (size_t i = 0; i < park->batch.args.count; i++) {
        struct bytes *item = &park->batch.args.items[i];
        uintptr_t at = (uintptr_t)item->data;
        if (at >= low && at < high) {
            item->data = moved + (at - low);
        }
    }
}

/* After a stretch of input: replies go out, or wait until what they
 * acknowledge is safe on disk. */
static void finish_round(struct conn *conn, enum batch_result result)
{
    if ((conn->flags & CONN_CLOSING) != 0) {
        conn_flush(conn); /* only drops it */
        return;
    }
    if ((conn->flags & CONN_OUTPUT_HELD) != 0 && result != BATCH_PARKED &&
        !park_for_sync(conn)) {
        conn_end_hold(conn);
    }
    if (result == BATCH_PARKED && conn->wait == CONN_WAIT_FETCH) {
        conn_keep_answer(conn);
    } else {
        conn_answer(conn);
    }
    if ((conn->flags & CONN_CLOSE_AFTER_REPLY) != 0) {
        conn_close_after_reply(conn);
    } else {
        conn_update_reading(conn);
    }
}

static void run_window(struct conn *conn, const char *window, size_t size)
{
    enum batch_result result = batch_run_input(conn, window, size);
    switch (result) {
    case BATCH_DONE:
        if (conn->input_used < size || conn->input != NULL) {
            keep_input(conn, window, conn->input_used, size);
        }
        conn->input_used = 0;
        break;
    case BATCH_PARKED:
        keep_parked_window(conn, window, size);
        break;
    case BATCH_CLOSED:
        drop_input(conn);
        break;
    }
    finish_round(conn, result);
}

/* Input that takes long to run. */
#define LONG_INPUT_BYTES 4096

void conn_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct conn *conn = (struct conn *)stream;
    struct server *server = conn->server;
    if (size == UV_ENOBUFS && (conn->flags & CONN_PARKED) != 0) {
        conn_stop_reading(conn);
    }
    if (size == 0 || size == UV_ENOBUFS) {
        return;
    }
    if (size < 0) {
        if ((conn->flags & CONN_FLUSH_QUEUED) != 0) {
            conn_write_queued(conn); /* it may still read */
        }
        conn_close_soon(conn);
        return;
    }
    size_t got = (size_t)size;
    server->input_seen = true;
    engine_begin_round(server->engine);
    server->last_reader_bytes += got;
    server->stats.net_input_bytes += got;
    server->stats.reads_processed++;
    coalesce_read(&server->coalesce, &conn->reads);
    if (got >= LONG_INPUT_BYTES) {
        conn_send_answers(server); /* they need not wait for all of it */
        if ((conn->flags & CONN_CLOSING) != 0) {
            return; /* one of them was its own, and could not be sent */
        }
    }
    size_t window_size = conn->input_size + got;
    if (buffer->base != server->read_buffer + conn->input_size) {
        resp_blob_filled(&conn->parser, got);
        window_size = 0; /* the parser keeps no tail while it fills a blob */
    }
    run_window(conn, server->read_buffer, window_size);
}

void conn_go_on(struct conn *conn, enum batch_result result)
{
    if (result == BATCH_DONE && conn->input != NULL) {
        run_window(conn, conn->input, conn->input_size);
        return;
    }
    if (result == BATCH_CLOSED) {
        drop_input(conn);
    }
    finish_round(conn, result);
}
