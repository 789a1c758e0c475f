/* Start: the log's headers, oldest first, become dry entries. No value is
 * read. A later record of a key replaces the earlier one; marks apply to the
 * record they name, if its entry still has it. */
#include <stdio.h>
#include <stdlib.h>

#include "tiers/engine_internal.h"

#define SLICE_ROWS 2048
/* Rows are looked up in groups, so that their cache misses overlap. */
#define GROUP 32

struct load_row {
    struct record record;
    uint64_t id;
    uint64_t hash;
    size_t stored_bytes;
    struct space *space;
};

struct load {
    struct engine *engine;
    uint64_t last_id;
    uint64_t rows;
    uint64_t deadline_us;
    bool stopped;
    uint64_t damaged;
    unsigned group_count;
    struct load_row group[GROUP];
    size_t text_used;
    char text[GROUP * 1024]; /* the group's keys */
};

/* Written under another schema version than its namespace has now. It is as
 * good as deleted, and must not come back under the old one either. */
static bool is_of_past(const struct load *load, const struct load_row *row)
{
    const struct namespace *namespace =
        namespace_find(load->engine, row->record.key);
    return namespace->policy.schema_version != row->record.schema_version;
}

static void discard(const struct load_row *row, struct index_slot slot)
{
    struct space *space = row->space;
    if (slot.ref != NULL) {
        log_count_entry(
            space->engine, arena_at(&space->engine->arena, *slot.ref), -1);
        space_remove(space, row->hash, slot);
    }
    log_mark(space, MARK_DEAD, row->id, row->hash, 0);
}

static void load_value(struct load *load, const struct load_row *row)
{
    struct engine *engine = load->engine;
    struct space *space = row->space;
    struct entry_spec spec = {
        .key = row->record.key,
        .record_bytes = row->stored_bytes,
        .expiry_ms = row->record.expiry_ms,
        .fields = row->record.fields,
        .id = row->id,
        .tag = row->record.tag,
        .access = access_new(engine->now_ms),
        .bits = entry_with_tier((uint16_t)row->record.kind, TIER_DRY),
    };
    struct index_slot slot =
        index_find(&space->index, row->hash, row->record.key);
    struct entry *entry = NULL;
    if (is_of_past(load, row)) {
        discard(row, slot);
        return;
    }
    if (slot.ref == NULL) {
        entry = space_insert(space, row->hash, &spec);
    } else {
        entry = arena_at(&engine->arena, *slot.ref);
        log_count_entry(space->engine, entry, -1);
        entry = space_replace(space, slot, &spec, LINK_SAME);
        entry_set_id(entry, 0); /* while it moves it is counted nowhere */
        space_retag(space, entry, row->record.tag);
        entry = arena_at(&engine->arena, *slot.ref);
        entry_set_id(entry, row->id);
    }
    log_count_entry(space->engine, entry, 1);
}

static void load_group(struct load *load)
{
    for (unsigned stage = 0; stage < 3; stage++) {
        for (unsigned i = 0; i < load->group_count; i++) {
            const struct load_row *row = &load->group[i];
            index_prefetch(&row->space->index, row->hash, stage);
        }
    }
    for (unsigned i = 0; i < load->group_count; i++) {
        load_value(load, &load->group[i]);
    }
    load->group_count = 0;
    load->text_used = 0;
}

static void load_mark(struct load *load, const struct mark *mark)
{
    struct engine *engine = load->engine;
    struct space *space = space_by_keyspace(engine, mark->keyspace);
    if (space == NULL) {
        return;
    }
    struct index_slot slot = index_find_id(&space->index, mark->hash, mark->id);
    if (slot.ref == NULL) {
        return;
    }
    struct entry *entry = arena_at(&engine->arena, *slot.ref);
    if (mark->kind == MARK_DEAD) {
        log_count_entry(space->engine, entry, -1);
        space_remove(space, mark->hash, slot);
        return;
    }
    struct entry_spec spec;
    entry_describe(entry, &spec);
    spec.expiry_ms = mark->expiry_ms;
    space_replace(space, slot, &spec, LINK_SAME);
}

/* Keeps the row for its group: its key is copied, because the store's bytes
 * are only lent. */
static void collect(
    struct load *load, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    struct load_row *row = &load->group[load->group_count];
    struct log *log = &load->engine->log;
    if (!record_parse(header, &row->record)) {
        log->total_bytes += header.size + payload_bytes;
        load->damaged++;
        return;
    }
    row->stored_bytes = row->record.payload_inline ? row->record.payload.size
                                                   : (size_t)payload_bytes;
    log->total_bytes += record_log_bytes(row->stored_bytes);
    row->space = space_by_keyspace(load->engine, row->record.keyspace);
    if (row->space == NULL) {
        return; /* of a database that was flushed */
    }
    row->id = id;
    struct bytes key = row->record.key;
    row->hash = index_hash(load->engine->secret, key);
    load->group_count++;
    if (load->text_used + key.size > sizeof load->text) {
        load_group(load); /* this row included, its key still lent */
        return;
    }
    memcpy(load->text + load->text_used, key.data, key.size);
    row->record.key.data = load->text + load->text_used;
    load->text_used += key.size;
    if (load->group_count == GROUP) {
        load_group(load);
    }
}

static bool on_row(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    struct load *load = context;
    struct engine *engine = load->engine;
    struct mark marks[RECORD_MARKS_MAX];
    engine->log.total_records++;
    if (record_row_type(header) == ROW_MARKS) {
        engine->log.total_bytes += header.size;
        load_group(load);
        int count = record_parse_marks(header, marks);
        load->damaged += count < 0 ? 1 : 0;
        for (int i = 0; i < count; i++) {
            load_mark(load, &marks[i]);
        }
    } else {
        collect(load, id, header, payload_bytes);
    }
    load->last_id = id;
    load->rows++;
    load->stopped =
        load->rows % 256 == 0 && engine_mono_us() >= load->deadline_us;
    return !load->stopped;
}

static void report_damage(struct engine *engine, uint64_t damaged)
{
    engine_tell(engine, 3,
        "%llu damaged headers in the dry store in %s were passed over",
        (unsigned long long)damaged, engine->options.path);
}

bool engine_load(struct engine *engine, int64_t now_ms, unsigned budget_ms,
    enum dry_result *result, char *reason, size_t reason_size)
{
    struct log *log = &engine->log;
    *result = DRY_OK;
    engine->now_ms = now_ms;
    if (engine->counters.last_save_ms == 0) {
        engine->counters.last_save_ms = now_ms; /* as if saved at start */
    }
    if (engine->load_from == 0) {
        return false;
    }
    struct load *load = xmalloc(sizeof *load);
    memset(load, 0, offsetof(struct load, text));
    load->engine = engine;
    load->deadline_us = engine_mono_us() + (uint64_t)budget_ms * 1000;
    *result = log->ops->scan(log->store, engine->load_from, on_row, load);
    load_group(load);
    engine->load_done += load->rows;
    engine->load_from = load->stopped ? load->last_id + 1 : 0;
    if (*result != DRY_OK) {
        snprintf(reason, reason_size, "Loading the dry store in %s failed: %s",
            engine->options.path, dry_result_text(*result));
        engine->load_from = 0;
    }
    if (load->damaged > 0) {
        report_damage(engine, load->damaged);
    }
    free(load);
    if (engine->load_from == 0 && *result == DRY_OK) {
        warm_begin(engine);
    }
    return engine->load_from != 0;
}

struct engine_load_progress engine_load_progress(const struct engine *engine)
{
    return (struct engine_load_progress){engine->load_done, engine->load_total};
}
