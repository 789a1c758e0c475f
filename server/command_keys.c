/* Which arguments of a command are keys. */
#include <stdlib.h>
#include <strings.h>

#include "server/dispatch.h"
#include "server/multi.h"

/* The number behind a word of a row's key_flags, 0: it is not there. */
static int find_mark(const struct command *command, const char *mark)
{
    if ((command->flags & CMD_MOVABLEKEYS) == 0) {
        return 0;
    }
    const char *at = strstr(command->key_flags, mark);
    return at == NULL ? 0 : atoi(at + strlen(mark));
}

int command_numkeys_index(const struct command *command)
{
    return find_mark(command, "numkeys=");
}

int command_streams_index(const struct command *command)
{
    return find_mark(command, "streams=");
}

static bool is_word(struct bytes argument, struct bytes word)
{
    return argument.size == word.size &&
           strncasecmp(argument.data, word.data, word.size) == 0;
}

/* The keys behind STREAMS, half of what follows it; as XREAD reads its
 * options: a group may have that name, too. */
static bool find_streams(
    struct command_keys *keys, const struct bytes *argv, int argc)
{
    int i = 1;
    for (; i < argc && !is_word(argv[i], BYTES("streams")); i++) {
        if (is_word(argv[i], BYTES("group"))) {
            i += 2;
        } else if (is_word(argv[i], BYTES("block")) ||
                   is_word(argv[i], BYTES("count"))) {
            i++;
        }
    }
    int count = i < argc ? (argc - i - 1) / 2 : 0;
    keys->counted_next = i + 1;
    keys->counted_end = i + 1 + count;
    return count > 0;
}

/* The keys that an argument counts; false when it does not fit. */
static bool find_counted(struct command_keys *keys, const struct bytes *argv,
    int argc, int index, bool mandatory)
{
    int64_t count;
    bool fits = index < argc && bytes_to_int64(argv[index], &count) &&
                count >= (mandatory ? 1 : 0) && count <= argc - 1 - index;
    keys->counted_next = index + 1;
    keys->counted_end = fits ? index + 1 + (int)count : index + 1;
    return fits || !mandatory;
}

bool command_key_is_unknown(struct bytes flags)
{
    return memmem(flags.data, flags.size, COMMAND_KEY_UNKNOWN,
               strlen(COMMAND_KEY_UNKNOWN)) != NULL;
}

/* The key behind an option: behind the last one, where it is given several
 * times. What other options take is no option. */
static int find_option(const struct command *command, const struct bytes *argv,
    int argc, const char *word)
{
    static const struct {
        const char *word;
        int takes;
    } others[] = {{"limit", 2}, {"get", 1}, {"by", 1}};
    int found = 0;
    for (int i = command->last_key + 1; i < argc; i++) {
        if (i + 1 < argc && bytes_equal_nocase(argv[i], word)) {
            found = i + 1;
            continue;
        }
        for (size_t j = 0; j < sizeof others / sizeof others[0]; j++) {
            if (bytes_equal_nocase(argv[i], others[j].word)) {
                i += others[j].takes;
                break;
            }
        }
    }
    return found;
}

bool command_key_is_keyword(struct bytes flags)
{
    return memmem(flags.data, flags.size, COMMAND_KEY_KEYWORD,
               strlen(COMMAND_KEY_KEYWORD)) != NULL;
}

/* GEORADIUS: the keys behind STORE and STOREDIST, the last of each. */
static void find_stores(struct command_keys *keys,
    const struct command *command, const struct bytes *argv, int argc)
{
    for (int i = -command->arity; i + 1 < argc; i++) {
        if (bytes_equal_nocase(argv[i], "store")) {
            keys->counted_next = ++i;
            keys->counted_end = i + 1;
        } else if (bytes_equal_nocase(argv[i], "storedist")) {
            keys->option = ++i;
        } else if (bytes_equal_nocase(argv[i], "count")) {
            i++;
        }
    }
}

/* The last of them, if any, names its option. */
static int find_behind_option(
    const struct command *command, const struct bytes *argv, int argc)
{
    const char *at = command->key_flags, *word = NULL;
    while ((at = strstr(at, COMMAND_KEY_UNKNOWN)) != NULL) {
        at += strlen(COMMAND_KEY_UNKNOWN);
        word = at;
    }
    return word == NULL || *word == '\0' || *word == ';'
               ? 0
               : find_option(command, argv, argc, word);
}

bool command_keys_begin(struct command_keys *keys,
    const struct command *command, const struct bytes *argv, int argc)
{
    bool valid = true;
    *keys = (struct command_keys){.step = command->key_step};
    if (command->first_key != 0) {
        int last = command->last_key;
        last = last < 0 ? last + argc : last;
        valid = last < argc && last >= command->first_key;
        keys->next = command->first_key;
        keys->end = valid ? last + 1 : keys->next;
    }
    if ((command->flags & CMD_MOVABLEKEYS) == 0) {
        return valid; /* all others are as the row says */
    }
    int counted = command_numkeys_index(command);
    if (counted != 0) {
        bool mandatory = (command->flags & CMD_NO_MANDATORY_KEYS) == 0;
        valid = find_counted(keys, argv, argc, counted, mandatory) && valid;
    } else {
        keys->option = find_behind_option(command, argv, argc);
    }
    if (strstr(command->key_flags, COMMAND_KEY_KEYWORD) != NULL) {
        find_stores(keys, command, argv, argc);
    }
    if (command_streams_index(command) != 0) {
        valid = find_streams(keys, argv, argc);
    }
    return valid;
}

int command_keys_next(struct command_keys *keys)
{
    if (keys->next < keys->end) {
        int position = keys->next;
        keys->next += keys->step;
        return position;
    }
    if (keys->counted_next < keys->counted_end) {
        return keys->counted_next++;
    }
    int position = keys->option;
    keys->option = 0;
    return position;
}

int command_keys(const struct command *command, const struct bytes *argv,
    int argc, int *positions)
{
    struct command_keys keys;
    if (!command_keys_begin(&keys, command, argv, argc)) {
        return -1;
    }
    int count = 0;
    for (int at = command_keys_next(&keys); at != 0;
         at = command_keys_next(&keys)) {
        positions[count++] = at;
    }
    return count;
}

/* ---- those whose values are needed ---- */

void request_each_needed_key(
    const struct request *request, needed_key_fn *fn, void *context)
{
    const struct command *row = request->command;
    struct command_keys keys;
    if (request->runs_queue) {
        multi_each_needed_key(request, fn, context);
        return;
    }
    if (!command_keys_begin(&keys, row, request->argv, request->argc)) {
        return;
    }
    for (int i = command_keys_next(&keys); i != 0;
         i = command_keys_next(&keys)) {
        if (row->needs(request, i) &&
            !fn(context, request->db, request->argv[i])) {
            return;
        }
    }
}

struct dry_filter {
    int64_t now_ms;
    needed_key_fn *fn;
    void *context;
    bool any;
};

static bool filter_dry(void *context, struct db *db, struct bytes key)
{
    struct dry_filter *filter = context;
    if (db_tier_size(db, TIER_DRY) == 0 ||
        db_residency(db, key, filter->now_ms) != DB_DRY) {
        return true;
    }
    filter->any = true;
    return filter->fn(filter->context, db, key);
}

bool request_each_dry_key(
    const struct request *request, needed_key_fn *fn, void *context)
{
    struct dry_filter filter = {request->now_ms, fn, context, false};
    request_each_needed_key(request, filter_dry, &filter);
    return filter.any;
}
