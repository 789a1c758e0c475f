/* Single bits of strings: SETBIT, GETBIT, and what all bit commands share. */
#include "server/commands/bit.h"

#include <endian.h>

#include "server/keyspace.h"
#include "server/server.h"

/* Words whose counts of bits add up in bytes without overflow: 31 * 8 < 256. */
#define COUNT_RUN_WORDS 31
#define WORD_BYTES sizeof(uint64_t)
#define WORD_BITS 64

/* The word at `at`, its first bit the highest. */
static uint64_t load_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return be64toh(word);
}

/* How many bits each byte of a word has set, in that byte. */
static uint64_t count_by_byte(uint64_t word)
{
    const uint64_t pairs = UINT64_C(0x5555555555555555);
    const uint64_t fours = UINT64_C(0x3333333333333333);
    word -= (word >> 1) & pairs;
    word = (word & fours) + ((word >> 2) & fours);
    return (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
}

/* Long strings: the bytes' counts of many words are summed before they are
 * added up, which a compiler turns into vector code. */
static uint64_t count_bytes(const char *data, size_t size)
{
    const uint64_t low = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t total = 0;
    while (size >= WORD_BYTES) {
        size_t words = size / WORD_BYTES;
        uint64_t sums = 0;
        words = words < COUNT_RUN_WORDS ? words : COUNT_RUN_WORDS;
        for (size_t i = 0; i < words; i++) {
            uint64_t word;
            memcpy(&word, data + i * WORD_BYTES, sizeof(word));
            sums += count_by_byte(word);
        }
        sums = (sums & low) + ((sums >> 8) & low);
        total += (sums * UINT64_C(0x0001000100010001)) >> 48;
        data += words * WORD_BYTES;
        size -= words * WORD_BYTES;
    }
    for (size_t i = 0; i < size; i++) {
        total += (uint64_t)__builtin_popcount((unsigned char)data[i]);
    }
    return total;
}

uint64_t bit_count(struct bytes text, uint64_t first, uint64_t last)
{
    size_t first_byte = first / 8;
    size_t last_byte = last / 8;
    check(first <= last && last_byte < text.size);
    uint64_t total =
        count_bytes(text.data + first_byte, last_byte - first_byte + 1);
    /* What the first and the last byte have outside the range. */
    unsigned before = (unsigned char)text.data[first_byte] >> (8 - first % 8);
    unsigned behind = (unsigned char)text.data[last_byte] << (last % 8 + 1);
    return total - (uint64_t)__builtin_popcount(before) -
           (uint64_t)__builtin_popcount(behind & 0xff);
}

uint64_t bit_find(struct bytes text, bool wanted, uint64_t first, uint64_t last)
{
    const uint64_t flip = wanted ? 0 : UINT64_MAX;
    uint64_t at = first;
    check(last / 8 < text.size);
    while (at <= last && at % 8 != 0) {
        if (bit_get_field(text, at, 1) == (uint64_t)wanted) {
            return at;
        }
        at++;
    }
    while (at + WORD_BITS - 1 <= last) {
        uint64_t word = load_word(text.data + at / 8) ^ flip;
        if (word != 0) {
            return at + (uint64_t)__builtin_clzll(word);
        }
        at += WORD_BITS;
    }
    while (at <= last) {
        if (bit_get_field(text, at, 1) == (uint64_t)wanted) {
            return at;
        }
        at++;
    }
    return UINT64_MAX;
}

uint64_t bit_get_field(struct bytes text, uint64_t offset, unsigned count)
{
    /* 64 bits that do not begin at a byte touch nine. */
    char near[WORD_BYTES + 1] = {0};
    size_t first = offset / 8;
    unsigned shift = offset % 8;
    if (first < text.size) {
        size_t size = text.size - first;
        memcpy(
            near, text.data + first, size < sizeof(near) ? size : sizeof(near));
    }
    uint64_t word = load_word(near) << shift;
    word |= (uint64_t)(unsigned char)near[WORD_BYTES] >> (8 - shift);
    return word >> (WORD_BITS - count);
}

void bit_set_field(char *data, uint64_t offset, unsigned count, uint64_t value)
{
    for (unsigned i = 0; i < count;) {
        unsigned room = 8 - (unsigned)(offset % 8);
        unsigned take = count - i < room ? count - i : room;
        unsigned mask = ((1u << take) - 1) << (room - take);
        unsigned part = (unsigned)(value >> (count - i - take));
        unsigned char *byte = (unsigned char *)data + offset / 8;
        *byte =
            (unsigned char)((*byte & ~mask) | ((part << (room - take)) & mask));
        offset += take;
        i += take;
    }
}

bool bit_arg_offset(
    struct request *request, int index, unsigned width, uint64_t *offset)
{
    struct bytes text = request->argv[index];
    int64_t number = 0;
    bool by_width = width != 0 && text.size > 0 && text.data[0] == '#';
    if (by_width) {
        text = bytes_of(text.data + 1, text.size - 1);
    }
    bool valid = bytes_to_int64(text, &number);
    if (by_width) {
        /* A product that overflows is judged by what is left of it. */
        number = (int64_t)((uint64_t)number * width);
    }
    if (!valid || number < 0 ||
        (uint64_t)number / 8 >= request->server->config.proto_max_bulk_len) {
        reply_error(
            request->reply, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *offset = (uint64_t)number;
    return true;
}

bool bit_writable(struct request *request, uint64_t last, struct bit_text *text)
{
    struct bytes key = request->argv[1];
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return false;
    }
    size_t old_size = entry == NULL ? 0 : db_string_size(request->db, entry);
    size_t size = (size_t)(last / 8) + 1;
    text->grown = entry == NULL || size > old_size;
    text->size = size > old_size ? size : old_size;
    text->data =
        db_string_resize(request->db, key, text->size, request->now_ms);
    if (text->data == NULL) {
        error_oom(request);
        return false;
    }
    return true;
}

struct bytes bit_string(struct request *request, const struct entry *entry)
{
    return entry == NULL ? bytes_of(NULL, 0)
                         : db_string(request->db, entry, request->scratch);
}

void cmd_setbit(struct request *request)
{
    uint64_t offset;
    int64_t value = 0;
    struct bit_text text;
    if (!bit_arg_offset(request, 2, 0, &offset)) {
        return;
    }
    if (!bytes_to_int64(request->argv[3], &value) ||
        (value != 0 && value != 1)) {
        reply_error(
            request->reply, "ERR bit is not an integer or out of range");
        return;
    }
    if (!bit_writable(request, offset, &text)) {
        return;
    }
    int64_t old =
        (int64_t)bit_get_field(bytes_of(text.data, text.size), offset, 1);
    if (text.grown || old != value) {
        bit_set_field(text.data, offset, 1, (uint64_t)value);
        keyspace_changed(request, request->argv[1]);
        keyspace_event(request, KEYSPACE_STRING, "setbit", request->argv[1]);
        request->changes++;
    }
    reply_integer(request->reply, old);
}

void cmd_getbit(struct request *request)
{
    uint64_t offset;
    if (!bit_arg_offset(request, 2, 0, &offset)) {
        return;
    }
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (require_type(request, entry, TYPE_STRING)) {
        struct bytes text = bit_string(request, entry);
        reply_integer(request->reply, (int64_t)bit_get_field(text, offset, 1));
    }
}
