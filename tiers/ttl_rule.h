/* `ttl-rule`: lifetimes for keys written with a tag (TIER SET ... TAG).
 *
 *   "<tag> hot-ttl 1h cold-ttl 1d; <tag> dry-ttl 7d"
 *
 * A lifetime that a rule does not name is its namespace's. Any thread. */
#ifndef LARDER_TIERS_TTL_RULE_H
#define LARDER_TIERS_TTL_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

#define TTL_RULES_MAX 16
#define TTL_RULE_TAG_MAX 32
#define TTL_RULES_TEXT_BYTES 2048

struct ttl_rule {
    char tag[TTL_RULE_TAG_MAX + 1];
    uint32_t id;   /* of the tag, in records and on shelves; never 0 */
    uint8_t given; /* a bit an enum tier */
    int64_t ttl_ms[3];
};
struct ttl_rules {
    unsigned count;
    struct ttl_rule rules[TTL_RULES_MAX];
};

/* Reads rules over those there are: one of a tag that has a rule replaces it.
 * False when the text is not made of rules, or there are too many; `rules` is
 * then as it was. */
bool ttl_rules_parse(struct ttl_rules *rules, const char *text);
/* As ttl_rules_parse reads it, "" without rules. */
void ttl_rules_format(
    const struct ttl_rules *rules, char out[TTL_RULES_TEXT_BYTES]);
/* The id that the tag would have; by it, NULL when there is no such rule. */
uint32_t ttl_rule_id(struct bytes tag);
const struct ttl_rule *ttl_rule_find(
    const struct ttl_rules *rules, uint32_t id);

#endif
