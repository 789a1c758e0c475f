#include "server/rdb/rdb_reader.h"

#include <endian.h>
#include <liblzf/lzf.h>
#include <math.h>
#include <stdlib.h>

#include "server/rdb/rdb.h"

/* What LZF can make of three bytes, with some to spare. */
#define LZF_MAX_GAIN 100
#define SCORE_MAX_BYTES 255
/* Lengths of a text double that stand for something else. */
enum text_double { DOUBLE_NAN = 253, DOUBLE_INFINITE, DOUBLE_MINUS_INFINITE };

void rdb_reader_init(struct rdb_reader *reader, struct bytes bytes, size_t room)
{
    *reader = (struct rdb_reader){
        .at = bytes.data, .end = bytes.data + bytes.size, .room = room};
}

void rdb_reader_finish(struct rdb_reader *reader)
{
    for (unsigned i = 0; i < RDB_READER_SLOTS; i++) {
        free(reader->unpacked[i]);
        reader->unpacked[i] = NULL;
    }
}

void rdb_fail(struct rdb_reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
}

/* The next `size` bytes, or NULL when there are not so many. */
static const char *take(struct rdb_reader *reader, uint64_t size)
{
    if (size > (uint64_t)(reader->end - reader->at)) {
        rdb_fail(reader);
        return NULL;
    }
    const char *taken = reader->at;
    reader->at += size;
    return taken;
}

/* A number of `size` bytes, little-endian; 0 after a failure. */
static uint64_t take_little(struct rdb_reader *reader, size_t size)
{
    uint64_t value = 0;
    const char *taken = take(reader, size);
    if (taken != NULL) {
        memcpy(&value, taken, size);
    }
    return le64toh(value);
}

unsigned rdb_read_byte(struct rdb_reader *reader)
{
    return (unsigned)take_little(reader, 1);
}

static uint64_t take_big(struct rdb_reader *reader, size_t size)
{
    return be64toh(take_little(reader, size) << (64 - 8 * size));
}

/* A length, or with *encoded the form of a string that has none. */
static uint64_t read_length(struct rdb_reader *reader, bool *encoded)
{
    unsigned head = rdb_read_byte(reader);
    *encoded = false;
    switch ((enum rdb_length)(head >> 6)) {
    case RDB_LENGTH_6:
        return head;
    case RDB_LENGTH_14:
        return (uint64_t)(head & 0x3f) << 8 | rdb_read_byte(reader);
    case RDB_ENCODED:
        *encoded = true;
        return head & 0x3f;
    case RDB_LENGTH_WIDE:
        break;
    }
    if (head == RDB_LENGTH_32) {
        return take_big(reader, 4);
    }
    if (head == RDB_LENGTH_64) {
        return take_big(reader, 8);
    }
    rdb_fail(reader);
    return 0;
}

uint64_t rdb_read_length(struct rdb_reader *reader)
{
    bool encoded;
    uint64_t length = read_length(reader, &encoded);
    if (encoded) {
        rdb_fail(reader);
        return 0;
    }
    return length;
}

static struct bytes read_integer(
    struct rdb_reader *reader, enum rdb_string form, unsigned slot)
{
    size_t size = (size_t)1 << form;
    unsigned unused = 64 - 8 * (unsigned)size;
    int64_t value = (int64_t)(take_little(reader, size) << unused) >> unused;
    char *digits = reader->digits[slot];
    return bytes_of(digits, bytes_from_int64(digits, value));
}

static struct bytes read_packed(struct rdb_reader *reader, unsigned slot)
{
    uint64_t packed_size = rdb_read_length(reader);
    uint64_t size = rdb_read_length(reader);
    const char *packed = take(reader, packed_size);
    if (packed == NULL || size == 0 || size > reader->room ||
        size > UINT32_MAX || size / LZF_MAX_GAIN > packed_size) {
        rdb_fail(reader);
        return bytes_of(NULL, 0);
    }
    reader->room -= size;
    free(reader->unpacked[slot]);
    reader->unpacked[slot] = malloc(size);
    if (reader->unpacked[slot] == NULL ||
        lzf_decompress(packed, (unsigned)packed_size, reader->unpacked[slot],
            (unsigned)size) != size) {
        rdb_fail(reader);
        return bytes_of(NULL, 0);
    }
    return bytes_of(reader->unpacked[slot], size);
}

struct bytes rdb_read_string(struct rdb_reader *reader, unsigned slot)
{
    bool encoded;
    uint64_t length = read_length(reader, &encoded);
    if (!encoded) {
        const char *text = take(reader, length);
        return bytes_of(text, text == NULL ? 0 : length);
    }
    switch (length) {
    case RDB_INT8:
    case RDB_INT16:
    case RDB_INT32:
        return read_integer(reader, (enum rdb_string)length, slot);
    case RDB_LZF:
        return read_packed(reader, slot);
    default:
        rdb_fail(reader);
        return bytes_of(NULL, 0);
    }
}

double rdb_read_double(struct rdb_reader *reader)
{
    uint64_t bits = take_little(reader, sizeof(bits));
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

struct bytes rdb_read_bytes(struct rdb_reader *reader, size_t size)
{
    const char *taken = take(reader, size);
    return bytes_of(taken, taken == NULL ? 0 : size);
}

uint64_t rdb_read_u64(struct rdb_reader *reader)
{
    return take_little(reader, sizeof(uint64_t));
}

bool rdb_parse_double(struct bytes text, double *value)
{
    char copy[SCORE_MAX_BYTES + 1];
    char *end;
    if (text.size == 0 || text.size > SCORE_MAX_BYTES) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *value = strtod(copy, &end);
    return end == copy + text.size && !isnan(*value);
}

double rdb_read_text_double(struct rdb_reader *reader)
{
    unsigned size = rdb_read_byte(reader);
    double value = NAN;
    if (size == DOUBLE_INFINITE || size == DOUBLE_MINUS_INFINITE) {
        return size == DOUBLE_INFINITE ? INFINITY : -INFINITY;
    }
    const char *text = size == DOUBLE_NAN ? NULL : take(reader, size);
    if (text == NULL || !rdb_parse_double(bytes_of(text, size), &value)) {
        rdb_fail(reader);
        return NAN;
    }
    return value;
}
