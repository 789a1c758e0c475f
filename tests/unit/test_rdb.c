/* The RDB format: what is written is read again, and damaged values of every
 * type are read to an end without harm: each bit flipped, each byte set to
 * what lengths begin with, each cut (run with AddressSanitizer by unit-asan).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "server/rdb/rdb_decode.h"
#include "server/rdb/rdb_packed.h"
#include "server/rdb/rdb_payload.h"

#define ROOM (1 << 20)

struct seen {
    uint64_t parts;
    size_t bytes;
    struct bytes texts[8]; /* scratch */
    struct scratch scratch;
};

static bool keep(void *context, const struct rdb_part *part)
{
    struct seen *seen = context;
    if (seen->parts < sizeof(seen->texts) / sizeof(seen->texts[0])) {
        char *copy = scratch_alloc(&seen->scratch, part->text.size + 1);
        if (part->text.size > 0) {
            memcpy(copy, part->text.data, part->text.size);
        }
        seen->texts[seen->parts] = bytes_of(copy, part->text.size);
    }
    for (size_t i = 0; i < part->value.size; i++) {
        seen->bytes += (unsigned char)part->value.data[i] == 0;
    }
    seen->parts++;
    return true;
}

/* Reads a copy of its own, so that reading beyond its end is noticed. */
static bool decode(struct bytes value, struct seen *seen)
{
    struct rdb_reader reader;
    char *copy = malloc(value.size > 0 ? value.size : 1);
    assert_non_null(copy);
    memcpy(copy, value.data, value.size);
    rdb_reader_init(&reader, bytes_of(copy, value.size), ROOM);
    unsigned type = rdb_read_byte(&reader);
    bool whole = !reader.failed && rdb_decode(&reader, type, keep, seen);
    rdb_reader_finish(&reader);
    free(copy);
    return whole;
}

static void test_sum(void **state)
{
    (void)state;
    assert_true(rdb_crc64(BYTES("123456789")) == 0xe9c6d914c4b8d9ca);
    assert_true(rdb_crc64(bytes_of(NULL, 0)) == 0);
}

static void test_lengths(void **state)
{
    static const uint64_t lengths[] = {0, 1, 63, 64, 16383, 16384, UINT32_MAX,
        (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    struct rdb_writer writer;
    struct rdb_reader reader;
    (void)state;
    rdb_writer_init(&writer, false);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        rdb_write_length(&writer, lengths[i]);
    }
    rdb_reader_init(&reader, blob_bytes(writer.blob), ROOM);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_true(rdb_read_length(&reader) == lengths[i]);
    }
    assert_false(reader.failed);
    assert_true(rdb_read_length(&reader) == 0);
    assert_true(reader.failed);
    rdb_reader_finish(&reader);
    rdb_writer_finish(&writer);
}

static void test_listpacks(void **state)
{
    struct rdb_listpack list = {0};
    struct rdb_packed packed;
    struct rdb_item item;
    char text[21];
    (void)state;
    for (int shift = 0; shift < 63; shift++) {
        for (int64_t near = -2; near <= 2; near++) {
            int64_t value = (INT64_C(1) << shift) + near;
            size_t size = bytes_from_int64(text, value);
            rdb_listpack_add(&list, bytes_of(text, size));
            size = bytes_from_int64(text, -value);
            rdb_listpack_add(&list, bytes_of(text, size));
        }
    }
    struct rdb_writer writer;
    struct rdb_reader reader;
    rdb_writer_init(&writer, true);
    rdb_write_listpack(&writer, &list);
    rdb_reader_init(&reader, blob_bytes(writer.blob), ROOM);
    struct bytes whole = rdb_read_string(&reader, 0);
    assert_true(rdb_packed_open(&packed, RDB_LISTPACK, whole));
    for (int shift = 0; shift < 63; shift++) {
        for (int64_t near = -2; near <= 2; near++) {
            int64_t value = (INT64_C(1) << shift) + near;
            assert_true(rdb_packed_next(&packed, &item));
            assert_true(item.is_integer && item.integer == value);
            assert_true(rdb_packed_next(&packed, &item));
            assert_true(item.is_integer && item.integer == -value);
        }
    }
    assert_false(rdb_packed_next(&packed, &item));
    rdb_reader_finish(&reader);
    rdb_writer_finish(&writer);
    rdb_listpack_finish(&list);
}

/* Texts at the sizes where heads and sizes behind an item grow. */
static void test_listpack_texts(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 125, 126, 127, 128, 4095, 4096,
        16377, 16378, 16379, 16383, 16384, 2097140, 2097151, 2097152};
    struct rdb_listpack list = {0};
    struct rdb_packed packed;
    struct rdb_item item;
    struct rdb_writer writer;
    struct rdb_reader reader;
    char *text = malloc(2097152);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 2097152);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rdb_listpack_add(&list, bytes_of(text, sizes[i]));
    }
    rdb_writer_init(&writer, false);
    rdb_write_listpack(&writer, &list);
    rdb_reader_init(&reader, blob_bytes(writer.blob), ROOM);
    struct bytes whole = rdb_read_string(&reader, 0);
    assert_true(rdb_packed_open(&packed, RDB_LISTPACK, whole));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_true(rdb_packed_next(&packed, &item));
        assert_true(bytes_equal(item.text, bytes_of(text, sizes[i])));
    }
    rdb_reader_finish(&reader);
    rdb_writer_finish(&writer);
    rdb_listpack_finish(&list);
    free(text);
}

/* ---- damage ---- */

#define VALUE(text)                                                            \
    {                                                                          \
        (text), sizeof(text) - 1                                               \
    }
/* One of each type and form. */
static const struct bytes values[] = {
    VALUE("\x00\x03"
          "abc"),
    VALUE("\x00\xc0\x05"),
    VALUE("\x00\xc3\x09\x16\x01xx\xe0\x09\x00\x01"
          "ab"),
    VALUE("\x01\x02\x01"
          "a\xc1\x05\x01"),
    VALUE("\x02\x02\x01"
          "a\x01"
          "b"),
    VALUE("\x03\x02\x01"
          "a\x03"
          "1.5\x01"
          "b\xfe"),
    VALUE("\x04\x01\x01"
          "a\x01"
          "b"),
    VALUE("\x05\x01\x01"
          "a\x00\x00\x00\x00\x00\x00\xf0\x3f"),
    VALUE("\x09\x0f\x02\x01"
          "a\x02\x00xy\x01"
          "b\x01\x02z__\xff"),
    VALUE("\x0a\x16\x16\x00\x00\x00\x11\x00\x00\x00\x03\x00"
          "\x00\x02"
          "ab\x04\xfe\x07\x03\xc0\x05\x00\xff"),
    VALUE("\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x07\x00"),
    VALUE("\x0e\x01\x10\x10\x00\x00\x00\x0a\x00\x00\x00\x01\x00"
          "\x00\x03"
          "abc\xff"),
    VALUE("\x10\x0d\x0d\x00\x00\x00\x02\x00\x81"
          "a\x02\xc1\x00\x02\xff"),
    VALUE("\x11\x0c\x0c\x00\x00\x00\x02\x00\x81"
          "a\x02\x07\x01\xff"),
    VALUE("\x12\x02\x01\x03"
          "abc\x02\x0c\x0c\x00\x00\x00\x02\x00\x81"
          "a\x02\x07\x01\xff"),
};

static void read_damaged(struct bytes value)
{
    struct seen seen = {0};
    bool whole = decode(value, &seen);
    assert_true(!whole || seen.parts > 0);
    scratch_reset(&seen.scratch);
}

static void test_bits_and_bytes(void **state)
{
    static const unsigned char starts[] = {
        0, 1, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xf0, 0xf4, 0xfe, 0xff};
    char copy[64];
    (void)state;
    for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
        struct bytes value = values[v];
        assert_true(value.size <= sizeof(copy));
        memcpy(copy, value.data, value.size);
        for (size_t at = 0; at < value.size; at++) {
            char kept = copy[at];
            for (unsigned bit = 0; bit < 8; bit++) {
                copy[at] = (char)(kept ^ 1 << bit);
                read_damaged(bytes_of(copy, value.size));
            }
            for (size_t i = 0; i < sizeof(starts); i++) {
                copy[at] = (char)starts[i];
                read_damaged(bytes_of(copy, value.size));
            }
            copy[at] = kept;
        }
    }
}

static void test_cuts(void **state)
{
    struct seen seen = {0};
    (void)state;
    for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
        for (size_t size = 0; size < values[v].size; size++) {
            read_damaged(bytes_of(values[v].data, size));
            seen.parts = 0;
            assert_false(decode(bytes_of(values[v].data, size), &seen));
        }
    }
    scratch_reset(&seen.scratch);
}

static void test_whole(void **state)
{
    struct seen seen = {0};
    (void)state;
    for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
        seen.parts = 0;
        assert_true(decode(values[v], &seen));
    }
    assert_true(bytes_equal(seen.texts[0], BYTES("abc")));
    assert_true(bytes_equal(seen.texts[1], BYTES("a")));
    assert_true(bytes_equal(seen.texts[2], BYTES("7")));
    scratch_reset(&seen.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_listpacks),
        cmocka_unit_test(test_listpack_texts),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_bits_and_bytes),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
