#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tiers/engine_internal.h"

#define ARENA_RESERVE_BYTES ((size_t)32 * 1024 * 1024 * 1024 - ARENA_SLAB_BYTES)
/* Entries of a flushed database freed a turn. */
#define CLEAR_BUDGET 2000
/* Small ones are freed at once, or clients that flush all the time could have
 * more of them than there are numbers. */
#define CLEAR_AT_ONCE 1000
/* Nor may larger ones pile up: beyond this many, each is freed at once too. */
#define UNUSED_MAX 4096

static bool fill_random(void *out, size_t size)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, out, size);
    close(fd);
    return got == (ssize_t)size;
}

uint64_t engine_random(struct engine *engine)
{
    /* xorshift64: Marsaglia, 2003. For sampling, not for secrets. */
    engine->random ^= engine->random << 13;
    engine->random ^= engine->random >> 7;
    engine->random ^= engine->random << 17;
    return engine->random;
}

/* Morris' approximate counter: the larger it is, the rarer it grows. A count
 * decays by one a minute without use. */
uint32_t access_frequency(const struct engine *engine, uint32_t access)
{
    uint32_t count = access & ACCESS_FREQUENCY_MASK;
    uint32_t minutes =
        access_idle(engine->now_ms, access) / (60000 / ACCESS_TICK_MS);
    return count - (minutes < count ? minutes : count);
}

uint32_t access_next(struct engine *engine, uint32_t access)
{
    uint32_t now = access_tick(engine->now_ms);
    uint32_t count = access_frequency(engine, access);
    uint32_t over =
        count > ACCESS_FREQUENCY_START ? count - ACCESS_FREQUENCY_START : 0;
    uint64_t odds = over * over * 10 + 1; /* one in so many: no division */
    if (count < ACCESS_FREQUENCY_MASK &&
        ((engine_random(engine) >> 32) * odds) >> 32 == 0) {
        count++;
    }
    return now << ACCESS_FREQUENCY_BITS | count;
}

void engine_tell(struct engine *engine, int level, const char *format, ...)
{
    char line[ENGINE_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    engine->options.log(engine->options.context, level, line);
}

static void create_databases(struct engine *engine)
{
    unsigned count = engine->options.databases;
    engine->dbs = xcalloc(count, sizeof *engine->dbs);
    engine->next_keyspace = 1;
    for (unsigned i = 0; i < count; i++) {
        struct db *db = &engine->dbs[i];
        db->engine = engine;
        db->number = i;
        db->space = space_create(engine, db);
    }
}

struct engine *engine_create(
    const struct engine_options *options, char *reason, size_t reason_size)
{
    struct engine *engine = xcalloc(1, sizeof *engine);
    engine->options = *options;
    engine->limits = (struct value_limits){
        .hash_max_listpack_entries = 512,
        .hash_max_listpack_value = 64,
        .zset_max_listpack_entries = 128,
        .zset_max_listpack_value = 64,
        .set_max_intset_entries = 512,
        .list_max_listpack_size = -2,
    };
    check(options->databases > 0 &&
          options->databases <= ENGINE_MAX_DATABASES && options->log != NULL);
    if (!fill_random(engine->secret, sizeof engine->secret) ||
        !fill_random(&engine->random, sizeof engine->random)) {
        snprintf(reason, reason_size, "/dev/urandom cannot be read");
        goto failed;
    }
    engine->random |= 1;
    if (!arena_init(&engine->arena, ARENA_RESERVE_BYTES)) {
        snprintf(
            reason, reason_size, "32 GiB of address space cannot be reserved");
        goto failed;
    }
    if (!log_open(engine, reason, reason_size)) {
        arena_finish(&engine->arena);
        goto failed;
    }
    namespaces_init(engine);
    create_databases(engine);
    if (!log_load_keyspaces(engine, reason, reason_size)) {
        engine_destroy(engine);
        return NULL;
    }
    engine->load_total = engine->log.stats.record_count;
    engine->load_from = engine->load_total > 0 ? 1 : 0;
    return engine;
failed:
    free(engine);
    return NULL;
}

/* Nodes of a value freed at once. */
#define RELEASE_AT_ONCE 64
#define RELEASE_BUDGET 256

void engine_drop_value(struct engine *engine, struct value *value)
{
    if (value != NULL && !value_release(value, RELEASE_AT_ONCE)) {
        value->next_trash = engine->trash;
        engine->trash = value;
    }
}

/* Frees large values a little at a time. True: more to do. */
static bool trash_turn(struct engine *engine, uint64_t deadline_us)
{
    while (engine->trash != NULL) {
        struct value *next = engine->trash->next_trash;
        if (value_release(engine->trash, RELEASE_BUDGET)) {
            engine->trash = next;
        }
        if (engine_mono_us() >= deadline_us) {
            break;
        }
    }
    return engine->trash != NULL;
}

static void drop_outside(void *context, uint32_t ref, uint64_t hash)
{
    struct engine *engine = context;
    struct entry *entry = arena_at(&engine->arena, ref);
    (void)hash;
    blob_unref(entry_blob(entry));
    engine_drop_value(engine, entry_live(entry));
}

static void drop_space(struct engine *engine, struct space *space)
{
    uint64_t position = 0;
    do {
        position = index_scan(&space->index, position, drop_outside, engine);
    } while (position != 0);
    space_destroy(space);
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    log_close(engine);
    fetch_close(engine);
    reclaim_close(engine);
    warm_close(engine);
    for (unsigned i = 0; i < engine->options.databases; i++) {
        drop_space(engine, engine->dbs[i].space);
    }
    while (engine->unused != NULL) {
        struct space *space = engine->unused;
        engine->unused = space->next_unused;
        drop_space(engine, space);
    }
    trash_turn(engine, UINT64_MAX);
    namespaces_finish(engine);
    item_close(engine);
    arena_finish(&engine->arena);
    free(engine->shelves);
    free(engine->dbs);
    free(engine->scratch);
    free(engine);
}

/* ---- the loop's duties ---- */

/* The readers are woken for what is kept back still. */
static void flush_reads(struct engine *engine)
{
    if (engine->log.workers != NULL) {
        dry_workers_flush(engine->log.workers);
    }
}

/* What the engine's duties may take at a time: half as long as the input before
 * them took, within these limits. */
#define TURN_MIN_US 20
#define TURN_MAX_US 1000
/* At `hz`, also where nothing comes in. */
#define CRON_MIN_US 250

void engine_begin_round(struct engine *engine)
{
    if (engine->round_us == 0) {
        engine->round_us = engine_mono_us();
    }
}

/* A loop that is busy with small requests answers them soon, one that serves
 * many at a time keeps up with what they write. */
static void begin_duties(
    struct engine *engine, int64_t now_ms, uint64_t least_us)
{
    uint64_t now_us = engine_mono_us();
    uint64_t slice_us =
        engine->round_us == 0 ? 0 : (now_us - engine->round_us) / 2;
    slice_us = slice_us < TURN_MAX_US ? slice_us : TURN_MAX_US;
    slice_us = slice_us > least_us ? slice_us : least_us;
    engine->now_ms = now_ms;
    engine->deadline_us = now_us + slice_us;
}

void engine_collect(struct engine *engine, int64_t now_ms)
{
    engine_begin_round(engine); /* it takes memory as input does */
    begin_duties(engine, now_ms, TURN_MIN_US);
    if (engine->log.workers != NULL) {
        dry_workers_collect(engine->log.workers);
    }
    memory_turn(engine);
    flush_reads(engine);
}

/* Frees flushed databases a little at a time. True: more to do. */
static bool clear_turn(struct engine *engine, uint64_t deadline_us)
{
    while (engine->unused != NULL) {
        struct space *space = engine->unused;
        if (!space_clear(space, CLEAR_BUDGET)) {
            return true;
        }
        engine->unused = space->next_unused;
        engine->unused_count--;
        space_destroy(space);
        if (engine_mono_us() >= deadline_us) {
            return engine->unused != NULL;
        }
    }
    return false;
}

bool engine_turn(struct engine *engine, int64_t now_ms)
{
    begin_duties(engine, now_ms, TURN_MIN_US);
    uint64_t deadline_us = engine->deadline_us;
    if (engine->expiring) {
        engine->expiring = expire_turn(
            engine, engine_mono_us() + engine->options.expire_slice_us);
    }
    bool clearing =
        clear_turn(engine, deadline_us) || trash_turn(engine, deadline_us);
    namespaces_turn(engine, deadline_us);
    bool trimming = trim_turn(engine, deadline_us);
    item_turn(engine);
    bool dropping = engine->dropping && sink_committed(engine, deadline_us);
    bool reclaiming = reclaim_turn(engine, deadline_us);
    bool sinking = sink_turn(engine, deadline_us) && memory_is_wanted(engine);
    bool cooling = memory_cool(engine);
    checkpoint_turn(engine, deadline_us);
    log_turn(engine);
    bool warming = warm_turn(engine, deadline_us);
    memory_turn(engine);
    flush_reads(engine);
    engine->round_us = 0;
    bool saving = engine->checkpoint.running &&
                  engine->checkpoint.sequence == 0 && log_has_room(engine);
    return engine->expiring || clearing || dropping || reclaiming || sinking ||
           cooling || saving || trimming || warming ||
           engine->log.group.gathers || engine_namespaces_settling(engine);
}

bool engine_cron(struct engine *engine, int64_t now_ms)
{
    begin_duties(engine, now_ms, CRON_MIN_US);
    uint64_t deadline_us = engine->deadline_us;
    engine->expiring = expire_turn(engine, deadline_us);
    memory_cron(engine);
    sink_turn(engine, deadline_us);
    memory_cool(engine);
    if (engine->log.store != NULL) {
        engine->log.ops->stats(engine->log.store, &engine->log.stats);
    }
    reclaim_cron(engine);
    fetch_retry_turn(engine);
    fetch_deadline_turn(engine);
    checkpoint_turn(engine, deadline_us);
    log_cron(engine);
    warm_cron(engine);
    flush_reads(engine);
    return engine->expiring;
}

/* ---- databases ---- */

unsigned engine_database_count(const struct engine *engine)
{
    return engine->options.databases;
}

struct db *engine_db(struct engine *engine, unsigned number)
{
    return number < engine->options.databases ? &engine->dbs[number] : NULL;
}

unsigned engine_db_number(const struct engine *engine, const struct db *db)
{
    (void)engine;
    return db->number;
}

void engine_swap_db(struct engine *engine, unsigned a, unsigned b)
{
    struct space *space = engine->dbs[a].space;
    if (a == b) {
        return;
    }
    engine->dbs[a].space = engine->dbs[b].space;
    engine->dbs[b].space = space;
    engine->dbs[a].space->db = &engine->dbs[a];
    engine->dbs[b].space->db = &engine->dbs[b];
    engine->log.keyspaces_changed = true;
    log_wrote_all(engine->dbs[a].space);
    log_wrote_all(engine->dbs[b].space);
}

uint64_t engine_flush_db(struct engine *engine, unsigned number)
{
    struct db *db = &engine->dbs[number];
    struct space *space = db->space;
    uint64_t count = space->index.count;
    if (count == 0) {
        return 0;
    }
    space->db = NULL;
    db->space = space_create(engine, db);
    engine->log.keyspaces_changed = true;
    log_wrote_all(space);
    engine->log.live_bytes -= space->live_bytes;
    space_retire(space);
    if (count <= CLEAR_AT_ONCE || engine->unused_count == UNUSED_MAX) {
        space_clear(space, UINT_MAX);
        space_destroy(space);
    } else {
        space->next_unused = engine->unused;
        engine->unused = space;
        engine->unused_count++;
    }
    return count;
}

uint64_t engine_flush_all(struct engine *engine)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < engine->options.databases; i++) {
        count += engine_flush_db(engine, i);
    }
    return count;
}
