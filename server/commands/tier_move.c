/* TIER DEMOTE and TIER FLUSH: moving keys down, answered once they are there.
 *
 * A move goes in slices. The handler starts a slice, parks its connection if
 * some of it has to wait for the disk, and is run again when all of it has
 * arrived; it then goes on with the next slice, or answers. What must be
 * remembered in between is in struct tier_move, which the connection holds. */
#include <stdlib.h>

#include "server/commands/tier.h"
#include "server/conn.h"
#include "server/park.h"
#include "server/server.h"

#define SLICE_KEYS 128

/* A key of the slice under way. */
struct moving {
    struct moving *next;
    enum tier to;
    size_t key_size;
    char key[];
};

struct tier_move {
    struct engine *engine;
    struct engine_waiter waiter; /* for the slice under way */
    struct engine_waiter *retry; /* of the parked connection, or NULL */
    struct db *db;
    struct moving *slice;
    size_t slice_keys;
    enum dry_result result; /* of the slice that was waited for */
    int64_t moved;
    /* TIER DEMOTE: the next argument, and the one behind the last key. */
    int next_arg, end_arg;
    /* TIER FLUSH: the place in the walk. */
    bool flush, from[3];
    unsigned database;
    uint64_t cursor;
    enum tier to; /* TIER_NONE: one tier down */
};

static void on_moved(struct engine_waiter *waiter, enum dry_result result)
{
    struct tier_move *move =
        (struct tier_move *)((char *)waiter -
                             offsetof(struct tier_move, waiter));
    struct engine_waiter *retry = move->retry;
    move->retry = NULL;
    move->result = result;
    retry->on_ready(retry, DRY_OK);
}

static enum tier tier_below(enum tier tier)
{
    return tier == TIER_HOT ? TIER_COLD : TIER_DRY;
}

static void slice_add(
    struct tier_move *move, struct bytes key, const struct entry *entry)
{
    struct moving *moving = xmalloc(sizeof(*moving) + key.size);
    moving->to =
        move->to == TIER_NONE ? tier_below(entry_tier(entry)) : move->to;
    moving->key_size = key.size;
    memcpy(moving->key, key.data, key.size);
    moving->next = move->slice;
    move->slice = moving;
    move->slice_keys++;
}

static bool arrived(
    const struct tier_move *move, const struct moving *moving, int64_t now_ms)
{
    const struct entry *entry =
        db_find(move->db, bytes_of(moving->key, moving->key_size), now_ms);
    return entry == NULL || entry_tier(entry) >= moving->to;
}

/* Starts all, then waits for one that has not arrived: its batch is the last,
 * so the others arrive before it. True when there is something to wait for. */
static bool slice_start(struct tier_move *move, int64_t now_ms)
{
    struct moving *moving = move->slice;
    for (; moving != NULL; moving = moving->next) {
        engine_demote(move->engine, move->db,
            bytes_of(moving->key, moving->key_size), moving->to, NULL, now_ms);
    }
    for (moving = move->slice; moving != NULL; moving = moving->next) {
        if (!arrived(move, moving, now_ms)) {
            return engine_demote(move->engine, move->db,
                bytes_of(moving->key, moving->key_size), moving->to,
                &move->waiter, now_ms);
        }
    }
    return false;
}

/* Counts what has arrived and forgets the slice. */
static void slice_end(struct tier_move *move, int64_t now_ms)
{
    while (move->slice != NULL) {
        struct moving *moving = move->slice;
        move->slice = moving->next;
        const struct entry *entry =
            db_find(move->db, bytes_of(moving->key, moving->key_size), now_ms);
        move->moved += entry != NULL && entry_tier(entry) >= moving->to;
        free(moving);
    }
    move->slice_keys = 0;
}

/* The next keys that were named. */
static void collect_arguments(struct request *request, struct tier_move *move)
{
    while (move->next_arg < move->end_arg && move->slice_keys < SLICE_KEYS) {
        const struct bytes key = request->argv[move->next_arg++];
        const struct entry *entry = db_find(move->db, key, request->now_ms);
        if (entry != NULL) {
            slice_add(move, key, entry);
        }
    }
}

static void on_scanned(
    void *context, struct bytes key, const struct entry *entry)
{
    struct tier_move *move = context;
    enum tier tier = entry_tier(entry);
    if (tier < TIER_NONE && move->from[tier]) {
        slice_add(move, key, entry);
    }
}

/* The next keys of the walk through all databases. */
static void collect_scan(struct request *request, struct tier_move *move)
{
    unsigned databases = engine_database_count(move->engine);
    while (move->database < databases && move->slice_keys < SLICE_KEYS) {
        move->db = engine_db(move->engine, move->database);
        move->cursor =
            db_scan(move->db, move->cursor, request->now_ms, on_scanned, move);
        if (move->cursor == 0) {
            move->database++;
            if (move->slice_keys > 0) {
                return; /* a slice is of one database */
            }
        }
    }
}

static void move_finish(struct request *request, struct tier_move *move)
{
    if (move->result == DRY_OK) {
        reply_integer(request->reply, move->moved);
    } else {
        reply_error(request->reply, "ERR the dry store failed: %s",
            dry_result_text(move->result));
    }
    free(move);
    request->conn->tier_move = NULL;
}

/* One slice after the other until one has to wait. Between slices the loop
 * gets its turn, so that others are answered meanwhile. */
static void move_go_on(struct request *request, struct tier_move *move)
{
    slice_end(move, request->now_ms);
    if (move->flush) {
        collect_scan(request, move);
    } else {
        collect_arguments(request, move);
    }
    if (move->slice == NULL || move->result != DRY_OK) {
        slice_end(move, request->now_ms);
        move_finish(request, move);
        return;
    }
    bool waits = slice_start(move, request->now_ms);
    struct engine_waiter *retry = park_retry(request);
    if (waits) {
        move->retry = retry;
    } else {
        retry->on_ready(retry, DRY_OK);
    }
}

void tier_move_cancel(struct conn *conn)
{
    struct tier_move *move = conn->tier_move;
    if (move == NULL) {
        return;
    }
    conn->tier_move = NULL;
    if (move->retry != NULL) {
        engine_cancel(move->engine, &move->waiter);
    }
    while (move->slice != NULL) {
        struct moving *moving = move->slice;
        move->slice = moving->next;
        free(moving);
    }
    free(move);
}

static struct tier_move *move_create(struct request *request)
{
    struct tier_move *move = xcalloc(1, sizeof(*move));
    move->engine = request->engine;
    move->waiter.on_ready = on_moved;
    move->db = request->db;
    move->result = DRY_OK;
    move->to = TIER_NONE;
    return move;
}

static bool demote_arguments(struct request *request, struct tier_move *move)
{
    move->next_arg = 2;
    move->end_arg = request->argc;
    if (request->argc < 5 || !arg_is(request, request->argc - 2, "to")) {
        return true;
    }
    move->end_arg = request->argc - 2;
    if (arg_is(request, request->argc - 1, "cold")) {
        move->to = TIER_COLD;
    } else if (arg_is(request, request->argc - 1, "dry")) {
        move->to = TIER_DRY;
    } else {
        error_syntax(request);
        return false;
    }
    return true;
}

static bool flush_arguments(struct request *request, struct tier_move *move)
{
    move->flush = true;
    bool all = arg_is(request, 2, "all");
    move->from[TIER_HOT] = all || arg_is(request, 2, "hot");
    move->from[TIER_COLD] = all || arg_is(request, 2, "cold");
    move->to = move->from[TIER_COLD] ? TIER_DRY : TIER_COLD;
    if (arg_is(request, 2, "dry")) {
        reply_error(request->reply,
            "ERR there is no tier below dry to flush it to: DEL and FLUSHALL "
            "delete keys");
        return false;
    }
    if (!move->from[TIER_HOT] && !move->from[TIER_COLD]) {
        error_syntax(request);
        return false;
    }
    return true;
}

static void move_run(struct request *request,
    bool (*arguments)(struct request *request, struct tier_move *move))
{
    struct tier_move *move = request->conn->tier_move;
    if (move == NULL) {
        move = move_create(request);
        if (!arguments(request, move)) {
            free(move);
            return;
        }
        request->conn->tier_move = move;
    }
    move_go_on(request, move);
}

void cmd_tier_demote(struct request *request)
{
    move_run(request, demote_arguments);
}

void cmd_tier_flush(struct request *request)
{
    move_run(request, flush_arguments);
}
