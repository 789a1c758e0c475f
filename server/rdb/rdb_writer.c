#include "server/rdb/rdb_writer.h"

#include <endian.h>
#include <liblzf/lzf.h>
#include <stdlib.h>

#include "server/rdb/rdb.h"

#define BLOB_FIRST_BYTES 256
/* Digits of an integer of 32 bits, and its sign. */
#define SMALL_INTEGER_MAX_BYTES 11
#define COMPRESS_MIN_BYTES 21
/* What compression has to save. */
#define COMPRESS_MIN_GAIN 4

void rdb_writer_init(struct rdb_writer *writer, bool compress)
{
    writer->blob = blob_create(BLOB_FIRST_BYTES);
    writer->compress = compress;
    writer->version = RDB_VERSION;
    if (writer->blob != NULL) {
        writer->blob->size = 0;
    }
}

void rdb_writer_finish(struct rdb_writer *writer)
{
    blob_unref(writer->blob);
    writer->blob = NULL;
}

/* Room for `size` bytes at the end, or NULL. */
static char *reserve(struct rdb_writer *writer, size_t size)
{
    struct blob *blob = writer->blob;
    if (blob == NULL) {
        return NULL;
    }
    if (blob->capacity - blob->size < size) {
        size_t wanted = blob->size + size;
        struct blob *larger = blob_reserve(blob, wanted + wanted / 2);
        if (larger == NULL) {
            rdb_writer_finish(writer);
            return NULL;
        }
        writer->blob = blob = larger;
    }
    return blob->data + blob->size;
}

void rdb_write_bytes(struct rdb_writer *writer, struct bytes bytes)
{
    char *out = bytes.size == 0 ? NULL : reserve(writer, bytes.size);
    if (out != NULL) {
        memcpy(out, bytes.data, bytes.size);
        writer->blob->size += bytes.size;
    }
}

void rdb_write_byte(struct rdb_writer *writer, unsigned byte)
{
    char value = (char)byte;
    rdb_write_bytes(writer, bytes_of(&value, 1));
}

void rdb_write_length(struct rdb_writer *writer, uint64_t length)
{
    if (length < 1 << 6) {
        rdb_write_byte(writer, (unsigned)length);
    } else if (length < 1 << 14) {
        rdb_write_byte(writer, RDB_LENGTH_14 << 6 | (unsigned)(length >> 8));
        rdb_write_byte(writer, length & 0xff);
    } else if (length <= UINT32_MAX) {
        uint32_t big = htobe32((uint32_t)length);
        rdb_write_byte(writer, RDB_LENGTH_32);
        rdb_write_bytes(writer, bytes_of(&big, sizeof(big)));
    } else {
        uint64_t big = htobe64(length);
        rdb_write_byte(writer, RDB_LENGTH_64);
        rdb_write_bytes(writer, bytes_of(&big, sizeof(big)));
    }
}

/* False when `text` is not the decimal form of an integer of 32 bits. */
static bool write_integer(struct rdb_writer *writer, struct bytes text)
{
    int64_t value;
    if (text.size > SMALL_INTEGER_MAX_BYTES || !bytes_to_int64(text, &value) ||
        value < INT32_MIN || value > INT32_MAX) {
        return false;
    }
    enum rdb_string form = value >= INT8_MIN && value <= INT8_MAX ? RDB_INT8
                           : value >= INT16_MIN && value <= INT16_MAX
                               ? RDB_INT16
                               : RDB_INT32;
    uint64_t little = htole64((uint64_t)value);
    rdb_write_byte(writer, RDB_ENCODED << 6 | (unsigned)form);
    rdb_write_bytes(writer, bytes_of(&little, (size_t)1 << form));
    return true;
}

/* False when it does not pay. */
static bool write_packed(struct rdb_writer *writer, struct bytes text)
{
    if (!writer->compress || text.size < COMPRESS_MIN_BYTES ||
        text.size > UINT32_MAX) {
        return false;
    }
    size_t room = text.size - COMPRESS_MIN_GAIN;
    char *packed = malloc(room);
    unsigned size = packed == NULL
                        ? 0
                        : lzf_compress(text.data, (unsigned)text.size, packed,
                              (unsigned)room);
    if (size > 0) {
        rdb_write_byte(writer, RDB_ENCODED << 6 | RDB_LZF);
        rdb_write_length(writer, size);
        rdb_write_length(writer, text.size);
        rdb_write_bytes(writer, bytes_of(packed, size));
    }
    free(packed);
    return size > 0;
}

void rdb_write_string(struct rdb_writer *writer, struct bytes text)
{
    if (!write_integer(writer, text) && !write_packed(writer, text)) {
        rdb_write_length(writer, text.size);
        rdb_write_bytes(writer, text);
    }
}

void rdb_write_double(struct rdb_writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    rdb_write_u64(writer, bits);
}

void rdb_write_u64(struct rdb_writer *writer, uint64_t value)
{
    value = htole64(value);
    rdb_write_bytes(writer, bytes_of(&value, sizeof(value)));
}
