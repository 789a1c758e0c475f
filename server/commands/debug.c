/* DEBUG: tools for tests, refused unless enable-debug-command allows them. */
#include <stdio.h>
#include <stdlib.h>

#include "server/conn.h"
#include "server/keyspace.h"
#include "server/park.h"
#include "server/server.h"

struct debug_row {
    const char *name;
    int min_argc, max_argc; /* with DEBUG and the subcommand; 0: any */
    command_fn *handler;
};

static bool debug_allowed(struct request *request)
{
    int allowed = request->server->config.enable_debug_command;
    if (allowed == CONFIG_ALLOW_YES ||
        (allowed == CONFIG_ALLOW_LOCAL && conn_is_local(request->conn))) {
        return true;
    }
    reply_error(request->reply,
        "ERR DEBUG command not allowed. If the enable-debug-command option is "
        "set to \"local\", you can run it from a local connection, otherwise "
        "you need to set this option in the configuration file, and then "
        "restart the server.");
    return false;
}

static void debug_sleep(struct request *request)
{
    char text[64] = "";
    const struct bytes word = request->argv[2];
    memcpy(text, word.data,
        word.size < sizeof(text) - 1 ? word.size : sizeof(text) - 1);
    double seconds = strtod(text, NULL);
    if (seconds > 0) {
        struct timespec pause;
        pause.tv_sec = (time_t)seconds;
        pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
        nanosleep(&pause, NULL);
    }
    reply_ok(request->reply);
}

static void debug_object(struct request *request)
{
    const struct entry *entry =
        db_find(request->db, request->argv[2], request->now_ms);
    if (entry == NULL) {
        reply_error(request->reply, "ERR no such key");
        return;
    }
    char text[256];
    int64_t idle_ms = engine_idle_ms(request->engine, entry, request->now_ms);
    int64_t used_s = (request->now_ms - idle_ms) / 1000;
    snprintf(text, sizeof(text),
        "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%lld "
        "lru_seconds_idle:%lld tier:%s",
        (const void *)entry, entry_encoding_name(entry),
        entry_stored_bytes(entry), (long long)(used_s & 0xffffff),
        (long long)(idle_ms / 1000), tier_name(entry_tier(entry)));
    reply_status(request->reply, text);
}

/* ---- POPULATE ---- */

struct populate {
    int64_t count;
    struct bytes prefix;
    int64_t size; /* -1: as long as "value:N" is */
};

/* Redis has one text here for whatever is wrong. */
static bool positive(struct request *request, int index, int64_t *value)
{
    if (bytes_to_int64(request->argv[index], value) && *value >= 0) {
        return true;
    }
    reply_error(request->reply, "ERR value is out of range, must be positive");
    return false;
}

static bool populate_arguments(
    struct request *request, struct populate *populate)
{
    populate->prefix = BYTES("key");
    populate->size = -1;
    if (!positive(request, 2, &populate->count)) {
        return false;
    }
    if (request->argc > 3) {
        populate->prefix = request->argv[3];
    }
    return request->argc <= 4 || positive(request, 4, &populate->size);
}

static enum engine_admission admit(const struct request *request, size_t size)
{
    if (!request->nested) {
        return engine_admit(request->engine, size, request->now_ms);
    }
    return engine_admit_nested(request->engine, size) ? ENGINE_ADMIT
                                                      : ENGINE_REFUSE_OOM;
}

/* Writes one key unless it is there. False when the command must end here:
 * with an error, or parked until there is room. */
static bool populate_one(struct request *request,
    const struct populate *populate, int64_t number, char *value)
{
    char key_end[32];
    int end = snprintf(key_end, sizeof(key_end), ":%lld", (long long)number);
    size_t key_size = populate->prefix.size + (size_t)end;
    char *key = xmalloc(key_size);
    memcpy(key, populate->prefix.data, populate->prefix.size);
    memcpy(key + populate->prefix.size, key_end, (size_t)end);
    char text[48];
    int length = snprintf(text, sizeof(text), "value:%lld", (long long)number);
    size_t size = populate->size < 0 ? (size_t)length : (size_t)populate->size;
    memcpy(value, text, size < (size_t)length ? size : (size_t)length);
    enum engine_admission admission = admit(request, key_size + size);
    struct bytes name = bytes_of(key, key_size);
    if (admission == ENGINE_ADMIT &&
        db_find(request->db, name, request->now_ms) == NULL) {
        db_set_string(request->db, name, bytes_of(value, size), DB_NO_EXPIRY,
            request->now_ms);
        request->changes++;
        keyspace_changed(request, name);
    }
    free(key);
    if (admission == ENGINE_PARK) {
        engine_wait_room(request->engine, park_retry(request));
    } else if (admission != ENGINE_ADMIT) {
        error_oom(request);
    }
    return admission == ENGINE_ADMIT;
}

static void debug_populate(struct request *request)
{
    struct populate populate;
    if (!populate_arguments(request, &populate)) {
        return;
    }
    if (populate.size > (int64_t)request->server->config.proto_max_bulk_len) {
        reply_error(request->reply, "ERR value is out of range");
        return;
    }
    size_t room = populate.size > 48 ? (size_t)populate.size : 48;
    char *value = xcalloc(1, room);
    bool whole = true;
    for (int64_t i = 0; whole && i < populate.count; i++) {
        whole = populate_one(request, &populate, i, value);
    }
    free(value);
    if (whole) {
        reply_ok(request->reply);
    }
}

/* ---- the rest ---- */

static void debug_set_active_expire(struct request *request)
{
    int64_t on = 0;
    bytes_to_int64(request->argv[2], &on);
    engine_set_active_expire(request->engine, on != 0);
    reply_ok(request->reply);
}

static void debug_change_repl_id(struct request *request)
{
    reply_error(request->reply,
        "ERR DEBUG CHANGE-REPL-ID is refused: this server does not "
        "replicate");
}

static void debug_error(struct request *request)
{
    reply_error(request->reply, "%.*s", (int)request->argv[2].size,
        request->argv[2].data);
}

static void debug_log(struct request *request)
{
    log_line(&request->server->log, LOG_WARNING, "DEBUG LOG: %.*s",
        (int)request->argv[2].size, request->argv[2].data);
    reply_ok(request->reply);
}

static void reply_small_map(struct reply *reply)
{
    reply_map(reply, 3);
    for (int64_t i = 0; i < 3; i++) {
        reply_integer(reply, i);
        reply_bool(reply, i == 1);
    }
}

static void reply_small_list(struct reply *reply, bool set)
{
    if (set) {
        reply_set(reply, 3);
    } else {
        reply_array(reply, 3);
    }
    for (int64_t i = 0; i < 3; i++) {
        reply_integer(reply, i);
    }
}

static void debug_protocol(struct request *request)
{
    struct reply *reply = request->reply;
    if (arg_is(request, 2, "string")) {
        reply_bulk_text(reply, "Hello World");
    } else if (arg_is(request, 2, "integer")) {
        reply_integer(reply, 12345);
    } else if (arg_is(request, 2, "double")) {
        reply_double(reply, 3.141);
    } else if (arg_is(request, 2, "null")) {
        reply_null(reply);
    } else if (arg_is(request, 2, "array") || arg_is(request, 2, "set")) {
        reply_small_list(reply, arg_is(request, 2, "set"));
    } else if (arg_is(request, 2, "map")) {
        reply_small_map(reply);
    } else if (arg_is(request, 2, "verbatim")) {
        reply_verbatim(reply, "txt", BYTES("This is a verbatim\nstring"));
    } else if (arg_is(request, 2, "true") || arg_is(request, 2, "false")) {
        reply_bool(reply, arg_is(request, 2, "true"));
    } else {
        reply_error(reply,
            "ERR Wrong protocol type name. Please use one of the following: "
            "string|integer|double|null|array|set|map|verbatim|true|false");
    }
}

static void debug_help(struct request *request)
{
    static const char *const lines[] = {
        "CHANGE-REPL-ID",
        "    Refused: this server does not replicate.",
        "ERROR <string>",
        "    Answer <string> as an error, for tests of clients.",
        "LOG <message>",
        "    Write <message> to the server's log.",
        "OBJECT <key>",
        "    Show how <key> is kept, its tier included.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> strings named <prefix>:<n> (key:<n>) that are not "
        "there",
        "    yet, each of <size> bytes.",
        "PROTOCOL <type>",
        "    Answer a value of <type>: string, integer, double, null, array, "
        "set,",
        "    map, verbatim, true, false.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    With 0, keys that expired go only when somebody asks for them.",
        "SLEEP <seconds>",
        "    Stop the whole server for <seconds>, fractions allowed.",
        NULL,
    };
    help_reply(request, lines);
}

void cmd_debug(struct request *request)
{
    static const struct debug_row rows[] = {
        {"help", 2, 2, debug_help},
        {"sleep", 3, 3, debug_sleep},
        {"object", 3, 0, debug_object},
        {"populate", 3, 5, debug_populate},
        {"set-active-expire", 3, 3, debug_set_active_expire},
        {"change-repl-id", 2, 2, debug_change_repl_id},
        {"error", 3, 3, debug_error},
        {"log", 3, 3, debug_log},
        {"protocol", 3, 3, debug_protocol},
    };
    if (!debug_allowed(request)) {
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (arg_is(request, 1, rows[i].name) &&
            request->argc >= rows[i].min_argc &&
            (rows[i].max_argc == 0 || request->argc <= rows[i].max_argc)) {
            rows[i].handler(request);
            return;
        }
    }
    error_subcommand_syntax(request);
}
