#include "tiers/values/stream.h"

#include <stdlib.h>

static const struct shape pending_shape = {STREAM_ID_BYTES, 3, SHAPE_BY_FIXED};
#define OWNED_BYTES (8 + STREAM_ID_BYTES)
static const struct shape owned_shape = {OWNED_BYTES, 0, SHAPE_BY_FIXED};

/* ---- ids ---- */

static void write_big_endian(char *out, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof value);
}

static uint64_t read_big_endian(const char *at)
{
    uint64_t value = 0;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

void stream_id_write(char *out, struct stream_id id)
{
    write_big_endian(out, id.ms);
    write_big_endian(out + 8, id.seq);
}

struct stream_id stream_id_read(const char *at)
{
    return (struct stream_id){read_big_endian(at), read_big_endian(at + 8)};
}

int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return (a.seq > b.seq) - (a.seq < b.seq);
}

bool stream_id_next(struct stream_id *id)
{
    if (id->seq == UINT64_MAX && id->ms == UINT64_MAX) {
        return false;
    }
    id->ms += id->seq == UINT64_MAX;
    id->seq++;
    return true;
}

bool stream_id_prev(struct stream_id *id)
{
    if (id->seq == 0 && id->ms == 0) {
        return false;
    }
    id->ms -= id->seq == 0;
    id->seq--;
    return true;
}

/* ---- life ---- */

struct stream *stream_create(void)
{
    return xcalloc(1, sizeof(struct stream));
}

static char *copy_name(struct bytes name)
{
    char *copy = xmalloc(name.size + 1);
    if (name.size > 0) {
        memcpy(copy, name.data, name.size);
    }
    return copy;
}

static struct bytes group_name(const struct stream_group *group)
{
    return bytes_of(group->name, group->name_size);
}

static struct bytes consumer_name(const struct stream_consumer *consumer)
{
    return bytes_of(consumer->name, consumer->name_size);
}

/* Where the consumer of that number is among those by number, or belongs. */
static size_t number_place(const struct stream_group *group, uint64_t number)
{
    size_t low = 0, high = group->consumer_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool below = group->numbered[middle]->number < number;
        low = below ? middle + 1 : low;
        high = below ? high : middle;
    }
    return low;
}

static void copy_consumers(
    const struct stream_group *group, struct stream_group *copy)
{
    size_t count = group->consumer_count;
    copy->consumers = xcalloc(count + 1, sizeof(*copy->consumers));
    copy->numbered = xcalloc(count + 1, sizeof(*copy->numbered));
    for (size_t i = 0; i < count; i++) {
        struct stream_consumer *consumer = xmalloc(sizeof *consumer);
        *consumer = *group->consumers[i];
        consumer->name = copy_name(consumer_name(consumer));
        copy->consumers[i] = consumer;
        copy->numbered[number_place(group, consumer->number)] = consumer;
    }
}

static struct stream_group *copy_group(const struct stream_group *group)
{
    struct stream_group *copy = xmalloc(sizeof *copy);
    *copy = *group;
    copy->name = copy_name(group_name(group));
    tree_snapshot(&group->pending, &copy->pending);
    tree_snapshot(&group->owned, &copy->owned);
    copy_consumers(group, copy);
    return copy;
}

struct stream *stream_snapshot(const struct stream *stream)
{
    struct stream *copy = xmalloc(sizeof *copy);
    *copy = *stream;
    copy->groups = xcalloc(stream->group_count + 1, sizeof(*copy->groups));
    for (size_t i = 0; i < stream->group_count; i++) {
        copy->groups[i] = copy_group(stream->groups[i]);
    }
    return copy;
}

static bool release_group(struct stream_group *group, size_t budget)
{
    if ((group->pending.root != NULL &&
            !tree_release(&group->pending, budget)) ||
        (group->owned.root != NULL && !tree_release(&group->owned, budget))) {
        return false;
    }
    for (size_t i = 0; i < group->consumer_count; i++) {
        free(group->consumers[i]->name);
        free(group->consumers[i]);
    }
    free(group->consumers);
    free(group->numbered);
    free(group->name);
    free(group);
    return true;
}

bool stream_release(struct stream *stream, size_t budget)
{
    if (stream == NULL) {
        return true;
    }
    while (stream->group_count > 0) {
        if (!release_group(stream->groups[stream->group_count - 1], budget)) {
            return false;
        }
        stream->group_count--;
    }
    free(stream->groups);
    free(stream);
    return true;
}

size_t stream_memory_bytes(const struct stream *stream)
{
    if (stream == NULL) {
        return 0;
    }
    size_t bytes = sizeof *stream + stream->name_bytes;
    for (size_t i = 0; i < stream->group_count; i++) {
        bytes += stream->groups[i]->pending.memory_bytes +
                 stream->groups[i]->owned.memory_bytes;
    }
    return bytes;
}

/* ---- groups ---- */

static size_t consumer_bytes(const struct stream_consumer *consumer)
{
    return sizeof *consumer + consumer->name_size + 2 * sizeof(void *);
}

/* Where `name` is among `count` names in order, or belongs. */
static size_t group_place(
    const struct stream *stream, struct bytes name, bool *found)
{
    size_t low = 0, high = stream->group_count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = bytes_compare(group_name(stream->groups[middle]), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return low;
}

struct stream_group *stream_group_find(
    const struct stream *stream, struct bytes name)
{
    bool found = false;
    size_t at = group_place(stream, name, &found);
    return found ? stream->groups[at] : NULL;
}

struct stream_group *stream_group_add(struct stream *stream, struct bytes name,
    struct stream_id last_id, int64_t entries_read)
{
    bool found = false;
    size_t at = group_place(stream, name, &found);
    check(!found);
    struct stream_group *group = xcalloc(1, sizeof *group);
    group->name = copy_name(name);
    group->name_size = name.size;
    group->last_id = last_id;
    group->entries_read = entries_read;
    tree_init(&group->pending, &pending_shape);
    tree_init(&group->owned, &owned_shape);
    stream->groups = xrealloc(
        stream->groups, (stream->group_count + 1) * sizeof(*stream->groups));
    memmove(stream->groups + at + 1, stream->groups + at,
        (stream->group_count - at) * sizeof(*stream->groups));
    stream->groups[at] = group;
    stream->group_count++;
    stream->name_bytes += sizeof *group + name.size;
    return group;
}

void stream_group_remove(struct stream *stream, struct stream_group *group)
{
    bool found = false;
    size_t at = group_place(stream, group_name(group), &found);
    check(found);
    for (size_t i = 0; i < group->consumer_count; i++) {
        stream->name_bytes -= consumer_bytes(group->consumers[i]);
    }
    stream->name_bytes -= sizeof *group + group->name_size;
    check(release_group(group, SIZE_MAX));
    stream->group_count--;
    memmove(stream->groups + at, stream->groups + at + 1,
        (stream->group_count - at) * sizeof(*stream->groups));
}

/* ---- consumers ---- */

static size_t consumer_place(
    const struct stream_group *group, struct bytes name, bool *found)
{
    size_t low = 0, high = group->consumer_count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order =
            bytes_compare(consumer_name(group->consumers[middle]), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return low;
}

struct stream_consumer *stream_consumer_find(
    const struct stream_group *group, struct bytes name)
{
    bool found = false;
    size_t at = consumer_place(group, name, &found);
    return found ? group->consumers[at] : NULL;
}

struct stream_consumer *stream_consumer_by_number(
    const struct stream_group *group, uint64_t number)
{
    size_t at = number_place(group, number);
    bool found =
        at < group->consumer_count && group->numbered[at]->number == number;
    return found ? group->numbered[at] : NULL;
}

/* Makes room for one more at `at` of `count`. */
static struct stream_consumer **open_place(
    struct stream_consumer **consumers, size_t count, size_t at)
{
    consumers = xrealloc(consumers, (count + 1) * sizeof(*consumers));
    memmove(
        consumers + at + 1, consumers + at, (count - at) * sizeof(*consumers));
    return consumers;
}

static void close_place(
    struct stream_consumer **consumers, size_t count, size_t at)
{
    memmove(consumers + at, consumers + at + 1,
        (count - at - 1) * sizeof(*consumers));
}

struct stream_consumer *stream_consumer_add(struct stream *stream,
    struct stream_group *group, struct bytes name, int64_t now_ms)
{
    bool found = false;
    size_t count = group->consumer_count;
    size_t at = consumer_place(group, name, &found);
    check(!found);
    struct stream_consumer *consumer = xmalloc(sizeof *consumer);
    *consumer = (struct stream_consumer){
        .name = copy_name(name),
        .name_size = name.size,
        .number = group->next_consumer++,
        .seen_ms = now_ms,
    };
    size_t place = number_place(group, consumer->number);
    group->consumers = open_place(group->consumers, count, at);
    group->consumers[at] = consumer;
    group->numbered = open_place(group->numbered, count, place);
    group->numbered[place] = consumer;
    group->consumer_count++;
    stream->name_bytes += consumer_bytes(consumer);
    return consumer;
}

uint64_t stream_consumer_remove(struct stream *stream,
    struct stream_group *group, struct stream_consumer *consumer)
{
    uint64_t removed = 0;
    uint64_t number = consumer->number, owner = 0;
    struct tree_cursor cursor;
    for (;;) {
        stream_owned_seek(group, number, (struct stream_id){0, 0}, &cursor);
        if (tree_cursor_at_end(&cursor)) {
            break;
        }
        struct stream_id id = stream_owned_at(&cursor, &owner);
        if (owner != number) {
            break;
        }
        stream_pending_remove(group, id);
        removed++;
    }
    bool found = false;
    size_t count = group->consumer_count;
    close_place(group->consumers, count,
        consumer_place(group, consumer_name(consumer), &found));
    close_place(group->numbered, count, number_place(group, number));
    group->consumer_count--;
    stream->name_bytes -= consumer_bytes(consumer);
    free(consumer->name);
    free(consumer);
    return removed;
}

/* ---- pending entries ---- */

static void owned_key(
    char out[OWNED_BYTES], uint64_t consumer, struct stream_id id)
{
    write_big_endian(out, consumer);
    stream_id_write(out + 8, id);
}

void stream_pending_seek(
    struct stream_group *group, struct stream_id id, struct tree_cursor *cursor)
{
    char key[STREAM_ID_BYTES];
    stream_id_write(key, id);
    tree_seek(&group->pending, 0, bytes_of(key, sizeof key), cursor);
}

void stream_owned_seek(struct stream_group *group, uint64_t consumer,
    struct stream_id id, struct tree_cursor *cursor)
{
    char key[OWNED_BYTES];
    owned_key(key, consumer, id);
    tree_seek(&group->owned, 0, bytes_of(key, sizeof key), cursor);
}

void stream_pending_read(struct bytes item, struct stream_pending *pending)
{
    struct element consumer, delivered, deliveries;
    const char *at = element_read(item.data + STREAM_ID_BYTES, &consumer);
    at = element_read(at, &delivered);
    element_read(at, &deliveries);
    *pending = (struct stream_pending){
        .id = stream_id_read(item.data),
        .consumer = (uint64_t)consumer.integer,
        .delivered_ms = delivered.integer,
        .deliveries = (uint64_t)deliveries.integer,
    };
}

struct stream_pending stream_pending_at(const struct tree_cursor *cursor)
{
    struct stream_pending pending;
    stream_pending_read(tree_item(cursor), &pending);
    return pending;
}

struct stream_id stream_owned_at(
    const struct tree_cursor *cursor, uint64_t *consumer)
{
    struct bytes item = tree_item(cursor);
    *consumer = read_big_endian(item.data);
    return stream_id_read(item.data + 8);
}

/* The cursor on the pending entry of that very id; false: there is none. */
static bool find_pending(
    struct stream_group *group, struct stream_id id, struct tree_cursor *cursor)
{
    stream_pending_seek(group, id, cursor);
    return !tree_cursor_at_end(cursor) &&
           stream_id_compare(stream_id_read(tree_item(cursor).data), id) == 0;
}

bool stream_pending_get(struct stream_group *group, struct stream_id id,
    struct stream_pending *pending)
{
    struct tree_cursor cursor;
    if (!find_pending(group, id, &cursor)) {
        return false;
    }
    *pending = stream_pending_at(&cursor);
    return true;
}

static void count_pending(
    struct stream_group *group, uint64_t number, int64_t change)
{
    struct stream_consumer *consumer = stream_consumer_by_number(group, number);
    check(consumer != NULL);
    consumer->pending += (uint64_t)change;
}

static void add_owned(
    struct stream_group *group, uint64_t consumer, struct stream_id id)
{
    struct tree_cursor cursor;
    char key[OWNED_BYTES];
    stream_owned_seek(group, consumer, id, &cursor);
    owned_key(key, consumer, id);
    tree_insert(&cursor, 0, bytes_of(key, sizeof key));
    count_pending(group, consumer, 1);
}

static void remove_owned(
    struct stream_group *group, uint64_t consumer, struct stream_id id)
{
    struct tree_cursor cursor;
    stream_owned_seek(group, consumer, id, &cursor);
    tree_remove(&cursor);
    count_pending(group, consumer, -1);
}

#define PENDING_BYTES (STREAM_ID_BYTES + 3 * ELEMENT_BOUND(20))

static int64_t cut(uint64_t number)
{
    return number > STREAM_NUMBER_MAX ? STREAM_NUMBER_MAX : (int64_t)number;
}

static struct bytes pending_item(
    const struct stream_pending *pending, char out[PENDING_BYTES])
{
    size_t size = STREAM_ID_BYTES;
    stream_id_write(out, pending->id);
    size += element_write_integer(out + size, (int64_t)pending->consumer);
    size +=
        element_write_integer(out + size, cut((uint64_t)pending->delivered_ms));
    size += element_write_integer(out + size, cut(pending->deliveries));
    return bytes_of(out, size);
}

void stream_pending_set(
    struct stream_group *group, const struct stream_pending *pending)
{
    char data[PENDING_BYTES];
    struct tree_cursor cursor;
    struct bytes item = pending_item(pending, data);
    if (!find_pending(group, pending->id, &cursor)) {
        tree_insert(&cursor, 0, item);
        add_owned(group, pending->consumer, pending->id);
        return;
    }
    uint64_t before = stream_pending_at(&cursor).consumer;
    tree_replace(&cursor, item);
    if (before != pending->consumer) {
        remove_owned(group, before, pending->id);
        add_owned(group, pending->consumer, pending->id);
    }
}

bool stream_pending_remove(struct stream_group *group, struct stream_id id)
{
    struct tree_cursor cursor;
    if (!find_pending(group, id, &cursor)) {
        return false;
    }
    remove_owned(group, stream_pending_at(&cursor).consumer, id);
    tree_remove(&cursor);
    return true;
}
