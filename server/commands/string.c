/* Strings as a whole: reading them, and writing several at once. */
#include "server/commands/string.h"

#include "server/keyspace.h"
#include "server/server.h"

void string_reply(struct request *request, const struct entry *entry)
{
    if (entry == NULL) {
        reply_null(request->reply);
        return;
    }
    struct blob *blob = db_string_blob(entry);
    if (blob != NULL) {
        reply_bulk_blob(request->reply, blob);
        return;
    }
    reply_bulk(request->reply, db_string(request->db, entry, request->scratch));
}

void string_changed(
    struct request *request, struct bytes key, const char *event)
{
    request->changes++;
    keyspace_changed(request, key);
    keyspace_event(request, KEYSPACE_STRING, event, key);
}

void string_store(
    struct request *request, int key, int value, int64_t expiry_ms)
{
    struct bytes name = request->argv[key];
    struct blob *blob = request_take_blob(request, value);
    if (blob != NULL) {
        db_set_blob(request->db, name, &blob, expiry_ms, request->now_ms);
    } else {
        db_set_string(request->db, name, request->argv[value], expiry_ms,
            request->now_ms);
    }
}

void string_set(struct request *request, int key, int value, int64_t expiry_ms)
{
    string_store(request, key, value, expiry_ms);
    string_changed(request, request->argv[key], "set");
}

bool string_hold(
    struct request *request, struct bytes key, struct string_hold *hold)
{
    const struct entry *entry = db_read(request->db, key, request->now_ms);
    *hold = (struct string_hold){.text = bytes_of(NULL, 0)};
    if (!require_type(request, entry, TYPE_STRING)) {
        return false;
    }
    if (entry == NULL) {
        return true;
    }
    hold->text = db_string(request->db, entry, request->scratch);
    struct blob *blob = db_string_blob(entry);
    if (blob != NULL) {
        hold->blob = blob_ref(blob);
    } else if (hold->text.size > 0 && entry_codec(entry) == CODEC_NONE) {
        char *copy = scratch_alloc(request->scratch, hold->text.size);
        memcpy(copy, hold->text.data, hold->text.size);
        hold->text.data = copy;
    }
    return true;
}

void string_release(struct string_hold *hold)
{
    blob_unref(hold->blob);
    hold->blob = NULL;
}

bool string_length_allowed(
    struct request *request, uint64_t size, uint64_t extra)
{
    uint64_t limit = request->server->config.proto_max_bulk_len;
    if (size <= limit && extra <= limit - size) {
        return true;
    }
    reply_error(request->reply,
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

void cmd_get(struct request *request)
{
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (require_type(request, entry, TYPE_STRING)) {
        string_reply(request, entry);
    }
}

void cmd_getdel(struct request *request)
{
    struct bytes key = request->argv[1];
    const struct entry *entry = db_read(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    string_reply(request, entry);
    if (entry != NULL && db_delete(request->db, key, request->now_ms)) {
        request->changes++;
        keyspace_changed(request, key);
        keyspace_event(request, KEYSPACE_GENERIC, "del", key);
    }
}

void cmd_getset(struct request *request)
{
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    string_reply(request, entry);
    string_set(request, 1, 2, DB_NO_EXPIRY);
}

void cmd_strlen(struct request *request)
{
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    size_t size = entry == NULL ? 0 : db_string_size(request->db, entry);
    reply_integer(request->reply, (int64_t)size);
}

void cmd_mget(struct request *request)
{
    reply_array(request->reply, (size_t)request->argc - 1);
    for (int i = 1; i < request->argc; i++) {
        const struct entry *entry =
            db_read_many(request->db, request->argv[i], request->now_ms);
        if (entry != NULL && entry_type(entry) != TYPE_STRING) {
            entry = NULL;
        }
        string_reply(request, entry);
    }
}

static void store_pairs(struct request *request)
{
    for (int i = 1; i < request->argc; i += 2) {
        string_set(request, i, i + 1, DB_NO_EXPIRY);
    }
}

void cmd_mset(struct request *request)
{
    if (request->argc % 2 == 0) {
        error_arity(request);
        return;
    }
    store_pairs(request);
    reply_ok(request->reply);
}

void cmd_msetnx(struct request *request)
{
    if (request->argc % 2 == 0) {
        error_arity(request);
        return;
    }
    for (int i = 1; i < request->argc; i += 2) {
        if (db_touch(request->db, request->argv[i], request->now_ms) != NULL) {
            reply_integer(request->reply, 0);
            return;
        }
    }
    store_pairs(request);
    reply_integer(request->reply, 1);
}
