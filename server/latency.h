/* The latency monitor: by event, the last 160 seconds in which something took
 * at least latency-monitor-threshold milliseconds. One thread. */
#ifndef LARDER_SERVER_LATENCY_H
#define LARDER_SERVER_LATENCY_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "server/config.h"

#define LATENCY_SAMPLES 160

struct latency_sample {
    int64_t time_s; /* wall clock; 0: unused */
    uint32_t ms;
};

struct latency_event {
    char name[32];
    unsigned next; /* where the next sample goes */
    uint32_t max_ms;
    struct latency_sample samples[LATENCY_SAMPLES]; /* a ring */
    UT_hash_handle hh;
};

struct latency {
    struct latency_event *events; /* uthash, by name */
};

struct latency *latency_create(void);
void latency_destroy(struct latency *latency);

/* Whether something that took `ms` is to be recorded. */
static inline bool latency_wants(const struct config *config, uint64_t ms)
{
    return config->latency_monitor_threshold > 0 &&
           ms >= (uint64_t)config->latency_monitor_threshold;
}

/* Records that `event` ("command", "fast-command", "expire-cycle",
 * "dry-wait" ...; at most 31 bytes) took `ms`. Of several in one second the
 * longest stays. */
void latency_add(
    struct latency *latency, const char *event, uint64_t ms, int64_t now_s);
/* The same for something that began at `begin_us` of the monotonic clock and
 * has ended just now; nothing when it was shorter than the threshold. */
void latency_note(struct latency *latency, const struct config *config,
    const char *event, uint64_t begin_us);
/* Forgets one event, or all when `event` is NULL; how many there were. */
unsigned latency_reset(struct latency *latency, const char *event);

/* NULL when nothing has been recorded. */
const struct latency_event *latency_find(
    const struct latency *latency, const char *event);
/* The samples in use, oldest first; their number. */
unsigned latency_history(const struct latency_event *event,
    struct latency_sample out[LATENCY_SAMPLES]);

#endif
