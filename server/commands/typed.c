#include "server/commands/typed.h"

#include "protocol/glob.h"

/* ---- opening and ending ---- */

enum typed_open typed_read(struct request *request, int key,
    enum value_type type, struct collection *collection)
{
    const struct entry *entry =
        db_read(request->db, request->argv[key], request->now_ms);
    if (!require_type(request, entry, type)) {
        return TYPED_REFUSED;
    }
    if (entry == NULL) {
        return TYPED_ABSENT;
    }
    collection_read(collection, request->db, entry);
    return TYPED_OPEN;
}

bool typed_write(struct request *request, int key, enum kind kind,
    struct collection *collection)
{
    struct bytes name = request->argv[key];
    const struct entry *entry = db_touch(request->db, name, request->now_ms);
    if (!require_type(request, entry, kind_type(kind))) {
        return false;
    }
    collection_write(
        collection, request->db, name, entry, kind, request->now_ms);
    return true;
}

enum typed_open typed_write_existing(struct request *request, int key,
    enum value_type type, struct collection *collection)
{
    struct bytes name = request->argv[key];
    const struct entry *entry = db_touch(request->db, name, request->now_ms);
    if (!require_type(request, entry, type)) {
        return TYPED_REFUSED;
    }
    if (entry == NULL) {
        return TYPED_ABSENT;
    }
    collection_write(collection, request->db, name, entry, entry_kind(entry),
        request->now_ms);
    return TYPED_OPEN;
}

static enum keyspace_class class_of(enum value_type type)
{
    static const enum keyspace_class classes[] = {
        [TYPE_STRING] = KEYSPACE_STRING,
        [TYPE_LIST] = KEYSPACE_LIST,
        [TYPE_SET] = KEYSPACE_SET,
        [TYPE_ZSET] = KEYSPACE_ZSET,
        [TYPE_HASH] = KEYSPACE_HASH,
        [TYPE_STREAM] = KEYSPACE_STREAM,
    };
    return classes[type];
}

bool typed_end(struct request *request, struct collection *collection,
    uint64_t changes, const char *event)
{
    struct bytes key = collection->key;
    enum keyspace_class class = class_of(kind_type(collection->kind));
    bool gone = collection_end(collection, changes > 0);
    if (changes == 0) {
        return false;
    }
    request->changes += changes;
    keyspace_changed(request, key);
    keyspace_event(request, class, event, key);
    if (gone) {
        keyspace_event(request, KEYSPACE_GENERIC, "del", key);
    }
    return gone;
}

void typed_store(
    struct request *request, struct collection *collection, const char *event)
{
    struct bytes key = collection->key;
    uint64_t count = collection_count(collection);
    bool existed = db_delete(request->db, key, request->now_ms);
    reply_integer(request->reply, (int64_t)count);
    if (count > 0) {
        typed_end(request, collection, 1, event);
        return;
    }
    collection_end(collection, false);
    if (existed) {
        request->changes++;
        keyspace_changed(request, key);
        keyspace_event(request, KEYSPACE_GENERIC, "del", key);
    }
}

void typed_reply(struct request *request, struct element *element)
{
    if (element->is_integer) {
        reply_bulk_integer(request->reply, element->integer);
    } else {
        reply_bulk(request->reply, element->raw);
    }
}

/* ---- scanning ---- */

#define SCAN_DEFAULT_COUNT 10
/* However large a COUNT is asked for, one call visits no more. */
#define SCAN_MAX_COUNT 100000

bool typed_scan_cursor(struct request *request, struct typed_scan *scan)
{
    *scan = (struct typed_scan){.count = SCAN_DEFAULT_COUNT};
    return arg_cursor(request, 2, &scan->cursor);
}

bool typed_scan_options(struct request *request, struct typed_scan *scan)
{
    for (int i = 3; i < request->argc; i += 2) {
        bool has_value = i + 1 < request->argc;
        if (has_value && arg_is(request, i, "count")) {
            if (!arg_int64(request, i + 1, &scan->count)) {
                return false;
            }
            if (scan->count < 1) {
                error_syntax(request);
                return false;
            }
        } else if (has_value && arg_is(request, i, "match")) {
            scan->pattern = request->argv[i + 1];
        } else {
            error_syntax(request);
            return false;
        }
    }
    if (scan->count > SCAN_MAX_COUNT) {
        scan->count = SCAN_MAX_COUNT;
    }
    return true;
}

bool typed_scan_matches(const struct typed_scan *scan, struct element *element)
{
    return scan->pattern.data == NULL ||
           glob_match(scan->pattern, element_text(element), false);
}

uint64_t typed_scan_step(struct seq *seq, const struct typed_scan *scan,
    struct seq_cursor *first, uint64_t *visits)
{
    *visits = 0;
    if (seq->tree == NULL) {
        /* Few enough for one step, whatever the cursor. */
        seq_at(seq, 0, first);
        *visits = seq_count(seq);
        return 0;
    }
    if (scan->cursor > UINT32_MAX) {
        return 0;
    }
    seq_seek(seq, (uint32_t)scan->cursor, bytes_of(NULL, 0), first);
    struct seq_cursor at = *first;
    uint32_t last = 0;
    while (!seq_at_end(&at)) {
        uint32_t hash = tree_item_hash(&at.tree);
        /* Items of one hash go together, for the cursor is a hash. */
        if (*visits >= (uint64_t)scan->count && hash != last) {
            return hash;
        }
        last = hash;
        ++*visits;
        seq_next(&at);
    }
    return 0;
}

void typed_scan_empty(struct request *request)
{
    reply_array(request->reply, 2);
    reply_bulk_text(request->reply, "0");
    reply_array(request->reply, 0);
}
