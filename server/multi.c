#include "server/multi.h"

#include <stdlib.h>

#include "server/conn.h"
#include "server/server.h"
#include "server/watch.h"

#define CHUNK_MIN_BYTES ((size_t)1024)
#define CHUNK_MAX_BYTES ((size_t)1024 * 1024)
/* The last transaction's memory is kept for the next one up to this size. */
#define SPARE_WORDS 1024
/* The engine is told of a queue's growth in steps of this size at least. */
#define TOLD_BYTES ((size_t)256 * 1024)

struct multi_chunk {
    struct multi_chunk *next;
    size_t size, capacity;
    char data[];
};

/* ---- memory ---- */

static void count_bytes(struct conn *conn, size_t bytes)
{
    struct server *server = conn->server;
    conn->multi->bytes += bytes;
    server->multi_bytes += bytes;
    if (bytes >= TOLD_BYTES) {
        server_count_outside(server);
    }
}

static void drop_blobs(struct multi *multi)
{
    for (size_t i = 0; multi->blobs != NULL && i < multi->word_count; i++) {
        blob_unref(multi->blobs[i]);
    }
    free((void *)multi->blobs);
    multi->blobs = NULL;
}

static void free_multi(struct multi *multi)
{
    drop_blobs(multi);
    while (multi->chunks != NULL) {
        struct multi_chunk *chunk = multi->chunks;
        multi->chunks = chunk->next;
        free(chunk);
    }
    free(multi->commands);
    free(multi->words);
    free(multi);
}

/* Empty, with its arrays and its first chunk. */
static void recycle(struct multi *multi)
{
    struct multi old = *multi;
    drop_blobs(multi);
    *multi = (struct multi){.commands = old.commands,
        .capacity = old.capacity,
        .words = old.words,
        .word_capacity = old.word_capacity,
        .chunks = old.chunks};
    if (multi->chunks != NULL) {
        multi->chunks->size = 0;
    }
}

static void give_back(struct server *server, struct multi *multi)
{
    bool small = multi->word_capacity <= SPARE_WORDS &&
                 multi->capacity <= SPARE_WORDS &&
                 (multi->chunks == NULL || multi->chunks->next == NULL);
    server->multi_bytes -= multi->bytes;
    if (multi->bytes >= TOLD_BYTES) {
        server_count_outside(server);
    }
    if (small && server->spare_multi == NULL) {
        recycle(multi);
        server->spare_multi = multi;
    } else {
        free_multi(multi);
    }
}

void multi_finish(struct server *server)
{
    if (server->spare_multi != NULL) {
        free_multi(server->spare_multi);
        server->spare_multi = NULL;
    }
}

/* ---- life ---- */

void multi_begin(struct conn *conn)
{
    struct server *server = conn->server;
    check(conn->multi == NULL);
    conn->multi = server->spare_multi;
    server->spare_multi = NULL;
    if (conn->multi == NULL) {
        conn->multi = xcalloc(1, sizeof(*conn->multi));
    }
    conn->flags |= CONN_MULTI;
    count_bytes(conn, sizeof(*conn->multi));
}

void multi_end(struct conn *conn)
{
    struct multi *multi = conn->multi;
    watch_end(conn);
    conn->flags &= ~(uint32_t)CONN_MULTI;
    conn->multi = NULL;
    if (multi == NULL) {
        return;
    }
    if (multi->running) {
        multi->abandoned = true;
    } else {
        give_back(conn->server, multi);
    }
}

void multi_refuse(struct conn *conn)
{
    struct multi *multi = conn->multi;
    if (multi == NULL || multi->running) {
        return;
    }
    give_back(conn->server, multi);
    conn->multi = NULL;
    multi_begin(conn);
    conn->multi->refused = true;
}

/* ---- queueing ---- */

bool multi_queues(const struct command *row)
{
    command_fn *handler = row->handler;
    return handler != cmd_exec && handler != cmd_discard &&
           handler != cmd_multi && handler != cmd_watch &&
           handler != cmd_quit && handler != cmd_reset;
}

/* Room for `size` bytes that stay where they are. */
static char *chunk_room(struct conn *conn, size_t size)
{
    struct multi *multi = conn->multi;
    struct multi_chunk *chunk = multi->chunks;
    if (chunk == NULL || chunk->capacity - chunk->size < size) {
        size_t capacity = chunk == NULL ? CHUNK_MIN_BYTES : chunk->capacity * 2;
        capacity = capacity < CHUNK_MAX_BYTES ? capacity : CHUNK_MAX_BYTES;
        capacity = capacity > size ? capacity : size;
        chunk = xmalloc(sizeof(*chunk) + capacity);
        *chunk =
            (struct multi_chunk){.next = multi->chunks, .capacity = capacity};
        multi->chunks = chunk;
        count_bytes(conn, sizeof(*chunk) + capacity);
    }
    char *room = chunk->data + chunk->size;
    chunk->size += size;
    return room;
}

static void make_room(struct conn *conn, int argc)
{
    struct multi *multi = conn->multi;
    if (multi->count == multi->capacity) {
        unsigned more = multi->capacity + 16;
        multi->capacity += more;
        multi->commands = xrealloc(
            multi->commands, multi->capacity * sizeof(*multi->commands));
        count_bytes(conn, more * sizeof(*multi->commands));
    }
    if (multi->word_capacity - multi->word_count < (size_t)argc) {
        size_t more = multi->word_capacity + (size_t)argc + 32;
        size_t bytes = sizeof(*multi->words);
        multi->word_capacity += more;
        multi->words =
            xrealloc(multi->words, multi->word_capacity * sizeof(struct bytes));
        if (multi->blobs != NULL) {
            multi->blobs = xrealloc(
                (void *)multi->blobs, multi->word_capacity * sizeof(void *));
            bytes += sizeof(void *);
        }
        count_bytes(conn, more * bytes);
    }
}

static void keep_blob(struct conn *conn, size_t word, struct blob *blob)
{
    struct multi *multi = conn->multi;
    if (multi->blobs == NULL) {
        multi->blobs =
            (struct blob **)xcalloc(multi->word_capacity, sizeof(void *));
        count_bytes(conn, multi->word_capacity * sizeof(void *));
    }
    multi->blobs[word] = blob;
    multi->words[word] = bytes_of(blob->data, blob->size);
    count_bytes(conn, sizeof(*blob) + blob->capacity);
}

static void add_words(struct request *request)
{
    struct conn *conn = request->conn;
    struct multi *multi = conn->multi;
    for (int i = 0; i < request->argc; i++) {
        size_t word = multi->word_count++;
        struct bytes value = request->argv[i];
        if (multi->blobs != NULL) {
            multi->blobs[word] = NULL;
        }
        struct blob *blob = request_take_blob(request, i);
        if (blob != NULL) {
            keep_blob(conn, word, blob);
            continue;
        }
        char *room = chunk_room(conn, value.size);
        if (value.size > 0) {
            memcpy(room, value.data, value.size);
        }
        multi->words[word] = bytes_of(room, value.size);
    }
}

/* What a queue may take, about: as much as a single command, and half of the
 * memory. */
static bool has_room(const struct request *request)
{
    const struct server *server = request->server;
    size_t limit = server->maxmemory_bytes / 2;
    if (server->limits.max_total_bytes < limit) {
        limit = server->limits.max_total_bytes;
    }
    size_t size = request_argument_bytes(request) +
                  (size_t)request->argc * sizeof(struct bytes);
    size_t used = request->conn->multi->bytes;
    return used <= limit && size <= limit - used;
}

/* A SELECT in the queue changes the database of what comes behind it. */
static unsigned database_behind(const struct request *request)
{
    const struct multi *multi = request->conn->multi;
    unsigned database = request->conn->db;
    int64_t selected;
    if (multi->count > 0) {
        const struct multi_command *last = &multi->commands[multi->count - 1];
        database = last->database;
        if (last->row->handler == cmd_select &&
            bytes_to_int64(multi->words[last->first + 1], &selected) &&
            selected >= 0 &&
            selected < engine_database_count(request->engine)) {
            database = (unsigned)selected;
        }
    }
    return database;
}

bool multi_add(struct request *request)
{
    struct conn *conn = request->conn;
    struct multi *multi = conn->multi;
    if (multi->refused || (conn->flags & CONN_WATCH_BROKEN) != 0) {
        return true; /* it will not run: no memory for it */
    }
    if (!has_room(request)) {
        error_oom(request);
        return false;
    }
    make_room(conn, request->argc);
    multi->commands[multi->count] = (struct multi_command){
        .row = request->command,
        .database = database_behind(request),
        .argc = request->argc,
        .first = multi->word_count,
    };
    multi->count++;
    multi->flags |= request->command->flags;
    add_words(request);
    return true;
}

size_t multi_bytes(const struct conn *conn)
{
    return conn->multi == NULL ? 0 : conn->multi->bytes;
}

int multi_count(const struct conn *conn)
{
    return conn->multi == NULL ? -1 : (int)conn->multi->count;
}

/* ---- EXEC ---- */

bool multi_will_run(struct conn *conn, int64_t now_ms)
{
    return conn->multi != NULL && !conn->multi->refused &&
           !watch_is_broken(conn, now_ms);
}

uint32_t multi_flags(const struct conn *conn)
{
    return conn->multi->flags &
           (CMD_WRITE | CMD_READONLY | CMD_DENYOOM | CMD_MAY_REPLICATE);
}

struct key_walk {
    needed_key_fn *fn;
    void *context;
    bool stopped;
};

static bool on_needed_key(void *context, struct db *db, struct bytes key)
{
    struct key_walk *walk = context;
    walk->stopped = !walk->fn(walk->context, db, key);
    return !walk->stopped;
}

void multi_each_needed_key(
    const struct request *exec, needed_key_fn *fn, void *context)
{
    const struct multi *multi = exec->conn->multi;
    struct key_walk walk = {fn, context, false};
    for (unsigned i = 0; i < multi->count && !walk.stopped; i++) {
        const struct multi_command *command = &multi->commands[i];
        struct request inner = *exec;
        inner.command = command->row;
        inner.db = engine_db(exec->engine, command->database);
        inner.argv = multi->words + command->first;
        inner.argc = command->argc;
        inner.runs_queue = false;
        if (command->row->needs != need_none) {
            request_each_needed_key(&inner, on_needed_key, &walk);
        }
    }
}

void multi_run(struct request *exec)
{
    struct conn *conn = exec->conn;
    struct multi *multi = conn->multi;
    watch_end(conn);
    multi->running = true;
    reply_array(exec->reply, multi->count);
    for (unsigned i = 0; i < multi->count; i++) {
        const struct multi_command *command = &multi->commands[i];
        struct dispatch_input input = {
            .row = command->row,
            .argc = command->argc,
            .argv = multi->words + command->first,
        };
        if (multi->blobs != NULL) {
            input.blobs = multi->blobs + command->first;
        }
        command_call(exec, &input);
    }
    multi->running = false;
    if (multi->abandoned) {
        give_back(exec->server, multi);
    } else {
        multi_end(conn);
    }
}

void multi_abort(struct request *exec, size_t mark)
{
    struct reply *reply = exec->reply;
    char text[512] = "";
    size_t size = reply->size > mark ? reply->size - mark : 0;
    if (size > 3) { /* "-", the text, CR LF */
        size = size - 3 < sizeof(text) ? size - 3 : sizeof(text) - 1;
        memcpy(text, reply->data + mark + 1, size);
        text[size] = '\0';
        reply->size = mark;
    }
    multi_end(exec->conn);
    reply_error(reply, "EXECABORT Transaction discarded because of: %s",
        text + (strncmp(text, "ERR ", 4) == 0 ? 4 : 0));
}
