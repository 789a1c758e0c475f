/* What larder-top is asked for on its command line; as redis-cli where both
 * have an option. */
#ifndef LARDER_SERVER_TOP_TOP_OPTIONS_H
#define LARDER_SERVER_TOP_TOP_OPTIONS_H

#include <stdbool.h>

struct top_options {
    const char *host, *path; /* path: of a Unix socket, or NULL */
    int port;
    const char *user, *password; /* NULL: none */
    double interval_s;
    bool once;
};

enum top_wish { TOP_RUN, TOP_HELPED, TOP_WRONG };

/* Strings are borrowed from argv and the environment. TOP_HELPED and
 * TOP_WRONG: all has been said. */
enum top_wish top_options_read(
    struct top_options *options, int argc, char **argv);

#endif
