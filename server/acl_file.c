/* Users in files: `aclfile`, a line "user <name> <rules>" each, and the `user`
 * lines of redis.conf. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "server/acl.h"
#include "server/acl_user.h"
#include "server/server.h"

/* ---- reading the ACL file ---- */

struct reader {
    const char *path;
    unsigned line;
    bool all_channels; /* of new users */
    struct acl users;  /* those read so far */
    struct text *errors;
};

/* The pieces between blanks, empty ones included: heap, borrowing `line`. */
static struct bytes *split(const char *line, int *count)
{
    struct bytes *words = xcalloc(strlen(line) + 1, sizeof(*words));
    *count = 0;
    for (;;) {
        size_t size = strcspn(line, " ");
        words[(*count)++] = bytes_of(line, size);
        if (line[size] == '\0') {
            return words;
        }
        line += size + 1;
    }
}

/* Goes on after an unknown command, to tell of all of them; of other errors
 * the first of a line is told. */
static void read_rules(struct reader *reader, struct acl_user *user,
    const struct bytes *rules, int count)
{
    bool told = false;
    for (int i = 0; i < count; i++) {
        enum acl_rule_result result =
            acl_user_apply(user, rules[i], reader->all_channels);
        const char *reason = acl_rule_result_text(result);
        if (result == ACL_RULE_UNKNOWN) {
            text_add_format(reader->errors,
                "%s:%u: Error in applying operation '%.*s': %s. ", reader->path,
                reader->line, (int)rules[i].size, rules[i].data, reason);
        } else if (result != ACL_RULE_OK && !told) {
            text_add_format(reader->errors, "%s:%u: %s. ", reader->path,
                reader->line, reason);
            told = true;
        }
    }
    acl_user_settle(user);
}

/* The user of that name, new; NULL when it may not be. */
static struct acl_user *read_name(struct reader *reader, struct bytes word)
{
    if (!acl_name_is_valid(word)) {
        text_add_format(reader->errors,
            "'%s:%u: username '%.*s' contains invalid characters. ",
            reader->path, reader->line, (int)word.size, word.data);
        return NULL;
    }
    if (acl_find(&reader->users, word) != NULL) {
        text_add_format(reader->errors,
            "WARNING: Duplicate user '%.*s' found on line %u. ", (int)word.size,
            word.data, reader->line);
        return NULL;
    }
    char *name = strndup(word.data, word.size);
    struct acl_user *user = acl_user_create(name, reader->all_channels);
    free(name);
    acl_add(&reader->users, user);
    return user;
}

static void read_line(struct reader *reader, const char *line)
{
    int count, rule_count;
    struct bytes *words = split(line, &count);
    if (count < 2 || !bytes_equal(words[0], BYTES("user"))) {
        text_add_format(reader->errors,
            "%s:%u should start with user keyword followed by the username. ",
            reader->path, reader->line);
        free(words);
        return;
    }
    struct acl_user *user = read_name(reader, words[1]);
    if (user != NULL) {
        struct scratch scratch = {NULL};
        struct bytes *rules = xcalloc((size_t)count, sizeof(*rules));
        if (acl_join_selectors(
                words + 2, count - 2, rules, &rule_count, &scratch) >= 0) {
            text_add_format(reader->errors,
                "%s:%u: Unmatched parenthesis in selector definition.",
                reader->path, reader->line);
        } else {
            read_rules(reader, user, rules, rule_count);
        }
        free(rules);
        scratch_reset(&scratch);
    }
    free(words);
}

bool acl_load_file(
    struct server *server, struct conn *current, struct text *errors)
{
    struct text text;
    struct reader reader = {
        .path = server->config.aclfile,
        .all_channels = server->config.acl_pubsub_default == 0,
        .errors = errors,
    };
    text_init(&text);
    if (!text_read_path(&text, reader.path)) {
        text_add_format(errors, "Error loading ACLs, opening file '%s': %s",
            reader.path, strerror(errno));
        text_finish(&text);
        return false;
    }
    char *rest = text.data;
    while (rest != NULL) {
        const char *line = text_trim(strsep(&rest, "\n"));
        reader.line++;
        if (*line != '\0') {
            read_line(&reader, line);
        }
    }
    text_finish(&text);
    if (errors->size > 0) {
        text_add(errors, "WARNING: ACL errors detected, no change to the "
                         "previously active ACL rules was performed");
        acl_users_destroy(reader.users.users);
        return false;
    }
    acl_replace_all(server, reader.users.users, current);
    return true;
}

/* ---- writing it ---- */

bool acl_save_file(const struct server *server)
{
    struct text text;
    size_t count;
    text_init(&text);
    struct acl_user **users = acl_sorted(server->acl, &count);
    for (size_t i = 0; i < count; i++) {
        acl_write_user(server->acl, users[i], &text);
        text_add(&text, "\n");
    }
    free(users);
    bool ok = text_write_path(&text, server->config.aclfile);
    int error = errno;
    text_finish(&text);
    errno = error;
    return ok;
}

/* ---- redis.conf ---- */

static bool must_be_quoted(struct bytes word)
{
    for (size_t i = 0; i < word.size; i++) {
        unsigned char c = (unsigned char)word.data[i];
        if (!isgraph(c) || c == '"' || c == '\'' || c == '\\') {
            return true;
        }
    }
    return word.size == 0;
}

/* A line of an ACL file in redis.conf's quoting. */
static void write_directive(const char *line, struct text *out)
{
    int count;
    struct bytes *words = split(line, &count);
    for (int i = 0; i < count; i++) {
        char *word = strndup(words[i].data, words[i].size);
        text_add(out, i == 0 ? "" : " ");
        if (must_be_quoted(words[i])) {
            text_add_quoted(out, word);
        } else {
            text_add(out, word);
        }
        free(word);
    }
    text_add(out, "\n");
    free(words);
}

/* Whether a server that knows `requirepass` alone would have the same. */
static bool goes_without_saying(const struct server *server)
{
    struct acl *fresh = acl_create();
    struct text ours, plain;
    text_init(&ours);
    text_init(&plain);
    acl_set_default_password(fresh, server->config.requirepass);
    acl_write_user(server->acl, server->acl->default_user, &ours);
    acl_write_user(fresh, fresh->default_user, &plain);
    bool same = server->acl->users->hh.next == NULL &&
                server->acl->users->hh.prev == NULL &&
                strcmp(ours.data, plain.data) == 0;
    text_finish(&ours);
    text_finish(&plain);
    acl_destroy(fresh);
    return same;
}

bool acl_write_directives(const struct server *server, struct text *out)
{
    size_t count;
    if (server->config.aclfile[0] != '\0') {
        return false;
    }
    if (goes_without_saying(server)) {
        return true;
    }
    struct acl_user **users = acl_sorted(server->acl, &count);
    for (size_t i = 0; i < count; i++) {
        struct text line;
        text_init(&line);
        acl_write_user(server->acl, users[i], &line);
        write_directive(line.data, out);
        text_finish(&line);
    }
    free(users);
    return true;
}

/* ---- at start ---- */

/* The lines have been checked when they were read. */
static void load_config_user(
    struct server *server, const struct config_user *line)
{
    bool all_channels = server->config.acl_pubsub_default == 0;
    struct bytes name = bytes_of(line->name, strlen(line->name));
    struct acl_user *user = acl_find(server->acl, name);
    if (user == NULL) {
        user = acl_user_create(line->name, all_channels);
        acl_add(server->acl, user);
    } else {
        check(
            acl_user_apply(user, BYTES("reset"), all_channels) == ACL_RULE_OK);
    }
    for (int i = 0; i < line->rule_count; i++) {
        struct bytes rule = bytes_of(line->rules[i], strlen(line->rules[i]));
        check(acl_user_apply(user, rule, all_channels) == ACL_RULE_OK);
    }
    acl_user_settle(user);
}

bool acl_load_at_start(struct server *server)
{
    const struct config *config = &server->config;
    struct log *log = &server->log;
    acl_set_default_password(server->acl, config->requirepass);
    if (config->aclfile[0] == '\0') {
        for (unsigned i = 0; i < config->user_count; i++) {
            load_config_user(server, &config->users[i]);
        }
        return true;
    }
    if (config->user_count > 0) {
        log_line(log, LOG_WARNING,
            "Users are defined in the configuration file and `aclfile` names "
            "another place for them: only one of the two may be used.");
        return false;
    }
    struct text errors;
    text_init(&errors);
    bool ok = acl_load_file(server, NULL, &errors);
    if (!ok) {
        log_line(log, LOG_WARNING, "Aborting startup because of ACL errors: %s",
            errors.data);
    } else if (config->requirepass[0] != '\0') {
        log_line(log, LOG_WARNING,
            "`requirepass` has no effect beside `aclfile`: the default user's "
            "password is what the ACL file says.");
    }
    text_finish(&errors);
    return ok;
}
