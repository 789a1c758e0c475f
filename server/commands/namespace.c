/* NAMESPACE: rules for the keys that begin with a prefix. What they may say is
 * in tiers/namespace_options.def; they are part of the configuration. */
#include <stdio.h>
#include <stdlib.h>

#include "server/commands/info.h"
#include "server/commands/tier.h"
#include "server/config_apply.h"
#include "server/config_namespace.h"
#include "server/directive.h"
#include "server/server.h"

/* Argument `index` as a C string, or NULL after an error: it has a NUL. */
static char *arg_text(struct request *request, int index)
{
    struct bytes value = request->argv[index];
    if (value.size > 0 && memchr(value.data, '\0', value.size) != NULL) {
        reply_error(request->reply, "ERR argument must not hold a NUL byte");
        return NULL;
    }
    char *text = scratch_alloc(request->scratch, value.size + 1);
    if (value.size > 0) {
        memcpy(text, value.data, value.size);
    }
    text[value.size] = '\0';
    return text;
}

void error_no_namespace(struct request *request, struct bytes prefix)
{
    int size = prefix.size < 128 ? (int)prefix.size : 128;
    reply_error(request->reply, "ERR there is no namespace '%.*s'", size,
        prefix.size == 0 ? "" : prefix.data);
}

void cmd_namespace_list(struct request *request)
{
    const struct config *config = &request->server->config;
    bool with_default = false;
    for (unsigned i = 0; i < config->namespace_count; i++) {
        with_default |= config->namespaces[i].prefix[0] == '\0';
    }
    reply_array(request->reply, config->namespace_count + !with_default);
    if (!with_default) {
        reply_bulk_text(request->reply, "");
    }
    for (unsigned i = 0; i < config->namespace_count; i++) {
        reply_bulk_text(request->reply, config->namespaces[i].prefix);
    }
}

void cmd_namespace_get(struct request *request)
{
    struct namespace_options options;
    const char *prefix = arg_text(request, 2);
    if (prefix == NULL) {
        return;
    }
    if (!config_namespace_options(&request->server->config, prefix, &options)) {
        error_no_namespace(request, request->argv[2]);
        return;
    }
    reply_map(request->reply, NAMESPACE_OPTION_COUNT);
    for (unsigned i = 0; i < NAMESPACE_OPTION_COUNT; i++) {
        char *value = namespace_option_text(&options, (enum namespace_option)i);
        reply_bulk_text(
            request->reply, namespace_option_name((enum namespace_option)i));
        reply_bulk_text(request->reply, value);
        free(value);
    }
}

/* Puts a changed configuration into use, or answers why not. */
static bool apply(struct request *request, struct config *wanted)
{
    const struct directive *culprit;
    char reason[CONFIG_REASON_BYTES];
    wanted->given[directive_row(directive_find("namespace"))] = true;
    if (config_apply(request->server, wanted, &culprit, reason)) {
        return true;
    }
    reply_error(request->reply, "ERR %s", reason);
    return false;
}

void cmd_namespace_set(struct request *request)
{
    int count = request->argc - 3;
    char **words =
        scratch_alloc(request->scratch, (size_t)(count + 1) * sizeof(*words));
    for (int i = -1; i < count; i++) {
        words[i + 1] = arg_text(request, i + 3);
        if (words[i + 1] == NULL) {
            return;
        }
    }
    struct config wanted;
    char reason[CONFIG_REASON_BYTES];
    config_copy(&wanted, &request->server->config);
    if (!config_set_namespace(&wanted, words[0], words + 1, count, reason)) {
        config_finish(&wanted);
        reply_error(request->reply, "ERR %s", reason);
        return;
    }
    if (apply(request, &wanted)) {
        reply_ok(request->reply);
    }
}

void cmd_namespace_del(struct request *request)
{
    struct config wanted;
    const char *prefix = arg_text(request, 2);
    if (prefix == NULL) {
        return;
    }
    config_copy(&wanted, &request->server->config);
    if (!config_remove_namespace(&wanted, prefix)) {
        config_finish(&wanted);
        reply_integer(request->reply, 0);
        return;
    }
    if (apply(request, &wanted)) {
        reply_integer(request->reply, 1);
    }
}

#define FIGURE(name, field)                                                    \
    {                                                                          \
        name, offsetof(struct namespace_stats, field)                          \
    }
#define BY_TIER(field, of)                                                     \
    FIGURE("hot_" field, of[TIER_HOT]), FIGURE("cold_" field, of[TIER_COLD]),  \
        FIGURE("dry_" field, of[TIER_DRY])
const struct tier_figure namespace_figures[] = {
    FIGURE("hot_keys", tier[TIER_HOT].items),
    FIGURE("hot_bytes", tier[TIER_HOT].bytes),
    FIGURE("cold_keys", tier[TIER_COLD].items),
    FIGURE("cold_bytes", tier[TIER_COLD].bytes),
    FIGURE("dry_keys", tier[TIER_DRY].items),
    FIGURE("dry_bytes", tier[TIER_DRY].bytes),
    FIGURE("disk_bytes", disk_bytes),
    BY_TIER("hits", counters.hits),
    FIGURE("misses", counters.misses),
    FIGURE("gets", gets),
    FIGURE("puts", counters.puts),
    FIGURE("deletes", counters.deletes),
    FIGURE("demoted_hot_cold", counters.demoted_hot_cold),
    FIGURE("demoted_cold_dry", counters.demoted_cold_dry),
    FIGURE("promoted_dry_cold", counters.promoted_dry_cold),
    FIGURE("promoted_cold_hot", counters.promoted_cold_hot),
    FIGURE("compressed_raw_bytes", counters.compressed_raw_bytes),
    FIGURE("compressed_stored_bytes", counters.compressed_stored_bytes),
    FIGURE("store_errors", counters.store_errors),
    FIGURE("store_retries", counters.store_retries),
    BY_TIER("evicted", counters.evicted),
    BY_TIER("expired", counters.expired),
};
const size_t namespace_figure_count =
    sizeof(namespace_figures) / sizeof(namespace_figures[0]);

uint64_t namespace_figure_value(
    const struct tier_figure *figure, const struct namespace_stats *stats)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + figure->offset, sizeof(value));
    return value;
}

static void reply_stats(
    struct reply *reply, const struct namespace_stats *stats)
{
    reply_map(reply, namespace_figure_count);
    for (size_t i = 0; i < namespace_figure_count; i++) {
        reply_bulk_text(reply, namespace_figures[i].name);
        reply_integer(reply,
            (int64_t)namespace_figure_value(&namespace_figures[i], stats));
    }
}

static void reply_all_stats(struct request *request)
{
    const struct config *config = &request->server->config;
    struct namespace_stats stats;
    size_t count = 0;
    size_t mark = reply_begin(request->reply);
    check(engine_namespace_stats(request->engine, bytes_of("", 0), &stats));
    reply_bulk_text(request->reply, "");
    reply_stats(request->reply, &stats);
    count++;
    for (unsigned i = 0; i < config->namespace_count; i++) {
        const char *prefix = config->namespaces[i].prefix;
        if (*prefix != '\0' && engine_namespace_stats(request->engine,
                                   bytes_of(prefix, strlen(prefix)), &stats)) {
            reply_bulk_text(request->reply, prefix);
            reply_stats(request->reply, &stats);
            count++;
        }
    }
    reply_end(request->reply, mark, REPLY_MAP, count);
}

void cmd_namespace_stats(struct request *request)
{
    struct namespace_stats stats;
    if (request->argc > 3) {
        error_syntax(request);
        return;
    }
    if (request->argc == 2) {
        reply_all_stats(request);
        return;
    }
    if (!engine_namespace_stats(request->engine, request->argv[2], &stats)) {
        error_no_namespace(request, request->argv[2]);
        return;
    }
    reply_stats(request->reply, &stats);
}

static void write_namespace(
    struct info *info, unsigned number, const char *prefix)
{
    struct namespace_stats stats;
    char name[32];
    if (!engine_namespace_stats(
            info->engine, bytes_of(prefix, strlen(prefix)), &stats)) {
        return;
    }
    snprintf(name, sizeof(name), "namespace%u", number);
    fprintf(info->out, "%s:prefix=", name);
    for (const char *c = prefix; *c != '\0'; c++) {
        /* What would end the field or the line is written as in a URL. */
        bool plain = *c > ' ' && *c < 127 && *c != ',' && *c != '%';
        fprintf(info->out, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    for (size_t i = 0; i < namespace_figure_count; i++) {
        fprintf(info->out, ",%s=%llu", namespace_figures[i].name,
            (unsigned long long)namespace_figure_value(
                &namespace_figures[i], &stats));
    }
    fputs("\r\n", info->out);
}

void info_namespaces(struct info *info)
{
    const struct config *config = &info->server->config;
    unsigned number = 0;
    write_namespace(info, number++, "");
    for (unsigned i = 0; i < config->namespace_count; i++) {
        if (config->namespaces[i].prefix[0] != '\0') {
            write_namespace(info, number++, config->namespaces[i].prefix);
        }
    }
}

void cmd_namespace_help(struct request *request)
{
    static const char *const lines[] = {
        "DEL <prefix>",
        "    Take the rules of <prefix> away. Its keys stay, under the rules "
        "of the",
        "    next shorter prefix. Answers how many namespaces are gone.",
        "FLUSH <prefix> [TIER HOT|COLD|DRY]",
        "    Delete the keys of the namespace, or those whose value is in one "
        "tier.",
        "    Answers how many.",
        "GET <prefix>",
        "    All options in use for <prefix>.",
        "LIST",
        "    The prefixes that have rules, and the empty one.",
        "SET <prefix> <option> <value> [<option> <value> ...]",
        "    Create a namespace or change options of it. The value DEFAULT "
        "takes an",
        "    option back.",
        "STATS [<prefix>]",
        "    Keys and bytes by tier, of one namespace or of all.",
        NULL,
    };
    help_reply(request, lines);
}
