#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/bytes.h"
#include "protocol/number.h"

static void test_compare(void **state)
{
    (void)state;
    assert_true(bytes_compare(BYTES("a"), BYTES("b")) < 0);
    assert_true(bytes_compare(BYTES("b"), BYTES("a")) > 0);
    assert_true(bytes_compare(BYTES("a"), BYTES("aa")) < 0);
    assert_true(bytes_compare(BYTES("a\xff"), BYTES("a\x01")) > 0);
    assert_int_equal(bytes_compare(BYTES(""), bytes_of(NULL, 0)), 0);
    assert_int_equal(bytes_compare(BYTES("x\0y"), BYTES("x\0y")), 0);
    assert_true(bytes_equal_nocase(BYTES("GeT"), "get"));
    assert_true(bytes_equal_nocase(bytes_of(NULL, 0), ""));
    assert_false(bytes_equal_nocase(BYTES("get"), "getx"));
    assert_false(bytes_equal_nocase(BYTES("getx"), "get"));
    assert_false(bytes_equal_nocase(BYTES("get\0"), "get"));
    assert_false(bytes_equal_nocase(BYTES("["), "{"));
}

static void test_integers_round(void **state)
{
    int64_t values[] = {0, 1, 9, 10, 99, 100, 101, 999, 1000, 65535, INT32_MAX,
        INT32_MIN, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1};
    uint64_t random = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char out[21], expected[32];
        int64_t value, back = 42;
        size_t size;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        value = (int64_t)random >> random % 64;
        if (i < 32) {
            value =
                i % 2 ? values[i / 2] : (int64_t)(0 - (uint64_t)values[i / 2]);
        }
        size = bytes_from_int64(out, value);
        assert_int_equal(size,
            snprintf(expected, sizeof(expected), "%lld", (long long)value));
        assert_memory_equal(out, expected, size);
        assert_true(bytes_to_int64(bytes_of(out, size), &back));
        assert_true(back == value);
    }
}

static void test_not_integers(void **state)
{
    static const char *const texts[] = {"", "-", "-0", "+1", "01", "-01", " 1",
        "1 ", "1.0", "0x1", "9223372036854775808", "-9223372036854775809",
        "18446744073709551617", "99999999999999999999", "1a", "a"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t value = 42;

        assert_false(
            bytes_to_int64(bytes_of(texts[i], strlen(texts[i])), &value));
        assert_int_equal(value, 42);
    }
}

static void test_blobs(void **state)
{
    struct blob *blob = blob_copy(BYTES("hello"));

    (void)state;
    assert_true(bytes_equal(blob_bytes(blob), BYTES("hello")));
    assert_ptr_equal(blob_ref(blob), blob);
    blob_unref(blob);
    blob = blob_reserve(blob, 100000);
    assert_int_equal(blob->capacity, 100000);
    assert_true(bytes_equal(blob_bytes(blob), BYTES("hello")));
    assert_null(blob_reserve(blob, PTRDIFF_MAX));
    assert_true(bytes_equal(blob_bytes(blob), BYTES("hello")));
    blob_unref(blob);
    blob_unref(NULL);
    assert_null(blob_create(SIZE_MAX));
    assert_null(blob_create(PTRDIFF_MAX));
    blob = blob_create(0);
    assert_int_equal(blob->size, 0);
    blob_unref(blob);
}

static void test_scratch(void **state)
{
    struct scratch scratch = {NULL};
    char *parts[300];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 300; i++) {
            size_t size = i * i;

            parts[i] = scratch_alloc(&scratch, size);
            assert_non_null(parts[i]);
            assert_int_equal((uintptr_t)parts[i] % 16, 0);
            memset(parts[i], (int)(i % 251), size);
        }
        for (size_t i = 0; i < 300; i++) {
            for (size_t k = 0; k < i * i; k++) {
                assert_int_equal((unsigned char)parts[i][k], i % 251);
            }
        }
        scratch_reset(&scratch);
        assert_null(scratch.chunks);
    }
}

static void expect_double(double value, const char *expected)
{
    char out[NUMBER_DOUBLE_MAX_BYTES];
    size_t size = number_format_double(out, value);

    assert_int_equal(size, strlen(expected));
    assert_memory_equal(out, expected, size);
}

static void test_doubles(void **state)
{
    (void)state;
    expect_double(1, "1");
    expect_double(-1.5, "-1.5");
    expect_double(0.1, "0.10000000000000001");
    expect_double(1e15, "1000000000000000");
    expect_double(1e17, "1e+17");
    expect_double(-9223372036854775808.0, "-9.2233720368547758e+18");
    expect_double(1e-5, "1.0000000000000001e-05");
    expect_double(-0.0, "-0");
    expect_double(-1.7976931348623157e308, "-1.7976931348623157e+308");
    expect_double(1 / 0.0, "inf");
    expect_double(-1 / 0.0, "-inf");
    expect_double(0 / 0.0, "nan");
}

static void expect_long_double(const char *text, const char *expected)
{
    char out[NUMBER_LONG_DOUBLE_MAX_BYTES];
    long double value = 42;
    bool parsed =
        number_parse_long_double(bytes_of(text, strlen(text)), &value);

    assert_int_equal(parsed, expected != NULL);
    if (parsed) {
        assert_int_equal(number_format_long_double(out, sizeof(out), value),
            strlen(expected));
        assert_string_equal(out, expected);
    } else {
        assert_true(value == 42);
    }
}

static void test_long_doubles(void **state)
{
    static const char *const refused[] = {"", " 1", "1 ", "nan", "1e", "0x",
        "--1", "1_0", "1e5000", "1e-5000", "\t1", "1\n"};
    char out[NUMBER_LONG_DOUBLE_MAX_BYTES], digits[6000];
    long double value;

    (void)state;
    expect_long_double("3.0e3", "3000");
    expect_long_double("+1", "1");
    expect_long_double(".5", "0.5");
    expect_long_double("5.", "5");
    expect_long_double("0x1p3", "8");
    expect_long_double("1e30", "1000000000000000000024696061952");
    expect_long_double("1.23456789012345678901", "1.23456789012345679");
    expect_long_double("1e-17", "0.00000000000000001");
    expect_long_double("1e-18", "0");
    expect_long_double("-1e-18", "0");
    expect_long_double("1e-4940", "0");
    expect_long_double("INFINITY", "inf");
    expect_long_double("-inf", "-inf");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        expect_long_double(refused[i], NULL);
    }
    assert_false(number_parse_long_double(BYTES("1\0"), &value));
    memset(digits, '0', sizeof(digits));
    assert_true(number_parse_long_double(bytes_of(digits, 5119), &value));
    assert_false(number_parse_long_double(bytes_of(digits, 5120), &value));
    assert_true(number_parse_long_double(BYTES("-1e4932"), &value));
    assert_true(number_format_long_double(out, sizeof(out), value) > 4932);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_integers_round),
        cmocka_unit_test(test_not_integers),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_long_doubles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
