/* Streams to and from the bytes of records, behind the entries:
 *
 *   16 bytes last id, 16 bytes highest deleted id, varint entries added,
 *   varint groups, and of each
 *     element name, 16 bytes last id, varint entries read + 1,
 *     varint next consumer, varint consumers, and of each
 *       element name, varint number, varint seen ms
 *     varint pending entries, and each as an item of group->pending */
#include <stdlib.h>

#include "tiers/values/stream.h"

static struct bytes text_of(const char *data, size_t size)
{
    return bytes_of(data, size);
}

static size_t group_bytes(const struct stream_group *group)
{
    size_t size =
        element_size(text_of(group->name, group->name_size)) + STREAM_ID_BYTES +
        varint_size((uint64_t)group->entries_read + 1) +
        varint_size(group->next_consumer) + varint_size(group->consumer_count);
    for (size_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = group->consumers[i];
        size += element_size(text_of(consumer->name, consumer->name_size)) +
                varint_size(consumer->number) +
                varint_size((uint64_t)consumer->seen_ms);
    }
    return size + varint_size(group->pending.count) + group->pending.item_bytes;
}

size_t stream_encoded_bytes(const struct stream *stream)
{
    size_t size = (size_t)2 * STREAM_ID_BYTES +
                  varint_size(stream->entries_added) +
                  varint_size(stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++) {
        size += group_bytes(stream->groups[i]);
    }
    return size;
}

static char *encode_pending(const struct stream_group *group, char *out)
{
    struct tree tree = group->pending; /* a cursor wants one it could change */
    struct tree_cursor cursor;
    out += varint_write(out, tree.count);
    tree_at(&tree, 0, &cursor);
    for (bool more = tree.count > 0; more; more = tree_next(&cursor)) {
        struct bytes item = tree_item(&cursor);
        memcpy(out, item.data, item.size);
        out += item.size;
    }
    return out;
}

static char *encode_group(const struct stream_group *group, char *out)
{
    out += element_write(out, text_of(group->name, group->name_size));
    stream_id_write(out, group->last_id);
    out += STREAM_ID_BYTES;
    out += varint_write(out, (uint64_t)group->entries_read + 1);
    out += varint_write(out, group->next_consumer);
    out += varint_write(out, group->consumer_count);
    for (size_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = group->consumers[i];
        out += element_write(out, text_of(consumer->name, consumer->name_size));
        out += varint_write(out, consumer->number);
        out += varint_write(out, (uint64_t)consumer->seen_ms);
    }
    return encode_pending(group, out);
}

char *stream_encode(const struct stream *stream, char *out)
{
    stream_id_write(out, stream->last_id);
    stream_id_write(out + STREAM_ID_BYTES, stream->max_deleted_id);
    out += (size_t)2 * STREAM_ID_BYTES;
    out += varint_write(out, stream->entries_added);
    out += varint_write(out, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++) {
        out = encode_group(stream->groups[i], out);
    }
    return out;
}

/* ---- decoding: nothing is trusted, NULL goes through ---- */

static const char *read_id(
    const char *at, const char *end, struct stream_id *id)
{
    if (at == NULL || end - at < STREAM_ID_BYTES) {
        return NULL;
    }
    *id = stream_id_read(at);
    return at + STREAM_ID_BYTES;
}

static const char *read_name(
    const char *at, const char *end, struct element *name)
{
    const char *behind = at == NULL ? NULL : element_check(at, end);
    if (behind != NULL) {
        element_read(at, name);
    }
    return behind;
}

static const char *decode_consumer(struct stream *stream,
    struct stream_group *group, const char *at, const char *end)
{
    struct element name;
    uint64_t number = 0, seen_ms = 0;
    at = read_name(at, end, &name);
    at = varint_read_on(at, end, &number);
    at = varint_read_on(at, end, &seen_ms);
    if (at == NULL || number >= group->next_consumer ||
        stream_consumer_by_number(group, number) != NULL ||
        stream_consumer_find(group, element_text(&name)) != NULL) {
        return NULL;
    }
    uint64_t next = group->next_consumer;
    group->next_consumer = number;
    stream_consumer_add(stream, group, element_text(&name), (int64_t)seen_ms);
    group->next_consumer = next;
    return at;
}

/* Three integers behind the id, and a consumer that exists. */
static bool is_pending(const struct stream_group *group, struct bytes item)
{
    const char *at = item.data + STREAM_ID_BYTES;
    struct element part;
    for (int i = 0; i < 3; i++) {
        at = element_read(at, &part);
        if (!part.is_integer || part.integer < 0) {
            return false;
        }
        if (i == 0 &&
            stream_consumer_by_number(group, (uint64_t)part.integer) == NULL) {
            return false;
        }
    }
    return true;
}

static const char *decode_pending(
    struct stream_group *group, const char *at, const char *end)
{
    uint64_t count = 0;
    at = varint_read_on(at, end, &count);
    for (uint64_t i = 0; at != NULL && i < count; i++) {
        const char *next = shape_item_check(group->pending.shape, at, end);
        if (next == NULL) {
            return NULL;
        }
        struct bytes item = bytes_of(at, (size_t)(next - at));
        struct stream_pending pending;
        if (!is_pending(group, item) ||
            stream_pending_get(group, stream_id_read(at), &pending)) {
            return NULL;
        }
        stream_pending_read(item, &pending);
        stream_pending_set(group, &pending);
        at = next;
    }
    return at;
}

static const char *decode_group(
    struct stream *stream, const char *at, const char *end)
{
    struct element name;
    struct stream_id last_id = {0, 0};
    uint64_t entries_read = 0, next = 0, consumers = 0;
    at = read_name(at, end, &name);
    at = read_id(at, end, &last_id);
    at = varint_read_on(at, end, &entries_read);
    at = varint_read_on(at, end, &next);
    at = varint_read_on(at, end, &consumers);
    if (at == NULL || stream_group_find(stream, element_text(&name)) != NULL) {
        return NULL;
    }
    struct stream_group *group = stream_group_add(
        stream, element_text(&name), last_id, (int64_t)(entries_read - 1));
    group->next_consumer = next;
    for (uint64_t i = 0; at != NULL && i < consumers; i++) {
        at = decode_consumer(stream, group, at, end);
    }
    return at == NULL ? NULL : decode_pending(group, at, end);
}

const char *stream_decode(
    struct stream *stream, const char *at, const char *end)
{
    uint64_t groups = 0;
    at = read_id(at, end, &stream->last_id);
    at = read_id(at, end, &stream->max_deleted_id);
    at = varint_read_on(at, end, &stream->entries_added);
    at = varint_read_on(at, end, &groups);
    for (uint64_t i = 0; at != NULL && i < groups; i++) {
        at = decode_group(stream, at, end);
    }
    return at;
}
