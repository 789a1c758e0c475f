/* HGETDEL, HGETEX, HSETEX: fields read or written along with their lives. */
#include "server/commands/hash.h"

static void reply_all_null(struct request *request, int count)
{
    reply_array(request->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        reply_null(request->reply);
    }
}

/* The value, or null: false. */
static bool reply_field(
    struct request *request, struct collection *hash, struct bytes field)
{
    struct element value;
    if (!hash_get(hash, field, &value)) {
        reply_null(request->reply);
        return false;
    }
    typed_reply(request, &value);
    return true;
}

void cmd_hgetdel(struct request *request)
{
    struct hash_fields fields;
    struct collection hash;
    enum typed_open open = hash_open_fields(request, &fields, &hash);
    if (open == TYPED_ABSENT) {
        reply_all_null(request, fields.count);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    uint64_t deleted = 0;
    reply_array(request->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++) {
        struct bytes field = request->argv[fields.first + i];
        if (reply_field(request, &hash, field)) {
            deleted += hash_delete(&hash, field);
        }
    }
    typed_end(request, &hash, deleted, "hdel");
}

/* ---- HGETEX ---- */

struct getex {
    struct hash_fields fields;
    bool persist;
    int64_t deadline_ms; /* 0: as it is */
};

static bool parse_getex(struct request *request, struct getex *getex)
{
    int at = 2;
    getex->persist = arg_is(request, at, "persist");
    if (getex->persist) {
        at++;
    } else if (!hash_parse_lifetime(request, at, &getex->deadline_ms)) {
        return false;
    } else if (getex->deadline_ms != 0) {
        at += 2;
    }
    return hash_parse_fields(request, at, HASH_NOT_POSITIVE, &getex->fields);
}

/* Whether that was a change. */
static bool change_life(struct request *request, struct collection *hash,
    struct bytes field, const struct getex *getex)
{
    int64_t current_ms = 0;
    if (getex->persist) {
        hash_deadline(hash, field, &current_ms);
        hash_set_deadline(hash, field, 0);
        return current_ms != 0;
    }
    if (getex->deadline_ms == 0) {
        return false;
    }
    if (getex->deadline_ms <= request->now_ms) {
        return hash_delete(hash, field);
    }
    hash_set_deadline(hash, field, getex->deadline_ms);
    return true;
}

void cmd_hgetex(struct request *request)
{
    struct getex getex = {0};
    struct collection hash;
    if (!hash_check_type(request) || !parse_getex(request, &getex)) {
        return;
    }
    if (typed_write_existing(request, 1, TYPE_HASH, &hash) != TYPED_OPEN) {
        reply_all_null(request, getex.fields.count);
        return;
    }
    uint64_t changes = 0;
    reply_array(request->reply, (size_t)getex.fields.count);
    for (int i = 0; i < getex.fields.count; i++) {
        struct bytes field = request->argv[getex.fields.first + i];
        if (reply_field(request, &hash, field)) {
            changes += change_life(request, &hash, field, &getex);
        }
    }
    bool past = getex.deadline_ms <= request->now_ms;
    typed_end(request, &hash, changes,
        getex.persist ? "hpersist"
        : past        ? "hdel"
                      : "hexpire");
}

/* ---- HSETEX ---- */

struct setex {
    struct hash_fields fields; /* count: of pairs */
    bool only_new, only_old, keep_deadline;
    int64_t deadline_ms; /* 0: none */
};

static bool parse_pairs(struct request *request, int at, struct setex *setex)
{
    int64_t count = 0;
    if (at + 1 >= request->argc ||
        !bytes_to_int64(request->argv[at + 1], &count) || count < 1) {
        reply_error(request->reply, "ERR invalid number of fields");
        return false;
    }
    int left = request->argc - at - 2;
    if (left % 2 != 0 || count != left / 2) {
        error_arity(request);
        return false;
    }
    setex->fields = (struct hash_fields){at + 2, (int)count};
    return true;
}

/* An option about whether or until when; how many arguments it takes, 0 after
 * an error. */
static int parse_option(struct request *request, int at, struct setex *setex)
{
    bool only_new = arg_is(request, at, "fnx");
    bool lives = setex->deadline_ms != 0 || setex->keep_deadline;
    int64_t deadline_ms = 0;
    if (only_new || arg_is(request, at, "fxx")) {
        if (setex->only_new || setex->only_old) {
            reply_error(request->reply,
                "ERR Only one of FXX or FNX arguments can be specified");
            return 0;
        }
        *(only_new ? &setex->only_new : &setex->only_old) = true;
        return 1;
    }
    bool keep = arg_is(request, at, "keepttl");
    if (!keep && !hash_parse_lifetime(request, at, &deadline_ms)) {
        return 0;
    }
    if ((keep || deadline_ms != 0) && lives) {
        reply_error(request->reply, "ERR Only one of EX, PX, EXAT, PXAT or "
                                    "KEEPTTL arguments can be specified");
        return 0;
    }
    if (!keep && deadline_ms == 0) {
        struct bytes word = request->argv[at];
        reply_error(request->reply, "ERR unknown argument: %.*s",
            (int)(word.size < 128 ? word.size : 128), word.data);
        return 0;
    }
    setex->keep_deadline = keep;
    setex->deadline_ms = deadline_ms;
    return keep ? 1 : 2;
}

static bool parse_setex(struct request *request, struct setex *setex)
{
    int at = 2;
    while (at < request->argc && !arg_is(request, at, "fields")) {
        int took = parse_option(request, at, setex);
        if (took == 0) {
            return false;
        }
        at += took;
    }
    return parse_pairs(request, at, setex);
}

static bool condition_holds(
    struct request *request, struct collection *hash, const struct setex *setex)
{
    struct element value;
    for (int i = 0; i < setex->fields.count; i++) {
        struct bytes field = request->argv[setex->fields.first + 2 * i];
        bool found = hash_get(hash, field, &value);
        if ((setex->only_new && found) || (setex->only_old && !found)) {
            return false;
        }
    }
    return true;
}

/* A field that would be over at once is not there afterwards. */
static uint64_t delete_pairs(
    struct request *request, struct collection *hash, const struct setex *setex)
{
    uint64_t deleted = 0;
    for (int i = 0; i < setex->fields.count; i++) {
        deleted +=
            hash_delete(hash, request->argv[setex->fields.first + 2 * i]);
    }
    return deleted;
}

static void set_pairs(
    struct request *request, struct collection *hash, const struct setex *setex)
{
    for (int i = 0; i < setex->fields.count; i++) {
        const struct bytes *pair = &request->argv[setex->fields.first + 2 * i];
        if (setex->keep_deadline) {
            hash_change(hash, pair[0], pair[1]);
        } else {
            hash_set(hash, pair[0], pair[1]);
        }
        if (setex->deadline_ms != 0) {
            hash_set_deadline(hash, pair[0], setex->deadline_ms);
        }
    }
}

void cmd_hsetex(struct request *request)
{
    struct setex setex = {0};
    struct collection hash;
    if (!parse_setex(request, &setex) ||
        !typed_write(request, 1, HASH_KIND_NEW, &hash)) {
        return;
    }
    if (!condition_holds(request, &hash, &setex)) {
        collection_end(&hash, false);
        reply_integer(request->reply, 0);
        return;
    }
    if (setex.deadline_ms != 0 && setex.deadline_ms <= request->now_ms) {
        uint64_t deleted = delete_pairs(request, &hash, &setex);
        typed_end(request, &hash, deleted, "hdel");
    } else {
        set_pairs(request, &hash, &setex);
        typed_end(request, &hash, (uint64_t)setex.fields.count, "hset");
        if (setex.deadline_ms != 0) {
            keyspace_event(request, KEYSPACE_HASH, "hexpire", request->argv[1]);
        }
    }
    reply_integer(request->reply, 1);
}
