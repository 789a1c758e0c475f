#include "server/stats.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/bytes.h"

#define RATE_SAMPLES 16
/* Scripts could invent codes without end. */
#define ERROR_CODES_MAX 128

/* Below 16 us each bucket is one microsecond; above, each power of two has
 * 16 buckets. */
static unsigned histogram_bucket(uint64_t us)
{
    if (us < 16) {
        return (unsigned)us;
    }
    unsigned top = 63 - (unsigned)__builtin_clzll(us);
    unsigned bucket = (top - 3) * 16 + (unsigned)((us >> (top - 4)) & 15);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t histogram_upper_us(unsigned bucket)
{
    if (bucket < 16) {
        return bucket;
    }
    unsigned shift = bucket / 16 - 1;
    return ((uint64_t)(bucket % 16 + 17) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t us)
{
    histogram->counts[histogram_bucket(us)]++;
    histogram->total++;
}

uint64_t histogram_percentile(const struct histogram *histogram, double p)
{
    if (histogram->total == 0) {
        return 0;
    }
    uint64_t wanted = (uint64_t)((double)histogram->total * p + 0.5);
    if (wanted == 0) {
        wanted = 1;
    }
    uint64_t seen = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] == 0) {
            continue;
        }
        seen += histogram->counts[i];
        last = i;
        if (seen >= wanted) {
            break;
        }
    }
    return histogram_upper_us(last);
}

uint64_t histogram_count_to(const struct histogram *histogram, uint64_t us)
{
    uint64_t count = 0;
    unsigned last = histogram_bucket(us);
    for (unsigned i = 0; i <= last; i++) {
        count += histogram->counts[i];
    }
    return count;
}

void stats_init(struct stats *stats, unsigned command_count)
{
    memset(stats, 0, sizeof(*stats));
    stats->commands = xcalloc(command_count, sizeof(stats->commands[0]));
    stats->command_count = command_count;
}

static void free_errors(struct stats *stats)
{
    struct error_stat *error, *next;
    HASH_ITER(hh, stats->errors, error, next)
    {
        HASH_DEL(stats->errors, error); /* NOLINT: uthash looks freed */
        free(error);
    }
}

static void free_latencies(struct stats *stats)
{
    for (unsigned i = 0; i < stats->command_count; i++) {
        free(stats->commands[i].latency);
        stats->commands[i].latency = NULL;
    }
}

void stats_finish(struct stats *stats)
{
    free_errors(stats);
    free_latencies(stats);
    free(stats->commands);
    stats->commands = NULL;
}

void stats_reset(struct stats *stats)
{
    free_errors(stats);
    free_latencies(stats);
    struct stats fresh = {
        .commands = stats->commands,
        .command_count = stats->command_count,
        .parked_reads = stats->parked_reads,
        .parked_writes = stats->parked_writes,
        .last_sample_us = stats->last_sample_us,
    };
    memset(fresh.commands, 0, fresh.command_count * sizeof(fresh.commands[0]));
    *stats = fresh;
}

void stats_count_error(struct stats *stats, const char *code)
{
    stats->error_replies++;
    struct error_stat *error;
    HASH_FIND_STR(stats->errors, code, error);
    if (error == NULL) {
        if (HASH_COUNT(stats->errors) >= ERROR_CODES_MAX) {
            return;
        }
        error = xcalloc(1, sizeof(*error));
        snprintf(error->code, sizeof(error->code), "%s", code);
        HASH_ADD_STR(stats->errors, code, error);
    }
    error->count++;
}

static void sample_rate(struct rate *rate, uint64_t value, uint64_t elapsed_us)
{
    uint64_t gained = value - rate->last_value;
    rate->samples[rate->next % RATE_SAMPLES] = gained * 1000000 / elapsed_us;
    rate->next++;
    rate->last_value = value;
}

void stats_sample(struct stats *stats, uint64_t now_us)
{
    uint64_t elapsed_us = now_us - stats->last_sample_us;
    if (stats->last_sample_us != 0 && elapsed_us > 0) {
        sample_rate(&stats->ops_rate, stats->commands_processed, elapsed_us);
        sample_rate(&stats->input_rate, stats->net_input_bytes, elapsed_us);
        sample_rate(&stats->output_rate, stats->net_output_bytes, elapsed_us);
    }
    stats->last_sample_us = now_us;
}

uint64_t stats_rate(const struct rate *rate)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < RATE_SAMPLES; i++) {
        sum += rate->samples[i];
    }
    return sum / RATE_SAMPLES;
}
