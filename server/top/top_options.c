#include "server/top/top_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 3600.0

static const char usage[] =
    "Usage: larder-top [options]\n"
    "Where the data of a larder server is, and how it moves.\n"
    "\n"
    "  -h <host>      server's address (127.0.0.1)\n"
    "  -p <port>      its port (6379)\n"
    "  -s <path>      its Unix socket instead\n"
    "  -a <password>  to give; the environment's REDISCLI_AUTH is as good\n"
    "  --user <name>  with the password of this user\n"
    "  -i <seconds>   time between two looks (2)\n"
    "  -1             print once, rates since the server's start, and end\n"
    "  --help         print this\n"
    "\n"
    "Keys: q ends, arrows and page keys scroll, space looks at once.\n";

static enum top_wish complain(const char *what, const char *word)
{
    fprintf(
        stderr, "larder-top: %s '%s'\nTry larder-top --help.\n", what, word);
    return TOP_WRONG;
}

static bool read_number(
    const char *text, double low, double high, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= low && *value <= high;
}

/* An option that has a value. */
static enum top_wish read_value(
    struct top_options *options, const char *name, const char *value)
{
    double number;
    if (strcmp(name, "-h") == 0) {
        options->host = value;
    } else if (strcmp(name, "-s") == 0) {
        options->path = value;
    } else if (strcmp(name, "-a") == 0) {
        options->password = value;
    } else if (strcmp(name, "--user") == 0) {
        options->user = value;
    } else if (strcmp(name, "-p") == 0) {
        if (!read_number(value, 1, 65535, &number)) {
            return complain("not a port:", value);
        }
        options->port = (int)number;
    } else if (strcmp(name, "-i") == 0) {
        if (!read_number(value, INTERVAL_MIN_S, INTERVAL_MAX_S, &number)) {
            return complain("not 0.1 to 3600 seconds:", value);
        }
        options->interval_s = number;
    } else {
        return complain("unknown option", name);
    }
    return TOP_RUN;
}

enum top_wish top_options_read(
    struct top_options *options, int argc, char **argv)
{
    *options = (struct top_options){
        .host = "127.0.0.1",
        .port = 6379,
        .password = getenv("REDISCLI_AUTH"),
        .interval_s = 2,
    };
    for (int i = 1; i < argc; i++) {
        enum top_wish wish = TOP_RUN;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return TOP_HELPED;
        }
        if (strcmp(argv[i], "-1") == 0) {
            options->once = true;
        } else if (i + 1 < argc) {
            wish = read_value(options, argv[i], argv[i + 1]);
            i++;
        } else {
            wish = complain("unknown option, or without its value:", argv[i]);
        }
        if (wish != TOP_RUN) {
            return wish;
        }
    }
    return TOP_RUN;
}
