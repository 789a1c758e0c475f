#include "server/park.h"

#include <stdlib.h>

#include "server/server.h"

/* How often values are fetched for one command before it is given up: they
 * can sink again while others of the same command arrive. */
#define FETCH_ROUNDS_MAX 64
/* Values fetched at once for one batch, beyond those its next command
 * needs. */
#define FETCHES_AHEAD_MAX 256
/* Clients whose wait is over go on for so long in one round of the loop. */
#define READY_ROUND_US 30000

/* A value on its way from disk. */
struct park_fetch {
    struct engine_waiter waiter;
    struct park *park;
    struct park_fetch *next;
    struct db *db;
    bool pending, pinned;
    enum dry_result result;
    size_t key_size;
    char key[];
};

static struct bytes fetch_key(const struct park_fetch *fetch)
{
    return bytes_of(fetch->key, fetch->key_size);
}

/* ---- begin and end ---- */

static void count_parked(struct conn *conn, int change)
{
    struct stats *stats = &conn->server->stats;
    if (conn->wait == CONN_WAIT_FETCH) {
        stats->parked_reads += (uint64_t)(int64_t)change;
    } else if (conn->wait == CONN_WAIT_ROOM) {
        stats->parked_writes += (uint64_t)(int64_t)change;
    }
}

static void free_fetches(struct park *park, struct engine *engine)
{
    while (park->fetches != NULL) {
        struct park_fetch *fetch = park->fetches;
        park->fetches = fetch->next;
        if (fetch->pending) {
            engine_cancel(engine, &fetch->waiter);
        }
        if (fetch->pinned) {
            engine_unpin(engine, fetch->db, fetch_key(fetch));
        }
        free(fetch);
    }
    park->fetches_left = 0;
}

static struct park *park_begin(struct conn *conn, enum conn_wait wait)
{
    check((conn->flags & (CONN_PARKED | CONN_CLOSING)) == 0);
    if (conn->park == NULL) {
        conn->park = xcalloc(1, sizeof(*conn->park));
        conn->park->conn = conn;
    }
    conn->park->result = DRY_OK;
    if (wait == CONN_WAIT_BLOCKED) {
        /* For how long, the client has asked for; what was fetched for later
         * commands must be free to sink. */
        conn->park->since_ticks = 0;
        free_fetches(conn->park, conn->server->engine);
    } else if (conn->park->since_ticks == 0) {
        conn->park->since_ticks = clock_ticks();
    }
    conn->flags |= CONN_PARKED;
    conn->wait = (uint8_t)wait;
    count_parked(conn, 1);
    return conn->park;
}

void park_end(struct conn *conn)
{
    struct server *server = conn->server;
    struct park *park = conn->park;
    if ((conn->flags & CONN_PARKED) == 0 || park->in_ready_list) {
        return;
    }
    park->in_ready_list = true;
    park->next_ready = NULL;
    if (server->ready == NULL) {
        server->ready = park;
    } else {
        server->ready_last->next_ready = park;
    }
    server->ready_last = park;
}

/* Gives up everything but the memory of the park itself. */
static void release(struct park *park, struct engine *engine)
{
    if (park->waiter_active) {
        park->waiter_active = false;
        engine_cancel(engine, &park->waiter);
    }
    free_fetches(park, engine);
    if (park->has_batch) {
        park->has_batch = false;
        resp_args_finish(&park->batch.args);
    }
}

void park_cancel(struct conn *conn)
{
    struct park *park = conn->park;
    if (park == NULL) {
        return;
    }
    if ((conn->flags & CONN_PARKED) != 0) {
        count_parked(conn, -1);
        conn->flags &= ~(uint32_t)CONN_PARKED;
        conn->wait = CONN_WAIT_NONE;
    }
    conn->park = NULL;
    park->conn = NULL;
    if (park->running) {
        return; /* its batch is in use further up the stack */
    }
    release(park, conn->server->engine);
    if (!park->in_ready_list) {
        free(park);
    }
}

/* ---- what is waited for ---- */

static void on_waiter(struct engine_waiter *waiter, enum dry_result result)
{
    struct park *park =
        (struct park *)((char *)waiter - offsetof(struct park, waiter));
    park->waiter_active = false;
    park->result = result;
    park_end(park->conn);
}

static struct engine_waiter *arm_waiter(struct park *park)
{
    park->waiter = (struct engine_waiter){.on_ready = on_waiter};
    park->waiter_active = true;
    return &park->waiter;
}

struct engine_waiter *park_retry(struct request *request)
{
    return arm_waiter(park_begin(request->conn, CONN_WAIT_RETRY));
}

void park_for_room(struct conn *conn)
{
    struct park *park = park_begin(conn, CONN_WAIT_ROOM);
    /* The values it pinned may be all that can sink; they are fetched again
     * before the command runs. */
    free_fetches(park, conn->server->engine);
    engine_wait_room(conn->server->engine, arm_waiter(park));
}

void park_for(struct conn *conn, enum conn_wait wait)
{
    park_begin(conn, wait);
    if (wait == CONN_WAIT_TURN) {
        park_end(conn);
    }
}

bool park_for_sync(struct conn *conn)
{
    struct park *park = park_begin(conn, CONN_WAIT_SYNC);
    if (engine_wait_synced(conn->server->engine, arm_waiter(park))) {
        return true;
    }
    park->waiter_active = false;
    park_cancel(conn);
    return false;
}

/* ---- fetches ---- */

static void on_fetched(struct engine_waiter *waiter, enum dry_result result)
{
    struct park_fetch *fetch = (struct park_fetch *)waiter;
    struct park *park = fetch->park;
    struct conn *conn = park->conn;
    struct engine *engine = conn->server->engine;
    fetch->pending = false;
    fetch->result = result;
    if (result == DRY_OK && db_residency(fetch->db, fetch_key(fetch),
                                conn->last_used_ms) == DB_RESIDENT) {
        fetch->pinned = true;
        engine_pin(engine, fetch->db, fetch_key(fetch));
    }
    park->fetches_left--;
    if (park->fetches_left == 0) {
        park_end(conn);
    }
}

/* What one command's keys are collected with. */
struct collect {
    struct conn *conn;
    struct db *db;
    bool ahead; /* not the next command: its keys are fetched in advance */
    enum dry_result failed;
};

static const struct park_fetch *find_failed(
    const struct park *park, const struct db *db, struct bytes key)
{
    const struct park_fetch *fetch = park->fetches;
    while (fetch != NULL && (fetch->result == DRY_OK || fetch->db != db ||
                                !bytes_equal(fetch_key(fetch), key))) {
        fetch = fetch->next;
    }
    return fetch;
}

static bool find_failed_key(void *context, struct db *db, struct bytes key)
{
    struct collect *collect = context;
    const struct park_fetch *failed = find_failed(collect->conn->park, db, key);
    if (failed != NULL) {
        collect->failed = failed->result;
    }
    return failed == NULL;
}

static bool fetch_one(void *context, struct db *db, struct bytes key)
{
    struct collect *collect = context;
    struct conn *conn = collect->conn;
    struct park *park = conn->park;
    if (collect->ahead && (park->fetches_left >= FETCHES_AHEAD_MAX ||
                              !engine_may_fetch_ahead(conn->server->engine))) {
        return false;
    }
    if (find_failed(park, db, key) != NULL) {
        return true;
    }
    struct park_fetch *fetch = xcalloc(1, sizeof(*fetch) + key.size);
    fetch->waiter.on_ready = on_fetched;
    fetch->park = park;
    fetch->db = db;
    fetch->pending = true;
    fetch->key_size = key.size;
    if (key.size > 0) {
        memcpy(fetch->key, key.data, key.size);
    }
    fetch->next = park->fetches;
    park->fetches = fetch;
    park->fetches_left++;
    engine_fetch(conn->server->engine, db, fetch_key(fetch), &fetch->waiter,
        conn->last_used_ms);
    return true;
}

/* Calls fn for the dry keys of one command of the batch. */
static void each_dry_key(struct collect *collect, const struct batch *batch,
    unsigned index, needed_key_fn *fn)
{
    const struct batch_command *command = &batch->commands[index];
    struct conn *conn = collect->conn;
    struct request request = {
        .server = conn->server,
        .conn = conn,
        .engine = conn->server->engine,
        .db = collect->db,
        .argv = batch->args.items + command->parsed.first,
        .argc = command->parsed.argc,
        .now_ms = conn->last_used_ms,
    };
    const struct command *row =
        command->is_container && request.argc > 1
            ? command_find_sub(command->row, request.argv[1])
            : command->row;
    /* What an EXEC further on will run is in the batch itself. */
    if (row == NULL || row->needs == need_none ||
        (collect->ahead && row->handler == cmd_exec)) {
        return;
    }
    request_set_command(&request, row);
    request_each_dry_key(&request, fn, collect);
}

bool park_for_fetch(
    struct conn *conn, const struct batch *batch, enum dry_result *result)
{
    struct collect collect = {
        .conn = conn, .db = engine_db(conn->server->engine, conn->db)};
    *result = DRY_OK;
    if (conn->park != NULL) {
        each_dry_key(&collect, batch, batch->next, find_failed_key);
        if (collect.failed != DRY_OK ||
            conn->park->rounds == FETCH_ROUNDS_MAX) {
            *result = collect.failed;
            return false;
        }
    }
    struct park *park = park_begin(conn, CONN_WAIT_FETCH);
    park->rounds++;
    for (unsigned i = batch->next; i < batch->count; i++) {
        collect.ahead = i > batch->next;
        each_dry_key(&collect, batch, i, fetch_one);
    }
    if (park->fetches_left == 0) {
        park_end(conn);
    }
    return true;
}

/* ---- a command that waits for a key ---- */

enum dispatch_result park_serve(struct conn *conn, struct bytes key)
{
    struct park *park = conn->park;
    struct batch *batch = &park->batch;
    check(conn->wait == CONN_WAIT_BLOCKED && park->has_batch);
    const struct batch_command *command = &batch->commands[batch->next];
    size_t first = command->parsed.first;
    struct dispatch_input input = {
        .row = command->row,
        .is_container = command->is_container,
        .argv = batch->args.items + first,
        .argc = command->parsed.argc,
        .blobs = batch->args.any_blob ? batch->args.blobs + first : NULL,
    };
    enum dispatch_result result = command_serve(conn, &input, key);
    if (result == DISPATCH_DONE) {
        batch->next++;
        park_command_done(conn);
    }
    return result;
}

/* ---- going on ---- */

void park_keep_batch(struct conn *conn, struct batch *batch)
{
    struct park *park = conn->park;
    check(!park->has_batch);
    park->batch = *batch;
    park->has_batch = true;
    resp_args_init(&batch->args);
    batch->count = batch->next = 0;
}

bool park_room_refused(const struct conn *conn)
{
    return conn->park != NULL && conn->park->result == DRY_FULL;
}

bool park_has_fetched(const struct conn *conn)
{
    return conn->park != NULL && conn->park->rounds > 0;
}

void park_command_done(struct conn *conn)
{
    conn->park->result = DRY_OK;
    conn->park->rounds = 0;
    conn->park->since_ticks = 0;
}

uint64_t park_waited_ns(const struct conn *conn)
{
    const struct park *park = conn->park;
    if (park == NULL || park->since_ticks == 0) {
        return 0;
    }
    return clock_ticks_to_ns(
        &conn->server->clock, clock_ticks() - park->since_ticks);
}

/* What was waited for is there: the rest of the batch runs. */
static void go_on(struct park *park)
{
    struct conn *conn = park->conn;
    struct engine *engine = conn->server->engine;
    enum batch_result result = BATCH_DONE;
    if (park->has_batch) {
        park->running = true;
        /* What was brought when it began has made room for others since. */
        batch_prefetch(conn, &park->batch);
        result = batch_run(conn, &park->batch);
        park->running = false;
    }
    if (result != BATCH_PARKED) {
        release(park, engine);
        if (park->conn != NULL) {
            conn->park = NULL;
        }
        free(park);
    }
    conn_go_on(conn, result);
}

/* What was not made durable must not be acknowledged. */
static void end_hold(struct conn *conn, enum dry_result result)
{
    const char *cause = engine_store_error(conn->server->engine);
    if (result == DRY_OK) {
        conn_end_hold(conn);
    } else {
        conn_refuse_held(conn, cause[0] != '\0' ? cause : "no answer in time");
    }
}

static void resume(struct park *park)
{
    struct conn *conn = park->conn;
    park->in_ready_list = false;
    if (conn == NULL) {
        free(park);
        return;
    }
    unsigned waited = conn->wait;
    count_parked(conn, -1);
    conn->flags &= ~(uint32_t)CONN_PARKED;
    conn->wait = CONN_WAIT_NONE;
    conn->last_used_ms = server_now_ms();
    if (waited == CONN_WAIT_SYNC) {
        end_hold(conn, park->result);
        conn_write_queued(conn);
        if ((conn->flags & CONN_CLOSING) != 0) {
            return;
        }
    }
    if (waited == CONN_WAIT_FETCH) {
        conn_take_kept(conn);
    }
    go_on(park);
}

/* Whoever is left has its turn in the next round of the loop: a hundred
 * large replies at once would hold up everybody else. */
void park_run_ready(struct server *server)
{
    const struct park *last = server->ready_last;
    uint64_t start_us = server_mono_us();
    while (server->ready != NULL) {
        struct park *park = server->ready;
        bool was_last = park == last;
        server->ready = park->next_ready;
        resume(park);
        if (was_last || server_mono_us() - start_us > READY_ROUND_US) {
            break;
        }
    }
}
