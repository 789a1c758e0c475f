/* MEMORY: where RAM goes. Nothing here counts as a use of a key or moves
 * one. */
#include <stdio.h>
#include <stdlib.h>

#include "server/allocator.h"
#include "server/conn.h"
#include "server/scripting/scripting.h"
#include "server/server.h"

/* Below this a server has nothing worth an opinion. */
#define DOCTOR_MIN_BYTES (5 * 1024 * 1024)

/* SAMPLES matters only to values made of many parts. */
static bool usage_arguments(struct request *request)
{
    for (int i = 3; i < request->argc; i += 2) {
        int64_t samples;
        if (!arg_is(request, i, "samples") || i + 1 >= request->argc) {
            error_syntax(request);
            return false;
        }
        if (!arg_int64(request, i + 1, &samples)) {
            return false;
        }
        if (samples < 0) {
            error_syntax(request);
            return false;
        }
    }
    return true;
}

void cmd_memory_usage(struct request *request)
{
    if (!usage_arguments(request)) {
        return;
    }
    const struct entry *entry =
        db_find(request->db, request->argv[2], request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
    } else {
        reply_integer(request->reply, (int64_t)entry_memory_bytes(entry));
    }
}

/* ---- MEMORY STATS ---- */

static void reply_number(struct reply *reply, const char *name, uint64_t value)
{
    reply_bulk_text(reply, name);
    reply_integer(reply, (int64_t)value);
}

static void reply_ratio(
    struct reply *reply, const char *name, uint64_t part, uint64_t whole)
{
    reply_bulk_text(reply, name);
    reply_double(reply, whole == 0 ? 0 : (double)part / (double)whole);
}

static uint64_t clients_bytes(const struct server *server)
{
    uint64_t bytes = 0;
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        bytes += conn_memory_bytes(conn);
    }
    return bytes;
}

static size_t reply_databases(struct request *request)
{
    size_t count = 0;
    char name[32];
    unsigned databases = engine_database_count(request->engine);
    for (unsigned i = 0; i < databases; i++) {
        if (db_size(engine_db(request->engine, i)) == 0) {
            continue;
        }
        snprintf(name, sizeof(name), "db.%u", i);
        reply_bulk_text(request->reply, name);
        reply_map(request->reply, 3);
        /* One index serves all databases and expiry: see index.bytes. */
        reply_number(request->reply, "overhead.hashtable.main", 0);
        reply_number(request->reply, "overhead.hashtable.expires", 0);
        reply_number(request->reply, "overhead.hashtable.slot-to-keys", 0);
        count++;
    }
    return count;
}

static size_t reply_allocator(struct reply *reply, uint64_t used_bytes)
{
    struct allocator_stats stats;
    allocator_stats(&stats);
    uint64_t rss = allocator_process_rss();
    reply_number(reply, "allocator.allocated", stats.allocated);
    reply_number(reply, "allocator.active", stats.active);
    reply_number(reply, "allocator.resident", stats.resident);
    reply_ratio(
        reply, "allocator-fragmentation.ratio", stats.active, stats.allocated);
    reply_number(
        reply, "allocator-fragmentation.bytes", stats.active - stats.allocated);
    reply_ratio(reply, "allocator-rss.ratio", stats.resident, stats.active);
    reply_number(reply, "allocator-rss.bytes", stats.resident - stats.active);
    reply_ratio(reply, "rss-overhead.ratio", rss, stats.resident);
    reply_number(reply, "rss-overhead.bytes", rss - stats.resident);
    reply_ratio(reply, "fragmentation", rss, used_bytes);
    reply_number(reply, "fragmentation.bytes", rss - used_bytes);
    return 11;
}

static uint64_t count_keys(const struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats.tier[TIER_HOT].items + stats.tier[TIER_COLD].items +
           stats.tier[TIER_DRY].items;
}

static size_t reply_own(
    struct request *request, const struct engine_stats *stats)
{
    struct reply *reply = request->reply;
    uint64_t dataset = stats->entry_bytes + stats->blob_bytes;
    uint64_t overhead =
        stats->used_bytes > dataset ? stats->used_bytes - dataset : 0;
    uint64_t keys = count_keys(request->engine);
    uint64_t peak = request->server->stats.peak_used_bytes;
    peak = peak > stats->used_bytes ? peak : stats->used_bytes;
    reply_number(reply, "peak.allocated", peak);
    reply_number(reply, "total.allocated", stats->used_bytes);
    reply_number(reply, "startup.allocated", 0);
    reply_number(reply, "replication.backlog", 0);
    reply_number(reply, "clients.slaves", 0);
    reply_number(reply, "clients.normal", clients_bytes(request->server));
    reply_number(reply, "cluster.links", 0);
    reply_number(reply, "aof.buffer", stats->pending_batch_bytes);
    struct scripting_figures scripts;
    scripting_figures(request->server->scripting, &scripts);
    reply_number(reply, "lua.caches",
        scripts.eval_vm_bytes + scripts.eval_scripts_bytes);
    reply_number(reply, "functions.caches",
        scripts.function_vm_bytes + scripts.function_bytes);
    size_t databases = reply_databases(request);
    reply_number(reply, "index.bytes", stats->index_bytes);
    reply_number(reply, "overhead.total", overhead);
    reply_number(reply, "keys.count", keys);
    reply_number(
        reply, "keys.bytes-per-key", keys == 0 ? 0 : stats->used_bytes / keys);
    reply_number(reply, "dataset.bytes", dataset);
    reply_ratio(reply, "dataset.percentage", dataset * 100, stats->used_bytes);
    reply_ratio(reply, "peak.percentage", stats->used_bytes * 100, peak);
    return 17 + databases;
}

void cmd_memory_stats(struct request *request)
{
    struct engine_stats stats;
    engine_stats(request->engine, &stats);
    size_t mark = reply_begin(request->reply);
    size_t count = reply_own(request, &stats);
    count += reply_allocator(request->reply, stats.used_bytes);
    reply_end(request->reply, mark, REPLY_MAP, count);
}

/* ---- MEMORY DOCTOR ---- */

static void diagnose(const struct engine_stats *stats, FILE *out)
{
    struct allocator_stats allocator;
    allocator_stats(&allocator);
    uint64_t rss = allocator_process_rss();
    long before = ftell(out);
    if (allocator.allocated > 0 &&
        allocator.active > allocator.allocated / 10 * 14) {
        fprintf(out,
            " * Fragmentation: the allocator holds %.2f times what is in "
            "use. Deleting and rewriting values of other sizes does this; "
            "MEMORY PURGE or a restart mends it.\n",
            (double)allocator.active / (double)allocator.allocated);
    }
    if (rss > stats->maxmemory_bytes + stats->maxmemory_bytes / 10) {
        fprintf(out,
            " * Over the limit: the process takes %llu bytes of RAM and "
            "maxmemory is %llu.\n",
            (unsigned long long)rss,
            (unsigned long long)stats->maxmemory_bytes);
    }
    if (stats->index_bytes > stats->maxmemory_bytes / 2) {
        fprintf(out,
            " * Many keys: the index alone takes more than half of "
            "maxmemory. Every key needs its place in RAM, wherever its value "
            "is.\n");
    }
    if (stats->outside_bytes > stats->maxmemory_bytes / 10) {
        fprintf(out,
            " * Client buffers take %llu bytes. CLIENT LIST shows who does "
            "not read its answers (omem).\n",
            (unsigned long long)stats->outside_bytes);
    }
    if (ftell(out) == before) {
        fprintf(out, "Nothing wrong with memory was found.\n");
    }
}

void cmd_memory_doctor(struct request *request)
{
    struct engine_stats stats;
    engine_stats(request->engine, &stats);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    check(out != NULL);
    if (stats.used_bytes < DOCTOR_MIN_BYTES) {
        fprintf(out,
            "This server holds next to nothing, so there is nothing to "
            "say about its memory.\n");
    } else {
        diagnose(&stats, out);
    }
    fclose(out);
    reply_verbatim(request->reply, "txt", bytes_of(text, size));
    free(text);
}

void cmd_memory_malloc_stats(struct request *request)
{
    char *text = allocator_report();
    if (text == NULL) {
        reply_bulk_text(
            request->reply, "Stats not supported for the current allocator");
        return;
    }
    reply_verbatim(request->reply, "txt", bytes_of(text, strlen(text)));
    free(text);
}

void cmd_memory_purge(struct request *request)
{
    allocator_purge();
    reply_ok(request->reply);
}

void cmd_memory_help(struct request *request)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values "
        "are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
        NULL,
    };
    help_reply(request, lines);
}
