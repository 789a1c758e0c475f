/* The table of directives and the life of struct config. */
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "protocol/bytes.h"
#include "server/directive.h"
#include "server/log.h"
#include "tiers/engine.h"

#define HZ_MIN 1
#define HZ_MAX 500

/* Names in the order in which Redis lists them in its error text. */
static const struct directive_name loglevel_names[] = {{"debug", LOG_DEBUG},
    {"verbose", LOG_VERBOSE}, {"notice", LOG_NOTICE}, {"warning", LOG_WARNING},
    {NULL, 0}};
static const struct directive_name appendfsync_names[] = {
    {"everysec", APPEND_FSYNC_EVERYSEC}, {"always", APPEND_FSYNC_ALWAYS},
    {"no", APPEND_FSYNC_NO}, {NULL, 0}};
static const struct directive_name policy_names[] = {
    {"volatile-lru", ENGINE_VOLATILE_LRU},
    {"volatile-lfu", ENGINE_VOLATILE_LFU},
    {"volatile-random", ENGINE_VOLATILE_RANDOM},
    {"volatile-ttl", ENGINE_VOLATILE_TTL}, {"allkeys-lru", ENGINE_ALLKEYS_LRU},
    {"allkeys-lfu", ENGINE_ALLKEYS_LFU},
    {"allkeys-random", ENGINE_ALLKEYS_RANDOM},
    {"noeviction", ENGINE_NOEVICTION}, {NULL, 0}};
static const struct directive_name supervised_names[] = {
    {"upstart", SUPERVISED_UPSTART}, {"systemd", SUPERVISED_SYSTEMD},
    {"auto", SUPERVISED_AUTO}, {"no", SUPERVISED_NO}, {NULL, 0}};
static const struct directive_name facility_names[] = {{"user", 0},
    {"local0", 1}, {"local1", 2}, {"local2", 3}, {"local3", 4}, {"local4", 5},
    {"local5", 6}, {"local6", 7}, {"local7", 8}, {NULL, 0}};
static const struct directive_name shutdown_names[] = {{"default", 0},
    {"save", CONFIG_SHUTDOWN_SAVE}, {"nosave", CONFIG_SHUTDOWN_NOSAVE},
    {"now", CONFIG_SHUTDOWN_NOW}, {"force", CONFIG_SHUTDOWN_FORCE}, {NULL, 0}};
static const struct directive_name allow_names[] = {{"no", CONFIG_ALLOW_NO},
    {"yes", CONFIG_ALLOW_YES}, {"local", CONFIG_ALLOW_LOCAL}, {NULL, 0}};
static const struct directive_name pubsub_names[] = {
    {"allchannels", 0}, {"resetchannels", 1}, {NULL, 0}};
static const struct directive_name endpoint_names[] = {
    {"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {NULL, 0}};
static const struct directive_name oom_names[] = {
    {"no", 0}, {"yes", 1}, {"relative", 1}, {"absolute", 2}, {NULL, 0}};
static const struct directive_name propagation_names[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {NULL, 0}};
static const struct directive_name diskless_names[] = {
    {"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {NULL, 0}};
static const struct directive_name sanitize_names[] = {
    {"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};
static const struct directive_name tls_auth_names[] = {
    {"no", 0}, {"yes", 1}, {"optional", 2}, {NULL, 0}};

/* Short names for the table. */
enum {
    IMMUTABLE = DIRECTIVE_IMMUTABLE,
    PROTECTED = DIRECTIVE_PROTECTED,
    SENSITIVE = DIRECTIVE_SENSITIVE,
    HIDDEN = DIRECTIVE_HIDDEN,
    MULTI = DIRECTIVE_MULTI,
    OCTAL = DIRECTIVE_OCTAL,
    PERCENT = DIRECTIVE_PERCENT,
    FILE_ONLY = DIRECTIVE_FILE_ONLY,
    NO_EFFECT = DIRECTIVE_NO_EFFECT,
};

#define IN(field) offsetof(struct config, field)
#define STORED DIRECTIVE_STORED
/* A value that is only stored has no effect. */
#define ROW(n, a, k, f, d, place, ...)                                         \
    {.name = (n),                                                              \
        .alias = (a),                                                          \
        .kind = (k),                                                           \
        .flags = (unsigned)(f) | ((place) == STORED ? NO_EFFECT : 0),          \
        .initial = (d),                                                        \
        .offset = (place),                                                     \
        __VA_ARGS__},
#define BOOL(n, a, f, d, place)                                                \
    ROW(n, a, DIRECTIVE_BOOL, f, d, place, .low = 0, .high = 1)
#define INTEGER(n, a, f, d, least, most, place)                                \
    ROW(n, a, DIRECTIVE_INT, f, d, place, .low = (least), .high = (most))
#define MEMORY(n, a, f, d, least, most, place)                                 \
    ROW(n, a, DIRECTIVE_MEMORY, f, d, place, .low = (least), .high = (most))
#define ENUM(n, a, f, d, choices, place)                                       \
    ROW(n, a, DIRECTIVE_ENUM, f, d, place, .names = (choices))
#define TEXT(n, a, f, d, function, place)                                      \
    ROW(n, a, DIRECTIVE_TEXT, f, d, place, .text_check = (function))
#define SPECIAL(n, a, f, d, functions)                                         \
    ROW(n, a, DIRECTIVE_SPECIAL, f, d, 0, .special = (functions))

const struct directive directive_rows[] = {
#include "server/directives.def"
};
const unsigned directive_count =
    sizeof(directive_rows) / sizeof(directive_rows[0]);

const struct directive *directive_find(const char *name)
{
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        if (strcasecmp(row->name, name) == 0 ||
            (row->alias != NULL && strcasecmp(row->alias, name) == 0)) {
            return row;
        }
    }
    return NULL;
}

unsigned directive_row(const struct directive *directive)
{
    return (unsigned)(directive - directive_rows);
}

static bool has_own_text(const struct directive *directive)
{
    return directive->kind == DIRECTIVE_TEXT ||
           (directive->kind == DIRECTIVE_SPECIAL &&
               (directive->flags & DIRECTIVE_NO_EFFECT) != 0);
}

/* Where the heap text of a row lies, or NULL when it has none. */
static char **text_slot(
    const struct config *config, const struct directive *directive)
{
    if (!has_own_text(directive)) {
        return NULL;
    }
    if (directive->kind == DIRECTIVE_SPECIAL) {
        return &config->stored[directive_row(directive)].text;
    }
    return directive_slot(config, directive);
}

void config_init(struct config *config)
{
    memset(config, 0, sizeof(*config));
    config->stored = xcalloc(directive_count, sizeof(*config->stored));
    config->given = xcalloc(directive_count, sizeof(*config->given));
    config->warned = xcalloc(directive_count, sizeof(*config->warned));
    namespace_options_init(&config->tier_defaults);
    config->dir = xstrdup("");
    config->config_path = xstrdup("");
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        char **text = text_slot(config, row);
        if (text != NULL) {
            *text = xstrdup("");
        }
        if ((row->flags & DIRECTIVE_FILE_ONLY) == 0) {
            char reason[CONFIG_REASON_BYTES];
            check(directive_set_text(config, row, row->initial, reason));
        }
    }
}

static void free_bind(struct config *config)
{
    for (unsigned i = 0; i < config->bind_count; i++) {
        free(config->bind[i]);
    }
    free(config->bind);
}

void config_finish(struct config *config)
{
    for (unsigned i = 0; i < directive_count; i++) {
        char **text = text_slot(config, &directive_rows[i]);
        if (text != NULL) {
            free(*text);
        }
    }
    free_bind(config);
    config_users_free(config);
    for (unsigned i = 0; i < config->rename_count; i++) {
        free(config->renames[i].from);
        free(config->renames[i].to);
    }
    free(config->renames);
    for (unsigned i = 0; i < config->namespace_count; i++) {
        free(config->namespaces[i].prefix);
    }
    free(config->namespaces);
    free(config->save);
    free(config->dir);
    free(config->config_path);
    free(config->stored);
    free(config->given);
    free(config->warned);
    memset(config, 0, sizeof(*config));
}

/* `count` may be 0: the copy can then be NULL. */
static void *copy_array(const void *from, size_t count, size_t size)
{
    if (count == 0) {
        return NULL;
    }
    void *to = xmalloc(count * size);
    memcpy(to, from, count * size);
    return to;
}

static void copy_lists(struct config *to, const struct config *from)
{
    to->bind = copy_array(from->bind, from->bind_count, sizeof(*from->bind));
    for (unsigned i = 0; i < from->bind_count; i++) {
        to->bind[i] = xstrdup(from->bind[i]);
    }
    to->renames =
        copy_array(from->renames, from->rename_count, sizeof(*from->renames));
    for (unsigned i = 0; i < from->rename_count; i++) {
        to->renames[i].from = xstrdup(from->renames[i].from);
        to->renames[i].to = xstrdup(from->renames[i].to);
    }
    config_users_copy(to, from);
    to->namespaces = copy_array(
        from->namespaces, from->namespace_count, sizeof(*from->namespaces));
    for (unsigned i = 0; i < from->namespace_count; i++) {
        to->namespaces[i].prefix = xstrdup(from->namespaces[i].prefix);
    }
    to->save = copy_array(from->save, from->save_count, sizeof(*from->save));
}

void config_copy(struct config *to, const struct config *from)
{
    *to = *from;
    to->stored =
        copy_array(from->stored, directive_count, sizeof(*from->stored));
    to->given = copy_array(from->given, directive_count, sizeof(*from->given));
    to->warned =
        copy_array(from->warned, directive_count, sizeof(*from->warned));
    to->dir = xstrdup(from->dir);
    to->config_path = xstrdup(from->config_path);
    for (unsigned i = 0; i < directive_count; i++) {
        char **text = text_slot(to, &directive_rows[i]);
        if (text != NULL) {
            *text = xstrdup(*text);
        }
    }
    copy_lists(to, from);
}

bool directive_set(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    if (directive->kind == DIRECTIVE_SPECIAL) {
        return directive->special->set(config, directive, words, count, reason);
    }
    return directive_set_word(config, directive, words, count, reason);
}

char *directive_get(
    const struct config *config, const struct directive *directive)
{
    if (directive->kind == DIRECTIVE_SPECIAL) {
        check(directive->special->get != NULL);
        return directive->special->get(config, directive);
    }
    return directive_get_word(config, directive);
}

void config_settle(struct config *config)
{
    if (config->hz < HZ_MIN) {
        config->hz = HZ_MIN;
    }
    if (config->hz > HZ_MAX) {
        config->hz = HZ_MAX;
    }
}

char *config_dry_path(const struct config *config)
{
    bool absolute = config->dry_dir[0] == '/';
    size_t size = strlen(config->dir) + strlen(config->dry_dir) + 2;
    char *path = xmalloc(size);
    snprintf(path, size, "%s%s%s", absolute ? "" : config->dir,
        absolute ? "" : "/", config->dry_dir);
    return path;
}

void config_log_warnings(struct config *config, struct log *log)
{
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        if ((row->flags & DIRECTIVE_NO_EFFECT) == 0 || !config->given[i] ||
            config->warned[i]) {
            continue;
        }
        config->warned[i] = true;
        log_line(log, LOG_WARNING,
            "directive '%s' is accepted but has no effect in larder",
            row->name);
    }
}
