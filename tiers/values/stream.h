/* Streams: entries in the order of their ids, several to an item
 * (stream_block.h), and consumer groups beside them.
 *
 *   struct value
 *     items   base id -> block of entries                 (a tree)
 *     stream  last id, counters, groups by name
 *               group   pending: id -> who has it, since when, how often
 *                       owned:   consumer number, id      (the same by owner)
 *                       consumers by name
 *
 * Streams are always live: they have no flat form. One thread, but for
 * decoding and for encoding snapshots. */
#ifndef LARDER_TIERS_VALUES_STREAM_H
#define LARDER_TIERS_VALUES_STREAM_H

#include "tiers/values/tree.h"

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_BYTES 16
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

/* Big endian, so that memcmp orders ids. */
void stream_id_write(char *out, struct stream_id id);
struct stream_id stream_id_read(const char *at);
/* Below, equal to or above 0. */
int stream_id_compare(struct stream_id a, struct stream_id b);
/* The next id up or down; false when there is none. */
bool stream_id_next(struct stream_id *id);
bool stream_id_prev(struct stream_id *id);

struct stream_consumer {
    char *name; /* heap, name_size bytes */
    size_t name_size;
    uint64_t number; /* within its group, never reused */
    int64_t seen_ms; /* last time it asked for anything */
    uint64_t pending;
};

/* How many entries a group has read is not known. */
#define STREAM_READ_UNKNOWN INT64_C(-1)

struct stream_group {
    char *name;
    size_t name_size;
    struct stream_id last_id; /* delivered */
    int64_t entries_read;     /* or STREAM_READ_UNKNOWN */
    struct tree pending, owned;
    struct stream_consumer **consumers; /* by name; each in memory of its own */
    struct stream_consumer **numbered;  /* the same by number */
    size_t consumer_count;
    uint64_t next_consumer;
};

struct stream {
    struct stream_id last_id, max_deleted_id;
    uint64_t length; /* entries in all blocks */
    uint64_t entries_added;
    struct stream_group **groups; /* by name; each in memory of its own */
    size_t group_count;
    size_t name_bytes; /* of groups and consumers, their structs included */
};

/* ---- life: called by value.c ---- */

struct stream *stream_create(void);
struct stream *stream_snapshot(const struct stream *stream);
/* As value_release. NULL is allowed. */
bool stream_release(struct stream *stream, size_t budget);
size_t stream_memory_bytes(const struct stream *stream);
size_t stream_encoded_bytes(const struct stream *stream);
char *stream_encode(const struct stream *stream, char *out);
/* From bytes that may be damaged; the position behind, or NULL. */
const char *stream_decode(
    struct stream *stream, const char *at, const char *end);

/* ---- groups and consumers ---- */

/* NULL: there is none of that name. */
struct stream_group *stream_group_find(
    const struct stream *stream, struct bytes name);
/* The name is new. */
struct stream_group *stream_group_add(struct stream *stream, struct bytes name,
    struct stream_id last_id, int64_t entries_read);
void stream_group_remove(struct stream *stream, struct stream_group *group);
/* Borrowed until that consumer is removed. */
struct stream_consumer *stream_consumer_find(
    const struct stream_group *group, struct bytes name);
struct stream_consumer *stream_consumer_by_number(
    const struct stream_group *group, uint64_t number);
struct stream_consumer *stream_consumer_add(struct stream *stream,
    struct stream_group *group, struct bytes name, int64_t now_ms);
/* With all that is pending for it; how many entries that were. */
uint64_t stream_consumer_remove(struct stream *stream,
    struct stream_group *group, struct stream_consumer *consumer);

/* ---- pending entries ---- */

struct stream_pending {
    struct stream_id id;
    uint64_t consumer;    /* its number */
    int64_t delivered_ms; /* not negative; up to STREAM_NUMBER_MAX */
    uint64_t deliveries;  /* likewise: larger numbers are cut */
};
#define STREAM_NUMBER_MAX ((INT64_C(1) << 62) - 1)

/* False: `id` is pending for nobody. */
bool stream_pending_get(struct stream_group *group, struct stream_id id,
    struct stream_pending *pending);
/* What an item, or a cursor, of group->pending says. */
void stream_pending_read(struct bytes item, struct stream_pending *pending);
struct stream_pending stream_pending_at(const struct tree_cursor *cursor);
/* The id that a cursor of group->owned is on, and whose it is. */
struct stream_id stream_owned_at(
    const struct tree_cursor *cursor, uint64_t *consumer);
/* Adds it, or changes it and moves it to another consumer. */
void stream_pending_set(
    struct stream_group *group, const struct stream_pending *pending);
bool stream_pending_remove(struct stream_group *group, struct stream_id id);
/* Cursors on the first pending entry from `id` on: of anybody, or in
 * group->owned of one consumer. */
void stream_pending_seek(struct stream_group *group, struct stream_id id,
    struct tree_cursor *cursor);
void stream_owned_seek(struct stream_group *group, uint64_t consumer,
    struct stream_id id, struct tree_cursor *cursor);

#endif
