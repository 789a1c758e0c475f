/* System values of the store, which go with a batch. */
#include <stdlib.h>

#include "tiers/dictionary.h"

static void attach(
    struct batch *batch, const char *name, const char *value, size_t size)
{
    struct dry_batch_view *view = &batch->job.batch;
    batch->system = xrealloc(
        batch->system, (view->system_value_count + 1) * sizeof *batch->system);
    batch->system[view->system_value_count++] =
        (struct dry_system_value){name, bytes_of(value, size)};
    view->system_values = batch->system;
}

/* The map database number -> keyspace, which goes with the batch, and how
 * many keys each has: a hint for the next start. */
static void attach_keyspaces(struct engine *engine, struct batch *batch)
{
    unsigned count = engine->options.databases;
    size_t size = LOG_KEYSPACES_BYTES(count);
    batch->keyspaces = xmalloc(size);
    memcpy(batch->keyspaces, &engine->next_keyspace, sizeof(uint32_t));
    for (unsigned i = 0; i < count; i++) {
        const struct space *space = engine->dbs[i].space;
        char *at = batch->keyspaces + LOG_KEYSPACES_BYTES(i);
        memcpy(at, &space->keyspace, sizeof(uint32_t));
        memcpy(at + sizeof(uint32_t), &space->index.count, sizeof(uint64_t));
    }
    attach(batch, LOG_KEYSPACES_NAME, batch->keyspaces, size);
    engine->log.keyspaces_changed = false;
    engine->log.keyspaces_missing = false;
}

/* Until a batch that has them is committed, each batch has them: it may name
 * them, and those before it may fail. */
static void attach_dictionaries(struct engine *engine, struct batch *batch)
{
    const struct dictionaries *dictionaries = engine->dictionaries;
    for (unsigned id = dictionaries->saved + 1; id <= dictionaries->count;
         id++) {
        const struct dictionary *dictionary = dictionaries->all[id];
        attach(
            batch, dictionary->name, dictionary->value, dictionary->value_size);
    }
    batch->dictionaries = dictionaries->count;
}

void log_attach_system(struct engine *engine, struct batch *batch)
{
    if (engine->log.keyspaces_changed || engine->log.keyspaces_missing) {
        attach_keyspaces(engine, batch);
    }
    attach_dictionaries(engine, batch);
}
