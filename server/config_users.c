/* `user <name> <rule> ...`: checked where it stands in the file, applied once
 * the server has its users (acl_file.c). */
#include <stdio.h>
#include <stdlib.h>

#include "protocol/bytes.h"
#include "server/acl_user.h"
#include "server/directive.h"

void config_users_free(struct config *config)
{
    for (unsigned i = 0; i < config->user_count; i++) {
        free(config->users[i].name);
        text_free_words(config->users[i].rules, config->users[i].rule_count);
    }
    free(config->users);
    config->users = NULL;
    config->user_count = 0;
}

/* Takes the words over. */
static void add_user(
    struct config *config, const char *name, char **rules, int count)
{
    config->users = xrealloc(
        config->users, (config->user_count + 1) * sizeof(*config->users));
    config->users[config->user_count++] = (struct config_user){
        .name = xstrdup(name), .rules = rules, .rule_count = count};
}

void config_users_copy(struct config *to, const struct config *from)
{
    to->users = NULL;
    to->user_count = 0;
    for (unsigned i = 0; i < from->user_count; i++) {
        const struct config_user *user = &from->users[i];
        size_t count = (size_t)user->rule_count;
        char **rules = xcalloc(count + 1, sizeof(*rules));
        for (size_t j = 0; j < count; j++) {
            rules[j] = xstrdup(user->rules[j]);
        }
        add_user(to, user->name, rules, user->rule_count);
    }
}

static bool refuse(char *reason, const char *word, const char *text)
{
    snprintf(reason, CONFIG_REASON_BYTES,
        "Error in user declaration '%.200s': "
        "%s",
        word, text);
    return false;
}

/* Whether the rules make sense, tried on a user of no consequence. */
static bool check_rules(const struct config_user *user, char *reason)
{
    struct acl_user *trial = acl_user_create(user->name, false);
    enum acl_rule_result result = ACL_RULE_OK;
    for (int i = 0; i < user->rule_count && result == ACL_RULE_OK; i++) {
        const char *rule = user->rules[i];
        result = acl_user_apply(trial, bytes_of(rule, strlen(rule)), false);
        if (result != ACL_RULE_OK) {
            refuse(reason, rule, acl_rule_result_text(result));
        }
    }
    acl_user_destroy(trial);
    return result == ACL_RULE_OK;
}

/* Heap copies of the rules, selectors in one piece; their number. *open: the
 * index of a parenthesis that is not closed, or -1. */
static int join_rules(char **words, int count, char ***rules, int *open)
{
    struct scratch scratch = {NULL};
    struct bytes *in = xcalloc((size_t)count + 1, sizeof(*in));
    struct bytes *out = xcalloc((size_t)count + 1, sizeof(*out));
    int joined;
    for (int i = 0; i < count; i++) {
        in[i] = bytes_of(words[i], strlen(words[i]));
    }
    *open = acl_join_selectors(in, count, out, &joined, &scratch);
    *rules = xcalloc((size_t)count + 1, sizeof(**rules));
    for (int i = 0; i < joined; i++) {
        (*rules)[i] = strndup(out[i].data, out[i].size);
    }
    free(in);
    free(out);
    scratch_reset(&scratch);
    return joined;
}

static bool set_user(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    (void)directive;
    char **rules;
    if (count == 0) {
        snprintf(reason, CONFIG_REASON_BYTES,
            "Bad directive or wrong number of arguments");
        return false;
    }
    const char *name = words[0];
    if (!acl_name_is_valid(bytes_of(name, strlen(name)))) {
        return refuse(reason, name, "Spaces not allowed in ACL usernames");
    }
    for (unsigned i = 0; i < config->user_count; i++) {
        if (strcmp(config->users[i].name, name) == 0) {
            return refuse(reason, name,
                "Duplicate user found. A user can only be defined once in "
                "config files");
        }
    }
    int open;
    int joined = join_rules(words + 1, count - 1, &rules, &open);
    if (open >= 0) {
        text_free_words(rules, joined);
        return refuse(reason, words[1 + open],
            "Unmatched parenthesis in selector definition");
    }
    add_user(config, name, rules, joined);
    return check_rules(&config->users[config->user_count - 1], reason);
}

const struct directive_special special_user = {set_user, NULL};
