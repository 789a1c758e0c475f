/* Values on their way up from disk: one read a record however many wait.
 *
 * The engine's thread starts a fetch and a reader thread does the rest:
 * reads, and checks the sums. What arrives is installed in cold if the entry
 * is still dry and still has that record's id; whoever waits is called in
 * either case, and looks again. */
#include <stdlib.h>
#include <uthash.h>

#include "tiers/codec.h"
#include "tiers/engine_internal.h"

/* Damage is logged this often at most: clients can ask faster. INFO counts
 * all of it. */
#define DAMAGE_TOLD_MS 1000

struct fetch {
    struct dry_job job; /* first: done() finds the fetch by it */
    struct engine *engine;
    UT_hash_handle hh;
    uint64_t id;
    uint64_t hash;
    uint32_t keyspace;
    size_t reserved_bytes;
    struct waiter_list waiters;
    struct record record; /* parsed by the reader; borrows from job.data */
    struct bytes payload;
    struct value *live;      /* decoded by the reader, or NULL */
    struct fetch *late_next; /* waits for its record to be committed, or */
    int64_t retry_ms;        /* until then to be read again */
    unsigned failures;
    int64_t asked_ms;    /* when it began, */
    int64_t patience_ms; /* and how long its waiters wait for it */
};

/* A sound value of its kind, brought to life where that is its form? */
static bool decodes(struct fetch *fetch, struct bytes raw)
{
    enum kind kind = fetch->record.kind;
    if (value_form(kind) != VALUE_TREE) {
        return value_check(kind, raw);
    }
    fetch->live = value_decode(kind, raw, fetch->engine->secret);
    return fetch->live != NULL;
}

/* Can the payload be unpacked and understood? Tried here, so that nobody who
 * reads the value later needs an answer to the contrary. */
static bool unpacks(struct fetch *fetch)
{
    enum codec codec = fetch->record.codec;
    size_t size = codec_raw_bytes(codec, fetch->payload);
    if (codec == CODEC_NONE) {
        return decodes(fetch, fetch->payload);
    }
    if (size == SIZE_MAX) {
        return false;
    }
    char *out = xmalloc(size + 1);
    bool good =
        codec_unpack(fetch->engine->packer, codec, fetch->payload, out) &&
        decodes(fetch, bytes_of(out, size));
    free(out);
    return good;
}

/* Reader thread: parses and checks what was read. */
static void on_arrived(struct dry_job *job)
{
    struct fetch *fetch = (struct fetch *)job;
    if (job->result != DRY_OK) {
        return;
    }
    struct bytes row = bytes_of(job->data, job->header_bytes);
    fetch->payload =
        bytes_of(job->data + job->header_bytes, job->payload_bytes);
    bool good = record_parse(row, &fetch->record);
    if (good && fetch->record.payload_inline) {
        fetch->payload = fetch->record.payload;
    }
    if (!good || !record_check_payload(&fetch->record, fetch->payload) ||
        !unpacks(fetch)) {
        job->result = DRY_CORRUPT;
    }
}

static void fetch_end(struct fetch *fetch, enum dry_result result)
{
    struct engine *engine = fetch->engine;
    struct waiter_list waiters = fetch->waiters;
    HASH_DEL(engine->fetches, fetch);
    engine->fetch_bytes -= fetch->reserved_bytes;
    engine->counters.fetches_pending--;
    engine_drop_value(engine, fetch->live);
    free(fetch->job.data);
    free(fetch);
    /* Waiters may start fetches; this one is gone by now. */
    for (struct engine_waiter *waiter = waiters.first; waiter != NULL;
         waiter = waiter->next) {
        waiter->queue = &waiters;
    }
    waiters_run(&waiters, UINT64_MAX, result);
}

/* The dry entry becomes cold, with the bytes that were read. */
static void install(
    struct fetch *fetch, struct space *space, struct index_slot slot)
{
    struct engine *engine = fetch->engine;
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    struct entry_spec spec;
    entry_describe(entry, &spec);
    spec.value = fetch->payload;
    spec.bits = entry_with_tier(spec.bits, TIER_COLD);
    spec.bits = entry_with_codec(spec.bits, fetch->record.codec);
    spec.bits = entry_with_kind(spec.bits, fetch->record.kind);
    if (fetch->live != NULL) {
        spec.live = fetch->live;
        spec.value = bytes_of(NULL, 0);
        spec.bits = entry_with_codec(spec.bits, CODEC_NONE);
        spec.bits = entry_with_kind(spec.bits, fetch->live->kind);
        fetch->live = NULL;
    }
    entry_place_value(&spec);
    entry = space_replace(space, slot, &spec, LINK_HEAD);
    if (!item_arrived(engine, entry)) {
        engine->counters.promoted_dry_cold++;
        shelf_of(engine, entry)->namespace->counters.promoted_dry_cold++;
    }
}

static void fetch_start(struct fetch *fetch)
{
    struct engine *engine = fetch->engine;
    fetch->job.kind = DRY_JOB_READ;
    fetch->job.id = fetch->id;
    fetch->job.expected_bytes = fetch->reserved_bytes;
    fetch->job.arrived = on_arrived;
    dry_workers_submit(engine->log.workers, &fetch->job);
}

static void fetch_later(struct fetch *fetch)
{
    fetch->late_next = fetch->engine->late_fetches;
    fetch->engine->late_fetches = fetch;
}

void fetch_after_commit(struct engine *engine)
{
    struct fetch *fetch = engine->late_fetches;
    engine->late_fetches = NULL;
    while (fetch != NULL) {
        struct fetch *next = fetch->late_next;
        if (fetch->id <= engine->log.committed_id) {
            fetch_start(fetch);
        } else {
            fetch_later(fetch);
        }
        fetch = next;
    }
}

void fetch_after_abandon(struct engine *engine)
{
    struct fetch *fetch = engine->late_fetches;
    engine->late_fetches = NULL;
    while (fetch != NULL) {
        struct fetch *next = fetch->late_next;
        struct space *space = space_by_keyspace(engine, fetch->keyspace);
        if (space != NULL &&
            index_find_id(&space->index, fetch->hash, fetch->id).ref != NULL) {
            fetch_later(fetch);
        } else {
            engine->counters.fetch_discarded++;
            fetch_end(fetch, DRY_OK);
        }
        fetch = next;
    }
}

/* The disk may answer if it is asked again. Not when somebody blocks the loop
 * for it. */
static bool retry_later(struct fetch *fetch, struct namespace *namespace)
{
    struct engine *engine = fetch->engine;
    const struct patience *patience = &namespace->policy.patience;
    engine->counters.store_errors++;
    namespace->counters.store_errors++;
    fetch->failures++;
    if (fetch->failures >= patience->attempts || engine->held) {
        return false;
    }
    engine->counters.store_retries++;
    namespace->counters.store_retries++;
    fetch->retry_ms = engine->now_ms +
                      log_retry_ms(engine, fetch->failures, patience->delay_ms);
    fetch->late_next = engine->failed_fetches;
    engine->failed_fetches = fetch;
    free(fetch->job.data);
    fetch->job.data = NULL;
    return true;
}

void fetch_retry_turn(struct engine *engine)
{
    struct fetch **link = &engine->failed_fetches;
    while (*link != NULL) {
        struct fetch *fetch = *link;
        if (engine->now_ms >= fetch->retry_ms) {
            *link = fetch->late_next;
            fetch_start(fetch);
        } else {
            link = &fetch->late_next;
        }
    }
}

static void report_damage(struct fetch *fetch, enum dry_result result)
{
    struct engine *engine = fetch->engine;
    engine->counters.fetch_errors++;
    if (engine->now_ms - engine->damage_told_ms >= DAMAGE_TOLD_MS) {
        engine->damage_told_ms = engine->now_ms;
        engine_tell(engine, 3,
            "Record %llu of the dry store in %s cannot be read: %s",
            (unsigned long long)fetch->id, engine->options.path,
            dry_result_text(result));
    }
}

void fetch_deadline_turn(struct engine *engine)
{
    struct fetch *fetch = NULL, *next = NULL;
    HASH_ITER(hh, engine->fetches, fetch, next)
    {
        /* What comes after all is taken, for those who ask again. */
        if (fetch->waiters.first != NULL &&
            engine->now_ms - fetch->asked_ms >= fetch->patience_ms) {
            report_damage(fetch, DRY_IO);
            waiters_run(&fetch->waiters, UINT64_MAX, DRY_IO);
        }
    }
}

static void on_fetched(struct dry_job *job)
{
    struct fetch *fetch = (struct fetch *)job;
    struct engine *engine = fetch->engine;
    struct space *space = space_by_keyspace(engine, fetch->keyspace);
    struct index_slot slot = {NULL};
    if (space != NULL) {
        slot = index_find_id(&space->index, fetch->hash, fetch->id);
    }
    enum dry_result result = job->result;
    if (slot.ref != NULL && result == DRY_OK &&
        !bytes_equal(fetch->record.key,
            entry_key_of(arena_at(&engine->arena, *slot.ref)))) {
        result = DRY_CORRUPT; /* whole, but of another key */
    }
    if (slot.ref == NULL ||
        !entry_is_dry(arena_at(&engine->arena, *slot.ref))) {
        /* Overwritten, deleted, moved or flushed since. */
        engine->counters.fetch_discarded++;
        result = DRY_OK;
    } else if (result == DRY_OK) {
        install(fetch, space, slot);
    } else {
        struct entry *entry = arena_at(&engine->arena, *slot.ref);
        if (result == DRY_NOT_FOUND) {
            result = DRY_CORRUPT; /* the index knows better */
        }
        if (result == DRY_IO &&
            retry_later(fetch, shelf_of(engine, entry)->namespace)) {
            return;
        }
        report_damage(fetch, result);
    }
    fetch_end(fetch, result);
}

static struct fetch *fetch_begin(
    struct db *db, const struct entry *entry, uint64_t hash)
{
    struct engine *engine = db->engine;
    uint64_t id = entry_id_of(entry);
    struct fetch *fetch = NULL;
    HASH_FIND(hh, engine->fetches, &id, sizeof id, fetch);
    if (fetch != NULL) {
        return fetch;
    }
    fetch = xcalloc(1, sizeof *fetch);
    fetch->engine = engine;
    fetch->id = id;
    fetch->hash = hash;
    fetch->keyspace = db->space->keyspace;
    fetch->reserved_bytes = entry_stored_bytes(entry);
    fetch->job.done = on_fetched;
    fetch->asked_ms = engine->now_ms;
    fetch->patience_ms =
        shelf_of(engine, entry)->namespace->policy.patience.deadline_ms;
    HASH_ADD(hh, engine->fetches, id, sizeof fetch->id, fetch);
    engine->fetch_bytes += fetch->reserved_bytes;
    engine->counters.fetches++;
    engine->counters.fetches_pending++;
    if (id > engine->log.committed_id) {
        fetch_later(fetch);
    } else {
        fetch_start(fetch);
    }
    return fetch;
}

void engine_fetch(struct engine *engine, struct db *db, struct bytes key,
    struct engine_waiter *waiter, int64_t now_ms)
{
    uint64_t hash = db_hash(db, key);
    engine->now_ms = now_ms;
    struct index_slot slot = index_find(&db->space->index, hash, key);
    check(slot.ref != NULL);
    const struct entry *entry = arena_at(&engine->arena, *slot.ref);
    check(entry_is_dry(entry));
    waiters_add(&fetch_begin(db, entry, hash)->waiters, waiter);
}

struct blocking {
    struct engine_waiter waiter; /* first */
    bool ready;
    enum dry_result result;
};

static void on_blocking_ready(
    struct engine_waiter *waiter, enum dry_result result)
{
    struct blocking *blocking = (struct blocking *)waiter;
    blocking->ready = true;
    blocking->result = result;
}

enum dry_result engine_fetch_now(struct engine *engine, struct db *db,
    struct bytes key, unsigned timeout_ms, int64_t now_ms)
{
    struct blocking blocking = {.waiter.on_ready = on_blocking_ready};
    uint64_t deadline_us = engine_mono_us() + (uint64_t)timeout_ms * 1000;
    bool held = engine->held;
    engine->counters.sync_reads++;
    engine_fetch(engine, db, key, &blocking.waiter, now_ms);
    engine->held = true;
    while (!blocking.ready) {
        if (engine_mono_us() >= deadline_us) {
            engine_cancel(engine, &blocking.waiter);
            blocking.result = DRY_IO;
            break;
        }
        dry_workers_wait(engine->log.workers, 10);
        dry_workers_collect(engine->log.workers);
    }
    engine_hold(engine, held);
    return blocking.result;
}

/* The workers are gone: nobody answers any more. */
void fetch_close(struct engine *engine)
{
    struct fetch *fetch = NULL, *next = NULL;
    HASH_ITER(hh, engine->fetches, fetch, next)
    {
        HASH_DEL(engine->fetches, fetch); /* NOLINT: uthash looks freed */
        engine_drop_value(engine, fetch->live);
        free(fetch->job.data);
        free(fetch);
    }
    engine->late_fetches = NULL;
    engine->failed_fetches = NULL;
}
