#include "tiers/values/stream_entries.h"

#include <stdlib.h>

static const struct stream_id no_id = {0, 0};

/* ---- cursors ---- */

/* On the entry `index` of the cursor's block. */
static void load(struct stream_cursor *cursor, unsigned index)
{
    const char *entries = cursor->block.entries;
    unsigned from = index < cursor->known ? index : cursor->known;
    const char *at = entries + cursor->begins[from];
    for (unsigned i = from; i <= index; i++) {
        at = stream_block_read(&cursor->block, at, &cursor->entry);
        cursor->begins[i + 1] = (uint32_t)(at - entries);
    }
    cursor->known = cursor->known > index ? cursor->known : index + 1;
    cursor->index = index;
    cursor->at_end = false;
}

/* On an entry of the block under cursor->at: the first, or the last. */
static void enter(struct stream_cursor *cursor, bool last)
{
    stream_block_open(tree_item(&cursor->at), &cursor->block);
    cursor->known = 0;
    cursor->begins[0] = 0;
    load(cursor, last ? cursor->block.count - 1 : 0);
}

void stream_begin(struct value *value, struct stream_cursor *cursor)
{
    tree_at(&value->items, 0, &cursor->at);
    cursor->at_end = value->items.count == 0;
    if (!cursor->at_end) {
        enter(cursor, false);
    }
}

void stream_last(struct value *value, struct stream_cursor *cursor)
{
    check(value->items.count > 0);
    tree_at(&value->items, value->items.count - 1, &cursor->at);
    enter(cursor, true);
}

bool stream_next(struct stream_cursor *cursor)
{
    if (cursor->at_end) {
        return false;
    }
    if (cursor->index + 1 < cursor->block.count) {
        load(cursor, cursor->index + 1);
    } else if (tree_next(&cursor->at)) {
        enter(cursor, false);
    } else {
        cursor->at_end = true;
    }
    return !cursor->at_end;
}

bool stream_prev(struct stream_cursor *cursor)
{
    if (!cursor->at_end && cursor->index > 0) {
        load(cursor, cursor->index - 1);
        return true;
    }
    if (!tree_prev(&cursor->at)) {
        return false;
    }
    enter(cursor, true);
    return true;
}

void stream_seek(
    struct value *value, struct stream_id id, struct stream_cursor *cursor)
{
    char key[STREAM_ID_BYTES];
    stream_id_write(key, id);
    cursor->at_end = value->items.count == 0;
    /* The last block that begins at `id` or before has it, if any does. */
    if (cursor->at_end ||
        (!tree_seek(&value->items, 0, bytes_of(key, sizeof key), &cursor->at) &&
            !tree_prev(&cursor->at))) {
        stream_begin(value, cursor);
        return;
    }
    enter(cursor, false);
    while (!cursor->at_end && stream_id_compare(cursor->entry.id, id) < 0) {
        stream_next(cursor);
    }
}

bool stream_find(
    struct value *value, struct stream_id id, struct stream_cursor *cursor)
{
    stream_seek(value, id, cursor);
    return !cursor->at_end && stream_id_compare(cursor->entry.id, id) == 0;
}

bool stream_seek_back(
    struct value *value, struct stream_id id, struct stream_cursor *cursor)
{
    if (value->items.count == 0) {
        return false;
    }
    return stream_find(value, id, cursor) || stream_prev(cursor);
}

/* ---- finding ---- */

uint64_t stream_length(const struct value *value)
{
    return value->stream->length;
}

struct stream_id stream_first_id(struct value *value)
{
    struct stream_cursor cursor;
    stream_begin(value, &cursor);
    return cursor.at_end ? no_id : cursor.entry.id;
}

struct stream_id stream_top_id(struct value *value)
{
    struct stream_cursor cursor;
    if (value->items.count == 0) {
        return no_id;
    }
    stream_last(value, &cursor);
    return cursor.entry.id;
}

/* Goes over the first blocks as long as they are wholly among the first `most`
 * entries and begin at `id` or below; how many entries those are. */
static uint64_t skip_blocks(struct value *value, uint64_t most,
    struct stream_id id, struct tree_cursor *at)
{
    uint64_t entries = 0;
    tree_at(&value->items, 0, at);
    while (!tree_cursor_at_end(at)) {
        struct stream_block block;
        stream_block_open(tree_item(at), &block);
        if (entries + block.count > most ||
            stream_id_compare(block.base, id) > 0) {
            break;
        }
        entries += block.count;
        tree_next(at);
    }
    return entries;
}

uint64_t stream_count_below(struct value *value, struct stream_id id)
{
    struct stream_cursor cursor;
    stream_seek(value, id, &cursor);
    if (cursor.at_end) {
        return value->stream->length;
    }
    struct tree_cursor at;
    uint64_t rank = tree_rank(&cursor.at);
    uint64_t entries = skip_blocks(value, UINT64_MAX, cursor.block.base, &at);
    check(tree_rank(&at) == rank + 1);
    return entries - cursor.block.count + cursor.index;
}

void stream_words_begin(
    const struct stream_cursor *cursor, struct stream_words *words)
{
    *words = (struct stream_words){
        .at = cursor->entry.text,
        .names = cursor->entry.has_names ? NULL : cursor->block.names,
        .count = cursor->entry.words,
    };
}

bool stream_words_next(struct stream_words *words, struct element *word)
{
    if (words->next == words->count) {
        return false;
    }
    bool shared = words->names != NULL && words->next % 2 == 0;
    const char **at = shared ? &words->names : &words->at;
    *at = element_read(*at, word);
    words->next++;
    return true;
}

/* ---- changing ---- */

/* The last block with one entry more. False: there is none, or it is full. */
static bool append_to_last(struct value *value, struct stream_id id,
    const struct bytes *words, size_t count)
{
    char item[STREAM_BLOCK_BYTES];
    struct tree_cursor cursor;
    if (value->items.count == 0) {
        return false;
    }
    tree_at(&value->items, value->items.count - 1, &cursor);
    size_t size =
        stream_block_append(item, tree_item(&cursor), id, words, count);
    if (size > 0) {
        tree_replace(&cursor, bytes_of(item, size));
    }
    return size > 0;
}

void stream_append(struct value *value, struct stream_id id,
    const struct bytes *words, size_t count, struct scratch *scratch)
{
    struct stream *stream = value->stream;
    check(stream_id_compare(id, stream->last_id) > 0);
    if (!append_to_last(value, id, words, count)) {
        struct tree_cursor cursor;
        char *item = scratch_alloc(scratch, stream_block_bound(words, count));
        size_t size = stream_block_begin(item, id, words, count);
        tree_at(&value->items, value->items.count, &cursor);
        tree_insert(&cursor, 0, bytes_of(item, size));
    }
    stream->last_id = id;
    stream->length++;
    stream->entries_added++;
}

/* Takes `count` entries, not all, out of the block under a cursor. */
static void cut_block(
    struct tree_cursor *at, const char *from, const char *to, unsigned count)
{
    struct bytes item = tree_item(at);
    char *cut = xmalloc(item.size);
    size_t size = stream_block_cut(cut, item, from, to, count);
    tree_replace(at, bytes_of(cut, size));
    free(cut);
}

bool stream_delete(struct value *value, struct stream_id id)
{
    struct stream_cursor cursor;
    struct stream *stream = value->stream;
    if (!stream_find(value, id, &cursor)) {
        return false;
    }
    const char *entries = cursor.block.entries;
    if (cursor.block.count == 1) {
        tree_remove(&cursor.at);
    } else {
        cut_block(&cursor.at, entries + cursor.begins[cursor.index],
            entries + cursor.begins[cursor.index + 1], 1);
    }
    stream->length--;
    if (stream_id_compare(id, stream->max_deleted_id) > 0) {
        stream->max_deleted_id = id;
    }
    return true;
}

void stream_trim(struct value *value, uint64_t count)
{
    struct tree_cursor at;
    uint64_t whole = skip_blocks(value, count, STREAM_ID_MAX, &at);
    tree_remove_range(&value->items, 0, tree_rank(&at));
    if (whole < count) {
        struct stream_cursor cursor;
        stream_begin(value, &cursor);
        load(&cursor, (unsigned)(count - whole - 1));
        cut_block(&cursor.at, cursor.block.entries,
            cursor.block.entries + cursor.begins[cursor.index + 1],
            (unsigned)(count - whole));
    }
    value->stream->length -= count;
}

/* ---- from records ---- */

/* Every item is sound, and so is the order of what is in them. */
static bool blocks_are_sound(struct value *value)
{
    struct tree_cursor at;
    struct stream_id last = no_id;
    uint64_t entries = 0;
    tree_at(&value->items, 0, &at);
    while (!tree_cursor_at_end(&at)) {
        unsigned count = stream_block_check(tree_item(&at), &last);
        if (count == 0) {
            return false;
        }
        entries += count;
        tree_next(&at);
    }
    value->stream->length = entries;
    return stream_id_compare(last, value->stream->last_id) <= 0;
}

/* The words of an entry that had an item of its own; 0: it is damaged. */
static size_t read_single(
    struct bytes item, struct bytes **words, struct scratch *scratch)
{
    struct element *all = scratch_alloc(scratch, sizeof *all);
    element_read(item.data + STREAM_ID_BYTES, all);
    struct bytes text = element_text(all);
    const char *end = text.data + text.size, *at = text.data;
    size_t count = 0;
    while (at != NULL && at < end) {
        at = element_check(at, end);
        count++;
    }
    if (at == NULL || count % 2 != 0) {
        return 0;
    }
    struct element *elements = scratch_alloc(scratch, count * sizeof *elements);
    *words = scratch_alloc(scratch, count * sizeof **words);
    at = text.data;
    for (size_t i = 0; i < count; i++) {
        at = element_read(at, &elements[i]);
        (*words)[i] = element_text(&elements[i]);
    }
    return count;
}

static bool append_single(struct value *value, struct bytes item)
{
    struct scratch scratch = {0};
    struct bytes *words = NULL;
    struct stream_id id = stream_id_read(item.data);
    size_t count = read_single(item, &words, &scratch);
    bool sound = count > 0 && stream_id_compare(id, value->stream->last_id) > 0;
    if (sound) {
        stream_append(value, id, words, count, &scratch);
    }
    scratch_reset(&scratch);
    return sound;
}

static bool pack_singles(struct value *value)
{
    struct tree singles = value->items;
    struct stream *stream = value->stream;
    struct stream_id last_id = stream->last_id;
    uint64_t entries_added = stream->entries_added;
    struct tree_cursor at;
    bool sound = true;
    value->kind = KIND_STREAM;
    tree_init(&value->items, singles.shape);
    stream->last_id = no_id;
    tree_at(&singles, 0, &at);
    while (sound && !tree_cursor_at_end(&at)) {
        sound = append_single(value, tree_item(&at));
        tree_next(&at);
    }
    tree_release(&singles, SIZE_MAX);
    sound = sound && stream_id_compare(stream->last_id, last_id) <= 0;
    stream->last_id = last_id;
    stream->entries_added = entries_added;
    return sound;
}

bool stream_entries_decode(struct value *value)
{
    return value->kind == KIND_STREAM_SINGLE ? pack_singles(value)
                                             : blocks_are_sound(value);
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
    int64_t length = (int64_t)stream->length;
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
