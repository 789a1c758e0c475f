/* Configuration: redis.conf's grammar, every directive Redis 7.0 knows, and
 * the values larder acts on.
 *
 * One table (server/directives.def) has a row for each directive: name, kind,
 * default, bounds, whether CONFIG SET may change it, and either the field of
 * struct config it fills or "accepted, no effect". Engine thread. */
#ifndef LARDER_SERVER_CONFIG_H
#define LARDER_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "tiers/db.h"
#include "tiers/namespace.h"

struct bytes;
struct command;
struct log;

struct save_point {
    uint64_t seconds, changes;
};
struct output_limit { /* client-output-buffer-limit of one class */
    uint64_t hard_bytes, soft_bytes;
    uint64_t soft_seconds;
};
enum output_class {
    OUTPUT_NORMAL,
    OUTPUT_REPLICA,
    OUTPUT_PUBSUB,
    OUTPUT_CLASSES
};
enum append_fsync {
    APPEND_FSYNC_ALWAYS,
    APPEND_FSYNC_EVERYSEC,
    APPEND_FSYNC_NO
};
enum config_supervised {
    SUPERVISED_NO,
    SUPERVISED_AUTO,
    SUPERVISED_SYSTEMD,
    SUPERVISED_UPSTART
};
/* shutdown-on-sigint and shutdown-on-sigterm: 0 is "default", else a set. */
enum config_shutdown {
    CONFIG_SHUTDOWN_SAVE = 1 << 0,
    CONFIG_SHUTDOWN_NOSAVE = 1 << 1,
    CONFIG_SHUTDOWN_NOW = 1 << 2,
    CONFIG_SHUTDOWN_FORCE = 1 << 3,
};
/* enable-debug-command and enable-protected-configs. */
enum config_allow { CONFIG_ALLOW_NO, CONFIG_ALLOW_YES, CONFIG_ALLOW_LOCAL };

struct config_namespace { /* `namespace` of one prefix */
    char *prefix;
    struct namespace_options options; /* only what is given */
};

struct config_rename { /* rename-command; `to` is "" when it is taken away */
    char *from, *to;
};

struct config_user { /* a `user` line; all heap */
    char *name;
    char **rules; /* selectors in one piece */
    int rule_count;
};

/* A directive without effect keeps its value here, by row. */
union config_value {
    bool yes;
    int choice;
    int64_t number;
    char *text;
};

#define CONFIG_BIND_MAX 16
#define CONFIG_PERCENTILES_MAX 32

/* A field per directive larder implements: its name with '-' as '_'. Sizes
 * in bytes, durations in the directive's own unit. Strings are heap, never
 * NULL. */
struct config {
    /* where clients come in */
    char **bind;
    char *unixsocket; /* "": none */
    unsigned bind_count;
    bool protected_mode;
    int64_t port;           /* 0: no TCP */
    int64_t unixsocketperm; /* 0: as the umask has it */
    int64_t tcp_backlog;
    int64_t timeout; /* seconds, 0: never */
    int64_t tcp_keepalive;
    int64_t maxclients;
    char *requirepass;         /* "": none */
    char *aclfile;             /* "": none */
    struct config_user *users; /* as the file has them */
    unsigned user_count;
    int acl_pubsub_default; /* 0: new users hear all channels, 1: none */
    int64_t acllog_max_len;
    int64_t active_expire_effort;
    uint64_t proto_max_bulk_len;
    uint64_t client_query_buffer_limit;
    struct output_limit client_output_buffer_limit[OUTPUT_CLASSES];
    struct config_rename *renames;
    unsigned rename_count;

    /* what is kept, and where */
    struct namespace_options tier_defaults;
    struct config_namespace *namespaces; /* in the order they came */
    unsigned namespace_count;
    int maxmemory_policy; /* enum engine_policy */
    int64_t databases;
    struct value_limits values;
    int64_t stream_node_max_entries;
    uint64_t maxmemory; /* as configured, 0: 60 % of what there is */
    struct save_point *save;
    unsigned save_count;
    int appendfsync;         /* enum append_fsync */
    char *dir;               /* absolute; also the process' working directory */
    char *dry_dir;           /* see config_dry_path; ours */
    uint64_t dry_maxsize;    /* bytes on disk, 0: what the disk allows; ours */
    uint64_t dry_page_cache; /* bytes, 0: what maxmemory leaves; ours */
    int64_t dry_readers;     /* reader threads; ours */
    int64_t wakeup_coalesce_us; /* longest nap of the loop; ours */
    bool warm_restart;          /* ours */
    uint64_t hll_sparse_max_bytes;
    bool appendonly;
    bool rdbcompression;
    bool stop_writes_on_bgsave_error;

    /* scripts */
    bool scripting;               /* no: EVAL and all of it is refused; ours */
    uint64_t script_maxmemory;    /* bytes for Lua; ours */
    int64_t busy_reply_threshold; /* ms until others are told BUSY, 0: never */

    /* the process */
    bool daemonize;
    bool syslog_enabled;
    int syslog_facility; /* 0: user, 1 to 8: local0 to local7 */
    char *syslog_ident;
    char *logfile;
    char *pidfile;
    char *config_path; /* file given at start, absolute, or "" */
    int loglevel;      /* enum log_level */
    int supervised;    /* enum config_supervised */
    int shutdown_on_sigint, shutdown_on_sigterm; /* enum config_shutdown */
    int enable_debug_command, enable_protected_configs; /* config_allow */
    int64_t hz;

    /* what is watched */
    int64_t slowlog_log_slower_than; /* us; negative: off */
    int64_t slowlog_max_len;
    int64_t latency_monitor_threshold;                  /* ms, 0: off */
    double latency_percentiles[CONFIG_PERCENTILES_MAX]; /* 0 to 100 */
    unsigned latency_percentile_count;
    bool latency_tracking;
    int64_t tracking_table_max_keys; /* 0: any number */
    uint32_t notify_events; /* notify-keyspace-events: enum keyspace_class */

    /* about the directives themselves */
    bool loading;               /* config_load is at work */
    bool save_given;            /* a `save` replaced the default ones */
    union config_value *stored; /* by row: directives without effect */
    bool *given;                /* by row: set in the file or by CONFIG SET */
    bool *warned;               /* by row: its warning has been logged */
};

/* Defaults. */
void config_init(struct config *config);
void config_finish(struct config *config);
/* Makes `to` (not initialised) a deep copy of `from`. */
void config_copy(struct config *to, const struct config *from);

/* Reads what redis-server's command line means: an optional file ("-":
 * standard input), then --name value ... options. argv[0] is the program.
 * Changes the working directory when `dir` is set. On failure prints Redis'
 * fatal error form (file, line number, the line, the reason) to standard
 * error and returns false. */
bool config_load(struct config *config, int argc, char **argv);

/* The store's directory, heap: dry-dir, below `dir` unless it is absolute. */
char *config_dry_path(const struct config *config);

/* The command that clients mean by `name` after rename-command, or NULL. */
const struct command *config_find_command(
    const struct config *config, struct bytes name);

/* Brings values that Redis takes but quietly bounds (hz) into their bounds.
 * config_load has done so; after CONFIG SET. */
void config_settle(struct config *config);

/* One warning for each directive set so far that larder accepts without
 * effect, each only once. */
void config_log_warnings(struct config *config, struct log *log);

#endif
