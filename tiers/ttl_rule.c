#include "tiers/ttl_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "tiers/unit.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char *const option_names[3] = {"hot-ttl", "cold-ttl", "dry-ttl"};
/* A key's time without use is known for so long. */
#define TTL_MAX_MS (INT64_C(60) * 86400 * 1000)

uint32_t ttl_rule_id(struct bytes tag)
{
    uint32_t id = (uint32_t)XXH3_64bits(tag.data, tag.size);
    return id == 0 ? 1 : id;
}

const struct ttl_rule *ttl_rule_find(const struct ttl_rules *rules, uint32_t id)
{
    for (unsigned i = 0; i < rules->count; i++) {
        if (rules->rules[i].id == id) {
            return &rules->rules[i];
        }
    }
    return NULL;
}

/* The next word of a rule, or NULL; the text is cut up. */
static char *next_word(char **rest)
{
    char *word = NULL;
    do {
        word = strsep(rest, " \t");
    } while (word != NULL && *word == '\0');
    return word;
}

static bool parse_lifetime(
    struct ttl_rule *rule, const char *name, const char *value)
{
    for (unsigned tier = 0; tier < 3; tier++) {
        if (strcasecmp(name, option_names[tier]) == 0) {
            rule->given |= (uint8_t)(1 << tier);
            return unit_parse_duration(value, &rule->ttl_ms[tier]) &&
                   rule->ttl_ms[tier] <= TTL_MAX_MS;
        }
    }
    return false;
}

/* Quotes would not survive the file. */
static bool parse_tag(struct ttl_rule *rule, const char *tag)
{
    size_t size = strlen(tag);
    if (size > TTL_RULE_TAG_MAX || strpbrk(tag, "\"'\\") != NULL) {
        return false;
    }
    memcpy(rule->tag, tag, size + 1);
    rule->id = ttl_rule_id(bytes_of(tag, size));
    return true;
}

static bool parse_rule(struct ttl_rules *rules, char *text)
{
    struct ttl_rule rule = {.given = 0};
    char *tag = next_word(&text);
    if (tag == NULL || !parse_tag(&rule, tag)) {
        return false;
    }
    for (char *name = next_word(&text); name != NULL; name = next_word(&text)) {
        const char *value = next_word(&text);
        if (value == NULL || !parse_lifetime(&rule, name, value)) {
            return false;
        }
    }
    struct ttl_rule *same = (struct ttl_rule *)ttl_rule_find(rules, rule.id);
    if (rule.given == 0 || (same != NULL && strcmp(same->tag, tag) != 0) ||
        (same == NULL && rules->count == TTL_RULES_MAX)) {
        return false;
    }
    *(same != NULL ? same : &rules->rules[rules->count++]) = rule;
    return true;
}

bool ttl_rules_parse(struct ttl_rules *rules, const char *text)
{
    struct ttl_rules wanted = *rules;
    char *copy = xstrdup(text);
    char *rest = copy;
    bool good = *text != '\0';
    while (good && rest != NULL) {
        good = parse_rule(&wanted, strsep(&rest, ";"));
    }
    free(copy);
    if (good) {
        *rules = wanted;
    }
    return good;
}

void ttl_rules_format(
    const struct ttl_rules *rules, char out[TTL_RULES_TEXT_BYTES])
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < rules->count; i++) {
        const struct ttl_rule *rule = &rules->rules[i];
        used += (size_t)snprintf(out + used, TTL_RULES_TEXT_BYTES - used,
            "%s%s", i > 0 ? "; " : "", rule->tag);
        for (unsigned tier = 0; tier < 3; tier++) {
            char text[UNIT_TEXT_BYTES];
            if ((rule->given >> tier) & 1) {
                unit_format_duration(rule->ttl_ms[tier], text);
                used +=
                    (size_t)snprintf(out + used, TTL_RULES_TEXT_BYTES - used,
                        " %s %s", option_names[tier], text);
            }
        }
    }
    check(used < TTL_RULES_TEXT_BYTES);
}
