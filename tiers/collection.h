/* A key's collection opened by a command: the way from a database to the
 * value types in values/ and back.
 *
 *   reading:  entry = db_read(...); collection_read(&c, db, entry);
 *             hash_get(&c, field, &value);
 *   writing:  entry = db_touch(...); collection_write(&c, db, key, entry,
 *                 KIND_HASH_FLAT, now_ms);
 *             hash_set(&c, field, value); ...
 *             collection_end(&c, changed);
 *
 * What is opened for reading is good until the next call that changes the
 * database. What is opened for writing must be ended before anybody else
 * looks at that key; several keys may be open at once. VALUE, as in db.h: the
 * entry must be resident. One thread, the engine's. */
#ifndef LARDER_TIERS_COLLECTION_H
#define LARDER_TIERS_COLLECTION_H

#include "tiers/db.h"
#include "tiers/values/value.h"

struct collection {
    struct db *db;
    struct bytes key; /* borrowed; writing only */
    int64_t now_ms;
    enum kind kind;
    struct seq seq;
    struct value *live; /* the entry's, or new; NULL: flat */
    uint32_t ref;       /* of the entry, when `live` is its */
    bool exists;        /* there was an entry */
    bool is_new;        /* `live` is not the entry's yet */
    size_t live_bytes;  /* of the entry's live value, as it was */
};

/* Opens what a resident entry of a collection type holds. */
void collection_read(
    struct collection *collection, struct db *db, const struct entry *entry);
/* The same to be changed; NULL `entry`: the key does not exist, a collection
 * of `kind`, empty, begins. The caller has checked the type. */
void collection_write(struct collection *collection, struct db *db,
    struct bytes key, const struct entry *entry, enum kind kind,
    int64_t now_ms);
/* Turns a flat collection into a tree of `kind`. */
void collection_grow(struct collection *collection, enum kind kind);
/* Ends writing. When it was changed it is stored, its expiry kept; if it
 * became empty the key is deleted. True when the key is gone. Nothing that
 * was borrowed from it is good any longer. */
bool collection_end(struct collection *collection, bool changed);

/* Makes what was opened for reading good whatever becomes of its key, until
 * collection_release. A large one is shared until somebody changes it. */
void collection_keep(struct collection *collection);
void collection_release(struct collection *collection);

static inline uint64_t collection_count(const struct collection *collection)
{
    return seq_count(&collection->seq);
}

const struct value_limits *collection_limits(
    const struct collection *collection);
/* A random number, for sampling. */
uint64_t collection_random(struct collection *collection);

#endif
