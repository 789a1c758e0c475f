#include "server/batch.h"

#include "server/conn.h"
#include "server/park.h"
#include "server/server.h"

/* Replies are sent before they grow beyond this, so that the client reads
 * while we work. */
#define FLUSH_BYTES ((size_t)128 * 1024)
/* A connection with more to do than this waits for its next turn. */
#define TURN_NS UINT64_C(3000000)
/* A database with fewer keys is in the processor's caches anyway: looking
 * ahead would cost a twentieth of a pipelined GET and gain nothing. */
#define PREFETCH_MIN_KEYS 20000
/* Keys looked up ahead; a longer MGET goes on without. */
#define PREFETCH_KEYS 256

/* Parses up to a batch of commands. Before authentication one at a time: AUTH
 * changes what the parser allows. */
static enum resp_result parse_ahead(
    struct conn *conn, struct batch *batch, const char *window, size_t size)
{
    struct server *server = conn->server;
    unsigned limit = conn_is_admitted(conn) ? BATCH_COMMANDS : 1;
    enum resp_result result = RESP_COMMAND;
    conn->parser.limits = conn_limits(conn);
    batch->count = 0;
    batch->next = 0;
    resp_args_reset(&batch->args);
    while (batch->count < limit) {
        struct batch_command *command = &batch->commands[batch->count];
        result = resp_parse(&conn->parser, window, size, &conn->input_used,
            &batch->args, &command->parsed);
        if (result == RESP_COMMAND) {
            struct bytes name = batch->args.items[command->parsed.first];
            command->row = command_cache_find(&server->commands,
                &server->config, name, &command->is_container);
            batch->count++;
        } else if (result != RESP_EMPTY) {
            break;
        }
    }
    return result;
}

void batch_prefetch(struct conn *conn, const struct batch *batch)
{
    struct server *server = conn->server;
    struct db *db = engine_db(server->engine, conn->db);
    uint64_t hashes[PREFETCH_KEYS];
    unsigned count = 0;
    if (server->loading || db_size(db) < PREFETCH_MIN_KEYS) {
        return;
    }
    for (unsigned i = batch->next; i < batch->count; i++) {
        const struct batch_command *command = &batch->commands[i];
        if (command->row == NULL || command->row->first_key == 0) {
            continue;
        }
        const struct bytes *argv = &batch->args.items[command->parsed.first];
        int argc = command->parsed.argc;
        int last = command->row->last_key;
        last = last < 0 ? argc + last : last;
        for (int key = command->row->first_key;
             key <= last && key < argc && count < PREFETCH_KEYS;
             key += command->row->key_step) {
            hashes[count++] = db_hash(db, argv[key]);
        }
    }
    if (count < 2) {
        return;
    }
    for (unsigned stage = 0; stage < DB_PREFETCH_STAGES; stage++) {
        for (unsigned i = 0; i < count; i++) {
            db_prefetch(db, hashes[i], stage);
        }
    }
}

enum batch_result batch_run(struct conn *conn, struct batch *batch)
{
    struct dispatch_input input;
    enum dry_result result;
    conn->server->run_ticks = clock_ticks();
    while (batch->next < batch->count) {
        const struct batch_command *command = &batch->commands[batch->next];
        size_t first = command->parsed.first;
        input.row = command->row;
        input.is_container = command->is_container;
        input.argv = batch->args.items + first;
        input.argc = command->parsed.argc;
        input.blobs = batch->args.any_blob ? batch->args.blobs + first : NULL;
        switch (command_dispatch(conn, &input)) {
        case DISPATCH_DONE:
            break;
        case DISPATCH_NEEDS_FETCH:
            if (park_for_fetch(conn, batch, &result)) {
                return BATCH_PARKED;
            }
            command_refuse_fetch(conn, &input, result);
            break;
        case DISPATCH_PARKED:
            return BATCH_PARKED;
        }
        batch->next++;
        if (conn->park != NULL) {
            park_command_done(conn);
        }
        if (conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY)) {
            return BATCH_CLOSED;
        }
    }
    return BATCH_DONE;
}

static bool has_much_output(const struct conn *conn)
{
    return conn->output_first != NULL &&
           conn_output_bytes(conn) > conn_output_pause_bytes(conn->server);
}

/* Between two batches: parks the connection when it is somebody else's
 * turn. */
static void maybe_yield(struct conn *conn, uint64_t start_ticks)
{
    struct server *server = conn->server;
    if (reply_pending_bytes(&server->reply) - server->reply_start >
        FLUSH_BYTES) {
        conn_flush(conn);
    }
    if ((conn->flags & CONN_CLOSING) != 0) {
        return;
    }
    uint64_t spent_ns =
        clock_ticks_to_ns(&server->clock, clock_ticks() - start_ticks);
    if (has_much_output(conn) && (conn->flags & CONN_OUTPUT_HELD) != 0) {
        /* None of it is read before it is synced. */
        if (park_for_sync(conn)) {
            return;
        }
        conn_end_hold(conn);
        conn_write_soon(conn);
    }
    if (has_much_output(conn)) {
        park_for(conn, CONN_WAIT_OUTPUT);
    } else if (spent_ns > TURN_NS) {
        park_for(conn, CONN_WAIT_TURN);
    }
}

/* The parser has no words for a command that exceeds
 * client-query-buffer-limit: nobody would read them. */
static void answer_protocol_error(struct conn *conn)
{
    struct server *server = conn->server;
    const char *error = conn->parser.error;
    conn->flags |= CONN_CLOSE_AFTER_REPLY;
    if (error[0] == '\0') {
        server->stats.query_limit_disconnections++;
        log_line(&server->log, LOG_WARNING,
            "Closing client id=%llu that reached max query buffer length",
            (unsigned long long)conn->id);
        return;
    }
    server->reply.version = conn->resp_version;
    server->reply.muted = false;
    reply_error(&server->reply, "%s", error);
    stats_count_error(&server->stats, "ERR");
    log_line(&server->log, LOG_VERBOSE, "Client id=%llu sent bad input: %s",
        (unsigned long long)conn->id, error);
}

enum batch_result batch_run_input(
    struct conn *conn, const char *window, size_t size)
{
    struct server *server = conn->server;
    struct batch *batch = &server->batch;
    uint64_t start_ticks = clock_ticks();
    for (;;) {
        conn->last_used_ms = server_now_ms();
        enum resp_result parsed = parse_ahead(conn, batch, window, size);
        if (batch->count > 1) {
            batch_prefetch(conn, batch);
        }
        enum batch_result result = batch_run(conn, batch);
        if (result == BATCH_PARKED) {
            park_keep_batch(conn, batch);
        }
        if (result != BATCH_DONE) {
            return result;
        }
        if (parsed == RESP_ERROR) {
            answer_protocol_error(conn);
            return BATCH_CLOSED;
        }
        if (parsed == RESP_INCOMPLETE) {
            if (batch->args.any_blob) {
                /* Large values are the database's alone from here on. */
                resp_args_reset(&batch->args);
            }
            return BATCH_DONE;
        }
        maybe_yield(conn, start_ticks);
        if ((conn->flags & CONN_CLOSING) != 0) {
            return BATCH_CLOSED;
        }
        if ((conn->flags & CONN_PARKED) != 0) {
            return BATCH_PARKED;
        }
    }
}
