/* SET with its options, its shorthands, and GETEX, which has the same ones
 * for the time to live. */
#include "server/commands/string.h"
#include "server/keyspace.h"

/* What becomes of the key's time to live. */
enum lifetime {
    LIFETIME_UNSAID,
    LIFETIME_KEEP,
    LIFETIME_PERSIST,
    LIFETIME_EX,
    LIFETIME_PX,
    LIFETIME_EXAT,
    LIFETIME_PXAT,
};

struct set_options {
    bool if_absent, if_present, get;
    enum lifetime lifetime;
    int lifetime_index; /* of the argument with the time */
};

static const struct lifetime_word {
    const char *word;
    enum lifetime lifetime;
    bool takes_time;
    bool in_set, in_getex;
} lifetime_words[] = {
    {"ex", LIFETIME_EX, true, true, true},
    {"px", LIFETIME_PX, true, true, true},
    {"exat", LIFETIME_EXAT, true, true, true},
    {"pxat", LIFETIME_PXAT, true, true, true},
    {"keepttl", LIFETIME_KEEP, false, true, false},
    {"persist", LIFETIME_PERSIST, false, false, true},
};

static const struct lifetime_word *find_lifetime_word(
    const struct request *request, int index, bool is_set)
{
    for (size_t i = 0; i < sizeof(lifetime_words) / sizeof(*lifetime_words);
         i++) {
        const struct lifetime_word *row = &lifetime_words[i];
        bool known = is_set ? row->in_set : row->in_getex;
        if (known && arg_is(request, index, row->word)) {
            return row;
        }
    }
    return NULL;
}

/* One of EX, PX, ...: the number of arguments it takes up, 0 when it is none
 * of them or contradicts an earlier one. Repeating one is allowed. */
static int parse_lifetime(const struct request *request, int index, bool is_set,
    struct set_options *options)
{
    const struct lifetime_word *row =
        find_lifetime_word(request, index, is_set);
    if (row == NULL) {
        return 0;
    }
    bool contradicts = options->lifetime != LIFETIME_UNSAID &&
                       options->lifetime != row->lifetime;
    if (contradicts || (row->takes_time && index + 1 == request->argc)) {
        return 0;
    }
    options->lifetime = row->lifetime;
    options->lifetime_index = index + 1;
    return row->takes_time ? 2 : 1;
}

static bool parse_condition(
    const struct request *request, int index, struct set_options *options)
{
    if (arg_is(request, index, "nx") && !options->if_present) {
        options->if_absent = true;
        return true;
    }
    if (arg_is(request, index, "xx") && !options->if_absent) {
        options->if_present = true;
        return true;
    }
    if (arg_is(request, index, "get")) {
        options->get = true;
        return true;
    }
    return false;
}

static bool parse_options(struct request *request, int first, bool is_set,
    struct set_options *options)
{
    for (int i = first; i < request->argc;) {
        int taken = is_set && parse_condition(request, i, options)
                        ? 1
                        : parse_lifetime(request, i, is_set, options);
        if (taken == 0) {
            error_syntax(request);
            return false;
        }
        i += taken;
    }
    return true;
}

/* The argument's time as an absolute expiry. */
static bool time_argument(struct request *request, int index,
    enum lifetime lifetime, int64_t *expiry_ms)
{
    int64_t value;
    if (!arg_int64(request, index, &value)) {
        return false;
    }
    bool seconds = lifetime == LIFETIME_EX || lifetime == LIFETIME_EXAT;
    bool relative = lifetime == LIFETIME_EX || lifetime == LIFETIME_PX;
    bool valid = value > 0;
    if (valid && seconds) {
        valid = !__builtin_mul_overflow(value, INT64_C(1000), &value);
    }
    if (valid && relative) {
        valid = !__builtin_add_overflow(value, request->now_ms, &value);
    }
    if (!valid) {
        reply_error(request->reply, "ERR invalid expire time in '%s' command",
            request->command->name);
        return false;
    }
    *expiry_ms = value;
    return true;
}

static bool resolve_lifetime(struct request *request,
    const struct set_options *options, int64_t *expiry_ms)
{
    switch (options->lifetime) {
    case LIFETIME_UNSAID:
    case LIFETIME_PERSIST:
        *expiry_ms = DB_NO_EXPIRY;
        return true;
    case LIFETIME_KEEP:
        *expiry_ms = DB_KEEP_EXPIRY;
        return true;
    default:
        return time_argument(
            request, options->lifetime_index, options->lifetime, expiry_ms);
    }
}

/* Stores what SET and its shorthands were given. */
static void set_until(struct request *request, int value, int64_t expiry_ms)
{
    string_set(request, 1, value, expiry_ms);
    if (expiry_ms > 0) {
        keyspace_event(request, KEYSPACE_GENERIC, "expire", request->argv[1]);
    }
}

void cmd_set(struct request *request)
{
    struct set_options options = {0};
    int64_t expiry_ms;
    if (!parse_options(request, 3, true, &options) ||
        !resolve_lifetime(request, &options, &expiry_ms)) {
        return;
    }
    if (options.get || options.if_absent || options.if_present) {
        struct bytes key = request->argv[1];
        const struct entry *entry =
            options.get ? db_read(request->db, key, request->now_ms)
                        : db_touch(request->db, key, request->now_ms);
        if (options.get) {
            if (!require_type(request, entry, TYPE_STRING)) {
                return;
            }
            string_reply(request, entry);
        }
        if (entry == NULL ? options.if_present : options.if_absent) {
            if (!options.get) {
                reply_null(request->reply);
            }
            return;
        }
    }
    set_until(request, 2, expiry_ms);
    if (!options.get) {
        reply_ok(request->reply);
    }
}

void cmd_setnx(struct request *request)
{
    if (db_touch(request->db, request->argv[1], request->now_ms) != NULL) {
        reply_integer(request->reply, 0);
        return;
    }
    string_set(request, 1, 2, DB_NO_EXPIRY);
    reply_integer(request->reply, 1);
}

static void set_for_time(struct request *request, enum lifetime lifetime)
{
    int64_t expiry_ms;
    if (!time_argument(request, 2, lifetime, &expiry_ms)) {
        return;
    }
    set_until(request, 3, expiry_ms);
    reply_ok(request->reply);
}

void cmd_setex(struct request *request)
{
    set_for_time(request, LIFETIME_EX);
}

void cmd_psetex(struct request *request)
{
    set_for_time(request, LIFETIME_PX);
}

/* Gives an entry that was just answered its new lifetime. */
static void change_lifetime(struct request *request, struct entry *entry,
    enum lifetime lifetime, int64_t expiry_ms)
{
    struct bytes key = request->argv[1];
    const char *event = "expire";
    if (lifetime == LIFETIME_UNSAID) {
        return;
    }
    if (lifetime == LIFETIME_PERSIST) {
        if (entry_expiry_ms(entry) == DB_NO_EXPIRY) {
            return;
        }
        db_set_expiry(request->db, entry, DB_NO_EXPIRY);
        event = "persist";
    } else if (expiry_ms <= request->now_ms) {
        db_delete(request->db, key, request->now_ms);
        event = "del";
    } else {
        db_set_expiry(request->db, entry, expiry_ms);
    }
    request->changes++;
    keyspace_changed(request, key);
    keyspace_event(request, KEYSPACE_GENERIC, event, key);
}

void cmd_getex(struct request *request)
{
    struct set_options options = {0};
    if (!parse_options(request, 2, false, &options)) {
        return;
    }
    struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
        return;
    }
    int64_t expiry_ms;
    if (!require_type(request, entry, TYPE_STRING) ||
        !resolve_lifetime(request, &options, &expiry_ms)) {
        return;
    }
    string_reply(request, entry);
    change_lifetime(request, entry, options.lifetime, expiry_ms);
}
