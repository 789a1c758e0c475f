/* LATENCY GRAPH and DOCTOR: the monitor's samples for a person to read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/config_text.h"
#include "server/latency.h"
#include "server/server.h"

/* ---- GRAPH ---- */

#define GRAPH_ROWS 4
#define GRAPH_STEPS_A_ROW 3
#define GRAPH_AGE_BYTES 24

struct graph {
    struct latency_sample samples[LATENCY_SAMPLES];
    unsigned count;
    uint32_t low_ms, high_ms;
    int64_t now_s;
};

static void find_bounds(struct graph *graph)
{
    graph->low_ms = graph->high_ms = graph->samples[0].ms;
    for (unsigned i = 1; i < graph->count; i++) {
        uint32_t ms = graph->samples[i].ms;
        graph->low_ms = ms < graph->low_ms ? ms : graph->low_ms;
        graph->high_ms = ms > graph->high_ms ? ms : graph->high_ms;
    }
}

/* What a column shows in a row, 0 at the bottom: three fillings, a bar below
 * higher values, a blank above lower ones. */
static char graph_mark(const struct graph *graph, unsigned column, int row)
{
    static const char fillings[GRAPH_STEPS_A_ROW + 1] = "_o#";
    const int steps = GRAPH_ROWS * GRAPH_STEPS_A_ROW;
    uint64_t above = graph->samples[column].ms - graph->low_ms;
    uint64_t range = graph->high_ms - graph->low_ms;
    int step = range == 0 ? 0 : (int)(above * (uint64_t)steps / range);
    if (step == steps) {
        step = steps - 1;
    }
    step -= row * GRAPH_STEPS_A_ROW;
    if (step < 0) {
        return ' ';
    }
    return step < GRAPH_STEPS_A_ROW ? fillings[step] : '|';
}

static void draw_rows(struct text *text, const struct graph *graph)
{
    for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
        for (unsigned i = 0; i < graph->count; i++) {
            text_add_format(text, "%c", graph_mark(graph, i, row));
        }
        text_add(text, "\n");
    }
}

static void format_age(int64_t seconds, char out[GRAPH_AGE_BYTES])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i < 3 && seconds < units[i].seconds) {
        i++;
    }
    snprintf(out, GRAPH_AGE_BYTES, "%" PRId64 "%c", seconds / units[i].seconds,
        units[i].unit);
}

/* How long ago each sample was, written downwards below its column. */
static void draw_ages(struct text *text, const struct graph *graph)
{
    bool more = true;
    text_add_format(text, "%*s\n", (int)graph->count, "");
    for (size_t at = 0; more; at++) {
        more = false;
        for (unsigned i = 0; i < graph->count; i++) {
            char age[GRAPH_AGE_BYTES];
            format_age(graph->now_s - graph->samples[i].time_s, age);
            size_t size = strlen(age);
            text_add_format(text, "%c", at < size ? age[at] : ' ');
            more = more || at + 1 < size;
        }
        text_add(text, "\n");
    }
}

void cmd_latency_graph(struct request *request)
{
    char name[32];
    struct bytes wanted = request->argv[2];
    snprintf(name, sizeof(name), "%.*s", (int)wanted.size, wanted.data);
    const struct latency_event *event =
        latency_find(request->server->latency, name);
    if (event == NULL || strlen(event->name) != wanted.size) {
        reply_error(request->reply, "ERR No samples available for event '%.*s'",
            (int)wanted.size, wanted.data);
        return;
    }
    struct graph graph = {.now_s = request->now_ms / 1000};
    graph.count = latency_history(event, graph.samples);
    find_bounds(&graph);
    struct text text;
    text_init(&text);
    text_add_format(&text,
        "%s - high %" PRIu32 " ms, low %" PRIu32 " ms (all time high %" PRIu32
        " ms)\n",
        event->name, graph.high_ms, graph.low_ms, event->max_ms);
    text_add_format(&text, "%.80s\n",
        "----------------------------------------"
        "----------------------------------------");
    draw_rows(&text, &graph);
    draw_ages(&text, &graph);
    reply_verbatim(request->reply, "txt", bytes_of(text.data, text.size));
    text_finish(&text);
}

/* ---- DOCTOR ---- */

static void report_event(struct text *text, const struct latency_event *event)
{
    struct latency_sample samples[LATENCY_SAMPLES];
    unsigned count = latency_history(event, samples);
    double sum = 0, deviation = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += samples[i].ms;
    }
    double average = sum / count;
    for (unsigned i = 0; i < count; i++) {
        double distance = samples[i].ms - average;
        deviation += distance < 0 ? -distance : distance;
    }
    double span = (double)(samples[count - 1].time_s - samples[0].time_s);
    text_add_format(text,
        "%s: %u latency spikes, %.0f ms on average (mean deviation %.0f ms), "
        "one every %.1f seconds; the worst ever took %" PRIu32 " ms.\n",
        event->name, count, average, deviation / count,
        count > 1 ? span / (count - 1) : 0.0, event->max_ms);
}

struct advice {
    const char *event; /* the beginning of its name */
    const char *text;
};

/* What helps against each kind of event. */
static const struct advice advices[] = {
    {"command", "Some commands take long by themselves: SLOWLOG GET shows "
                "which, and which of them waited for values on disk."},
    {"fast-command",
        "Even commands that do little took long: look for other programs that "
        "use this processor, and for swapping (vmstat, si and so columns)."},
    {"dry", "Values are read from disk often or slowly: INFO tiers shows how "
            "often; more maxmemory or a faster disk helps."},
    {"expire", "Many keys expire at once: spread their times to live, or "
               "lower active-expire-effort."},
    {"eviction", "Memory is short: raise maxmemory, or let writers be slower."},
};

static void add_advice(struct text *text, const struct latency *latency)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        const struct latency_event *event = latency->events;
        while (event != NULL && strncmp(event->name, advices[i].event,
                                    strlen(advices[i].event)) != 0) {
            event = event->hh.next;
        }
        if (event != NULL) {
            text_add_format(text, "- %s\n", advices[i].text);
        }
    }
}

void cmd_latency_doctor(struct request *request)
{
    const struct latency *latency = request->server->latency;
    struct text text;
    text_init(&text);
    if (latency->events != NULL) {
        text_add(&text, "Latency spikes have been observed.\n\n");
        for (const struct latency_event *event = latency->events; event != NULL;
             event = event->hh.next) {
            report_event(&text, event);
        }
        text_add(&text, "\nWhat may help:\n\n");
        add_advice(&text, latency);
    } else if (request->server->config.latency_monitor_threshold == 0) {
        text_add(&text, "Latency monitoring is off. Turn it on with CONFIG SET "
                        "latency-monitor-threshold <milliseconds>.\n");
    } else {
        text_add(&text,
            "No latency spike has been observed since monitoring began.\n");
    }
    reply_verbatim(request->reply, "txt", bytes_of(text.data, text.size));
    text_finish(&text);
}
