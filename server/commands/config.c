/* CONFIG GET, SET, RESETSTAT, REWRITE. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/glob.h"
#include "server/acl.h"
#include "server/config_apply.h"
#include "server/config_rewrite.h"
#include "server/conn.h"
#include "server/directive.h"
#include "server/server.h"

/* ---- GET ---- */

static char *text_of(struct request *request, struct bytes value)
{
    char *text = scratch_alloc(request->scratch, value.size + 1);
    if (value.size > 0) {
        memcpy(text, value.data, value.size);
    }
    text[value.size] = '\0';
    return text;
}

static bool is_pattern(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (strchr("*?[", value.data[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Whether argument `index` asks for the directive under `name`. An exact name
 * also finds hidden ones. */
static bool asks_for(const struct request *request, int index,
    const struct directive *directive, const char *name)
{
    struct bytes pattern = request->argv[index];
    if (!is_pattern(pattern)) {
        return bytes_equal_nocase(pattern, name);
    }
    return (directive->flags & DIRECTIVE_HIDDEN) == 0 &&
           glob_match(pattern, bytes_of(name, strlen(name)), true);
}

/* Adds the directive under `name` when an argument asks for it: in the
 * spelling of the client, if that is exact. Returns how many were added. */
static size_t reply_if_asked(struct request *request,
    const struct directive *directive, const char *name)
{
    for (int i = 2; name != NULL && i < request->argc; i++) {
        if (!asks_for(request, i, directive, name)) {
            continue;
        }
        char *value = directive_get(&request->server->config, directive);
        if (is_pattern(request->argv[i])) {
            reply_bulk_text(request->reply, name);
        } else {
            reply_bulk(request->reply, request->argv[i]);
        }
        reply_bulk_text(request->reply, value);
        free(value);
        return 1;
    }
    return 0;
}

void cmd_config_get(struct request *request)
{
    size_t count = 0;
    size_t mark = reply_begin(request->reply);
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *directive = &directive_rows[i];
        if ((directive->flags & DIRECTIVE_FILE_ONLY) == 0) {
            count += reply_if_asked(request, directive, directive->name);
            count += reply_if_asked(request, directive, directive->alias);
        }
    }
    reply_end(request->reply, mark, REPLY_MAP, count);
}

/* ---- SET ---- */

/* Why a CONFIG SET is refused: the argument and the reason. */
struct refusal {
    int index;
    char reason[CONFIG_REASON_BYTES];
};

static void error_refused(
    struct request *request, const struct refusal *refusal)
{
    struct bytes name = request->argv[refusal->index];
    reply_error(request->reply,
        "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
        (int)name.size, name.data, refusal->reason);
}

static bool may_set_protected(struct request *request)
{
    int allow = request->server->config.enable_protected_configs;
    return allow == CONFIG_ALLOW_YES ||
           (allow == CONFIG_ALLOW_LOCAL && conn_is_local(request->conn));
}

/* Values are C strings: what is behind a NUL would be lost unnoticed. */
static bool has_nul(struct bytes value)
{
    return value.size > 0 && memchr(value.data, '\0', value.size) != NULL;
}

static const struct directive *settable(struct request *request, int index)
{
    struct bytes name = request->argv[index];
    const struct directive *directive =
        has_nul(name) ? NULL : directive_find(text_of(request, name));
    bool ok =
        directive != NULL && (directive->flags & DIRECTIVE_FILE_ONLY) == 0;
    return ok ? directive : NULL;
}

/* Redis has one parameter a name: an alias is another one. */
static bool named_before(const struct request *request, int index)
{
    const char *name = text_of((struct request *)request, request->argv[index]);
    for (int i = 2; i < index; i += 2) {
        if (bytes_equal_nocase(request->argv[i], name)) {
            return true;
        }
    }
    return false;
}

/* Checks that every name may be set, in order; answers when not. */
static bool check_names(struct request *request)
{
    struct refusal refusal;
    for (int i = 2; i < request->argc; i += 2) {
        const struct directive *directive = settable(request, i);
        const char *reason = NULL;
        if (directive == NULL) {
            struct bytes name = request->argv[i];
            reply_error(request->reply,
                ("ERR Unknown option or number of arguments for CONFIG SET - "
                 "'%.*s'"),
                (int)name.size, name.data);
            return false;
        }
        if ((directive->flags & DIRECTIVE_IMMUTABLE) != 0) {
            reason = "can't set immutable config";
        } else if ((directive->flags & DIRECTIVE_PROTECTED) != 0 &&
                   !may_set_protected(request)) {
            reason = "can't set protected config";
        } else if (named_before(request, i)) {
            reason = "duplicate parameter";
        }
        if (reason != NULL) {
            refusal.index = i;
            snprintf(refusal.reason, sizeof(refusal.reason), "%s", reason);
            error_refused(request, &refusal);
            return false;
        }
    }
    return true;
}

/* Sets all values in `config`; false with the refusal filled. */
static bool set_values(
    struct request *request, struct config *config, struct refusal *refusal)
{
    for (int i = 2; i < request->argc; i += 2) {
        const struct directive *directive = settable(request, i);
        refusal->index = i;
        if (has_nul(request->argv[i + 1])) {
            snprintf(refusal->reason, sizeof(refusal->reason),
                "argument must not hold a NUL byte");
            return false;
        }
        if (!directive_set_text(config, directive,
                text_of(request, request->argv[i + 1]), refusal->reason)) {
            return false;
        }
        config->given[directive_row(directive)] = true;
    }
    return true;
}

/* The argument that names `directive`. */
static int argument_of(
    struct request *request, const struct directive *directive)
{
    for (int i = 2; i < request->argc; i += 2) {
        if (settable(request, i) == directive) {
            return i;
        }
    }
    return 2;
}

void cmd_config_set(struct request *request)
{
    if (request->argc % 2 != 0) {
        error_syntax(request);
        return;
    }
    if (!check_names(request)) {
        return;
    }
    struct server *server = request->server;
    struct config wanted;
    struct refusal refusal;
    const struct directive *culprit;
    config_copy(&wanted, &server->config);
    if (!set_values(request, &wanted, &refusal)) {
        config_finish(&wanted);
        error_refused(request, &refusal);
        return;
    }
    if (!config_apply(server, &wanted, &culprit, refusal.reason)) {
        refusal.index = argument_of(request, culprit);
        error_refused(request, &refusal);
        return;
    }
    config_log_warnings(&server->config, &server->log);
    reply_ok(request->reply);
}

/* ---- the others ---- */

void cmd_config_resetstat(struct request *request)
{
    stats_reset(&request->server->stats);
    engine_reset_stats(request->engine);
    reply_ok(request->reply);
}

void cmd_config_rewrite(struct request *request)
{
    struct server *server = request->server;
    if (server->config.config_path[0] == '\0') {
        reply_error(
            request->reply, "ERR The server is running without a config file");
        return;
    }
    struct text users;
    text_init(&users);
    bool any = acl_write_directives(server, &users);
    bool ok = config_rewrite(&server->config, any ? users.data : NULL);
    int error = errno;
    text_finish(&users);
    if (!ok) {
        const char *reason = strerror(error);
        log_line(&server->log, LOG_WARNING, "CONFIG REWRITE failed: %s: %s",
            server->config.config_path, reason);
        reply_error(request->reply, "ERR Rewriting config file: %s", reason);
        return;
    }
    log_line(&server->log, LOG_NOTICE, "CONFIG REWRITE executed with success.");
    reply_ok(request->reply);
}

void cmd_config_help(struct request *request)
{
    static const char *const lines[] = {
        "GET <pattern>",
        ("    Return parameters matching the glob-like <pattern> and their "
         "values."),
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
        NULL,
    };
    help_reply(request, lines);
}
