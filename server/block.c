#include "server/block.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

#include "protocol/number.h"
#include "server/conn.h"
#include "server/park.h"
#include "server/server.h"

/* ---- life ---- */

static void free_block(struct block *block)
{
    free(block->kept);
    free(block);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free_block(
        (struct block *)((char *)handle - offsetof(struct block, timer)));
}

static void detach(struct server *server, struct block_link *link)
{
    struct interest_key *key = link->key;
    if (key == NULL) {
        return;
    }
    if (key->cursor == link) {
        key->cursor = link->next;
    }
    DL_DELETE(key->blocked, link);
    link->key = NULL;
    interest_drop(server, key);
}

static void detach_all(struct server *server, struct block *block)
{
    for (unsigned i = 0; i < block->link_count; i++) {
        detach(server, &block->links[i]);
    }
}

void block_end(struct conn *conn)
{
    struct server *server = conn->server;
    struct block *block = conn->block;
    if (block == NULL) {
        return;
    }
    conn->block = NULL;
    for (unsigned i = 0; i < block->link_count; i++) {
        /* Those behind it were held up while it fetched its values. */
        if (block->state == BLOCK_RETRYING && block->links[i].key != NULL) {
            block_signal(server, block->links[i].key);
        }
    }
    detach_all(server, block);
    server->blocked_count--;
    server->block_bytes -=
        sizeof(*block) + block->link_count * sizeof(struct block_link);
    if (block->has_timer) {
        server->block_timers--;
        uv_close((uv_handle_t *)&block->timer, on_timer_closed);
    } else {
        free_block(block);
    }
}

/* It is answered when the connection has its turn. */
static void finish(struct block *block, enum block_state state)
{
    struct server *server = block->conn->server;
    if (block->state == BLOCK_RETRYING) {
        block->overdue = true;
        return;
    }
    block->state = state;
    detach_all(server, block);
    park_end(block->conn);
    server_keep_turning(server, true);
}

static void on_timeout(uv_timer_t *timer)
{
    finish((struct block *)((char *)timer - offsetof(struct block, timer)),
        BLOCK_TIMED_OUT);
}

static void start_timer(struct block *block, int64_t timeout_ms)
{
    struct server *server = block->conn->server;
    block->has_timer = true;
    server->block_timers++;
    check(uv_timer_init(&server->loop, &block->timer) == 0);
    /* The loop's clock stands still during a turn. */
    uv_update_time(&server->loop);
    uv_timer_start(&block->timer, on_timeout, (uint64_t)timeout_ms, 0);
}

static void attach(struct request *request, struct block *block, int first)
{
    struct server *server = request->server;
    unsigned count = block->link_count;
    block->link_count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct interest_key *key =
            interest_get(server, request->db, request->argv[first + (int)i]);
        if (key->blocked != NULL && key->blocked->prev->block == block) {
            continue; /* named twice */
        }
        struct block_link *link = &block->links[block->link_count++];
        *link = (struct block_link){.block = block, .key = key};
        DL_APPEND(key->blocked, link);
        key->wants_deletion |= block->wants_deletion;
    }
}

static void begin(struct request *request, const struct block_keys *keys)
{
    struct server *server = request->server;
    struct conn *conn = request->conn;
    unsigned count = (unsigned)(keys->last - keys->first + 1);
    size_t size = sizeof(struct block) + count * sizeof(struct block_link);
    struct block *block = xcalloc(1, size);
    block->conn = conn;
    block->type = keys->type;
    block->wants_deletion = keys->wants_deletion;
    block->kept = keys->kept;
    block->link_count = count;
    attach(request, block, keys->first);
    conn->block = block;
    server->blocked_count++;
    server->block_bytes +=
        sizeof(*block) + block->link_count * sizeof(struct block_link);
    if (keys->timeout_ms > 0) {
        start_timer(block, keys->timeout_ms);
    }
}

/* ---- for handlers ---- */

bool block_arg_timeout(struct request *request, int index, int64_t *timeout_ms)
{
    long double seconds = 0;
    if (!number_parse_long_double(request->argv[index], &seconds)) {
        reply_error(
            request->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = ceill(seconds * 1000);
    /* What does not fit an integer becomes a negative one in Redis. */
    if (ms < 0 || ms > (long double)INT64_MAX) {
        reply_error(request->reply, "ERR timeout is negative");
        return false;
    }
    *timeout_ms = (int64_t)ms;
    return true;
}

bool block_considers(const struct request *request, struct bytes key)
{
    return request->served_by.data == NULL ||
           bytes_equal(request->served_by, key);
}

void *block_kept(const struct request *request)
{
    return request->resumed ? request->conn->block->kept : NULL;
}

/* With durability `always`: replies that wait for a sync would wait for the
 * key as well. True when the connection waits for the sync now. */
static bool sync_first(struct conn *conn)
{
    if ((conn->flags & CONN_OUTPUT_HELD) == 0) {
        return false;
    }
    if (park_for_sync(conn)) {
        return true;
    }
    conn_end_hold(conn);
    conn_write_soon(conn);
    return false;
}

bool block_wait(struct request *request, const struct block_keys *keys)
{
    struct conn *conn = request->conn;
    if (request->nested) {
        free(keys->kept);
        return false;
    }
    if (request->resumed) {
        free(keys->kept);
        request->blocks = true;
        if (request->served_by.data != NULL) {
            return true; /* is parked already, and stays */
        }
    } else {
        if (sync_first(conn)) {
            free(keys->kept);
            return true;
        }
        request->blocks = true;
        begin(request, keys);
    }
    conn->block->state = BLOCK_WAITING;
    park_for(conn, CONN_WAIT_BLOCKED);
    if (conn->block->overdue) {
        finish(conn->block, BLOCK_TIMED_OUT);
    }
    return true;
}

/* ---- serving ---- */

void block_signal(struct server *server, struct interest_key *key)
{
    if (key->blocked == NULL || key->signalled) {
        return;
    }
    key->signalled = true;
    interest_hold(key);
    key->next_served = NULL;
    if (server->served_first == NULL) {
        server->served_first = key;
    } else {
        server->served_last->next_served = key;
    }
    server->served_last = key;
}

void block_signal_all(struct server *server, const struct db *db)
{
    struct interest_key *key = NULL;
    struct interest_key *next = NULL;
    if (server->blocked_count == 0) {
        return;
    }
    unsigned number = engine_db_number(server->engine, db);
    HASH_ITER(hh, server->interest.tables[number], key, next)
    {
        block_signal(server, key);
    }
}

/* Whether the client has hung up, which is not noticed while nothing is read
 * from it: nothing is given to one that is gone. */
static bool has_left(const struct conn *conn)
{
    struct pollfd peer = {.fd = conn_fd(conn), .events = POLLRDHUP};
    return poll(&peer, 1, 0) > 0 &&
           (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Runs the command of a waiting connection again. False when no other that
 * waits for the key may be served before it. */
static bool serve(struct block *block, struct interest_key *key)
{
    struct conn *conn = block->conn;
    struct server *server = conn->server;
    if (has_left(conn)) {
        conn_close_soon(conn);
        return true;
    }
    switch (park_serve(conn, interest_name(key))) {
    case DISPATCH_DONE:
        block_end(conn);
        conn_send_served(conn, &server->served_reply);
        if ((conn->flags & CONN_CLOSING) == 0) {
            park_end(conn);
        }
        return true;
    case DISPATCH_NEEDS_FETCH:
        block->state = BLOCK_RETRYING;
        park_end(conn);
        return false;
    case DISPATCH_PARKED:
        break;
    }
    return true;
}

static bool may_serve(struct server *server, const struct interest_key *key,
    const struct block *block)
{
    const struct entry *entry =
        db_find(interest_db(server, key), interest_name(key), server_now_ms());
    return block->wants_deletion ||
           (entry != NULL && entry_type(entry) == block->type);
}

static void serve_key(struct server *server, struct interest_key *key)
{
    key->cursor = key->blocked;
    while (key->cursor != NULL) {
        struct block *block = key->cursor->block;
        key->cursor = key->cursor->next;
        if (block->state == BLOCK_RETRYING) {
            break;
        }
        if (may_serve(server, key, block) && !serve(block, key)) {
            break;
        }
    }
    key->cursor = NULL;
}

void block_serve(struct server *server)
{
    conn_send_answers(server); /* what came before goes out before */
    while (server->served_first != NULL) {
        struct interest_key *key = server->served_first;
        server->served_first = key->next_served;
        key->signalled = false;
        serve_key(server, key);
        interest_release(server, key);
    }
    if (server->ready != NULL) {
        server_keep_turning(server, true);
    }
}

/* ---- other ends ---- */

bool block_answer(struct request *request)
{
    struct conn *conn = request->conn;
    if (conn->block->state == BLOCK_RETRYING) {
        return false;
    }
    if (conn->block->state == BLOCK_UNBLOCKED) {
        reply_error(
            request->reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
        reply_null_array(request->reply);
    }
    block_end(conn);
    return true;
}

bool block_end_early(struct conn *conn, bool with_error)
{
    struct block *block = conn->block;
    if (block == NULL || block->state == BLOCK_TIMED_OUT ||
        block->state == BLOCK_UNBLOCKED) {
        return false;
    }
    finish(block, with_error ? BLOCK_UNBLOCKED : BLOCK_TIMED_OUT);
    return true;
}
