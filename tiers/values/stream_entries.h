/* The entries of a stream: adding, finding and taking them away, and what
 * follows from them for a group's counter of entries read.
 *
 * `value` is always a live value of KIND_STREAM. Cursors and what they give
 * are borrowed until the entries change. One thread. */
#ifndef LARDER_TIERS_VALUES_STREAM_ENTRIES_H
#define LARDER_TIERS_VALUES_STREAM_ENTRIES_H

#include "tiers/values/stream.h"
#include "tiers/values/value.h"

/* All fields and values of an entry together take at most so many bytes. */
#define STREAM_ENTRY_MAX_BYTES (UINT64_C(1) << 30)

/* Appends an entry whose id is above the stream's last id; it becomes that.
 * `words` are its fields and values alternately, at most
 * STREAM_ENTRY_MAX_BYTES. */
void stream_append(struct value *value, struct stream_id id,
    const struct bytes *words, size_t count, struct scratch *scratch);
/* False: there is no such entry. */
bool stream_delete(struct value *value, struct stream_id id);
/* Takes the first `count` entries away, O(log n) and the nodes freed. */
void stream_trim(struct value *value, uint64_t count);

/* ---- finding ---- */

/* The ids of the first and of the last entry; 0-0 when there is none. */
struct stream_id stream_first_id(struct value *value);
struct stream_id stream_top_id(struct value *value);
/* A cursor on the first entry whose id is not below `id`, or at the end. */
void stream_seek(
    struct value *value, struct stream_id id, struct tree_cursor *cursor);
/* On the last one whose id is not above `id`; false: there is none. */
bool stream_seek_back(
    struct value *value, struct stream_id id, struct tree_cursor *cursor);
/* A cursor on that very entry; false: there is none. */
bool stream_find(
    struct value *value, struct stream_id id, struct tree_cursor *cursor);
/* How many entries have a lower id. */
uint64_t stream_count_below(struct value *value, struct stream_id id);
struct stream_id stream_entry_id(const struct tree_cursor *cursor);

/* Walks the fields and values of the entry under a cursor. */
struct stream_words {
    const char *at, *end;
    struct element all; /* what `at` points into */
    uint64_t count;     /* fields and values together */
};
void stream_words_begin(
    const struct tree_cursor *cursor, struct stream_words *words);
/* False: there are no more. */
bool stream_words_next(struct stream_words *words, struct element *word);

/* ---- counters of groups ---- */

/* The group has been given the entry `id`, the next behind its last id. */
void stream_group_advance(
    struct value *value, struct stream_group *group, struct stream_id id);
/* How many entries there have ever been up to `id` inclusive, or
 * STREAM_READ_UNKNOWN. */
int64_t stream_count_ever(struct value *value, struct stream_id id);
/* How many entries the group has not been given yet; false: not known. */
bool stream_group_lag(
    struct value *value, const struct stream_group *group, int64_t *lag);

#endif
