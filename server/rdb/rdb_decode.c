#include "server/rdb/rdb_decode.h"

#include <math.h>

#include "server/rdb/rdb_packed.h"
#include "server/rdb/rdb_stream.h"

/* How a type's bytes are laid out. */
enum layout {
    LAYOUT_NONE,
    LAYOUT_STRING,
    LAYOUT_STRINGS,      /* a count, then string after string */
    LAYOUT_PACKED,       /* one string that is a packed list */
    LAYOUT_NODES,        /* a count, then packed lists */
    LAYOUT_STREAM,       /* see rdb_stream.c */
    LAYOUT_NODES_2,      /* the same, each with its kind before */
    LAYOUT_LIVES,        /* the earliest time at which a field expires, a count,
                            then field, value and time, counted from that */
    LAYOUT_PACKED_LIVES, /* the same time, then a packed list of field, value
                            and absolute time */
};

static const struct row {
    enum layout layout;
    enum rdb_shape shape;
    enum rdb_packed_kind packed;
} rows[] = {
    [RDB_STRING] = {LAYOUT_STRING, RDB_TEXT, 0},
    [RDB_LIST] = {LAYOUT_STRINGS, RDB_ELEMENTS, 0},
    [RDB_SET] = {LAYOUT_STRINGS, RDB_MEMBERS, 0},
    [RDB_ZSET] = {LAYOUT_STRINGS, RDB_SCORED, 0},
    [RDB_HASH] = {LAYOUT_STRINGS, RDB_FIELDS, 0},
    [RDB_ZSET_2] = {LAYOUT_STRINGS, RDB_SCORED, 0},
    [RDB_HASH_ZIPMAP] = {LAYOUT_PACKED, RDB_FIELDS, RDB_ZIPMAP},
    [RDB_LIST_ZIPLIST] = {LAYOUT_PACKED, RDB_ELEMENTS, RDB_ZIPLIST},
    [RDB_SET_INTSET] = {LAYOUT_PACKED, RDB_MEMBERS, RDB_INTSET},
    [RDB_ZSET_ZIPLIST] = {LAYOUT_PACKED, RDB_SCORED, RDB_ZIPLIST},
    [RDB_HASH_ZIPLIST] = {LAYOUT_PACKED, RDB_FIELDS, RDB_ZIPLIST},
    [RDB_LIST_QUICKLIST] = {LAYOUT_NODES, RDB_ELEMENTS, RDB_ZIPLIST},
    [RDB_HASH_LISTPACK] = {LAYOUT_PACKED, RDB_FIELDS, RDB_LISTPACK},
    [RDB_ZSET_LISTPACK] = {LAYOUT_PACKED, RDB_SCORED, RDB_LISTPACK},
    [RDB_LIST_QUICKLIST_2] = {LAYOUT_NODES_2, RDB_ELEMENTS, RDB_LISTPACK},
    [RDB_STREAM_LISTPACKS] = {LAYOUT_STREAM, RDB_ENTRY, 0},
    [RDB_STREAM_LISTPACKS_2] = {LAYOUT_STREAM, RDB_ENTRY, 0},
    [RDB_HASH_METADATA] = {LAYOUT_LIVES, RDB_FIELDS, 0},
    [RDB_HASH_LISTPACK_EX] = {LAYOUT_PACKED_LIVES, RDB_FIELDS, RDB_LISTPACK},
};

struct decoder {
    struct rdb_reader *reader;
    unsigned type;
    rdb_part_fn *keep;
    void *context;
    uint64_t kept;
};

static bool keep_part(struct decoder *decoder, const struct rdb_part *part)
{
    if (decoder->reader->failed || !decoder->keep(decoder->context, part)) {
        return false;
    }
    decoder->kept++;
    return true;
}

/* A string after which, by the shape, a value or a score follows. */
static bool read_part(struct decoder *decoder, enum rdb_shape shape)
{
    struct rdb_reader *reader = decoder->reader;
    struct rdb_part part = {.shape = shape, .text = rdb_read_string(reader, 0)};
    if (shape == RDB_FIELDS) {
        part.value = rdb_read_string(reader, 1);
    } else if (shape == RDB_SCORED) {
        part.score = decoder->type == RDB_ZSET ? rdb_read_text_double(reader)
                                               : rdb_read_double(reader);
        if (isnan(part.score)) {
            return false;
        }
    }
    return keep_part(decoder, &part);
}

static bool read_strings(struct decoder *decoder, enum rdb_shape shape)
{
    uint64_t count = rdb_read_length(decoder->reader);
    while (count-- > 0) {
        if (!read_part(decoder, shape)) {
            return false;
        }
    }
    return true;
}

static bool item_score(const struct rdb_item *item, double *score)
{
    if (item->is_integer) {
        *score = (double)item->integer;
        return true;
    }
    return rdb_parse_double(item->text, score);
}

/* The items of a packed list, by ones or by twos. */
static bool unpack(
    struct decoder *decoder, const struct row *row, struct bytes text)
{
    bool pairs = row->shape == RDB_FIELDS || row->shape == RDB_SCORED;
    struct rdb_packed packed;
    struct rdb_item first;
    struct rdb_item second = {0};
    if (!rdb_packed_open(&packed, row->packed, text) ||
        (pairs && packed.count % 2 != 0)) {
        return false;
    }
    while (rdb_packed_next(&packed, &first)) {
        struct rdb_part part = {.shape = row->shape, .text = first.text};
        if (pairs) {
            check(rdb_packed_next(&packed, &second));
            part.value = second.text;
        }
        if (row->shape == RDB_SCORED && !item_score(&second, &part.score)) {
            return false;
        }
        if (!keep_part(decoder, &part)) {
            return false;
        }
    }
    return true;
}

static bool read_packed(struct decoder *decoder, const struct row *row)
{
    struct bytes text = rdb_read_string(decoder->reader, 0);
    return !decoder->reader->failed && unpack(decoder, row, text);
}

static bool read_nodes(struct decoder *decoder, const struct row *row)
{
    struct rdb_reader *reader = decoder->reader;
    uint64_t count = rdb_read_length(reader);
    while (count-- > 0 && !reader->failed) {
        uint64_t kind = RDB_NODE_PACKED;
        if (row->layout == LAYOUT_NODES_2) {
            kind = rdb_read_length(reader);
        }
        bool kept = kind == RDB_NODE_PLAIN    ? read_part(decoder, row->shape)
                    : kind == RDB_NODE_PACKED ? read_packed(decoder, row)
                                              : false;
        if (!kept) {
            return false;
        }
    }
    return true;
}

static bool read_lives(struct decoder *decoder)
{
    struct rdb_reader *reader = decoder->reader;
    uint64_t first_ms = rdb_read_u64(reader);
    uint64_t count = rdb_read_length(reader);
    while (count-- > 0) {
        uint64_t after = rdb_read_length(reader);
        struct rdb_part part = {
            .shape = RDB_FIELDS,
            .text = rdb_read_string(reader, 0),
            .value = rdb_read_string(reader, 1),
            .deadline_ms = after == 0 ? 0 : first_ms + after - 1,
        };
        bool wraps = after != 0 && part.deadline_ms < first_ms;
        if (wraps || !keep_part(decoder, &part)) {
            return false;
        }
    }
    return true;
}

static bool read_packed_lives(struct decoder *decoder)
{
    struct rdb_packed packed;
    struct rdb_item field;
    struct rdb_item value = {0};
    struct rdb_item time = {0};
    rdb_read_u64(decoder->reader); /* the list says it again */
    struct bytes text = rdb_read_string(decoder->reader, 0);
    if (decoder->reader->failed ||
        !rdb_packed_open(&packed, RDB_LISTPACK, text) ||
        packed.count % 3 != 0) {
        return false;
    }
    while (rdb_packed_next(&packed, &field)) {
        check(rdb_packed_next(&packed, &value));
        check(rdb_packed_next(&packed, &time));
        if (!time.is_integer || time.integer < 0) {
            return false;
        }
        struct rdb_part part = {
            .shape = RDB_FIELDS,
            .text = field.text,
            .value = value.text,
            .deadline_ms = (uint64_t)time.integer,
        };
        if (!keep_part(decoder, &part)) {
            return false;
        }
    }
    return true;
}

bool rdb_decode(
    struct rdb_reader *reader, unsigned type, rdb_part_fn *keep, void *context)
{
    struct decoder decoder = {
        .reader = reader, .type = type, .keep = keep, .context = context};
    if (type >= sizeof(rows) / sizeof(rows[0])) {
        return false;
    }
    const struct row *row = &rows[type];
    if (row->layout == LAYOUT_STREAM) {
        return rdb_stream_read(reader, type, keep, context) && !reader->failed;
    }
    bool whole = false;
    switch (row->layout) {
    case LAYOUT_STREAM:
    case LAYOUT_NONE:
        break;
    case LAYOUT_STRING:
        whole = read_part(&decoder, RDB_TEXT);
        break;
    case LAYOUT_STRINGS:
        whole = read_strings(&decoder, row->shape);
        break;
    case LAYOUT_PACKED:
        whole = read_packed(&decoder, row);
        break;
    case LAYOUT_NODES:
    case LAYOUT_NODES_2:
        whole = read_nodes(&decoder, row);
        break;
    case LAYOUT_LIVES:
        whole = read_lives(&decoder);
        break;
    case LAYOUT_PACKED_LIVES:
        whole = read_packed_lives(&decoder);
        break;
    }
    return whole && !reader->failed && decoder.kept > 0;
}
