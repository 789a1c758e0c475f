#include "server/redact.h"

#include "server/command.h"
#include "server/directive.h"

static bool secret_of_hello(const struct bytes *argv, int argc, int index)
{
    for (int i = 2; i + 2 < argc; i++) {
        if (bytes_equal_nocase(argv[i], "auth")) {
            return index == i + 1 || index == i + 2;
        }
    }
    return false;
}

static bool secret_of_migrate(const struct bytes *argv, int argc, int index)
{
    for (int i = 6; i < argc; i++) {
        if (bytes_equal_nocase(argv[i], "auth")) {
            return index == i + 1;
        }
        if (bytes_equal_nocase(argv[i], "auth2")) {
            return index == i + 1 || index == i + 2;
        }
    }
    return false;
}

/* CONFIG SET name value ...: values of sensitive directives. */
static bool secret_of_config_set(const struct bytes *argv, int index)
{
    if (index < 3 || index % 2 == 0) {
        return false;
    }
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        if ((row->flags & DIRECTIVE_SENSITIVE) != 0 &&
            bytes_equal_nocase(argv[index - 1], row->name)) {
            return true;
        }
    }
    return false;
}

static bool is_command(
    const struct command *command, const char *parent, const char *name)
{
    bool same_parent =
        parent == NULL
            ? command->parent == NULL
            : command->parent != NULL && strcmp(command->parent, parent) == 0;
    return same_parent && strcmp(command->name, name) == 0;
}

bool argument_is_secret(const struct command *command, const struct bytes *argv,
    int argc, int index)
{
    if (index == 0) {
        return false;
    }
    if (is_command(command, NULL, "auth")) {
        return true;
    }
    if (is_command(command, NULL, "hello")) {
        return secret_of_hello(argv, argc, index);
    }
    if (is_command(command, NULL, "migrate")) {
        return secret_of_migrate(argv, argc, index);
    }
    if (is_command(command, "config", "set")) {
        return secret_of_config_set(argv, index);
    }
    return is_command(command, "acl", "setuser") && index >= 2;
}
