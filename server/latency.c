#include "server/latency.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/bytes.h"
#include "server/clock.h"

struct latency *latency_create(void)
{
    return xcalloc(1, sizeof(struct latency));
}

void latency_destroy(struct latency *latency)
{
    if (latency != NULL) {
        latency_reset(latency, NULL);
        free(latency);
    }
}

static struct latency_event *find_or_create(
    struct latency *latency, const char *name)
{
    struct latency_event *event;
    check(strlen(name) < sizeof(event->name));
    HASH_FIND_STR(latency->events, name, event);
    if (event == NULL) {
        event = xcalloc(1, sizeof(*event));
        snprintf(event->name, sizeof(event->name), "%s", name);
        HASH_ADD_STR(latency->events, name, event);
    }
    return event;
}

void latency_add(
    struct latency *latency, const char *event, uint64_t ms, int64_t now_s)
{
    struct latency_event *found = find_or_create(latency, event);
    uint32_t short_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    if (short_ms > found->max_ms) {
        found->max_ms = short_ms;
    }
    unsigned previous = (found->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES;
    struct latency_sample *last = &found->samples[previous];
    if (last->time_s == now_s) {
        if (short_ms > last->ms) {
            last->ms = short_ms;
        }
        return;
    }
    found->samples[found->next] = (struct latency_sample){now_s, short_ms};
    found->next = (found->next + 1) % LATENCY_SAMPLES;
}

void latency_note(struct latency *latency, const struct config *config,
    const char *event, uint64_t begin_us)
{
    if (config->latency_monitor_threshold == 0) {
        return; /* without looking at the clock */
    }
    uint64_t ms = (server_mono_us() - begin_us) / 1000;
    if (latency_wants(config, ms)) {
        latency_add(latency, event, ms, server_now_ms() / 1000);
    }
}

static unsigned reset_all(struct latency *latency)
{
    unsigned count = HASH_COUNT(latency->events);
    struct latency_event *event = latency->events;
    HASH_CLEAR(hh, latency->events);
    while (event != NULL) {
        struct latency_event *next = event->hh.next;
        free(event);
        event = next;
    }
    return count;
}

unsigned latency_reset(struct latency *latency, const char *event)
{
    struct latency_event *found;
    if (event == NULL) {
        return reset_all(latency);
    }
    HASH_FIND_STR(latency->events, event, found);
    if (found == NULL) {
        return 0;
    }
    HASH_DEL(latency->events, found);
    free(found);
    return 1;
}

const struct latency_event *latency_find(
    const struct latency *latency, const char *event)
{
    struct latency_event *found;
    HASH_FIND_STR(latency->events, event, found);
    return found;
}

unsigned latency_history(const struct latency_event *event,
    struct latency_sample out[LATENCY_SAMPLES])
{
    unsigned count = 0;
    for (unsigned i = 0; i < LATENCY_SAMPLES; i++) {
        unsigned at = (event->next + i) % LATENCY_SAMPLES;
        if (event->samples[at].time_s != 0) {
            out[count++] = event->samples[at];
        }
    }
    return count;
}
