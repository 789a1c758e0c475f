#include "tiers/values/stream_entries.h"

static const struct stream_id no_id = {0, 0};

/* ---- changing ---- */

/* Text so short may be an integer's: element_write finds out. */
#define SHORT_BYTES 20

static size_t write_words(char *out, const struct bytes *words, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += element_write(out + size, words[i]);
    }
    return size;
}

/* Writes the item without a second copy of what may be large. */
static struct bytes make_item(struct stream_id id, const struct bytes *words,
    size_t count, struct scratch *scratch)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += element_size(words[i]);
    }
    char *item = scratch_alloc(
        scratch, STREAM_ID_BYTES + ELEMENT_BOUND(size) + ELEMENT_HEAD_MAX);
    char *at = item + STREAM_ID_BYTES;
    stream_id_write(item, id);
    if (size <= SHORT_BYTES) {
        char text[SHORT_BYTES + ELEMENT_HEAD_MAX];
        write_words(text, words, count);
        at += element_write(at, bytes_of(text, size));
    } else {
        at += varint_write(at, (uint64_t)size << 1);
        at += write_words(at, words, count);
    }
    return bytes_of(item, (size_t)(at - item));
}

void stream_append(struct value *value, struct stream_id id,
    const struct bytes *words, size_t count, struct scratch *scratch)
{
    struct tree_cursor cursor;
    struct stream *stream = value->stream;
    check(stream_id_compare(id, stream->last_id) > 0);
    tree_at(&value->items, value->items.count, &cursor);
    tree_insert(&cursor, 0, make_item(id, words, count, scratch));
    stream->last_id = id;
    stream->entries_added++;
}

bool stream_delete(struct value *value, struct stream_id id)
{
    struct tree_cursor cursor;
    struct stream *stream = value->stream;
    if (!stream_find(value, id, &cursor)) {
        return false;
    }
    tree_remove(&cursor);
    if (stream_id_compare(id, stream->max_deleted_id) > 0) {
        stream->max_deleted_id = id;
    }
    return true;
}

void stream_trim(struct value *value, uint64_t count)
{
    if (count > 0) {
        tree_remove_range(&value->items, 0, count);
    }
}

/* ---- finding ---- */

struct stream_id stream_entry_id(const struct tree_cursor *cursor)
{
    return stream_id_read(tree_item(cursor).data);
}

static struct stream_id id_at(struct value *value, uint64_t rank)
{
    struct tree_cursor cursor;
    if (value->items.count == 0) {
        return no_id;
    }
    tree_at(&value->items, rank, &cursor);
    return stream_entry_id(&cursor);
}

struct stream_id stream_first_id(struct value *value)
{
    return id_at(value, 0);
}

struct stream_id stream_top_id(struct value *value)
{
    return id_at(value, value->items.count - 1);
}

void stream_seek(
    struct value *value, struct stream_id id, struct tree_cursor *cursor)
{
    char key[STREAM_ID_BYTES];
    stream_id_write(key, id);
    tree_seek(&value->items, 0, bytes_of(key, sizeof key), cursor);
}

bool stream_find(
    struct value *value, struct stream_id id, struct tree_cursor *cursor)
{
    stream_seek(value, id, cursor);
    return !tree_cursor_at_end(cursor) &&
           stream_id_compare(stream_entry_id(cursor), id) == 0;
}

bool stream_seek_back(
    struct value *value, struct stream_id id, struct tree_cursor *cursor)
{
    if (value->items.count == 0) {
        return false;
    }
    return stream_find(value, id, cursor) || tree_prev(cursor);
}

uint64_t stream_count_below(struct value *value, struct stream_id id)
{
    struct tree_cursor cursor;
    stream_seek(value, id, &cursor);
    return tree_rank(&cursor);
}

void stream_words_begin(
    const struct tree_cursor *cursor, struct stream_words *words)
{
    element_read(tree_item(cursor).data + STREAM_ID_BYTES, &words->all);
    struct bytes text = element_text(&words->all);
    words->at = text.data;
    words->end = text.data + text.size;
    words->count = 0;
    for (const char *at = words->at; at < words->end; at = element_skip(at)) {
        words->count++;
    }
}

bool stream_words_next(struct stream_words *words, struct element *word)
{
    if (words->at == words->end) {
        return false;
    }
    words->at = element_read(words->at, word);
    return true;
}

/* ---- counters of groups ---- */

/* Whether entries at `id` or behind, and behind the first that is left, may
 * have been deleted: numbers of entries there cannot be counted on. */
static bool has_gaps_from(struct value *value, struct stream_id id)
{
    struct stream_id deleted = value->stream->max_deleted_id;
    return value->items.count > 0 && stream_id_compare(deleted, no_id) != 0 &&
           stream_id_compare(id, deleted) <= 0 &&
           stream_id_compare(stream_first_id(value), deleted) <= 0;
}

int64_t stream_count_ever(struct value *value, struct stream_id id)
{
    const struct stream *stream = value->stream;
    int64_t added = (int64_t)stream->entries_added;
    int64_t length = (int64_t)value->items.count;
    int to_last = stream_id_compare(id, stream->last_id);
    if (added == 0 || (length == 0 && to_last <= 0) || to_last == 0) {
        return added;
    }
    struct stream_id first = stream_first_id(value);
    int to_first = stream_id_compare(id, first);
    bool whole = stream_id_compare(stream->max_deleted_id, no_id) == 0 ||
                 stream_id_compare(stream->max_deleted_id, first) < 0;
    if (to_last > 0 || to_first > 0 || !whole) {
        return STREAM_READ_UNKNOWN;
    }
    return to_first < 0 ? added - length : added - length + 1;
}

void stream_group_advance(
    struct value *value, struct stream_group *group, struct stream_id id)
{
    if (group->entries_read != STREAM_READ_UNKNOWN &&
        !has_gaps_from(value, id)) {
        /* It may wrap round: XGROUP sets any number. */
        group->entries_read = (int64_t)((uint64_t)group->entries_read + 1);
    } else if (value->stream->entries_added > 0) {
        group->entries_read = stream_count_ever(value, id);
    }
    group->last_id = id;
}

bool stream_group_lag(
    struct value *value, const struct stream_group *group, int64_t *lag)
{
    int64_t added = (int64_t)value->stream->entries_added;
    int64_t read = 0;
    if (added != 0) {
        read = group->entries_read;
        if (read == STREAM_READ_UNKNOWN ||
            has_gaps_from(value, group->last_id)) {
            read = stream_count_ever(value, group->last_id);
        }
    }
    *lag = (int64_t)((uint64_t)added - (uint64_t)read);
    return read != STREAM_READ_UNKNOWN;
}
