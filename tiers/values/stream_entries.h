/* The entries of a stream: adding, finding and taking them away, and what
 * follows from them for a group's counter of entries read.
 *
 * `value` is always a live value of KIND_STREAM. Cursors and what they give
 * are borrowed until the entries change. One thread. */
#ifndef LARDER_TIERS_VALUES_STREAM_ENTRIES_H
#define LARDER_TIERS_VALUES_STREAM_ENTRIES_H

#include "tiers/values/stream_block.h"
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
/* Takes the first `count` entries away: O(log n), their blocks and the nodes
 * freed. */
void stream_trim(struct value *value, uint64_t count);

/* ---- finding ---- */

/* How many entries there are. */
uint64_t stream_length(const struct value *value);
/* The ids of the first and of the last entry; 0-0 when there is none. */
struct stream_id stream_first_id(struct value *value);
struct stream_id stream_top_id(struct value *value);

/* An entry, or the end behind them all. */
struct stream_cursor {
    struct tree_cursor at; /* the block */
    struct stream_block block;
    struct stream_block_entry entry; /* unless at_end */
    bool at_end;
    unsigned index; /* of the entry in its block */
    /* Where the block's entries begin, of the first `known`, and where that
     * behind them does: bytes behind block.entries. */
    unsigned known;
    uint32_t begins[STREAM_BLOCK_ENTRIES + 1];
};
/* On the first entry, or at the end; on the last one, of a stream that has
 * any. */
void stream_begin(struct value *value, struct stream_cursor *cursor);
void stream_last(struct value *value, struct stream_cursor *cursor);
/* On the first entry whose id is not below `id`, or at the end. */
void stream_seek(
    struct value *value, struct stream_id id, struct stream_cursor *cursor);
/* On the last one whose id is not above `id`; false: there is none. */
bool stream_seek_back(
    struct value *value, struct stream_id id, struct stream_cursor *cursor);
/* On that very entry; false: there is none. */
bool stream_find(
    struct value *value, struct stream_id id, struct stream_cursor *cursor);
/* One on or back, as tree_next and tree_prev. */
bool stream_next(struct stream_cursor *cursor);
bool stream_prev(struct stream_cursor *cursor);
/* How many entries have a lower id: O(those in blocks). */
uint64_t stream_count_below(struct value *value, struct stream_id id);

/* Walks the fields and values of the entry under a cursor. */
struct stream_words {
    const char *at;
    const char *names; /* NULL: the entry has its own */
    uint64_t count;    /* fields and values together */
    uint64_t next;
};
void stream_words_begin(
    const struct stream_cursor *cursor, struct stream_words *words);
/* False: there are no more. */
bool stream_words_next(struct stream_words *words, struct element *word);

/* ---- from records ---- */

/* What was decoded may be damaged: are its items blocks, in order, none above
 * the last id? Counts their entries. A stream of KIND_STREAM_SINGLE, in whose
 * items the elements were those of one entry, is packed into blocks and
 * becomes one of KIND_STREAM. Any thread, as long as nobody else has it. */
bool stream_entries_decode(struct value *value);

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
