#include "tiers/dictionary.h"

static void add_tiers(
    struct engine_tier_stats *sum, const struct engine_tier_stats *part)
{
    for (unsigned tier = 0; tier < 3; tier++) {
        sum[tier].items += part[tier].items;
        sum[tier].bytes += part[tier].bytes;
    }
}

void engine_stats(const struct engine *engine, struct engine_stats *stats)
{
    const struct log *log = &engine->log;
    *stats = engine->counters;
    for (unsigned i = 0; i < engine->options.databases; i++) {
        for (const struct shelf *shelf = engine->dbs[i].space->first_shelf;
             shelf != NULL; shelf = shelf->next) {
            add_tiers(stats->tier, shelf->tier);
        }
    }
    for (const struct engine_waiter *waiter = engine->room_waiters.first;
         waiter != NULL; waiter = waiter->next) {
        stats->writers_parked++;
    }
    stats->gets = count_gets(stats->tier_hits, stats->misses);
    stats->maxmemory_bytes = engine->options.maxmemory_bytes;
    stats->used_bytes = memory_used(engine);
    stats->dictionaries = engine->dictionaries->count;
    stats->dictionary_bytes = engine->dictionaries->bytes;
    stats->index_bytes = engine->index_bytes;
    stats->entry_bytes = engine->arena.committed_bytes;
    stats->blob_bytes = engine->blob_bytes;
    stats->pending_batch_bytes =
        log->sealed_bytes +
        (log->open != NULL ? batch_size_bytes(log->open) : 0);
    stats->warmed = engine->warm.fetched;
    stats->warm_waiting = engine->warm.count;
    stats->outside_bytes = engine->outside_bytes;
    stats->dry = log->stats;
    stats->dry_live_bytes = log->live_bytes;
    stats->dry_total_bytes = log->total_bytes;
}

enum tier engine_take_read_tier(struct engine *engine)
{
    unsigned tiers = engine->read_tiers;
    engine->read_tiers = 0;
    return tiers == 0 ? TIER_NONE : (enum tier)(31 - __builtin_clz(tiers));
}

static void reset_namespace(struct namespace *namespace)
{
    namespace->counters = (struct namespace_counters){0};
    for (struct shelf *shelf = namespace->shelves; shelf != NULL;
         shelf = shelf->next_of_namespace) {
        memset(shelf->hits, 0, sizeof shelf->hits);
    }
}

void engine_reset_stats(struct engine *engine)
{
    struct engine_stats *counters = &engine->counters;
    struct engine_stats kept = *counters;
    *counters = (struct engine_stats){
        .fetches_pending = kept.fetches_pending,
        .dirty_keys_since_save = kept.dirty_keys_since_save,
        .last_save_ms = kept.last_save_ms,
    };
    for (unsigned i = 0; i < engine->namespaces.count; i++) {
        reset_namespace(engine->namespaces.sorted[i]);
    }
}

int64_t engine_idle_ms(
    const struct engine *engine, const struct entry *entry, int64_t now_ms)
{
    (void)engine;
    uint32_t then = entry->access >> ACCESS_FREQUENCY_BITS;
    uint32_t idle = (access_tick(now_ms) - then) & ACCESS_TICK_MASK;
    return (int64_t)idle * ACCESS_TICK_MS;
}

unsigned engine_frequency(
    const struct engine *engine, const struct entry *entry)
{
    (void)engine;
    /* Redis counts to 255. */
    return (entry->access & ACCESS_FREQUENCY_MASK) * 255 /
           ACCESS_FREQUENCY_MASK;
}

void engine_count_changes(struct engine *engine, uint64_t changes)
{
    engine->counters.dirty_keys_since_save += changes;
}

size_t entry_memory_bytes(const struct entry *entry)
{
    struct entry_spec spec;
    entry_describe(entry, &spec);
    return arena_class_bytes(entry_slot_size(&spec)) +
           entry_outside_bytes(entry);
}

void db_set_use(
    struct entry *entry, int64_t idle_s, int64_t frequency, int64_t now_ms)
{
    const int64_t ticks_a_second = 1000 / ACCESS_TICK_MS;
    uint32_t tick = entry->access >> ACCESS_FREQUENCY_BITS;
    uint32_t count = entry->access & ACCESS_FREQUENCY_MASK;
    if (idle_s >= 0) {
        /* Longer ago than the clock goes is as long ago as it goes. */
        uint32_t idle = idle_s < ACCESS_TICK_MASK / ticks_a_second
                            ? (uint32_t)(idle_s * ticks_a_second)
                            : ACCESS_TICK_MASK;
        tick = (access_tick(now_ms) - idle) & ACCESS_TICK_MASK;
    }
    if (frequency >= 0) {
        count = (uint32_t)(frequency * ACCESS_FREQUENCY_MASK + 127) / 255;
    }
    entry->access = tick << ACCESS_FREQUENCY_BITS | count;
}
