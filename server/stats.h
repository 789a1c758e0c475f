/* Counters of the server's own work, kept by the engine thread, summed and
 * printed by info.c. The engine's counters are in tiers/engine.h. */
#ifndef LARDER_SERVER_STATS_H
#define LARDER_SERVER_STATS_H

#include <stdint.h>
#include <uthash.h>

/* Latency histogram: log-linear, 1 us to ~1 min, 16 steps a power of two. */
#define HISTOGRAM_BUCKETS 448
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
};
void histogram_add(struct histogram *histogram, uint64_t us);
/* Upper bound of the bucket that holds the p-th part (0..1), in us. */
uint64_t histogram_percentile(const struct histogram *histogram, double p);
/* How many values were at most `us`, to the bucket. */
uint64_t histogram_count_to(const struct histogram *histogram, uint64_t us);

struct command_stats { /* one a command row */
    uint64_t calls, usec, rejected_calls, failed_calls;
    uint32_t ns_rest;          /* of usec */
    struct histogram *latency; /* allocated at the first call */
};

struct error_stat { /* one an error code, in struct stats' table */
    char code[32];
    uint64_t count;
    UT_hash_handle hh;
};

struct stats {
    uint64_t connections_received, connections_rejected;
    uint64_t commands_processed;
    uint64_t net_input_bytes, net_output_bytes;
    uint64_t reads_processed, writes_processed;
    uint64_t loop_naps; /* coalesce.h */
    uint64_t error_replies;
    uint64_t saves; /* SAVE and checkpoints that succeeded */
    uint64_t output_limit_disconnections, query_limit_disconnections;
    uint64_t peak_used_bytes;
    uint64_t parked_reads;  /* clients waiting for disk now */
    uint64_t parked_writes; /* clients waiting for room now */
    /* What clients waited for that read a value, by the lowest tier that one
     * of the command's values was in. */
    struct histogram tier_latency[3];
    struct command_stats *commands; /* by row of the command table */
    unsigned command_count;
    struct error_stat *errors;
    /* instantaneous_* : sampled every 100 ms, mean of 16 */
    struct rate {
        uint64_t last_value, samples[16];
        unsigned next;
    } ops_rate, input_rate, output_rate;
    uint64_t last_sample_us;
};

void stats_init(struct stats *stats, unsigned command_count);
void stats_finish(struct stats *stats);
void stats_reset(struct stats *stats);
/* Also counts it in error_replies. */
void stats_count_error(struct stats *stats, const char *code);
/* Every 100 ms. */
void stats_sample(struct stats *stats, uint64_t now_us);
uint64_t stats_rate(const struct rate *rate);

#endif
