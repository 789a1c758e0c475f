/* Parts of strings: APPEND, SETRANGE, GETRANGE. */
#include "server/commands/string.h"

void cmd_append(struct request *request)
{
    struct bytes key = request->argv[1];
    struct bytes tail = request->argv[2];
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    if (entry == NULL) {
        string_store(request, 1, 2, DB_NO_EXPIRY);
        string_changed(request, key, "append");
        reply_integer(request->reply, (int64_t)tail.size);
        return;
    }
    size_t old_size = db_string_size(request->db, entry);
    if (!string_length_allowed(request, old_size, tail.size)) {
        return;
    }
    size_t size = old_size + tail.size;
    char *data = db_string_resize(request->db, key, size, request->now_ms);
    if (data == NULL) {
        error_oom(request);
        return;
    }
    if (tail.size > 0) {
        memcpy(data + old_size, tail.data, tail.size);
    }
    string_changed(request, key, "append");
    reply_integer(request->reply, (int64_t)size);
}

void cmd_setrange(struct request *request)
{
    struct bytes key = request->argv[1];
    struct bytes part = request->argv[3];
    int64_t offset;
    if (!arg_int64(request, 2, &offset)) {
        return;
    }
    if (offset < 0) {
        reply_error(request->reply, "ERR offset is out of range");
        return;
    }
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    size_t old_size = entry == NULL ? 0 : db_string_size(request->db, entry);
    if (part.size == 0) {
        reply_integer(request->reply, (int64_t)old_size);
        return;
    }
    if (!string_length_allowed(request, (uint64_t)offset, part.size)) {
        return;
    }
    size_t end = (size_t)offset + part.size;
    size_t size = end > old_size ? end : old_size;
    char *data = db_string_resize(request->db, key, size, request->now_ms);
    if (data == NULL) {
        error_oom(request);
        return;
    }
    memcpy(data + offset, part.data, part.size);
    string_changed(request, key, "setrange");
    reply_integer(request->reply, (int64_t)size);
}

/* The bytes from `first` to `last`, both included; negative ones count from
 * the end, -1 being the last byte. */
static struct bytes slice(struct bytes whole, int64_t first, int64_t last)
{
    int64_t size = (int64_t)whole.size;
    if (first < 0 && last < 0 && first > last) {
        return bytes_of(NULL, 0);
    }
    if (first < 0) {
        first = first + size > 0 ? first + size : 0;
    }
    if (last < 0) {
        last = last + size > 0 ? last + size : 0;
    }
    if (last >= size) {
        last = size - 1;
    }
    if (first > last) {
        return bytes_of(NULL, 0);
    }
    return bytes_of(whole.data + first, (size_t)(last - first) + 1);
}

void cmd_getrange(struct request *request)
{
    int64_t first;
    int64_t last;
    if (!arg_int64(request, 2, &first) || !arg_int64(request, 3, &last)) {
        return;
    }
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    struct bytes whole = bytes_of(NULL, 0);
    if (entry != NULL) {
        whole = db_string(request->db, entry, request->scratch);
    }
    reply_bulk(request->reply, slice(whole, first, last));
}
