/* LATENCY HISTORY, LATEST, RESET, HISTOGRAM; GRAPH and DOCTOR are in
 * latency_report.c. */
#include "server/latency.h"

#include <stdio.h>

#include "server/server.h"

/* An event's name as text: longer ones do not exist. */
static bool event_name(const struct bytes argument, char out[32])
{
    if (argument.size >= 32) {
        return false;
    }
    if (argument.size > 0) {
        memcpy(out, argument.data, argument.size);
    }
    out[argument.size] = '\0';
    return true;
}

static const struct latency_event *find_event(
    const struct request *request, int index)
{
    char name[32];
    return event_name(request->argv[index], name)
               ? latency_find(request->server->latency, name)
               : NULL;
}

void cmd_latency_history(struct request *request)
{
    const struct latency_event *event = find_event(request, 2);
    struct latency_sample samples[LATENCY_SAMPLES];
    unsigned count = event != NULL ? latency_history(event, samples) : 0;
    reply_array(request->reply, count);
    for (unsigned i = 0; i < count; i++) {
        reply_array(request->reply, 2);
        reply_integer(request->reply, samples[i].time_s);
        reply_integer(request->reply, samples[i].ms);
    }
}

void cmd_latency_latest(struct request *request)
{
    const struct latency *latency = request->server->latency;
    const struct latency_event *event;
    struct latency_sample samples[LATENCY_SAMPLES];
    reply_array(request->reply, HASH_COUNT(latency->events));
    for (event = latency->events; event != NULL; event = event->hh.next) {
        unsigned count = latency_history(event, samples);
        check(count > 0);
        reply_array(request->reply, 4);
        reply_bulk_text(request->reply, event->name);
        reply_integer(request->reply, samples[count - 1].time_s);
        reply_integer(request->reply, samples[count - 1].ms);
        reply_integer(request->reply, event->max_ms);
    }
}

void cmd_latency_reset(struct request *request)
{
    unsigned count = 0;
    if (request->argc == 2) {
        count = latency_reset(request->server->latency, NULL);
    }
    for (int i = 2; i < request->argc; i++) {
        char name[32];
        if (event_name(request->argv[i], name)) {
            count += latency_reset(request->server->latency, name);
        }
    }
    reply_integer(request->reply, count);
}

/* ---- HISTOGRAM ---- */

/* Redis' steps: powers of two of about a microsecond (1024 ns), each given as
 * the highest value its histogram of two digits cannot tell from it. */
static uint64_t step_us(unsigned step)
{
    uint64_t ns = UINT64_C(1024) << step;
    return (ns + ns / 128 - 1) / 1000;
}

static void reply_distribution(
    struct reply *reply, const struct histogram *histogram)
{
    size_t mark = reply_begin(reply);
    size_t count = 0;
    uint64_t before = 0;
    for (unsigned step = 0; before < histogram->total; step++) {
        uint64_t now = step < 40 ? histogram_count_to(histogram, step_us(step))
                                 : histogram->total;
        if (now != before) {
            reply_integer(reply, (int64_t)step_us(step));
            reply_integer(reply, (int64_t)now);
            count++;
            before = now;
        }
    }
    reply_end(reply, mark, REPLY_MAP, count);
}

/* One element of the reply's map, when the command has been called; returns
 * how many elements that were. */
static size_t reply_histogram(struct request *request, unsigned row)
{
    const struct command *command = &command_rows[row];
    const struct command_stats *stats = &request->server->stats.commands[row];
    struct reply *reply = request->reply;
    if (stats->latency == NULL || stats->latency->total == 0) {
        return 0;
    }
    if (command->parent != NULL) {
        reply_bulk_format(reply, "%s|%s", command->parent, command->name);
    } else {
        reply_bulk_text(reply, command->name);
    }
    reply_map(reply, 2);
    reply_bulk_text(reply, "calls");
    reply_integer(reply, (int64_t)stats->latency->total);
    reply_bulk_text(reply, "histogram_usec");
    reply_distribution(reply, stats->latency);
    return 1;
}

/* "config" means it and all its subcommands, "config|get" only that one. */
static bool names_row(struct bytes name, const struct command *command)
{
    char full[64];
    if (command->parent == NULL) {
        return bytes_equal_nocase(name, command->name);
    }
    snprintf(full, sizeof(full), "%s|%s", command->parent, command->name);
    return bytes_equal_nocase(name, command->parent) ||
           bytes_equal_nocase(name, full);
}

void cmd_latency_histogram(struct request *request)
{
    size_t count = 0;
    size_t mark = reply_begin(request->reply);
    if (request->argc == 2) {
        for (unsigned row = 0; row < command_row_count; row++) {
            count += reply_histogram(request, row);
        }
    }
    for (int i = 2; i < request->argc; i++) {
        for (unsigned row = 0; row < command_row_count; row++) {
            if (names_row(request->argv[i], &command_rows[row])) {
                count += reply_histogram(request, row);
            }
        }
    }
    reply_end(request->reply, mark, REPLY_MAP, count);
}

void cmd_latency_help(struct request *request)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        ("    Return a cumulative distribution of latencies in the format of a "
         "histogram for the specified command names."),
        "    If no commands are specified then all histograms are replied.",
        NULL,
    };
    help_reply(request, lines);
}

/* TIER LATENCY: of commands that read, by the lowest tier they read from. */
void cmd_tier_latency(struct request *request)
{
    struct reply *reply = request->reply;
    reply_map(reply, TIER_NONE);
    for (unsigned tier = 0; tier < TIER_NONE; tier++) {
        const struct histogram *latency =
            &request->server->stats.tier_latency[tier];
        reply_bulk_text(reply, tier_name((enum tier)tier));
        reply_map(reply, 2);
        reply_bulk_text(reply, "calls");
        reply_integer(reply, (int64_t)latency->total);
        reply_bulk_text(reply, "histogram_usec");
        reply_distribution(reply, latency);
    }
}
