/* A user: the passwords it proves itself with, and selectors, each a set of
 * commands, keys and channels that go together. Whoever may do a thing by any
 * one selector may do it; the first one, the root, is what rules outside of
 * parentheses speak of.
 *
 *   acl_user.c      life, passwords
 *   acl_rules.c     rules ("+get", "~app:*", ">secret") change a user
 *   acl_describe.c  a user as rules again
 *
 * For acl*.c, config_users.c and commands/acl*.c. One thread. */
#ifndef LARDER_SERVER_ACL_USER_H
#define LARDER_SERVER_ACL_USER_H

#include <uthash.h>

#include "protocol/bytes.h"
#include "server/config_text.h"

struct request;

/* A SHA-256 in hexadecimal, terminated. */
#define ACL_HASH_BYTES 65
/* Longer passwords are refused: hashing them would keep others waiting. */
#define ACL_PASSWORD_MAX_BYTES ((size_t)1024 * 1024)

enum acl_rights { ACL_READ = 1, ACL_WRITE = 2 };

struct acl_pattern {
    char *text; /* heap, terminated; holds no NUL */
    size_t size;
    unsigned rights; /* enum acl_rights; of channels 0 */
};
struct acl_patterns {
    struct acl_pattern *items;
    unsigned count;
};

/* A command that is only allowed with this first argument: "+select|0". */
struct acl_first_arg {
    unsigned row;
    char *word; /* heap */
};

struct acl_selector {
    struct acl_selector *next;
    bool all_commands, all_keys, all_channels;
    bool future_commands; /* started from +@all: describes itself by what is
                             taken away */
    uint64_t *commands;   /* a bit a row of the command table */
    struct acl_first_arg *first_args;
    unsigned first_arg_count;
    struct acl_patterns keys, channels;
};

enum acl_sanitize { ACL_SANITIZE_UNSAID, ACL_SANITIZE_YES, ACL_SANITIZE_SKIP };

struct acl_user {
    UT_hash_handle hh; /* struct acl, by name */
    char *name;        /* heap, terminated; holds neither NUL nor blank */
    bool unrestricted; /* a selector allows everything: nothing to check */
    bool enabled, no_password;
    enum acl_sanitize sanitize;
    char (*passwords)[ACL_HASH_BYTES]; /* in the order given */
    unsigned password_count;
    struct acl_selector *root; /* never NULL; others follow it */
};

/* ---- acl_user.c ---- */

/* A new user may do nothing, but for its root selector's channels when
 * `all_channels` (acl-pubsub-default) says so. */
struct acl_user *acl_user_create(const char *name, bool all_channels);
void acl_user_destroy(struct acl_user *user); /* NULL is allowed */
/* Makes `user` what `from` is, the name aside. */
void acl_user_assign(struct acl_user *user, const struct acl_user *from);
/* Whether a user may be called so. */
bool acl_name_is_valid(struct bytes name);

struct acl_selector *acl_selector_create(bool all_channels);
void acl_selector_destroy(struct acl_selector *selector);
void acl_patterns_clear(struct acl_patterns *patterns);
void acl_selector_forget_first_args(struct acl_selector *selector);
unsigned acl_command_words(void); /* in `commands` of a selector */
static inline bool acl_selector_has(
    const struct acl_selector *selector, unsigned row)
{
    return (selector->commands[row / 64] >> (row % 64) & 1) != 0;
}

/* `out` becomes the hash of the password. */
void acl_hash_password(struct bytes password, char out[ACL_HASH_BYTES]);
/* Where the user has this hash, or -1. Takes the same time for each it has. */
int acl_user_find_password(const struct acl_user *user, const char *hash);
/* Whether the user may log in with it. */
bool acl_user_accepts(const struct acl_user *user, struct bytes password);

/* ---- acl_rules.c ---- */

enum acl_rule_result {
    ACL_RULE_OK,
    ACL_RULE_SYNTAX,
    ACL_RULE_UNKNOWN, /* command or category */
    ACL_RULE_AFTER_ALL_KEYS,
    ACL_RULE_AFTER_ALL_CHANNELS,
    ACL_RULE_NO_PASSWORD,
    ACL_RULE_BAD_HASH,
    ACL_RULE_SUB_ARGUMENT,
};
const char *acl_rule_result_text(enum acl_rule_result result);

/* Applies one rule, a selector in parentheses included. Another result than
 * OK leaves the user as it was. `all_channels` as in acl_user_create, for new
 * selectors and `reset`. */
enum acl_rule_result acl_user_apply(
    struct acl_user *user, struct bytes rule, bool all_channels);
/* Works out user->unrestricted; after the last of some rules. */
void acl_user_settle(struct acl_user *user);

/* Words of which some may be the parts of a selector in parentheses, as those
 * of ACL SETUSER or of a line: selectors in one piece. `out` has room for
 * `count`; *out_count tells how many there are; joined ones live in
 * `scratch`. Returns -1, or the index where the parenthesis stands that is
 * not closed. */
int acl_join_selectors(const struct bytes *words, int count, struct bytes *out,
    int *out_count, struct scratch *scratch);

/* ---- acl_describe.c ---- */

/* What describing needs of the command table, worked out once. */
struct acl_catalog;
struct acl_catalog *acl_catalog_create(void);
void acl_catalog_destroy(struct acl_catalog *catalog);

/* Each appends to `out`. The rules of a user behind its name; of one selector
 * the commands ("-@all +get"), the keys ("~a %R~b") and channels ("&c"). */
void acl_describe_user(const struct acl_catalog *catalog,
    const struct acl_user *user, struct text *out);
void acl_describe_commands(const struct acl_catalog *catalog,
    const struct acl_selector *selector, struct text *out);
void acl_describe_keys(const struct acl_selector *selector, struct text *out);
void acl_describe_channels(
    const struct acl_selector *selector, struct text *out);

#endif
