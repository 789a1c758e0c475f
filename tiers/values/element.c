#include "tiers/values/element.h"

/* Integers beyond +-2^62 would not fit behind the head's tag bit. */
#define INTEGER_LIMIT (INT64_C(1) << 62)

size_t varint_write(char *out, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        out[size++] = (char)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (char)value;
    return size;
}

/* Of trusted bytes. */
static inline const char *read_head(const char *at, uint64_t *value)
{
    uint64_t byte = (unsigned char)*at++;
    *value = byte;
    if (__builtin_expect(byte < 0x80, 1)) {
        return at;
    }
    uint64_t result = byte & 0x7f;
    unsigned shift = 7;
    do {
        byte = (unsigned char)*at++;
        result |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte >= 0x80);
    *value = result;
    return at;
}

const char *varint_read(const char *at, const char *end, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
        uint64_t byte = (unsigned char)*at++;
        if (shift == 63 && byte > 1) {
            return NULL;
        }
        result |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return byte == 0 && shift > 0 ? NULL : at;
        }
    }
    return NULL;
}

size_t varint_size(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

static inline uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static bool is_small_integer(int64_t value)
{
    return value > -INTEGER_LIMIT && value < INTEGER_LIMIT;
}

/* The integer that `text` is kept as. Most text is none: told by its first
 * byte and size. */
static bool text_to_integer(struct bytes text, int64_t *value)
{
    if (text.size == 0 || text.size > 20) {
        return false;
    }
    char first = text.data[0];
    return (first == '-' || (first >= '0' && first <= '9')) &&
           bytes_to_int64(text, value) && is_small_integer(*value);
}

size_t element_write_integer(char *out, int64_t value)
{
    if (is_small_integer(value)) {
        return varint_write(out, zigzag(value) << 1 | 1);
    }
    char digits[21];
    size_t size = bytes_from_int64(digits, value);
    check(size < sizeof digits); /* the compiler cannot know */
    size_t head = varint_write(out, (uint64_t)size << 1);
    memcpy(out + head, digits, size);
    return head + size;
}

size_t element_write(char *out, struct bytes text)
{
    int64_t integer = 0;
    if (text_to_integer(text, &integer)) {
        return varint_write(out, zigzag(integer) << 1 | 1);
    }
    size_t head = varint_write(out, (uint64_t)text.size << 1);
    if (text.size > 0) {
        memcpy(out + head, text.data, text.size);
    }
    return head + text.size;
}

size_t element_size(struct bytes text)
{
    int64_t integer = 0;
    if (text_to_integer(text, &integer)) {
        return varint_size(zigzag(integer) << 1 | 1);
    }
    return varint_size((uint64_t)text.size << 1) + text.size;
}

const char *element_read(const char *at, struct element *element)
{
    uint64_t head = 0;
    at = read_head(at, &head);
    element->is_integer = (head & 1) != 0;
    if (element->is_integer) {
        element->integer = unzigzag(head >> 1);
        return at;
    }
    element->raw = bytes_of(at, (size_t)(head >> 1));
    return at + (head >> 1);
}

const char *element_skip(const char *at)
{
    uint64_t head = 0;
    at = read_head(at, &head);
    return (head & 1) != 0 ? at : at + (head >> 1);
}

const char *element_check(const char *at, const char *end)
{
    uint64_t head = 0;
    int64_t integer = 0;
    at = varint_read(at, end, &head);
    if (at == NULL || (head & 1) != 0) {
        bool good = at != NULL && is_small_integer(unzigzag(head >> 1));
        return good ? at : NULL;
    }
    uint64_t size = head >> 1;
    if (size > (uint64_t)(end - at) ||
        text_to_integer(bytes_of(at, (size_t)size), &integer)) {
        return NULL;
    }
    return at + size;
}

struct bytes element_text(struct element *element)
{
    if (!element->is_integer) {
        return element->raw;
    }
    size_t size = bytes_from_int64(element->digits, element->integer);
    return bytes_of(element->digits, size);
}
