/* Rules: the words that make and change a user. */
#include <ctype.h>
#include <stdlib.h>

#include "server/acl_user.h"
#include "server/command.h"

const char *acl_rule_result_text(enum acl_rule_result result)
{
    switch (result) {
    case ACL_RULE_OK:
        return "OK";
    case ACL_RULE_SYNTAX:
        return "Syntax error";
    case ACL_RULE_UNKNOWN:
        return "Unknown command or category name in ACL";
    case ACL_RULE_AFTER_ALL_KEYS:
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) "
               "is not valid and does not have any effect. Try 'resetkeys' to "
               "start with an empty list of patterns";
    case ACL_RULE_AFTER_ALL_CHANNELS:
        return "Adding a pattern after the * pattern (or the 'allchannels' "
               "flag) is not valid and does not have any effect. Try "
               "'resetchannels' to start with an empty list of channels";
    case ACL_RULE_NO_PASSWORD:
        return "The password you are trying to remove from the user does not "
               "exist";
    case ACL_RULE_BAD_HASH:
        return "The password hash must be exactly 64 characters and contain "
               "only lowercase hexadecimal characters";
    case ACL_RULE_SUB_ARGUMENT:
        return "Allowing first-arg of a subcommand is not supported";
    }
    check(false);
    return "";
}

static struct bytes skip(struct bytes text, size_t size)
{
    return bytes_of(text.data + size, text.size - size);
}

/* Heap. */
static char *copy_text(struct bytes text)
{
    char *copy = xmalloc(text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    return copy;
}

/* ---- commands ---- */

static void set_bit(struct acl_selector *selector, unsigned row, bool allow)
{
    uint64_t bit = UINT64_C(1) << (row % 64);
    if (allow) {
        selector->commands[row / 64] |= bit;
    } else {
        selector->commands[row / 64] &= ~bit;
        selector->all_commands = false;
    }
}

static void drop_first_args(struct acl_selector *selector, unsigned row)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < selector->first_arg_count; i++) {
        if (selector->first_args[i].row == row) {
            free(selector->first_args[i].word);
        } else {
            selector->first_args[kept++] = selector->first_args[i];
        }
    }
    selector->first_arg_count = kept;
}

/* A command, and of a container all its subcommands. */
static void set_command(
    struct acl_selector *selector, const struct command *command, bool allow)
{
    unsigned row = (unsigned)(command - command_rows);
    set_bit(selector, row, allow);
    drop_first_args(selector, row);
    if (command->parent != NULL) {
        return;
    }
    for (unsigned i = 0; i < command_row_count; i++) {
        const char *parent = command_rows[i].parent;
        if (parent != NULL && strcmp(parent, command->name) == 0) {
            set_bit(selector, i, allow);
        }
    }
}

static void set_all_commands(struct acl_selector *selector, bool allow)
{
    memset(selector->commands, allow ? 0xff : 0,
        acl_command_words() * sizeof(*selector->commands));
    selector->all_commands = selector->future_commands = allow;
    acl_selector_forget_first_args(selector);
}

static enum acl_rule_result set_category(
    struct acl_selector *selector, struct bytes name, bool allow)
{
    int category = command_category_find(name);
    if (category < 0) {
        return ACL_RULE_UNKNOWN;
    }
    for (unsigned i = 0; i < command_row_count; i++) {
        if (command_in_category(&command_rows[i], (unsigned)category)) {
            set_command(selector, &command_rows[i], allow);
        }
    }
    return ACL_RULE_OK;
}

static void add_first_arg(
    struct acl_selector *selector, unsigned row, struct bytes word)
{
    char *copy = copy_text(word);
    for (unsigned i = 0; i < selector->first_arg_count; i++) {
        const struct acl_first_arg *arg = &selector->first_args[i];
        if (arg->row == row && bytes_equal_nocase(word, arg->word)) {
            free(copy);
            return;
        }
    }
    selector->first_args = xrealloc(selector->first_args,
        (selector->first_arg_count + 1) * sizeof(*selector->first_args));
    selector->first_args[selector->first_arg_count++] =
        (struct acl_first_arg){row, copy};
}

/* "+command|word", split at its last bar. */
static enum acl_rule_result allow_sub(
    struct acl_selector *selector, struct bytes name)
{
    const char *bar = memrchr(name.data, '|', name.size);
    size_t head = (size_t)(bar - name.data);
    struct bytes word = skip(name, head + 1);
    const struct command *command =
        command_find_full(bytes_of(name.data, head));
    if (command == NULL) {
        return ACL_RULE_UNKNOWN;
    }
    if (command->parent != NULL) {
        return ACL_RULE_SUB_ARGUMENT;
    }
    if (word.size == 0) {
        return ACL_RULE_SYNTAX;
    }
    if (!command_is_container(command)) {
        add_first_arg(selector, (unsigned)(command - command_rows), word);
        return ACL_RULE_OK;
    }
    command = command_find_sub(command, word);
    if (command == NULL) {
        return ACL_RULE_UNKNOWN;
    }
    set_command(selector, command, true);
    return ACL_RULE_OK;
}

/* "+..." and "-...". */
static enum acl_rule_result change_commands(
    struct acl_selector *selector, struct bytes rule)
{
    bool allow = rule.data[0] == '+';
    struct bytes name = skip(rule, 1);
    if (name.size > 0 && name.data[0] == '@') {
        return set_category(selector, skip(name, 1), allow);
    }
    if (allow && name.size > 0 && memchr(name.data, '|', name.size) != NULL) {
        return allow_sub(selector, name);
    }
    const struct command *command =
        name.size == 0 ? NULL : command_find_full(name);
    if (command == NULL) {
        return ACL_RULE_UNKNOWN;
    }
    set_command(selector, command, allow);
    return ACL_RULE_OK;
}

/* ---- keys and channels ---- */

static void add_pattern(
    struct acl_patterns *patterns, struct bytes text, unsigned rights)
{
    for (unsigned i = 0; i < patterns->count; i++) {
        struct acl_pattern *pattern = &patterns->items[i];
        if (bytes_equal(text, bytes_of(pattern->text, pattern->size))) {
            pattern->rights |= rights;
            return;
        }
    }
    patterns->items = xrealloc(
        patterns->items, (patterns->count + 1) * sizeof(*patterns->items));
    patterns->items[patterns->count++] =
        (struct acl_pattern){copy_text(text), text.size, rights};
}

/* The rights of "%RW~pattern" and where its pattern begins; 0 when it is no
 * such rule. Redis takes "%R" for "%R~". */
static unsigned pattern_rights(struct bytes rule, size_t *start)
{
    unsigned rights = 0;
    size_t i = 1;
    for (; i < rule.size && rule.data[i] != '~'; i++) {
        char c = (char)toupper((unsigned char)rule.data[i]);
        unsigned right = c == 'R' ? ACL_READ : c == 'W' ? ACL_WRITE : 0;
        if (right == 0 || (rights & right) != 0) {
            return 0;
        }
        rights |= right;
    }
    *start = i < rule.size ? i + 1 : i;
    return rights;
}

/* "~pattern" and "%R~pattern". */
static enum acl_rule_result add_key(
    struct acl_selector *selector, struct bytes rule)
{
    unsigned rights = ACL_READ | ACL_WRITE;
    size_t start = 1;
    if (selector->all_keys) {
        return ACL_RULE_AFTER_ALL_KEYS;
    }
    if (rule.data[0] == '%') {
        rights = pattern_rights(rule, &start);
    }
    if (rights == 0 || !acl_name_is_valid(skip(rule, start))) {
        return ACL_RULE_SYNTAX;
    }
    add_pattern(&selector->keys, skip(rule, start), rights);
    return ACL_RULE_OK;
}

static enum acl_rule_result add_channel(
    struct acl_selector *selector, struct bytes rule)
{
    if (selector->all_channels) {
        return ACL_RULE_AFTER_ALL_CHANNELS;
    }
    if (!acl_name_is_valid(skip(rule, 1))) {
        return ACL_RULE_SYNTAX;
    }
    add_pattern(&selector->channels, skip(rule, 1), 0);
    return ACL_RULE_OK;
}

static void set_all_keys(struct acl_selector *selector, bool all)
{
    selector->all_keys = all;
    acl_patterns_clear(&selector->keys);
}

static void set_all_channels(struct acl_selector *selector, bool all)
{
    selector->all_channels = all;
    acl_patterns_clear(&selector->channels);
}

/* ---- a rule of a selector ---- */

static bool apply_word(struct acl_selector *selector, struct bytes rule)
{
    static const struct {
        const char *word, *sign;
        void (*set)(struct acl_selector *selector, bool all);
        bool all;
    } words[] = {
        {"allkeys", "~*", set_all_keys, true},
        {"resetkeys", "", set_all_keys, false},
        {"allchannels", "&*", set_all_channels, true},
        {"resetchannels", "", set_all_channels, false},
        {"allcommands", "+@all", set_all_commands, true},
        {"nocommands", "-@all", set_all_commands, false},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (bytes_equal_nocase(rule, words[i].word) ||
            bytes_equal_nocase(rule, words[i].sign)) {
            words[i].set(selector, words[i].all);
            return true;
        }
    }
    return false;
}

/* Not for an empty rule. */
static enum acl_rule_result apply_to_selector(
    struct acl_selector *selector, struct bytes rule)
{
    if (apply_word(selector, rule)) {
        return ACL_RULE_OK;
    }
    switch (rule.data[0]) {
    case '~':
    case '%':
        return add_key(selector, rule);
    case '&':
        return add_channel(selector, rule);
    case '+':
    case '-':
        return change_commands(selector, rule);
    default:
        return ACL_RULE_SYNTAX;
    }
}

/* "(rule rule ...)" as a selector behind the others. */
static enum acl_rule_result add_selector(
    struct acl_user *user, struct bytes rule, bool all_channels)
{
    struct acl_selector *selector = acl_selector_create(all_channels);
    struct bytes rest = bytes_of(rule.data + 1, rule.size - 2);
    while (rest.size > 0) {
        const char *blank = memchr(rest.data, ' ', rest.size);
        size_t size = blank == NULL ? rest.size : (size_t)(blank - rest.data);
        enum acl_rule_result result = ACL_RULE_OK;
        if (size > 0) {
            result = apply_to_selector(selector, bytes_of(rest.data, size));
        }
        if (result != ACL_RULE_OK) {
            acl_selector_destroy(selector);
            return result;
        }
        rest = skip(rest, blank == NULL ? size : size + 1);
    }
    struct acl_selector *last = user->root;
    while (last->next != NULL) {
        last = last->next;
    }
    last->next = selector;
    return ACL_RULE_OK;
}

static void clear_selectors(struct acl_user *user)
{
    while (user->root->next != NULL) {
        struct acl_selector *gone = user->root->next;
        user->root->next = gone->next;
        acl_selector_destroy(gone);
    }
}

/* ---- passwords ---- */

static bool hash_is_valid(struct bytes hash)
{
    for (size_t i = 0; i < hash.size; i++) {
        char c = hash.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
    }
    return hash.size == ACL_HASH_BYTES - 1;
}

/* ">password", "#hash" add; "<password", "!hash" take away. */
static enum acl_rule_result change_password(
    struct acl_user *user, struct bytes rule)
{
    char hash[ACL_HASH_BYTES];
    bool add = rule.data[0] == '>' || rule.data[0] == '#';
    struct bytes word = skip(rule, 1);
    if (rule.data[0] == '#' || rule.data[0] == '!') {
        if (!hash_is_valid(word)) {
            return ACL_RULE_BAD_HASH;
        }
        memcpy(hash, word.data, word.size);
        hash[word.size] = '\0';
    } else if (word.size > ACL_PASSWORD_MAX_BYTES) {
        return ACL_RULE_SYNTAX;
    } else {
        acl_hash_password(word, hash);
    }
    int found = acl_user_find_password(user, hash);
    if (!add && found < 0) {
        return ACL_RULE_NO_PASSWORD;
    }
    if (!add) {
        unsigned behind = --user->password_count - (unsigned)found;
        memmove(&user->passwords[found], &user->passwords[found + 1],
            behind * sizeof(*user->passwords));
        return ACL_RULE_OK;
    }
    user->no_password = false;
    if (found < 0) {
        user->passwords = xrealloc(user->passwords,
            (user->password_count + 1) * sizeof(*user->passwords));
        memcpy(user->passwords[user->password_count++], hash, sizeof(hash));
    }
    return ACL_RULE_OK;
}

static void forget_passwords(struct acl_user *user)
{
    user->password_count = 0;
    user->no_password = false;
}

/* ---- a rule of a user ---- */

static void reset(struct acl_user *user, bool all_channels)
{
    forget_passwords(user);
    user->enabled = false;
    user->sanitize = ACL_SANITIZE_YES;
    set_all_keys(user->root, false);
    set_all_channels(user->root, all_channels);
    set_all_commands(user->root, false);
    clear_selectors(user);
}

static bool apply_user_word(
    struct acl_user *user, struct bytes rule, bool all_channels)
{
    if (bytes_equal_nocase(rule, "on")) {
        user->enabled = true;
    } else if (bytes_equal_nocase(rule, "off")) {
        user->enabled = false;
    } else if (bytes_equal_nocase(rule, "nopass")) {
        forget_passwords(user);
        user->no_password = true;
    } else if (bytes_equal_nocase(rule, "resetpass")) {
        forget_passwords(user);
    } else if (bytes_equal_nocase(rule, "sanitize-payload")) {
        user->sanitize = ACL_SANITIZE_YES;
    } else if (bytes_equal_nocase(rule, "skip-sanitize-payload")) {
        user->sanitize = ACL_SANITIZE_SKIP;
    } else if (bytes_equal_nocase(rule, "clearselectors")) {
        clear_selectors(user);
    } else if (bytes_equal_nocase(rule, "reset")) {
        reset(user, all_channels);
    } else {
        return false;
    }
    return true;
}

enum acl_rule_result acl_user_apply(
    struct acl_user *user, struct bytes rule, bool all_channels)
{
    if (rule.size == 0) {
        return ACL_RULE_OK;
    }
    if (strchr("><#!", rule.data[0]) != NULL && rule.data[0] != '\0') {
        return change_password(user, rule);
    }
    if (rule.data[0] == '(' && rule.data[rule.size - 1] == ')') {
        return add_selector(user, rule, all_channels);
    }
    if (apply_user_word(user, rule, all_channels)) {
        return ACL_RULE_OK;
    }
    return apply_to_selector(user->root, rule);
}

void acl_user_settle(struct acl_user *user)
{
    user->unrestricted = false;
    const struct acl_selector *selector = user->root;
    for (; selector != NULL; selector = selector->next) {
        user->unrestricted |= selector->all_commands && selector->all_keys &&
                              selector->all_channels;
    }
}

/* ---- selectors in several words ---- */

static bool ends_selector(struct bytes word)
{
    return word.size > 0 && word.data[word.size - 1] == ')';
}

/* Words `from` to `to` with blanks between them. */
static struct bytes join(
    const struct bytes *words, int from, int to, struct scratch *scratch)
{
    size_t size = 0;
    for (int i = from; i <= to; i++) {
        size += words[i].size + 1;
    }
    char *text = scratch_alloc(scratch, size), *end = text;
    for (int i = from; i <= to; i++) {
        if (words[i].size > 0) {
            memcpy(end, words[i].data, words[i].size);
        }
        end += words[i].size;
        *end++ = ' ';
    }
    return bytes_of(text, size - 1);
}

int acl_join_selectors(const struct bytes *words, int count, struct bytes *out,
    int *out_count, struct scratch *scratch)
{
    int open = -1;
    *out_count = 0;
    for (int i = 0; i < count; i++) {
        struct bytes word = words[i];
        if (word.size > 0 && word.data[0] == '(' && !ends_selector(word)) {
            open = i;
        } else if (open < 0) {
            out[(*out_count)++] = word;
        } else if (ends_selector(word)) {
            out[(*out_count)++] = join(words, open, i, scratch);
            open = -1;
        }
    }
    return open;
}
