/* TIER SET, TIER INTERN and TIER EXPIRED. */
#include <openssl/evp.h>

#include "server/acl.h"
#include "server/commands/string.h"
#include "server/commands/tier.h"
#include "server/keyspace.h"

#define MD5_BYTES 16

/* Argument 2 with the MD5 of argument 3 behind it, in the request's scratch. */
static struct bytes content_key(struct request *request)
{
    static const char digits[] = "0123456789abcdef";
    struct bytes prefix = request->argv[2], value = request->argv[3];
    unsigned char sum[EVP_MAX_MD_SIZE];
    check(EVP_Digest(value.size == 0 ? "" : value.data, value.size, sum, NULL,
              EVP_md5(), NULL) == 1);
    size_t size = prefix.size + 2 * (size_t)MD5_BYTES;
    char *key = scratch_alloc(request->scratch, size);
    if (prefix.size > 0) {
        memcpy(key, prefix.data, prefix.size);
    }
    for (unsigned i = 0; i < MD5_BYTES; i++) {
        key[prefix.size + 2 * i] = digits[sum[i] >> 4];
        key[prefix.size + 2 * i + 1] = digits[sum[i] & 15];
    }
    return bytes_of(key, size);
}

/* What is there already lives as long as the later of all who asked for it
 * want. */
static void extend(
    struct request *request, struct entry *entry, int64_t expiry_ms)
{
    struct bytes key = request->argv[2];
    int64_t old_ms = entry_expiry_ms(entry);
    if (old_ms == 0 || (expiry_ms != 0 && expiry_ms <= old_ms)) {
        return;
    }
    db_set_expiry(request->db, entry, expiry_ms);
    request->changes++;
    keyspace_changed(request, key);
    keyspace_event(
        request, KEYSPACE_GENERIC, expiry_ms == 0 ? "persist" : "expire", key);
}

/* As SET of argument 3 at argument 2, unless it is there. */
static void intern(struct request *request, int64_t expiry_ms)
{
    struct bytes key = request->argv[2];
    struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    if (entry != NULL) {
        int64_t otherwise_ms =
            engine_default_expiry(request->engine, key, request->now_ms);
        extend(request, entry, expiry_ms == 0 ? otherwise_ms : expiry_ms);
    } else {
        string_set(request, 2, 3, expiry_ms);
        if (expiry_ms != 0) {
            keyspace_event(request, KEYSPACE_GENERIC, "expire", key);
        }
    }
    reply_bulk(request->reply, key);
}

static bool time_argument(struct request *request, int64_t *expiry_ms)
{
    int64_t seconds = 0;
    if (request->argc == 4) {
        *expiry_ms = DB_NO_EXPIRY;
        return true;
    }
    if (request->argc != 6 || !arg_is(request, 4, "ex")) {
        error_syntax(request);
        return false;
    }
    if (!arg_int64(request, 5, &seconds)) {
        return false;
    }
    if (seconds <= 0 ||
        __builtin_mul_overflow(seconds, INT64_C(1000), &seconds) ||
        __builtin_add_overflow(seconds, request->now_ms, expiry_ms)) {
        reply_error(
            request->reply, "ERR invalid expire time in 'tier|intern' command");
        return false;
    }
    return true;
}

void cmd_tier_intern(struct request *request)
{
    int64_t expiry_ms;
    if (!time_argument(request, &expiry_ms)) {
        return;
    }
    struct bytes *words =
        scratch_alloc(request->scratch, 4 * sizeof(struct bytes));
    memcpy(words, request->argv, 4 * sizeof(struct bytes));
    words[2] = content_key(request);
    /* The user may have the right to the prefix but not to the key. */
    struct request inner = *request;
    inner.argv = words;
    inner.argc = 4;
    if (acl_check(&inner, ACL_SENT)) {
        intern(&inner, expiry_ms);
        request->changes = inner.changes;
    }
}

void cmd_tier_expired(struct request *request)
{
    if (!arg_is(request, 2, "count")) {
        error_syntax(request);
        return;
    }
    reply_integer(request->reply,
        (int64_t)engine_expired_waiting(request->engine, request->now_ms));
}

/* TIER SET key value TAG tag ...: SET without TAG and its tag, and then the
 * lifetimes of the tag. */
void cmd_tier_set(struct request *request)
{
    struct bytes key = request->argv[2];
    if (!arg_is(request, 4, "tag")) {
        error_syntax(request);
        return;
    }
    if (!engine_knows_tag(request->engine, key, request->argv[5])) {
        reply_error(request->reply,
            "ERR the key's namespace has no ttl-rule for this tag");
        return;
    }
    size_t options = (size_t)request->argc - 6;
    struct bytes *words =
        scratch_alloc(request->scratch, (3 + options) * sizeof(struct bytes));
    memcpy(words, request->argv + 1, 3 * sizeof(struct bytes));
    memcpy(words + 3, request->argv + 6, options * sizeof(struct bytes));
    struct request inner = *request;
    inner.argv = words;
    inner.argc = request->argc - 3;
    inner.arg_blobs =
        request->arg_blobs == NULL ? NULL : request->arg_blobs + 1;
    cmd_set(&inner);
    if (inner.changes > request->changes) {
        struct entry *entry = db_find(request->db, key, request->now_ms);
        if (entry != NULL) {
            db_set_tag(request->db, entry, request->argv[5]);
        }
    }
    request->changes = inner.changes;
}
