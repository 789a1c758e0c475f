/* Values of one word: yes/no, numbers, sizes, names and texts, read and
 * written as Redis does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "protocol/bytes.h"
#include "server/directive.h"

void *directive_slot(
    const struct config *config, const struct directive *directive)
{
    if (directive->offset == DIRECTIVE_STORED) {
        return &config->stored[directive_row(directive)];
    }
    return (char *)config + directive->offset;
}

static bool refuse(char *reason, const char *text)
{
    snprintf(reason, CONFIG_REASON_BYTES, "%s", text);
    return false;
}

static bool in_bounds(
    const struct directive *directive, int64_t value, char *reason)
{
    if (value >= directive->low && value <= directive->high) {
        return true;
    }
    snprintf(reason, CONFIG_REASON_BYTES,
        directive->flags & DIRECTIVE_OCTAL
            ? "argument must be between %" PRIo64 " and %" PRIo64 " inclusive"
            : "argument must be between %" PRId64 " and %" PRId64 " inclusive",
        directive->low, directive->high);
    return false;
}

static bool set_bool(struct config *config, const struct directive *directive,
    const char *word, char *reason)
{
    bool yes = strcasecmp(word, "yes") == 0;
    if (!yes && strcasecmp(word, "no") != 0) {
        return refuse(reason, "argument must be 'yes' or 'no'");
    }
    *(bool *)directive_slot(config, directive) = yes;
    return true;
}

static bool set_int(struct config *config, const struct directive *directive,
    const char *word, char *reason)
{
    int64_t value;
    if (directive->flags & DIRECTIVE_OCTAL) {
        char *end;
        errno = 0;
        value = strtoll(word, &end, 8);
        if (end == word || *end != '\0' || errno != 0) {
            return refuse(
                reason, "argument couldn't be parsed as an octal number");
        }
    } else if (!bytes_to_int64(bytes_of(word, strlen(word)), &value)) {
        return refuse(reason, "argument couldn't be parsed into an integer");
    }
    if (!in_bounds(directive, value, reason)) {
        return false;
    }
    *(int64_t *)directive_slot(config, directive) = value;
    return true;
}

bool config_parse_memory(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1024}, {"m", 1000000},
        {"mb", 1048576}, {"g", 1000000000}, {"gb", 1073741824}};
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    /* Redis takes no digits at all for 0. */
    uint64_t number = digits > 0 ? strtoull(text, NULL, 10) : 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(text + digits, units[i].unit) == 0) {
            if (errno == ERANGE ||
                __builtin_mul_overflow(number, units[i].factor, bytes)) {
                *bytes = UINT64_MAX;
            }
            return true;
        }
    }
    return false;
}

/* "5%" as -5. False when `word` is no percentage at all. */
static bool parse_percent(const char *word, int64_t *value)
{
    size_t size = strlen(word);
    return size > 1 && word[size - 1] == '%' &&
           bytes_to_int64(bytes_of(word, size - 1), value) && *value >= 0;
}

static bool set_memory(struct config *config, const struct directive *directive,
    const char *word, char *reason)
{
    int64_t *slot = directive_slot(config, directive);
    int64_t percent;
    bool may_be_percent = (directive->flags & DIRECTIVE_PERCENT) != 0;
    if (may_be_percent && parse_percent(word, &percent)) {
        if (percent > 100) {
            return refuse(
                reason, "percentage argument must be less or equal to 100");
        }
        *slot = -percent;
        return true;
    }
    uint64_t bytes;
    if (!config_parse_memory(word, &bytes)) {
        return refuse(reason, may_be_percent
                                  ? "argument must be a memory or percent value"
                                  : "argument must be a memory value");
    }
    if (bytes > INT64_MAX) {
        return in_bounds(directive, INT64_MIN, reason);
    }
    if (!in_bounds(directive, (int64_t)bytes, reason)) {
        return false;
    }
    *slot = (int64_t)bytes;
    return true;
}

static const struct directive_name *find_name(
    const struct directive *directive, const char *word)
{
    for (const struct directive_name *n = directive->names; n->name; n++) {
        if (strcasecmp(n->name, word) == 0) {
            return n;
        }
    }
    return NULL;
}

static bool refuse_name(const struct directive *directive, char *reason)
{
    size_t used = (size_t)snprintf(reason, CONFIG_REASON_BYTES,
        "argument(s) must be one of the following: ");
    for (const struct directive_name *n = directive->names; n->name; n++) {
        used += (size_t)snprintf(reason + used, CONFIG_REASON_BYTES - used,
            "%s%s", n == directive->names ? "" : ", ", n->name);
        check(used < CONFIG_REASON_BYTES);
    }
    return false;
}

/* Several words are a set of bits (shutdown-on-sigterm). */
static bool set_enum(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        const struct directive_name *found = find_name(directive, words[i]);
        if (found == NULL) {
            return refuse_name(directive, reason);
        }
        value |= found->value;
    }
    if ((directive->flags & DIRECTIVE_MULTI) &&
        (value & CONFIG_SHUTDOWN_SAVE) && (value & CONFIG_SHUTDOWN_NOSAVE)) {
        return refuse(reason,
            "shutdown options SAVE and NOSAVE can't be used simultaneously");
    }
    *(int *)directive_slot(config, directive) = value;
    return true;
}

static bool set_text(struct config *config, const struct directive *directive,
    const char *word, char *reason)
{
    if (directive->text_check != NULL &&
        !directive->text_check(directive, word, reason)) {
        return false;
    }
    char **slot = directive_slot(config, directive);
    char *text = xstrdup(word);
    free(*slot);
    *slot = text;
    return true;
}

bool directive_set_word(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    bool multi = (directive->flags & DIRECTIVE_MULTI) != 0;
    if (count < 1 || (count > 1 && !multi)) {
        return refuse(reason, "wrong number of arguments");
    }
    switch (directive->kind) {
    case DIRECTIVE_BOOL:
        return set_bool(config, directive, words[0], reason);
    case DIRECTIVE_INT:
        return set_int(config, directive, words[0], reason);
    case DIRECTIVE_MEMORY:
        return set_memory(config, directive, words[0], reason);
    case DIRECTIVE_ENUM:
        return set_enum(config, directive, words, count, reason);
    case DIRECTIVE_TEXT:
        return set_text(config, directive, words[0], reason);
    case DIRECTIVE_SPECIAL:
        break;
    }
    check(false);
    return false;
}

bool directive_set_text(struct config *config,
    const struct directive *directive, const char *text, char *reason)
{
    char *whole = xstrdup(text);
    if ((directive->flags & DIRECTIVE_MULTI) == 0) {
        bool ok = directive_set(config, directive, &whole, 1, reason);
        free(whole);
        return ok;
    }
    char **words = xcalloc(strlen(text) + 1, sizeof(*words));
    int count = 0;
    char *rest = *whole == '\0' ? NULL : whole;
    while (rest != NULL) { /* two blanks have an empty word between them */
        words[count++] = strsep(&rest, " ");
    }
    bool ok = directive_set(config, directive, words, count, reason);
    free(words);
    free(whole);
    return ok;
}

bool directive_set_words(struct config *config,
    const struct directive *directive, char **words, int count, char *reason)
{
    bool one_text = count == 1 && (directive->flags & DIRECTIVE_MULTI) != 0 &&
                    (directive->flags & DIRECTIVE_FILE_ONLY) == 0;
    if (one_text) {
        return directive_set_text(config, directive, words[0], reason);
    }
    return directive_set(config, directive, words, count, reason);
}

static char *get_enum(const struct directive *directive, int value)
{
    char text[128] = "";
    size_t used = 0;
    int left = value;
    for (const struct directive_name *n = directive->names; n->name; n++) {
        if (n->value == value) {
            return xstrdup(n->name);
        }
        if ((directive->flags & DIRECTIVE_MULTI) && (left & n->value)) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                used > 0 ? " " : "", n->name);
            left &= ~n->value;
        }
    }
    check(used > 0 && left == 0);
    return xstrdup(text);
}

static char *get_number(const struct directive *directive, int64_t value)
{
    char text[32];
    if (directive->flags & DIRECTIVE_OCTAL) {
        snprintf(text, sizeof(text), "%" PRIo64, value);
    } else if ((directive->flags & DIRECTIVE_PERCENT) && value < 0) {
        snprintf(text, sizeof(text), "%" PRId64 "%%", -value);
    } else {
        snprintf(text, sizeof(text), "%" PRId64, value);
    }
    return xstrdup(text);
}

char *directive_get_word(
    const struct config *config, const struct directive *directive)
{
    const void *slot = directive_slot(config, directive);
    switch (directive->kind) {
    case DIRECTIVE_BOOL:
        return xstrdup(*(const bool *)slot ? "yes" : "no");
    case DIRECTIVE_INT:
    case DIRECTIVE_MEMORY:
        return get_number(directive, *(const int64_t *)slot);
    case DIRECTIVE_ENUM:
        return get_enum(directive, *(const int *)slot);
    case DIRECTIVE_TEXT:
        return xstrdup(*(char *const *)slot);
    case DIRECTIVE_SPECIAL:
        break;
    }
    check(false);
    return NULL;
}
