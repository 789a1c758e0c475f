/* `namespace` and `tier-defaults`: rules by key prefix.
 *
 *   namespace session: hot-maxmemory 256mb eviction lfu
 *   tier-defaults hot-maxmemory 1gb
 *
 * Several lines of one prefix add up. CONFIG GET shows one line a prefix, and
 * CONFIG SET takes the same: what it does not mention stays. */
#include "server/config_namespace.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/config_text.h"
#include "server/directive.h"

static struct config_namespace *find(
    const struct config *config, const char *prefix)
{
    for (unsigned i = 0; i < config->namespace_count; i++) {
        if (strcmp(config->namespaces[i].prefix, prefix) == 0) {
            return &config->namespaces[i];
        }
    }
    return NULL;
}

/* Whether one namespace, with the defaults, makes sense. */
static bool check_one(const struct config *config, const char *prefix,
    const struct namespace_options *options, char *reason)
{
    struct namespace_options merged;
    char cause[NAMESPACE_REASON_BYTES];
    namespace_options_merge(&merged, options, &config->tier_defaults);
    if (namespace_options_check(&merged, cause)) {
        return true;
    }
    snprintf(
        reason, CONFIG_REASON_BYTES, "namespace '%.64s': %s", prefix, cause);
    return false;
}

bool config_set_namespace(struct config *config, const char *prefix,
    char *const *words, int count, char *reason)
{
    struct config_namespace *found = find(config, prefix);
    struct namespace_options options;
    char cause[NAMESPACE_REASON_BYTES];
    namespace_options_init(&options);
    if (found != NULL) {
        options = found->options;
    }
    if (strlen(prefix) > NAMESPACE_PREFIX_MAX) {
        snprintf(reason, CONFIG_REASON_BYTES,
            "the prefix of a namespace has at most %d bytes",
            NAMESPACE_PREFIX_MAX);
        return false;
    }
    if (!namespace_options_parse(&options, words, count, cause)) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", cause);
        return false;
    }
    if (!check_one(config, prefix, &options, reason)) {
        return false;
    }
    if (found != NULL) {
        found->options = options;
        return true;
    }
    /* The default namespace is always there. */
    if (config->namespace_count == NAMESPACES_MAX - 1) {
        snprintf(reason, CONFIG_REASON_BYTES, "there are %d namespaces already",
            NAMESPACES_MAX);
        return false;
    }
    config->namespaces = xrealloc(config->namespaces,
        (config->namespace_count + 1) * sizeof(*config->namespaces));
    config->namespaces[config->namespace_count++] =
        (struct config_namespace){xstrdup(prefix), options};
    return true;
}

bool config_remove_namespace(struct config *config, const char *prefix)
{
    struct config_namespace *found = find(config, prefix);
    if (found == NULL) {
        return false;
    }
    free(found->prefix);
    config->namespace_count--;
    size_t behind =
        config->namespace_count - (size_t)(found - config->namespaces);
    memmove(found, found + 1, behind * sizeof(*found));
    return true;
}

bool config_namespace_options(const struct config *config, const char *prefix,
    struct namespace_options *merged)
{
    const struct config_namespace *found = find(config, prefix);
    struct namespace_options none;
    if (found == NULL && *prefix != '\0') {
        return false;
    }
    namespace_options_init(&none);
    namespace_options_merge(merged, found != NULL ? &found->options : &none,
        &config->tier_defaults);
    return true;
}

void config_apply_namespaces(const struct config *config, struct engine *engine)
{
    struct namespace_setting *settings =
        xcalloc(config->namespace_count + 1, sizeof(*settings));
    unsigned count = 0;
    settings[count].prefix = bytes_of("", 0);
    config_namespace_options(config, "", &settings[count++].options);
    for (unsigned i = 0; i < config->namespace_count; i++) {
        const char *prefix = config->namespaces[i].prefix;
        if (*prefix != '\0') {
            settings[count].prefix = bytes_of(prefix, strlen(prefix));
            config_namespace_options(
                config, prefix, &settings[count++].options);
        }
    }
    engine_set_namespaces(engine, settings, count);
    free(settings);
}

/* ---- the directives ---- */

static bool refuse_arity(char *reason)
{
    snprintf(reason, CONFIG_REASON_BYTES,
        "wrong number of arguments: <prefix> <option> <value> ...");
    return false;
}

static bool set_line(struct config *config, const char *line, char *reason)
{
    char **words;
    int count = text_split(line, &words);
    if (count < 0) {
        snprintf(reason, CONFIG_REASON_BYTES, "unbalanced quotes");
        return false;
    }
    bool ok = count == 0 || (count > 1 ? config_set_namespace(config, words[0],
                                             words + 1, count - 1, reason)
                                       : refuse_arity(reason));
    text_free_words(words, count);
    return ok;
}

/* Words of a line, or one text of lines. */
static bool set_namespace(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    (void)directive;
    if (count > 1) {
        return config_set_namespace(
            config, words[0], words + 1, count - 1, reason);
    }
    if (count == 0) {
        return refuse_arity(reason);
    }
    bool ok = true;
    char *copy = xstrdup(words[0]);
    char *rest = copy;
    while (ok && rest != NULL) {
        ok = set_line(config, strsep(&rest, "\n"), reason);
    }
    free(copy);
    return ok;
}

static char *get_namespace(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    struct text text;
    text_init(&text);
    for (unsigned i = 0; i < config->namespace_count; i++) {
        const struct config_namespace *namespace = &config->namespaces[i];
        char *options = namespace_options_text(&namespace->options);
        text_add(&text, i == 0 ? "" : "\n");
        text_add_quoted(&text, namespace->prefix);
        text_add_format(&text, " %s", options);
        free(options);
    }
    return text.data;
}

const struct directive_special special_namespace = {
    set_namespace, get_namespace};

static bool set_defaults(
    struct config *config, char *const *words, int count, char *reason)
{
    struct namespace_options before = config->tier_defaults;
    char cause[NAMESPACE_REASON_BYTES];
    if (!namespace_options_parse(&config->tier_defaults, words, count, cause)) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", cause);
        return false;
    }
    struct namespace_options none;
    namespace_options_init(&none);
    bool ok = check_one(config, "", &none, reason);
    for (unsigned i = 0; ok && i < config->namespace_count; i++) {
        ok = check_one(config, config->namespaces[i].prefix,
            &config->namespaces[i].options, reason);
    }
    if (!ok) {
        config->tier_defaults = before;
    }
    return ok;
}

static bool set_tier_defaults(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    (void)directive;
    if (count > 1) {
        return set_defaults(config, words, count, reason);
    }
    char **split = NULL;
    int split_count = count == 0 ? 0 : text_split(words[0], &split);
    if (split_count < 0) {
        snprintf(reason, CONFIG_REASON_BYTES, "unbalanced quotes");
        return false;
    }
    bool ok = set_defaults(config, split, split_count, reason);
    text_free_words(split, split_count);
    return ok;
}

static char *get_tier_defaults(
    const struct config *config, const struct directive *directive)
{
    (void)directive;
    return namespace_options_text(&config->tier_defaults);
}

const struct directive_special special_tier_defaults = {
    set_tier_defaults, get_tier_defaults};
