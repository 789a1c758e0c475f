/* The request parser: each case is fed whole, byte by byte and split at every
 * position, with and without reading into blobs directly; the transcript of
 * commands and errors must be the expected one every time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/resp.h"

static const struct resp_limits usual = {
    .max_bulk_bytes = 512 * 1024 * 1024, .max_total_bytes = SIZE_MAX};
static const struct resp_limits stranger = {.max_bulk_bytes = 512 * 1024 * 1024,
    .max_total_bytes = SIZE_MAX,
    .unauthenticated = true};

/* A caller as the server is one: keeps the tail, presents it again. */
struct feed {
    struct resp_parser parser;
    struct resp_args args;
    char *tail;
    size_t tail_size;
    bool direct; /* fill blobs without a detour */
    bool closed;
    char *text; /* what came out */
    size_t text_size, text_capacity;
};

static void feed_init(
    struct feed *feed, const struct resp_limits *limits, bool direct)
{
    *feed = (struct feed){.direct = direct};
    resp_init(&feed->parser, limits);
    resp_args_init(&feed->args);
    feed->text = xcalloc(1, 1);
    feed->text_capacity = 1;
}

static void feed_finish(struct feed *feed)
{
    resp_finish(&feed->parser);
    resp_args_finish(&feed->args);
    free(feed->tail);
    free(feed->text);
}

static void feed_note(struct feed *feed, struct bytes text)
{
    size_t needed = feed->text_size + text.size + 1;
    if (needed > feed->text_capacity) {
        feed->text_capacity = needed * 2;
        feed->text = xrealloc(feed->text, feed->text_capacity);
    }
    if (text.size > 0) {
        memcpy(feed->text + feed->text_size, text.data, text.size);
    }
    feed->text_size += text.size;
    feed->text[feed->text_size] = '\0';
}

/* "a|b|c\n"; long arguments as their length and a sum over their bytes. */
static void feed_note_command(
    struct feed *feed, const struct resp_command *command)
{
    for (int i = 0; i < command->argc; i++) {
        struct bytes arg = feed->args.items[command->first + i];
        char brief[64];

        if (arg.size > 1000) {
            unsigned long sum = 5381;

            for (size_t k = 0; k < arg.size; k++) {
                sum = sum * 33 + (unsigned char)arg.data[k];
            }
            arg = bytes_of(brief, (size_t)snprintf(brief, sizeof(brief),
                                      "<%zu:%lx>", arg.size, sum));
        }
        feed_note(feed, arg);
        feed_note(feed, i + 1 < command->argc ? BYTES("|") : BYTES("\n"));
    }
}

static size_t feed_parse(struct feed *feed, const char *window, size_t size)
{
    struct resp_command command;
    size_t offset = 0;

    for (;;) {
        switch (resp_parse(
            &feed->parser, window, size, &offset, &feed->args, &command)) {
        case RESP_COMMAND:
            feed_note_command(feed, &command);
            break;
        case RESP_EMPTY:
            break;
        case RESP_ERROR:
            feed_note(feed, BYTES("!"));
            feed_note(
                feed, bytes_of(feed->parser.error, strlen(feed->parser.error)));
            feed->closed = true;
            return size;
        case RESP_INCOMPLETE:
            return offset;
        }
    }
}

static struct bytes feed_blob(struct feed *feed, struct bytes input)
{
    size_t room;
    char *to;

    while (
        input.size > 0 && (to = resp_blob_room(&feed->parser, &room)) != NULL) {
        size_t size = input.size < room ? input.size : room;

        assert_int_equal(feed->tail_size, 0);
        memcpy(to, input.data, size);
        resp_blob_filled(&feed->parser, size);
        input = bytes_of(input.data + size, input.size - size);
    }
    return input;
}

static void feed_input(struct feed *feed, struct bytes input)
{
    size_t used, size;
    char *window;

    if (feed->closed) {
        return;
    }
    if (feed->direct) {
        input = feed_blob(feed, input);
    }
    /* A buffer of just this size, so that a sanitizer sees overruns. */
    size = feed->tail_size + input.size;
    window = xmalloc(size);
    if (feed->tail_size > 0) {
        memcpy(window, feed->tail, feed->tail_size);
    }
    memcpy(window + feed->tail_size, input.data, input.size);
    free(feed->tail);
    used = feed_parse(feed, window, size);
    feed->tail_size = size - used;
    assert_true(feed->closed || feed->tail_size <= RESP_TAIL_MAX_BYTES);
    feed->tail = xmalloc(feed->tail_size);
    memcpy(feed->tail, window + used, feed->tail_size);
    resp_args_reset(&feed->args);
    free(window);
}

static void expect_cut(const struct resp_limits *limits, struct bytes input,
    size_t first, size_t step, bool direct, const char *expected)
{
    struct feed feed;
    size_t at = 0, size = first;

    feed_init(&feed, limits, direct);
    while (at < input.size) {
        if (size > input.size - at) {
            size = input.size - at;
        }
        if (size > 0) {
            feed_input(&feed, bytes_of(input.data + at, size));
        }
        at += size;
        size = step;
    }
    if (strcmp(feed.text, expected) != 0) {
        print_error("first cut %zu, then every %zu\n", first, step);
    }
    assert_string_equal(feed.text, expected);
    feed_finish(&feed);
}

static void expect_as(
    const struct resp_limits *limits, struct bytes input, const char *expected)
{
    /* Splitting a long input everywhere would take too long: step over. */
    size_t stride = input.size < 4096 ? 1 : input.size / 257;

    for (int direct = 0; direct < 2; direct++) {
        expect_cut(limits, input, 0, SIZE_MAX, direct, expected);
        expect_cut(limits, input, 1, 1, direct, expected);
        for (size_t at = 1; at < input.size; at += stride) {
            expect_cut(limits, input, at, SIZE_MAX, direct, expected);
        }
    }
}

static void expect(struct bytes input, const char *expected)
{
    expect_as(&usual, input, expected);
}

static void test_commands(void **state)
{
    (void)state;
    expect(BYTES("*1\r\n$4\r\nPING\r\n"), "PING\n");
    expect(BYTES("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n"),
        "GET|k\nPING\n");
    expect(BYTES("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"), "ECHO|\n");
    expect(BYTES("*1\r\n$0\r\n\r\n"), "\n");
    expect(BYTES("*12\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n"
                 "$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n"
                 "$2\r\n10\r\n$2\r\n11\r\n$12\r\n\r\n$4\r\nPING\r\n\r\n"),
        "1|2|3|4|5|6|7|8|9|10|11|\r\n$4\r\nPING\r\n\n");
    expect(BYTES("*0\r\nPING\r\n"), "PING\n");
    expect(BYTES("*-1\r\n*-10\r\n*-9223372036854775808\r\nPING\r\n"), "PING\n");
    expect(BYTES("\r\n\n   \r\nPING\r\n*1\r\n$4\r\nPING\r\n"), "PING\nPING\n");
}

static void test_line_ends(void **state)
{
    (void)state;
    /* As in Redis: CR ends a length, the byte behind it may be any, and so
     * may be the two behind a bulk string. */
    expect(BYTES("*1\rx$4\rxPING\r\n"), "PING\n");
    expect(BYTES("*1\r\n$4\r\nPINGxy*1\r\n$4\r\nPING\n\n"), "PING\nPING\n");
    expect(BYTES("*1\n$4\nPING\n"), "");
    expect(BYTES("*1\r\n$4\nPING\r\n"),
        "!ERR Protocol error: invalid bulk length");
    expect(BYTES("PING\n"), "PING\n");
    expect(BYTES("*1\r\n$4\r\nPI"), "");
    expect(BYTES("*1\r"), "");
}

static void test_bad_counts(void **state)
{
    static const char *const counts[] = {"3000000000", "2147483648", "",
        "9223372036854775808", "01", "+1", " 1", "1 ", "-0", "x", "1x",
        "111111111111111111111111111111111111111111111111"};
    char input[128];

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        int size =
            snprintf(input, sizeof(input), "*%s\r\n$4\r\nPING\r\n", counts[i]);

        expect(bytes_of(input, (size_t)size),
            "!ERR Protocol error: invalid multibulk length");
    }
}

static void test_bad_lengths(void **state)
{
    static const char *const lengths[] = {"-10", "-1", "2000000000",
        "536870913", "", " 4", "04", "+4", "4x", "99999999999999999999"};
    char input[128];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int size =
            snprintf(input, sizeof(input), "*1\r\n$%s\r\nPING\r\n", lengths[i]);

        expect(bytes_of(input, (size_t)size),
            "!ERR Protocol error: invalid bulk length");
    }
    expect(BYTES("*1\r\n4\r\n"), "!ERR Protocol error: expected '$', got '4'");
    expect(BYTES("*1\r\n\r\n"), "!ERR Protocol error: expected '$', got ' '");
    expect(
        BYTES("*1\r\n4444\r\n"), "!ERR Protocol error: expected '$', got '4'");
    expect(BYTES("PING\r\n*1\r\n$x\r\n"),
        "PING\n!ERR Protocol error: invalid bulk length");
    expect(BYTES("*1\r\nx"), "");
}

static void test_stranger(void **state)
{
    (void)state;
    expect_as(&stranger, BYTES("*11\r\n"),
        "!ERR Protocol error: unauthenticated multibulk length");
    expect_as(&stranger, BYTES("*10\r\n"), "");
    expect_as(&stranger, BYTES("*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
        "!ERR Protocol error: unauthenticated bulk length");
    expect_as(&stranger, BYTES("*2\r\n$4\r\nAUTH\r\n$16384\r\n"), "");
    expect_as(
        &stranger, BYTES("*2\r\n$4\r\nAUTH\r\n$3\r\nfoo\r\n"), "AUTH|foo\n");
}

static void test_inline(void **state)
{
    (void)state;
    expect(BYTES("SET  key\tvalue\r\nGET key\n"), "SET|key|value\nGET|key\n");
    expect(BYTES("ECHO \"a b\"\r\n"), "ECHO|a b\n");
    expect(BYTES("ECHO 'a b' 'it\\'s' 'a\\nb'\r\n"), "ECHO|a b|it's|a\\nb\n");
    expect(BYTES("ECHO \"\\x41\\n\\r\\t\\b\\a\\\\\\\"\\q\\xZZ\\x4\"\r\n"),
        "ECHO|A\n\r\t\b\a\\\"qxZZx4\n");
    expect(BYTES("\"PING\"\r\n"), "PING\n");
    expect(BYTES("ECHO '' \"\"\r\n"), "ECHO||\n");
    expect(BYTES("ECHO a\"b c\" d\r\n"), "ECHO|ab c|d\n");
    expect(BYTES("ECHO a\vb\r\n"), "ECHO|a\vb\n");
    expect(BYTES("\rPING\rx\r\r\n"), "PING|x\n");
}

static void test_bad_inline(void **state)
{
    static const char *const lines[] = {"ECHO \"abc", "ECHO 'abc",
        "ECHO \"a\"b", "ECHO 'a'b", "ECHO a\"b\"c", "ECHO \"a\\\"", "\"",
        "'\\'"};
    char input[64];

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int size = snprintf(input, sizeof(input), "%s\r\n", lines[i]);

        expect(bytes_of(input, (size_t)size),
            "!ERR Protocol error: unbalanced quotes in request");
    }
    expect(BYTES("\x16\x03\x01\x02\0\x01\0\x01\xfc"),
        "!ERR Protocol error: invalid inline request");
}

static void expect_run(const char *before, char fill, size_t count,
    const char *after, const char *expected)
{
    size_t before_size = strlen(before), after_size = strlen(after);
    char *input = xmalloc(before_size + count + after_size);

    memcpy(input, before, before_size);
    memset(input + before_size, fill, count);
    memcpy(input + before_size + count, after, after_size);
    expect_cut(&usual, bytes_of(input, before_size + count + after_size), 0,
        SIZE_MAX, false, expected);
    expect_cut(&usual, bytes_of(input, before_size + count + after_size), 7,
        4093, false, expected);
    expect_cut(&usual, bytes_of(input, before_size + count + after_size), 65530,
        1, false, expected);
    free(input);
}

static void test_long_lines(void **state)
{
    (void)state;
    expect_run("", 'A', 65536, "", "");
    expect_run(
        "", 'A', 65537, "", "!ERR Protocol error: too big inline request");
    expect_run("get", ' ', 1 << 20, "\r\n",
        "!ERR Protocol error: too big inline request");
    expect_run("get", ' ', 60000, "\r\n", "get\n");
    expect_run("PING\n", ' ', 65535, "\r\n", "PING\n");
    expect_run("*", '1', 65535, "", "");
    expect_run(
        "*", '1', 65536, "", "!ERR Protocol error: too big mbulk count string");
    expect_run("*1\r\n$", '1', 65535, "", "");
    expect_run("*1\r\n$", '1', 65536, "",
        "!ERR Protocol error: too big bulk count string");
    expect_run("*1\r\n$", '1', 1000, "\r\n",
        "!ERR Protocol error: invalid bulk length");
    /* Words that all need unquoting must not each take a line's memory. */
    expect_run("ECHO", ' ', 60000, "\"\" \"a\" ''\r\n", "ECHO||a|\n");
}

/* A command of bulk strings of these sizes (0 ends the list). */
static char *make_command(const size_t *sizes, size_t *size)
{
    size_t count = 0, total = 32;
    char *input;

    while (sizes[count] > 0) {
        total += sizes[count++] + 32;
    }
    input = xmalloc(total);
    *size = (size_t)sprintf(input, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        *size += (size_t)sprintf(input + *size, "$%zu\r\n", sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            input[(*size)++] = (char)('a' + (k * 7 + i) % 26);
        }
        memcpy(input + *size, "\r\n", 2);
        *size += 2;
    }
    return input;
}

static void expect_sizes(const size_t *sizes)
{
    static const size_t steps[] = {
        61, 97, 1000, 4096, 16384, 32768, 65535, 65536};
    size_t size, offset = 0;
    char *input = make_command(sizes, &size);
    struct feed feed;
    char *expected;

    feed_init(&feed, &usual, false);
    feed_input(&feed, bytes_of(input, size));
    expected = xstrdup(feed.text);
    assert_true(strlen(expected) > 0 && resp_idle(&feed.parser));
    feed_finish(&feed);
    for (int i = 0; i < 16; i++, offset += size / 17) {
        expect_cut(&usual, bytes_of(input, size), offset, steps[i % 8], i / 8,
            expected);
    }
    free(expected);
    free(input);
}

static void test_long_commands(void **state)
{
    (void)state;
    expect_sizes((const size_t[]){3, 3, RESP_BIG_BYTES - 1, 0});
    expect_sizes((const size_t[]){3, 3, RESP_BIG_BYTES, 5, 0});
    expect_sizes((const size_t[]){RESP_BIG_BYTES, 70000, 1, 40000, 2, 0});
    expect_sizes((const size_t[]){3, 300000, 0});
    expect_sizes((const size_t[]){500, 500, 500, 500, 500, 20000, 20000, 0});
}

static void test_many_arguments(void **state)
{
    size_t *sizes = xcalloc(20001, sizeof(*sizes));

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        sizes[i] = i % 13 + 1;
    }
    expect_sizes(sizes);
    free(sizes);
}

static void test_content_survives(void **state)
{
    const size_t sizes[] = {3, 200000, 7, 0};
    size_t size, at;
    char *input = make_command(sizes, &size);
    struct resp_parser parser;
    struct resp_args args;
    struct resp_command command;
    enum resp_result result = RESP_INCOMPLETE;
    struct blob *taken;

    (void)state;
    resp_init(&parser, &usual);
    resp_args_init(&args);
    for (at = 0; at < size && result == RESP_INCOMPLETE;) {
        size_t offset = 0, piece = size - at < 50000 ? size - at : 50000;

        resp_args_reset(&args);
        result =
            resp_parse(&parser, input + at, piece, &offset, &args, &command);
        at += offset;
    }
    assert_int_equal(result, RESP_COMMAND);
    assert_int_equal(command.argc, 3);
    assert_memory_equal(args.items[1].data,
        strchr(strchr(input + 4, '$') + 1, '$') + 9, 200000);
    taken = args.blobs[1];
    assert_non_null(taken);
    assert_int_equal(taken->size, 200000);
    args.blobs[1] = NULL;
    resp_args_finish(&args);
    assert_int_equal(taken->refs, 1);
    blob_unref(taken);
    resp_finish(&parser);
    free(input);
}

static void test_declared_is_not_allocated(void **state)
{
    struct resp_parser parser;
    struct resp_args args;
    struct resp_command command;
    size_t offset = 0;
    struct bytes input = BYTES("*1048576\r\n$3\r\nGET\r\n$500000000\r\nabc");

    (void)state;
    resp_init(&parser, &usual);
    resp_args_init(&args);
    assert_int_equal(
        resp_parse(&parser, input.data, input.size, &offset, &args, &command),
        RESP_INCOMPLETE);
    assert_int_equal(offset, input.size);
    assert_true(resp_held_bytes(&parser) < 128 * 1024);
    assert_false(resp_idle(&parser));
    resp_finish(&parser);
    resp_args_finish(&args);
}

static void test_total_limit(void **state)
{
    struct resp_limits limits = usual;
    struct feed feed;
    char piece[4096];

    (void)state;
    limits.max_total_bytes = 100000;
    expect_as(&limits, BYTES("*2\r\n$3\r\nGET\r\n$200000\r\n"), "!");
    feed_init(&feed, &limits, false);
    feed_input(&feed, BYTES("*1000000\r\n"));
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 1000 && !feed.closed; i++) {
        feed_input(&feed, BYTES("$4096\r\n"));
        feed_input(&feed, bytes_of(piece, sizeof(piece)));
        feed_input(&feed, BYTES("\r\n"));
        assert_true(resp_held_bytes(&feed.parser) < 300000);
    }
    assert_true(feed.closed);
    feed_finish(&feed);
}

/* A limit is what is still allowed. */
static void test_limits_are_exact(void **state)
{
    static char long_value[2000];
    struct resp_limits limits = usual;
    struct feed feed;

    (void)state;
    limits.max_bulk_bytes = sizeof(long_value);
    memset(long_value, 'x', sizeof(long_value));
    feed_init(&feed, &limits, false);
    feed_input(&feed, BYTES("*1\r\n$2000\r\n"));
    feed_input(&feed, bytes_of(long_value, sizeof(long_value)));
    feed_input(&feed, BYTES("\r\n"));
    assert_memory_equal(feed.text, "<2000:", 6);
    feed_finish(&feed);
    expect_as(&limits, BYTES("*1\r\n$2001\r\n"),
        "!ERR Protocol error: invalid bulk length");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_bad_counts),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_bad_inline),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_commands),
        cmocka_unit_test(test_many_arguments),
        cmocka_unit_test(test_content_survives),
        cmocka_unit_test(test_declared_is_not_allocated),
        cmocka_unit_test(test_total_limit),
        cmocka_unit_test(test_limits_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
