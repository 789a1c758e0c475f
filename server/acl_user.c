#include "server/acl_user.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/command.h"

unsigned acl_command_words(void)
{
    return (command_row_count + 63) / 64;
}

/* ---- patterns ---- */

void acl_patterns_clear(struct acl_patterns *patterns)
{
    for (unsigned i = 0; i < patterns->count; i++) {
        free(patterns->items[i].text);
    }
    free(patterns->items);
    *patterns = (struct acl_patterns){NULL, 0};
}

static struct acl_patterns copy_patterns(const struct acl_patterns *from)
{
    struct acl_patterns to = {NULL, from->count};
    if (from->count > 0) {
        to.items = xcalloc(from->count, sizeof(*to.items));
    }
    for (unsigned i = 0; i < from->count; i++) {
        to.items[i] = from->items[i];
        to.items[i].text = xstrdup(from->items[i].text);
    }
    return to;
}

/* ---- selectors ---- */

struct acl_selector *acl_selector_create(bool all_channels)
{
    struct acl_selector *selector = xcalloc(1, sizeof(*selector));
    selector->commands =
        xcalloc(acl_command_words(), sizeof(*selector->commands));
    selector->all_channels = all_channels;
    return selector;
}

void acl_selector_forget_first_args(struct acl_selector *selector)
{
    for (unsigned i = 0; i < selector->first_arg_count; i++) {
        free(selector->first_args[i].word);
    }
    free(selector->first_args);
    selector->first_args = NULL;
    selector->first_arg_count = 0;
}

void acl_selector_destroy(struct acl_selector *selector)
{
    if (selector == NULL) {
        return;
    }
    acl_selector_forget_first_args(selector);
    acl_patterns_clear(&selector->keys);
    acl_patterns_clear(&selector->channels);
    free(selector->commands);
    free(selector);
}

static struct acl_selector *copy_selector(const struct acl_selector *from)
{
    struct acl_selector *to = acl_selector_create(from->all_channels);
    to->all_commands = from->all_commands;
    to->all_keys = from->all_keys;
    to->future_commands = from->future_commands;
    memcpy(to->commands, from->commands,
        acl_command_words() * sizeof(*to->commands));
    if (from->first_arg_count > 0) {
        to->first_args =
            xcalloc(from->first_arg_count, sizeof(*to->first_args));
    }
    to->first_arg_count = from->first_arg_count;
    for (unsigned i = 0; i < from->first_arg_count; i++) {
        to->first_args[i].row = from->first_args[i].row;
        to->first_args[i].word = xstrdup(from->first_args[i].word);
    }
    to->keys = copy_patterns(&from->keys);
    to->channels = copy_patterns(&from->channels);
    return to;
}

static void destroy_selectors(struct acl_selector *first)
{
    while (first != NULL) {
        struct acl_selector *next = first->next;
        acl_selector_destroy(first);
        first = next;
    }
}

/* ---- users ---- */

bool acl_name_is_valid(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '\0' || isspace((unsigned char)name.data[i])) {
            return false;
        }
    }
    return true;
}

struct acl_user *acl_user_create(const char *name, bool all_channels)
{
    struct acl_user *user = xcalloc(1, sizeof(*user));
    user->name = xstrdup(name);
    user->root = acl_selector_create(all_channels);
    return user;
}

void acl_user_destroy(struct acl_user *user)
{
    if (user == NULL) {
        return;
    }
    destroy_selectors(user->root);
    free(user->passwords);
    free(user->name);
    free(user);
}

void acl_user_assign(struct acl_user *user, const struct acl_user *from)
{
    struct acl_selector *root = NULL, **end = &root;
    const struct acl_selector *selector = from->root;
    for (; selector != NULL; selector = selector->next) {
        *end = copy_selector(selector);
        end = &(*end)->next;
    }
    destroy_selectors(user->root);
    user->root = root;
    free(user->passwords);
    user->passwords = NULL;
    user->password_count = from->password_count;
    if (from->password_count > 0) {
        size_t size = from->password_count * sizeof(*from->passwords);
        user->passwords = xmalloc(size);
        memcpy(user->passwords, from->passwords, size);
    }
    user->unrestricted = from->unrestricted;
    user->enabled = from->enabled;
    user->no_password = from->no_password;
    user->sanitize = from->sanitize;
}

/* ---- passwords ---- */

void acl_hash_password(struct bytes password, char out[ACL_HASH_BYTES])
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(password.size > 0 ? password.data : ""),
        password.size, hash);
    for (size_t i = 0; i < sizeof(hash); i++) {
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}

int acl_user_find_password(const struct acl_user *user, const char *hash)
{
    int found = -1;
    for (unsigned i = 0; i < user->password_count; i++) {
        if (CRYPTO_memcmp(user->passwords[i], hash, ACL_HASH_BYTES) == 0) {
            found = (int)i;
        }
    }
    return found;
}

bool acl_user_accepts(const struct acl_user *user, struct bytes password)
{
    char hash[ACL_HASH_BYTES];
    if (!user->enabled) {
        return false;
    }
    if (user->no_password) {
        return true;
    }
    if (password.size > ACL_PASSWORD_MAX_BYTES) {
        return false;
    }
    acl_hash_password(password, hash);
    return acl_user_find_password(user, hash) >= 0;
}
