/* ACL: users and their rules. What is not about users is in acl_tools.c. */
#include <stdlib.h>

#include "server/acl.h"
#include "server/acl_user.h"
#include "server/conn.h"
#include "server/server.h"

/* The part of a word that Redis shows, which ends at a NUL. */
static int shown_size(struct bytes word)
{
    return (int)(word.size == 0 ? 0 : strnlen(word.data, word.size));
}

static bool all_channels(const struct request *request)
{
    return request->server->config.acl_pubsub_default == 0;
}

/* ---- SETUSER ---- */

/* Applies the rules to `user`; false after an error has been answered. */
static bool apply_rules(struct request *request, struct acl_user *user,
    const struct bytes *rules, int count)
{
    for (int i = 0; i < count; i++) {
        enum acl_rule_result result =
            acl_user_apply(user, rules[i], all_channels(request));
        if (result != ACL_RULE_OK) {
            reply_error(request->reply,
                "ERR Error in ACL SETUSER modifier '%.*s': %s",
                shown_size(rules[i]), rules[i].data,
                acl_rule_result_text(result));
            return false;
        }
    }
    acl_user_settle(user);
    return true;
}

/* The rules of the arguments, selectors in one piece; NULL after an error. */
static struct bytes *join_rules(struct request *request, int *count)
{
    int given = request->argc - 3;
    struct bytes *rules =
        scratch_alloc(request->scratch, ((size_t)given + 1) * sizeof(*rules));
    int open = acl_join_selectors(
        request->argv + 3, given, rules, count, request->scratch);
    if (open < 0) {
        return rules;
    }
    struct bytes word = request->argv[3 + open];
    reply_error(request->reply,
        "ERR Unmatched parenthesis in acl selector starting at '%.*s'.",
        shown_size(word), word.data);
    return NULL;
}

/* The rules are tried on a copy: a user changes as a whole or not at all. */
void cmd_acl_setuser(struct request *request)
{
    struct acl *acl = request->server->acl;
    struct bytes word = request->argv[2];
    int count;
    if (!acl_name_is_valid(word)) {
        reply_error(request->reply,
            "ERR Usernames can't contain spaces or null characters");
        return;
    }
    const struct bytes *rules = join_rules(request, &count);
    if (rules == NULL) {
        return;
    }
    char *name = strndup(word.size > 0 ? word.data : "", word.size);
    struct acl_user *user = acl_find(acl, word);
    struct acl_user *changed = acl_user_create(name, all_channels(request));
    free(name);
    if (user != NULL) {
        acl_user_assign(changed, user);
    }
    if (!apply_rules(request, changed, rules, count)) {
        acl_user_destroy(changed);
        return;
    }
    if (user != NULL) {
        acl_change(request->server, user, changed, request->conn);
        acl_user_destroy(changed);
    } else {
        acl_add(acl, changed);
    }
    reply_ok(request->reply);
}

/* ---- GETUSER ---- */

static void reply_text(struct reply *reply, const char *name, struct text *text)
{
    reply_bulk_text(reply, name);
    reply_bulk(reply, bytes_of(text->data, text->size));
    text_finish(text);
}

/* "commands", "keys" and "channels" of a selector: three pairs of a map. */
static void reply_selector(
    struct request *request, const struct acl_selector *selector)
{
    struct text commands, keys, channels;
    text_init(&commands);
    text_init(&keys);
    text_init(&channels);
    acl_describe_commands(request->server->acl->catalog, selector, &commands);
    acl_describe_keys(selector, &keys);
    acl_describe_channels(selector, &channels);
    reply_text(request->reply, "commands", &commands);
    reply_text(request->reply, "keys", &keys);
    reply_text(request->reply, "channels", &channels);
}

static void reply_flags(struct reply *reply, const struct acl_user *user)
{
    bool said = user->sanitize != ACL_SANITIZE_UNSAID;
    reply_bulk_text(reply, "flags");
    reply_set(reply, 1U + user->no_password + said);
    reply_bulk_text(reply, user->enabled ? "on" : "off");
    if (user->no_password) {
        reply_bulk_text(reply, "nopass");
    }
    if (said) {
        reply_bulk_text(reply, user->sanitize == ACL_SANITIZE_YES
                                   ? "sanitize-payload"
                                   : "skip-sanitize-payload");
    }
}

void cmd_acl_getuser(struct request *request)
{
    struct reply *reply = request->reply;
    const struct acl_user *user =
        acl_find(request->server->acl, request->argv[2]);
    if (user == NULL) {
        reply_null(reply);
        return;
    }
    reply_map(reply, 6);
    reply_flags(reply, user);
    reply_bulk_text(reply, "passwords");
    reply_array(reply, user->password_count);
    for (unsigned i = 0; i < user->password_count; i++) {
        reply_bulk_text(reply, user->passwords[i]);
    }
    reply_selector(request, user->root);
    reply_bulk_text(reply, "selectors");
    size_t mark = reply_begin(reply), count = 0;
    const struct acl_selector *selector = user->root->next;
    for (; selector != NULL; selector = selector->next) {
        reply_map(reply, 3);
        reply_selector(request, selector);
        count++;
    }
    reply_end(reply, mark, REPLY_ARRAY, count);
}

/* ---- the others ---- */

void cmd_acl_deluser(struct request *request)
{
    struct server *server = request->server;
    int64_t deleted = 0;
    for (int i = 2; i < request->argc; i++) {
        if (bytes_equal(request->argv[i], BYTES("default"))) {
            reply_error(
                request->reply, "ERR The 'default' user cannot be removed");
            return;
        }
    }
    for (int i = 2; i < request->argc; i++) {
        struct acl_user *user = acl_find(server->acl, request->argv[i]);
        if (user != NULL) {
            acl_remove(server, user, request->conn);
            deleted++;
        }
    }
    reply_integer(request->reply, deleted);
}

void cmd_acl_list(struct request *request)
{
    const struct acl *acl = request->server->acl;
    size_t count;
    struct acl_user **users = acl_sorted(acl, &count);
    reply_array(request->reply, count);
    for (size_t i = 0; i < count; i++) {
        struct text line;
        text_init(&line);
        acl_write_user(acl, users[i], &line);
        reply_bulk(request->reply, bytes_of(line.data, line.size));
        text_finish(&line);
    }
    free(users);
}

void cmd_acl_users(struct request *request)
{
    size_t count;
    struct acl_user **users = acl_sorted(request->server->acl, &count);
    reply_array(request->reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_bulk_text(request->reply, users[i]->name);
    }
    free(users);
}

void cmd_acl_whoami(struct request *request)
{
    reply_bulk_text(request->reply, request->conn->user->name);
}
