/* Commands: the table, a request, and what a handler may do.
 *
 * A handler is plain synchronous C: it checks its arguments, makes one or two
 * calls into tiers/db.h, and writes exactly one reply. It branches neither on
 * protocol version nor on tier. Every value it is entitled to (its row says
 * which) is resident when it runs. */
#ifndef LARDER_SERVER_COMMAND_H
#define LARDER_SERVER_COMMAND_H

#include "protocol/bytes.h"
#include "protocol/reply.h"
#include "tiers/db.h"
#include "tiers/engine.h"

struct server;
struct conn;
struct command;

struct request {
    struct server *server;
    struct conn *conn;
    struct engine *engine;
    struct db *db; /* the connection's selected database */
    const struct command *command;
    const struct bytes *argv; /* argv[0] is the command's name */
    int argc;
    struct blob **arg_blobs; /* by argument, NULL where not received apart;
                                may be NULL as a whole */
    struct reply *reply;
    struct scratch *scratch; /* freed when the request ends */
    int64_t now_ms;          /* wall clock, same for the whole request */
    bool nested;             /* runs inside another command's handler
                                (command_call): must not wait */
    uint32_t flags;          /* the command's; of EXEC also what of the
                                queued ones' matters before it runs */
    bool queued;             /* comes between MULTI and EXEC */
    bool runs_queue;         /* EXEC, and it will run what is queued */
    struct bytes served_by;  /* it was waiting for this key, which has changed
                                (block.h); no data: it runs as usual */
    bool blocks;             /* the handler has called block_wait */
    bool resumed;            /* was waiting so: it is counted as called */
    bool scripted;           /* nested: a script calls it */
    bool read_at_once;       /* values were read from disk while it ran */
    uint64_t changes;        /* handlers add one for each change they make:
                                feeds rdb_changes_since_last_save */
};

typedef void command_fn(struct request *request);

/* Argument `index` as a blob whose reference the caller takes over, or NULL
 * when it did not arrive in a blob of its own. */
struct blob *request_take_blob(struct request *request, int index);

/* Which keys' values must be in RAM before the handler runs. Called with the
 * index of a key argument; the rest (existence, type, expiry) never waits. */
typedef bool needs_fn(const struct request *request, int key_index);
needs_fn need_none, need_all, need_first, need_but_first, need_set_get;
/* All, or the one that has changed of those that were waited for
 * (block_considers). */
needs_fn need_considered;

enum command_flags {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2, /* may need memory: admitted by the engine first */
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7, /* allowed while the data is being loaded */
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13, /* allowed before authentication */
    CMD_MAY_REPLICATE = 1 << 14,
    CMD_NO_ASYNC_LOADING = 1 << 15,
    CMD_NO_MULTI = 1 << 16,
    CMD_MOVABLEKEYS = 1 << 17,
    CMD_ALLOW_BUSY = 1 << 18,
    CMD_SENTINEL = 1 << 19,
    CMD_ONLY_SENTINEL = 1 << 20,
    CMD_PROTECTED = 1 << 21,
    CMD_TOUCHES_ARBITRARY_KEYS = 1 << 22,
    /* what ACL rules about channels look at: */
    CMD_CHANNEL_FIRST = 1 << 23,     /* argv[1] is a channel */
    CMD_CHANNEL_ALL = 1 << 24,       /* each argument is one */
    CMD_CHANNEL_PATTERNS = 1 << 25,  /* each argument is a pattern of some */
    CMD_NO_MANDATORY_KEYS = 1 << 26, /* the number of its keys may be 0 */
};

/* One row of server/commands/commands.def:
 *
 * COMMAND(parent, name, handler, arity, flags, first, last, step, key_flags,
 *         needs, group, since, acl, tips, complexity, syntax, summary)
 *
 * parent     NULL, or the container's name for a subcommand ("config")
 * name       lower case; of a subcommand only its own word ("get")
 * handler    cmd_... ; NULL for a container that only has subcommands
 * arity      as Redis counts: with the name, negative = at least
 * first..step  key positions, 0 0 0 without keys; last may be negative
 * key_flags  key spec flags as COMMAND INFO prints them: "RW access update";
 *            "RO access; OW update" where each key has its own. The word
 *            numkeys=N says (with CMD_MOVABLEKEYS) that argument N counts the
 *            keys that follow it, beside those of first..step: ZUNIONSTORE
 *            has "OW update;RO access numkeys=2", EVAL "... numkeys=2". The
 *            word unknown=WORD says that the key stands behind the option
 *            WORD, unknown= that no argument names it: SORT has "RO
 *            access;RO access unknown=;OW update unknown=store". The
 *            word streams=N says that half of what follows the word STREAMS
 *            are keys, and that it is argument N at the earliest;
 *            keyword=STORE and keyword=STOREDIST say that a key stands behind
 *            that word, with the options: GEORADIUS
 * needs      a needs_fn
 * group      "string", "generic", "connection", "server" ... (COMMAND DOCS)
 * since      "1.0.0"
 * acl        explicit ACL categories beyond those that follow from flags:
 *            "string keyspace dangerous"
 * tips       command tips, space separated, or ""
 * complexity "O(1)"
 * syntax     arguments, redis-cli hint style: "key value [NX | XX]"
 * summary    one sentence, our own words */
struct command {
    const char *parent;
    const char *name;
    command_fn *handler;
    int arity;
    uint32_t flags;
    int first_key, last_key, key_step;
    const char *key_flags;
    needs_fn *needs;
    const char *group, *since, *acl, *tips, *complexity, *syntax, *summary;
};

/* All rows, sorted as in commands.def; the index is the command's number. */
extern const struct command command_rows[];
extern const unsigned command_row_count;

/* The command or NULL; any case. Of a container this is its own row; its
 * subcommands are found by command_find_sub. */
const struct command *command_find(struct bytes name);
const struct command *command_find_sub(
    const struct command *container, struct bytes subcommand);
bool command_is_container(const struct command *command);
/* By a full name, "get" or "config|get"; NULL when there is none
 * (commands/command.c). */
const struct command *command_find_full(struct bytes name);
/* ACL categories, by number (commands/command.c); find: any case, -1 when
 * there is none. */
extern const unsigned command_category_count;
const char *command_category_name(unsigned number);
int command_category_find(struct bytes name);
bool command_in_category(const struct command *row, unsigned number);
/* The words of a row's key_flags (or of one part between ';') as a set
 * (commands/command_getkeys.c). */
void command_reply_key_flags(struct reply *reply, struct bytes flags);
/* What a command does with one of its keys, as words: that at argument
 * `position`, the `number`th of those command_keys names, counted from 0. Of
 * the request only command, argv and argc count
 * (commands/command_getkeys.c). */
struct bytes command_key_flags(
    const struct request *request, int position, int number);
/* "get", or "config|get" for a subcommand, into `out`; returns `out`. */
#define COMMAND_NAME_MAX 64
const char *command_full_name(
    const struct command *command, char *out, size_t capacity);

/* ---- keys (server/command_keys.c) ---- */

/* Indexes of the key arguments into `positions` (room for argc); their
 * number, or -1 when the arguments are not valid. */
int command_keys(const struct command *command, const struct bytes *argv,
    int argc, int *positions);
/* The same one by one: begin, which answers false when the arguments are not
 * valid, then next until it answers 0. */
struct command_keys {
    int next, end, step, counted_next, counted_end, option;
};
bool command_keys_begin(struct command_keys *keys,
    const struct command *command, const struct bytes *argv, int argc);
int command_keys_next(struct command_keys *keys);
/* The argument that counts keys, or 0. */
int command_numkeys_index(const struct command *command);
/* Whether one part of a row's key_flags speaks of keys in no known place. */
#define COMMAND_KEY_UNKNOWN "unknown="
bool command_key_is_unknown(struct bytes flags);
/* Whether one speaks of the key behind a word. */
#define COMMAND_KEY_KEYWORD "keyword="
bool command_key_is_keyword(struct bytes flags);
/* The first argument that may be the word STREAMS, or 0. */
int command_streams_index(const struct command *command);

/* ---- for handlers: arguments and standard errors (server/arguments.c) ---- */

/* Each answers false after having written Redis' error text. */
bool arg_int64(struct request *request, int index, int64_t *value);
bool arg_int64_range(struct request *request, int index, int64_t low,
    int64_t high, int64_t *value);
bool arg_long_double(struct request *request, int index, long double *value);
/* A database number; the errors of SELECT. */
bool arg_db(struct request *request, int index, unsigned *number);
/* An integer that is not negative. */
bool arg_count(struct request *request, int index, int64_t *value);
/* A cursor of SCAN and its kin. */
bool arg_cursor(struct request *request, int index, uint64_t *cursor);
/* Case-insensitive comparison of an argument. */
bool arg_is(const struct request *request, int index, const char *word);

void error_syntax(struct request *request);
void error_wrong_type(struct request *request);
void error_not_integer(struct request *request);
void error_arity(struct request *request);
void error_unknown_subcommand(struct request *request);
void error_oom(struct request *request);
/* A value that is needed could not be fetched: the cause, or DRY_OK when it
 * could not be kept in RAM. */
void error_not_fetched(struct request *request, enum dry_result cause);
/* A known subcommand with arguments that make no sense, or an unknown one of
 * a container that has no rows for its subcommands (server/help.c). */
void error_subcommand_syntax(struct request *request);
/* Answers "<container> HELP": a title, `lines` (NULL-terminated), and HELP
 * itself (server/help.c). */
void help_reply(struct request *request, const char *const *lines);

/* True when the entry is of `type` or NULL; else answers WRONGTYPE. */
bool require_type(
    struct request *request, const struct entry *entry, enum value_type type);

/* ---- prototypes of all handlers, from the table ---- */

/* A container's row says NULL, which must not become a declaration. */
#pragma push_macro("NULL")
#undef NULL
#define NULL cmd_none
#define COMMAND(parent, name, handler, ...) command_fn handler;
#include "server/commands/commands.def"
#undef COMMAND
#pragma pop_macro("NULL")

#endif
