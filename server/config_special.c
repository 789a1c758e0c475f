/* Directives whose value is a list or has rules of its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "protocol/bytes.h"
#include "server/command.h"
#include "server/config_text.h"
#include "server/directive.h"
#include "server/keyspace.h"

static bool refuse(char *reason, const char *text)
{
    snprintf(reason, CONFIG_REASON_BYTES, "%s", text);
    return false;
}

/* `words` joined by single blanks: heap. */
static char *join(char *const *words, unsigned count)
{
    struct text text;
    text_init(&text);
    for (unsigned i = 0; i < count; i++) {
        text_add_format(&text, "%s%s", i == 0 ? "" : " ", words[i]);
    }
    return text.data;
}

/* The text of a special directive that is only stored. */
static bool store(struct config *config, const struct directive *directive,
    char *const *words, int count)
{
    char **slot = &config->stored[directive_row(directive)].text;
    char *text = join(words, (unsigned)count);
    free(*slot);
    *slot = text;
    return true;
}

static char *get_stored(
    const struct config *config, const struct directive *directive)
{
    return xstrdup(config->stored[directive_row(directive)].text);
}

/* ---- bind ---- */

static bool set_bind(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    (void)directive;
    if (count > CONFIG_BIND_MAX) {
        return refuse(reason, "Too many bind addresses specified.");
    }
    if (count == 1 && *words[0] == '\0') {
        count = 0;
    }
    char **addresses = xcalloc((size_t)count + 1, sizeof(*addresses));
    for (int i = 0; i < count; i++) {
        addresses[i] = xstrdup(words[i]);
    }
    for (unsigned i = 0; i < config->bind_count; i++) {
        free(config->bind[i]);
    }
    free(config->bind);
    config->bind = addresses;
    config->bind_count = (unsigned)count;
    return true;
}

static char *get_bind(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    return join(config->bind, config->bind_count);
}

const struct directive_special special_bind = {set_bind, get_bind};

/* ---- save ---- */

static bool parse_save_points(
    struct save_point *points, char **words, int count, char *reason)
{
    for (int i = 0; i < count; i++) {
        char *end;
        errno = 0;
        long long value = strtoll(words[i], &end, 10);
        bool is_seconds = i % 2 == 0;
        if (*end != '\0' || errno != 0 || value < (is_seconds ? 1 : 0)) {
            return refuse(reason, "Invalid save parameters");
        }
        if (is_seconds) {
            points[i / 2].seconds = (uint64_t)value;
        } else {
            points[i / 2].changes = (uint64_t)value;
        }
    }
    return true;
}

/* A file may have several `save` lines: the first takes the place of the
 * default points, the others add to it. CONFIG SET replaces all. */
static bool set_save(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    (void)directive;
    if (count == 1 && *words[0] == '\0') {
        count = 0;
    }
    unsigned added = (unsigned)count / 2;
    struct save_point *points = xcalloc(added + 1, sizeof(*points));
    bool ok = count % 2 == 0 ? parse_save_points(points, words, count, reason)
                             : refuse(reason, "Invalid save parameters");
    if (!ok) {
        free(points);
        return false;
    }
    unsigned kept = config->loading && config->save_given && count > 0
                        ? config->save_count
                        : 0;
    config->save =
        xrealloc(config->save, (kept + added + 1) * sizeof(*config->save));
    memcpy(config->save + kept, points, added * sizeof(*points));
    config->save_count = kept + added;
    config->save_given = config->loading;
    free(points);
    return true;
}

static char *get_save(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    struct text text;
    text_init(&text);
    for (unsigned i = 0; i < config->save_count; i++) {
        text_add_format(&text, "%s%" PRIu64 " %" PRIu64, i == 0 ? "" : " ",
            config->save[i].seconds, config->save[i].changes);
    }
    return text.data;
}

const struct directive_special special_save = {set_save, get_save};

/* ---- client-output-buffer-limit ---- */

static int output_class_find(const char *name)
{
    static const char *const names[] = {"normal", "slave", "pubsub"};
    for (int i = 0; i < OUTPUT_CLASSES; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return i;
        }
    }
    return strcasecmp(name, "replica") == 0 ? OUTPUT_REPLICA : -1;
}

static bool set_output_limit(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    (void)directive;
    struct output_limit limits[OUTPUT_CLASSES];
    memcpy(limits, config->client_output_buffer_limit, sizeof(limits));
    if (count % 4 != 0) {
        return refuse(
            reason, "Wrong number of arguments in buffer limit configuration.");
    }
    for (int i = 0; i < count; i += 4) {
        int class = output_class_find(words[i]);
        if (class < 0) {
            return refuse(reason, "Invalid client class specified in buffer "
                                  "limit configuration.");
        }
        int64_t seconds;
        struct bytes last = bytes_of(words[i + 3], strlen(words[i + 3]));
        if (!config_parse_memory(words[i + 1], &limits[class].hard_bytes) ||
            !config_parse_memory(words[i + 2], &limits[class].soft_bytes) ||
            !bytes_to_int64(last, &seconds) || seconds < 0) {
            return refuse(reason, "Error in hard, soft or soft_seconds setting "
                                  "in buffer limit configuration.");
        }
        limits[class].soft_seconds = (uint64_t)seconds;
    }
    memcpy(config->client_output_buffer_limit, limits, sizeof(limits));
    return true;
}

static char *get_output_limit(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    const struct output_limit *limit = config->client_output_buffer_limit;
    char text[OUTPUT_CLASSES * 80];
    const char *between = "";
    size_t used = 0;
    for (int i = 0; i < OUTPUT_CLASSES; i++) {
        static const char *const names[] = {"normal", "slave", "pubsub"};
        used += (size_t)snprintf(text + used, sizeof(text) - used,
            "%s%s %" PRIu64 " %" PRIu64 " %" PRIu64, between, names[i],
            limit[i].hard_bytes, limit[i].soft_bytes, limit[i].soft_seconds);
        between = " ";
    }
    return xstrdup(text);
}

const struct directive_special special_output_limit = {
    set_output_limit, get_output_limit};

/* ---- dir ---- */

/* Only checked and made absolute here: who sets it for good also changes the
 * process' working directory. */
static bool set_dir(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    (void)directive;
    struct stat found;
    if (count != 1) {
        return refuse(reason, "wrong number of arguments");
    }
    char *path = realpath(words[0], NULL);
    if (path == NULL || stat(path, &found) != 0) {
        free(path);
        return refuse(reason, strerror(errno));
    }
    if (!S_ISDIR(found.st_mode)) {
        free(path);
        return refuse(reason, strerror(ENOTDIR));
    }
    free(config->dir);
    config->dir = path;
    return true;
}

static char *get_dir(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    return xstrdup(config->dir);
}

const struct directive_special special_dir = {set_dir, get_dir};

/* ---- latency-tracking-info-percentiles ---- */

static bool set_percentiles(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    (void)directive;
    double values[CONFIG_PERCENTILES_MAX];
    if (count == 1 && *words[0] == '\0') {
        count = 0;
    }
    for (int i = 0; i < count; i++) {
        char *end;
        double value = strtod(words[i], &end);
        if (*end != '\0' || end == words[i] || i == CONFIG_PERCENTILES_MAX) {
            return refuse(
                reason, "Invalid latency-tracking-info-percentiles parameters");
        }
        if (!(value >= 0 && value <= 100)) {
            return refuse(reason,
                "latency-tracking-info-percentiles parameters should sit "
                "between [0.0,100.0]");
        }
        values[i] = value;
    }
    memcpy(
        config->latency_percentiles, values, (size_t)count * sizeof(values[0]));
    config->latency_percentile_count = (unsigned)count;
    return true;
}

static char *get_percentiles(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    char text[CONFIG_PERCENTILES_MAX * 26] = "";
    size_t used = 0;
    for (unsigned i = 0; i < config->latency_percentile_count; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.15g",
            i == 0 ? "" : " ", config->latency_percentiles[i]);
    }
    return xstrdup(text);
}

const struct directive_special special_percentiles = {
    set_percentiles, get_percentiles};

/* ---- accepted without effect, but checked ---- */

static bool set_oom_score(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    if (count != 3) {
        return refuse(reason, "wrong number of arguments");
    }
    for (int i = 0; i < count; i++) {
        char *end;
        long value = strtol(words[i], &end, 10);
        if (*end != '\0' || end == words[i] || value < -2000 || value > 2000) {
            return refuse(reason, "Invalid oom-score-adj-values, elements must "
                                  "be between -2000 and 2000.");
        }
    }
    return store(config, directive, words, count);
}

const struct directive_special special_oom_score = {set_oom_score, get_stored};

/* ---- notify-keyspace-events ---- */

/* In the order in which Redis prints them; A stands for the first ten. */
static const struct event_class {
    char letter;
    uint32_t bit;
} event_classes[] = {
    {'g', KEYSPACE_GENERIC},
    {'$', KEYSPACE_STRING},
    {'l', KEYSPACE_LIST},
    {'s', KEYSPACE_SET},
    {'h', KEYSPACE_HASH},
    {'z', KEYSPACE_ZSET},
    {'x', KEYSPACE_EXPIRED},
    {'e', KEYSPACE_EVICTED},
    {'t', KEYSPACE_STREAM},
    {'d', KEYSPACE_MODULE},
    {'n', KEYSPACE_NEW},
    {'K', KEYSPACE_BY_KEY},
    {'E', KEYSPACE_BY_EVENT},
    {'m', KEYSPACE_MISS},
};
#define EVENT_CLASSES (sizeof(event_classes) / sizeof(event_classes[0]))
#define EVENT_CLASSES_IN_A 10

static uint32_t events_in_a(void)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < EVENT_CLASSES_IN_A; i++) {
        bits |= event_classes[i].bit;
    }
    return bits;
}

static bool set_notify(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    (void)directive;
    uint32_t bits = 0;
    if (count != 1) {
        return refuse(reason, "wrong number of arguments");
    }
    for (const char *c = words[0]; *c != '\0'; c++) {
        size_t i = 0;
        while (i < EVENT_CLASSES && event_classes[i].letter != *c) {
            i++;
        }
        if (*c == 'A') {
            bits |= events_in_a();
        } else if (i < EVENT_CLASSES) {
            bits |= event_classes[i].bit;
        } else {
            return refuse(reason,
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        }
    }
    config->notify_events = bits;
    return true;
}

/* Redis forgets to print n behind an A. */
static char *get_notify(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    uint32_t bits = config->notify_events, in_a = events_in_a();
    bool whole = (bits & in_a) == in_a;
    char text[EVENT_CLASSES + 1], *end = text;
    if (whole) {
        *end++ = 'A';
    }
    for (size_t i = 0; i < EVENT_CLASSES; i++) {
        uint32_t bit = event_classes[i].bit;
        if ((bits & bit) != 0 &&
            !(whole && ((bit & in_a) != 0 || bit == KEYSPACE_NEW))) {
            *end++ = event_classes[i].letter;
        }
    }
    *end = '\0';
    return xstrdup(text);
}

const struct directive_special special_notify = {set_notify, get_notify};

/* ---- accepted without effect, but checked: replicaof ---- */

static bool set_replicaof(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    int64_t port;
    if (count == 0 && !config->loading) {
        return store(config, directive, words, 0);
    }
    if (count != 2) {
        return refuse(reason, "wrong number of arguments");
    }
    if (strcasecmp(words[0], "no") == 0 && strcasecmp(words[1], "one") == 0) {
        return store(config, directive, words, 0);
    }
    if (!bytes_to_int64(bytes_of(words[1], strlen(words[1])), &port) ||
        port < 0 || port > 65535) {
        return refuse(reason, "Invalid master port");
    }
    return store(config, directive, words, count);
}

const struct directive_special special_replicaof = {set_replicaof, get_stored};

static bool set_ignored(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    if (count == 0) {
        return refuse(reason, "Bad directive or wrong number of arguments");
    }
    return store(config, directive, words, count);
}

const struct directive_special special_ignored = {set_ignored, NULL};

/* ---- rename-command ---- */

const struct command *config_find_command(
    const struct config *config, struct bytes name)
{
    for (unsigned i = config->rename_count; i > 0; i--) {
        const struct config_rename *rename = &config->renames[i - 1];
        if (*rename->to != '\0' && bytes_equal_nocase(name, rename->to)) {
            name = bytes_of(rename->from, strlen(rename->from));
        } else if (bytes_equal_nocase(name, rename->from)) {
            return NULL;
        }
    }
    return command_find(name);
}

static bool is_command(const struct config *config, const char *name)
{
    struct bytes bytes = bytes_of(name, strlen(name));
    return config_find_command(config, bytes) != NULL;
}

static bool set_rename(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    (void)directive;
    if (count != 2) {
        return refuse(reason, "Bad directive or wrong number of arguments");
    }
    if (!is_command(config, words[0])) {
        return refuse(reason, "No such command in rename-command");
    }
    if (*words[1] != '\0' && is_command(config, words[1])) {
        return refuse(reason, "Target command name already exists");
    }
    config->renames = xrealloc(
        config->renames, (config->rename_count + 1) * sizeof(*config->renames));
    config->renames[config->rename_count++] = (struct config_rename){
        .from = xstrdup(words[0]), .to = xstrdup(words[1])};
    return true;
}

const struct directive_special special_rename = {set_rename, NULL};
