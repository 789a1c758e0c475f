/* Time to live: setting, asking and removing it. */
#include "server/keyspace.h"

/* Conditions of EXPIRE; NX excludes the others, GT excludes LT. */
struct expire_options {
    bool nx, xx, gt, lt;
};

static bool parse_options(
    struct request *request, struct expire_options *options)
{
    for (int i = 3; i < request->argc; i++) {
        if (arg_is(request, i, "nx")) {
            options->nx = true;
        } else if (arg_is(request, i, "xx")) {
            options->xx = true;
        } else if (arg_is(request, i, "gt")) {
            options->gt = true;
        } else if (arg_is(request, i, "lt")) {
            options->lt = true;
        } else {
            reply_error(request->reply, "ERR Unsupported option %.*s",
                (int)request->argv[i].size, request->argv[i].data);
            return false;
        }
    }
    if (options->nx && (options->xx || options->gt || options->lt)) {
        reply_error(request->reply, "ERR NX and XX, GT or LT options at the "
                                    "same time are not compatible");
        return false;
    }
    if (options->gt && options->lt) {
        reply_error(request->reply,
            "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* `current_ms` 0: the key has no expiry, which counts as infinitely late. */
static bool condition_holds(
    const struct expire_options *options, int64_t current_ms, int64_t expiry_ms)
{
    bool has_expiry = current_ms != DB_NO_EXPIRY;
    if (options->nx && has_expiry) {
        return false;
    }
    if (options->xx && !has_expiry) {
        return false;
    }
    if (options->gt && (!has_expiry || expiry_ms <= current_ms)) {
        return false;
    }
    return !options->lt || !has_expiry || expiry_ms < current_ms;
}

static bool time_argument(
    struct request *request, int64_t unit_ms, int64_t base_ms, int64_t *result)
{
    int64_t value;
    if (!arg_int64(request, 2, &value)) {
        return false;
    }
    if (__builtin_mul_overflow(value, unit_ms, &value) ||
        __builtin_add_overflow(value, base_ms, &value)) {
        reply_error(request->reply, "ERR invalid expire time in '%s' command",
            request->command->name);
        return false;
    }
    *result = value;
    return true;
}

/* `base_ms` is added to the argument: now, or 0 for a point in time. */
static void expire(struct request *request, int64_t unit_ms, int64_t base_ms)
{
    struct bytes key = request->argv[1];
    struct expire_options options = {0};
    int64_t expiry_ms;
    if (!parse_options(request, &options) ||
        !time_argument(request, unit_ms, base_ms, &expiry_ms)) {
        return;
    }
    struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (entry == NULL ||
        !condition_holds(&options, entry_expiry_ms(entry), expiry_ms)) {
        reply_integer(request->reply, 0);
        return;
    }
    bool past = expiry_ms <= request->now_ms;
    request->changes++;
    if (past) {
        db_delete(request->db, key, request->now_ms);
        keyspace_changed(request, key);
    } else {
        db_set_expiry(request->db, entry, expiry_ms);
        keyspace_touched(request, key);
    }
    keyspace_event(request, KEYSPACE_GENERIC, past ? "del" : "expire", key);
    reply_integer(request->reply, 1);
}

void cmd_expire(struct request *request)
{
    expire(request, 1000, request->now_ms);
}

void cmd_pexpire(struct request *request)
{
    expire(request, 1, request->now_ms);
}

void cmd_expireat(struct request *request)
{
    expire(request, 1000, 0);
}

void cmd_pexpireat(struct request *request)
{
    expire(request, 1, 0);
}

void cmd_persist(struct request *request)
{
    struct bytes key = request->argv[1];
    struct entry *entry = db_touch(request->db, key, request->now_ms);
    bool had_expiry = entry != NULL && entry_expiry_ms(entry) != DB_NO_EXPIRY;
    if (had_expiry) {
        db_set_expiry(request->db, entry, DB_NO_EXPIRY);
        request->changes++;
        keyspace_touched(request, key);
        keyspace_event(request, KEYSPACE_GENERIC, "persist", key);
    }
    reply_integer(request->reply, had_expiry);
}

/* The key's expiry into *expiry_ms; false after having answered -2 (no key)
 * or -1 (no expiry). */
static bool find_expiry(struct request *request, int64_t *expiry_ms)
{
    const struct entry *entry =
        db_look(request->db, request->argv[1], request->now_ms);
    if (entry == NULL) {
        reply_integer(request->reply, -2);
        return false;
    }
    *expiry_ms = entry_expiry_ms(entry);
    if (*expiry_ms == DB_NO_EXPIRY) {
        reply_integer(request->reply, -1);
        return false;
    }
    return true;
}

/* To the nearest second, halves upwards. */
static int64_t to_seconds(int64_t ms)
{
    return ms / 1000 + (ms % 1000 >= 500);
}

void cmd_ttl(struct request *request)
{
    int64_t expiry_ms;
    if (find_expiry(request, &expiry_ms)) {
        reply_integer(request->reply, to_seconds(expiry_ms - request->now_ms));
    }
}

void cmd_pttl(struct request *request)
{
    int64_t expiry_ms;
    if (find_expiry(request, &expiry_ms)) {
        reply_integer(request->reply, expiry_ms - request->now_ms);
    }
}

void cmd_expiretime(struct request *request)
{
    int64_t expiry_ms;
    if (find_expiry(request, &expiry_ms)) {
        reply_integer(request->reply, to_seconds(expiry_ms));
    }
}

void cmd_pexpiretime(struct request *request)
{
    int64_t expiry_ms;
    if (find_expiry(request, &expiry_ms)) {
        reply_integer(request->reply, expiry_ms);
    }
}
