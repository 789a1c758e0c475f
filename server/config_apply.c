#include "server/config_apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/acl.h"
#include "server/config_namespace.h"
#include "server/cron.h"
#include "server/directive.h"
#include "server/listen.h"
#include "server/server.h"

/* File descriptors the server needs besides its clients'. */
#define OWN_DESCRIPTORS 32

enum engine_durability config_durability(const struct config *config)
{
    if (!config->appendonly) {
        return ENGINE_CHECKPOINTS;
    }
    switch ((enum append_fsync)config->appendfsync) {
    case APPEND_FSYNC_ALWAYS:
        return ENGINE_ALWAYS;
    case APPEND_FSYNC_EVERYSEC:
        return ENGINE_EVERYSEC;
    case APPEND_FSYNC_NO:
        return ENGINE_NEVER_SYNC;
    }
    check(false);
    return ENGINE_ALWAYS;
}

static bool apply_maxmemory(struct server *server, char *reason)
{
    (void)reason;
    engine_set_maxmemory(
        server->engine, server_maxmemory_bytes(&server->config));
    return true;
}

static bool apply_policy(struct server *server, char *reason)
{
    (void)reason;
    engine_set_policy(
        server->engine, (enum engine_policy)server->config.maxmemory_policy);
    config_apply_namespaces(&server->config, server->engine);
    return true;
}

static bool apply_durability(struct server *server, char *reason)
{
    (void)reason;
    engine_set_durability(server->engine, config_durability(&server->config));
    return true;
}

static bool apply_loglevel(struct server *server, char *reason)
{
    (void)reason;
    server->log.level = (enum log_level)server->config.loglevel;
    return true;
}

static bool apply_dir(struct server *server, char *reason)
{
    if (chdir(server->config.dir) == 0) {
        return true;
    }
    snprintf(reason, CONFIG_REASON_BYTES, "%s", strerror(errno));
    return false;
}

static bool apply_hz(struct server *server, char *reason)
{
    (void)reason;
    cron_set_hz(server);
    return true;
}

static bool apply_requirepass(struct server *server, char *reason)
{
    (void)reason;
    acl_set_default_password(server->acl, server->config.requirepass);
    return true;
}

static bool apply_bind(struct server *server, char *reason)
{
    if (listen_reopen_tcp(server)) {
        return true;
    }
    snprintf(
        reason, CONFIG_REASON_BYTES, "Failed to bind to specified addresses.");
    return false;
}

static bool apply_namespaces(struct server *server, char *reason)
{
    (void)reason;
    config_apply_namespaces(&server->config, server->engine);
    return true;
}

static bool apply_port(struct server *server, char *reason)
{
    if (listen_reopen_tcp(server)) {
        return true;
    }
    snprintf(reason, CONFIG_REASON_BYTES,
        "Unable to listen on this port. Check server logs.");
    return false;
}

static bool apply_maxclients(struct server *server, char *reason)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)server->config.maxclients + OWN_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return true;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    if (limit.rlim_cur == needed && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        return true;
    }
    snprintf(reason, CONFIG_REASON_BYTES,
        "The operating system is not able to handle the specified number of "
        "clients, try with %d",
        (int)before - OWN_DESCRIPTORS);
    return false;
}

/* Directives that are not looked up where they matter. */
static const struct {
    const char *name;
    bool (*apply)(struct server *server, char *reason);
} hooks[] = {
    {"appendfsync", apply_durability},
    {"appendonly", apply_durability},
    {"bind", apply_bind},
    {"dir", apply_dir},
    {"hz", apply_hz},
    {"loglevel", apply_loglevel},
    {"maxclients", apply_maxclients},
    {"maxmemory", apply_maxmemory},
    {"maxmemory-policy", apply_policy},
    {"namespace", apply_namespaces},
    {"port", apply_port},
    {"requirepass", apply_requirepass},
    {"tier-defaults", apply_namespaces},
};

static bool differs(const struct config *a, const struct config *b,
    const struct directive *directive)
{
    char *left = directive_get(a, directive);
    char *right = directive_get(b, directive);
    bool result = strcmp(left, right) != 0;
    free(left);
    free(right);
    return result;
}

static const struct directive *apply_changes(
    struct server *server, const struct config *before, char *reason)
{
    server_apply_config(server);
    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
        const struct directive *directive = directive_find(hooks[i].name);
        check(directive != NULL);
        if (differs(before, &server->config, directive) &&
            !hooks[i].apply(server, reason)) {
            return directive;
        }
    }
    return NULL;
}

bool config_apply(struct server *server, struct config *wanted,
    const struct directive **culprit, char *reason)
{
    struct config before = server->config;
    server->config = *wanted;
    config_settle(&server->config);
    *culprit = apply_changes(server, &before, reason);
    if (*culprit == NULL) {
        server_apply_config(server);
        config_finish(&before);
        return true;
    }
    struct config failed = server->config;
    server->config = before;
    char ignored[CONFIG_REASON_BYTES];
    apply_changes(server, &failed, ignored);
    config_finish(&failed);
    return false;
}
