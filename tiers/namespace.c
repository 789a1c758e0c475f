/* The engine's namespaces: looking up, taking over a new list of them, and
 * moving keys to where they belong since. */
#include "tiers/dictionary.h"

#include <stdlib.h>

/* ---- looking up ---- */

static struct bytes prefix_of(const struct namespace *namespace)
{
    return bytes_of(namespace->prefix, namespace->prefix_size);
}

static bool begins(struct bytes key, const struct namespace *namespace)
{
    return key.size >= namespace->prefix_size &&
           memcmp(key.data, namespace->prefix, namespace->prefix_size) == 0;
}

/* The last in order that is not behind the key. Every prefix of the key is it
 * or begins it, because whatever lies between begins with that prefix too. */
static struct namespace *last_before(
    const struct namespaces *namespaces, struct bytes key)
{
    unsigned low = 0, high = namespaces->count; /* the first is "" */
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (bytes_compare(prefix_of(namespaces->sorted[middle]), key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return namespaces->sorted[low];
}

struct namespace *namespace_find(const struct engine *engine, struct bytes key)
{
    const struct namespaces *namespaces = &engine->namespaces;
    if (__builtin_expect(namespaces->count == 1, 1)) {
        return namespaces->fallback;
    }
    struct namespace *found = last_before(namespaces, key);
    while (!begins(key, found)) {
        found = found->parent;
    }
    return found;
}

struct namespace *namespace_by_prefix(
    const struct engine *engine, struct bytes prefix)
{
    struct namespace *found = last_before(&engine->namespaces, prefix);
    return bytes_equal(prefix_of(found), prefix) ? found : NULL;
}

/* ---- policies ---- */

static uint64_t limit(int64_t value)
{
    return value == 0 ? UINT64_MAX : (uint64_t)value;
}

static enum namespace_eviction policy_eviction(enum engine_policy policy)
{
    switch (policy) {
    case ENGINE_ALLKEYS_LFU:
    case ENGINE_VOLATILE_LFU:
        return EVICTION_LFU;
    case ENGINE_ALLKEYS_RANDOM:
    case ENGINE_VOLATILE_RANDOM:
        return EVICTION_RANDOM;
    case ENGINE_VOLATILE_TTL:
        return EVICTION_TTL;
    default:
        return EVICTION_LRU;
    }
}

static size_t ram_only_below(const struct namespace_options *options)
{
    bool small = options->value[NAMESPACE_DRY_SMALL] != 0;
    return small ? 0 : (size_t)options->value[NAMESPACE_DRY_THRESHOLD];
}

/* The defaults only move values; what deletes them must have been said. */
static int64_t tier_ttl(const struct namespace_setting *setting,
    enum namespace_option option, enum tier tier)
{
    const struct namespace_options *options = &setting->options;
    bool given = (options->given >> option) & 1;
    int64_t tiers = options->value[NAMESPACE_TIERS];
    if (ram_only_below(options) != 0 && tier != TIER_DRY) {
        tiers &= ~(INT64_C(1) << TIER_DRY); /* for some there is no dry */
    }
    bool last = tiers >> (tier + 1) == 0;
    return last && !given ? 0 : options->value[option];
}

/* What a tier's lifetime is added to: the time that a key has been unread is
 * counted from its last use, and the tier above took its share of it. */
static int64_t time_above(const struct namespace_setting *setting,
    enum namespace_option option, int64_t above_ms)
{
    bool given = (setting->options.given >> option) & 1;
    return given ? above_ms + setting->options.value[option] : above_ms;
}

static void resolve_lifetimes(
    int64_t unread_ms[3], const struct namespace_setting *setting)
{
    static const enum namespace_option options[] = {
        NAMESPACE_HOT_TTL, NAMESPACE_COLD_TTL, NAMESPACE_DRY_TTL};
    int64_t above_ms = 0;
    for (unsigned tier = 0; tier < 3; tier++) {
        int64_t ttl_ms = tier_ttl(setting, options[tier], (enum tier)tier);
        unread_ms[tier] = ttl_ms == 0 ? 0 : above_ms + ttl_ms;
        above_ms = time_above(setting, options[tier], above_ms);
    }
}

/* A tag's lifetimes are as if they had been given to the namespace. */
static void resolve_tags(
    struct policy *policy, const struct namespace_setting *setting)
{
    static const enum namespace_option options[] = {
        NAMESPACE_HOT_TTL, NAMESPACE_COLD_TTL, NAMESPACE_DRY_TTL};
    const struct ttl_rules *rules = &setting->options.rules;
    policy->tag_count = rules->count;
    for (unsigned i = 0; i < rules->count; i++) {
        struct namespace_setting tagged = *setting;
        for (unsigned tier = 0; tier < 3; tier++) {
            if ((rules->rules[i].given >> tier) & 1) {
                tagged.options.value[options[tier]] =
                    rules->rules[i].ttl_ms[tier];
                tagged.options.given |= UINT64_C(1) << options[tier];
            }
        }
        policy->tags[i].tag = rules->rules[i].id;
        resolve_lifetimes(policy->tags[i].unread_ms, &tagged);
    }
}

static struct patience resolve_patience(const int64_t *value)
{
    int64_t deadline_ms = value[NAMESPACE_RETRY_DEADLINE];
    return (struct patience){
        .attempts = (unsigned)value[NAMESPACE_RETRY_ATTEMPTS],
        .delay_ms = value[NAMESPACE_RETRY_DELAY],
        .deadline_ms = deadline_ms == 0 ? INT64_MAX : deadline_ms,
    };
}

static struct policy resolve(
    const struct engine *engine, const struct namespace_setting *setting)
{
    const int64_t *value = setting->options.value;
    bool given = (setting->options.given >> NAMESPACE_EVICTION) & 1;
    bool is_default = setting->prefix.size == 0;
    struct policy policy = {
        .tiers = (uint8_t)value[NAMESPACE_TIERS],
        .eviction = (enum namespace_eviction)value[NAMESPACE_EVICTION],
        .max_bytes = {limit(value[NAMESPACE_HOT_BYTES]),
            limit(value[NAMESPACE_COLD_BYTES]),
            limit(value[NAMESPACE_DRY_BYTES])},
        .max_items = {limit(value[NAMESPACE_HOT_ITEMS]),
            limit(value[NAMESPACE_COLD_ITEMS]),
            limit(value[NAMESPACE_DRY_ITEMS])},
        .default_ttl_ms = value[NAMESPACE_DEFAULT_TTL],
        .sliding = value[NAMESPACE_SLIDING_TTL] != 0,
        .codec = (enum codec)value[NAMESPACE_COMPRESSION],
        .codec_level = (int)value[NAMESPACE_COMPRESSION_LEVEL],
        .dictionary = value[NAMESPACE_COMPRESSION] == CODEC_ZSTD &&
                      value[NAMESPACE_COMPRESSION_DICTIONARY] != 0,
        .pack_min_bytes = (size_t)value[NAMESPACE_COMPRESSION_MIN_SIZE],
        .write = value[NAMESPACE_WRITE_POLICY],
        .patience = resolve_patience(value),
        .schema_version = (uint32_t)value[NAMESPACE_SCHEMA_VERSION],
        .mget_touch = value[NAMESPACE_MGET_TOUCH] != 0,
        .max_item_bytes = (size_t)limit(value[NAMESPACE_MAX_ITEM_SIZE]),
        .ram_only_below = ram_only_below(&setting->options),
    };
    resolve_lifetimes(policy.unread_ms, setting);
    resolve_tags(&policy, setting);
    if (is_default && !given) {
        policy.eviction = policy_eviction(engine->options.policy);
    }
    if (engine->log.store == NULL) {
        policy.tiers &= (uint8_t) ~(1 << TIER_DRY);
        policy.max_item_bytes = SIZE_MAX; /* there is nowhere else */
    }
    return policy;
}

/* Lists of another kind: entries go to new shelves one by one. */
static bool needs_new_shelves(const struct policy *a, const struct policy *b)
{
    return a->eviction != b->eviction ||
           policy_links_dry(a) != policy_links_dry(b) ||
           a->schema_version != b->schema_version ||
           a->tag_count != b->tag_count ||
           memcmp(a->tags, b->tags, a->tag_count * sizeof *a->tags) != 0;
}

static void renew_shelves(struct engine *engine, struct namespace *namespace)
{
    for (struct shelf *shelf = namespace->shelves; shelf != NULL;
         shelf = shelf->next_of_namespace) {
        struct space *space = shelf->space;
        shelf->renewed = true;
        if (space->shelves[namespace->number] == shelf) {
            space->shelves[namespace->number] = NULL;
        }
    }
    engine->namespaces.rehome.again = true;
}

static void set_policy(struct engine *engine, struct namespace *namespace,
    const struct policy *policy)
{
    bool renew = needs_new_shelves(&namespace->policy, policy);
    namespace->pack_failures = 0; /* another codec may do better */
    dictionary_forget(namespace);
    namespace->policy = *policy;
    if (renew) {
        renew_shelves(engine, namespace);
    }
    namespace_note_over(engine, namespace);
}

/* ---- the list ---- */

static unsigned free_number(struct namespaces *namespaces)
{
    for (unsigned i = 0; i < namespaces->capacity; i++) {
        if (namespaces->all[i] == NULL) {
            return i;
        }
    }
    unsigned number = namespaces->capacity;
    namespaces->capacity = number * 2 + 4;
    namespaces->all = xrealloc(
        namespaces->all, namespaces->capacity * sizeof(*namespaces->all));
    memset(namespaces->all + number, 0,
        (namespaces->capacity - number) * sizeof(*namespaces->all));
    return number;
}

static struct namespace *create(
    struct engine *engine, struct bytes prefix, const struct policy *policy)
{
    struct namespaces *namespaces = &engine->namespaces;
    struct namespace *namespace = xcalloc(1, sizeof *namespace);
    namespace->prefix = xmalloc(prefix.size + 1);
    memcpy(namespace->prefix, prefix.data, prefix.size);
    namespace->prefix_size = prefix.size;
    namespace->policy = *policy;
    namespace->dictionary = dictionary_of(engine, prefix);
    namespace->number = free_number(namespaces);
    namespaces->all[namespace->number] = namespace;
    return namespace;
}

static void destroy(struct namespaces *namespaces, struct namespace *namespace)
{
    struct namespace **over = &namespaces->over;
    while (*over != NULL && *over != namespace) {
        over = &(*over)->next_over;
    }
    if (*over != NULL) {
        *over = namespace->next_over;
    }
    namespaces->all[namespace->number] = NULL;
    dictionary_forget(namespace);
    free(namespace->prefix);
    free(namespace);
}

static int compare_prefixes(const void *left, const void *right)
{
    return bytes_compare(prefix_of(*(struct namespace *const *)left),
        prefix_of(*(struct namespace *const *)right));
}

/* In order, the candidates for a parent are the one before and its parents. */
static void set_parents(struct namespaces *namespaces)
{
    for (unsigned i = 1; i < namespaces->count; i++) {
        struct namespace *namespace = namespaces->sorted[i];
        struct namespace *parent = namespaces->sorted[i - 1];
        while (!begins(prefix_of(namespace), parent)) {
            parent = parent->parent;
        }
        namespace->parent = parent;
    }
    namespaces->fallback = namespaces->sorted[0];
}

static void count_limiting(struct namespaces *namespaces)
{
    namespaces->refusing = 0;
    namespaces->choosy = 0;
    for (unsigned i = 0; i < namespaces->count; i++) {
        const struct policy *policy = &namespaces->sorted[i]->policy;
        namespaces->refusing += policy_refuses(policy);
        namespaces->choosy += policy->max_item_bytes != SIZE_MAX;
    }
}

static void take(struct engine *engine, const struct namespace_setting *setting,
    struct namespace **sorted, unsigned place)
{
    struct namespaces *namespaces = &engine->namespaces;
    struct policy policy = resolve(engine, setting);
    struct namespace *namespace =
        namespaces->count == 0 ? NULL
                               : namespace_by_prefix(engine, setting->prefix);
    if (namespace == NULL) {
        namespace = create(engine, setting->prefix, &policy);
        namespaces->rehome.again = true;
    } else {
        set_policy(engine, namespace, &policy);
    }
    namespace->gone = false;
    sorted[place] = namespace;
}

static void start_rehome(struct engine *engine);

void engine_set_namespaces(struct engine *engine,
    const struct namespace_setting *settings, unsigned count)
{
    struct namespaces *namespaces = &engine->namespaces;
    struct namespace **sorted = xcalloc(count, sizeof(struct namespace *));
    check(count > 0 && count <= NAMESPACES_MAX);
    for (unsigned i = 0; i < namespaces->count; i++) {
        namespaces->sorted[i]->gone = true;
    }
    for (unsigned i = 0; i < count; i++) {
        take(engine, &settings[i], sorted, i);
    }
    for (unsigned i = 0; i < namespaces->count; i++) {
        namespaces->rehome.again |= namespaces->sorted[i]->gone;
    }
    free(namespaces->sorted);
    qsort(sorted, count, sizeof(struct namespace *), compare_prefixes);
    check(sorted[0]->prefix_size == 0);
    namespaces->sorted = sorted;
    namespaces->count = count;
    set_parents(namespaces);
    count_limiting(namespaces);
    if (namespaces->rehome.again && engine->dbs != NULL) {
        start_rehome(engine);
    }
    namespaces->rehome.again = false;
}

void namespaces_init(struct engine *engine)
{
    struct namespace_setting setting = {.prefix = bytes_of("", 0)};
    namespace_options_init(&setting.options);
    engine_set_namespaces(engine, &setting, 1);
}

void namespaces_finish(struct engine *engine)
{
    struct namespaces *namespaces = &engine->namespaces;
    for (unsigned i = 0; i < namespaces->capacity; i++) {
        if (namespaces->all[i] != NULL) {
            destroy(namespaces, namespaces->all[i]);
        }
    }
    free(namespaces->all);
    free(namespaces->sorted);
    dictionaries_destroy(engine);
}

struct bytes engine_namespace_of(const struct engine *engine, struct bytes key)
{
    return prefix_of(namespace_find(engine, key));
}

int64_t engine_default_expiry(
    const struct engine *engine, struct bytes key, int64_t now_ms)
{
    int64_t ttl_ms = namespace_find(engine, key)->policy.default_ttl_ms;
    return ttl_ms == 0 ? 0 : now_ms + ttl_ms;
}

bool engine_knows_tag(
    const struct engine *engine, struct bytes key, struct bytes tag)
{
    return policy_tag(&namespace_find(engine, key)->policy, ttl_rule_id(tag)) !=
           NULL;
}

bool engine_namespace_stats(const struct engine *engine, struct bytes prefix,
    struct namespace_stats *stats)
{
    const struct namespace *namespace = namespace_by_prefix(engine, prefix);
    if (namespace == NULL) {
        return false;
    }
    memcpy(stats->tier, namespace->tier, sizeof stats->tier);
    stats->counters = namespace->counters;
    for (const struct shelf *shelf = namespace->shelves; shelf != NULL;
         shelf = shelf->next_of_namespace) {
        shelf_add_hits(stats->counters.hits, shelf);
    }
    stats->disk_bytes = namespace->disk_bytes;
    stats->gets = count_gets(stats->counters.hits, stats->counters.misses);
    return true;
}

/* ---- keys on their way to their namespace ---- */

static void start_lists(struct shelf *shelf)
{
    shelf->hot.cursor = shelf->hot.tail;
    shelf->cold.cursor = shelf->cold.tail;
    shelf->sinking.cursor = shelf->sinking.tail;
    for (unsigned i = 0; i < shelf_more_lists(shelf); i++) {
        shelf->more[i].cursor = shelf->more[i].tail;
    }
}

/* Lists are walked from their tail, so that those who move keep their order.
 * What has no list follows by a walk through the index. */
static void start_rehome(struct engine *engine)
{
    struct namespaces *namespaces = &engine->namespaces;
    namespaces->rehome.running = true;
    namespaces->rehome.database = 0;
    namespaces->rehome.position = 0;
    for (unsigned i = 0; i < engine->shelf_capacity; i++) {
        if (engine->shelves[i] != NULL) {
            start_lists(engine->shelves[i]);
        }
    }
}

bool engine_namespaces_settling(const struct engine *engine)
{
    return engine->namespaces.rehome.running;
}

/* False: all of the list has been looked at. */
static bool rehome_next(struct shelf *shelf, struct lru *list)
{
    struct space *space = shelf->space;
    uint32_t ref = list->cursor;
    if (ref == 0 || shelf->namespace == NULL) {
        return false;
    }
    list->cursor = lru_newer(&space->engine->arena, ref);
    space_rehome(space, ref);
    return true;
}

static bool rehome_lists(struct shelf *shelf, uint64_t deadline_us)
{
    struct lru *lists[3] = {&shelf->sinking, &shelf->cold, &shelf->hot};
    unsigned count = 3 + shelf_more_lists(shelf);
    for (unsigned i = 0; i < count; i++) {
        struct lru *list = i < 3 ? lists[i] : &shelf->more[i - 3];
        for (unsigned steps = 1; rehome_next(shelf, list); steps++) {
            if (steps % 64 == 0 && engine_mono_us() >= deadline_us) {
                return false;
            }
        }
    }
    return true;
}

struct rehome_visit {
    unsigned count;
    uint32_t refs[64];
    const struct engine *engine;
};

static void on_rehome(void *context, uint32_t ref, uint64_t hash)
{
    struct rehome_visit *visit = context;
    const struct entry *entry = arena_at(&visit->engine->arena, ref);
    (void)hash;
    if (entry_is_dry(entry) && visit->count < 64) {
        visit->refs[visit->count++] = ref;
    }
}

/* False: not done yet. */
static bool rehome_dry(struct engine *engine, uint64_t deadline_us)
{
    struct namespaces *namespaces = &engine->namespaces;
    while (namespaces->rehome.database < engine->options.databases) {
        struct space *space = engine->dbs[namespaces->rehome.database].space;
        struct rehome_visit visit = {.engine = engine};
        namespaces->rehome.position = index_scan(
            &space->index, namespaces->rehome.position, on_rehome, &visit);
        for (unsigned i = 0; i < visit.count; i++) {
            space_rehome(space, visit.refs[i]);
        }
        if (namespaces->rehome.position == 0) {
            namespaces->rehome.database++;
        }
        if (engine_mono_us() >= deadline_us) {
            return false;
        }
    }
    return true;
}

static void drop_empty_shelves(struct engine *engine)
{
    for (unsigned i = 0; i < engine->shelf_capacity; i++) {
        struct shelf *shelf = engine->shelves[i];
        if (shelf == NULL || shelf->namespace == NULL ||
            !shelf_is_empty(shelf)) {
            continue;
        }
        unsigned place = shelf->namespace->number;
        bool in_use = shelf->tag != 0 ? !shelf->renewed
                                      : shelf->space->shelves[place] == shelf;
        if (shelf->namespace->gone || !in_use) {
            shelf_destroy(shelf);
        }
    }
}

static void rehome_end(struct engine *engine)
{
    struct namespaces *namespaces = &engine->namespaces;
    namespaces->rehome.running = false;
    drop_empty_shelves(engine);
    for (unsigned i = 0; i < namespaces->capacity; i++) {
        struct namespace *namespace = namespaces->all[i];
        if (namespace == NULL || !namespace->gone) {
            continue;
        }
        if (namespace->shelves == NULL) {
            destroy(namespaces, namespace);
        } else {
            start_rehome(engine); /* something came in between */
        }
    }
}

void namespaces_turn(struct engine *engine, uint64_t deadline_us)
{
    if (!engine->namespaces.rehome.running) {
        return;
    }
    for (unsigned i = 0; i < engine->shelf_capacity; i++) {
        if (engine->shelves[i] != NULL &&
            !rehome_lists(engine->shelves[i], deadline_us)) {
            return;
        }
    }
    if (rehome_dry(engine, deadline_us)) {
        rehome_end(engine);
    }
}
