/* Options of a namespace as texts and as numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "tiers/codec.h"
#include "tiers/namespace.h"
#include "tiers/unit.h"

struct choice {
    const char *name;
    int64_t value;
};

static const struct choice yesno_choices[] = {{"yes", 1}, {"no", 0}, {NULL, 0}};
static const struct choice codec_choices[] = {{"none", CODEC_NONE},
    {"lz4", CODEC_LZ4}, {"zstd", CODEC_ZSTD}, {"zlib", CODEC_ZLIB}, {NULL, 0}};
static const struct choice write_choices[] = {{"server", WRITE_SERVER},
    {"demote", WRITE_DEMOTE}, {"through", WRITE_THROUGH}, {NULL, 0}};
static const struct choice tiers_choices[] = {{"hot", 1 << TIER_HOT},
    {"cold", 1 << TIER_COLD}, {"dry", 1 << TIER_DRY}, {NULL, 0}};
static const struct choice eviction_choices[] = {{"lru", EVICTION_LRU},
    {"lfu", EVICTION_LFU}, {"fifo", EVICTION_FIFO}, {"random", EVICTION_RANDOM},
    {"ttl", EVICTION_TTL}, {"s3-fifo", EVICTION_S3_FIFO},
    {"none", EVICTION_NONE}, {NULL, 0}};

enum option_kind {
    OF_BYTES,
    OF_COUNT,
    OF_DURATION,
    OF_WORD,
    OF_SET,
    OF_RULES,
    OF_WRITE
};

struct row {
    const char *name;
    enum option_kind kind;
    const struct choice *choices; /* OF_WORD, OF_SET */
    const char *wanted;           /* what a value looks like */
    int64_t low, high;
    const char *initial;
};

#define AS_BYTES OF_BYTES, NULL, "a size such as 64mb"
#define AS_COUNT OF_COUNT, NULL, "a number"
#define AS_DURATION OF_DURATION, NULL, "a duration such as 500ms, 4s or 3m"
#define AS_WRITE                                                               \
    OF_WRITE, write_choices, "one of server, demote, behind <time> and through"
#define AS_RULES                                                               \
    OF_RULES, NULL,                                                            \
        "rules such as \"tag hot-ttl 1h dry-ttl 7d; other cold-ttl 2h\""
#define AS_YESNO OF_WORD, yesno_choices, "yes or no"
#define AS_CODEC OF_WORD, codec_choices, "one of none, lz4, zstd and zlib"
#define AS_TIERS OF_SET, tiers_choices, "some of hot, cold and dry"
#define AS_EVICTION                                                            \
    OF_WORD, eviction_choices,                                                 \
        "one of lru, lfu, fifo, random, ttl, s3-fifo and none"

#define IDLE_MAX_MS (INT64_C(60) * 86400 * 1000)

static const struct row rows[] = {
#define OPTION(id, name, kind, low, high, initial)                             \
    [NAMESPACE_##id] = {name, AS_##kind, low, high, initial},
#include "tiers/namespace_options.def"
#undef OPTION
};

/* ---- one value ---- */

static const struct choice *find_choice(
    const struct choice *choices, const char *name, size_t size)
{
    for (; choices->name != NULL; choices++) {
        if (strlen(choices->name) == size &&
            strncasecmp(choices->name, name, size) == 0) {
            return choices;
        }
    }
    return NULL;
}

/* "a,b,c", each at most once. */
static bool parse_set(
    const struct choice *choices, const char *text, int64_t *value)
{
    int64_t set = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        const struct choice *choice = find_choice(choices, text, size);
        if (choice == NULL || (set & choice->value)) {
            return false;
        }
        set |= choice->value;
        text += size;
        if (*text == '\0') {
            *value = set;
            return true;
        }
        text++;
    }
}

static bool parse_word(
    const struct choice *choices, const char *text, int64_t *value)
{
    const struct choice *choice = find_choice(choices, text, strlen(text));
    if (choice == NULL) {
        return false;
    }
    *value = choice->value;
    return true;
}

static bool parse_value(const struct row *row, const char *text, int64_t *value)
{
    switch (row->kind) {
    case OF_BYTES:
        return unit_parse_bytes(text, value);
    case OF_COUNT:
    case OF_RULES: /* only their number: see parse_rules */
        return unit_parse_count(text, value);
    case OF_DURATION:
        return unit_parse_duration(text, value);
    case OF_WORD:
    case OF_WRITE: /* but for "behind": see parse_behind */
        return parse_word(row->choices, text, value);
    case OF_SET:
        return parse_set(row->choices, text, value);
    }
    return false;
}

static void format_set(
    const struct choice *choices, int64_t value, char *out, size_t size)
{
    size_t used = 0;
    for (; choices->name != NULL; choices++) {
        if (value & choices->value) {
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                used > 0 ? "," : "", choices->name);
        }
    }
}

static void format_word(
    const struct choice *choices, int64_t value, char *out, size_t size)
{
    while (choices->name != NULL && choices->value != value) {
        choices++;
    }
    check(choices->name != NULL);
    snprintf(out, size, "%s", choices->name);
}

#define VALUE_TEXT_BYTES TTL_RULES_TEXT_BYTES
_Static_assert(VALUE_TEXT_BYTES >= UNIT_TEXT_BYTES, "any value fits");

static void format_write(int64_t value, char out[VALUE_TEXT_BYTES])
{
    if (value <= 0) {
        format_word(write_choices, value, out, VALUE_TEXT_BYTES);
        return;
    }
    char text[UNIT_TEXT_BYTES];
    unit_format_duration(value, text);
    snprintf(out, VALUE_TEXT_BYTES, "behind %s", text);
}

static void format_value(const struct namespace_options *options,
    unsigned option, char out[VALUE_TEXT_BYTES])
{
    const struct row *row = &rows[option];
    int64_t value = options->value[option];
    switch (row->kind) {
    case OF_BYTES:
        unit_format_bytes(value, out);
        return;
    case OF_COUNT:
        snprintf(out, VALUE_TEXT_BYTES, "%" PRId64, value);
        return;
    case OF_DURATION:
        unit_format_duration(value, out);
        return;
    case OF_WORD:
        format_word(row->choices, value, out, VALUE_TEXT_BYTES);
        return;
    case OF_SET:
        format_set(row->choices, value, out, VALUE_TEXT_BYTES);
        return;
    case OF_RULES:
        ttl_rules_format(&options->rules, out);
        return;
    case OF_WRITE:
        format_write(value, out);
        return;
    }
}

/* ---- all of them ---- */

void namespace_options_init(struct namespace_options *options)
{
    *options = (struct namespace_options){.given = 0};
    for (unsigned i = 0; i < NAMESPACE_OPTION_COUNT; i++) {
        check(parse_value(&rows[i], rows[i].initial, &options->value[i]));
    }
}

static int find_row(const char *name)
{
    for (int i = 0; i < NAMESPACE_OPTION_COUNT; i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static bool parse_rules(
    struct namespace_options *options, const char *text, int64_t *count)
{
    bool good = ttl_rules_parse(&options->rules, text);
    *count = options->rules.count;
    return good;
}

/* One option at the beginning of `words`. How many words it took, or 0. */
static int parse_option(struct namespace_options *options, char *const *words,
    int count, char *reason)
{
    int number = find_row(words[0]);
    if (number < 0) {
        snprintf(
            reason, NAMESPACE_REASON_BYTES, "unknown option '%.64s'", words[0]);
        return 0;
    }
    const struct row *row = &rows[number];
    int64_t value = 0;
    if (count < 2) {
        snprintf(reason, NAMESPACE_REASON_BYTES, "option '%s' needs a value",
            row->name);
        return 0;
    }
    if (strcasecmp(words[1], "default") == 0) {
        check(parse_value(row, row->initial, &options->value[number]));
        options->given &= ~(UINT64_C(1) << number);
        if (row->kind == OF_RULES) {
            options->rules.count = 0;
        }
        return 2;
    }
    int used = 2;
    bool good;
    if (row->kind == OF_RULES) {
        good = parse_rules(options, words[1], &value);
    } else if (row->kind == OF_WRITE && strcasecmp(words[1], "behind") == 0) {
        good = count > 2 && unit_parse_duration(words[2], &value) && value > 0;
        used = 3;
    } else {
        good = parse_value(row, words[1], &value);
    }
    if (!good || value < row->low || value > row->high) {
        snprintf(reason, NAMESPACE_REASON_BYTES,
            "option '%s': '%.64s' is not %s", row->name, words[1], row->wanted);
        return 0;
    }
    options->value[number] = value;
    options->given |= UINT64_C(1) << number;
    return used;
}

bool namespace_options_parse(struct namespace_options *options,
    char *const *words, int count, char reason[NAMESPACE_REASON_BYTES])
{
    struct namespace_options wanted = *options;
    for (int i = 0; i < count;) {
        int used = parse_option(&wanted, words + i, count - i, reason);
        if (used == 0) {
            return false;
        }
        i += used;
    }
    *options = wanted;
    return true;
}

static bool is_given(const struct namespace_options *options, unsigned option)
{
    return (options->given >> option) & 1;
}

/* `queue yes`: for locks and job queues. What is said besides holds. */
static void merge_preset(struct namespace_options *merged)
{
    static const struct {
        enum namespace_option option;
        int64_t value;
    } presets[] = {{NAMESPACE_TIERS, 1 << TIER_HOT},
        {NAMESPACE_EVICTION, EVICTION_NONE}, {NAMESPACE_HOT_TTL, 0},
        {NAMESPACE_WRITE_POLICY, WRITE_THROUGH}};
    if (!merged->value[NAMESPACE_QUEUE]) {
        return;
    }
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (!is_given(merged, presets[i].option)) {
            merged->value[presets[i].option] = presets[i].value;
            merged->given |= UINT64_C(1) << presets[i].option;
        }
    }
}

void namespace_options_merge(struct namespace_options *merged,
    const struct namespace_options *options,
    const struct namespace_options *defaults)
{
    *merged = *options;
    for (unsigned i = 0; i < NAMESPACE_OPTION_COUNT; i++) {
        if (!is_given(options, i)) {
            merged->value[i] = defaults->value[i];
        }
    }
    if (!is_given(options, NAMESPACE_TTL_RULE)) {
        merged->rules = defaults->rules;
    }
    merged->given |= defaults->given;
    merge_preset(merged);
}

/* A limit of a tier that is not used would silently mean nothing. */
static const struct {
    enum namespace_option option;
    enum tier tier;
} tier_options[] = {
    {NAMESPACE_COLD_BYTES, TIER_COLD},
    {NAMESPACE_COLD_ITEMS, TIER_COLD},
    {NAMESPACE_DRY_BYTES, TIER_DRY},
    {NAMESPACE_DRY_ITEMS, TIER_DRY},
    {NAMESPACE_COLD_TTL, TIER_COLD},
    {NAMESPACE_DRY_TTL, TIER_DRY},
    {NAMESPACE_MAX_ITEM_SIZE, TIER_DRY},
    {NAMESPACE_DRY_THRESHOLD, TIER_DRY},
};

bool namespace_options_check(
    const struct namespace_options *merged, char reason[NAMESPACE_REASON_BYTES])
{
    int64_t tiers = merged->value[NAMESPACE_TIERS];
    if (!TIERS_HAS(tiers, TIER_HOT)) {
        snprintf(reason, NAMESPACE_REASON_BYTES,
            "option 'tiers': hot cannot be left out, writes go there");
        return false;
    }
    int64_t level = merged->value[NAMESPACE_COMPRESSION_LEVEL];
    int64_t codec = merged->value[NAMESPACE_COMPRESSION];
    if (level != 0 && codec != CODEC_ZSTD &&
        (codec != CODEC_ZLIB || level > CODEC_ZLIB_LEVEL_MAX)) {
        snprintf(reason, NAMESPACE_REASON_BYTES,
            "option 'compression-level': %s has no level %d",
            codec_name((enum codec)codec), (int)level);
        return false;
    }
    if (merged->value[NAMESPACE_SLIDING_TTL] &&
        merged->value[NAMESPACE_DEFAULT_TTL] == 0) {
        snprintf(reason, NAMESPACE_REASON_BYTES,
            "option 'sliding-ttl' needs a default-ttl, to which reading sets "
            "the expiry");
        return false;
    }
    if (merged->value[NAMESPACE_DRY_THRESHOLD] != 0 &&
        !merged->value[NAMESPACE_DRY_SMALL] &&
        merged->value[NAMESPACE_EVICTION] == EVICTION_NONE) {
        snprintf(reason, NAMESPACE_REASON_BYTES,
            "option 'dry-threshold' needs an eviction other than none: what "
            "is smaller has no tier below RAM");
        return false;
    }
    for (size_t i = 0; i < sizeof tier_options / sizeof tier_options[0]; i++) {
        unsigned option = tier_options[i].option;
        enum tier tier = tier_options[i].tier;
        if (is_given(merged, option) && merged->value[option] != 0 &&
            !TIERS_HAS(tiers, tier)) {
            snprintf(reason, NAMESPACE_REASON_BYTES,
                "option '%s' needs %s among 'tiers'", rows[option].name,
                tier_name(tier));
            return false;
        }
    }
    return true;
}

const char *namespace_option_name(enum namespace_option option)
{
    return rows[option].name;
}

char *namespace_option_text(
    const struct namespace_options *options, enum namespace_option option)
{
    char text[VALUE_TEXT_BYTES];
    format_value(options, option, text);
    return xstrdup(text);
}

char *namespace_options_text(const struct namespace_options *options)
{
    size_t size = NAMESPACE_OPTION_COUNT * (size_t)128 + VALUE_TEXT_BYTES;
    char *all = xmalloc(size);
    size_t used = 0;
    all[0] = '\0';
    for (unsigned i = 0; i < NAMESPACE_OPTION_COUNT; i++) {
        char text[VALUE_TEXT_BYTES];
        if (is_given(options, i)) {
            const char *quote = rows[i].kind == OF_RULES ? "\"" : "";
            format_value(options, i, text);
            used += (size_t)snprintf(all + used, size - used, "%s%s %s%s%s",
                used > 0 ? " " : "", rows[i].name, quote, text, quote);
        }
    }
    return all;
}
