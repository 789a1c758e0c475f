/* The check: a command, its keys and channels against a user's selectors. */
#include <stdlib.h>
#include <strings.h>

#include "protocol/glob.h"
#include "server/acl.h"
#include "server/acl_log.h"
#include "server/acl_user.h"
#include "server/conn.h"

/* Key positions are collected on the stack up to this many arguments. */
#define FEW_ARGUMENTS 64

/* What is asked: found out once, however many selectors are looked at. */
struct question {
    const struct request *request;
    unsigned row;
    int *positions; /* of the keys */
    int key_count;  /* -1: not looked for yet */
    size_t steps;   /* comparisons left for patterns that go back and forth */
};

/* ---- patterns ---- */

/* A match may take as many steps as its text and pattern are long, times a
 * little; what is beyond that comes out of one account for the whole command,
 * or a few long patterns and many keys would stop the server. With the
 * account empty nothing matches. */
static bool matches(struct question *question,
    const struct acl_pattern *pattern, struct bytes text)
{
    size_t free_steps = 4 * (pattern->size + text.size), used = 0;
    bool found = glob_match_counted(bytes_of(pattern->text, pattern->size),
        text, free_steps + question->steps, &used);
    if (used > free_steps) {
        size_t beyond = used - free_steps;
        question->steps -= beyond < question->steps ? beyond : question->steps;
    }
    return found;
}

/* ---- keys ---- */

/* A shard channel stands where a cluster looks for a key, but is none. */
#define NOT_A_KEY 0x100

static unsigned rights_of_word(struct bytes word)
{
    static const struct {
        const char *word;
        unsigned rights;
    } words[] = {
        {"access", ACL_READ},
        {"update", ACL_WRITE},
        {"insert", ACL_WRITE},
        {"delete", ACL_WRITE},
        {"not_key", NOT_A_KEY},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (bytes_equal_nocase(word, words[i].word)) {
            return words[i].rights;
        }
    }
    return 0;
}

/* What the words of a key's flags need. A command that neither reads nor
 * changes a value ("RO" alone: EXISTS) needs the key to be named by any
 * pattern. */
static unsigned rights_needed(struct bytes flags)
{
    unsigned rights = 0;
    size_t start = 0;
    for (size_t i = 0; i <= flags.size; i++) {
        if (i == flags.size || flags.data[i] == ' ') {
            rights |= rights_of_word(bytes_of(flags.data + start, i - start));
            start = i + 1;
        }
    }
    return rights;
}

static bool key_allowed(struct question *question,
    const struct acl_selector *selector, struct bytes key, unsigned rights)
{
    for (unsigned i = 0; i < selector->keys.count; i++) {
        const struct acl_pattern *pattern = &selector->keys.items[i];
        if ((pattern->rights & rights) == rights &&
            matches(question, pattern, key)) {
            return true;
        }
    }
    return false;
}

static enum acl_verdict judge_keys(struct question *question,
    const struct acl_selector *selector, int *argument)
{
    const struct request *request = question->request;
    if (question->key_count < 0) {
        int count = command_keys(request->command, request->argv, request->argc,
            question->positions);
        question->key_count = count < 0 ? 0 : count;
    }
    for (int i = 0; i < question->key_count; i++) {
        int position = question->positions[i];
        struct bytes flags = command_key_flags(request, position, i);
        if (bytes_equal(flags, BYTES("not_key"))) {
            continue; /* a shard channel */
        }
        unsigned rights = rights_needed(flags);
        if (!key_allowed(question, selector, request->argv[position], rights)) {
            *argument = position;
            return ACL_NO_KEY;
        }
    }
    return ACL_ALLOWED;
}

/* ---- channels ---- */

/* A pattern must be allowed as it is spelled, a channel by any pattern. */
static bool channel_allowed(struct question *question,
    const struct acl_selector *selector, struct bytes channel, bool is_pattern)
{
    if (selector->all_channels) {
        return true;
    }
    for (unsigned i = 0; i < selector->channels.count; i++) {
        const struct acl_pattern *pattern = &selector->channels.items[i];
        if (is_pattern
                ? bytes_equal(channel, bytes_of(pattern->text, pattern->size))
                : matches(question, pattern, channel)) {
            return true;
        }
    }
    return false;
}

static enum acl_verdict judge_channels(struct question *question,
    const struct acl_selector *selector, int *argument)
{
    const struct request *request = question->request;
    uint32_t flags = request->command->flags;
    int last = (flags & CMD_CHANNEL_FIRST) != 0 ? 1 : request->argc - 1;
    for (int i = 1; i <= last; i++) {
        if (!channel_allowed(question, selector, request->argv[i],
                (flags & CMD_CHANNEL_PATTERNS) != 0)) {
            *argument = i;
            return ACL_NO_CHANNEL;
        }
    }
    return ACL_ALLOWED;
}

bool acl_user_hears(
    const struct acl_user *user, struct bytes channel, bool is_pattern)
{
    struct question question = {.steps = GLOB_MAX_STEPS};
    const struct acl_selector *selector = user->root;
    for (; selector != NULL; selector = selector->next) {
        if (channel_allowed(&question, selector, channel, is_pattern)) {
            return true;
        }
    }
    return false;
}

/* ---- commands ---- */

static bool command_allowed(
    const struct question *question, const struct acl_selector *selector)
{
    const struct request *request = question->request;
    if (selector->all_commands ||
        (request->command->flags & CMD_NO_AUTH) != 0 ||
        acl_selector_has(selector, question->row)) {
        return true;
    }
    for (unsigned i = 0; i < selector->first_arg_count; i++) {
        const struct acl_first_arg *arg = &selector->first_args[i];
        if (arg->row == question->row && request->argc > 1 &&
            bytes_equal_nocase(request->argv[1], arg->word)) {
            return true;
        }
    }
    return false;
}

static enum acl_verdict judge_by(struct question *question,
    const struct acl_selector *selector, int *argument)
{
    const struct command *command = question->request->command;
    static const uint32_t channels =
        CMD_CHANNEL_FIRST | CMD_CHANNEL_ALL | CMD_CHANNEL_PATTERNS;
    enum acl_verdict verdict = ACL_ALLOWED;
    if (!command_allowed(question, selector)) {
        return ACL_NO_COMMAND;
    }
    if (!selector->all_keys) {
        verdict = judge_keys(question, selector, argument);
    }
    if (verdict == ACL_ALLOWED && !selector->all_channels &&
        (command->flags & channels) != 0) {
        verdict = judge_channels(question, selector, argument);
    }
    return verdict;
}

static bool reads_every_key(const struct acl_selector *selector)
{
    for (unsigned i = 0; !selector->all_keys && i < selector->keys.count; i++) {
        const struct acl_pattern *pattern = &selector->keys.items[i];
        if ((pattern->rights & ACL_READ) != 0 &&
            strcmp(pattern->text, "*") == 0) {
            return true;
        }
    }
    return selector->all_keys;
}

/* Of the selectors' reasons to refuse, the one that came furthest is told.
 * `reading_all`: only those count that may read every key. */
static enum acl_verdict judge(const struct acl_user *user,
    const struct request *request, bool reading_all, int *argument)
{
    int few[FEW_ARGUMENTS];
    bool many = request->argc > FEW_ARGUMENTS;
    struct question question = {
        .request = request,
        .row = (unsigned)(request->command - command_rows),
        .positions = many ? xcalloc((size_t)request->argc, sizeof(int)) : few,
        .key_count = -1,
        .steps = GLOB_MAX_STEPS,
    };
    enum acl_verdict worst = ACL_NO_COMMAND;
    *argument = 0;
    const struct acl_selector *selector = user->root;
    for (; selector != NULL; selector = selector->next) {
        int at = 0;
        if (reading_all && !reads_every_key(selector)) {
            continue;
        }
        enum acl_verdict verdict = judge_by(&question, selector, &at);
        if (verdict == ACL_ALLOWED) {
            worst = ACL_ALLOWED;
            break;
        }
        if (verdict > worst || (verdict == worst && at > *argument)) {
            worst = verdict;
            *argument = at;
        }
    }
    if (many) {
        free(question.positions);
    }
    return worst;
}

enum acl_verdict acl_judge(
    const struct acl_user *user, const struct request *request, int *argument)
{
    return judge(user, request, false, argument);
}

bool acl_may_read_every_key(const struct request *request)
{
    const struct acl_user *user = request->conn->user;
    int argument = 0;
    return user->unrestricted ||
           judge(user, request, true, &argument) == ACL_ALLOWED;
}

/* ---- what a refusal says ---- */

static void answer_sent(struct request *request, enum acl_verdict verdict)
{
    char name[COMMAND_NAME_MAX];
    if (verdict == ACL_NO_COMMAND) {
        reply_error(request->reply,
            "NOPERM this user has no permissions to run the '%s' command",
            command_full_name(request->command, name, sizeof(name)));
        return;
    }
    reply_error(request->reply,
        "NOPERM this user has no permissions to access one of the %s used as "
        "arguments",
        verdict == ACL_NO_KEY ? "keys" : "channels");
}

static void answer_exec(struct request *request, enum acl_verdict verdict)
{
    const char *reason =
        verdict == ACL_NO_COMMAND
            ? "no permission to execute the command or subcommand"
        : verdict == ACL_NO_KEY ? "no permission to touch the specified keys"
                                : "no permission to access one of the "
                                  "channels used as arguments";
    reply_error(request->reply,
        "NOPERM ACLs rules changed between the moment the transaction was "
        "accumulated and the EXEC call. This command is no longer allowed for "
        "the following reason: %s",
        reason);
}

static void answer_script(struct request *request, enum acl_verdict verdict)
{
    const char *reason =
        verdict == ACL_NO_COMMAND ? "can't run this command or subcommand"
        : verdict == ACL_NO_KEY
            ? "can't access at least one of the keys mentioned in the command "
              "arguments"
            : "can't publish to the channel mentioned in the command";
    reply_error(request->reply, "ERR The user executing the script %s", reason);
}

bool acl_check(struct request *request, enum acl_context context)
{
    const struct acl_user *user = request->conn->user;
    int argument;
    if (user->unrestricted) {
        return true;
    }
    enum acl_verdict verdict = acl_judge(user, request, &argument);
    if (verdict == ACL_ALLOWED) {
        return true;
    }
    char name[COMMAND_NAME_MAX];
    command_full_name(request->command, name, sizeof(name));
    struct acl_refusal refusal = {
        .verdict = verdict,
        .context = context,
        .object = verdict == ACL_NO_COMMAND ? bytes_of(name, strlen(name))
                                            : request->argv[argument],
        .user = bytes_of(user->name, strlen(user->name)),
    };
    if (context == ACL_SENT) {
        request->conn->last_command = request->command; /* as logged */
    }
    acl_log_refusal(request, &refusal);
    if (context == ACL_SENT) {
        answer_sent(request, verdict);
    } else if (context == ACL_EXEC) {
        answer_exec(request, verdict);
    } else {
        answer_script(request, verdict);
    }
    return false;
}
