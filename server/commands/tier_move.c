/* TIER DEMOTE, TIER FLUSH, NAMESPACE FLUSH and TIER CLEANUP: moving keys down,
 * or deleting them, answered once it is done.
 *
 * A move goes in slices, and a slice in rounds of the loop. The handler starts
 * a round and is run again for the next; at the end of a slice it parks its
 * connection if some of it has to wait for the disk, until all of it has
 * arrived, and goes on with the next slice, or answers. What must be remembered
 * in between is in struct tier_move, which the connection holds. */
#include <stdlib.h>

#include "server/commands/tier.h"
#include "server/conn.h"
#include "server/keyspace.h"
#include "server/park.h"
#include "server/server.h"

#define ROUND_KEYS 128
/* Buckets looked at in a round, where few keys are among those wanted. */
#define ROUND_BUCKETS 1000
/* What is remembered of a slice: some 3,000 keys, but few that are long. The
 * disk is waited for once a slice, and where other programs keep the cores busy
 * each time costs tens of ms. */
#define SLICE_BYTES ((size_t)128 * 1024)

/* A key of the slice under way. */
struct moving {
    struct moving *next;
    enum tier to; /* TIER_NONE: it is let go */
    size_t key_size;
    char key[];
};

struct tier_move {
    struct engine *engine;
    struct engine_waiter waiter; /* for the slice under way */
    struct engine_waiter *retry; /* of the parked connection, or NULL */
    struct db *db;
    struct moving *slice; /* what came last is first */
    size_t slice_bytes, round_keys;
    enum dry_result result; /* of the slice that was waited for */
    bool more;              /* behind this round, in this database */
    bool ends;              /* the slice: it is waited for */
    int64_t moved;
    uint64_t deleted; /* of these */
    /* TIER DEMOTE: the next argument, and the one behind the last key. */
    int next_arg, end_arg;
    /* FLUSH: the place in the walk, and what is wanted of it. */
    bool flush, deletes, from[3];
    unsigned database;
    uint64_t cursor; /* 0 at its begin */
    char *prefix;    /* of the namespace; NULL: any */
    size_t prefix_size;
    enum tier to; /* TIER_NONE: one tier down */
    /* CLEANUP: what had expired before it began, by tier. */
    uint64_t expired_before[3];
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

/* Tiers that are flushed together are passed. */
static enum tier destination(
    const struct tier_move *move, const struct entry *entry)
{
    enum tier to = entry_tier(entry);
    if (move->to != TIER_NONE || move->deletes) {
        return move->to;
    }
    do {
        to = engine_tier_below(move->engine, entry, to);
    } while (to != TIER_NONE && move->from[to]);
    return to == TIER_NONE && !move->flush ? entry_tier(entry) : to;
}

static void slice_add(
    struct tier_move *move, struct bytes key, const struct entry *entry)
{
    struct moving *moving = xmalloc(sizeof(*moving) + key.size);
    moving->to = destination(move, entry);
    moving->key_size = key.size;
    memcpy(moving->key, key.data, key.size);
    moving->next = move->slice;
    move->slice = moving;
    move->slice_bytes += sizeof(*moving) + key.size;
    move->round_keys++;
}

/* NAMESPACE FLUSH deletes; what TIER FLUSH finds no tier for is evicted. */
static void let_go(
    struct request *request, struct tier_move *move, struct bytes key)
{
    if (!move->deletes) {
        engine_evict(move->engine, move->db, key, request->now_ms);
    } else if (db_delete(move->db, key, request->now_ms)) {
        keyspace_changed_in(request, move->db, key);
        keyspace_event_in(request, KEYSPACE_GENERIC, "del", move->db, key);
    }
    move->deleted++;
}

static void round_start(struct request *request, struct tier_move *move)
{
    int64_t now_ms = request->now_ms;
    struct moving *moving = move->slice;
    for (; move->round_keys > 0; move->round_keys--, moving = moving->next) {
        struct bytes key = bytes_of(moving->key, moving->key_size);
        if (moving->to == TIER_NONE) {
            let_go(request, move, key);
        } else {
            engine_demote(
                move->engine, move->db, key, moving->to, NULL, now_ms);
        }
    }
}

/* Waits for one that has not arrived: its batch is the last, so the others
 * arrive before it. False: there is nothing to wait for. */
static bool slice_wait(struct tier_move *move, int64_t now_ms)
{
    const struct moving *moving = move->slice;
    for (; moving != NULL; moving = moving->next) {
        struct bytes key = bytes_of(moving->key, moving->key_size);
        if (moving->to != TIER_NONE &&
            engine_demote(move->engine, move->db, key, moving->to,
                &move->waiter, now_ms)) {
            return true;
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
        move->moved += moving->to == TIER_NONE ||
                       (entry != NULL && entry_tier(entry) >= moving->to);
        free(moving);
    }
    move->slice_bytes = 0;
}

/* The next keys that were named. False: they were the last. */
static bool collect_arguments(struct request *request, struct tier_move *move)
{
    while (move->next_arg < move->end_arg && move->round_keys < ROUND_KEYS) {
        const struct bytes key = request->argv[move->next_arg++];
        const struct entry *entry = db_find(move->db, key, request->now_ms);
        if (entry != NULL) {
            slice_add(move, key, entry);
        }
    }
    return move->next_arg < move->end_arg;
}

static void on_scanned(
    void *context, struct bytes key, const struct entry *entry)
{
    struct tier_move *move = context;
    bool within = move->prefix == NULL ||
                  bytes_equal(engine_namespace_of(move->engine, key),
                      bytes_of(move->prefix, move->prefix_size));
    if (within && move->from[entry_tier(entry)]) {
        slice_add(move, key, entry);
    }
}

/* The next keys of the walk through a database. False: it has ended. */
static bool collect_scan(struct request *request, struct tier_move *move)
{
    for (unsigned i = 0; i < ROUND_BUCKETS && move->round_keys < ROUND_KEYS;
         i++) {
        move->cursor =
            db_scan(move->db, move->cursor, request->now_ms, on_scanned, move);
        if (move->cursor == 0) {
            return false;
        }
    }
    return true;
}

/* True: the slice ends with this round. A slice is of one database. */
static bool round_run(struct request *request, struct tier_move *move)
{
    move->more = move->flush ? collect_scan(request, move)
                             : collect_arguments(request, move);
    round_start(request, move);
    return !move->more || move->slice_bytes >= SLICE_BYTES ||
           engine_disk_is_behind(move->engine);
}

/* Behind a slice. False: it was the last. */
static bool next_slice(struct tier_move *move)
{
    if (move->result == DRY_OK && !move->more && move->flush) {
        move->database++;
        move->db = engine_db(move->engine, move->database);
        move->more = move->db != NULL;
    }
    return move->result == DRY_OK && move->more;
}

static void move_free(struct tier_move *move)
{
    while (move->slice != NULL) {
        struct moving *moving = move->slice;
        move->slice = moving->next;
        free(moving);
    }
    free(move->prefix);
    free(move);
}

static void move_finish(struct request *request, struct tier_move *move)
{
    request->changes += move->deleted;
    if (move->result == DRY_OK) {
        reply_integer(request->reply, move->moved);
    } else {
        reply_error(request->reply, "ERR the dry store failed: %s",
            dry_result_text(move->result));
    }
    request->conn->tier_move = NULL;
    move_free(move);
}

/* Between rounds the loop gets its turn, so that others are answered
 * meanwhile. */
static void move_go_on(struct request *request, struct tier_move *move)
{
    if (move->ends) {
        slice_end(move, request->now_ms);
        if (!next_slice(move)) {
            move_finish(request, move);
            return;
        }
    }
    move->ends = round_run(request, move);
    bool waits = move->ends && slice_wait(move, request->now_ms);
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
    move_free(move);
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

/* The argument as one of hot, cold and dry, and `all` as what is said. */
static bool from_argument(
    struct request *request, int index, bool all, struct tier_move *move)
{
    bool any = all;
    for (unsigned tier = 0; tier < TIER_NONE; tier++) {
        bool named = arg_is(request, index, tier_name((enum tier)tier));
        move->from[tier] = named || (all && tier != TIER_DRY);
        any |= named;
    }
    if (!any) {
        error_syntax(request);
    }
    return any;
}

static bool namespace_argument(
    struct request *request, int index, struct tier_move *move)
{
    struct bytes prefix = request->argv[index];
    struct namespace_stats stats;
    if (!engine_namespace_stats(move->engine, prefix, &stats)) {
        error_no_namespace(request, prefix);
        return false;
    }
    move->prefix = xmalloc(prefix.size + 1);
    memcpy(move->prefix, prefix.size == 0 ? "" : prefix.data, prefix.size);
    move->prefix_size = prefix.size;
    return true;
}

static void walk_all(struct tier_move *move)
{
    move->flush = true;
    move->db = engine_db(move->engine, 0);
}

/* TIER FLUSH tier [NAMESPACE prefix] */
static bool flush_arguments(struct request *request, struct tier_move *move)
{
    bool by_namespace = request->argc == 5 && arg_is(request, 3, "namespace");
    walk_all(move);
    if (request->argc != 3 && !by_namespace) {
        error_syntax(request);
        return false;
    }
    return from_argument(request, 2, arg_is(request, 2, "all"), move) &&
           (!by_namespace || namespace_argument(request, 4, move));
}

/* NAMESPACE FLUSH prefix [TIER tier] */
static bool delete_arguments(struct request *request, struct tier_move *move)
{
    bool by_tier = request->argc == 5 && arg_is(request, 3, "tier");
    walk_all(move);
    move->deletes = true;
    if (request->argc != 3 && !by_tier) {
        error_syntax(request);
        return false;
    }
    memset(move->from, true, sizeof move->from);
    return (!by_tier || from_argument(request, 4, false, move)) &&
           namespace_argument(request, 2, move);
}

static void move_run(struct request *request,
    bool (*arguments)(struct request *request, struct tier_move *move))
{
    struct tier_move *move = request->conn->tier_move;
    if (move == NULL) {
        move = move_create(request);
        if (!arguments(request, move)) {
            move_free(move);
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

void cmd_namespace_flush(struct request *request)
{
    move_run(request, delete_arguments);
}

void cmd_tier_cleanup(struct request *request)
{
    struct tier_move *move = request->conn->tier_move;
    struct engine_stats stats;
    if (move == NULL) {
        move = move_create(request);
        engine_stats(request->engine, &stats);
        memcpy(move->expired_before, stats.expired_by_tier,
            sizeof(move->expired_before));
        request->conn->tier_move = move;
    }
    if (engine_expire(request->engine, request->now_ms)) {
        struct engine_waiter *retry = park_retry(request);
        retry->on_ready(retry, DRY_OK);
        return;
    }
    engine_stats(request->engine, &stats);
    reply_map(request->reply, 3);
    for (unsigned tier = 0; tier < TIER_NONE; tier++) {
        uint64_t deleted =
            stats.expired_by_tier[tier] - move->expired_before[tier];
        reply_bulk_text(request->reply, tier_name((enum tier)tier));
        reply_integer(request->reply, (int64_t)deleted);
    }
    request->conn->tier_move = NULL;
    move_free(move);
}
