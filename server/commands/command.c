/* COMMAND and its subcommands, all from the one table. DOCS is in
 * command_docs.c, the keys of a command in command_getkeys.c. */
#include <stdio.h>

#include "protocol/glob.h"
#include "server/command.h"

/* ---- flags and categories, in Redis' order ---- */

static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_ASKING, "asking"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_MAY_REPLICATE, "may_replicate"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLEKEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
};
#define FLAG_NAMES (sizeof(flag_names) / sizeof(flag_names[0]))

/* A category holds commands with any of `flags`, those without any of
 * `without`, and those whose row names it. */
static const struct category {
    const char *name;
    uint32_t flags, without;
} categories[] = {
    {"keyspace", 0, 0},
    {"read", CMD_READONLY, 0},
    {"write", CMD_WRITE, 0},
    {"set", 0, 0},
    {"sortedset", 0, 0},
    {"list", 0, 0},
    {"hash", 0, 0},
    {"string", 0, 0},
    {"bitmap", 0, 0},
    {"hyperloglog", 0, 0},
    {"geo", 0, 0},
    {"stream", 0, 0},
    {"pubsub", CMD_PUBSUB, 0},
    {"admin", CMD_ADMIN, 0},
    {"fast", CMD_FAST, 0},
    {"slow", 0, CMD_FAST},
    {"blocking", CMD_BLOCKING, 0},
    {"dangerous", CMD_ADMIN, 0},
    {"connection", 0, 0},
    {"transaction", 0, 0},
    {"scripting", 0, 0},
};
const unsigned command_category_count =
    sizeof(categories) / sizeof(categories[0]);

/* The next word of a list divided by spaces; empty at its end. */
static struct bytes next_word(const char **list)
{
    while (**list == ' ') {
        (*list)++;
    }
    const char *start = *list;
    size_t size = strcspn(start, " ");
    *list += size;
    return bytes_of(start, size);
}

static bool list_has(const char *list, const char *word)
{
    for (struct bytes w = next_word(&list); w.size > 0; w = next_word(&list)) {
        if (bytes_equal_nocase(w, word)) {
            return true;
        }
    }
    return false;
}

const char *command_category_name(unsigned number)
{
    return categories[number].name;
}

int command_category_find(struct bytes name)
{
    for (unsigned i = 0; i < command_category_count; i++) {
        if (bytes_equal_nocase(name, categories[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

bool command_in_category(const struct command *row, unsigned number)
{
    const struct category *category = &categories[number];
    if (category->without != 0) {
        return (row->flags & category->without) == 0;
    }
    if (category->flags == CMD_READONLY && list_has(row->acl, "scripting")) {
        return false; /* EVAL_RO reads no more than what it calls */
    }
    return (row->flags & category->flags) != 0 ||
           list_has(row->acl, category->name);
}

/* ---- COMMAND INFO ---- */

static void reply_flags(struct reply *reply, const struct command *row)
{
    size_t mark = reply_begin(reply);
    size_t count = 0;
    for (size_t i = 0; i < FLAG_NAMES; i++) {
        if ((row->flags & flag_names[i].flag) != 0) {
            reply_status(reply, flag_names[i].name);
            count++;
        }
    }
    reply_end(reply, mark, REPLY_SET, count);
}

static void reply_categories(struct reply *reply, const struct command *row)
{
    char name[32];
    size_t mark = reply_begin(reply);
    size_t count = 0;
    for (unsigned i = 0; i < command_category_count; i++) {
        if (command_in_category(row, i)) {
            snprintf(name, sizeof(name), "@%s", categories[i].name);
            reply_status(reply, name);
            count++;
        }
    }
    reply_end(reply, mark, REPLY_SET, count);
}

static void reply_tips(struct reply *reply, const struct command *row)
{
    size_t mark = reply_begin(reply);
    size_t count = 0;
    const char *tips = row->tips;
    for (struct bytes w = next_word(&tips); w.size > 0; w = next_word(&tips)) {
        reply_bulk(reply, w);
        count++;
    }
    reply_end(reply, mark, REPLY_SET, count);
}

static void reply_number(struct reply *reply, const char *name, int value)
{
    reply_bulk_text(reply, name);
    reply_integer(reply, value);
}

/* How a key spec begins: what is done to the keys, and the heads of what
 * tells where they begin. */
static void reply_spec_search(
    struct reply *reply, struct bytes flags, const char *kind)
{
    reply_map(reply, 3);
    reply_bulk_text(reply, "flags");
    command_reply_key_flags(reply, flags);
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, kind);
    reply_bulk_text(reply, "spec");
}

static void reply_spec_find(struct reply *reply, const char *kind)
{
    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, kind);
    reply_bulk_text(reply, "spec");
    reply_map(reply, 3);
}

/* The keys begin at one argument. */
static void reply_spec_begin(
    struct reply *reply, struct bytes flags, int first, const char *kind)
{
    reply_spec_search(reply, flags, "index");
    reply_map(reply, 1);
    reply_number(reply, "index", first);
    reply_spec_find(reply, kind);
}

static void reply_key_spec(struct reply *reply, const struct command *row,
    struct bytes flags, int first, int last)
{
    reply_spec_begin(reply, flags, first, "range");
    reply_number(reply, "lastkey", last < 0 ? last : last - first);
    reply_number(reply, "keystep", row->key_step);
    reply_number(reply, "limit", 0);
}

static void reply_counted_spec(
    struct reply *reply, struct bytes flags, int numkeys_index)
{
    reply_spec_begin(reply, flags, numkeys_index, "keynum");
    reply_number(reply, "keynumidx", 0);
    reply_number(reply, "firstkey", 1);
    reply_number(reply, "keystep", 1);
}

static void reply_nothing_known(struct reply *reply, const char *name)
{
    reply_bulk_text(reply, name);
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, "unknown");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 0);
}

static void reply_unknown_spec(struct reply *reply, struct bytes flags)
{
    reply_map(reply, 3);
    reply_bulk_text(reply, "flags");
    command_reply_key_flags(reply, flags);
    reply_nothing_known(reply, "begin_search");
    reply_nothing_known(reply, "find_keys");
}

static void reply_streams_spec(
    struct reply *reply, struct bytes flags, int streams_index)
{
    reply_spec_search(reply, flags, "keyword");
    reply_map(reply, 2);
    reply_bulk_text(reply, "keyword");
    reply_bulk_text(reply, "STREAMS");
    reply_number(reply, "startfrom", streams_index);
    reply_spec_find(reply, "range");
    reply_number(reply, "lastkey", -1);
    reply_number(reply, "keystep", 1);
    reply_number(reply, "limit", 2);
}

/* What the flags name last is the word. */
static void reply_keyword_spec(
    struct reply *reply, struct bytes flags, int startfrom)
{
    const char *mark = memmem(flags.data, flags.size, COMMAND_KEY_KEYWORD,
        strlen(COMMAND_KEY_KEYWORD));
    const char *word = mark + strlen(COMMAND_KEY_KEYWORD);
    reply_spec_search(reply, flags, "keyword");
    reply_map(reply, 2);
    reply_bulk_text(reply, "keyword");
    reply_bulk(reply, bytes_of(word, (size_t)(flags.data + flags.size - word)));
    reply_number(reply, "startfrom", startfrom);
    reply_spec_find(reply, "range");
    reply_number(reply, "lastkey", 0);
    reply_number(reply, "keystep", 1);
    reply_number(reply, "limit", 0);
}

/* One spec for all keys, or where the flags are divided by ';' one a key,
 * the last of them for all the keys that are left, or that are counted by an
 * argument. */
static void reply_key_specs(struct reply *reply, const struct command *row)
{
    size_t mark = reply_begin(reply);
    size_t count = 0;
    bool each = strchr(row->key_flags, ';') != NULL;
    const char *at = row->key_flags;
    int first = row->first_key;
    int counted = command_numkeys_index(row);
    while ((first > 0 || counted > 0) && *at != '\0') {
        size_t size = strcspn(at, ";");
        struct bytes flags = bytes_of(at, size);
        if (command_key_is_unknown(flags)) {
            reply_unknown_spec(reply, flags);
        } else if (command_key_is_keyword(flags)) {
            reply_keyword_spec(reply, flags, -row->arity);
        } else if (counted > 0 && (first == 0 || at[size] == '\0')) {
            reply_counted_spec(reply, flags, counted);
        } else {
            reply_key_spec(reply, row, flags, first,
                each && at[size] == ';' ? first : row->last_key);
            first += row->key_step;
        }
        at += size + (at[size] == ';');
        count++;
    }
    if (command_streams_index(row) > 0) {
        reply_streams_spec(reply,
            bytes_of(row->key_flags, strlen(row->key_flags)),
            command_streams_index(row));
        count++;
    }
    reply_end(reply, mark, REPLY_SET, count);
}

static void reply_info(struct reply *reply, const struct command *row);

static void reply_subcommands(struct reply *reply, const struct command *row)
{
    size_t mark = reply_begin(reply);
    size_t count = 0;
    for (unsigned i = 0; row->parent == NULL && i < command_row_count; i++) {
        const struct command *sub = &command_rows[i];
        if (sub->parent != NULL && strcmp(sub->parent, row->name) == 0) {
            reply_info(reply, sub);
            count++;
        }
    }
    reply_end(reply, mark, REPLY_SET, count);
}

static void reply_info(struct reply *reply, const struct command *row)
{
    char name[COMMAND_NAME_MAX];
    reply_array(reply, 10);
    reply_bulk_text(reply, command_full_name(row, name, sizeof(name)));
    reply_integer(reply, row->arity);
    reply_flags(reply, row);
    reply_integer(reply, row->first_key);
    reply_integer(reply, row->last_key);
    reply_integer(reply, row->key_step);
    reply_categories(reply, row);
    reply_tips(reply, row);
    reply_key_specs(reply, row);
    reply_subcommands(reply, row);
}

const struct command *command_find_full(struct bytes name)
{
    const char *bar = memchr(name.data, '|', name.size);
    if (bar == NULL) {
        return command_find(name);
    }
    size_t head = (size_t)(bar - name.data);
    const struct command *container = command_find(bytes_of(name.data, head));
    return container == NULL ? NULL
                             : command_find_sub(container,
                                   bytes_of(bar + 1, name.size - head - 1));
}

static int64_t count_commands(void)
{
    int64_t count = 0;
    for (unsigned i = 0; i < command_row_count; i++) {
        count += command_rows[i].parent == NULL;
    }
    return count;
}

void cmd_command(struct request *request)
{
    reply_array(request->reply, (size_t)count_commands());
    for (unsigned i = 0; i < command_row_count; i++) {
        if (command_rows[i].parent == NULL) {
            reply_info(request->reply, &command_rows[i]);
        }
    }
}

void cmd_command_info(struct request *request)
{
    if (request->argc == 2) {
        cmd_command(request);
        return;
    }
    reply_array(request->reply, (size_t)(request->argc - 2));
    for (int i = 2; i < request->argc; i++) {
        const struct command *row = command_find_full(request->argv[i]);
        if (row == NULL) {
            reply_null(request->reply);
        } else {
            reply_info(request->reply, row);
        }
    }
}

void cmd_command_count(struct request *request)
{
    reply_integer(request->reply, count_commands());
}

/* ---- COMMAND LIST ---- */

enum list_filter { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN };

static bool listed(const struct command *row, const char *name,
    enum list_filter filter, struct bytes value)
{
    if (filter == LIST_CATEGORY) {
        int category = command_category_find(value);
        return category >= 0 && command_in_category(row, (unsigned)category);
    }
    if (filter == LIST_PATTERN) {
        return glob_match(value, bytes_of(name, strlen(name)), true);
    }
    return filter == LIST_ALL;
}

static bool list_arguments(struct request *request, enum list_filter *filter)
{
    *filter = LIST_ALL;
    if (request->argc == 2) {
        return true;
    }
    if (request->argc == 5 && arg_is(request, 2, "filterby")) {
        if (arg_is(request, 3, "module")) {
            *filter = LIST_MODULE;
        } else if (arg_is(request, 3, "aclcat")) {
            *filter = LIST_CATEGORY;
        } else if (arg_is(request, 3, "pattern")) {
            *filter = LIST_PATTERN;
        }
    }
    if (*filter == LIST_ALL) {
        error_syntax(request);
        return false;
    }
    return true;
}

void cmd_command_list(struct request *request)
{
    enum list_filter filter;
    if (!list_arguments(request, &filter)) {
        return;
    }
    struct bytes value = filter == LIST_ALL ? BYTES("") : request->argv[4];
    char name[COMMAND_NAME_MAX];
    size_t mark = reply_begin(request->reply);
    size_t count = 0;
    for (unsigned i = 0; i < command_row_count; i++) {
        command_full_name(&command_rows[i], name, sizeof(name));
        if (listed(&command_rows[i], name, filter, value)) {
            reply_bulk_text(request->reply, name);
            count++;
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

void cmd_command_help(struct request *request)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
        NULL,
    };
    help_reply(request, lines);
}
