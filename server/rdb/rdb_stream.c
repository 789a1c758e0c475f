/* A stream's entries lie in nodes: an id that those of its entries are counted
 * from, and a listpack of
 *
 *   entries, deleted entries, fields, each field, 0        once, then of each
 *   flags, ms, seq, [fields], [field] value ..., how many items that was
 *
 * where an entry that has the fields named first gives only values. */
#include "server/rdb/rdb_stream.h"

#include <stdlib.h>

#include "server/rdb/rdb_packed.h"

#define ID_BYTES 16

struct node {
    struct rdb_packed packed;
    struct rdb_id base;
    struct rdb_item *fields; /* those named first; heap */
    uint64_t field_count;
    uint64_t live, deleted; /* entries that are still to come */
};

struct stream_reader {
    struct rdb_reader *reader;
    rdb_part_fn *keep;
    void *context;
    struct rdb_item *items; /* of one entry; heap */
    struct bytes *words;    /* the same as texts; heap */
    size_t room;            /* of both */
    uint64_t entries;       /* seen */
    bool newer;             /* RDB_STREAM_LISTPACKS_2 */
};

static bool keep_part(struct stream_reader *stream, const struct rdb_part *part)
{
    return !stream->reader->failed && stream->keep(stream->context, part);
}

static struct rdb_id id_of_bytes(const char *at)
{
    struct rdb_id id;
    memcpy(&id.ms, at, sizeof id.ms);
    memcpy(&id.seq, at + sizeof id.ms, sizeof id.seq);
    id.ms = __builtin_bswap64(id.ms);
    id.seq = __builtin_bswap64(id.seq);
    return id;
}

/* ---- nodes ---- */

/* A command has at most a million arguments, and an entry comes by one. */
#define FIELDS_MAX ((uint64_t)512 * 1024)

static bool next_integer(struct rdb_packed *packed, int64_t *value)
{
    struct rdb_item item;
    if (!rdb_packed_next(packed, &item) || !item.is_integer) {
        return false;
    }
    *value = item.integer;
    return true;
}

/* A number of things, each an item at least. */
static bool next_count(struct rdb_packed *packed, uint64_t *count)
{
    int64_t value = 0;
    if (!next_integer(packed, &value) || value < 0 ||
        (uint64_t)value > packed->count) {
        return false;
    }
    *count = (uint64_t)value;
    return true;
}

static bool open_node(struct node *node, struct bytes text)
{
    int64_t end = -1;
    if (!rdb_packed_open(&node->packed, RDB_LISTPACK, text) ||
        !next_count(&node->packed, &node->live) ||
        !next_count(&node->packed, &node->deleted) ||
        !next_count(&node->packed, &node->field_count) ||
        node->field_count > FIELDS_MAX) {
        return false;
    }
    node->fields = xcalloc((size_t)node->field_count + 1, sizeof *node->fields);
    for (uint64_t i = 0; i < node->field_count; i++) {
        if (!rdb_packed_next(&node->packed, &node->fields[i])) {
            return false;
        }
    }
    return next_integer(&node->packed, &end) && end == 0;
}

static void make_room(struct stream_reader *stream, uint64_t words)
{
    if (words > stream->room) {
        stream->room = (size_t)words + 16;
        stream->items =
            xrealloc(stream->items, stream->room * sizeof *stream->items);
        stream->words =
            xrealloc(stream->words, stream->room * sizeof *stream->words);
    }
}

static bool next_word(
    struct stream_reader *stream, struct node *node, size_t index)
{
    if (!rdb_packed_next(&node->packed, &stream->items[index])) {
        return false;
    }
    stream->words[index] = stream->items[index].text;
    return true;
}

/* Fields and values alternately into stream->words. */
static bool read_words(struct stream_reader *stream, struct node *node,
    uint64_t fields, bool same_fields)
{
    make_room(stream, fields * 2);
    for (size_t i = 0; i < fields * 2; i++) {
        if (same_fields && i % 2 == 0) {
            stream->words[i] = node->fields[i / 2].text;
        } else if (!next_word(stream, node, i)) {
            return false;
        }
    }
    return true;
}

static bool count_entry(struct node *node, bool is_deleted)
{
    uint64_t *left = is_deleted ? &node->deleted : &node->live;
    if (*left == 0) {
        return false;
    }
    --*left;
    return true;
}

static bool read_entry(struct stream_reader *stream, struct node *node)
{
    int64_t flags = 0, ms = 0, seq = 0, items = 0;
    uint64_t fields = node->field_count;
    if (!next_integer(&node->packed, &flags) || flags < 0 || flags > 3 ||
        !next_integer(&node->packed, &ms) ||
        !next_integer(&node->packed, &seq)) {
        return false;
    }
    bool same = (flags & RDB_ENTRY_SAME_FIELDS) != 0;
    if ((!same && !next_count(&node->packed, &fields)) || fields == 0 ||
        fields > FIELDS_MAX || !read_words(stream, node, fields, same) ||
        !next_integer(&node->packed, &items)) {
        return false;
    }
    /* Redis finds the beginning of an entry from its end by this. */
    uint64_t before = same ? fields + 3 : fields * 2 + 4;
    bool is_deleted = (flags & RDB_ENTRY_DELETED) != 0;
    if ((uint64_t)items != before || !count_entry(node, is_deleted)) {
        return false;
    }
    struct rdb_part part = {
        .shape = RDB_ENTRY,
        .id = {node->base.ms + (uint64_t)ms, node->base.seq + (uint64_t)seq},
        .words = stream->words,
        .word_count = (size_t)fields * 2,
    };
    stream->entries += !is_deleted;
    return is_deleted || keep_part(stream, &part);
}

static bool read_node(struct stream_reader *stream)
{
    struct rdb_reader *reader = stream->reader;
    struct node node = {0};
    struct bytes key = rdb_read_string(reader, 0);
    if (reader->failed || key.size != ID_BYTES) {
        return false;
    }
    node.base = id_of_bytes(key.data);
    struct bytes text = rdb_read_string(reader, 1);
    bool whole = !reader->failed && open_node(&node, text) && node.live > 0;
    while (whole && node.packed.at != node.packed.end) {
        whole = read_entry(stream, &node);
    }
    free(node.fields);
    return whole && node.live == 0 && node.deleted == 0;
}

/* ---- what is behind them ---- */

static struct rdb_id read_id(struct rdb_reader *reader)
{
    struct rdb_id id;
    id.ms = rdb_read_length(reader);
    id.seq = rdb_read_length(reader);
    return id;
}

static bool read_state(struct stream_reader *stream)
{
    struct rdb_reader *reader = stream->reader;
    struct rdb_part part = {.shape = RDB_STREAM_STATE, .older = !stream->newer};
    uint64_t length = rdb_read_length(reader);
    part.id = read_id(reader);
    part.number = length;
    if (stream->newer) {
        read_id(reader); /* of the first entry, which is known */
        part.deleted_id = read_id(reader);
        part.number = rdb_read_length(reader);
    }
    return length == stream->entries && keep_part(stream, &part);
}

static bool read_raw_id(struct rdb_reader *reader, struct rdb_id *id)
{
    struct bytes raw = rdb_read_bytes(reader, ID_BYTES);
    if (reader->failed) {
        return false;
    }
    *id = id_of_bytes(raw.data);
    return true;
}

static bool read_pending(struct stream_reader *stream)
{
    struct rdb_reader *reader = stream->reader;
    uint64_t count = rdb_read_length(reader);
    while (count-- > 0) {
        struct rdb_part part = {.shape = RDB_PENDING};
        if (!read_raw_id(reader, &part.id)) {
            return false;
        }
        part.time_ms = (int64_t)rdb_read_u64(reader);
        part.number = rdb_read_length(reader);
        if (!keep_part(stream, &part)) {
            return false;
        }
    }
    return true;
}

static bool read_consumer(struct stream_reader *stream)
{
    struct rdb_reader *reader = stream->reader;
    struct rdb_part part = {.shape = RDB_CONSUMER};
    part.text = rdb_read_string(reader, 0);
    part.time_ms = (int64_t)rdb_read_u64(reader);
    uint64_t count = rdb_read_length(reader);
    if (!keep_part(stream, &part)) {
        return false;
    }
    while (count-- > 0) {
        struct rdb_part owned = {.shape = RDB_OWNED};
        if (!read_raw_id(reader, &owned.id) || !keep_part(stream, &owned)) {
            return false;
        }
    }
    return true;
}

static bool read_group(struct stream_reader *stream)
{
    struct rdb_reader *reader = stream->reader;
    struct rdb_part part = {.shape = RDB_GROUP, .older = !stream->newer};
    part.text = rdb_read_string(reader, 0);
    part.id = read_id(reader);
    part.number = stream->newer ? rdb_read_length(reader) : 0;
    if (!keep_part(stream, &part) || !read_pending(stream)) {
        return false;
    }
    uint64_t consumers = rdb_read_length(reader);
    while (consumers-- > 0) {
        if (!read_consumer(stream)) {
            return false;
        }
    }
    return true;
}

static bool read_all(struct stream_reader *stream)
{
    uint64_t nodes = rdb_read_length(stream->reader);
    while (nodes-- > 0) {
        if (!read_node(stream)) {
            return false;
        }
    }
    if (!read_state(stream)) {
        return false;
    }
    uint64_t groups = rdb_read_length(stream->reader);
    while (groups-- > 0) {
        if (!read_group(stream)) {
            return false;
        }
    }
    struct rdb_part end = {.shape = RDB_STREAM_END};
    return keep_part(stream, &end);
}

bool rdb_stream_read(
    struct rdb_reader *reader, unsigned type, rdb_part_fn *keep, void *context)
{
    struct stream_reader stream = {
        .reader = reader,
        .keep = keep,
        .context = context,
        .newer = type == RDB_STREAM_LISTPACKS_2,
    };
    bool whole = read_all(&stream);
    free(stream.items);
    free(stream.words);
    return whole;
}
