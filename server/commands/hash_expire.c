/* Fields that expire: HEXPIRE, HTTL and their kin, HPERSIST. */
#include "server/commands/hash.h"

/* Redis' bound for the time at which a field expires. */
#define DEADLINE_MAX_MS ((INT64_C(1) << 46) - 1)

enum field_answer {
    FIELD_ABSENT = -2,
    FIELD_STAYS = -1, /* asked about: it does not expire */
    FIELD_UNTOUCHED = 0,
    FIELD_CHANGED = 1,
    FIELD_DELETED = 2,
};

/* ---- arguments ---- */

bool hash_parse_fields(struct request *request, int at,
    const char *not_positive, struct hash_fields *fields)
{
    int64_t count = 0;
    if (at >= request->argc || !arg_is(request, at, "fields")) {
        reply_error(request->reply, "ERR Mandatory argument FIELDS is missing "
                                    "or not at the right position");
        return false;
    }
    if (at + 1 >= request->argc ||
        !bytes_to_int64(request->argv[at + 1], &count) || count < 1) {
        reply_error(request->reply, "%s", not_positive);
        return false;
    }
    if (count != request->argc - at - 2) {
        reply_error(request->reply, "ERR The `numfields` parameter must match "
                                    "the number of arguments");
        return false;
    }
    *fields = (struct hash_fields){at + 2, (int)count};
    return true;
}

bool hash_parse_deadline(struct request *request, int index, int64_t unit_ms,
    int64_t base_ms, int64_t *deadline_ms)
{
    int64_t value = 0;
    if (!arg_int64(request, index, &value)) {
        return false;
    }
    if (value < 0) {
        reply_error(request->reply, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (value > DEADLINE_MAX_MS / unit_ms ||
        value * unit_ms > DEADLINE_MAX_MS - base_ms) {
        reply_error(request->reply, "ERR invalid expire time in '%s' command",
            request->command->name);
        return false;
    }
    *deadline_ms = value * unit_ms + base_ms;
    return true;
}

bool hash_parse_lifetime(struct request *request, int at, int64_t *deadline_ms)
{
    static const struct {
        const char *word;
        int64_t unit_ms;
        bool relative;
    } lifetimes[] = {{"ex", 1000, true}, {"px", 1, true}, {"exat", 1000, false},
        {"pxat", 1, false}};
    *deadline_ms = 0;
    for (size_t i = 0; i < sizeof lifetimes / sizeof lifetimes[0]; i++) {
        if (!arg_is(request, at, lifetimes[i].word)) {
            continue;
        }
        if (at + 1 >= request->argc) {
            reply_error(request->reply, "ERR missing expire time");
            return false;
        }
        int64_t base_ms = lifetimes[i].relative ? request->now_ms : 0;
        if (!hash_parse_deadline(
                request, at + 1, lifetimes[i].unit_ms, base_ms, deadline_ms)) {
            return false;
        }
        /* 0 is a time like any other that has passed. */
        *deadline_ms = *deadline_ms == 0 ? 1 : *deadline_ms;
        return true;
    }
    return true;
}

bool hash_check_type(struct request *request)
{
    return require_type(request,
        db_find(request->db, request->argv[1], request->now_ms), TYPE_HASH);
}

enum typed_open hash_open_fields(struct request *request,
    struct hash_fields *fields, struct collection *hash)
{
    if (!hash_check_type(request) ||
        !hash_parse_fields(request, 2, HASH_NOT_POSITIVE, fields)) {
        return TYPED_REFUSED;
    }
    return typed_write_existing(request, 1, TYPE_HASH, hash);
}

static void reply_all_absent(struct request *request, int count)
{
    reply_array(request->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        reply_integer(request->reply, FIELD_ABSENT);
    }
}

/* ---- HEXPIRE ---- */

enum condition {
    CONDITION_NONE,
    CONDITION_NX,
    CONDITION_XX,
    CONDITION_GT,
    CONDITION_LT
};

static enum condition parse_condition(struct request *request, int at)
{
    static const char *const words[] = {"nx", "xx", "gt", "lt"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (arg_is(request, at, words[i])) {
            return (enum condition)(CONDITION_NX + i);
        }
    }
    return CONDITION_NONE;
}

/* `current_ms` 0: the field does not expire, which is infinitely late. */
static bool condition_holds(
    enum condition condition, int64_t current_ms, int64_t deadline_ms)
{
    switch (condition) {
    case CONDITION_NX:
        return current_ms == 0;
    case CONDITION_XX:
        return current_ms != 0;
    case CONDITION_GT:
        return current_ms != 0 && deadline_ms > current_ms;
    case CONDITION_LT:
        return current_ms == 0 || deadline_ms < current_ms;
    default:
        return true;
    }
}

static enum field_answer expire_field(struct request *request,
    struct collection *hash, struct bytes field, enum condition condition,
    int64_t deadline_ms)
{
    int64_t current_ms = 0;
    if (!hash_deadline(hash, field, &current_ms)) {
        return FIELD_ABSENT;
    }
    if (!condition_holds(condition, current_ms, deadline_ms)) {
        return FIELD_UNTOUCHED;
    }
    if (deadline_ms <= request->now_ms) {
        hash_delete(hash, field);
        return FIELD_DELETED;
    }
    hash_set_deadline(hash, field, deadline_ms);
    return FIELD_CHANGED;
}

/* `base_ms` is added to the argument: now, or 0 for a point in time. */
static void expire(struct request *request, int64_t unit_ms, int64_t base_ms)
{
    int64_t deadline_ms = 0;
    struct hash_fields fields;
    struct collection hash;
    if (!hash_check_type(request) ||
        !hash_parse_deadline(request, 2, unit_ms, base_ms, &deadline_ms)) {
        return;
    }
    enum condition condition = parse_condition(request, 3);
    if (!hash_parse_fields(request, condition == CONDITION_NONE ? 3 : 4,
            "ERR Parameter `numFields` should be greater than 0", &fields)) {
        return;
    }
    if (typed_write_existing(request, 1, TYPE_HASH, &hash) != TYPED_OPEN) {
        reply_all_absent(request, fields.count);
        return;
    }
    uint64_t changes = 0;
    reply_array(request->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++) {
        enum field_answer answer = expire_field(request, &hash,
            request->argv[fields.first + i], condition, deadline_ms);
        changes += answer == FIELD_CHANGED || answer == FIELD_DELETED;
        reply_integer(request->reply, answer);
    }
    typed_end(request, &hash, changes,
        deadline_ms <= request->now_ms ? "hdel" : "hexpire");
}

void cmd_hexpire(struct request *request)
{
    expire(request, 1000, request->now_ms);
}

void cmd_hpexpire(struct request *request)
{
    expire(request, 1, request->now_ms);
}

void cmd_hexpireat(struct request *request)
{
    expire(request, 1000, 0);
}

void cmd_hpexpireat(struct request *request)
{
    expire(request, 1, 0);
}

/* ---- HPERSIST ---- */

static enum field_answer persist_field(
    struct collection *hash, struct bytes field)
{
    int64_t current_ms = 0;
    if (!hash_deadline(hash, field, &current_ms)) {
        return FIELD_ABSENT;
    }
    if (current_ms == 0) {
        return FIELD_STAYS;
    }
    hash_set_deadline(hash, field, 0);
    return FIELD_CHANGED;
}

void cmd_hpersist(struct request *request)
{
    struct hash_fields fields;
    struct collection hash;
    enum typed_open open = hash_open_fields(request, &fields, &hash);
    if (open == TYPED_ABSENT) {
        reply_all_absent(request, fields.count);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    uint64_t changes = 0;
    reply_array(request->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++) {
        enum field_answer answer =
            persist_field(&hash, request->argv[fields.first + i]);
        changes += answer == FIELD_CHANGED;
        reply_integer(request->reply, answer);
    }
    typed_end(request, &hash, changes, "hpersist");
}

/* ---- HTTL ---- */

/* Answers each field's deadline less `base_ms` in units of `unit_ms`, rounded
 * up. */
static void tell(struct request *request, int64_t unit_ms, int64_t base_ms)
{
    struct hash_fields fields;
    struct collection hash;
    enum typed_open open = typed_read(request, 1, TYPE_HASH, &hash);
    if (open == TYPED_REFUSED ||
        !hash_parse_fields(request, 2, HASH_NOT_POSITIVE, &fields)) {
        return;
    }
    if (open == TYPED_ABSENT) {
        reply_all_absent(request, fields.count);
        return;
    }
    reply_array(request->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++) {
        int64_t deadline_ms = 0;
        struct bytes field = request->argv[fields.first + i];
        if (!hash_deadline(&hash, field, &deadline_ms)) {
            reply_integer(request->reply, FIELD_ABSENT);
        } else if (deadline_ms == 0) {
            reply_integer(request->reply, FIELD_STAYS);
        } else {
            reply_integer(request->reply,
                (deadline_ms - base_ms + unit_ms - 1) / unit_ms);
        }
    }
}

void cmd_httl(struct request *request)
{
    tell(request, 1000, request->now_ms);
}

void cmd_hpttl(struct request *request)
{
    tell(request, 1, request->now_ms);
}

void cmd_hexpiretime(struct request *request)
{
    tell(request, 1000, 0);
}

void cmd_hpexpiretime(struct request *request)
{
    tell(request, 1, 0);
}
