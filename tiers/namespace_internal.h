/* Namespaces as the files of tiers/ see them. Included by engine_internal.h
 * only. */
#ifndef LARDER_TIERS_NAMESPACE_INTERNAL_H
#define LARDER_TIERS_NAMESPACE_INTERNAL_H

#include "tiers/namespace.h"

/* What an operation on a store that fails gets before its error counts. */
struct patience {
    unsigned attempts;   /* 0: of nobody */
    int64_t delay_ms;    /* between two, at most */
    int64_t deadline_ms; /* for all of it; INT64_MAX: none */
};

/* A namespace's options as they are needed where keys are handled. */
struct policy {
    uint8_t tiers; /* a bit an enum tier; without dry when there is no store */
    enum namespace_eviction eviction;
    uint64_t max_bytes[3], max_items[3]; /* by tier; UINT64_MAX: no limit */
    int64_t unread_ms[3]; /* by tier: idle for so long, a key leaves; 0: not */
    int64_t default_ttl_ms; /* 0: none */
    bool sliding;           /* reading sets the default again */
    bool mget_touch;
    enum codec codec;
    int codec_level; /* 0: the codec's own default */
    size_t pack_min_bytes;
    bool dictionary; /* zstd: small values are packed with one */
    int64_t write;   /* enum namespace_write, or ms */
    struct patience patience;
    uint32_t schema_version;
    unsigned tag_count;
    struct tag_policy {
        uint32_t tag;
        int64_t unread_ms[3];
    } tags[TTL_RULES_MAX];
    size_t max_item_bytes; /* larger values are kept in dry; SIZE_MAX: none */
    size_t ram_only_below; /* smaller values are never on disk; 0: none */
};

/* How its small values have been packed lately (dictionary_train.c). */
struct learning {
    uint64_t raw, packed;
    unsigned count;
    bool worse;       /* than the dictionary promised */
    unsigned refused; /* samples that were of no use, in a row */
    uint64_t wait;    /* values that pass before samples are taken */
};

struct namespace
{
    char *prefix;
    size_t prefix_size;
    unsigned number;          /* in engine->namespaces and space->shelves */
    struct namespace *parent; /* the longest other one that begins it */
    bool gone;                /* taken away; keys are leaving its shelves */
    bool over;                /* in engine->over */
    struct namespace *next_over;
    struct policy policy;
    struct shelf *shelves; /* in all spaces that are in use */
    struct engine_tier_stats tier[3];
    struct engine_tier_stats sinking; /* of the cold ones */
    uint64_t disk_bytes;
    struct namespace_counters counters;
    unsigned pack_failures; /* in a row: packing is tried less often */
    unsigned pack_skip;
    struct dictionary *dictionary; /* the newest of its prefix, or NULL */
    struct samples *samples;       /* for the next one, or NULL */
    struct learning learning;
};

/* All of them; sorted ones by prefix, for looking up. */
struct namespaces {
    struct namespace **all; /* by number, NULL: free */
    unsigned capacity;
    struct namespace **sorted;
    unsigned count;    /* of the sorted ones */
    unsigned refusing; /* with eviction none and a limit to refuse at */
    unsigned choosy;   /* with a limit for the size of an item in RAM */
    struct namespace *fallback; /* the one with the empty prefix */
    struct namespace *over;     /* some tier holds more than it may */
    struct {                    /* keys on their way to their namespace */
        bool running, again;
        unsigned database;
        uint64_t position;
    } rehome;
};

#endif
