#include "server/commands/dump_stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/rdb/rdb.h"
#include "server/rdb/rdb_stream.h"
#include "tiers/values/stream_entries.h"

/* Redis' stream-node-max-bytes. */
#define NODE_MAX_BYTES 4096

/* ---- writing: nodes ---- */

static void add_integer(struct rdb_listpack *list, int64_t value)
{
    char digits[21];
    rdb_listpack_add(list, bytes_of(digits, bytes_from_int64(digits, value)));
}

/* The entry's fields, or its values. */
static void add_words(struct rdb_listpack *list,
    const struct stream_cursor *cursor, bool fields, bool values)
{
    struct stream_words words;
    struct element word;
    stream_words_begin(cursor, &words);
    for (bool is_field = true; stream_words_next(&words, &word);
         is_field = !is_field) {
        if (is_field ? fields : values) {
            rdb_listpack_add(list, element_text(&word));
        }
    }
}

static size_t words_bytes(const struct stream_cursor *cursor)
{
    struct stream_words words;
    struct element word;
    size_t size = 0;
    stream_words_begin(cursor, &words);
    while (stream_words_next(&words, &word)) {
        size += element_text(&word).size;
    }
    return size;
}

static bool same_fields(
    const struct stream_cursor *first, const struct stream_cursor *second)
{
    struct stream_words a, b;
    struct element x, y;
    stream_words_begin(first, &a);
    stream_words_begin(second, &b);
    bool same = a.count == b.count;
    for (bool is_field = true; same && stream_words_next(&a, &x);
         is_field = !is_field) {
        check(stream_words_next(&b, &y));
        same = !is_field || bytes_equal(element_text(&x), element_text(&y));
    }
    return same;
}

static uint64_t field_count(const struct stream_cursor *cursor)
{
    struct stream_words words;
    stream_words_begin(cursor, &words);
    return words.count / 2;
}

static void add_entry(struct rdb_listpack *list,
    const struct stream_cursor *first, const struct stream_cursor *cursor)
{
    struct stream_id base = first->entry.id;
    struct stream_id id = cursor->entry.id;
    bool same = same_fields(first, cursor);
    uint64_t fields = field_count(cursor);
    add_integer(list, same ? RDB_ENTRY_SAME_FIELDS : 0);
    add_integer(list, (int64_t)(id.ms - base.ms));
    add_integer(list, (int64_t)(id.seq - base.seq));
    if (!same) {
        add_integer(list, (int64_t)fields);
    }
    add_words(list, cursor, !same, true);
    add_integer(list, (int64_t)(same ? fields + 3 : fields * 2 + 4));
}

/* Makes the node that begins at `cursor`, which is then behind it, of at most
 * `most` entries; how many it has. They are said at its beginning: `said`. */
static uint64_t make_node(struct rdb_listpack *list,
    struct stream_cursor *cursor, uint64_t most, uint64_t said)
{
    struct stream_cursor first = *cursor;
    uint64_t entries = 0;
    list->size = list->count = 0;
    add_integer(list, (int64_t)said);
    add_integer(list, 0);
    add_integer(list, (int64_t)field_count(&first));
    add_words(list, &first, true, false);
    add_integer(list, 0);
    while (
        !cursor->at_end && entries < most &&
        (entries == 0 || list->size + words_bytes(cursor) < NODE_MAX_BYTES)) {
        add_entry(list, &first, cursor);
        entries++;
        stream_next(cursor);
    }
    return entries;
}

static void write_id_bytes(struct rdb_writer *writer, struct stream_id id)
{
    char raw[STREAM_ID_BYTES];
    stream_id_write(raw, id);
    rdb_write_bytes(writer, bytes_of(raw, sizeof raw));
}

/* A node is made twice: how many entries fit is known when it is full, and
 * said where it begins. NULL `writer`: the nodes are only counted. */
static uint64_t write_nodes(
    struct value *value, uint64_t node_entries, struct rdb_writer *writer)
{
    struct rdb_listpack list = {0};
    struct stream_cursor cursor;
    uint64_t nodes = 0;
    uint64_t most = node_entries == 0 ? UINT64_MAX : node_entries;
    stream_begin(value, &cursor);
    while (!cursor.at_end) {
        struct stream_cursor again = cursor;
        uint64_t entries = make_node(&list, &cursor, most, 0);
        if (writer != NULL) {
            char raw[STREAM_ID_BYTES];
            stream_id_write(raw, again.entry.id);
            make_node(&list, &again, entries, entries);
            rdb_write_string(writer, bytes_of(raw, sizeof raw));
            rdb_write_listpack(writer, &list);
        }
        nodes++;
    }
    rdb_listpack_finish(&list);
    return nodes;
}

/* ---- writing: the rest ---- */

static void write_id(struct rdb_writer *writer, struct stream_id id)
{
    rdb_write_length(writer, id.ms);
    rdb_write_length(writer, id.seq);
}

static void write_consumer(struct stream_group *group,
    const struct stream_consumer *consumer, struct rdb_writer *writer)
{
    struct tree_cursor cursor;
    uint64_t owner = 0;
    rdb_write_string(writer, bytes_of(consumer->name, consumer->name_size));
    rdb_write_u64(writer, (uint64_t)consumer->seen_ms);
    rdb_write_length(writer, consumer->pending);
    stream_owned_seek(
        group, consumer->number, (struct stream_id){0, 0}, &cursor);
    for (uint64_t i = 0; i < consumer->pending; i++, tree_next(&cursor)) {
        struct stream_id id = stream_owned_at(&cursor, &owner);
        check(owner == consumer->number);
        write_id_bytes(writer, id);
    }
}

static void write_group(struct stream_group *group, struct rdb_writer *writer)
{
    struct tree_cursor cursor;
    rdb_write_string(writer, bytes_of(group->name, group->name_size));
    write_id(writer, group->last_id);
    rdb_write_length(writer, (uint64_t)group->entries_read);
    rdb_write_length(writer, group->pending.count);
    stream_pending_seek(group, (struct stream_id){0, 0}, &cursor);
    for (; !tree_cursor_at_end(&cursor); tree_next(&cursor)) {
        struct stream_pending pending = stream_pending_at(&cursor);
        write_id_bytes(writer, pending.id);
        rdb_write_u64(writer, (uint64_t)pending.delivered_ms);
        rdb_write_length(writer, pending.deliveries);
    }
    rdb_write_length(writer, group->consumer_count);
    for (size_t i = 0; i < group->consumer_count; i++) {
        write_consumer(group, group->consumers[i], writer);
    }
}

void dump_stream_write(
    struct value *value, uint64_t node_entries, struct rdb_writer *writer)
{
    const struct stream *stream = value->stream;
    rdb_write_byte(writer, RDB_STREAM_LISTPACKS_2);
    rdb_write_length(writer, write_nodes(value, node_entries, NULL));
    write_nodes(value, node_entries, writer);
    rdb_write_length(writer, stream_length(value));
    write_id(writer, stream->last_id);
    write_id(writer, stream_first_id(value));
    write_id(writer, stream->max_deleted_id);
    rdb_write_length(writer, stream->entries_added);
    rdb_write_length(writer, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++) {
        write_group(stream->groups[i], writer);
    }
}

/* ---- restoring ---- */

struct dump_pending {
    struct stream_pending entry;
    bool is_owned;
};

static struct stream_id id_of(struct rdb_id id)
{
    return (struct stream_id){id.ms, id.seq};
}

static bool keep_entry(struct value *value, const struct rdb_part *part)
{
    struct scratch scratch = {0};
    struct stream_id id = id_of(part->id);
    uint64_t size = 0;
    for (size_t i = 0; i < part->word_count; i++) {
        size += part->words[i].size;
    }
    if (stream_id_compare(id, value->stream->last_id) <= 0 ||
        size > STREAM_ENTRY_MAX_BYTES) {
        return false;
    }
    stream_append(value, id, part->words, part->word_count, &scratch);
    scratch_reset(&scratch);
    return true;
}

static bool keep_state(struct value *value, const struct rdb_part *part)
{
    struct stream *stream = value->stream;
    struct stream_id last = id_of(part->id);
    if (stream_id_compare(last, stream->last_id) < 0) {
        return false;
    }
    stream->last_id = last;
    stream->max_deleted_id = id_of(part->deleted_id);
    stream->entries_added = part->number;
    return part->number <= INT64_MAX;
}

static bool keep_group(struct dump_stream *restored, struct value *value,
    const struct rdb_part *part)
{
    int64_t read = (int64_t)part->number;
    struct stream_id last = id_of(part->id);
    if (read < STREAM_READ_UNKNOWN ||
        stream_group_find(value->stream, part->text) != NULL) {
        return false;
    }
    if (part->older) {
        read = stream_count_ever(value, last);
    }
    restored->group = stream_group_add(value->stream, part->text, last, read);
    restored->consumer = NULL;
    restored->count = restored->owned = 0;
    return true;
}

/* In their order, and with numbers that are kept. */
static bool keep_pending(
    struct dump_stream *restored, const struct rdb_part *part)
{
    struct stream_id id = id_of(part->id);
    size_t count = restored->count;
    if (part->time_ms < 0 || part->time_ms > STREAM_NUMBER_MAX ||
        part->number > (uint64_t)STREAM_NUMBER_MAX ||
        (count > 0 && stream_id_compare(
                          restored->pending[count - 1].entry.id, id) >= 0)) {
        return false;
    }
    if (count == restored->capacity) {
        restored->capacity = count * 2 + 16;
        restored->pending = xrealloc(
            restored->pending, restored->capacity * sizeof *restored->pending);
    }
    restored->pending[restored->count++] = (struct dump_pending){
        .entry = {.id = id,
            .delivered_ms = part->time_ms,
            .deliveries = part->number},
    };
    return true;
}

static bool keep_consumer(struct dump_stream *restored, struct value *value,
    const struct rdb_part *part)
{
    struct stream_group *group = restored->group;
    if (part->time_ms < 0 || stream_consumer_find(group, part->text) != NULL) {
        return false;
    }
    restored->consumer =
        stream_consumer_add(value->stream, group, part->text, part->time_ms);
    return true;
}

/* An entry that is pending, and for nobody yet. */
static bool keep_owned(
    struct dump_stream *restored, const struct rdb_part *part)
{
    struct stream_id id = id_of(part->id);
    size_t low = 0, high = restored->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool below =
            stream_id_compare(restored->pending[middle].entry.id, id) < 0;
        low = below ? middle + 1 : low;
        high = below ? high : middle;
    }
    struct dump_pending *found = &restored->pending[low];
    if (low == restored->count || found->is_owned ||
        stream_id_compare(found->entry.id, id) != 0) {
        return false;
    }
    found->is_owned = true;
    found->entry.consumer = restored->consumer->number;
    stream_pending_set(restored->group, &found->entry);
    restored->owned++;
    return true;
}

bool dump_stream_keep(struct dump_stream *restored, struct value *value,
    const struct rdb_part *part)
{
    switch (part->shape) {
    case RDB_ENTRY:
        return keep_entry(value, part);
    case RDB_STREAM_STATE:
        return keep_state(value, part);
    case RDB_GROUP:
        return restored->owned == restored->count &&
               keep_group(restored, value, part);
    case RDB_PENDING:
        return keep_pending(restored, part);
    case RDB_CONSUMER:
        return keep_consumer(restored, value, part);
    case RDB_OWNED:
        return keep_owned(restored, part);
    default:
        return restored->owned == restored->count;
    }
}

void dump_stream_finish(struct dump_stream *restored)
{
    free(restored->pending);
}
