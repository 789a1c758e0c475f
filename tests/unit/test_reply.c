#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/reply.h"

/* Everything waiting, spliced blobs in their places; heap, terminated. */
static char *flatten(const struct reply *reply, size_t *size)
{
    char *out = xmalloc(reply_pending_bytes(reply) + 1), *to = out;
    size_t at = 0;

    for (size_t i = 0; i < reply->splice_count; i++) {
        const struct reply_splice *splice = &reply->splices[i];

        memcpy(to, reply->data + at, splice->at - at);
        to += splice->at - at;
        at = splice->at;
        memcpy(to, splice->blob->data, splice->blob->size);
        to += splice->blob->size;
    }
    if (reply->size > at) {
        memcpy(to, reply->data + at, reply->size - at);
    }
    *size = reply_pending_bytes(reply);
    out[*size] = '\0';
    return out;
}

static void expect(struct reply *reply, struct bytes expected)
{
    size_t size;
    char *text = flatten(reply, &size);

    assert_int_equal(size, expected.size);
    assert_memory_equal(text, expected.data, size);
    free(text);
    reply_clear(reply);
    assert_int_equal(reply_pending_bytes(reply), 0);
}

static void write_all(struct reply *reply)
{
    reply_status(reply, "PONG");
    reply_ok(reply);
    reply_error(reply, "ERR no %s", "a\r\nb");
    reply_integer(reply, 0);
    reply_integer(reply, 1);
    reply_integer(reply, INT64_MIN);
    reply_bulk(reply, BYTES("x\0\r\n"));
    reply_bulk(reply, bytes_of(NULL, 0));
    reply_bulk_text(reply, "0123456789");
    reply_bulk_format(reply, "%d-%d", 1, 2);
    reply_bulk_integer(reply, -7);
    reply_null(reply);
    reply_null_array(reply);
    reply_array(reply, 3);
    reply_map(reply, 50);
    reply_set(reply, 100);
    reply_push(reply, 0);
    reply_double(reply, 1.5);
    reply_double(reply, -1 / 0.0);
    reply_bool(reply, true);
    reply_bool(reply, false);
    reply_verbatim(reply, "txt", BYTES("hi"));
}

static void test_version_2(void **state)
{
    struct reply reply;

    (void)state;
    reply_init(&reply);
    write_all(&reply);
    assert_int_equal(reply.errors, 1);
    assert_string_equal(reply.error_code, "ERR");
    expect(&reply,
        BYTES("+PONG\r\n+OK\r\n-ERR no a  b\r\n:0\r\n:1\r\n"
              ":-9223372036854775808\r\n$4\r\nx\0\r\n\r\n$0\r\n\r\n"
              "$10\r\n0123456789\r\n$3\r\n1-2\r\n$2\r\n-7\r\n$-1\r\n*-1\r\n"
              "*3\r\n*100\r\n*100\r\n*0\r\n$3\r\n1.5\r\n$4\r\n-inf\r\n"
              ":1\r\n:0\r\n$2\r\nhi\r\n"));
    reply_finish(&reply);
}

static void test_version_3(void **state)
{
    struct reply reply;

    (void)state;
    reply_init(&reply);
    reply.version = 3;
    write_all(&reply);
    expect(
        &reply, BYTES("+PONG\r\n+OK\r\n-ERR no a  b\r\n:0\r\n:1\r\n"
                      ":-9223372036854775808\r\n$4\r\nx\0\r\n\r\n$0\r\n\r\n"
                      "$10\r\n0123456789\r\n$3\r\n1-2\r\n$2\r\n-7\r\n_\r\n_\r\n"
                      "*3\r\n%50\r\n~100\r\n>0\r\n,1.5\r\n,-inf\r\n"
                      "#t\r\n#f\r\n=6\r\ntxt:hi\r\n"));
    reply_finish(&reply);
}

static void test_lengths(void **state)
{
    char content[1200], expected[1300];
    struct reply reply;

    (void)state;
    memset(content, 'v', sizeof(content));
    reply_init(&reply);
    for (size_t size = 0; size <= sizeof(content); size++) {
        int head = snprintf(expected, sizeof(expected), "$%zu\r\n%.*s\r\n",
            size, (int)size, content);

        reply_bulk(&reply, bytes_of(content, size));
        expect(&reply, bytes_of(expected, (size_t)head));
    }
    reply_finish(&reply);
}

static void test_growth(void **state)
{
    struct reply reply;
    char big[3000];

    (void)state;
    memset(big, 'v', sizeof(big));
    reply_init(&reply);
    for (int i = 0; i < 1000; i++) {
        reply_bulk(&reply, bytes_of(big, sizeof(big)));
        reply_ok(&reply);
    }
    assert_int_equal(reply.size, 1000 * (3009 + 5));
    assert_memory_equal(reply.data + 999 * 3014 + 3009, "+OK\r\n", 5);
    reply_clear(&reply);
    reply_ok(&reply);
    expect(&reply, BYTES("+OK\r\n"));
    reply_finish(&reply);
}

static void test_long_error(void **state)
{
    struct reply reply;
    char long_text[2000];

    (void)state;
    memset(long_text, 'w', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    reply_init(&reply);
    reply_error(&reply, "%s", long_text);
    assert_int_equal(reply.size, 1999 + 3);
    assert_int_equal(strlen(reply.error_code), sizeof(reply.error_code) - 1);
    reply_error(&reply, "WRONGTYPE x");
    assert_string_equal(reply.error_code, "WRONGTYPE");
    assert_int_equal(reply.errors, 2);
    reply_clear(&reply);
    reply_bulk_format(&reply, "%s", long_text);
    assert_int_equal(reply.size, 1999 + 9);
    reply_finish(&reply);
}

static void test_muted(void **state)
{
    struct blob *blob = blob_create(REPLY_SPLICE_MIN_BYTES);
    struct reply reply;
    size_t mark;

    (void)state;
    reply_init(&reply);
    reply.muted = true;
    write_all(&reply);
    reply_bulk_blob(&reply, blob);
    mark = reply_begin(&reply);
    reply_end(&reply, mark, REPLY_ARRAY, 7);
    assert_int_equal(reply_pending_bytes(&reply), 0);
    assert_int_equal(reply.errors, 1);
    assert_int_equal(blob->refs, 1);
    blob_unref(blob);
    reply_finish(&reply);
}

static void test_pairs(void **state)
{
    static const char *const expected[] = {
        "*2\r\n*2\r\n$1\r\na\r\n:1\r\n*2\r\n$1\r\nb\r\n:2\r\n",
        "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct reply reply;
        size_t mark;

        reply_init(&reply);
        reply.version = (uint8_t)(i + 2);
        mark = reply_begin(&reply);
        reply_pair(&reply);
        reply_bulk_text(&reply, "a");
        reply_integer(&reply, 1);
        reply_pair(&reply);
        reply_bulk_text(&reply, "b");
        reply_integer(&reply, 2);
        reply_end(&reply, mark, REPLY_PAIRS, 2);
        expect(&reply, bytes_of(expected[i], strlen(expected[i])));
        reply_finish(&reply);
    }
}

static void test_splices(void **state)
{
    struct blob *small = blob_copy(BYTES("small"));
    struct blob *large = blob_create(REPLY_SPLICE_MIN_BYTES);
    struct reply reply;
    size_t size;
    char *text;

    (void)state;
    memset(large->data, 'L', large->size);
    reply_init(&reply);
    reply_bulk_blob(&reply, small);
    assert_int_equal(reply.splice_count, 0);
    for (int i = 0; i < 20; i++) {
        reply_bulk_blob(&reply, large);
    }
    assert_int_equal(large->refs, 21);
    assert_int_equal(reply.splice_count, 20);
    text = flatten(&reply, &size);
    assert_int_equal(size, 11 + 20 * (8 + REPLY_SPLICE_MIN_BYTES + 2));
    assert_memory_equal(text, "$5\r\nsmall\r\n$16384\r\nLL", 21);
    assert_memory_equal(text + size - 3, "L\r\n", 3);
    free(text);
    reply_clear(&reply);
    assert_int_equal(large->refs, 1);
    reply_bulk_blob(&reply, large);
    reply_finish(&reply);
    assert_int_equal(large->refs, 1);
    blob_unref(small);
    blob_unref(large);
}

static void test_append(void **state)
{
    struct blob *large = blob_create(REPLY_SPLICE_MIN_BYTES);
    struct reply reply, from;
    size_t size;
    char *text;

    (void)state;
    memset(large->data, 'L', large->size);
    reply_init(&reply);
    reply_init(&from);
    reply_bulk_blob(&from, large);
    reply_ok(&from);
    reply_bulk_blob(&reply, large);
    reply.muted = true;
    for (int i = 0; i < 20; i++) {
        reply_append(&reply, &from);
    }
    assert_int_equal(large->refs, 23);
    reply_finish(&from);
    assert_int_equal(large->refs, 22);
    text = flatten(&reply, &size);
    assert_int_equal(size, 21 * (8 + large->size + 2) + 20 * 5);
    for (int i = 1; i < 21; i++) {
        const char *end = text + size - (20 - i) * (15 + (int)large->size);
        assert_memory_equal(end - 8, "L\r\n+OK\r\n", 8);
    }
    free(text);
    reply_finish(&reply);
    assert_int_equal(large->refs, 1);
    blob_unref(large);
}

static void test_late_length(void **state)
{
    static const size_t counts[] = {0, 1, 9, 10, 99, 100, 12345};
    struct blob *large = blob_create(REPLY_SPLICE_MIN_BYTES);

    (void)state;
    memset(large->data, 'L', large->size);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct reply late, known;
        size_t outer, inner, late_size, known_size;
        char *late_text, *known_text;

        reply_init(&late);
        reply_init(&known);
        reply_bulk_blob(&late, large);
        reply_bulk_blob(&known, large);
        outer = reply_begin(&late);
        reply_bulk_blob(&late, large);
        inner = reply_begin(&late);
        reply_bulk_blob(&late, large);
        reply_ok(&late);
        reply_end(&late, inner, REPLY_MAP, counts[i]);
        reply_bulk_blob(&late, large);
        reply_end(&late, outer, REPLY_SET, counts[i]);
        reply_ok(&late);
        reply_set(&known, counts[i]);
        reply_bulk_blob(&known, large);
        reply_map(&known, counts[i]);
        reply_bulk_blob(&known, large);
        reply_ok(&known);
        reply_bulk_blob(&known, large);
        reply_ok(&known);
        late_text = flatten(&late, &late_size);
        known_text = flatten(&known, &known_size);
        assert_int_equal(late_size, known_size);
        assert_memory_equal(late_text, known_text, late_size);
        free(late_text);
        free(known_text);
        reply_finish(&late);
        reply_finish(&known);
    }
    blob_unref(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_version_3),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_muted),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_splices),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_late_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
