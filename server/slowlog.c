#include "server/slowlog.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/redact.h"

/* As in Redis: what is left out is counted in the last place. */
#define SLOWLOG_ARGS_MAX 32
#define SLOWLOG_ARG_BYTES_MAX 128

struct slowlog {
    struct slowlog_entry *newest, *oldest;
    size_t count;
    uint64_t next_id;
};

struct slowlog *slowlog_create(void)
{
    return xcalloc(1, sizeof(struct slowlog));
}

static void entry_free(struct slowlog_entry *entry)
{
    for (int i = 0; i < entry->argc; i++) {
        free(entry->argv[i].data);
    }
    free(entry->argv);
    free(entry->address);
    free(entry->name);
    free(entry);
}

static void drop_oldest(struct slowlog *slowlog)
{
    struct slowlog_entry *entry = slowlog->oldest;
    slowlog->oldest = entry->newer;
    if (slowlog->oldest != NULL) {
        slowlog->oldest->next = NULL;
    } else {
        slowlog->newest = NULL;
    }
    slowlog->count--;
    entry_free(entry);
}

static void trim(struct slowlog *slowlog, uint64_t max_entries)
{
    while (slowlog->count > max_entries) {
        drop_oldest(slowlog);
    }
}

void slowlog_reset(struct slowlog *slowlog)
{
    trim(slowlog, 0);
}

void slowlog_destroy(struct slowlog *slowlog)
{
    if (slowlog != NULL) {
        slowlog_reset(slowlog);
        free(slowlog);
    }
}

static void add_argument(
    struct slowlog_entry *entry, struct bytes value, const char *behind)
{
    struct slowlog_argument *argument = &entry->argv[entry->argc++];
    size_t tail = strlen(behind);
    argument->size = value.size + tail;
    argument->data = xmalloc(argument->size + 1);
    if (value.size > 0) {
        memcpy(argument->data, value.data, value.size);
    }
    memcpy(argument->data + value.size, behind, tail);
}

static void add_shortened(struct slowlog_entry *entry, struct bytes value)
{
    char behind[48] = "";
    if (value.size > SLOWLOG_ARG_BYTES_MAX) {
        snprintf(behind, sizeof(behind), "... (%zu more bytes)",
            value.size - SLOWLOG_ARG_BYTES_MAX);
        value.size = SLOWLOG_ARG_BYTES_MAX;
    }
    add_argument(entry, value, behind);
}

static void copy_arguments(
    struct slowlog_entry *entry, const struct slowlog_record *record)
{
    bool cut = record->argc > SLOWLOG_ARGS_MAX;
    int kept = cut ? SLOWLOG_ARGS_MAX - 1 : record->argc;
    entry->argv = xcalloc((size_t)kept + 2, sizeof(*entry->argv));
    for (int i = 0; i < kept; i++) {
        if (argument_is_secret(
                record->command, record->argv, record->argc, i)) {
            add_argument(entry, BYTES(REDACTED), "");
        } else {
            add_shortened(entry, record->argv[i]);
        }
    }
    if (cut) {
        char text[48];
        snprintf(
            text, sizeof(text), "... (%d more arguments)", record->argc - kept);
        add_argument(entry, bytes_of(text, strlen(text)), "");
    }
    if (record->waited) {
        add_argument(entry, BYTES(SLOWLOG_WAITED), "");
    }
}

void slowlog_add(struct slowlog *slowlog, uint64_t max_entries,
    const struct slowlog_record *record)
{
    struct slowlog_entry *entry = xcalloc(1, sizeof(*entry));
    entry->id = slowlog->next_id++;
    entry->time_s = record->time_s;
    entry->us = record->us;
    entry->address = xstrdup(record->address);
    entry->name = xstrdup(record->name != NULL ? record->name : "");
    copy_arguments(entry, record);
    entry->next = slowlog->newest;
    if (entry->next != NULL) {
        entry->next->newer = entry;
    } else {
        slowlog->oldest = entry;
    }
    slowlog->newest = entry;
    slowlog->count++;
    trim(slowlog, max_entries);
}

size_t slowlog_size(const struct slowlog *slowlog)
{
    return slowlog->count;
}

const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog)
{
    return slowlog->newest;
}
