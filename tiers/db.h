/* A database as command handlers see it: keys, values, expiry, whatever tier
 * they are in. Implemented over the index (index.h), entries (entry.h) and
 * the engine's tiers; nothing here blocks or touches the disk.
 *
 * Rules for callers:
 * - One thread, the engine's.
 * - `now_ms` is wall-clock milliseconds since 1970; a key whose expiry is
 *   <= now_ms does not exist, and the first call that sees it deletes it.
 * - A `struct entry *` is borrowed and valid until the next call here that is
 *   not const: entries move when they change.
 * - Functions that need a value (marked VALUE) may be called only when
 *   db_residency says DB_RESIDENT; the dispatcher sees to that before the
 *   handler runs. */
#ifndef LARDER_TIERS_DB_H
#define LARDER_TIERS_DB_H

#include "protocol/bytes.h"
#include "tiers/entry.h"

struct db;
struct engine;

#define DB_NO_EXPIRY INT64_C(0)
#define DB_KEEP_EXPIRY INT64_C(-1)

/* ---- size and identity ---- */

/* Keys, including ones whose expiry passed but that nobody saw yet. O(1). */
uint64_t db_size(const struct db *db);
/* How many of them have their value in that tier. O(1). */
uint64_t db_tier_size(const struct db *db, enum tier tier);
/* Keys that have an expiry, and their mean time to live in ms (an estimate;
 * 0 when none). O(1). */
uint64_t db_expiring(const struct db *db);
int64_t db_mean_ttl_ms(const struct db *db, int64_t now_ms);

/* ---- looking ---- */

enum db_residency { DB_ABSENT, DB_RESIDENT, DB_DRY };
/* Where the value is. Counts as no use. */
enum db_residency db_residency(struct db *db, struct bytes key, int64_t now_ms);
/* The entry or NULL; counts as no use, changes no statistics. */
struct entry *db_find(struct db *db, struct bytes key, int64_t now_ms);
/* As db_find; counts as a keyspace hit or miss but as no use. For commands
 * that ask about a key, not for its value. */
struct entry *db_look(struct db *db, struct bytes key, int64_t now_ms);
/* As db_look, but a miss is no event. For OBJECT. */
struct entry *db_look_quietly(struct db *db, struct bytes key, int64_t now_ms);
/* As db_find; counts as a use (LRU, idle time, rising from cold) and as a
 * keyspace hit or miss. For commands that read. */
struct entry *db_read(struct db *db, struct bytes key, int64_t now_ms);
/* As db_read, of several keys at once: counts as a use only where the key's
 * namespace wants it to (mget-touch). */
struct entry *db_read_many(struct db *db, struct bytes key, int64_t now_ms);
/* As db_find; counts as a use but as no hit or miss. For commands that
 * write on what is there. */
struct entry *db_touch(struct db *db, struct bytes key, int64_t now_ms);
/* Hints that `key` is about to be looked up: called for every command of a
 * pipeline before the first runs. `stage` from 0 to the last, each a memory
 * access deeper. */
#define DB_PREFETCH_STAGES 4
void db_prefetch(struct db *db, uint64_t key_hash, unsigned stage);
uint64_t db_hash(const struct db *db, struct bytes key);

/* ---- strings ---- */

/* VALUE. The content of a string. Borrowed until the next non-const call or
 * scratch_reset; `scratch` is used when the content must be unpacked. */
struct bytes db_string(
    const struct db *db, const struct entry *entry, struct scratch *scratch);
/* VALUE. The blob that holds a large string uncompressed, borrowed, or NULL
 * when the value is small or packed. */
struct blob *db_string_blob(const struct entry *entry);
/* VALUE. Length of a string. */
size_t db_string_size(const struct db *db, const struct entry *entry);
/* Writes a string over whatever was there, any type, any tier. The encoding
 * is chosen as Redis' SET does (int, embstr, raw). `expiry_ms` absolute,
 * DB_NO_EXPIRY or DB_KEEP_EXPIRY. Returns the entry. */
struct entry *db_set_string(struct db *db, struct bytes key, struct bytes value,
    int64_t expiry_ms, int64_t now_ms);
/* The same for a blob whose reference is taken over (*value becomes NULL). */
struct entry *db_set_blob(struct db *db, struct bytes key, struct blob **value,
    int64_t expiry_ms, int64_t now_ms);
/* As db_set_string, but an integer's digits stay text (embstr or raw), as
 * INCRBYFLOAT leaves them. */
struct entry *db_set_text(struct db *db, struct bytes key, struct bytes value,
    int64_t expiry_ms, int64_t now_ms);
/* VALUE. The string at `key` resized to `size` bytes, created when absent,
 * grown by zero bytes, writable until the next call; the encoding becomes
 * raw and the expiry stays. NULL when memory is exhausted. */
char *db_string_resize(
    struct db *db, struct bytes key, size_t size, int64_t now_ms);

/* ---- collections: see collection.h ---- */

/* The sizes up to which collections are kept in the compact forms that Redis'
 * directives of these names choose. */
struct value_limits {
    uint64_t hash_max_listpack_entries, hash_max_listpack_value;
    uint64_t zset_max_listpack_entries, zset_max_listpack_value;
    uint64_t set_max_intset_entries;
    int64_t list_max_listpack_size; /* as Redis: -1 .. -5 are 4 .. 64 KB */
};

/* ---- whole keys ---- */

/* True when the key was there. */
bool db_delete(struct db *db, struct bytes key, int64_t now_ms);
/* Sets or (DB_NO_EXPIRY) removes the expiry of an existing entry; returns
 * the entry, which may have moved. */
struct entry *db_set_expiry(
    struct db *db, struct entry *entry, int64_t expiry_ms);
/* Gives a hot entry that was just written the lifetimes of a tag: of the
 * ttl-rule of its namespace for it, if there is one. The next write that does
 * not keep the expiry takes it off. Returns the entry. */
struct entry *db_set_tag(struct db *db, struct entry *entry, struct bytes tag);
/* Makes the entry look as if it was last used `idle_s` seconds ago, or as if
 * it had been used so often that OBJECT FREQ answers about `frequency` (0 to
 * 255); negative: as it is. */
void db_set_use(
    struct entry *entry, int64_t idle_s, int64_t frequency, int64_t now_ms);
/* VALUE (of `from`, which must exist). `to` in `target` is replaced; value
 * and expiry move or are copied. `target` may be `db`. */
void db_rename(struct db *db, struct bytes from, struct db *target,
    struct bytes to, int64_t now_ms);
void db_copy(struct db *db, struct bytes from, struct db *target,
    struct bytes to, int64_t now_ms);

/* ---- walking ---- */

/* Called for each key of a step; the key and entry are borrowed until it
 * returns. It must not change the database. */
typedef void db_scan_fn(
    void *context, struct bytes key, const struct entry *entry);
/* One step of a SCAN: visits all keys of one or a few buckets that are not
 * expired, returns the next cursor, 0 at the end. Cursors are below 2^48,
 * survive growth and restarts. A key present throughout is visited at least
 * once. */
uint64_t db_scan(struct db *db, uint64_t cursor, int64_t now_ms, db_scan_fn *fn,
    void *context);
/* A random live key, or NULL when there is none; `random` is the source. */
struct entry *db_random(struct db *db, uint64_t random, int64_t now_ms);

#endif
