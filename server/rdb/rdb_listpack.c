/* Writing listpacks; their form is in rdb_packed.c. */
#include <endian.h>
#include <stdlib.h>

#include "server/rdb/rdb_packed.h"
#include "server/rdb/rdb_writer.h"

#define HEADER_BYTES 6
/* The longest head of an item and the size behind it. */
#define ITEM_MAX_EXTRA 10
#define INTEGER_MAX_DIGITS 20

void rdb_listpack_finish(struct rdb_listpack *list)
{
    free(list->data);
    *list = (struct rdb_listpack){0};
}

size_t rdb_listpack_bound(size_t size)
{
    return size + ITEM_MAX_EXTRA;
}

/* Room for `size` more bytes and the end. */
static unsigned char *reserve(struct rdb_listpack *list, size_t size)
{
    if (list->size == 0) {
        list->size = HEADER_BYTES;
    }
    size_t wanted = list->size + size + 1;
    if (list->capacity < wanted) {
        list->capacity = wanted + wanted / 2;
        list->data = xrealloc(list->data, list->capacity);
    }
    return (unsigned char *)list->data + list->size;
}

static size_t write_little(unsigned char *out, uint64_t value, size_t size)
{
    value = htole64(value);
    memcpy(out, &value, size);
    return size;
}

static size_t write_integer(unsigned char *out, int64_t value)
{
    static const struct {
        unsigned head, bytes;
    } forms[] = {{0xf1, 2}, {0xf2, 3}, {0xf3, 4}, {0xf4, 8}};
    if (value >= 0 && value < 128) {
        out[0] = (unsigned char)value;
        return 1;
    }
    if (value >= -4096 && value < 4096) {
        uint64_t bits = (uint64_t)value & 0x1fff;
        out[0] = (unsigned char)(0xc0 | bits >> 8);
        out[1] = (unsigned char)bits;
        return 2;
    }
    size_t i = 0;
    while (forms[i].bytes < 8 &&
           (value < -(INT64_C(1) << (8 * forms[i].bytes - 1)) ||
               value >= INT64_C(1) << (8 * forms[i].bytes - 1))) {
        i++;
    }
    out[0] = (unsigned char)forms[i].head;
    return 1 + write_little(out + 1, (uint64_t)value, forms[i].bytes);
}

static size_t write_text(unsigned char *out, struct bytes text)
{
    size_t head = 1;
    if (text.size < 64) {
        out[0] = (unsigned char)(0x80 | text.size);
    } else if (text.size < 4096) {
        out[0] = (unsigned char)(0xe0 | text.size >> 8);
        out[1] = (unsigned char)text.size;
        head = 2;
    } else {
        out[0] = 0xf0;
        head = 1 + write_little(out + 1, text.size, 4);
    }
    if (text.size > 0) {
        memcpy(out + head, text.data, text.size);
    }
    return head + text.size;
}

/* The size of an item behind it: seven bits a byte, highest first, all but
 * the first marked. */
static size_t write_back(unsigned char *out, uint64_t size)
{
    size_t bytes = rdb_listpack_back_bytes(size);
    for (size_t i = 0; i < bytes; i++) {
        unsigned part = (unsigned)(size >> (7 * (bytes - 1 - i))) & 0x7f;
        out[i] = (unsigned char)(i > 0 ? part | 0x80 : part);
    }
    return bytes;
}

void rdb_listpack_add(struct rdb_listpack *list, struct bytes text)
{
    int64_t value;
    unsigned char *out = reserve(list, rdb_listpack_bound(text.size));
    bool integer =
        text.size <= INTEGER_MAX_DIGITS && bytes_to_int64(text, &value);
    size_t size = integer ? write_integer(out, value) : write_text(out, text);
    list->size += size + write_back(out + size, size);
    list->count++;
}

void rdb_write_listpack(struct rdb_writer *writer, struct rdb_listpack *list)
{
    *reserve(list, 0) = 0xff;
    list->size++;
    unsigned char *head = (unsigned char *)list->data;
    write_little(head, list->size, 4);
    write_little(
        head + 4, list->count < UINT16_MAX ? list->count : UINT16_MAX, 2);
    rdb_write_string(writer, bytes_of(list->data, list->size));
    list->size = 0;
    list->count = 0;
}
