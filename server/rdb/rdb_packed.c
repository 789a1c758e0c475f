/* Listpack: u32 bytes in all, u16 items (65535: count them), items, 0xff.
 *
 *   item   0iiiiiii                       0 to 127
 *          10ssssss text                  up to 63 bytes
 *          110iiiii iiiiiiii              13 bits with sign
 *          1110ssss ssssssss text         up to 4095 bytes
 *          11110000 u32 text
 *          11110001 ... 11110100          16, 24, 32, 64 bits with sign
 *   then the size of all that, seven bits a byte, to be read from its end */
#include "server/rdb/rdb_packed.h"

#include <endian.h>

#define LISTPACK_HEADER_BYTES 6
#define ZIPLIST_HEADER_BYTES 10
#define INTSET_HEADER_BYTES 8
#define PACKED_END 0xff
#define COUNT_UNKNOWN UINT16_MAX

int64_t rdb_little_integer(const char *at, size_t size)
{
    uint64_t value = 0;
    unsigned unused = 64 - 8 * (unsigned)size;
    memcpy(&value, at, size);
    return (int64_t)(le64toh(value) << unused) >> unused;
}

static uint64_t little_number(const char *at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, at, size);
    return le64toh(value);
}

void rdb_item_set_integer(struct rdb_item *item, int64_t value)
{
    item->is_integer = true;
    item->integer = value;
    item->text = bytes_of(item->digits, bytes_from_int64(item->digits, value));
}

/* ---- listpack ---- */

size_t rdb_listpack_back_bytes(uint64_t size)
{
    static const uint64_t limits[] = {128, 16383, 2097151, 268435455};
    size_t bytes = 1;
    while (bytes <= 4 && size >= limits[bytes - 1]) {
        bytes++;
    }
    return bytes;
}

static bool back_size_is(const char *at, size_t bytes, uint64_t size)
{
    uint64_t found = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned part = (unsigned char)at[i];
        /* All but the first in order are marked. */
        if ((part >> 7) != (i > 0)) {
            return false;
        }
        found = found << 7 | (part & 0x7f);
    }
    return found == size;
}

/* The bytes of head and text of the item at `at`, 0 when it is none; sets the
 * item when they fit. */
static uint64_t listpack_text(
    const char *at, uint64_t left, struct rdb_item *item)
{
    unsigned head = (unsigned char)*at;
    uint64_t head_bytes = head < 0xc0 ? 1 : head == 0xf0 ? 5 : 2;
    if (head_bytes > left) {
        return 0;
    }
    uint64_t size = head & 0x3f;
    if (head_bytes == 2) {
        size = (uint64_t)(head & 0xf) << 8 | (unsigned char)at[1];
    } else if (head_bytes == 5) {
        size = little_number(at + 1, 4);
    }
    if (size > left - head_bytes) {
        return 0;
    }
    item->is_integer = false;
    item->text = bytes_of(at + head_bytes, size);
    return head_bytes + size;
}

static uint64_t listpack_integer(
    const char *at, uint64_t left, struct rdb_item *item)
{
    static const unsigned char widths[] = {2, 3, 4, 8};
    unsigned head = (unsigned char)*at;
    if (head < 0x80) {
        rdb_item_set_integer(item, head);
        return 1;
    }
    if (head < 0xf0) {
        if (left < 2) {
            return 0;
        }
        unsigned bits = (head & 0x1f) << 8 | (unsigned char)at[1];
        rdb_item_set_integer(
            item, bits >= 4096 ? (int64_t)bits - 8192 : (int64_t)bits);
        return 2;
    }
    if (head > 0xf4 || left < 1u + widths[head - 0xf1]) {
        return 0;
    }
    rdb_item_set_integer(item, rdb_little_integer(at + 1, widths[head - 0xf1]));
    return 1u + widths[head - 0xf1];
}

const char *rdb_listpack_item(
    const char *at, const char *end, struct rdb_item *item)
{
    if (at >= end) {
        return NULL;
    }
    unsigned head = (unsigned char)*at;
    uint64_t left = (uint64_t)(end - at);
    bool text = (head & 0xc0) == 0x80 || (head & 0xf0) == 0xe0 || head == 0xf0;
    uint64_t size =
        text ? listpack_text(at, left, item) : listpack_integer(at, left, item);
    size_t back = rdb_listpack_back_bytes(size);
    if (size == 0 || back > left - size ||
        !back_size_is(at + size, back, size)) {
        return NULL;
    }
    return at + size + back;
}

/* ---- all of them ---- */

/* Walks over all items between at and end; their number, UINT64_MAX when one
 * is damaged. */
static uint64_t count_items(const char *at, const char *end, rdb_item_fn *read)
{
    struct rdb_item item;
    uint64_t count = 0;
    while (at != end) {
        at = read(at, end, &item);
        if (at == NULL) {
            return UINT64_MAX;
        }
        count++;
    }
    return count;
}

/* What listpack and ziplist share: a header with the size, a count of 16 bits
 * at its end, items, 0xff. */
static bool open_list(struct rdb_packed *packed, struct bytes text,
    size_t header, rdb_item_fn *read)
{
    if (text.size < header + 1 || text.size > UINT32_MAX ||
        little_number(text.data, 4) != text.size ||
        (unsigned char)text.data[text.size - 1] != PACKED_END) {
        return false;
    }
    packed->at = text.data + header;
    packed->end = text.data + text.size - 1;
    uint64_t promised = little_number(text.data + header - 2, 2);
    packed->count = count_items(packed->at, packed->end, read);
    return packed->count != UINT64_MAX &&
           (promised == COUNT_UNKNOWN || promised == packed->count);
}

static bool open_intset(struct rdb_packed *packed, struct bytes text)
{
    if (text.size < INTSET_HEADER_BYTES) {
        return false;
    }
    uint64_t width = little_number(text.data, 4);
    packed->count = little_number(text.data + 4, 4);
    packed->at = text.data + INTSET_HEADER_BYTES;
    packed->end = text.data + text.size;
    if ((width != 2 && width != 4 && width != 8) ||
        packed->count * width != text.size - INTSET_HEADER_BYTES) {
        return false;
    }
    packed->width = (unsigned)width;
    for (const char *at = packed->at; at + 2 * width <= packed->end;
         at += width) {
        if (rdb_little_integer(at, width) >=
            rdb_little_integer(at + width, width)) {
            return false;
        }
    }
    return true;
}

/* A length of a zipmap: a byte below 254, or 254 and four bytes. */
static const char *zipmap_length(
    const char *at, const char *end, uint64_t *length)
{
    if (at == end || (unsigned char)*at > 254) {
        return NULL;
    }
    *length = (unsigned char)*at++;
    if (*length == 254) {
        if (end - at < 4) {
            return NULL;
        }
        *length = little_number(at, 4);
        at += 4;
    }
    return at;
}

/* A field, or a value, which has a number of unused bytes behind it. */
static const char *zipmap_item(
    const char *at, const char *end, bool value, struct rdb_item *item)
{
    uint64_t length = 0;
    uint64_t unused = 0;
    at = zipmap_length(at, end, &length);
    if (at == NULL || (value && at == end)) {
        return NULL;
    }
    if (value) {
        unused = (unsigned char)*at++;
    }
    uint64_t left = (uint64_t)(end - at);
    if (length > left || unused > left - length) {
        return NULL;
    }
    item->is_integer = false;
    item->text = bytes_of(at, length);
    return at + length + unused;
}

static bool open_zipmap(struct rdb_packed *packed, struct bytes text)
{
    struct rdb_item item;
    if (text.size < 2 ||
        (unsigned char)text.data[text.size - 1] != PACKED_END) {
        return false;
    }
    uint64_t promised = (unsigned char)text.data[0];
    packed->at = text.data + 1;
    packed->end = text.data + text.size - 1;
    for (const char *at = packed->at; at != packed->end;) {
        at = zipmap_item(at, packed->end, packed->count % 2 == 1, &item);
        if (at == NULL) {
            return false;
        }
        packed->count++;
    }
    return packed->count % 2 == 0 &&
           (promised >= 254 || promised == packed->count / 2);
}

bool rdb_packed_open(
    struct rdb_packed *packed, enum rdb_packed_kind kind, struct bytes text)
{
    *packed = (struct rdb_packed){.kind = kind};
    switch (kind) {
    case RDB_LISTPACK:
        return open_list(
            packed, text, LISTPACK_HEADER_BYTES, rdb_listpack_item);
    case RDB_ZIPLIST:
        return open_list(packed, text, ZIPLIST_HEADER_BYTES, rdb_ziplist_item);
    case RDB_ZIPMAP:
        return open_zipmap(packed, text);
    case RDB_INTSET:
        return open_intset(packed, text);
    }
    return false;
}

bool rdb_packed_next(struct rdb_packed *packed, struct rdb_item *item)
{
    if (packed->at == packed->end) {
        return false;
    }
    switch (packed->kind) {
    case RDB_LISTPACK:
        packed->at = rdb_listpack_item(packed->at, packed->end, item);
        break;
    case RDB_ZIPLIST:
        packed->at = rdb_ziplist_item(packed->at, packed->end, item);
        break;
    case RDB_ZIPMAP:
        packed->at = zipmap_item(packed->at, packed->end, packed->value, item);
        packed->value = !packed->value;
        break;
    case RDB_INTSET:
        rdb_item_set_integer(
            item, rdb_little_integer(packed->at, packed->width));
        packed->at += packed->width;
        break;
    }
    check(packed->at != NULL);
    return true;
}
