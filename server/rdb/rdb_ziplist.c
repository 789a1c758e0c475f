/* Ziplist, the listpack of old: u32 bytes in all, u32 offset of the last
 * item, u16 items, items, 0xff.
 *
 *   item   size of the item before: u8 below 254, or 254 and u32
 *          00ssssss text                  up to 63 bytes
 *          01ssssss ssssssss text         up to 16383 bytes
 *          10000000 u32 (big-endian) text
 *          11000000 11010000 11100000 11110000 11111110
 *                                         16, 32, 64, 24, 8 bits with sign
 *          1111iiii                       0 to 12, one added
 *
 * What goes before an item is not compared with the item before: nobody here
 * walks backwards. */
#include "server/rdb/rdb_packed.h"

#define LARGE_BEFORE 254

/* The position behind a text, NULL when it does not fit. */
static const char *text_item(
    const char *at, const char *end, struct rdb_item *item)
{
    unsigned head = (unsigned char)*at;
    uint64_t left = (uint64_t)(end - at);
    uint64_t head_bytes = head < 0x40 ? 1 : head < 0x80 ? 2 : 5;
    uint64_t size = head & 0x3f;
    if (head_bytes > left) {
        return NULL;
    }
    if (head_bytes == 5) {
        size = 0;
    }
    for (uint64_t i = 1; i < head_bytes; i++) {
        size = size << 8 | (unsigned char)at[i];
    }
    if (size > left - head_bytes) {
        return NULL;
    }
    item->is_integer = false;
    item->text = bytes_of(at + head_bytes, size);
    return at + head_bytes + size;
}

static const char *integer_item(
    const char *at, const char *end, struct rdb_item *item)
{
    unsigned head = (unsigned char)*at++;
    size_t width = 0;
    switch (head) {
    case 0xc0:
        width = 2;
        break;
    case 0xd0:
        width = 4;
        break;
    case 0xe0:
        width = 8;
        break;
    case 0xf0:
        width = 3;
        break;
    case 0xfe:
        width = 1;
        break;
    default:
        if (head < 0xf1 || head > 0xfd) {
            return NULL;
        }
        rdb_item_set_integer(item, (int64_t)(head & 0xf) - 1);
        return at;
    }
    if ((size_t)(end - at) < width) {
        return NULL;
    }
    rdb_item_set_integer(item, rdb_little_integer(at, width));
    return at + width;
}

const char *rdb_ziplist_item(
    const char *at, const char *end, struct rdb_item *item)
{
    ptrdiff_t before = at < end && (unsigned char)*at >= LARGE_BEFORE ? 5 : 1;
    if (end - at <= before) {
        return NULL;
    }
    at += before;
    return (unsigned char)*at < 0xc0 ? text_item(at, end, item)
                                     : integer_item(at, end, item);
}
