/* Shelves: the entries of one namespace in one space, in the order in which
 * they leave, and counted. The engine's thread only. */
#ifndef LARDER_TIERS_SHELF_H
#define LARDER_TIERS_SHELF_H

#include "tiers/engine.h"
#include "tiers/entry_layout.h"
#include "tiers/lru.h"
#include "tiers/namespace_internal.h"

struct engine;
struct space;

/* An entry names its shelf, and by it its space and namespace. */
struct shelf {
    _Alignas(LINE_BYTES) struct space *space; /* to `hits`: what a GET needs */
    struct namespace *namespace;              /* NULL: the space was flushed */
    uint16_t number;  /* in engine->shelves, in struct entry */
    uint8_t eviction; /* enum namespace_eviction */
    bool links_dry;   /* dry entries are in a list too */
    bool renewed;     /* another one has taken its place */
    uint8_t refills;  /* counts what cold is refilled with: sink_turn.c */
    struct lru hot;
    uint64_t hits[3]; /* by tier; a namespace counts those of its shelves */
    struct lru cold, dry;
    uint32_t tag;                    /* of its entries, 0: none */
    uint32_t schema_version;         /* they were written under */
    struct shelf *next;              /* of the same space */
    struct shelf *next_of_namespace; /* of any space in use */
    int64_t unread_ms[3];            /* as in struct policy, by its tag */
    struct lru sinking; /* cold entries whose record is on its way to disk */
    /* LFU: hot entries by frequency; S3-FIFO: the main queue, while `hot` is
     * the small one. */
    struct lru *more;
    struct ghost *ghost; /* S3-FIFO: who left the small queue lately */
    struct engine_tier_stats tier[3];
    struct engine_tier_stats sinking_now; /* of the cold ones */
    uint64_t live_bytes;                  /* of its records on disk */
};

enum link_at { LINK_HEAD, LINK_SAME };

/* The shelf of a namespace in a space for entries with a tag (0: none),
 * created when there is none. A tag without a rule is none. */
struct shelf *shelf_for(
    struct space *space, struct namespace *namespace, uint32_t tag);
/* The policy's rule for a tag, or NULL. */
const struct tag_policy *policy_tag(const struct policy *policy, uint32_t tag);
void shelf_destroy(struct shelf *shelf);
/* Its entries are nobody's: the database was flushed. What it has counted is
 * the namespace's now. */
void shelf_leave_namespace(struct shelf *shelf);
/* Adds those it has counted. */
void shelf_add_hits(uint64_t hits[3], const struct shelf *shelf);
/* Whether dry entries must stand in an order too. */
bool policy_links_dry(const struct policy *policy);
/* How many lists there are in shelf->more. */
unsigned shelf_more_lists(const struct shelf *shelf);
bool shelf_is_empty(const struct shelf *shelf);
/* The state bits that an entry of this description has on the shelf. */
uint16_t shelf_bits(const struct shelf *shelf, uint16_t bits);
/* Idle for so long, its keys leave the tier; 0: they do not. */
static inline int64_t shelf_unread_ms(const struct shelf *shelf, enum tier tier)
{
    return shelf->tag != 0 ? shelf->unread_ms[tier]
                           : shelf->namespace->policy.unread_ms[tier];
}
/* The list that the entry is in; NULL when it is dry. */
struct lru *shelf_list(struct shelf *shelf, const struct entry *entry);
/* Who leaves a tier next, or 0: the tier is empty, or holds nothing that may
 * leave now. Peeking changes nothing, but is not exact where chance or
 * sampling decide. */
uint32_t shelf_victim(struct shelf *shelf, enum tier tier);
uint32_t shelf_peek(const struct shelf *shelf, enum tier tier);
/* May an entry of the cold tier, which is being used, become a hot one? Yes,
 * when there is room for it as it is unpacked; else when its last use was not
 * before that of the hot one which would have to leave for it. Under LFU, when
 * it is used more often than that one. Live values always. */
bool shelf_admits(const struct shelf *shelf, const struct entry *entry);
/* Adds (sign 1) or takes (sign -1) an entry to and from the counters. */
void shelf_count(struct engine *engine, uint32_t ref, int sign);
/* The live value of `entry` takes `grown` bytes more than it did; modulo 2^64,
 * as it may take less. */
void shelf_count_live(
    struct engine *engine, const struct entry *entry, size_t grown);
/* A new entry joins its list, at the head. */
void shelf_link(struct engine *engine, uint32_t ref);
void shelf_unlink(struct engine *engine, uint32_t ref);
/* Same list: the entry `ref` takes the place of `old_ref`. Other lists: one
 * is left, the other joined. */
void shelf_relink(
    struct engine *engine, uint32_t old_ref, uint32_t ref, enum link_at where);
/* One more use: access word and place in its list. */
void shelf_use(struct engine *engine, struct entry *entry);
/* To the end of its list, as last used when `access` says. Of one in RAM. */
void shelf_place_last(
    struct engine *engine, struct entry *entry, uint32_t access);
/* A hot entry becomes a cold one with the same bytes. */
void shelf_cool(struct engine *engine, uint32_t ref, uint16_t bits);
/* A cold entry waits for its record to be committed. */
void shelf_sink(struct engine *engine, uint32_t ref);

#endif
