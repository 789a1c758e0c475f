/* TIER: where a key is kept, and the figures of the tiers. Moving keys is in
 * tier_move.c. Only PROMOTE counts as a use of a key. */
#include "server/commands/tier.h"

#include "server/server.h"

#define FIGURE(name, field)                                                    \
    {                                                                          \
        name, offsetof(struct engine_stats, field)                             \
    }
const struct tier_figure tier_figures[] = {
    FIGURE("hot_keys", tier[TIER_HOT].items),
    FIGURE("hot_bytes", tier[TIER_HOT].bytes),
    FIGURE("hot_hits", tier_hits[TIER_HOT]),
    FIGURE("hot_expired", expired_by_tier[TIER_HOT]),
    FIGURE("hot_evicted", evicted_by_tier[TIER_HOT]),
    FIGURE("cold_keys", tier[TIER_COLD].items),
    FIGURE("cold_bytes", tier[TIER_COLD].bytes),
    FIGURE("cold_hits", tier_hits[TIER_COLD]),
    FIGURE("cold_expired", expired_by_tier[TIER_COLD]),
    FIGURE("cold_evicted", evicted_by_tier[TIER_COLD]),
    FIGURE("dry_keys", tier[TIER_DRY].items),
    FIGURE("dry_bytes", tier[TIER_DRY].bytes),
    FIGURE("dry_hits", tier_hits[TIER_DRY]),
    FIGURE("dry_expired", expired_by_tier[TIER_DRY]),
    FIGURE("dry_evicted", evicted_by_tier[TIER_DRY]),
    FIGURE("misses", misses),
    FIGURE("gets", gets),
    FIGURE("puts", puts),
    FIGURE("deletes", deletes),
    FIGURE("demoted_hot_cold", demoted_hot_cold),
    FIGURE("demoted_cold_dry", demoted_cold_dry),
    FIGURE("promoted_dry_cold", promoted_dry_cold),
    FIGURE("promoted_cold_hot", promoted_cold_hot),
    FIGURE("compressed_raw_bytes", compressed_raw_bytes),
    FIGURE("compressed_stored_bytes", compressed_stored_bytes),
    FIGURE("dictionaries", dictionaries),
    FIGURE("dictionary_bytes", dictionary_bytes),
    FIGURE("fetches", fetches),
    FIGURE("fetches_pending", fetches_pending),
    FIGURE("fetches_discarded", fetch_discarded),
    FIGURE("fetch_errors", fetch_errors),
    FIGURE("synchronous_reads", sync_reads),
    FIGURE("warmed_keys", warmed),
    FIGURE("warm_keys_waiting", warm_waiting),
    FIGURE("store_errors", store_errors),
    FIGURE("store_retries", store_retries),
    FIGURE("batches", batches),
    FIGURE("records_written", records_written),
    FIGURE("records_reclaimed", reclaimed_records),
    FIGURE("bytes_written", bytes_written),
    FIGURE("pending_batch_bytes", pending_batch_bytes),
    FIGURE("writers_parked", writers_parked),
    FIGURE("maxmemory_bytes", maxmemory_bytes),
    FIGURE("used_bytes", used_bytes),
    FIGURE("index_bytes", index_bytes),
    FIGURE("entry_bytes", entry_bytes),
    FIGURE("blob_bytes", blob_bytes),
    FIGURE("outside_bytes", outside_bytes),
    FIGURE("disk_records", dry.record_count),
    FIGURE("disk_file_bytes", dry.file_bytes),
    FIGURE("disk_used_bytes", dry.used_bytes),
    FIGURE("direct_reads", dry.direct_reads),
    FIGURE("disk_free_bytes", dry.free_bytes),
    FIGURE("disk_limit_bytes", dry.limit_bytes),
    FIGURE("log_bytes", dry_total_bytes),
    FIGURE("log_live_bytes", dry_live_bytes),
    FIGURE("first_record_id", dry.first_id),
    FIGURE("last_record_id", dry.last_id),
};
const size_t tier_figure_count = sizeof(tier_figures) / sizeof(tier_figures[0]);

uint64_t tier_figure_value(
    const struct tier_figure *figure, const struct engine_stats *stats)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + figure->offset, sizeof(value));
    return value;
}

void cmd_tier_stats(struct request *request)
{
    struct engine_stats stats;
    engine_stats(request->engine, &stats);
    reply_map(request->reply, tier_figure_count);
    for (size_t i = 0; i < tier_figure_count; i++) {
        reply_bulk_text(request->reply, tier_figures[i].name);
        reply_integer(request->reply,
            (int64_t)tier_figure_value(&tier_figures[i], &stats));
    }
}

void cmd_tier_of(struct request *request)
{
    const struct entry *entry =
        db_find(request->db, request->argv[2], request->now_ms);
    enum tier tier = entry == NULL ? TIER_NONE : entry_tier(entry);
    reply_bulk_text(request->reply, tier_name(tier));
}

static void reply_number(struct reply *reply, const char *name, int64_t value)
{
    reply_bulk_text(reply, name);
    reply_integer(reply, value);
}

static void reply_word(struct reply *reply, const char *name, const char *word)
{
    reply_bulk_text(reply, name);
    reply_bulk_text(reply, word);
}

void cmd_tier_info(struct request *request)
{
    const struct entry *entry =
        db_find(request->db, request->argv[2], request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
        return;
    }
    struct reply *reply = request->reply;
    int64_t idle_ms = engine_idle_ms(request->engine, entry, request->now_ms);
    reply_map(reply, 14);
    reply_word(reply, "tier", tier_name(entry_tier(entry)));
    reply_word(reply, "type", entry_type_name(entry));
    reply_word(reply, "encoding", entry_encoding_name(entry));
    reply_word(reply, "codec", codec_name(entry_codec(entry)));
    reply_number(reply, "stored_bytes", (int64_t)entry_stored_bytes(entry));
    reply_number(reply, "memory_bytes", (int64_t)entry_memory_bytes(entry));
    reply_bulk_text(reply, "raw_bytes");
    if (entry_tier(entry) == TIER_DRY) {
        reply_null(reply); /* known once it is read */
    } else {
        reply_integer(reply, (int64_t)entry_raw_bytes(entry));
    }
    reply_number(reply, "idle_ms", idle_ms);
    reply_number(reply, "last_read_ms", request->now_ms - idle_ms);
    reply_number(reply, "frequency", engine_frequency(request->engine, entry));
    reply_number(reply, "expiry_ms", entry_expiry_ms(entry));
    reply_number(reply, "record_id", (int64_t)entry_id(entry));
    /* Neither is kept: they would take 12 bytes of RAM a key. The frequency
     * is an estimate of lately counted hits. */
    reply_bulk_text(reply, "created");
    reply_null(reply);
    reply_bulk_text(reply, "hits");
    reply_null(reply);
}

/* How many of the keys are now in the hot tier. */
void cmd_tier_promote(struct request *request)
{
    int64_t count = 0;
    for (int i = 2; i < request->argc; i++) {
        const struct bytes key = request->argv[i];
        if (db_residency(request->db, key, request->now_ms) != DB_RESIDENT) {
            continue;
        }
        engine_promote(request->engine, request->db, key, request->now_ms);
        const struct entry *entry = db_find(request->db, key, request->now_ms);
        count += entry != NULL && entry_tier(entry) == TIER_HOT;
    }
    reply_integer(request->reply, count);
}

void cmd_tier_help(struct request *request)
{
    static const char *const lines[] = {
        "CLEANUP",
        "    Delete all keys that have expired now. Answers how many, by tier.",
        "DEMOTE <key> [<key> ...] [TO COLD|DRY]",
        "    Move values one tier down, or to the tier named. Answers, when "
        "all have",
        "    moved, how many are there now.",
        "EXPIRED COUNT",
        "    How many keys have expired and are not deleted yet.",
        "EXPIRY <cursor> [MATCH <pattern>] [COUNT <count>]",
        "    Keys that have an expiry, each with its time in ms; as SCAN.",
        "FLUSH HOT|COLD|DRY|ALL [NAMESPACE <prefix>]",
        "    Empty a tier, or hot and cold, of all keys or those of a "
        "namespace. Values",
        "    move to the next tier of their namespace; where there is none, "
        "as below dry,",
        "    they are evicted. Answers how many.",
        "INFO <key>",
        "    Describe where and how the value of <key> is kept.",
        "INTERN <prefix> <value> [EX <seconds>]",
        "    Store <value> once, at <prefix> and its MD5. Answers that key.",
        "LATENCY",
        "    How long commands took that read, the wait for the disk "
        "included, by the",
        "    lowest tier they read from.",
        "OF <key>",
        "    Name the tier of <key>: hot, cold, dry or none.",
        "PROMOTE <key> [<key> ...]",
        "    Move values to the hot tier. Answers how many are there now.",
        "SET <key> <value> TAG <tag> [<option of SET> ...]",
        "    As SET; how long the value stays in its tiers is what a ttl-rule "
        "of its",
        "    namespace says of <tag>.",
        "STATS",
        "    Figures of the tiers, as in INFO TIERS.",
        NULL,
    };
    help_reply(request, lines);
}
