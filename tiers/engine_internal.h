/* What the files of tiers/ share of the engine. Nobody outside tiers/
 * includes this.
 *
 *   engine --- db 0..n-1 ---> space (index, wheel)
 *     |                         one life of a database: FLUSHDB and SWAPDB
 *     |                         exchange spaces, never entries
 *     |                           +--- shelves (LRU lists, counters), one a
 *     |                                namespace that has keys there
 *     +--- log: batches on their way to the dry store
 *     +--- fetches: reads on their way back
 *     +--- waiters: clients' requests that wait for one of these
 *
 * All of it is touched by the engine's thread only. */
#ifndef LARDER_TIERS_ENGINE_INTERNAL_H
#define LARDER_TIERS_ENGINE_INTERNAL_H

#include "tiers/dry/workers.h"
#include "tiers/engine.h"
#include "tiers/index.h"
#include "tiers/log_batch.h"
#include "tiers/log_group.h"
#include "tiers/lru.h"
#include "tiers/namespace_internal.h"
#include "tiers/record.h"
#include "tiers/shelf.h"
#include "tiers/values/value.h"
#include "tiers/warm.h"
#include "tiers/wheel.h"

struct space {
    struct engine *engine;
    struct db *db;     /* NULL: flushed, its entries are being freed */
    uint32_t keyspace; /* names this life on disk, never reused */
    struct index index;
    struct wheel wheel;
    struct shelf *first_shelf;
    struct shelf **shelves; /* by number of the namespace; NULL: none yet */
    unsigned shelf_capacity;
    uint64_t tier_items[3];            /* of all shelves: asked by each batch */
    struct space *next_unused;         /* flushed too, and still to be freed */
    uint64_t live_records, live_bytes; /* of its entries, on disk */
    uint64_t clear_position;           /* while being freed */
};

struct db {
    struct engine *engine;
    struct space *space;
    unsigned number;
};

struct waiter_list {
    struct engine_waiter *first, *last;
    size_t count;
};

struct queued {
    uint64_t hash;
    uint32_t keyspace;
};

struct log {
    struct dry_store *store; /* NULL: no dry tier */
    const struct dry_ops *ops;
    struct dry_workers *workers;
    uint64_t next_id;
    uint64_t committed_id; /* records up to here are in the store */
    struct batch *open;
    int64_t open_ms;                    /* since when */
    struct batch *sealed, *last_sealed; /* oldest first; the first may be
                                           with the writer */
    bool applying;
    bool closing; /* nothing new is begun */
    size_t sealed_bytes;
    struct batch_pool spare;
    uint64_t next_sequence; /* of the batch that is open or comes next */
    uint64_t committed_sequence, synced_sequence;
    /* Cuts are counted, because batches of moved records come between: a
     * write is synced when the cut that took it is. */
    uint64_t cuts, sealed_cut, synced_cut;
    uint64_t syncing_cut; /* the last cut that a sealed batch will sync */
    uint64_t through_cut; /* of the last write that must be synced at once */
    bool wrote_through;   /* there was one since engine_take_through */
    bool behind;          /* something queued is to be synced when due */
    struct log_group group;
    int64_t cut_due_ms; /* when what is queued must be on its way */
    struct mark *marks; /* not yet in a batch */
    size_t mark_count, mark_capacity;
    struct queued *queue; /* keys to write at the next cut */
    size_t queue_count, queue_capacity;
    bool removing;        /* a batch that takes the left edge is sealed */
    uint64_t removing_to; /* the edge after it */
    uint64_t removing_records, removing_bytes; /* what it takes */
    bool cutting;           /* a cut is one batch, however large */
    bool keyspaces_changed; /* the next batch carries the new map */
    bool put_off;           /* a cut, while the engine was held */
    bool keyspaces_missing; /* the same, but no batch is made for it */
    int64_t last_marks_ms, last_cut_ms, last_sync_ms;
    /* A failing store. */
    unsigned failures; /* in a row */
    bool refuses;      /* so many that writes get errors */
    bool full;
    bool full_for_all;           /* even for what frees room */
    bool wrote_while_full;       /* more than deletions since it is full */
    int64_t failed_ms, retry_ms; /* when, and how long to wait */
    struct patience patience;    /* for the batch that is sealed next */
    char error[200];
    /* What of the log is alive. */
    uint64_t first_id;
    uint64_t live_bytes, total_records, total_bytes;
    struct dry_stats stats; /* refreshed by cron */
};

struct dictionaries; /* dictionary.h */
struct packer;       /* codec.h */
struct fetch;        /* fetch.c */
struct reclaim;      /* reclaim.c */

struct engine {
    struct engine_options options;
    int64_t now_ms;       /* of the current call */
    uint64_t deadline_us; /* of the duties of the current call */
    uint64_t round_us;    /* when what came since the last turn began; or 0 */
    struct value_limits limits;
    bool uses_ignored;
    bool held;        /* in the middle of a command: nothing is cut */
    size_t held_from; /* memory used when that began */
    bool tells_missed, tells_added;
    uint8_t read_tiers; /* a bit a tier: engine_take_read_tier */
    struct arena arena;
    uint8_t secret[INDEX_SECRET_BYTES];
    struct db *dbs;
    struct shelf **shelves; /* by number */
    unsigned shelf_capacity;
    struct namespaces namespaces;
    struct space *unused; /* flushed spaces, freed in slices */
    unsigned unused_count;
    uint32_t next_keyspace;
    struct log log;
    struct packer *packer;
    struct dictionaries *dictionaries;
    struct fetch *fetches; /* uthash by record id */
    struct fetch *late_fetches;
    struct fetch *failed_fetches; /* to be tried again */
    size_t fetch_bytes;           /* reserved for values on their way up */
    struct reclaim *reclaim;
    struct warm warm;
    struct waiter_list room_waiters, sync_waiters, commit_waiters;
    bool dropping, expiring;  /* sink_committed, expire_turn have more to do */
    uint64_t room_stuck_us;   /* since when none can be made; 0: it can */
    size_t room_wanted_bytes; /* the most that was not admitted; or 0 */
    uint64_t room_wait_us;    /* since when room_waiters has been let wait */
    size_t room_lent_bytes;   /* what they have got beyond what all may fill */
    struct engine_stats counters;
    size_t index_bytes;
    size_t blob_bytes;
    size_t outside_bytes;
    size_t overhead_bytes; /* RssAnon beyond what is accounted */
    int64_t damage_told_ms;
    struct value *trash;     /* large values given up, being freed */
    struct leaving *leaving; /* values too large for RAM */
    char *scratch;           /* for packing and resizing */
    size_t scratch_bytes;
    uint64_t random;
    struct {
        enum engine_checkpoint_state state;
        bool running;
        unsigned database;
        uint64_t position;
        uint64_t sequence; /* wait for this one, once all is appended */
        uint64_t dirty_at_start;
    } checkpoint;
    uint64_t load_from; /* next id to load; 0: not loading */
    uint64_t load_total, load_done;
};

/* ---- space.c: the primitives everything else is made of ---- */

struct space *space_create(struct engine *engine, struct db *db);
/* Frees up to `budget` entries of a flushed space; true when none are left. */
bool space_clear(struct space *space, unsigned budget);
/* Frees an empty space. */
void space_destroy(struct space *space);
struct space *space_of(const struct engine *engine, const struct entry *entry);
/* How many of its keys have their value in that tier. */
uint64_t space_tier_items(const struct space *space, enum tier tier);
struct space *space_by_keyspace(const struct engine *engine, uint32_t keyspace);
uint64_t space_hash(const struct space *space, const struct entry *entry);

struct entry *space_insert(
    struct space *space, uint64_t hash, const struct entry_spec *spec);
/* A new entry from `spec` in the place of the one in `slot`, whose blob is
 * dropped unless spec has it too. spec may borrow from the old entry. */
struct entry *space_replace(struct space *space, struct index_slot slot,
    const struct entry_spec *spec, enum link_at where);
/* Frees the entry and its slot. */
void space_remove(struct space *space, uint64_t hash, struct index_slot slot);
/* RAM that an entry takes, its blob included. */
size_t entry_memory_bytes_at(const struct engine *engine, uint32_t ref);
/* Re-counts everything against the counters. */
void space_sane(const struct space *space);

/* Gives each entry of a flushed space's shelves back to nobody: they no longer
 * count in their namespaces. */
void space_retire(struct space *space);
/* The entry's key may belong to another namespace by now, or its shelf have
 * other rules: puts it where it belongs. */
void space_rehome(struct space *space, uint32_t ref);

/* The entry goes to the shelf of a tag. */
void space_retag(struct space *space, struct entry *entry, uint32_t tag);
/* Was the entry written under another schema version than its namespace has
 * now? Then it is as good as absent, and will be removed. Only asked while
 * keys are on their way to their namespaces. */
bool entry_is_outdated(const struct engine *engine, const struct entry *entry);
static inline bool entry_is_of_past(
    const struct engine *engine, const struct entry *entry)
{
    return __builtin_expect(engine->namespaces.rehome.running, 0) &&
           entry_is_outdated(engine, entry);
}

/* Another expiry for an entry that has one and goes on having one. */
void space_move_expiry(
    struct space *space, struct entry *entry, int64_t expiry_ms);

/* ---- namespace.c ---- */

/* With the default one alone. */
void namespaces_init(struct engine *engine);
void namespaces_finish(struct engine *engine);
struct namespace *namespace_find(const struct engine *engine, struct bytes key);
struct namespace *namespace_by_prefix(
    const struct engine *engine, struct bytes prefix);
void namespaces_turn(struct engine *engine, uint64_t deadline_us);
/* Notes that the namespace has too much in some tier. */
void namespace_note_over(struct engine *engine, struct namespace *namespace);
/* Above a limit by more than `part_32nds` of it. */
static inline bool namespace_is_above(
    const struct namespace *namespace, enum tier tier, unsigned part_32nds)
{
    uint64_t items = namespace->policy.max_items[tier];
    uint64_t bytes = namespace->policy.max_bytes[tier];
    struct engine_tier_stats now = namespace->tier[tier];
    if (tier == TIER_COLD) { /* what is leaving has left */
        now.items -= namespace->sinking.items;
        now.bytes -= namespace->sinking.bytes;
    } else if (tier == TIER_DRY) {
        now.bytes = namespace->disk_bytes;
    }
    return (now.items > items && now.items - items > items / 32 * part_32nds) ||
           (now.bytes > bytes && now.bytes - bytes > bytes / 32 * part_32nds);
}

static inline bool namespace_is_over(
    const struct namespace *namespace, enum tier tier)
{
    return namespace_is_above(namespace, tier, 0);
}

/* Reads, by tier of what was found and of what was not. */
static inline uint64_t count_gets(const uint64_t hits[3], uint64_t misses)
{
    return hits[TIER_HOT] + hits[TIER_COLD] + hits[TIER_DRY] + misses;
}

/* ---- shelves ---- */

static inline struct shelf *shelf_of(
    const struct engine *engine, const struct entry *entry)
{
    return engine->shelves[entry->shelf];
}

/* ---- db.c ---- */

/* Puts a value (spec's value, blob or live) at spec->key: hot, dirty. Blob and
 * live are taken over. `expiry_ms` as in db_set_string. */
struct entry *db_put(
    struct db *db, struct entry_spec *spec, int64_t expiry_ms, int64_t now_ms);
/* Writes the bytes of a flat collection; the expiry stays. */
void db_set_flat(struct db *db, struct bytes key, struct bytes payload,
    enum kind kind, int64_t now_ms);

/* The entry's record on disk, if any, is outdated: the entry is dirty. `hash`
 * is not looked at when it has no record and is not to be queued. */
void entry_outdate(struct space *space, struct entry *entry, uint64_t hash);
void db_expire_entry(
    struct space *space, uint64_t hash, struct index_slot slot);
/* The fields of a hash (fields.c). Whether some are due; of any entry. */
static inline bool fields_are_due(const struct entry *entry, int64_t now_ms)
{
    return entry_expires_fields(entry->bits) &&
           entry_fields_of(entry).first_ms <= now_ms;
}
/* Removes at most `most` fields that are due from a hash that can be looked
 * into, and tells of it. Where the entry is then; no ref: nothing is left of
 * it. */
struct index_slot fields_expire(
    struct space *space, struct index_slot slot, uint64_t most);
/* An entry of that kind has come up in the wheel. */
void fields_turn(struct space *space, uint64_t hash, struct index_slot slot);
void db_evict_entry(struct space *space, uint64_t hash, struct index_slot slot);
/* Calls the caller's listener. */
void db_tell(const struct db *db, enum engine_event event, struct bytes key);

/* ---- log.c, log_open.c, log_abandon.c ---- */

/* The map of databases in the store. */
#define LOG_KEYSPACES_NAME "keyspaces"
/* u32 next keyspace; then for each database u32 keyspace, u64 keys. */
#define LOG_KEYSPACES_BYTES(databases)                                         \
    (sizeof(uint32_t) +                                                        \
        (size_t)(databases) * (sizeof(uint32_t) + sizeof(uint64_t)))
/* What goes with the batch beside its records: the map of databases, if it has
 * changed, and dictionaries that are not known to be there. (log_system.c) */
void log_attach_system(struct engine *engine, struct batch *batch);
/* The store has not taken the batch: it will be tried again, or everything that
 * waits for the writer is taken back, so that small batches (deletions,
 * reclaim) can pass a disk that is full, and records that were to be moved can
 * be read where they are. */
void log_refused(struct engine *engine, struct batch *batch);
bool log_open(struct engine *engine, char *reason, size_t reason_size);
void log_close(struct engine *engine);
/* There is a store, it works, and not too much waits for it. */
bool log_has_room(const struct engine *engine);
/* There is one, it works, and too much waits for it. */
bool log_waits_for_disk(const struct engine *engine);
/* Appends the resident entry's value to the open batch and gives the entry
 * the record's id. */
void log_append_entry(struct space *space, struct entry *entry, uint64_t hash);
/* Appends a live record again under a new id, which its entry gets. */
void log_move_record(struct space *space, const struct record *record,
    struct entry *entry, uint64_t hash);
void log_mark(struct space *space, enum mark_kind kind, uint64_t id,
    uint64_t hash, int64_t expiry_ms);
void log_queue(struct space *space, struct entry *entry, uint64_t hash);
/* Whether log_queue would note the entry, and so need its hash. */
bool log_would_queue(const struct space *space, const struct entry *entry);
/* A key of the shelf was written, or deleted, and the log knows: as its
 * namespace wants it, it will be synced before that is acknowledged. */
void log_wrote(const struct shelf *shelf);
/* All keys of the space were: it is flushed, or another database's now. */
void log_wrote_all(const struct space *space);
/* A batch that fails is tried again as the most patient of those says whose
 * writes are in it, or the default namespace if there is none. */
void log_be_patient(struct log *log, const struct patience *patience);
struct patience log_patience(
    const struct engine *engine, const struct batch *batch);
/* Who has waited too long for a sync gets an error. */
void log_deadline_turn(struct engine *engine);
/* How long to wait after that many failures in a row, at most `limit_ms`: the
 * longer the more there were, and some by chance. */
int64_t log_retry_ms(
    struct engine *engine, unsigned failures, int64_t limit_ms);
/* Makes a batch's records, those of its snapshots packed where that pays,
 * before it is applied. Writer's thread, because thousands of them would hold
 * clients up; `job` is the batch's. (log_encode.c) */
void log_make_records(struct dry_job *job, struct dry_store *store);
/* Once they are in the store, on the engine's thread: they have counted as
 * large as they are in RAM, and now count as they were written. */
void log_count_encoded(struct batch *batch);
/* Sets what the row counts for in the log's total_bytes. */
void log_count_row(struct log *log, struct batch_row *row, uint64_t bytes);
/* Writes everything queued and all marks into one batch. */
void log_cut(struct engine *engine);
/* Closes the open batch, if there is anything in it, and sends it on.
 * `keep_from` as in struct dry_batch_view. */
void log_seal(struct engine *engine, bool sync, uint64_t keep_from);
void log_turn(struct engine *engine);
void log_cron(struct engine *engine);
bool log_idle(const struct engine *engine);
/* Tries a failing store again, with nothing but a probe if need be. */
void log_retry(struct engine *engine);
/* Gives the databases the keyspaces that the store names. False when it has
 * more databases than there are now, or cannot be read. */
bool log_load_keyspaces(
    struct engine *engine, char *reason, size_t reason_size);
/* The counters when a record comes to life or dies, given its entry's
 * entry_record_bytes. */
void log_count_live(struct shelf *shelf, size_t record_bytes, int sign);
static inline void log_count_entry(
    struct engine *engine, const struct entry *entry, int sign)
{
    log_count_live(
        engine->shelves[entry->shelf], entry_record_bytes(entry), sign);
}

/* ---- item.c: values that are kept in some tiers only ---- */

/* A value's size before packing; an estimate when it is dry. */
size_t item_bytes(const struct entry *entry);
/* Larger than its namespace's max-item-size? */
bool item_is_large(const struct engine *engine, const struct entry *entry);
/* Too small to be written to disk (dry-threshold)? */
bool item_is_ram_only(const struct engine *engine, const struct entry *entry);
/* The value was written, or read from disk. True: it is too large to stay in
 * RAM, and goes to dry in the next turn that finds it not pinned. */
bool item_arrived(struct engine *engine, const struct entry *entry);
void item_turn(struct engine *engine);
void item_close(struct engine *engine);
/* Does the policy refuse writes when the namespace is full? */
bool policy_refuses(const struct policy *policy);

/* ---- sink.c, fetch.c, reclaim.c, expire.c, checkpoint.c, memory.c ---- */

/* While memory presses. True: the time is over, and there is more. */
bool sink_turn(struct engine *engine, uint64_t deadline_us);
/* The same: gives up what sinks and is committed, tells who waits for that. */
bool sink_committed(struct engine *engine, uint64_t deadline_us);
/* Where the entry goes from a tier, TIER_NONE: nowhere. */
enum tier tier_below(
    const struct shelf *shelf, const struct entry *entry, unsigned tier);
/* One entry of the shelf one step further down, out of the last tier it is
 * dropped. False: nothing can be done now. */
bool sink_from(struct shelf *shelf, enum tier tier);
/* The same for one that is named; out of the last tier it is dropped as
 * `event` says. Not for a pinned one. */
bool sink_entry(struct shelf *shelf, uint32_t ref, enum engine_event event);
/* What has been in its tier unread for too long sinks. True: the time is over,
 * and there is more. */
bool lifetime_turn(struct engine *engine, uint64_t deadline_us);
/* Tiers that hold more than they may. True when there is more to do at once. */
bool trim_turn(struct engine *engine, uint64_t deadline_us);
/* Is one above its limit while nothing can sink before the disk goes on? */
bool namespaces_wait_for_disk(const struct engine *engine);
/* Is it so far above a limit in RAM that its writers have to wait? */
bool namespace_piles_up(const struct namespace *namespace);
/* Hot to cold, packed where it pays. The entry may move. */
struct entry *sink_to_cold(struct space *space, struct index_slot slot);
void sink_to_dry(struct space *space, struct index_slot slot);
struct entry *rise_to_hot(struct space *space, struct index_slot slot);
/* A value packed as its namespace wants it (policy.codec), in the engine's
 * scratch; empty when that does not pay. */
struct bytes pack_value(
    struct engine *engine, struct namespace *namespace, struct bytes raw);
void fetch_after_commit(struct engine *engine);
/* Ends the fetches of records that will never be committed. */
void fetch_after_abandon(struct engine *engine);
void fetch_close(struct engine *engine);
/* Reads that failed are tried again when it is time. */
void fetch_retry_turn(struct engine *engine);
/* Who has waited for a read for as long as its namespace says gets an
 * error. */
void fetch_deadline_turn(struct engine *engine);
/* Starts a round if there is much to take back. */
void reclaim_cron(struct engine *engine);
/* Goes on with one. True: the time is over, and there is more to do. */
bool reclaim_turn(struct engine *engine, uint64_t deadline_us);
/* What was sealed has been taken back, moved records among it, perhaps: a round
 * that has come to moving ends. */
void reclaim_abandon(struct engine *engine);
/* Is space being taken back, and more dies than that? Then what sinks waits,
 * and at last its writers. Not when nothing can be taken back. */
bool reclaim_behind(const struct engine *engine);
void reclaim_close(struct engine *engine);
/* Keys whose time has come, and what has been unread for too long. True: the
 * time is over, and there is more. */
bool expire_turn(struct engine *engine, uint64_t deadline_us);
void checkpoint_turn(struct engine *engine, uint64_t deadline_us);
/* Empties a slab of the arena that is mostly free. False: there is none. */
bool compact_slab(struct engine *engine);
/* Is more in RAM than should be? */
bool memory_pressing(const struct engine *engine);
/* Is it free slots between the entries, that sparse slabs should be emptied
 * into? */
bool memory_scattered(const struct engine *engine);
/* What is kept for the next values goes back when more than maxmemory is used.
 * True: there is more of it. */
bool memory_cool(struct engine *engine);
/* More than is allowed? */
bool memory_is_over(const struct engine *engine);
/* Or does somebody wait? Then what can sink does so at once. */
bool memory_is_wanted(const struct engine *engine);
/* Or will somebody wait soon, because nearly so much is taken? */
bool memory_is_short(const struct engine *engine);
size_t memory_used(const struct engine *engine);
/* Room for so much more, without anything having to sink for it? */
bool memory_has_spare(const struct engine *engine, size_t bytes);
/* Wakes writers that wait for room, when there is some or they have waited for
 * LOAN_US. */
void memory_turn(struct engine *engine);
/* What the allocator, the threads and the libraries take beyond the accounts
 * is what the kernel says less what is known; 10 microseconds. */
void memory_measure(struct engine *engine);
void memory_cron(struct engine *engine);
/* Frees a live value (or snapshot, or NULL): at once when it is small, else
 * in slices. */
void engine_drop_value(struct engine *engine, struct value *value);
/* What the record of a resident entry holds before packing; in `scratch`
 * when its value is live. */
struct bytes entry_payload(const struct entry *entry, struct scratch *scratch);
char *engine_scratch(struct engine *engine, size_t size);
uint64_t engine_mono_us(void);
/* A line for the caller's log, of at most ENGINE_LINE_BYTES; `level` as
 * engine_options.log wants it. */
#define ENGINE_LINE_BYTES 400
void engine_tell(struct engine *engine, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t engine_random(struct engine *engine);

void waiters_add(struct waiter_list *list, struct engine_waiter *waiter);
void waiters_remove(struct engine_waiter *waiter);
/* Calls everyone in the list, or those with after_id <= upto. */
void waiters_run(
    struct waiter_list *list, uint64_t upto, enum dry_result result);

/* ---- periods ---- */

/* Also when the clock was set back. */
static inline bool is_due(
    const struct engine *engine, int64_t last_ms, int64_t period_ms)
{
    return engine->now_ms < last_ms || engine->now_ms - last_ms >= period_ms;
}

/* ---- the access word of an entry: 26 bits of time, 6 of frequency ---- */

#define ACCESS_TICK_MS 100
#define ACCESS_TICK_MASK ((UINT32_C(1) << 26) - 1)
#define ACCESS_FREQUENCY_BITS 6
#define ACCESS_FREQUENCY_MASK ((UINT32_C(1) << ACCESS_FREQUENCY_BITS) - 1)
#define ACCESS_FREQUENCY_START 2

static inline uint32_t access_tick(int64_t now_ms)
{
    return (uint32_t)((uint64_t)now_ms / ACCESS_TICK_MS) & ACCESS_TICK_MASK;
}

/* Ticks since the last use. */
static inline uint32_t access_idle(int64_t now_ms, uint32_t access)
{
    return (access_tick(now_ms) - (access >> ACCESS_FREQUENCY_BITS)) &
           ACCESS_TICK_MASK;
}

static inline uint32_t access_new(int64_t now_ms)
{
    return access_tick(now_ms) << ACCESS_FREQUENCY_BITS |
           ACCESS_FREQUENCY_START;
}

/* The frequency in it, less what has decayed since the last use. */
uint32_t access_frequency(const struct engine *engine, uint32_t access);
/* The word after one more use. */
uint32_t access_next(struct engine *engine, uint32_t access);

#endif
