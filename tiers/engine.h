/* The engine: every database, the tiers below them, their movement, the log
 * on disk, and the counters. One engine, one thread (the caller's), plus the
 * dry store's workers, which only signal `wake`.
 *
 * The caller's loop does four things: run handlers; call engine_collect when
 * woken; call engine_turn once after each round of input, before replies are
 * written; call engine_cron at `hz`. */
#ifndef LARDER_TIERS_ENGINE_H
#define LARDER_TIERS_ENGINE_H

#include "tiers/db.h"
#include "tiers/dry/store.h"

enum engine_durability {
    ENGINE_CHECKPOINTS, /* disk is written on demotion, checkpoints, close */
    ENGINE_EVERYSEC,    /* every write is on its way within a second */
    ENGINE_ALWAYS,      /* replies wait until their writes are synced */
    ENGINE_NEVER_SYNC,  /* appendfsync no: written, synced by the kernel */
};

enum engine_policy { /* maxmemory-policy: heeded without a dry tier only */
    ENGINE_NOEVICTION,
    ENGINE_ALLKEYS_LRU,
    ENGINE_ALLKEYS_LFU,
    ENGINE_ALLKEYS_RANDOM,
    ENGINE_VOLATILE_LRU,
    ENGINE_VOLATILE_LFU,
    ENGINE_VOLATILE_RANDOM,
    ENGINE_VOLATILE_TTL,
};

enum engine_event { /* what happened to a key without a command doing it */
    ENGINE_EXPIRED,
    ENGINE_EVICTED,
    ENGINE_MISSED,         /* a command read what is not there */
    ENGINE_ADDED,          /* there was no such key before */
    ENGINE_FIELDS_EXPIRED, /* some fields of a hash, or all */
    ENGINE_EMPTIED,        /* after that: they were all it had */
};

/* Each life of a database has a 16-bit number, and flushed ones need theirs
 * until they are freed. */
#define ENGINE_MAX_DATABASES 16384

struct engine_options {
    const char *path; /* directory of the dry store, borrowed as long as the
                         engine lives; NULL: no dry tier */
    unsigned databases;
    uint64_t maxmemory_bytes; /* > 0; the caller resolves the default */
    uint64_t dry_maxsize_bytes;
    uint64_t page_cache_bytes; /* see struct dry_open_options */
    unsigned reader_threads;   /* 0: as many as suit the machine */
    enum engine_durability durability;
    enum engine_policy policy;
    const struct dry_ops *dry; /* NULL: LMDB */
    bool active_expire;
    unsigned expire_slice_us; /* of each turn, while much expires at once */
    bool warms; /* keys in RAM come back there after a restart: warm.h */
    /* Borrowed callbacks, engine thread except wake (any thread). */
    void (*wake)(void *context);
    /* Key borrowed; called after it has happened, often in the middle of
     * another call: it must not change anything here. May be NULL. */
    void (*on_event)(void *context, enum engine_event event, unsigned database,
        struct bytes key);
    /* One line for the server's log. Never NULL. */
    void (*log)(void *context, int level, const char *text);
    void *context;
};

struct engine;

/* Opens the store (not yet loading it). NULL with `reason` filled when the
 * store cannot be used: damaged, foreign, locked. */
struct engine *engine_create(
    const struct engine_options *options, char *reason, size_t reason_size);
/* Frees everything; what was not committed is lost (SHUTDOWN NOSAVE). */
void engine_destroy(struct engine *engine);

/* Loads headers for at most `budget_ms`. Returns true while there is more.
 * Commands that touch keys must wait until it has returned false. On a
 * failure *result is not DRY_OK and `reason` says why. */
bool engine_load(struct engine *engine, int64_t now_ms, unsigned budget_ms,
    enum dry_result *result, char *reason, size_t reason_size);
struct engine_load_progress {
    uint64_t loaded_records, total_records;
};
struct engine_load_progress engine_load_progress(const struct engine *engine);

/* ---- the loop's duties ---- */

/* Input begins to come: the duties of the next engine_turn may take half as
 * long as all that comes before it, from clients or from disk. */
void engine_begin_round(struct engine *engine);
/* Handles finished disk work: installs fetched values, advances commits,
 * runs waiters. */
void engine_collect(struct engine *engine, int64_t now_ms);
/* After each round of input: makes room, cuts batches. Slices of at most 1 ms,
 * but a cut is whole, however much was written since the last. Returns true
 * when there is more to do at once (call again soon). */
bool engine_turn(struct engine *engine, int64_t now_ms);
/* Periodic duties: expiry (every 100 ms at least), dead marks, reclaim. True:
 * engine_turn has more to do at once. */
bool engine_cron(struct engine *engine, int64_t now_ms);

/* ---- databases ---- */

unsigned engine_database_count(const struct engine *engine);
struct db *engine_db(struct engine *engine, unsigned number);
unsigned engine_db_number(const struct engine *engine, const struct db *db);
void engine_swap_db(struct engine *engine, unsigned a, unsigned b);
/* O(1) for the caller; memory is given back in slices. Returns the number of
 * keys there were. `db` pointers stay valid. */
uint64_t engine_flush_db(struct engine *engine, unsigned number);
uint64_t engine_flush_all(struct engine *engine);

/* ---- waiting ---- */

/* Something that waits for the engine; embedded in its owner's struct, which
 * must cancel it before going away. on_ready is called once, after which the
 * waiter is no longer known: from one of the loop's duties, or from a call
 * that blocks (engine_save, engine_fetch_now, engine_admit_now). */
struct engine_waiter {
    void (*on_ready)(struct engine_waiter *waiter, enum dry_result result);
    struct engine_waiter *next, *prev; /* the engine's own */
    void *queue;                       /* the engine's own */
    uint64_t after_id;                 /* the engine's own */
    int64_t since_ms;                  /* the engine's own */
};
/* Fetches the dry value of `key` into RAM (one read however many wait).
 * DRY_OK: look again and run; anything else: answer an error. Also DRY_OK
 * when the key went away meanwhile. */
void engine_fetch(struct engine *engine, struct db *db, struct bytes key,
    struct engine_waiter *waiter, int64_t now_ms);
/* Is there room for values that are fetched before they are needed? */
bool engine_may_fetch_ahead(const struct engine *engine);
/* The same as engine_fetch at once, blocking up to `timeout_ms`: for scripts
 * that touch undeclared keys. The engine is held meanwhile. */
enum dry_result engine_fetch_now(struct engine *engine, struct db *db,
    struct bytes key, unsigned timeout_ms, int64_t now_ms);
/* Keeps the value of the key from sinking until engine_unpin or, should that
 * not find it again (after SWAPDB), for one round of its list. Not counted:
 * the first unpin ends it. */
void engine_pin(struct engine *engine, struct db *db, struct bytes key);
void engine_unpin(struct engine *engine, struct db *db, struct bytes key);
/* Was something written since the last call that must be synced before it is
 * acknowledged, because its namespace says so (write-policy through)? */
bool engine_take_through(struct engine *engine);
/* Calls back when everything written so far that must be synced is: with
 * durability `always` that is all, else what engine_take_through tells of.
 * False (waiter untouched) when there is nothing to wait for. */
bool engine_wait_synced(struct engine *engine, struct engine_waiter *waiter);
void engine_cancel(struct engine *engine, struct engine_waiter *waiter);

/* While held, nothing of what is written goes to disk: what an EXEC or a
 * script writes is in one cut of the log, there as a whole after a crash or
 * not at all. Neither engine_admit, engine_demote nor engine_save meanwhile. */
void engine_hold(struct engine *engine, bool on);

enum engine_admission {
    ENGINE_ADMIT,
    ENGINE_PARK,        /* wait with engine_wait_room, then ask again */
    ENGINE_REFUSE_OOM,  /* answer -OOM */
    ENGINE_REFUSE_DISK, /* answer -MISCONF: the store cannot be written */
};
/* May a command flagged as needing memory run now? `size_bytes` is what its
 * arguments bring. Makes room first where that is quick. */
enum engine_admission engine_admit(
    struct engine *engine, size_t size_bytes, int64_t now_ms);
/* The same for a command under way, blocking up to `timeout_ms` while the disk
 * takes what has to sink; ENGINE_PARK after that. */
enum engine_admission engine_admit_now(struct engine *engine, size_t size_bytes,
    unsigned timeout_ms, int64_t now_ms);
/* May a command run that is part of one that was admitted? All together may
 * go beyond maxmemory, or beyond what was used when the engine was first held
 * for them, by a quarter of it; nothing sinks meanwhile. */
bool engine_admit_nested(const struct engine *engine, size_t size_bytes);
/* DRY_OK: ask again; DRY_FULL: nothing makes room, answer -OOM. */
void engine_wait_room(struct engine *engine, struct engine_waiter *waiter);
/* While it is so engine_turn should be called every 20 ms or so: whoever has
 * waited for that long is lent a little of what is kept for it. */
bool engine_has_room_waiters(const struct engine *engine);
/* Why the store refuses writes ("" when it does not): path and cause. */
const char *engine_store_error(const struct engine *engine);

/* Memory outside the engine (client buffers) that counts against maxmemory. */
void engine_set_outside_bytes(struct engine *engine, size_t bytes);

/* ---- checkpoints ---- */

enum engine_checkpoint_state {
    ENGINE_CHECKPOINT_NONE,
    ENGINE_CHECKPOINT_RUNNING,
    ENGINE_CHECKPOINT_OK,
    ENGINE_CHECKPOINT_FAILED
};
/* Starts writing every dirty entry in slices (engine_turn drives it). False
 * when one is running. */
bool engine_checkpoint_start(struct engine *engine, int64_t now_ms);
/* OK and FAILED are of the last one that ended. */
enum engine_checkpoint_state engine_checkpoint_state(
    const struct engine *engine);
/* Writes everything and syncs, blocking: SAVE, SHUTDOWN. */
enum dry_result engine_save(
    struct engine *engine, int64_t now_ms, char *reason, size_t reason_size);

/* Before a clean stop, after engine_save: remembers which keys are in RAM.
 * Blocks. Nothing, if that is not wanted or they are still on their way back
 * from the last time. */
void engine_keep_warm(struct engine *engine, int64_t now_ms);

/* ---- moving by hand (TIER commands, tests) ---- */

/* Nothing rises by it, whatever `to` is. TIER_DRY may need the disk first: then
 * DB_RESIDENT stays true until the commit, and `waiter` is called when the
 * move, and every one started before it, is done. NULL: the record goes with
 * the next batch, whenever that is. Returns true when the waiter will be
 * called. */
bool engine_demote(struct engine *engine, struct db *db, struct bytes key,
    enum tier to, struct engine_waiter *waiter, int64_t now_ms);
/* So much is on its way to the disk that whoever has more had better wait. */
bool engine_disk_is_behind(const struct engine *engine);
/* Where the value goes from a tier by the rules of its namespace; TIER_NONE:
 * no tier is below. */
enum tier engine_tier_below(
    const struct engine *engine, const struct entry *entry, enum tier tier);
/* Lets an existing key go as if its last tier were full. */
void engine_evict(
    struct engine *engine, struct db *db, struct bytes key, int64_t now_ms);
/* VALUE. To hot. */
void engine_promote(
    struct engine *engine, struct db *db, struct bytes key, int64_t now_ms);

/* Deletes keys whose expiry has passed, also when active_expire is off. True:
 * there is more to do, call again soon. */
bool engine_expire(struct engine *engine, int64_t now_ms);
/* How many keys have expired and are not deleted yet. */
uint64_t engine_expired_waiting(const struct engine *engine, int64_t now_ms);

/* While on, db_read and db_touch count as no use: CLIENT NO-TOUCH. */
void engine_ignore_uses(struct engine *engine, bool on);

/* ---- live options ---- */

void engine_set_maxmemory(struct engine *engine, uint64_t bytes);
void engine_set_policy(struct engine *engine, enum engine_policy policy);
void engine_set_durability(
    struct engine *engine, enum engine_durability durability);
void engine_set_value_limits(
    struct engine *engine, const struct value_limits *limits);
/* Off: what is on its way back is given up. */
void engine_set_warms(struct engine *engine, bool on);
void engine_set_active_expire(struct engine *engine, bool on);
void engine_set_expire_slice(struct engine *engine, unsigned slice_us);
/* Whether on_event is told of ENGINE_MISSED and ENGINE_ADDED; not at first. */
void engine_set_events(struct engine *engine, bool missed, bool added);

/* ---- statistics ---- */

struct engine_tier_stats {
    uint64_t items, bytes;
};
struct engine_stats {
    struct engine_tier_stats tier[3]; /* by enum tier */
    uint64_t hits, misses;            /* keyspace_hits, keyspace_misses */
    uint64_t tier_hits[3];
    uint64_t demoted_hot_cold, demoted_cold_dry;
    uint64_t promoted_dry_cold, promoted_cold_hot;
    uint64_t expired, evicted;
    uint64_t expired_by_tier[3], evicted_by_tier[3];
    uint64_t gets;          /* hits and misses */
    uint64_t puts, deletes; /* of whole values, keys */
    uint64_t fetches, fetch_errors, fetch_discarded, fetches_pending;
    uint64_t warmed, warm_waiting; /* keys that came back after the start */
    uint64_t sync_reads;           /* undeclared keys in scripts */
    uint64_t store_errors, store_retries;
    uint64_t batches, records_written, bytes_written, reclaimed_records;
    uint64_t dirty_keys_since_save; /* rdb_changes_since_last_save */
    uint64_t compressed_raw_bytes, compressed_stored_bytes;
    uint64_t dictionaries, dictionary_bytes; /* of zstd; RAM they take */
    uint64_t writers_parked;
    uint64_t maxmemory_bytes;
    uint64_t used_bytes; /* what maxmemory is compared with */
    uint64_t index_bytes, entry_bytes, blob_bytes, pending_batch_bytes,
        outside_bytes;
    int64_t last_save_ms; /* LASTSAVE */
    struct dry_stats dry;
    uint64_t dry_live_bytes, dry_total_bytes; /* records; the rest is dead */
};
void engine_stats(const struct engine *engine, struct engine_stats *stats);
/* The lowest tier that a value read since the last call was in; TIER_NONE:
 * nothing was read. */
enum tier engine_take_read_tier(struct engine *engine);
/* CONFIG RESETSTAT. */
void engine_reset_stats(struct engine *engine);
/* OBJECT IDLETIME, in ms, and the LFU counter (OBJECT FREQ). */
int64_t engine_idle_ms(
    const struct engine *engine, const struct entry *entry, int64_t now_ms);
unsigned engine_frequency(
    const struct engine *engine, const struct entry *entry);
/* A write that matters for rdb_changes_since_last_save happened; called by
 * the dispatcher once a command reports changes. */
void engine_count_changes(struct engine *engine, uint64_t changes);

#endif
