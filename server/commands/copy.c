/* Giving a value another name or another database: RENAME, COPY, MOVE. */
#include "server/keyspace.h"

static bool exists(struct request *request, struct db *db, struct bytes key)
{
    return db_find(db, key, request->now_ms) != NULL;
}

/* RENAME and RENAMENX. False after having answered that there is no such
 * key. */
static bool require_source(struct request *request)
{
    if (db_touch(request->db, request->argv[1], request->now_ms) != NULL) {
        return true;
    }
    reply_error(request->reply, "ERR no such key");
    return false;
}

static void rename_key(struct request *request)
{
    struct bytes from = request->argv[1];
    struct bytes to = request->argv[2];
    db_rename(request->db, from, request->db, to, request->now_ms);
    request->changes++;
    keyspace_changed(request, from);
    keyspace_changed(request, to);
    keyspace_event(request, KEYSPACE_GENERIC, "rename_from", from);
    keyspace_event(request, KEYSPACE_GENERIC, "rename_to", to);
}

void cmd_rename(struct request *request)
{
    if (!require_source(request)) {
        return;
    }
    if (!bytes_equal(request->argv[1], request->argv[2])) {
        rename_key(request);
    }
    reply_ok(request->reply);
}

void cmd_renamenx(struct request *request)
{
    if (!require_source(request)) {
        return;
    }
    if (exists(request, request->db, request->argv[2])) {
        reply_integer(request->reply, 0);
        return;
    }
    rename_key(request);
    reply_integer(request->reply, 1);
}

static void error_same_object(struct request *request)
{
    reply_error(
        request->reply, "ERR source and destination objects are the same");
}

static bool parse_copy_options(
    struct request *request, struct db **target, bool *replace)
{
    for (int i = 3; i < request->argc; i++) {
        if (arg_is(request, i, "replace")) {
            *replace = true;
        } else if (arg_is(request, i, "db") && i + 1 < request->argc) {
            unsigned number;
            i++;
            if (!arg_db(request, i, &number)) {
                return false;
            }
            *target = engine_db(request->engine, number);
        } else {
            error_syntax(request);
            return false;
        }
    }
    return true;
}

void cmd_copy(struct request *request)
{
    struct bytes from = request->argv[1];
    struct bytes to = request->argv[2];
    struct db *target = request->db;
    bool replace = false;
    if (!parse_copy_options(request, &target, &replace)) {
        return;
    }
    if (target == request->db && bytes_equal(from, to)) {
        error_same_object(request);
        return;
    }
    bool possible = db_read(request->db, from, request->now_ms) != NULL &&
                    (replace || !exists(request, target, to));
    if (possible) {
        db_copy(request->db, from, target, to, request->now_ms);
        request->changes++;
        keyspace_changed_in(request, target, to);
        keyspace_event_in(request, KEYSPACE_GENERIC, "copy_to", target, to);
    }
    reply_integer(request->reply, possible);
}

void cmd_move(struct request *request)
{
    struct bytes key = request->argv[1];
    unsigned number;
    if (!arg_db(request, 2, &number)) {
        return;
    }
    struct db *target = engine_db(request->engine, number);
    if (target == request->db) {
        error_same_object(request);
        return;
    }
    bool possible = db_touch(request->db, key, request->now_ms) != NULL &&
                    !exists(request, target, key);
    if (possible) {
        db_rename(request->db, key, target, key, request->now_ms);
        request->changes++;
        keyspace_changed(request, key);
        keyspace_changed_in(request, target, key);
        keyspace_event(request, KEYSPACE_GENERIC, "move_from", key);
        keyspace_event_in(request, KEYSPACE_GENERIC, "move_to", target, key);
    }
    reply_integer(request->reply, possible);
}
