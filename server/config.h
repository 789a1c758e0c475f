/* Configuration: redis.conf's grammar, every directive Redis 7.0 knows, and
 * the values larder acts on.
 *
 * One table (server/directives.def) has a row for each directive: name, kind,
 * default, bounds, whether CONFIG SET may change it, and either the field of
 * struct config it fills or "accepted, no effect". */
#ifndef LARDER_SERVER_CONFIG_H
#define LARDER_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct bytes;
struct reply;
struct server;

struct save_point {
    uint64_t seconds, changes;
};
struct output_limit { /* client-output-buffer-limit of one class */
    uint64_t hard_bytes, soft_bytes;
    uint64_t soft_seconds;
};
enum output_class { OUTPUT_NORMAL, OUTPUT_REPLICA, OUTPUT_PUBSUB,
    OUTPUT_CLASSES };

/* A field per directive larder implements: its name with '-' as '_'. Sizes
 * in bytes, durations in the directive's own unit. Strings are heap, never
 * NULL. */
struct config {
    char **bind;
    unsigned bind_count;
    int64_t port; /* 0: no TCP */
    int64_t tcp_backlog;
    char *unixsocket; /* "": none */
    int64_t unixsocketperm;
    bool protected_mode;
    int64_t timeout; /* seconds, 0: never */
    int64_t tcp_keepalive;
    int64_t maxclients;
    char *requirepass; /* "": none */
    int64_t databases;
    uint64_t maxmemory; /* as configured, 0: 60 % of what there is */
    int maxmemory_policy; /* enum engine_policy */
    uint64_t maxmemory_clients;
    bool appendonly;
    int appendfsync; /* enum append_fsync */
    struct save_point *save;
    unsigned save_count;
    char *dir;
    char *logfile;
    int loglevel; /* enum log_level */
    bool daemonize;
    char *pidfile;
    int supervised;
    int64_t hz;
    int64_t active_expire_effort;
    int64_t slowlog_log_slower_than; /* us; negative: off */
    int64_t slowlog_max_len;
    int64_t latency_monitor_threshold;
    bool latency_tracking;
    uint64_t proto_max_bulk_len;
    uint64_t client_query_buffer_limit;
    struct output_limit client_output_buffer_limit[OUTPUT_CLASSES];
    int64_t dry_maxsize;  /* bytes on disk, ours: "dry-maxsize" */
    int64_t dry_readers;  /* reader threads, ours: "dry-readers" */
    char *dry_dir;        /* ours: directory of the store below `dir` */
    char *config_path;    /* file given at start, absolute, or "" */
    /* ... further fields are added with their directives.def rows */
};
enum append_fsync { APPEND_FSYNC_ALWAYS, APPEND_FSYNC_EVERYSEC,
    APPEND_FSYNC_NO };

/* Defaults. */
void config_init(struct config *config);
void config_finish(struct config *config);

/* Reads what redis-server's command line means: an optional file ("-":
 * standard input), then --name value ... options. On failure prints Redis'
 * fatal error form (file, line number, the line, the reason) to standard
 * error and returns false. Directives without effect are collected as one
 * warning each for config_log_warnings. */
bool config_load(struct config *config, int argc, char **argv);
void config_log_warnings(const struct config *config, struct server *server);

#endif
