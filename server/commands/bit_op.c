/* BITOP: strings combined bit by bit. */
#include "server/commands/bit.h"
#include "server/commands/string.h"
#include "server/keyspace.h"

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

static bool parse_operation(struct request *request, enum bit_operation *which)
{
    static const char *const names[] = {[BIT_AND] = "and",
        [BIT_OR] = "or",
        [BIT_XOR] = "xor",
        [BIT_NOT] = "not"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (arg_is(request, 1, names[i])) {
            *which = (enum bit_operation)i;
            return true;
        }
    }
    error_syntax(request);
    return false;
}

/* Combines `source` into the `size` bytes at `out`; a source that is shorter
 * goes on with zeros. */
static void combine(enum bit_operation operation, char *restrict out,
    size_t size, struct bytes source)
{
    const char *restrict in = source.data;
    switch (operation) {
    case BIT_AND:
        for (size_t i = 0; i < source.size; i++) {
            out[i] &= in[i];
        }
        memset(out + source.size, 0, size - source.size);
        break;
    case BIT_OR:
        for (size_t i = 0; i < source.size; i++) {
            out[i] |= in[i];
        }
        break;
    case BIT_XOR:
        for (size_t i = 0; i < source.size; i++) {
            out[i] ^= in[i];
        }
        break;
    case BIT_NOT:
        for (size_t i = 0; i < size; i++) {
            out[i] = (char)~out[i];
        }
        break;
    }
}

/* The combination of the strings as a blob of `size` bytes, NULL when
 * memory is exhausted. */
static struct blob *combine_all(enum bit_operation operation,
    const struct string_hold *sources, size_t count, size_t size)
{
    struct blob *blob = blob_create(size);
    if (blob == NULL) {
        return NULL;
    }
    struct bytes first = sources[0].text;
    if (first.size > 0) {
        memcpy(blob->data, first.data, first.size);
    }
    memset(blob->data + first.size, 0, size - first.size);
    if (operation == BIT_NOT) {
        combine(operation, blob->data, size, first);
    }
    for (size_t i = 1; i < count; i++) {
        combine(operation, blob->data, size, sources[i].text);
    }
    return blob;
}

/* Writes the result, which is always kept as plain bytes, digits or not. */
static void store(struct request *request, struct blob *blob)
{
    struct bytes key = request->argv[2];
    size_t size = blob->size;
    const struct entry *entry =
        db_set_blob(request->db, key, &blob, DB_NO_EXPIRY, request->now_ms);
    if (entry_kind(entry) != KIND_STRING_RAW) {
        db_string_resize(request->db, key, size, request->now_ms);
    }
    keyspace_changed(request, key);
    keyspace_event(request, KEYSPACE_STRING, "set", key);
    request->changes++;
}

static void answer(struct request *request, enum bit_operation operation,
    const struct string_hold *sources, size_t count)
{
    struct bytes key = request->argv[2];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size = sources[i].text.size > size ? sources[i].text.size : size;
    }
    if (size > 0) {
        struct blob *blob = combine_all(operation, sources, count, size);
        if (blob == NULL) {
            error_oom(request);
            return;
        }
        store(request, blob);
    } else if (db_delete(request->db, key, request->now_ms)) {
        keyspace_changed(request, key);
        keyspace_event(request, KEYSPACE_GENERIC, "del", key);
        request->changes++;
    }
    reply_integer(request->reply, (int64_t)size);
}

void cmd_bitop(struct request *request)
{
    enum bit_operation operation;
    if (!parse_operation(request, &operation)) {
        return;
    }
    if (operation == BIT_NOT && request->argc != 4) {
        reply_error(request->reply,
            "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    size_t count = (size_t)request->argc - 3;
    struct string_hold *sources =
        scratch_alloc(request->scratch, count * sizeof(*sources));
    size_t held = 0;
    while (held < count &&
           string_hold(request, request->argv[held + 3], &sources[held])) {
        held++;
    }
    if (held == count) {
        answer(request, operation, sources, count);
    }
    while (held > 0) {
        string_release(&sources[--held]);
    }
}
