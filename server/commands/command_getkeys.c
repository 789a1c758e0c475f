/* COMMAND GETKEYS and GETKEYSANDFLAGS: the keys of a command that is given as
 * arguments, as proxies and cluster clients ask for them. */
#include "server/commands/bit.h"

/* The words of `flags` as a set of statuses. */
void command_reply_key_flags(struct reply *reply, struct bytes flags)
{
    char word[32];
    size_t mark = reply_begin(reply);
    size_t count = 0;
    size_t at = 0;
    while (at < flags.size) {
        size_t size = 0;
        while (at < flags.size && flags.data[at] != ' ') {
            check(size < sizeof(word) - 1);
            word[size++] = flags.data[at++];
        }
        at++;
        /* numkeys=N and the like say where keys are, not what they are
         * for. */
        if (size > 0 && memchr(word, '=', size) == NULL) {
            word[size] = '\0';
            reply_status(reply, word);
            count++;
        }
    }
    reply_end(reply, mark, REPLY_SET, count);
}

/* The row of the command in argv[2...], or NULL after an error. */
static const struct command *find_inner(struct request *request)
{
    const struct command *row = command_find(request->argv[2]);
    if (row != NULL && command_is_container(row) && request->argc > 3) {
        const struct command *sub = command_find_sub(row, request->argv[3]);
        row = sub != NULL || row->handler == NULL ? sub : row;
    }
    if (row == NULL) {
        reply_error(request->reply, "ERR Invalid command specified");
        return NULL;
    }
    if (row->first_key == 0 && command_numkeys_index(row) == 0 &&
        command_streams_index(row) == 0) {
        reply_error(request->reply, "ERR The command has no key arguments");
        return NULL;
    }
    int argc = request->argc - 2;
    if ((row->arity > 0 && argc != row->arity) || argc < -row->arity) {
        reply_error(request->reply,
            "ERR Invalid number of arguments specified for command");
        return NULL;
    }
    return row;
}

/* "unknown=" with nothing behind it: the keys are in no argument at all. */
static bool names_no_argument(const char *flags, size_t size)
{
    size_t mark = strlen(COMMAND_KEY_UNKNOWN);
    return size >= mark &&
           memcmp(flags + size - mark, COMMAND_KEY_UNKNOWN, mark) == 0;
}

struct bytes command_key_flags(
    const struct request *request, int position, int number)
{
    const char *at = request->command->key_flags;
    size_t size = strcspn(at, ";");
    while (number > 0 && at[size] == ';') {
        at += size + 1;
        size = strcspn(at, ";");
        number -= !names_no_argument(at, size);
    }
    static const char variable[] = " variable_flags";
    size_t tail = sizeof(variable) - 1;
    if (size < tail || memcmp(at + size - tail, variable, tail) != 0) {
        return bytes_of(at, size);
    }
    if (request->command->handler == cmd_bitfield &&
        bit_field_only_reads(request)) {
        return BYTES("RO access");
    }
    /* The command reads the old value only with some of its options. */
    return request->command->needs(request, position)
               ? bytes_of(at, size - tail)
               : BYTES("OW update");
}

static void getkeys(struct request *request, bool with_flags)
{
    const struct command *row = find_inner(request);
    if (row == NULL) {
        return;
    }
    struct request inner = *request;
    inner.command = row;
    inner.argv = request->argv + 2;
    inner.argc = request->argc - 2;
    int *positions = scratch_alloc(
        request->scratch, (size_t)inner.argc * sizeof(*positions));
    int count = command_keys(row, inner.argv, inner.argc, positions);
    if (count < 0) {
        reply_error(
            request->reply, "ERR Invalid arguments specified for command");
        return;
    }
    reply_array(request->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        if (with_flags) {
            reply_array(request->reply, 2);
        }
        reply_bulk(request->reply, inner.argv[positions[i]]);
        if (with_flags) {
            command_reply_key_flags(
                request->reply, command_key_flags(&inner, positions[i], i));
        }
    }
}

void cmd_command_getkeys(struct request *request)
{
    getkeys(request, false);
}

void cmd_command_getkeysandflags(struct request *request)
{
    getkeys(request, true);
}
