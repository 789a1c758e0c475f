/* FUNCTION DUMP and RESTORE in Redis' format:
 *
 *   0xf5 length code    for each library; the length as in RDB files, the code
 *                       perhaps compressed (LZF)
 *   10 0                the format's version, two bytes, the lower first
 *   CRC-64              of all before it, eight bytes, the lowest first */
#include <liblzf/lzf.h>
#include <stdlib.h>

#include "server/scripting/library.h"

#define OPCODE_LIBRARY 0xf5
#define VERSION 10
/* Newer ones have the same libraries. */
#define VERSION_MAX 12
#define FOOTER_BYTES 10
/* A library's code when it is unpacked. */
#define CODE_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* The polynomial of Jones, bits reflected. */
static uint64_t crc64(const unsigned char *data, size_t size)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            uint64_t low = crc & 1;
            crc = crc >> 1 ^ (low != 0 ? UINT64_C(0x95ac9329ac4bc9b5) : 0);
        }
    }
    return crc;
}

/* ---- writing ---- */

static void add_bytes(struct text *out, const void *data, size_t size)
{
    out->data = xrealloc(out->data, out->size + size + 1);
    memcpy(out->data + out->size, data, size);
    out->size += size;
    out->data[out->size] = '\0';
}

static void add_length(struct text *out, size_t length)
{
    unsigned char head[5];
    size_t size;
    if (length < 64) {
        head[0] = (unsigned char)length;
        size = 1;
    } else if (length < 16384) {
        head[0] = (unsigned char)(0x40 | length >> 8);
        head[1] = (unsigned char)length;
        size = 2;
    } else {
        head[0] = 0x80;
        for (unsigned i = 0; i < 4; i++) {
            head[1 + i] = (unsigned char)(length >> (24 - 8 * i));
        }
        size = 5;
    }
    add_bytes(out, head, size);
}

void library_dump(const struct scripting *scripting, struct text *out)
{
    unsigned char footer[FOOTER_BYTES] = {VERSION, 0};
    for (const struct library *library = scripting->libraries; library != NULL;
         library = library->hh.next) {
        add_bytes(out, &(unsigned char){OPCODE_LIBRARY}, 1);
        add_length(out, library->code_bytes);
        add_bytes(out, library->code, library->code_bytes);
    }
    add_bytes(out, footer, 2);
    uint64_t crc = crc64((const unsigned char *)out->data, out->size);
    for (unsigned i = 0; i < 8; i++) {
        footer[i] = (unsigned char)(crc >> (8 * i));
    }
    add_bytes(out, footer, 8);
}

/* ---- reading ---- */

struct reader {
    const unsigned char *data;
    size_t size, at;
    bool bad;
};

static unsigned take_byte(struct reader *reader)
{
    if (reader->at == reader->size) {
        reader->bad = true;
        return 0;
    }
    return reader->data[reader->at++];
}

static uint64_t take_big_endian(struct reader *reader, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++) {
        number = number << 8 | take_byte(reader);
    }
    return number;
}

/* A length; *packed: what follows is compressed. */
static uint64_t take_length(struct reader *reader, bool *packed)
{
    unsigned first = take_byte(reader);
    *packed = false;
    switch (first >> 6) {
    case 0:
        return first & 63;
    case 1:
        return (first & 63) << 8 | take_byte(reader);
    case 2:
        return take_big_endian(reader, first == 0x81 ? 8 : 4);
    default:
        *packed = true;
        reader->bad = reader->bad || first != 0xc3;
        return 0;
    }
}

static struct bytes take_bytes(struct reader *reader, uint64_t size)
{
    if (size > reader->size - reader->at) {
        reader->bad = true;
        size = 0;
    }
    struct bytes bytes = bytes_of(reader->data + reader->at, size);
    reader->at += size;
    return bytes;
}

/* The next library's code; *unpacked (heap) is what it lies in when it was
 * compressed, else NULL. */
static struct bytes take_code(struct reader *reader, char **unpacked)
{
    bool packed;
    uint64_t size = take_length(reader, &packed);
    *unpacked = NULL;
    if (!packed) {
        return take_bytes(reader, size);
    }
    uint64_t packed_size = take_length(reader, &packed);
    uint64_t raw_size = take_length(reader, &packed);
    struct bytes bytes = take_bytes(reader, packed_size);
    if (reader->bad || packed || raw_size == 0 || raw_size > CODE_BYTES_MAX) {
        reader->bad = true;
        return bytes_of(NULL, 0);
    }
    *unpacked = xmalloc(raw_size);
    if (lzf_decompress(bytes.data, (unsigned)bytes.size, *unpacked,
            (unsigned)raw_size) != raw_size) {
        reader->bad = true;
    }
    return bytes_of(*unpacked, raw_size);
}

static bool footer_fits(struct bytes dump)
{
    if (dump.size < FOOTER_BYTES) {
        return false;
    }
    const unsigned char *data = (const unsigned char *)dump.data;
    const unsigned char *footer = data + dump.size - FOOTER_BYTES;
    uint64_t crc = 0;
    for (unsigned i = 0; i < 8; i++) {
        crc |= (uint64_t)footer[2 + i] << (8 * i);
    }
    return (footer[0] | footer[1] << 8) <= VERSION_MAX &&
           crc == crc64(data, dump.size - 8);
}

bool library_each_code(
    struct bytes dump, library_code_fn *fn, void *context, bool *valid)
{
    *valid = footer_fits(dump);
    if (!*valid) {
        return true;
    }
    struct reader reader = {.data = (const unsigned char *)dump.data,
        .size = dump.size - FOOTER_BYTES};
    bool go_on = true;
    while (go_on && !reader.bad && reader.at < reader.size) {
        char *unpacked = NULL;
        if (take_byte(&reader) != OPCODE_LIBRARY) {
            reader.bad = true;
            break;
        }
        struct bytes code = take_code(&reader, &unpacked);
        go_on = reader.bad || fn(context, code);
        free(unpacked);
    }
    *valid = !reader.bad;
    return go_on;
}

/* ---- the commands ---- */

void cmd_function_dump(struct request *request)
{
    struct text dump;
    if (scripting_is_off(request)) {
        return;
    }
    text_init(&dump);
    library_dump(request->server->scripting, &dump);
    reply_bulk(request->reply, bytes_of(dump.data, dump.size));
    text_finish(&dump);
}
