/* COMMAND DOCS: everything the table says about a command in words. */
#include <ctype.h>
#include <stdio.h>

#include "server/command.h"
#include "server/commands/command_syntax.h"

/* How often keys were met so far in one command: where each key has a key
 * spec of its own, that is the spec's number. */
struct docs {
    struct reply *reply;
    struct scratch *scratch;
    bool spec_each;
    int keys;
};

static bool one_of(struct bytes name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (bytes_equal(name, bytes_of(*names, strlen(*names)))) {
            return true;
        }
    }
    return false;
}

static const char *type_of_name(struct bytes name)
{
    static const char *const keys[] = {"key", "key1", "key2", "newkey",
        "source", "destination", "destkey", NULL};
    static const char *const integers[] = {"seconds", "milliseconds", "count",
        "index", "index1", "index2", "offset", "start", "end", "stop",
        "increment-by", "decrement", "timeout", "cursor", "client-id",
        "protover", "destination-db", "db", "len", "numkeys", "threshold",
        "port", "version", "size", "numreplicas", "min-match-len", "slot",
        NULL};
    if (one_of(name, keys)) {
        return "key";
    }
    if (one_of(name, integers)) {
        return "integer";
    }
    if (bytes_equal(name, BYTES("pattern"))) {
        return "pattern";
    }
    bool unix_time = name.size > 9 && memcmp(name.data, "unix-time", 9) == 0;
    return unix_time ? "unix-time" : "string";
}

/* The argument's name, or one made of its parts: "ex_px_keepttl". */
static size_t write_name(const struct syntax *node, char *out, size_t room)
{
    if (node->kind == SYNTAX_ONEOF || node->kind == SYNTAX_BLOCK) {
        size_t size = 0;
        for (node = node->children; node != NULL; node = node->next) {
            size += write_name(node, out + size, room - size);
            if (node->next != NULL && size < room) {
                out[size++] = '_';
            }
        }
        return size;
    }
    bool token = node->kind == SYNTAX_TOKEN;
    struct bytes name = token ? node->token : node->name;
    size_t size = name.size < room ? name.size : room;
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)tolower((unsigned char)name.data[i]);
    }
    return size;
}

static void reply_flags(struct reply *reply, const struct syntax *node)
{
    unsigned count = (unsigned)node->optional + (unsigned)node->multiple +
                     (unsigned)node->multiple_token;
    if (count == 0) {
        return;
    }
    reply_bulk_text(reply, "flags");
    reply_set(reply, count);
    if (node->optional) {
        reply_status(reply, "optional");
    }
    if (node->multiple) {
        reply_status(reply, "multiple");
    }
    if (node->multiple_token) {
        reply_status(reply, "multiple_token");
    }
}

static void reply_arguments(struct docs *docs, const struct syntax *first);

static void reply_argument(struct docs *docs, const struct syntax *node)
{
    static const char *const types[] = {"", "pure-token", "oneof", "block"};
    struct reply *reply = docs->reply;
    bool leaf = node->kind == SYNTAX_NAME;
    const char *type = leaf ? type_of_name(node->name) : types[node->kind];
    bool key = strcmp(type, "key") == 0;
    bool flags = node->optional || node->multiple;
    char name[64];
    size_t fields = 2 + (size_t)key + (node->token.size > 0) + (size_t)flags +
                    (node->children != NULL);
    reply_map(reply, fields);
    reply_bulk_text(reply, "name");
    reply_bulk(reply, bytes_of(name, write_name(node, name, sizeof(name))));
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, type);
    if (key) {
        reply_bulk_text(reply, "key_spec_index");
        reply_integer(reply, docs->spec_each ? docs->keys : 0);
        docs->keys++;
    }
    if (node->token.size > 0) {
        reply_bulk_text(reply, "token");
        reply_bulk(reply, node->token);
    }
    reply_flags(reply, node);
    if (node->children != NULL) {
        reply_bulk_text(reply, "arguments");
        reply_arguments(docs, node->children);
    }
}

static void reply_arguments(struct docs *docs, const struct syntax *first)
{
    size_t mark = reply_begin(docs->reply);
    size_t count = 0;
    for (; first != NULL; first = first->next) {
        reply_argument(docs, first);
        count++;
    }
    reply_end(docs->reply, mark, REPLY_ARRAY, count);
}

static void reply_field(struct reply *reply, const char *name, const char *text)
{
    reply_bulk_text(reply, name);
    reply_bulk_text(reply, text);
}

static void reply_docs(struct docs *docs, const struct command *row);

static void reply_subcommands(struct docs *docs, const struct command *row)
{
    char name[COMMAND_NAME_MAX];
    size_t mark = reply_begin(docs->reply);
    size_t count = 0;
    for (unsigned i = 0; i < command_row_count; i++) {
        const struct command *sub = &command_rows[i];
        if (sub->parent != NULL && strcmp(sub->parent, row->name) == 0) {
            command_full_name(sub, name, sizeof(name));
            reply_bulk_text(docs->reply, name);
            reply_docs(docs, sub);
            count++;
        }
    }
    reply_end(docs->reply, mark, REPLY_MAP, count);
}

static void reply_docs(struct docs *docs, const struct command *row)
{
    struct reply *reply = docs->reply;
    size_t mark = reply_begin(reply);
    size_t count = 3;
    reply_field(reply, "summary", row->summary);
    reply_field(reply, "since", row->since);
    reply_field(reply, "group", row->group);
    if (row->complexity[0] != '\0') {
        reply_field(reply, "complexity", row->complexity);
        count++;
    }
    if (row->syntax[0] != '\0') {
        docs->keys = 0;
        docs->spec_each = strchr(row->key_flags, ';') != NULL;
        reply_bulk_text(reply, "arguments");
        reply_arguments(docs, syntax_parse(row->syntax, docs->scratch));
        count++;
    }
    if (command_is_container(row)) {
        reply_bulk_text(reply, "subcommands");
        reply_subcommands(docs, row);
        count++;
    }
    reply_end(reply, mark, REPLY_MAP, count);
}

void cmd_command_docs(struct request *request)
{
    struct docs docs = {.reply = request->reply, .scratch = request->scratch};
    char name[COMMAND_NAME_MAX];
    size_t mark = reply_begin(request->reply);
    size_t count = 0;
    bool all = request->argc == 2;
    unsigned wanted = all ? command_row_count : (unsigned)(request->argc - 2);
    for (unsigned i = 0; i < wanted; i++) {
        const struct command *row =
            all ? &command_rows[i] : command_find_full(request->argv[i + 2]);
        if (row == NULL || (all && row->parent != NULL)) {
            continue;
        }
        command_full_name(row, name, sizeof(name));
        reply_bulk_text(request->reply, name);
        reply_docs(&docs, row);
        count++;
    }
    reply_end(request->reply, mark, REPLY_MAP, count);
}
