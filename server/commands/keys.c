/* Keys of any type: deleting, counting, naming their type. */
#include "server/keyspace.h"

void cmd_del(struct request *request)
{
    int64_t deleted = 0;
    for (int i = 1; i < request->argc; i++) {
        struct bytes key = request->argv[i];
        if (db_delete(request->db, key, request->now_ms)) {
            deleted++;
            keyspace_changed(request, key);
            keyspace_event(request, KEYSPACE_GENERIC, "del", key);
        }
    }
    request->changes += (uint64_t)deleted;
    reply_integer(request->reply, deleted);
}

void cmd_exists(struct request *request)
{
    int64_t found = 0;
    for (int i = 1; i < request->argc; i++) {
        if (db_look(request->db, request->argv[i], request->now_ms) != NULL) {
            found++;
        }
    }
    reply_integer(request->reply, found);
}

void cmd_touch(struct request *request)
{
    int64_t found = 0;
    for (int i = 1; i < request->argc; i++) {
        if (db_read(request->db, request->argv[i], request->now_ms) != NULL) {
            found++;
        }
    }
    reply_integer(request->reply, found);
}

void cmd_type(struct request *request)
{
    const struct entry *entry =
        db_look(request->db, request->argv[1], request->now_ms);
    reply_status(
        request->reply, entry == NULL ? "none" : entry_type_name(entry));
}

/* There are no replicas to wait for: as many as there are have everything. */
void cmd_wait(struct request *request)
{
    int64_t replicas;
    int64_t timeout_ms;
    if (!arg_int64(request, 1, &replicas)) {
        return;
    }
    if (!bytes_to_int64(request->argv[2], &timeout_ms)) {
        reply_error(
            request->reply, "ERR timeout is not an integer or out of range");
        return;
    }
    if (timeout_ms < 0) {
        reply_error(request->reply, "ERR timeout is negative");
        return;
    }
    reply_integer(request->reply, 0);
}
