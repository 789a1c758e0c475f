/* INFO's sections about memory, the disk and the tiers. */
#include <unistd.h>

#include "server/allocator.h"
#include "server/commands/info.h"
#include "server/commands/tier.h"
#include "server/scripting/scripting.h"

static double ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static const char *policy_name(int policy)
{
    static const char *const names[] = {
        [ENGINE_NOEVICTION] = "noeviction",
        [ENGINE_ALLKEYS_LRU] = "allkeys-lru",
        [ENGINE_ALLKEYS_LFU] = "allkeys-lfu",
        [ENGINE_ALLKEYS_RANDOM] = "allkeys-random",
        [ENGINE_VOLATILE_LRU] = "volatile-lru",
        [ENGINE_VOLATILE_LFU] = "volatile-lfu",
        [ENGINE_VOLATILE_RANDOM] = "volatile-random",
        [ENGINE_VOLATILE_TTL] = "volatile-ttl",
    };
    return names[policy];
}

static void write_used(struct info *info, uint64_t rss)
{
    const struct engine_stats *stats = &info->stats;
    uint64_t peak = info->server->stats.peak_used_bytes;
    peak = peak > stats->used_bytes ? peak : stats->used_bytes;
    uint64_t dataset = stats->entry_bytes + stats->blob_bytes;
    info_bytes(info, "used_memory", stats->used_bytes);
    info_bytes(info, "used_memory_rss", rss);
    info_bytes(info, "used_memory_peak", peak);
    info_line(info, "used_memory_peak_perc", "%.2f%%",
        ratio(stats->used_bytes, peak) * 100);
    info_number(info, "used_memory_overhead",
        stats->used_bytes > dataset ? stats->used_bytes - dataset : 0);
    info_number(info, "used_memory_startup", 0);
    info_number(info, "used_memory_dataset", dataset);
    info_line(info, "used_memory_dataset_perc", "%.2f%%",
        ratio(dataset, stats->used_bytes) * 100);
}

static void write_allocator_ratios(
    struct info *info, const struct allocator_stats *allocator, uint64_t rss)
{
    info_line(info, "allocator_frag_ratio", "%.2f",
        ratio(allocator->active, allocator->allocated));
    info_number(
        info, "allocator_frag_bytes", allocator->active - allocator->allocated);
    info_line(info, "allocator_rss_ratio", "%.2f",
        ratio(allocator->resident, allocator->active));
    info_line(info, "allocator_rss_bytes", "%lld",
        (long long)(allocator->resident - allocator->active));
    info_line(
        info, "rss_overhead_ratio", "%.2f", ratio(rss, allocator->resident));
    info_line(info, "rss_overhead_bytes", "%lld",
        (long long)(rss - allocator->resident));
    info_line(info, "mem_fragmentation_ratio", "%.2f",
        ratio(rss, info->stats.used_bytes));
    info_line(info, "mem_fragmentation_bytes", "%lld",
        (long long)(rss - info->stats.used_bytes));
}

static void write_scripts(struct info *info)
{
    struct scripting_figures figures;
    scripting_figures(info->server->scripting, &figures);
    info_number(info, "used_memory_vm_eval", figures.eval_vm_bytes);
    info_bytes(info, "used_memory_lua", figures.eval_vm_bytes);
    info_number(info, "used_memory_scripts_eval", figures.eval_scripts_bytes);
    info_number(info, "number_of_cached_scripts", figures.cached_scripts);
    info_number(info, "number_of_functions", figures.functions);
    info_number(info, "number_of_libraries", figures.libraries);
    info_number(info, "used_memory_vm_functions", figures.function_vm_bytes);
    info_bytes(info, "used_memory_vm_total",
        figures.eval_vm_bytes + figures.function_vm_bytes);
    info_number(info, "used_memory_functions", figures.function_bytes);
    info_bytes(info, "used_memory_scripts",
        figures.eval_scripts_bytes + figures.function_bytes);
}

void info_memory(struct info *info)
{
    static const char *const replication[] = {"mem_replication_backlog",
        "mem_total_replication_buffers", "mem_clients_slaves", NULL};
    static const char *const after[] = {"active_defrag_running",
        "lazyfree_pending_objects", "lazyfreed_objects", NULL};
    const struct engine_stats *stats = &info->stats;
    uint64_t rss = allocator_process_rss();
    struct allocator_stats allocator;
    allocator_stats(&allocator);
    write_used(info, rss);
    info_number(info, "allocator_allocated", allocator.allocated);
    info_number(info, "allocator_active", allocator.active);
    info_number(info, "allocator_resident", allocator.resident);
    info_bytes(info, "total_system_memory",
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    write_scripts(info);
    info_bytes(info, "maxmemory", stats->maxmemory_bytes);
    info_line(info, "maxmemory_policy", "%s",
        policy_name(info->server->config.maxmemory_policy));
    write_allocator_ratios(info, &allocator, rss);
    info_number(info, "mem_not_counted_for_evict", 0);
    info_zeros(info, replication);
    info_number(info, "mem_clients_normal", stats->outside_bytes);
    info_number(info, "mem_cluster_links", 0);
    info_number(info, "mem_aof_buffer", stats->pending_batch_bytes);
    info_line(info, "mem_allocator", "%s", allocator_name());
    info_zeros(info, after);
}

static void write_loading(struct info *info)
{
    const struct server *server = info->server;
    info_number(info, "loading", server->loading);
    info_number(info, "async_loading", 0);
    if (!server->loading) {
        return;
    }
    struct engine_load_progress progress = engine_load_progress(info->engine);
    uint64_t spent_us = server_mono_us() - server->load_start_us;
    uint64_t left = progress.total_records > progress.loaded_records
                        ? progress.total_records - progress.loaded_records
                        : 0;
    double eta_s = progress.loaded_records == 0
                       ? 1
                       : (double)spent_us / 1e6 * (double)left /
                             (double)progress.loaded_records;
    info_line(info, "loading_start_time", "%lld",
        (long long)(info->now_ms - (int64_t)(spent_us / 1000)) / 1000);
    info_number(info, "loading_total_records", progress.total_records);
    info_number(info, "loading_loaded_records", progress.loaded_records);
    info_line(info, "loading_loaded_perc", "%.2f",
        ratio(progress.loaded_records, progress.total_records) * 100);
    info_line(info, "loading_eta_seconds", "%.0f", eta_s);
}

static void write_rdb(struct info *info, bool running, const char *status)
{
    static const char *const forks[] = {
        "current_cow_peak", "current_cow_size", "current_cow_size_age", NULL};
    static const char *const saves[] = {
        "current_save_keys_processed", "current_save_keys_total", NULL};
    static const char *const loads[] = {
        "rdb_last_cow_size", "rdb_last_load_keys_expired", NULL};
    const struct engine_stats *stats = &info->stats;
    info_zeros(info, forks);
    info_line(info, "current_fork_perc", "0.00");
    info_zeros(info, saves);
    info_number(
        info, "rdb_changes_since_last_save", stats->dirty_keys_since_save);
    info_number(info, "rdb_bgsave_in_progress", running);
    info_line(info, "rdb_last_save_time", "%lld",
        (long long)stats->last_save_ms / 1000);
    info_line(info, "rdb_last_bgsave_status", "%s", status);
    const struct server *server = info->server;
    int64_t current_s = -1;
    if (running && server->checkpoint_running) {
        current_s = (info->now_ms - server->checkpoint_start_ms) / 1000;
    }
    info_line(info, "rdb_last_bgsave_time_sec", "%lld",
        (long long)server->checkpoint_last_s);
    info_line(
        info, "rdb_current_bgsave_time_sec", "%lld", (long long)current_s);
    info_number(info, "rdb_saves", info->server->stats.saves);
    info_zeros(info, loads);
    info_number(info, "rdb_last_load_keys_loaded",
        engine_load_progress(info->engine).loaded_records);
}

void info_persistence(struct info *info)
{
    static const char *const rewrites[] = {
        "aof_rewrite_in_progress", "aof_rewrite_scheduled", NULL};
    static const char *const last[] = {
        "aof_rewrites", "aof_rewrites_consecutive_failures", NULL};
    static const char *const after[] = {"aof_last_cow_size",
        "module_fork_in_progress", "module_fork_last_cow_size", NULL};
    enum engine_checkpoint_state state = engine_checkpoint_state(info->engine);
    bool failed =
        state == ENGINE_CHECKPOINT_FAILED || info->server->checkpoint_failed;
    bool broken = engine_store_error(info->engine)[0] != '\0';
    write_loading(info);
    write_rdb(info, state == ENGINE_CHECKPOINT_RUNNING, failed ? "err" : "ok");
    info_number(info, "aof_enabled", info->server->config.appendonly);
    info_zeros(info, rewrites);
    info_line(info, "aof_last_rewrite_time_sec", "-1");
    info_line(info, "aof_current_rewrite_time_sec", "-1");
    info_line(info, "aof_last_bgrewrite_status", "ok");
    info_zeros(info, last);
    info_line(info, "aof_last_write_status", "%s", broken ? "err" : "ok");
    info_zeros(info, after);
    if (info->server->config.appendonly) {
        info_number(info, "aof_current_size", info->stats.dry.used_bytes);
        info_number(info, "aof_buffer_length", info->stats.pending_batch_bytes);
    }
}

static void write_latency(struct info *info, enum tier tier)
{
    const struct histogram *latency = &info->server->stats.tier_latency[tier];
    char name[32];
    snprintf(name, sizeof(name), "%s_latency_usec", tier_name(tier));
    info_line(info, name, "p50=%llu,p99=%llu,p99.9=%llu,calls=%llu",
        (unsigned long long)histogram_percentile(latency, 0.5),
        (unsigned long long)histogram_percentile(latency, 0.99),
        (unsigned long long)histogram_percentile(latency, 0.999),
        (unsigned long long)latency->total);
}

void info_tiers(struct info *info)
{
    for (size_t i = 0; i < tier_figure_count; i++) {
        info_number(info, tier_figures[i].name,
            tier_figure_value(&tier_figures[i], &info->stats));
    }
    info_line(info, "compression_ratio", "%.2f",
        ratio(info->stats.compressed_raw_bytes,
            info->stats.compressed_stored_bytes));
    for (unsigned tier = 0; tier < TIER_NONE; tier++) {
        write_latency(info, (enum tier)tier);
    }
    info_line(info, "store_error", "%s", engine_store_error(info->engine));
}
