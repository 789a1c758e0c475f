#include "server/top/top_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/bytes.h"

#define NUMBER_BYTES 16
#define WORD_BYTES 64

void top_page_finish(struct top_page *page)
{
    free(page->lines);
    *page = (struct top_page){0};
}

void top_page_clear(struct top_page *page)
{
    page->count = 0;
}

void top_page_add(struct top_page *page, bool heading, const char *format, ...)
{
    va_list arguments;
    if (page->count == page->capacity) {
        page->capacity = page->capacity * 2 + 32;
        page->lines =
            xrealloc(page->lines, page->capacity * sizeof(*page->lines));
    }
    struct top_line *line = &page->lines[page->count++];
    line->heading = heading;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof(line->text), format, arguments);
    va_end(arguments);
}

/* ---- numbers ---- */

/* In at most six characters: 0, 999, 12.3k, 456M. */
static const char *short_number(double value, double unit, char *out)
{
    static const char prefixes[] = " kMGTPE";
    unsigned power = 0;
    while (value >= 999.5 && prefixes[power + 1] != '\0') {
        value /= unit;
        power++;
    }
    bool whole =
        value >= 99.95 || (power == 0 && value == (double)(unsigned)value);
    snprintf(out, NUMBER_BYTES, "%.*f%.*s", whole ? 0 : 1, value,
        power > 0 ? 1 : 0, &prefixes[power]);
    return out;
}

/* Two samples of the same fields. */
struct pair {
    struct top_fields before, now;
    double seconds;
};

static double total(const struct pair *pair, const char *name)
{
    return top_fields_number(&pair->now, name);
}

/* How much it grew; counters that were reset began at 0 again. */
static double growth(const struct pair *pair, const char *name)
{
    double now = total(pair, name);
    double before = top_fields_number(&pair->before, name);
    return now >= before ? now - before : now;
}

static const char *count_of(
    const struct pair *pair, const char *name, char *out)
{
    return short_number(total(pair, name), 1000, out);
}

static const char *bytes_of_field(
    const struct pair *pair, const char *name, char *out)
{
    return short_number(total(pair, name), 1024, out);
}

static const char *rate_of(const struct pair *pair, const char *name, char *out)
{
    return short_number(growth(pair, name) / pair->seconds, 1000, out);
}

static const char *share_of(double part, double whole, char *out)
{
    if (whole > 0) {
        snprintf(out, NUMBER_BYTES, "%.1f%%", 100 * part / whole);
    } else {
        snprintf(out, NUMBER_BYTES, "-");
    }
    return out;
}

/* ---- the parts of the page ---- */

static void add_server(struct top_page *page, const struct pair *pair)
{
    char version[WORD_BYTES];
    char clients[NUMBER_BYTES], parked[NUMBER_BYTES], rate[NUMBER_BYTES];
    char used[NUMBER_BYTES], most[NUMBER_BYTES], share[NUMBER_BYTES];
    top_fields_word(&pair->now, "larder_version", version, sizeof(version));
    unsigned long up_s = (unsigned long)total(pair, "uptime_in_seconds");
    top_page_add(page, false,
        "larder %s   up %lud %02lu:%02lu:%02lu   rates over %.1f s", version,
        up_s / 86400, up_s / 3600 % 24, up_s / 60 % 60, up_s % 60,
        pair->seconds);
    top_page_add(page, false,
        "clients %s   commands/s %s   memory %s of %s (%s)   "
        "writers waiting %s",
        count_of(pair, "connected_clients", clients),
        rate_of(pair, "total_commands_processed", rate),
        bytes_of_field(pair, "used_bytes", used),
        bytes_of_field(pair, "maxmemory_bytes", most),
        share_of(
            total(pair, "used_bytes"), total(pair, "maxmemory_bytes"), share),
        count_of(pair, "writers_parked", parked));
}

static void add_tier(struct top_page *page, const struct pair *pair,
    const char *tier, double reads)
{
    char name[WORD_BYTES];
    char keys[NUMBER_BYTES], bytes[NUMBER_BYTES], hits[NUMBER_BYTES],
        share[NUMBER_BYTES], expired[NUMBER_BYTES];
    char p50[NUMBER_BYTES], p99[NUMBER_BYTES];
    snprintf(name, sizeof(name), "%s_latency_usec", tier);
    struct top_fields latency = top_fields_inside(&pair->now, name);
    short_number(top_fields_number(&latency, "p50"), 1000, p50);
    short_number(top_fields_number(&latency, "p99"), 1000, p99);
    snprintf(name, sizeof(name), "%s_keys", tier);
    count_of(pair, name, keys);
    snprintf(name, sizeof(name), "%s_bytes", tier);
    bytes_of_field(pair, name, bytes);
    snprintf(name, sizeof(name), "%s_expired", tier);
    rate_of(pair, name, expired);
    snprintf(name, sizeof(name), "%s_hits", tier);
    rate_of(pair, name, hits);
    share_of(growth(pair, name), reads, share);
    top_page_add(page, false, "%-6s %8s %8s %8s %8s %10s %8s %8s", tier, keys,
        bytes, hits, share, expired, p50, p99);
}

static void add_tiers(struct top_page *page, const struct pair *pair)
{
    static const char *const tiers[] = {"hot", "cold", "dry"};
    char rate[NUMBER_BYTES], share[NUMBER_BYTES];
    double misses = growth(pair, "keyspace_misses");
    double reads = misses + growth(pair, "hot_hits") +
                   growth(pair, "cold_hits") + growth(pair, "dry_hits");
    top_page_add(page, true, "%-6s %8s %8s %8s %8s %10s %8s %8s", "TIER",
        "KEYS", "BYTES", "HITS/S", "SHARE", "EXPIRED/S", "P50 us", "P99 us");
    for (unsigned i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        add_tier(page, pair, tiers[i], reads);
    }
    top_page_add(page, false, "%-6s %8s %8s %8s %8s", "none", "", "",
        rate_of(pair, "keyspace_misses", rate), share_of(misses, reads, share));
}

static void add_movement(struct top_page *page, const struct pair *pair)
{
    char down[2][NUMBER_BYTES], up[2][NUMBER_BYTES];
    char queue[NUMBER_BYTES], pending[NUMBER_BYTES], written[NUMBER_BYTES];
    char used[NUMBER_BYTES], live[NUMBER_BYTES], most[NUMBER_BYTES];
    top_page_add(page, true, "MOVED/S");
    top_page_add(page, false,
        "hot>cold %s   cold>dry %s   dry>cold %s   cold>hot %s",
        rate_of(pair, "demoted_hot_cold", down[0]),
        rate_of(pair, "demoted_cold_dry", down[1]),
        rate_of(pair, "promoted_dry_cold", up[0]),
        rate_of(pair, "promoted_cold_hot", up[1]));
    top_page_add(page, true, "DISK");
    top_page_add(page, false,
        "queue: %s to write, %s reads   written %s/s   used %s, live %s, "
        "limit %s",
        bytes_of_field(pair, "pending_batch_bytes", queue),
        count_of(pair, "fetches_pending", pending),
        short_number(
            growth(pair, "bytes_written") / pair->seconds, 1024, written),
        bytes_of_field(pair, "disk_used_bytes", used),
        bytes_of_field(pair, "log_live_bytes", live),
        bytes_of_field(pair, "disk_limit_bytes", most));
    top_page_add(page, false, "errors %.0f   retries %.0f   reads failed %.0f",
        total(pair, "store_errors"), total(pair, "store_retries"),
        total(pair, "fetch_errors"));
}

/* ---- namespaces ---- */

static double sum_growth(
    const struct pair *pair, const char *const *names, unsigned count)
{
    double sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += growth(pair, names[i]);
    }
    return sum;
}

static void add_namespace(struct top_page *page, const struct pair *pair)
{
    static const char *const down[] = {"demoted_hot_cold", "demoted_cold_dry"};
    static const char *const up[] = {"promoted_dry_cold", "promoted_cold_hot"};
    static const char *const hits[] = {"hot_hits", "cold_hits", "dry_hits"};
    static const char *const gone[] = {
        "hot_evicted", "cold_evicted", "dry_evicted"};
    char prefix[WORD_BYTES];
    char keys[3][NUMBER_BYTES], share[NUMBER_BYTES], rates[5][NUMBER_BYTES];
    double found = sum_growth(pair, hits, 3);
    double moved[] = {found, growth(pair, "puts"), sum_growth(pair, down, 2),
        sum_growth(pair, up, 2), sum_growth(pair, gone, 3)};
    for (unsigned i = 0; i < 5; i++) {
        short_number(moved[i] / pair->seconds, 1000, rates[i]);
    }
    top_fields_word(&pair->now, "prefix", prefix, sizeof(prefix));
    top_page_add(page, false, "%-16.16s %6s %6s %6s %6s %6s %6s %6s %6s %6s",
        prefix[0] != '\0' ? prefix : "(others)",
        count_of(pair, "hot_keys", keys[0]),
        count_of(pair, "cold_keys", keys[1]),
        count_of(pair, "dry_keys", keys[2]),
        share_of(found, found + growth(pair, "misses"), share), rates[0],
        rates[1], rates[2], rates[3], rates[4]);
}

/* The fields of the same namespace as at that time: numbers change when one
 * comes or goes. */
static struct top_fields find_namespace(
    const struct top_sample *sample, const struct top_fields *as)
{
    char prefix[TOP_LINE_BYTES], other[TOP_LINE_BYTES];
    struct top_fields fields = {0};
    top_fields_word(as, "prefix", prefix, sizeof(prefix));
    for (unsigned i = 0; sample->text != NULL; i++) {
        fields = top_sample_namespace(sample, i);
        top_fields_word(&fields, "prefix", other, sizeof(other));
        if (fields.text == NULL || strcmp(prefix, other) == 0) {
            break;
        }
    }
    return fields;
}

static void add_namespaces(struct top_page *page,
    const struct top_sample *before, const struct top_sample *now,
    double seconds)
{
    struct pair pair = {.seconds = seconds};
    top_page_add(page, true, "%-16s %6s %6s %6s %6s %6s %6s %6s %6s %6s",
        "NAMESPACE", "HOT", "COLD", "DRY", "HIT", "HITS/S", "PUTS/S", "DOWN/S",
        "UP/S", "GONE/S");
    for (unsigned i = 0;; i++) {
        pair.now = top_sample_namespace(now, i);
        if (pair.now.text == NULL) {
            return;
        }
        pair.before = find_namespace(before, &pair.now);
        add_namespace(page, &pair);
    }
}

/* Did the same run of the server say both? */
static bool same_run(const struct pair *pair)
{
    char before[WORD_BYTES], now[WORD_BYTES];
    top_fields_word(&pair->before, "run_id", before, sizeof(before));
    top_fields_word(&pair->now, "run_id", now, sizeof(now));
    return pair->before.text != NULL && strcmp(before, now) == 0;
}

void top_page_fill(struct top_page *page, const struct top_sample *before,
    const struct top_sample *now)
{
    static const struct top_sample none = {0};
    struct pair pair = {top_sample_lines(before), top_sample_lines(now), 0};
    if (same_run(&pair)) {
        pair.seconds = now->at_s - before->at_s;
    } else {
        before = &none;
        pair.before = top_sample_lines(before);
        pair.seconds = total(&pair, "uptime_in_seconds");
    }
    if (pair.seconds < 0.001) {
        pair.seconds = 1;
    }
    add_server(page, &pair);
    add_tiers(page, &pair);
    add_movement(page, &pair);
    add_namespaces(page, before, now, pair.seconds);
}
