/* A user as rules: those of its commands are the fewest that a greedy search
 * over the categories finds, as Redis does it. */
#include <stdlib.h>

#include "server/acl_user.h"
#include "server/command.h"

struct acl_catalog {
    unsigned words;       /* of a set of commands */
    uint64_t *members;    /* by category, a set of commands each */
    unsigned *containers; /* by row: the row it is a subcommand of, or itself */
};

/* ---- the catalog ---- */

static const uint64_t *members_of(
    const struct acl_catalog *catalog, unsigned category)
{
    return catalog->members + (size_t)category * catalog->words;
}

static void add_to_categories(struct acl_catalog *catalog, unsigned row)
{
    for (unsigned i = 0; i < command_category_count; i++) {
        if (command_in_category(&command_rows[row], i)) {
            catalog->members[(size_t)i * catalog->words + row / 64] |=
                UINT64_C(1) << (row % 64);
        }
    }
}

struct acl_catalog *acl_catalog_create(void)
{
    struct acl_catalog *catalog = xcalloc(1, sizeof(*catalog));
    catalog->words = acl_command_words();
    catalog->members = xcalloc(
        (size_t)command_category_count * catalog->words, sizeof(uint64_t));
    catalog->containers = xcalloc(command_row_count, sizeof(unsigned));
    for (unsigned i = 0; i < command_row_count; i++) {
        const char *parent = command_rows[i].parent;
        add_to_categories(catalog, i);
        catalog->containers[i] = i;
        if (parent != NULL) {
            catalog->containers[i] =
                (unsigned)(command_find(bytes_of(parent, strlen(parent))) -
                           command_rows);
        }
    }
    return catalog;
}

void acl_catalog_destroy(struct acl_catalog *catalog)
{
    if (catalog != NULL) {
        free(catalog->members);
        free(catalog->containers);
        free(catalog);
    }
}

/* ---- commands ---- */

static bool has(const uint64_t *set, unsigned row)
{
    return (set[row / 64] >> (row % 64) & 1) != 0;
}

static void put(uint64_t *set, unsigned row, bool in)
{
    uint64_t bit = UINT64_C(1) << (row % 64);
    set[row / 64] = in ? set[row / 64] | bit : set[row / 64] & ~bit;
}

/* What a rule about the row does to a set: subcommands go along. */
static void put_command(
    const struct acl_catalog *catalog, uint64_t *set, unsigned row, bool in)
{
    put(set, row, in);
    for (unsigned i = 0; i < command_row_count; i++) {
        if (catalog->containers[i] == row) {
            put(set, i, in);
        }
    }
}

static void put_category(const struct acl_catalog *catalog, uint64_t *set,
    unsigned category, bool in)
{
    const uint64_t *members = members_of(catalog, category);
    for (unsigned i = 0; i < command_row_count; i++) {
        if (!has(members, i)) {
            continue;
        }
        if (command_rows[i].parent == NULL) {
            put_command(catalog, set, i, in);
        } else {
            put(set, i, in);
        }
    }
}

/* The category, not in `used`, that describes most of what `left` still
 * differs in from `base`: it must have more right than wrong, then as little
 * wrong as possible, then as much right. -1: none. */
static int best_category(const struct acl_catalog *catalog,
    const uint64_t *left, bool additive, const bool *used)
{
    int best = -1;
    unsigned best_wrong = 0, best_right = 0;
    for (unsigned i = 0; i < command_category_count; i++) {
        const uint64_t *members = members_of(catalog, i);
        unsigned on = 0, off = 0;
        for (unsigned w = 0; w < catalog->words; w++) {
            on += (unsigned)__builtin_popcountll(members[w] & left[w]);
            off += (unsigned)__builtin_popcountll(members[w] & ~left[w]);
        }
        unsigned right = additive ? on : off, wrong = additive ? off : on;
        bool better = best < 0 || wrong < best_wrong ||
                      (wrong == best_wrong && right > best_right);
        if (!used[i] && right > wrong && better) {
            best = (int)i;
            best_wrong = wrong;
            best_right = right;
        }
    }
    return best;
}

static void describe_categories(const struct acl_catalog *catalog,
    const struct acl_selector *selector, uint64_t *reached, struct text *out)
{
    bool additive = !selector->future_commands;
    size_t size = catalog->words * sizeof(uint64_t);
    uint64_t *left = xmalloc(size);
    bool *used = xcalloc(command_category_count, sizeof(*used));
    memcpy(left, selector->commands, size);
    for (;;) {
        int best = best_category(catalog, left, additive, used);
        if (best < 0) {
            break;
        }
        unsigned category = (unsigned)best;
        put_category(catalog, reached, category, additive);
        put_category(catalog, left, category, !additive);
        used[category] = true;
        text_add_format(out, " %s%s", additive ? "+@" : "-@",
            command_category_name(category));
    }
    free(left);
    free(used);
}

static void describe_first_args(
    const struct acl_selector *selector, unsigned row, struct text *out)
{
    for (unsigned i = 0; i < selector->first_arg_count; i++) {
        const struct acl_first_arg *arg = &selector->first_args[i];
        if (arg->row == row) {
            text_add_format(out, " +%s|%s", command_rows[row].name, arg->word);
        }
    }
}

/* What the categories have not got right: containers first, whose rules hold
 * for their subcommands too. */
static void describe_singles(const struct acl_catalog *catalog,
    const struct acl_selector *selector, uint64_t *reached, struct text *out)
{
    char name[COMMAND_NAME_MAX];
    for (int subcommands = 0; subcommands <= 1; subcommands++) {
        for (unsigned i = 0; i < command_row_count; i++) {
            const struct command *command = &command_rows[i];
            if ((command->parent != NULL) != (subcommands == 1)) {
                continue;
            }
            bool in = acl_selector_has(selector, i);
            if (in != has(reached, i)) {
                text_add_format(out, " %c%s", in ? '+' : '-',
                    command_full_name(command, name, sizeof(name)));
                put_command(catalog, reached, i, in);
            }
            if (!in) {
                describe_first_args(selector, i, out);
            }
        }
    }
}

void acl_describe_commands(const struct acl_catalog *catalog,
    const struct acl_selector *selector, struct text *out)
{
    size_t size = catalog->words * sizeof(uint64_t);
    uint64_t *reached = xmalloc(size);
    memset(reached, selector->future_commands ? 0xff : 0, size);
    text_add(out, selector->future_commands ? "+@all" : "-@all");
    if (!selector->all_commands) {
        describe_categories(catalog, selector, reached, out);
        describe_singles(catalog, selector, reached, out);
    }
    free(reached);
}

/* ---- keys, channels, users ---- */

void acl_describe_keys(const struct acl_selector *selector, struct text *out)
{
    if (selector->all_keys) {
        text_add(out, "~*");
    }
    for (unsigned i = 0; i < selector->keys.count; i++) {
        const struct acl_pattern *key = &selector->keys.items[i];
        const char *sign = key->rights == ACL_READ    ? "%R~"
                           : key->rights == ACL_WRITE ? "%W~"
                                                      : "~";
        text_add_format(out, "%s%s%s", i == 0 ? "" : " ", sign, key->text);
    }
}

void acl_describe_channels(
    const struct acl_selector *selector, struct text *out)
{
    if (selector->all_channels) {
        text_add(out, "&*");
    }
    for (unsigned i = 0; i < selector->channels.count; i++) {
        text_add_format(
            out, "%s&%s", i == 0 ? "" : " ", selector->channels.items[i].text);
    }
}

static void describe_selector(const struct acl_catalog *catalog,
    const struct acl_selector *selector, struct text *out)
{
    if (selector->all_keys || selector->keys.count > 0) {
        acl_describe_keys(selector, out);
        text_add(out, " ");
    }
    if (!selector->all_channels) {
        text_add(out, "resetchannels ");
    }
    if (selector->all_channels || selector->channels.count > 0) {
        acl_describe_channels(selector, out);
        text_add(out, " ");
    }
    acl_describe_commands(catalog, selector, out);
}

void acl_describe_user(const struct acl_catalog *catalog,
    const struct acl_user *user, struct text *out)
{
    static const char *const sanitize[] = {
        "", "sanitize-payload ", "skip-sanitize-payload "};
    text_add(out, user->enabled ? "on " : "off ");
    text_add(out, user->no_password ? "nopass " : "");
    text_add(out, sanitize[user->sanitize]);
    for (unsigned i = 0; i < user->password_count; i++) {
        text_add_format(out, "#%s ", user->passwords[i]);
    }
    describe_selector(catalog, user->root, out);
    const struct acl_selector *selector = user->root->next;
    for (; selector != NULL; selector = selector->next) {
        text_add(out, " (");
        describe_selector(catalog, selector, out);
        text_add(out, ")");
    }
}
