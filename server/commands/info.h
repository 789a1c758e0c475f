/* INFO: one function a section, each writing its "name:value" lines. One
 * thread. */
#ifndef LARDER_SERVER_COMMANDS_INFO_H
#define LARDER_SERVER_COMMANDS_INFO_H

#include <stdio.h>

#include "server/server.h"

struct info {
    struct server *server;
    struct engine *engine;
    int64_t now_ms;
    struct engine_stats stats; /* as of this INFO */
    FILE *out;
};

typedef void info_fn(struct info *info);
info_fn info_server, info_clients, info_memory, info_persistence, info_stats,
    info_replication, info_cpu, info_modules, info_commandstats,
    info_errorstats, info_latencystats, info_cluster, info_keyspace, info_tiers,
    info_namespaces;

/* One line; printf-like value. */
void info_line(struct info *info, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void info_number(struct info *info, const char *name, uint64_t value);
/* "name:bytes" and "name_human:1.50M". */
void info_bytes(struct info *info, const char *name, uint64_t bytes);
/* Fields that Redis has and that are always 0 here. */
void info_zeros(struct info *info, const char *const *names);

#endif
