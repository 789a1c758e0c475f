/* INFO's sections that count: stats, commandstats, errorstats, latencystats,
 * keyspace. */
#include "server/commands/info.h"
#include "server/pubsub.h"
#include "server/tracking.h"

static void write_traffic(struct info *info)
{
    static const char *const none[] = {
        "total_net_repl_input_bytes", "total_net_repl_output_bytes", NULL};
    const struct stats *stats = &info->server->stats;
    info_number(
        info, "total_connections_received", stats->connections_received);
    info_number(info, "total_commands_processed", stats->commands_processed);
    info_number(
        info, "instantaneous_ops_per_sec", stats_rate(&stats->ops_rate));
    info_number(info, "total_net_input_bytes", stats->net_input_bytes);
    info_number(info, "total_net_output_bytes", stats->net_output_bytes);
    info_zeros(info, none);
    info_line(info, "instantaneous_input_kbps", "%.2f",
        (double)stats_rate(&stats->input_rate) / 1024);
    info_line(info, "instantaneous_output_kbps", "%.2f",
        (double)stats_rate(&stats->output_rate) / 1024);
    info_line(info, "instantaneous_input_repl_kbps", "0.00");
    info_line(info, "instantaneous_output_repl_kbps", "0.00");
    info_number(info, "rejected_connections", stats->connections_rejected);
}

static void write_keys(struct info *info)
{
    static const char *const syncs[] = {
        "sync_full", "sync_partial_ok", "sync_partial_err", NULL};
    static const char *const cycles[] = {"expired_time_cap_reached_count",
        "expire_cycle_cpu_milliseconds", NULL};
    static const char *const evictions[] = {"evicted_clients",
        "total_eviction_exceeded_time", "current_eviction_exceeded_time", NULL};
    info_zeros(info, syncs);
    info_number(info, "expired_keys", info->stats.expired);
    info_line(info, "expired_stale_perc", "0.00");
    info_zeros(info, cycles);
    info_number(info, "evicted_keys", info->stats.evicted);
    info_zeros(info, evictions);
    info_number(info, "keyspace_hits", info->stats.hits);
    info_number(info, "keyspace_misses", info->stats.misses);
    info_number(
        info, "storage_provider_read_hits", info->stats.tier_hits[TIER_DRY]);
    info_number(info, "storage_provider_read_misses",
        info->stats.fetch_discarded + info->stats.fetch_errors);
}

static void write_pubsub(struct info *info)
{
    const struct pubsub *pubsub = info->server->pubsub;
    info_number(
        info, "pubsub_channels", pubsub_name_count(pubsub, PUBSUB_CHANNEL));
    info_number(
        info, "pubsub_patterns", pubsub_name_count(pubsub, PUBSUB_PATTERN));
    info_number(
        info, "pubsubshard_channels", pubsub_name_count(pubsub, PUBSUB_SHARD));
}

static void write_tracking(struct info *info)
{
    struct tracking_figures figures = tracking_figures(info->server->tracking);
    info_number(info, "tracking_total_keys", figures.keys);
    info_number(info, "tracking_total_items", figures.items);
    info_number(info, "tracking_total_prefixes", figures.prefixes);
}

void info_stats(struct info *info)
{
    static const char *const absent[] = {"latest_fork_usec", "total_forks",
        "migrate_cached_sockets", "slave_expires_tracked_keys",
        "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
        "active_defrag_key_misses", "total_active_defrag_time",
        "current_active_defrag_time", NULL};
    static const char *const unexpected[] = {"unexpected_error_replies", NULL};
    static const char *const threads[] = {"io_threaded_reads_processed",
        "io_threaded_writes_processed", "reply_buffer_shrinks",
        "reply_buffer_expands", NULL};
    const struct stats *stats = &info->server->stats;
    write_traffic(info);
    write_keys(info);
    write_pubsub(info);
    info_zeros(info, absent);
    write_tracking(info);
    info_zeros(info, unexpected);
    info_number(info, "total_error_replies", stats->error_replies);
    info_number(info, "dump_payload_sanitizations", 0);
    info_number(info, "total_reads_processed", stats->reads_processed);
    info_number(info, "total_writes_processed", stats->writes_processed);
    info_zeros(info, threads);
    info_number(info, "client_query_buffer_limit_disconnections",
        stats->query_limit_disconnections);
    info_number(info, "client_output_buffer_limit_disconnections",
        stats->output_limit_disconnections);
    info_number(info, "loop_naps", stats->loop_naps);
}

void info_commandstats(struct info *info)
{
    char name[COMMAND_NAME_MAX];
    for (unsigned i = 0; i < command_row_count; i++) {
        const struct command_stats *stats = &info->server->stats.commands[i];
        if (stats->calls + stats->failed_calls + stats->rejected_calls == 0) {
            continue;
        }
        command_full_name(&command_rows[i], name, sizeof(name));
        double each =
            stats->calls == 0 ? 0 : (double)stats->usec / (double)stats->calls;
        fprintf(info->out,
            "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,"
            "rejected_calls=%llu,failed_calls=%llu\r\n",
            name, (unsigned long long)stats->calls,
            (unsigned long long)stats->usec, each,
            (unsigned long long)stats->rejected_calls,
            (unsigned long long)stats->failed_calls);
    }
}

void info_errorstats(struct info *info)
{
    struct error_stat *error;
    struct error_stat *next;
    HASH_ITER(hh, info->server->stats.errors, error, next)
    {
        fprintf(info->out, "errorstat_%s:count=%llu\r\n", error->code,
            (unsigned long long)error->count);
    }
}

void info_latencystats(struct info *info)
{
    const struct config *config = &info->server->config;
    char name[COMMAND_NAME_MAX];
    if (!config->latency_tracking) {
        return;
    }
    for (unsigned i = 0; i < command_row_count; i++) {
        const struct histogram *latency =
            info->server->stats.commands[i].latency;
        if (latency == NULL || latency->total == 0) {
            continue;
        }
        command_full_name(&command_rows[i], name, sizeof(name));
        fprintf(info->out, "latency_percentiles_usec_%s:", name);
        for (unsigned p = 0; p < config->latency_percentile_count; p++) {
            double percent = config->latency_percentiles[p];
            fprintf(info->out, "%sp%g=%.3f", p == 0 ? "" : ",", percent,
                (double)histogram_percentile(latency, percent / 100));
        }
        fputs("\r\n", info->out);
    }
}

void info_keyspace(struct info *info)
{
    unsigned databases = engine_database_count(info->engine);
    for (unsigned i = 0; i < databases; i++) {
        const struct db *db = engine_db(info->engine, i);
        if (db_size(db) == 0) {
            continue;
        }
        fprintf(info->out,
            "db%u:keys=%llu,expires=%llu,avg_ttl=%lld,cached_keys=%llu\r\n", i,
            (unsigned long long)db_size(db),
            (unsigned long long)db_expiring(db),
            (long long)db_mean_ttl_ms(db, info->now_ms),
            (unsigned long long)(db_size(db) - db_tier_size(db, TIER_DRY)));
    }
}
