/* Rows of the log and packed values: what goes in comes out, and damage is
 * refused without reading beyond the bytes given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/unit/seed.h"
#include "tiers/codec.h"
#include "tiers/record.h"

/* A copy of exactly its size, so that a sanitizer sees reads beyond it. */
static char *exact_copy(struct bytes bytes)
{
    char *copy = malloc(bytes.size == 0 ? 1 : bytes.size);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    return copy;
}

static char *random_text(uint64_t *random, size_t size)
{
    char *out = malloc(size + 1);
    assert_non_null(out);
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)(seed_next(random) >> 5);
    }
    return out;
}

static bool records_equal(const struct record *a, const struct record *b)
{
    return a->kind == b->kind && a->codec == b->codec &&
           a->keyspace == b->keyspace && a->expiry_ms == b->expiry_ms &&
           bytes_equal(a->key, b->key);
}

static void round_trip(uint64_t *random, size_t key_size, size_t payload_size)
{
    char *key = random_text(random, key_size);
    char *payload = random_text(random, payload_size);
    struct record record = {
        .kind = (enum kind)seed_below(random, KIND_COUNT),
        .codec = (enum codec)seed_below(random, 4),
        .keyspace = (uint32_t)seed_next(random),
        .expiry_ms = (int64_t)seed_next(random),
        .key = bytes_of(key, key_size),
        .payload = bytes_of(payload, payload_size),
    };
    struct record parsed;
    size_t size = record_row_bytes(&record);
    char *row = malloc(size);
    record_write(&record, row);
    assert_int_equal(record_row_type(bytes_of(row, size)), ROW_VALUE);
    assert_true(record_parse(bytes_of(row, size), &parsed));
    assert_true(records_equal(&record, &parsed));
    assert_int_equal(parsed.payload_inline, record_is_inline(payload_size));
    if (parsed.payload_inline) {
        assert_true(bytes_equal(parsed.payload, record.payload));
    }
    assert_true(record_check_payload(&parsed, record.payload));
    if (payload_size > 0) {
        payload[seed_below(random, payload_size)] ^= 4;
        assert_false(record_check_payload(&parsed, record.payload));
    }
    record.damaged = true;
    record_write(&record, row);
    assert_true(record_parse(bytes_of(row, size), &parsed));
    assert_false(record_check_payload(&parsed, record.payload));
    free(row);
    free(payload);
    free(key);
}

static void records_come_out_as_they_went_in(void **state)
{
    static const size_t sizes[] = {
        0, 1, 16, 254, 255, 256, 257, 4096, 100000, 1 << 20};
    uint64_t random = seed_take("record");
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned j = 0; j < 10; j++) {
            round_trip(&random, sizes[i], sizes[j]);
        }
    }
}

/* Each bit, each length, each byte behind. */
static void damaged_rows_are_refused(void **state)
{
    (void)state;
    struct record record = {
        .kind = KIND_STRING_RAW,
        .keyspace = 3,
        .expiry_ms = 1700000000000,
        .key = BYTES("a key"),
        .payload = BYTES("an inline payload"),
    };
    struct record parsed;
    char row[100];
    size_t size = record_row_bytes(&record);
    assert_true(size < sizeof row);
    record_write(&record, row);
    for (size_t bit = 0; bit < size * 8; bit++) {
        char *copy = exact_copy(bytes_of(row, size));
        copy[bit / 8] ^= (char)(1 << bit % 8);
        if (record_parse(bytes_of(copy, size), &parsed)) {
            assert_true(records_equal(&record, &parsed));
            assert_false(record_check_payload(&parsed, parsed.payload));
        }
        free(copy);
    }
    for (size_t cut = 0; cut < size; cut++) {
        char *copy = exact_copy(bytes_of(row, cut));
        if (record_parse(bytes_of(copy, cut), &parsed)) {
            assert_false(record_check_payload(&parsed, parsed.payload));
        }
        free(copy);
    }
}

static void marks_come_out_as_they_went_in(void **state)
{
    struct mark marks[RECORD_MARKS_MAX], parsed[RECORD_MARKS_MAX];
    uint64_t random = seed_take("marks");
    (void)state;
    for (unsigned count = 0; count <= RECORD_MARKS_MAX; count++) {
        for (unsigned i = 0; i < count; i++) {
            marks[i] = (struct mark){
                seed_below(&random, 2) == 0 ? MARK_DEAD : MARK_EXPIRY,
                (uint32_t)seed_below(&random, UINT32_MAX) >> 1,
                seed_next(&random), seed_next(&random),
                (int64_t)seed_next(&random)};
        }
        size_t size = record_marks_bytes(count);
        char *row = malloc(size);
        record_write_marks(marks, count, row);
        struct bytes bytes = bytes_of(row, size);
        assert_int_equal(record_row_type(bytes), ROW_MARKS);
        assert_int_equal(record_parse_marks(bytes, parsed), count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(parsed[i].kind, marks[i].kind);
            assert_int_equal(parsed[i].keyspace, marks[i].keyspace);
            assert_true(parsed[i].id == marks[i].id);
            assert_true(parsed[i].hash == marks[i].hash);
            assert_true(parsed[i].expiry_ms == marks[i].expiry_ms);
        }
        for (size_t bit = 0; count < 4 && bit < size * 8; bit++) {
            row[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_equal(record_parse_marks(bytes, parsed), -1);
            row[bit / 8] ^= (char)(1 << bit % 8);
        }
        free(row);
    }
}

/* Sums are no secret: a row with right sums may still lie about sizes. */
static void noise_is_no_row(void **state)
{
    uint64_t random = seed_take("noise");
    struct mark marks[RECORD_MARKS_MAX];
    struct record record;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        size_t size = seed_below(&random, 80);
        char *noise = random_text(&random, size);
        char *row = exact_copy(bytes_of(noise, size));
        if (size > 0) {
            row[0] = (char)(seed_below(&random, 3));
        }
        assert_false(record_parse(bytes_of(row, size), &record));
        assert_int_equal(record_parse_marks(bytes_of(row, size), marks), -1);
        free(row);
        free(noise);
    }
}

/* Nor may it say that it has more marks than there is room for. The row is a
 * whole one but for its number of marks, which is summed like the rest. */
static void too_many_marks_are_refused(void **state)
{
    enum { COUNT = RECORD_MARKS_MAX + 1, SUM_AT = 4, SUMMED_AT = 8 };
    struct mark parsed[COUNT] = {0};
    size_t size = record_marks_bytes(COUNT);
    char *row = xcalloc(1, size);
    uint32_t count = COUNT, word = 0;
    (void)state;
    row[0] = ROW_MARKS;
    memcpy(row + SUMMED_AT, &count, sizeof count);
    memcpy(&word, row, sizeof word);
    uint32_t sum =
        (uint32_t)XXH3_64bits_withSeed(row + SUMMED_AT, size - SUMMED_AT, word);
    memcpy(row + SUM_AT, &sum, sizeof sum);
    assert_int_equal(record_parse_marks(bytes_of(row, size), parsed), -1);

    /* The sum is right: with one less it is a row. */
    count--;
    size = record_marks_bytes(count);
    memcpy(row + SUMMED_AT, &count, sizeof count);
    sum =
        (uint32_t)XXH3_64bits_withSeed(row + SUMMED_AT, size - SUMMED_AT, word);
    memcpy(row + SUM_AT, &sum, sizeof sum);
    assert_int_equal(record_parse_marks(bytes_of(row, size), parsed), count);
    free(row);
}

/* ---- packing ---- */

/* Of all tests; made before the first. */
static struct packer *packer;

static const enum codec codecs[] = {CODEC_LZ4, CODEC_ZSTD, CODEC_ZLIB};

static struct bytes pack(enum codec codec, struct bytes raw)
{
    char *out = malloc(codec_bound(raw.size));
    assert_non_null(out);
    size_t size = codec_pack(packer, codec, 0, raw, out);
    assert_true(size <= codec_bound(raw.size));
    return bytes_of(out, size);
}

static void comes_out(enum codec codec, uint64_t *random)
{
    static const size_t sizes[] = {
        0, 1, 3, 4, 5, 8, 64, 1023, 1024, 5000, 65535, 65536, 262144, 1 << 20};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned noise = 1; noise <= 256; noise *= 4) {
            char *raw = random_text(random, sizes[i]);
            for (size_t at = 0; at < sizes[i]; at++) {
                raw[at] = (char)((unsigned char)raw[at] % noise);
            }
            struct bytes packed = pack(codec, bytes_of(raw, sizes[i]));
            assert_true(packed.size <= sizes[i] - sizes[i] / 8);
            if (packed.size > 0) {
                assert_int_equal(codec_raw_bytes(codec, packed), sizes[i]);
                char *out = malloc(sizes[i] + 1);
                assert_true(codec_unpack(packer, codec, packed, out));
                assert_memory_equal(out, raw, sizes[i]);
                free(out);
            } else {
                assert_true(noise > 4 || sizes[i] < 1024);
            }
            free((void *)packed.data);
            free(raw);
        }
    }
}

static void packed_values_come_out(void **state)
{
    uint64_t random = seed_take("codec");
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        comes_out(codecs[i], &random);
    }
}

static void try_unpack(enum codec codec, struct bytes packed)
{
    char *copy = exact_copy(packed);
    struct bytes bytes = bytes_of(copy, packed.size);
    size_t raw = codec_raw_bytes(codec, bytes);
    if (raw != SIZE_MAX) {
        /* No bomb: not more than the codec can really make of it. */
        size_t most = codec == CODEC_LZ4 ? 255 : 32 * 1024;
        assert_true(raw <= (packed.size + 1) * most);
        char *out = malloc(raw + 1);
        assert_non_null(out);
        codec_unpack(packer, codec, bytes, out);
        free(out);
    }
    free(copy);
}

static void damage_is_harmless(enum codec codec, uint64_t random)
{
    char raw[2000];
    for (size_t i = 0; i < sizeof raw; i++) {
        raw[i] = (char)('a' + seed_below(&random, 3));
    }
    struct bytes packed = pack(codec, bytes_of(raw, sizeof raw));
    assert_true(packed.size > 0);
    char *data = (char *)packed.data;
    for (size_t bit = 0; bit < packed.size * 8; bit++) {
        data[bit / 8] ^= (char)(1 << bit % 8);
        try_unpack(codec, packed);
        data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < packed.size; cut++) {
        try_unpack(codec, bytes_of(data, cut));
    }
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = seed_below(&random, 60);
        char *noise = random_text(&random, size);
        if (size > 3) {
            noise[2] = noise[3] = 0;
        }
        try_unpack(codec, bytes_of(noise, size));
        free(noise);
    }
    free(data);
}

static void damaged_packing_is_harmless(void **state)
{
    uint64_t random = seed_take("damaged packing");
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        damage_is_harmless(codecs[i], random);
    }
}

static void bombs_are_refused(void **state)
{
    char bomb[8] = {0};
    char out[16];
    uint32_t claim = CODEC_MAX_RAW_BYTES;
    (void)state;
    memcpy(bomb, &claim, sizeof claim);
    struct bytes bytes = bytes_of(bomb, sizeof bomb);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(codec_raw_bytes(codecs[i], bytes) == SIZE_MAX);
        assert_false(codec_unpack(packer, codecs[i], bytes, out));
    }
    claim = UINT32_MAX;
    memcpy(bomb, &claim, sizeof claim);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(codec_raw_bytes(codecs[i], bytes) == SIZE_MAX);
    }
    assert_int_equal(codec_raw_bytes(CODEC_NONE, bytes), sizeof bomb);
    assert_true(codec_unpack(packer, CODEC_NONE, bytes, out));
    assert_memory_equal(out, bomb, sizeof bomb);
}

/* ---- dictionaries ---- */

#define DICTIONARY_ID 7
#define DOCUMENT_BYTES 300

static size_t put_document(char *out, uint64_t *random)
{
    return (size_t)snprintf(out, DOCUMENT_BYTES,
        "{\"identity\":%u,\"name\":\"user-%u\",\"active\":%s,"
        "\"address\":{\"street\":\"%u, High Street\",\"town\":\"%s\"}}",
        (unsigned)seed_below(random, 100000),
        (unsigned)seed_below(random, 1000),
        seed_below(random, 2) ? "true" : "false",
        (unsigned)seed_below(random, 200),
        seed_below(random, 2) ? "Springfield" : "Riverdale");
}

static struct bytes train(uint64_t *random)
{
    enum { COUNT = 500, ROOM = 4096 };
    char *samples = malloc((size_t)COUNT * DOCUMENT_BYTES);
    char *out = malloc(ROOM);
    size_t sizes[COUNT], at = 0;
    assert_true(samples != NULL && out != NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        sizes[i] = put_document(samples + at, random);
        at += sizes[i];
    }
    size_t size = codec_train(DICTIONARY_ID, samples, sizes, COUNT, out, ROOM);
    assert_true(size > 0);
    free(samples);
    return bytes_of(out, size);
}

static void dictionaries_pack_small_values(void **state)
{
    uint64_t random = seed_take("dictionary");
    struct bytes bytes = train(&random);
    struct packer *knows = packer_create();
    struct codec_dictionary *dictionary =
        codec_dictionary_create(DICTIONARY_ID, bytes, 0);
    char raw[DOCUMENT_BYTES], out[DOCUMENT_BYTES], packed[DOCUMENT_BYTES + 4];
    size_t plain = 0, with = 0;
    (void)state;
    assert_non_null(dictionary);
    assert_true(packer_know(knows, DICTIONARY_ID, bytes));
    for (unsigned i = 0; i < 200; i++) {
        struct bytes value = bytes_of(raw, put_document(raw, &random));
        size_t size = codec_pack(packer, CODEC_ZSTD, 0, value, packed);
        plain += size == 0 ? value.size : size;
        size = codec_pack_with(packer, dictionary, value, packed);
        assert_true(size > 0);
        with += size;
        assert_int_equal(
            codec_raw_bytes(CODEC_ZSTD, bytes_of(packed, size)), value.size);
        assert_true(
            codec_unpack(knows, CODEC_ZSTD, bytes_of(packed, size), out));
        assert_memory_equal(out, raw, value.size);
        /* Without the dictionary: refused. */
        assert_false(
            codec_unpack(packer, CODEC_ZSTD, bytes_of(packed, size), out));
    }
    assert_true(with * 2 < plain);
    codec_dictionary_destroy(dictionary);
    packer_destroy(knows);
    free((char *)bytes.data);
}

static void damage_beside_a_dictionary_is_harmless(void **state)
{
    uint64_t random = seed_take("dictionary damage");
    struct bytes bytes = train(&random);
    struct packer *without = packer;
    struct codec_dictionary *dictionary =
        codec_dictionary_create(DICTIONARY_ID, bytes, 0);
    char raw[DOCUMENT_BYTES], packed[DOCUMENT_BYTES + 4];
    (void)state;
    packer = packer_create();
    assert_true(packer_know(packer, DICTIONARY_ID, bytes));
    size_t size = codec_pack_with(
        packer, dictionary, bytes_of(raw, put_document(raw, &random)), packed);
    for (size_t bit = 0; bit < size * 8; bit++) {
        packed[bit / 8] ^= (char)(1 << bit % 8);
        try_unpack(CODEC_ZSTD, bytes_of(packed, size));
        packed[bit / 8] ^= (char)(1 << bit % 8);
    }
    codec_dictionary_destroy(dictionary);
    packer_destroy(packer);
    packer = without;
    free((char *)bytes.data);
}

static void a_dictionary_is_checked(void **state)
{
    uint64_t random = seed_take("no dictionary");
    struct bytes bytes = train(&random);
    char *noise = random_text(&random, 4000);
    (void)state;
    assert_false(packer_know(packer, 1, bytes)); /* of another id */
    assert_false(packer_know(packer, 2, bytes_of(noise, 4000)));
    assert_false(packer_know(packer, 3, bytes_of(bytes.data, 8)));
    assert_null(codec_dictionary_create(1, bytes, 0));
    /* Damaged behind its id: refused, or some other dictionary. */
    for (unsigned i = 0; i < 200; i++) {
        struct packer *knows = packer_create();
        char *copy = exact_copy(bytes);
        size_t at = 8 + seed_below(&random, bytes.size - 8);
        copy[at] ^= (char)(1 + seed_below(&random, 255));
        packer_know(knows, DICTIONARY_ID, bytes_of(copy, bytes.size));
        packer_destroy(knows);
        free(copy);
    }
    free(noise);
    free((char *)bytes.data);
}

static int make_packer(void **state)
{
    (void)state;
    packer = packer_create();
    return 0;
}

static int free_packer(void **state)
{
    (void)state;
    packer_destroy(packer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in),
        cmocka_unit_test(damaged_rows_are_refused),
        cmocka_unit_test(marks_come_out_as_they_went_in),
        cmocka_unit_test(noise_is_no_row),
        cmocka_unit_test(too_many_marks_are_refused),
        cmocka_unit_test(packed_values_come_out),
        cmocka_unit_test(damaged_packing_is_harmless),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(dictionaries_pack_small_values),
        cmocka_unit_test(damage_beside_a_dictionary_is_harmless),
        cmocka_unit_test(a_dictionary_is_checked),
    };
    return cmocka_run_group_tests(tests, make_packer, free_packer);
}
