/* What the commands of collections share: opening a key of one type, ending a
 * change, answering elements, and the *SCAN family. One thread; everything
 * acts on the request's selected database. */
#ifndef LARDER_SERVER_COMMANDS_TYPED_H
#define LARDER_SERVER_COMMANDS_TYPED_H

#include "server/command.h"
#include "server/keyspace.h"
#include "tiers/collection.h"

enum typed_open {
    TYPED_REFUSED, /* WRONGTYPE has been answered */
    TYPED_ABSENT,
    TYPED_OPEN,
};

/* Opens the key in argument `key` for reading. */
enum typed_open typed_read(struct request *request, int key,
    enum value_type type, struct collection *collection);
/* Opens it for writing; a key that is absent begins as an empty collection of
 * `kind`. False: WRONGTYPE has been answered. End it with typed_end. */
bool typed_write(struct request *request, int key, enum kind kind,
    struct collection *collection);
/* The same, but an absent key is not opened. */
enum typed_open typed_write_existing(struct request *request, int key,
    enum value_type type, struct collection *collection);
/* Ends a change of `changes` things (0: none, nothing is stored) and tells of
 * it: `event` of the class of the type, and "del" when the key has become
 * empty. True when it has. */
bool typed_end(struct request *request, struct collection *collection,
    uint64_t changes, const char *event);

/* Ends a new collection that replaces whatever is at its key (a STORE): it is
 * stored without an expiry, or the key is deleted when it is empty. Answers
 * its size and tells of it. */
void typed_store(
    struct request *request, struct collection *collection, const char *event);

/* The element as a bulk string. */
void typed_reply(struct request *request, struct element *element);

/* ---- HSCAN, SSCAN ---- */

struct typed_scan {
    uint64_t cursor;
    int64_t count;
    struct bytes pattern; /* no data: everything */
};

/* Cursor in argument 2, then, once the key is known to exist, options from
 * argument 3. False: an error has been answered. */
bool typed_scan_cursor(struct request *request, struct typed_scan *scan);
bool typed_scan_options(struct request *request, struct typed_scan *scan);
bool typed_scan_matches(const struct typed_scan *scan, struct element *element);
/* Where one step over a sequence of SHAPE_BY_HASH begins (*first) and how
 * many items it visits; returns the cursor behind it, 0 at the end. Cursors
 * are hashes, so they survive any change of the collection. */
uint64_t typed_scan_step(struct seq *seq, const struct typed_scan *scan,
    struct seq_cursor *first, uint64_t *visits);
/* The answer for a key that is not there. */
void typed_scan_empty(struct request *request);

/* ---- random members ---- */

/* A count as SRANDMEMBER and its kin take it: negative means that members may
 * repeat. False: an error has been answered. */
bool typed_random_count(struct request *request, int index, int64_t *count);
/* False when so many repeated members are refused: an error has been
 * answered. */
bool typed_random_allowed(struct request *request, int64_t count);
/* `picks` random ranks below `count`, all different unless `repeat`; in the
 * request's scratch memory. Floyd's algorithm (Bentley, Programming Pearls:
 * A sample of brilliance, 1987). */
uint64_t *typed_random_ranks(struct request *request,
    struct collection *collection, uint64_t picks, bool repeat);

#endif
