/* Texts that must be a file name, a host name or a process title. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "server/directive.h"

static bool refuse(char *reason, const char *text)
{
    snprintf(reason, CONFIG_REASON_BYTES, "%s", text);
    return false;
}

static bool check_no_path(const struct directive *directive, const char *text,
    const char *what, char *reason)
{
    if (*text != '\0' && strchr(text, '/') == NULL && strcmp(text, ".") != 0 &&
        strcmp(text, "..") != 0) {
        return true;
    }
    snprintf(reason, CONFIG_REASON_BYTES, "%s can't be a path, just a %s",
        directive->name, what);
    return false;
}

bool check_file_name(
    const struct directive *directive, const char *text, char *reason)
{
    return check_no_path(directive, text, "filename", reason);
}

bool check_directory_name(
    const struct directive *directive, const char *text, char *reason)
{
    return check_no_path(directive, text, "dirname", reason);
}

bool check_host_name(
    const struct directive *directive, const char *text, char *reason)
{
    (void)directive;
    if (strlen(text) >= 256) {
        return refuse(reason, "Hostnames must be less than 256 characters");
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.') {
            return refuse(reason, "Hostnames may only contain alphanumeric "
                                  "characters, hyphens or dots");
        }
    }
    return true;
}

/* The system takes no longer ones; libuv would cut it. */
bool check_socket_path(
    const struct directive *directive, const char *text, char *reason)
{
    (void)directive;
    struct sockaddr_un address;
    return strlen(text) < sizeof(address.sun_path) ||
           refuse(reason, "the path of a Unix socket must be shorter than 108 "
                          "bytes");
}

/* Every {word} must be one that Redis would fill in. */
bool check_title(
    const struct directive *directive, const char *text, char *reason)
{
    (void)directive;
    static const char *const known[] = {"{title}", "{listen-addr}",
        "{server-mode}", "{port}", "{tls-port}", "{unixsocket}",
        "{config-file}"};
    const char *open = text;
    while ((open = strchr(open, '{')) != NULL) {
        size_t size = 0;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (strncmp(open, known[i], strlen(known[i])) == 0) {
                size = strlen(known[i]);
            }
        }
        if (size == 0) {
            return refuse(reason,
                "template format is invalid or contains unknown variables");
        }
        open += size;
    }
    return true;
}
