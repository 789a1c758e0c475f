#include "server/tracking_table.h"

#include <stdlib.h>
#include <xxhash.h>

#define FIRST_CAPACITY 2

static unsigned hash_of(const struct tracking_table *table, struct bytes name)
{
    return (unsigned)XXH3_64bits_withSeed(name.data, name.size, table->seed);
}

static struct tracked_key *find(
    const struct tracking_table *table, struct bytes name)
{
    struct tracked_key *key;
    const char *data = name.data == NULL ? "" : name.data;
    HASH_FIND_BYHASHVALUE(
        hh, table->keys, data, name.size, hash_of(table, name), key);
    return key;
}

static struct tracked_key *create(
    struct tracking_table *table, struct bytes name)
{
    struct tracked_key *key = xmalloc(sizeof(*key) + name.size);
    *key = (struct tracked_key){.size = name.size};
    if (name.size > 0) {
        memcpy(key->name, name.data, name.size);
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(
        hh, table->keys, key->name, name.size, hash_of(table, name), key);
    table->count++;
    table->bytes += sizeof(*key) + name.size;
    return key;
}

/* Where the id is, or belongs. */
static unsigned place_of(const struct tracked_key *key, uint64_t id)
{
    unsigned low = 0, high = key->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (key->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void make_room(struct tracking_table *table, struct tracked_key *key,
    tracking_alive_fn *alive, void *context)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < key->count; i++) {
        if (alive(context, key->ids[i])) {
            key->ids[kept++] = key->ids[i];
        }
    }
    table->items -= key->count - kept;
    key->count = kept;
    if (kept > key->capacity / 2 || key->capacity == 0) {
        unsigned capacity =
            key->capacity == 0 ? FIRST_CAPACITY : 2 * key->capacity;
        key->ids = xrealloc(key->ids, capacity * sizeof(*key->ids));
        table->bytes += (capacity - key->capacity) * sizeof(*key->ids);
        key->capacity = capacity;
    }
}

void tracking_table_add(struct tracking_table *table, struct bytes name,
    uint64_t id, tracking_alive_fn *alive, void *context)
{
    struct tracked_key *key = find(table, name);
    if (key == NULL) {
        key = create(table, name);
    }
    unsigned place = place_of(key, id);
    if (place < key->count && key->ids[place] == id) {
        return;
    }
    if (key->count == key->capacity) {
        make_room(table, key, alive, context);
        place = place_of(key, id);
    }
    memmove(key->ids + place + 1, key->ids + place,
        (key->count - place) * sizeof(*key->ids));
    key->ids[place] = id;
    key->count++;
    table->items++;
}

static struct tracked_key *take(
    struct tracking_table *table, struct tracked_key *key)
{
    if (key != NULL) {
        HASH_DELETE(hh, table->keys, key);
        table->count--;
        table->items -= key->count;
        table->bytes -=
            sizeof(*key) + key->size + key->capacity * sizeof(*key->ids);
    }
    return key;
}

struct tracked_key *tracking_table_take(
    struct tracking_table *table, struct bytes name)
{
    return table->keys == NULL ? NULL : take(table, find(table, name));
}

struct tracked_key *tracking_table_take_oldest(struct tracking_table *table)
{
    return take(table, table->keys);
}

void tracked_key_free(struct tracked_key *key)
{
    free(key->ids);
    free(key);
}

/* The keys stay chained by hh.next when the table of their hashes goes. */
void tracking_table_clear(struct tracking_table *table)
{
    struct tracked_key *first = table->keys;
    if (first == NULL) {
        return;
    }
    struct tracked_key *last =
        first->hh.tbl->tail == NULL
            ? first
            : ELMT_FROM_HH(first->hh.tbl, first->hh.tbl->tail);
    HASH_CLEAR(hh, table->keys);
    last->hh.next = table->dropped;
    table->dropped = first;
    table->count = table->items = table->bytes = 0;
}

void tracking_table_tidy(struct tracking_table *table, unsigned limit)
{
    while (table->dropped != NULL && limit-- > 0) {
        struct tracked_key *key = table->dropped;
        table->dropped = key->hh.next;
        tracked_key_free(key);
    }
}

void tracking_table_finish(struct tracking_table *table)
{
    tracking_table_clear(table);
    while (table->dropped != NULL) {
        tracking_table_tidy(table, 1000);
    }
}
