/* Namespaces: key prefixes with rules of their own. The longest prefix that a
 * key begins with is its namespace; the empty one is the default.
 *
 * What can be said of a namespace is in namespace_options.def, one row an
 * option. Texts become struct namespace_options here, for whoever configures
 * (any thread); the engine takes a whole list of them
 * (engine_set_namespaces). */
#ifndef LARDER_TIERS_NAMESPACE_H
#define LARDER_TIERS_NAMESPACE_H

#include "tiers/engine.h"
#include "tiers/ttl_rule.h"

#define NAMESPACES_MAX 1000
#define NAMESPACE_PREFIX_MAX 512
#define NAMESPACE_REASON_BYTES 256

enum namespace_option {
#define OPTION(id, ...) NAMESPACE_##id,
#include "tiers/namespace_options.def"
#undef OPTION
    NAMESPACE_OPTION_COUNT
};

/* NAMESPACE_EVICTION: who leaves a tier that is full. */
enum namespace_eviction {
    EVICTION_LRU,
    EVICTION_LFU,
    EVICTION_FIFO,
    EVICTION_RANDOM,
    EVICTION_TTL,
    EVICTION_S3_FIFO,
    EVICTION_NONE,
};

/* NAMESPACE_WRITE_POLICY: when what is written goes to disk. Above 0: that
 * many ms later ("behind"). */
enum namespace_write {
    WRITE_THROUGH = -2, /* before it is acknowledged */
    WRITE_DEMOTE = -1,  /* on its way down, at checkpoints, at the end */
    WRITE_SERVER = 0,   /* as engine_options.durability says */
};

/* NAMESPACE_TIERS: a bit an enum tier. */
#define TIERS_HAS(set, tier) (((set) >> (tier)) & 1)

struct namespace_options {
    int64_t value[NAMESPACE_OPTION_COUNT];
    uint64_t given; /* a bit an option: set, not the default */
    struct ttl_rules rules;
};

/* Nothing given, the built-in defaults. */
void namespace_options_init(struct namespace_options *options);
/* Reads "<option> <value> ..." over what is there; the value "default" takes
 * back what was given. False, with a reason that
 * names the option and nothing changed, when there is anything wrong. */
bool namespace_options_parse(struct namespace_options *options,
    char *const *words, int count, char reason[NAMESPACE_REASON_BYTES]);
/* What is given in `options`, and for the rest what `defaults` say. */
void namespace_options_merge(struct namespace_options *merged,
    const struct namespace_options *options,
    const struct namespace_options *defaults);
/* Whether the options, merged, can be used together. */
bool namespace_options_check(const struct namespace_options *merged,
    char reason[NAMESPACE_REASON_BYTES]);

const char *namespace_option_name(enum namespace_option option);
/* The option's value as it is written in the file: heap. */
char *namespace_option_text(
    const struct namespace_options *options, enum namespace_option option);
/* All that is given, "<option> <value> ...": heap. */
char *namespace_options_text(const struct namespace_options *options);

/* ---- in the engine ---- */

struct namespace_setting {
    struct bytes prefix;
    struct namespace_options options; /* merged and checked */
};

/* The namespaces there are from now on; the one with the empty prefix must be
 * among them. Prefixes differ. Keys move to their new namespace, and tiers
 * shrink to new limits, in slices (engine_turn). */
void engine_set_namespaces(struct engine *engine,
    const struct namespace_setting *settings, unsigned count);
/* True while keys are still on their way to their new namespace. */
bool engine_namespaces_settling(const struct engine *engine);

/* What has happened in it; arrays by the tier that a key was in. */
struct namespace_counters {
    uint64_t hits[3], misses;
    uint64_t puts, deletes;
    uint64_t evicted[3], expired[3];
    uint64_t demoted_hot_cold, demoted_cold_dry;
    uint64_t promoted_dry_cold, promoted_cold_hot;
    uint64_t compressed_raw_bytes, compressed_stored_bytes;
    uint64_t store_errors, store_retries; /* of its reads */
};
struct namespace_stats {
    struct engine_tier_stats tier[3];
    uint64_t disk_bytes; /* its live records */
    uint64_t gets;       /* hits and misses */
    struct namespace_counters counters;
};
/* By prefix; false when there is none. */
bool engine_namespace_stats(const struct engine *engine, struct bytes prefix,
    struct namespace_stats *stats);
/* The prefix of the namespace that `key` belongs to; borrowed until
 * engine_set_namespaces. */
struct bytes engine_namespace_of(const struct engine *engine, struct bytes key);

/* The expiry that a write at `key` gets when it names none; 0: none. */
int64_t engine_default_expiry(
    const struct engine *engine, struct bytes key, int64_t now_ms);

/* Whether the namespace of `key` has a ttl-rule for the tag. */
bool engine_knows_tag(
    const struct engine *engine, struct bytes key, struct bytes tag);

/* Is there a namespace whose writes are limited now? And may one that brings
 * `size_bytes` be made at `key`? ENGINE_REFUSE_OOM with `eviction none`, when
 * the last tier of the key's namespace is full; what the tiers above it hold
 * does not count. ENGINE_PARK when the namespace is above its limit in RAM and
 * what sinks waits for the disk. */
bool engine_limits_writes(const struct engine *engine);
enum engine_admission engine_admit_key(struct engine *engine, struct db *db,
    struct bytes key, size_t size_bytes, int64_t now_ms);

/* Lets go what is above a limit: after each command, when engine_over says
 * that there is something to do. At most a few entries a call; engine_turn
 * does the rest. */
bool engine_over(const struct engine *engine);
void engine_trim(struct engine *engine, int64_t now_ms);

#endif
