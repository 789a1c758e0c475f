/* Opening and closing the log: the store, the hash secret, and the map of
 * databases to their lives on disk. */
#include <stdio.h>
#include <stdlib.h>

#include "tiers/dictionary.h"
#include "tiers/dry/ring.h"

#define SECRET_NAME "secret"

/* The hash secret as the store has it; a new store gets one. */
static enum dry_result load_secret(struct engine *engine)
{
    struct log *log = &engine->log;
    char *value = NULL;
    size_t size = 0;
    enum dry_result result =
        log->ops->get_system(log->store, SECRET_NAME, &value, &size);
    if (result == DRY_OK) {
        bool good = size == sizeof engine->secret;
        memcpy(engine->secret, value, good ? size : 0);
        free(value);
        return good ? DRY_OK : DRY_CORRUPT;
    }
    if (result != DRY_NOT_FOUND || log->stats.record_count > 0) {
        return result;
    }
    struct dry_system_value secret = {
        SECRET_NAME, bytes_of(engine->secret, sizeof engine->secret)};
    struct dry_batch_view first = {
        .system_values = &secret, .system_value_count = 1, .sync = true};
    char reason[160];
    return log->ops->apply(log->store, &first, reason, sizeof reason);
}

/* With io_uring each has many reads under way, and one works while the other
 * waits for the disk; without it each has one. */
enum { READERS_WITH_RING = 3, READERS_WITHOUT = 8 };

static unsigned suitable_readers(void)
{
    struct ring *ring = ring_create();
    ring_destroy(ring);
    return ring != NULL ? READERS_WITH_RING : READERS_WITHOUT;
}

/* The store, and what the engine keeps in it beside the log. */
static bool open_store(struct engine *engine, char *reason, size_t reason_size)
{
    struct log *log = &engine->log;
    const struct engine_options *options = &engine->options;
    struct dry_open_options open = {
        .path = options->path,
        .limit_bytes = options->dry_maxsize_bytes,
        .page_cache_bytes = options->page_cache_bytes,
        .reader_threads = options->reader_threads,
    };
    log->ops = options->dry != NULL ? options->dry : &dry_lmdb_ops;
    if (log->ops->open(&log->store, &open, reason, reason_size) != DRY_OK) {
        return false;
    }
    if (reason[0] != '\0') {
        engine_tell(engine, 3, "%s", reason);
    }
    log->ops->stats(log->store, &log->stats);
    enum dry_result result = load_secret(engine);
    if (result != DRY_OK) {
        snprintf(reason, reason_size,
            "The dry store in %s has no usable hash secret: %s", options->path,
            dry_result_text(result));
    }
    if (result != DRY_OK || !dictionaries_load(engine, reason, reason_size)) {
        log->ops->close(log->store);
        log->store = NULL;
        return false;
    }
    return true;
}

bool log_open(struct engine *engine, char *reason, size_t reason_size)
{
    struct log *log = &engine->log;
    const struct engine_options *options = &engine->options;
    log->next_id = 1;
    log->next_sequence = 1;
    dictionaries_create(engine);
    if (options->path == NULL) {
        return true;
    }
    if (options->reader_threads == 0) {
        engine->options.reader_threads = suitable_readers();
    }
    if (!open_store(engine, reason, reason_size)) {
        dictionaries_destroy(engine);
        return false;
    }
    log->first_id = log->stats.first_id == 0 ? 1 : log->stats.first_id;
    log->next_id = log->stats.last_id + 1;
    log->committed_id = log->stats.last_id;
    log->workers = dry_workers_create(
        log->store, options->reader_threads, options->wake, options->context);
    return true;
}

/* Reads the part of database `number` from the stored map, which does not
 * reach that far when `databases` has grown since. */
static void load_keyspace(
    struct engine *engine, struct bytes map, unsigned number)
{
    struct space *space = engine->dbs[number].space;
    uint64_t keys = 0;
    if (LOG_KEYSPACES_BYTES(number + 1) > map.size) {
        space->keyspace = engine->next_keyspace++;
        engine->log.keyspaces_missing = true;
        return;
    }
    const char *at = map.data + LOG_KEYSPACES_BYTES(number);
    memcpy(&space->keyspace, at, sizeof(uint32_t));
    memcpy(&keys, at + sizeof(uint32_t), sizeof keys);
    /* No more than there are records: the hint may be damaged. */
    uint64_t records = engine->log.stats.record_count;
    index_reserve(&space->index, keys < records ? keys : records);
}

/* Keys in databases that the configuration no longer has. */
static bool keys_beyond(const struct engine *engine, struct bytes map)
{
    for (unsigned i = engine->options.databases;
         LOG_KEYSPACES_BYTES(i + 1) <= map.size; i++) {
        uint64_t keys = 0;
        memcpy(&keys, map.data + LOG_KEYSPACES_BYTES(i) + sizeof(uint32_t),
            sizeof keys);
        if (keys > 0) {
            return true;
        }
    }
    return false;
}

bool log_load_keyspaces(struct engine *engine, char *reason, size_t reason_size)
{
    struct log *log = &engine->log;
    char *value = NULL;
    size_t size = 0;
    if (log->store == NULL) {
        return true;
    }
    enum dry_result result =
        log->ops->get_system(log->store, LOG_KEYSPACES_NAME, &value, &size);
    if (result == DRY_NOT_FOUND) {
        log->keyspaces_missing = true;
        return true;
    }
    if (result != DRY_OK) {
        snprintf(reason, reason_size,
            "The map of databases in the dry store in %s cannot be read: %s",
            engine->options.path, dry_result_text(result));
        return false;
    }
    struct bytes map = bytes_of(value, size);
    bool good = size >= LOG_KEYSPACES_BYTES(0) && !keys_beyond(engine, map);
    if (!good) {
        snprintf(reason, reason_size,
            "The dry store in %s has keys in more than %u databases",
            engine->options.path, engine->options.databases);
    } else {
        uint32_t next = 0;
        memcpy(&next, value, sizeof next);
        if (next > engine->next_keyspace) {
            engine->next_keyspace = next;
        }
        for (unsigned i = 0; i < engine->options.databases; i++) {
            load_keyspace(engine, map, i);
        }
    }
    free(value);
    return good;
}

void log_close(struct engine *engine)
{
    struct log *log = &engine->log;
    log->closing = true;
    if (log->workers != NULL) {
        dry_workers_destroy(log->workers);
    }
    while (log->sealed != NULL) {
        struct batch *batch = log->sealed;
        log->sealed = batch->next;
        batch_free(batch);
    }
    if (log->open != NULL) {
        batch_free(log->open);
    }
    batch_pool_clear(&log->spare);
    if (log->store != NULL) {
        log->ops->close(log->store);
    }
    free(log->marks);
    free(log->queue);
    *log = (struct log){0};
}
