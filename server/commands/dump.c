/* Values out of and into the server in Redis' own format: DUMP, RESTORE. */
#include "server/commands/dump.h"

#include "server/commands/dump_stream.h"
#include "server/keyspace.h"
#include "server/rdb/rdb_decode.h"
#include "server/rdb/rdb_payload.h"
#include "server/server.h"
#include "tiers/values/hash.h"
#include "tiers/values/list.h"
#include "tiers/values/set.h"
#include "tiers/values/zset.h"

void cmd_dump(struct request *request)
{
    struct rdb_writer writer;
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
        return;
    }
    rdb_writer_init(&writer, request->server->config.rdbcompression);
    dump_value(request, entry, &writer);
    rdb_payload_seal(&writer);
    if (writer.blob == NULL) {
        error_oom(request);
    } else {
        reply_bulk_blob(request->reply, writer.blob);
    }
    rdb_writer_finish(&writer);
}

/* ---- RESTORE ---- */

struct restore_options {
    bool replace, absolute;
    int64_t ttl_ms, idle_s, frequency; /* the last two -1: not given */
};

static bool parse_idle(struct request *request, int index, int64_t *idle_s)
{
    if (!arg_int64(request, index, idle_s)) {
        return false;
    }
    if (*idle_s < 0) {
        reply_error(request->reply, "ERR Invalid IDLETIME value, must be >= 0");
        return false;
    }
    return true;
}

static bool parse_frequency(struct request *request, int index, int64_t *value)
{
    if (!arg_int64(request, index, value)) {
        return false;
    }
    if (*value < 0 || *value > 255) {
        reply_error(
            request->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
        return false;
    }
    return true;
}

static bool parse_options(
    struct request *request, struct restore_options *options)
{
    *options = (struct restore_options){.idle_s = -1, .frequency = -1};
    for (int i = 4; i < request->argc; i++) {
        bool more = i + 1 < request->argc;
        bool parsed = true;
        if (arg_is(request, i, "replace")) {
            options->replace = true;
        } else if (arg_is(request, i, "absttl")) {
            options->absolute = true;
        } else if (arg_is(request, i, "idletime") && more &&
                   options->frequency == -1) {
            parsed = parse_idle(request, ++i, &options->idle_s);
        } else if (arg_is(request, i, "freq") && more &&
                   options->idle_s == -1) {
            parsed = parse_frequency(request, ++i, &options->frequency);
        } else {
            error_syntax(request);
            return false;
        }
        if (!parsed) {
            return false;
        }
    }
    return true;
}

/* The value while it is put together; the key is not touched yet. */
struct restored {
    struct request *request;
    bool is_text, is_open;
    struct bytes text; /* of a string; the reader's */
    struct collection collection;
    struct dump_stream stream;
    size_t admitted_bytes; /* of a stream */
    bool no_room;
};

static void open_collection(
    struct restored *restored, const struct rdb_part *part)
{
    static const enum kind kinds[] = {
        [RDB_ELEMENTS] = LIST_KIND_NEW,
        [RDB_FIELDS] = HASH_KIND_NEW,
        [RDB_SCORED] = ZSET_KIND_NEW,
    };
    struct request *request = restored->request;
    enum kind kind = part->shape == RDB_MEMBERS ? set_kind_new(part->text)
                     : part->shape >= RDB_ENTRY ? KIND_STREAM
                                                : kinds[part->shape];
    collection_write(&restored->collection, request->db, request->argv[1], NULL,
        kind, request->now_ms);
    restored->is_open = true;
}

/* False for a field that is there twice, or a time that cannot be. */
static bool keep_field(struct restored *restored, const struct rdb_part *part)
{
    struct collection *hash = &restored->collection;
    int64_t now_ms = restored->request->now_ms;
    if (part->deadline_ms >= HASH_DEADLINE_END_MS) {
        return false;
    }
    if (part->deadline_ms != 0 && (int64_t)part->deadline_ms <= now_ms) {
        return true; /* it has expired on the way */
    }
    if (!hash_set(hash, part->text, part->value)) {
        return false;
    }
    if (part->deadline_ms != 0) {
        hash_set_deadline(hash, part->text, (int64_t)part->deadline_ms);
    }
    return true;
}

/* Redis keeps the names of fields once for many entries, which become larger
 * here than they were: memory is asked for as they come. */
#define STREAM_STEP_BYTES ((size_t)1024 * 1024)

static bool keep_of_stream(
    struct restored *restored, const struct rdb_part *part)
{
    struct value *value = restored->collection.live;
    if (!dump_stream_keep(&restored->stream, value, part)) {
        return false;
    }
    size_t bytes = value->items.memory_bytes;
    if (bytes - restored->admitted_bytes >= STREAM_STEP_BYTES) {
        restored->admitted_bytes = bytes;
        restored->no_room =
            !engine_admit_nested(restored->request->engine, bytes);
    }
    return !restored->no_room;
}

static bool keep_part(void *context, const struct rdb_part *part)
{
    struct restored *restored = context;
    if (part->shape == RDB_TEXT) {
        restored->is_text = true;
        restored->text = part->text;
        return true;
    }
    if (!restored->is_open) {
        open_collection(restored, part);
    }
    if (part->shape >= RDB_ENTRY) {
        return keep_of_stream(restored, part);
    }
    switch (part->shape) {
    case RDB_ELEMENTS:
        list_push(&restored->collection, LIST_RIGHT, part->text);
        return true;
    case RDB_FIELDS:
        return keep_field(restored, part);
    case RDB_SCORED:
        return zset_set(&restored->collection, part->text, part->score) ==
               ZSET_ADDED;
    default:
        return set_add(&restored->collection, part->text);
    }
}

/* Puts the value in the place of whatever is at the key. */
static void store(struct restored *restored,
    const struct restore_options *options, int64_t expiry_ms)
{
    struct request *request = restored->request;
    struct bytes key = request->argv[1];
    if (restored->is_text) {
        db_set_string(
            request->db, key, restored->text, DB_NO_EXPIRY, request->now_ms);
    } else {
        collection_end(&restored->collection, true);
        restored->is_open = false;
    }
    struct entry *entry = db_find(request->db, key, request->now_ms);
    check(entry != NULL);
    if (expiry_ms != DB_NO_EXPIRY) {
        entry = db_set_expiry(request->db, entry, expiry_ms);
    }
    db_set_use(entry, options->idle_s, options->frequency, request->now_ms);
    request->changes++;
    keyspace_changed(request, key);
    keyspace_event(request, KEYSPACE_GENERIC, "restore", key);
}

/* The value is whole: ends RESTORE. */
static void replace(
    struct restored *restored, const struct restore_options *options)
{
    struct request *request = restored->request;
    struct bytes key = request->argv[1];
    int64_t expiry_ms = options->ttl_ms;
    bool deleted =
        options->replace && db_delete(request->db, key, request->now_ms);
    if (expiry_ms != 0 && !options->absolute) {
        /* A sum that overflows is long past, as in Redis. */
        expiry_ms = (int64_t)((uint64_t)expiry_ms + (uint64_t)request->now_ms);
    }
    bool nothing = restored->is_open &&
                   restored->collection.kind != KIND_STREAM &&
                   collection_count(&restored->collection) == 0;
    if (!nothing && (expiry_ms == 0 || expiry_ms > request->now_ms)) {
        store(restored, options, expiry_ms);
    } else if (deleted) {
        request->changes++;
        keyspace_changed(request, key);
        keyspace_event(request, KEYSPACE_GENERIC, "del", key);
    }
    reply_ok(request->reply);
}

static void decode_and_replace(struct request *request, struct bytes value,
    const struct restore_options *options)
{
    struct rdb_reader reader;
    struct restored restored = {.request = request};
    rdb_reader_init(&reader, value, request->server->config.proto_max_bulk_len);
    unsigned type = rdb_read_byte(&reader);
    if (!reader.failed && rdb_decode(&reader, type, keep_part, &restored)) {
        replace(&restored, options);
    } else if (restored.no_room) {
        error_oom(request);
    } else {
        reply_error(request->reply, "ERR Bad data format");
    }
    dump_stream_finish(&restored.stream);
    if (restored.is_open) {
        collection_end(&restored.collection, false);
    }
    rdb_reader_finish(&reader);
}

void cmd_restore(struct request *request)
{
    struct restore_options options;
    struct bytes value;
    if (!parse_options(request, &options)) {
        return;
    }
    if (!options.replace &&
        db_read(request->db, request->argv[1], request->now_ms) != NULL) {
        reply_error(request->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!arg_int64(request, 2, &options.ttl_ms)) {
        return;
    }
    if (options.ttl_ms < 0) {
        reply_error(request->reply, "ERR Invalid TTL value, must be >= 0");
        return;
    }
    if (!rdb_payload_open(request->argv[3], &value)) {
        reply_error(
            request->reply, "ERR DUMP payload version or checksum are wrong");
        return;
    }
    decode_and_replace(request, value, &options);
}
