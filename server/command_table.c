/* The command table: one row for each line of server/commands/commands.def,
 * and what can be learned from a row alone. */
#include <stdio.h>
#include <strings.h>

#include "server/block.h"
#include "server/command.h"

#define COMMAND(parent_, name_, handler_, arity_, flags_, first_, last_,       \
    step_, key_flags_, needs_, group_, since_, acl_, tips_, complexity_,       \
    syntax_, summary_)                                                         \
    {                                                                          \
        .parent = parent_,                                                     \
        .name = name_,                                                         \
        .handler = handler_,                                                   \
        .arity = arity_,                                                       \
        .flags = flags_,                                                       \
        .first_key = first_,                                                   \
        .last_key = last_,                                                     \
        .key_step = step_,                                                     \
        .key_flags = key_flags_,                                               \
        .needs = needs_,                                                       \
        .group = group_,                                                       \
        .since = since_,                                                       \
        .acl = acl_,                                                           \
        .tips = tips_,                                                         \
        .complexity = complexity_,                                             \
        .syntax = syntax_,                                                     \
        .summary = summary_,                                                   \
    },
const struct command command_rows[] = {
#include "server/commands/commands.def"
};
#undef COMMAND

const unsigned command_row_count =
    sizeof(command_rows) / sizeof(command_rows[0]);

const struct command *command_find(struct bytes name)
{
    for (unsigned i = 0; i < command_row_count; i++) {
        const struct command *row = &command_rows[i];
        if (row->parent == NULL && bytes_equal_nocase(name, row->name)) {
            return row;
        }
    }
    return NULL;
}

const struct command *command_find_sub(
    const struct command *container, struct bytes subcommand)
{
    for (unsigned i = 0; i < command_row_count; i++) {
        const struct command *row = &command_rows[i];
        if (row->parent != NULL && strcmp(row->parent, container->name) == 0 &&
            bytes_equal_nocase(subcommand, row->name)) {
            return row;
        }
    }
    return NULL;
}

bool command_is_container(const struct command *command)
{
    for (unsigned i = 0; i < command_row_count; i++) {
        const char *parent = command_rows[i].parent;
        if (parent != NULL && strcmp(parent, command->name) == 0) {
            return command->parent == NULL;
        }
    }
    return false;
}

bool need_none(const struct request *request, int key_index)
{
    (void)request;
    (void)key_index;
    return false;
}

bool need_all(const struct request *request, int key_index)
{
    (void)request;
    (void)key_index;
    return true;
}

bool need_first(const struct request *request, int key_index)
{
    return key_index == request->command->first_key;
}

bool need_considered(const struct request *request, int key_index)
{
    return block_considers(request, request->argv[key_index]);
}

bool need_but_first(const struct request *request, int key_index)
{
    return key_index != request->command->first_key;
}

bool need_set_get(const struct request *request, int key_index)
{
    (void)key_index;
    for (int i = 3; i < request->argc; i++) {
        if (arg_is(request, i, "get")) {
            return true;
        }
    }
    return false;
}

const char *command_full_name(
    const struct command *command, char *out, size_t capacity)
{
    bool sub = command->parent != NULL;
    snprintf(out, capacity, "%s%s%s", sub ? command->parent : "",
        sub ? "|" : "", command->name);
    return out;
}
