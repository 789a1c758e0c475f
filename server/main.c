/* larder-server: configuration from the command line, then server_run. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/allocator.h"
#include "server/server.h"
#include "server/startup.h"

static void print_version(void)
{
    printf("larder-server v=%s bits=%d redis=%s\n", LARDER_VERSION,
        (int)sizeof(void *) * 8, LARDER_REDIS_VERSION);
}

static void print_help(void)
{
    puts("Usage: larder-server [FILE | -] [--NAME VALUE ...]\n"
         "\n"
         "A Redis-compatible server that holds more than fits in memory.\n"
         "FILE is in redis.conf's format, - reads it from standard input;\n"
         "each --NAME VALUE is a line of it and wins over the file.\n"
         "\n"
         "  larder-server --port 7777 --maxmemory 600mb --dir /var/lib/larder\n"
         "\n"
         "  -v, --version   print the version\n"
         "  -h, --help      print this");
}

static bool is_option(const char *word, const char *brief, const char *full)
{
    return strcmp(word, brief) == 0 || strcmp(word, full) == 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && is_option(argv[1], "-v", "--version")) {
        print_version();
        return 0;
    }
    if (argc == 2 && is_option(argv[1], "-h", "--help")) {
        print_help();
        return 0;
    }
    setlocale(LC_COLLATE, ""); /* SORT ALPHA orders as people here do */
    struct server *server = xcalloc(1, sizeof(*server));
    config_init(&server->config);
    int exit_code = 1;
    if (config_load(&server->config, argc, argv)) {
        if (!server->config.daemonize || startup_daemonize()) {
            allocator_start();
            exit_code = server_run(server);
        }
    }
    config_finish(&server->config);
    free(server);
    return exit_code;
}
