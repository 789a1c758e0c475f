#include "server/latency.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/bytes.h"

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

unsigned latency_reset(struct latency *latency, const char *event)
{
    unsigned count = 0;
    struct latency_event *found, *next;
    HASH_ITER(hh, latency->events, found, next)
    {
        if (event == NULL || strcmp(found->name, event) == 0) {
            HASH_DEL(latency->events, found);
            free(found);
            count++;
        }
    }
    return count;
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
