/* INFO's sections about the process and its surroundings. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/commands/info.h"
#include "server/conn.h"
#include "server/tracking.h"

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

static const char *supervised_name(int supervised)
{
    switch (supervised) {
    case SUPERVISED_SYSTEMD:
        return "systemd";
    case SUPERVISED_UPSTART:
        return "upstart";
    case SUPERVISED_AUTO:
        return getenv("NOTIFY_SOCKET") != NULL ? "systemd" : "no";
    default:
        return "no";
    }
}

static void write_program(struct info *info)
{
    struct utsname system;
    if (uname(&system) != 0) {
        memset(&system, 0, sizeof(system));
    }
    info_line(info, "redis_version", "%s", LARDER_REDIS_VERSION);
    info_line(info, "larder_version", "%s", LARDER_VERSION);
    info_line(info, "redis_git_sha1", "00000000");
    info_number(info, "redis_git_dirty", 0);
    info_line(info, "redis_build_id", "larder-%s", LARDER_VERSION);
    info_line(info, "redis_mode", "standalone");
    info_line(
        info, "os", "%s %s %s", system.sysname, system.release, system.machine);
    info_number(info, "arch_bits", sizeof(void *) * 8);
    info_line(info, "monotonic_clock", "POSIX clock_gettime");
    info_line(info, "multiplexing_api", "epoll");
    info_line(info, "atomicvar_api", "c11-builtin");
    info_line(info, "gcc_version",
        TEXT_OF(__GNUC__) "." TEXT_OF(__GNUC_MINOR__) "." TEXT_OF(
            __GNUC_PATCHLEVEL__));
}

void info_server(struct info *info)
{
    const struct server *server = info->server;
    const struct config *config = &server->config;
    char path[1024];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length < 0 ? 0 : length] = '\0';
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t up_s = (server_mono_us() / 1000 - server->start_mono_ms) / 1000;
    write_program(info);
    info_number(info, "process_id", (uint64_t)getpid());
    info_line(
        info, "process_supervised", "%s", supervised_name(config->supervised));
    info_line(info, "run_id", "%s", server->run_id);
    info_line(info, "tcp_port", "%lld", (long long)config->port);
    info_line(info, "server_time_usec", "%lld%06ld", (long long)now.tv_sec,
        now.tv_nsec / 1000);
    info_number(info, "uptime_in_seconds", up_s);
    info_number(info, "uptime_in_days", up_s / 86400);
    info_line(info, "hz", "%lld", (long long)config->hz);
    info_line(info, "configured_hz", "%lld", (long long)config->hz);
    info_number(info, "lru_clock", (uint64_t)(info->now_ms / 1000) & 0xffffff);
    info_line(info, "executable", "%s", path);
    info_line(info, "config_file", "%s", config->config_path);
    info_number(info, "io_threads_active", 0);
}

void info_clients(struct info *info)
{
    const struct server *server = info->server;
    size_t most_input = 0, most_output = 0;
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        size_t input = conn_input_bytes(conn), output = conn_output_bytes(conn);
        most_input = input > most_input ? input : most_input;
        most_output = output > most_output ? output : most_output;
    }
    info_number(info, "connected_clients", server->conn_count);
    info_number(info, "cluster_connections", 0);
    info_line(info, "maxclients", "%lld", (long long)server->config.maxclients);
    info_number(info, "client_recent_max_input_buffer", most_input);
    info_number(info, "client_recent_max_output_buffer", most_output);
    info_number(info, "blocked_clients", server->blocked_count);
    info_number(
        info, "tracking_clients", tracking_figures(server->tracking).conns);
    info_number(info, "clients_in_timeout_table", server->block_timers);
    info_number(info, "watching_clients", server->watching_conns);
    info_number(info, "total_watched_keys", server->watch_count);
    info_number(info, "clients_waiting_for_disk", server->stats.parked_reads);
    info_number(info, "clients_waiting_for_room", server->stats.parked_writes);
}

void info_replication(struct info *info)
{
    info_line(info, "role", "master");
    info_number(info, "connected_slaves", 0);
    info_line(info, "master_failover_state", "no-failover");
    info_line(info, "master_replid", "%s", info->server->run_id);
    info_line(info, "master_replid2", "%040d", 0);
    info_number(info, "master_repl_offset", 0);
    info_line(info, "second_repl_offset", "-1");
    info_number(info, "repl_backlog_active", 0);
    info_number(info, "repl_backlog_size", 0);
    info_number(info, "repl_backlog_first_byte_offset", 0);
    info_number(info, "repl_backlog_histlen", 0);
}

static void write_cpu(struct info *info, const char *who, int target)
{
    struct rusage usage;
    char name[48];
    getrusage(target, &usage);
    snprintf(name, sizeof(name), "used_cpu_sys%s", who);
    info_line(info, name, "%ld.%06ld", (long)usage.ru_stime.tv_sec,
        (long)usage.ru_stime.tv_usec);
    snprintf(name, sizeof(name), "used_cpu_user%s", who);
    info_line(info, name, "%ld.%06ld", (long)usage.ru_utime.tv_sec,
        (long)usage.ru_utime.tv_usec);
}

void info_cpu(struct info *info)
{
    write_cpu(info, "", RUSAGE_SELF);
    write_cpu(info, "_children", RUSAGE_CHILDREN);
    write_cpu(info, "_main_thread", RUSAGE_THREAD);
}

void info_modules(struct info *info)
{
    (void)info; /* the title alone says that there are none */
}

void info_cluster(struct info *info)
{
    info_number(info, "cluster_enabled", 0);
}
