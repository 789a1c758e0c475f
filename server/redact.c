#include "server/redact.h"

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

bool argument_is_secret(const struct bytes *argv, int argc, int index)
{
    if (index == 0) {
        return false;
    }
    if (bytes_equal_nocase(argv[0], "auth")) {
        return true;
    }
    if (bytes_equal_nocase(argv[0], "hello")) {
        return secret_of_hello(argv, argc, index);
    }
    if (bytes_equal_nocase(argv[0], "migrate")) {
        return secret_of_migrate(argv, argc, index);
    }
    if (bytes_equal_nocase(argv[0], "config")) {
        return bytes_equal_nocase(argv[1], "set") &&
               secret_of_config_set(argv, index);
    }
    return bytes_equal_nocase(argv[0], "acl") && index >= 2 &&
           bytes_equal_nocase(argv[1], "setuser");
}
