/* What the containers share: the answer to "<container> HELP" and the error
 * for a subcommand whose arguments do not fit. */
#include <ctype.h>
#include <stdio.h>

#include "server/command.h"

/* The container's name in capitals, as the client wrote it. */
static void container_name(
    const struct request *request, char *out, size_t capacity)
{
    const struct bytes name = request->argv[0];
    size_t size = name.size < capacity - 1 ? name.size : capacity - 1;
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)toupper((unsigned char)name.data[i]);
    }
    out[size] = '\0';
}

void help_reply(struct request *request, const char *const *lines)
{
    char name[32], title[96];
    container_name(request, name, sizeof(name));
    snprintf(title, sizeof(title),
        "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    size_t count = 0;
    while (lines[count] != NULL) {
        count++;
    }
    reply_array(request->reply, count + 3);
    reply_status(request->reply, title);
    for (size_t i = 0; i < count; i++) {
        reply_status(request->reply, lines[i]);
    }
    reply_status(request->reply, "HELP");
    reply_status(request->reply, "    Prints this help.");
}

void error_subcommand_syntax(struct request *request)
{
    char name[32];
    container_name(request, name, sizeof(name));
    const struct bytes word = request->argv[1];
    int shown = word.size < 128 ? (int)word.size : 128;
    reply_error(request->reply,
        "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
        "Try %s HELP.",
        shown, word.data, name);
}
