/* A value, whatever it is, in the RDB format. */
#include <endian.h>
#include <stdlib.h>

#include "protocol/number.h"
#include "server/commands/dump.h"
#include "server/commands/dump_stream.h"
#include "server/rdb/rdb.h"
#include "server/rdb/rdb_writer.h"
#include "server/server.h"
#include "tiers/values/hash.h"
#include "tiers/values/list.h"
#include "tiers/values/set.h"
#include "tiers/values/zset.h"

/* Nodes of lists, where list-max-listpack-size counts elements. */
#define NODE_MAX_BYTES 8192

/* A hash of which some field expires, as Redis 7.4 writes a large one; it
 * reads that of small ones too. */
static void dump_lives(
    struct collection *hash, struct rdb_writer *writer, uint64_t first_ms)
{
    struct seq_cursor cursor;
    struct element field;
    struct element value;
    writer->version = RDB_VERSION_FIELDS;
    rdb_write_byte(writer, RDB_HASH_METADATA);
    rdb_write_u64(writer, first_ms);
    rdb_write_length(writer, collection_count(hash));
    seq_at(&hash->seq, 0, &cursor);
    for (; !seq_at_end(&cursor); seq_next(&cursor)) {
        int64_t deadline_ms = 0;
        hash_pair(&cursor, &field, &value);
        check(hash_deadline(hash, element_text(&field), &deadline_ms));
        rdb_write_length(writer,
            deadline_ms == 0 ? 0 : (uint64_t)deadline_ms - first_ms + 1);
        rdb_write_string(writer, element_text(&field));
        rdb_write_string(writer, element_text(&value));
    }
}

static void dump_hash(struct collection *hash, struct rdb_writer *writer)
{
    if (kind_expires_fields(hash->kind)) {
        struct field_deadlines deadlines = hash_deadlines(hash);
        if (deadlines.first_ms != FIELDS_NEVER) {
            dump_lives(hash, writer, (uint64_t)deadlines.first_ms);
            return;
        }
    }
    bool flat = hash->live == NULL;
    struct rdb_listpack list = {0};
    struct seq_cursor cursor;
    struct element field;
    struct element value;
    rdb_write_byte(writer, flat ? RDB_HASH_LISTPACK : RDB_HASH);
    if (!flat) {
        rdb_write_length(writer, collection_count(hash));
    }
    seq_at(&hash->seq, 0, &cursor);
    for (; !seq_at_end(&cursor); seq_next(&cursor)) {
        hash_pair(&cursor, &field, &value);
        if (flat) {
            rdb_listpack_add(&list, element_text(&field));
            rdb_listpack_add(&list, element_text(&value));
        } else {
            rdb_write_string(writer, element_text(&field));
            rdb_write_string(writer, element_text(&value));
        }
    }
    if (flat) {
        rdb_write_listpack(writer, &list);
    }
    rdb_listpack_finish(&list);
}

/* Integers in order, all as wide as the widest needs. */
static void dump_integers(struct collection *set, struct rdb_writer *writer)
{
    struct seq_cursor cursor;
    struct element member;
    size_t width = 2;
    size_t count = (size_t)collection_count(set);
    int64_t *values = xmalloc((count + 1) * sizeof(*values));
    size_t i = 0;
    for (seq_at(&set->seq, 0, &cursor); !seq_at_end(&cursor);
         seq_next(&cursor)) {
        set_member(&cursor, &member);
        check(bytes_to_int64(element_text(&member), &values[i]));
        bool fits16 = values[i] >= INT16_MIN && values[i] <= INT16_MAX;
        bool fits32 = values[i] >= INT32_MIN && values[i] <= INT32_MAX;
        size_t needed = fits16 ? 2 : fits32 ? 4 : 8;
        width = needed > width ? needed : width;
        i++;
    }
    uint32_t header[] = {htole32((uint32_t)width), htole32((uint32_t)count)};
    size_t size = sizeof(header) + count * width;
    char *out = xmalloc(size);
    memcpy(out, header, sizeof(header));
    for (i = 0; i < count; i++) {
        uint64_t little = htole64((uint64_t)values[i]);
        memcpy(out + sizeof(header) + i * width, &little, width);
    }
    rdb_write_byte(writer, RDB_SET_INTSET);
    rdb_write_string(writer, bytes_of(out, size));
    free(out);
    free(values);
}

static void dump_set(struct collection *set, struct rdb_writer *writer)
{
    struct seq_cursor cursor;
    struct element member;
    if (set->kind == KIND_SET_INTEGERS) {
        dump_integers(set, writer);
        return;
    }
    rdb_write_byte(writer, RDB_SET);
    rdb_write_length(writer, collection_count(set));
    for (seq_at(&set->seq, 0, &cursor); !seq_at_end(&cursor);
         seq_next(&cursor)) {
        set_member(&cursor, &member);
        rdb_write_string(writer, element_text(&member));
    }
}

/* A score as the items of listpacks have it; its size. */
static size_t score_text(char *text, double score)
{
    const double limit = (double)(INT64_MAX / 2);
    if (score >= -limit && score <= limit && (double)(int64_t)score == score) {
        return bytes_from_int64(text, (int64_t)score);
    }
    return number_format_double(text, score);
}

static void dump_flat_zset(struct collection *zset, struct rdb_writer *writer)
{
    struct rdb_listpack list = {0};
    struct seq_cursor cursor;
    struct element member;
    char text[NUMBER_DOUBLE_MAX_BYTES];
    rdb_write_byte(writer, RDB_ZSET_LISTPACK);
    for (seq_at(&zset->seq, 0, &cursor); !seq_at_end(&cursor);
         seq_next(&cursor)) {
        double score = zset_item(&cursor, &member);
        size_t size = score_text(text, score);
        rdb_listpack_add(&list, element_text(&member));
        rdb_listpack_add(&list, bytes_of(text, size));
    }
    rdb_write_listpack(writer, &list);
    rdb_listpack_finish(&list);
}

/* Redis begins with the highest, which it inserts fastest in that order. */
static void dump_zset(struct collection *zset, struct rdb_writer *writer)
{
    struct seq_cursor cursor;
    struct element member;
    uint64_t count = collection_count(zset);
    if (zset->live == NULL) {
        dump_flat_zset(zset, writer);
        return;
    }
    rdb_write_byte(writer, RDB_ZSET_2);
    rdb_write_length(writer, count);
    seq_at(&zset->seq, count - 1, &cursor);
    for (; count > 0; count--) {
        double score = zset_item(&cursor, &member);
        rdb_write_string(writer, element_text(&member));
        rdb_write_double(writer, score);
        seq_prev(&cursor);
    }
}

/* How large a node of a list may become, by list-max-listpack-size. */
struct node_limits {
    uint64_t bytes, elements;
};

static struct node_limits node_limits_of(int64_t setting)
{
    static const uint64_t bytes[] = {4096, 8192, 16384, 32768, 65536};
    if (setting > 0) {
        return (struct node_limits){NODE_MAX_BYTES, (uint64_t)setting};
    }
    size_t which = setting == 0 ? 0 : (size_t)(-setting - 1);
    size_t last = sizeof(bytes) / sizeof(bytes[0]) - 1;
    return (struct node_limits){bytes[which < last ? which : last], UINT64_MAX};
}

/* Gives the list's elements to `writer` as nodes, or, when that is NULL, only
 * counts the nodes. */
static uint64_t write_nodes(struct collection *list, struct rdb_writer *writer)
{
    struct node_limits limits =
        node_limits_of(collection_limits(list)->list_max_listpack_size);
    struct rdb_listpack node = {0};
    struct seq_cursor cursor;
    struct element element;
    uint64_t nodes = 0;
    uint64_t elements = 0;
    uint64_t bytes = 0;
    for (seq_at(&list->seq, 0, &cursor); !seq_at_end(&cursor);
         seq_next(&cursor)) {
        list_element(&cursor, &element);
        struct bytes text = element_text(&element);
        size_t size = rdb_listpack_bound(text.size);
        if (elements > 0 &&
            (bytes + size > limits.bytes || elements >= limits.elements)) {
            if (writer != NULL) {
                rdb_write_length(writer, RDB_NODE_PACKED);
                rdb_write_listpack(writer, &node);
            }
            nodes++;
            elements = 0;
            bytes = 0;
        }
        if (writer != NULL) {
            rdb_listpack_add(&node, text);
        }
        elements++;
        bytes += size;
    }
    if (writer != NULL) {
        rdb_write_length(writer, RDB_NODE_PACKED);
        rdb_write_listpack(writer, &node);
    }
    rdb_listpack_finish(&node);
    return nodes + 1;
}

static void dump_list(struct collection *list, struct rdb_writer *writer)
{
    rdb_write_byte(writer, RDB_LIST_QUICKLIST_2);
    rdb_write_length(writer, write_nodes(list, NULL));
    write_nodes(list, writer);
}

static void dump_string(struct request *request, const struct entry *entry,
    struct rdb_writer *writer)
{
    rdb_write_byte(writer, RDB_STRING);
    rdb_write_string(writer, db_string(request->db, entry, request->scratch));
}

void dump_value(struct request *request, const struct entry *entry,
    struct rdb_writer *writer)
{
    struct collection collection;
    if (entry_type(entry) == TYPE_STRING) {
        dump_string(request, entry, writer);
        return;
    }
    collection_read(&collection, request->db, entry);
    switch (entry_type(entry)) {
    case TYPE_HASH:
        dump_hash(&collection, writer);
        break;
    case TYPE_SET:
        dump_set(&collection, writer);
        break;
    case TYPE_LIST:
        dump_list(&collection, writer);
        break;
    case TYPE_ZSET:
        dump_zset(&collection, writer);
        break;
    default:
        dump_stream_write(collection.live,
            (uint64_t)request->server->config.stream_node_max_entries, writer);
    }
}
