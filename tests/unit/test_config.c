/* The table of directives, values of every kind, redis.conf's grammar and the
 * command line. What is fatal, and in which words, is in
 * tests/integration/test_20_config.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/bytes.h"
#include "server/config.h"
#include "server/config_rewrite.h"
#include "server/directive.h"

static int setup(void **state)
{
    struct config *config = xmalloc(sizeof(*config));
    config_init(config);
    *state = config;
    return 0;
}

static int teardown(void **state)
{
    config_finish(*state);
    free(*state);
    return 0;
}

static void assert_value(
    const struct config *config, const char *name, const char *expected)
{
    const struct directive *directive = directive_find(name);
    assert_non_null(directive);
    char *value = directive_get(config, directive);
    assert_string_equal(value, expected);
    free(value);
}

/* ---- the table ---- */

static void test_names_are_unique(void **state)
{
    (void)state;
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        assert_ptr_equal(directive_find(row->name), row);
        if (row->alias != NULL) {
            assert_ptr_equal(directive_find(row->alias), row);
        }
        assert_int_equal(directive_row(row), i);
    }
}

static void test_rows_are_sorted(void **state)
{
    (void)state;
    for (unsigned i = 1; i < directive_count; i++) {
        assert_true(
            strcasecmp(directive_rows[i - 1].name, directive_rows[i].name) < 0);
    }
}

/* What CONFIG GET prints of every default can be set again, and then reads
 * the same. */
static void test_defaults_parse_and_print_back(void **state)
{
    struct config *config = *state;
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        char reason[CONFIG_REASON_BYTES];
        if ((row->flags & DIRECTIVE_FILE_ONLY) != 0) {
            continue;
        }
        char *first = directive_get(config, row);
        if (!directive_set_text(config, row, first, reason)) {
            fail_msg("%s '%s': %s", row->name, first, reason);
        }
        char *second = directive_get(config, row);
        assert_string_equal(first, second);
        free(first);
        free(second);
    }
}

static void test_bounds_hold_the_default(void **state)
{
    (void)state;
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        if (row->kind == DIRECTIVE_INT) {
            long long value = strtoll(
                row->initial, NULL, row->flags & DIRECTIVE_OCTAL ? 8 : 10);
            assert_true(value >= row->low && value <= row->high);
        }
    }
}

static void test_copy_is_deep(void **state)
{
    struct config *config = *state, copy;
    char reason[CONFIG_REASON_BYTES];
    config_copy(&copy, config);
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *row = &directive_rows[i];
        if (row->kind == DIRECTIVE_TEXT && row->text_check == NULL) {
            assert_true(directive_set_text(&copy, row, "other", reason));
            assert_value(config, row->name, row->initial);
            assert_value(&copy, row->name, "other");
        }
    }
    assert_true(directive_set_text(
        &copy, directive_find("bind"), "127.0.0.1 ::1", reason));
    assert_true(
        directive_set_text(&copy, directive_find("save"), "1 2", reason));
    assert_value(config, "bind", "* -::*");
    assert_value(config, "save", "3600 1 300 100 60 10000");
    config_finish(&copy);
}

/* ---- values ---- */

static const struct {
    const char *name, *value;
    const char *shown; /* NULL: refused */
} values[] = {
    {"appendonly", "YES", "yes"},
    {"appendonly", "true", NULL},
    {"appendonly", "", NULL},
    {"port", "0", "0"},
    {"port", "65535", "65535"},
    {"port", "65536", NULL},
    {"port", "-1", NULL},
    {"port", "010", NULL},
    {"port", " 1", NULL},
    {"port", "99999999999999999999", NULL},
    {"unixsocketperm", "700", "700"},
    {"unixsocketperm", "0770", "770"},
    {"unixsocketperm", "8", NULL},
    {"unixsocketperm", "1000", NULL},
    {"maxmemory", "100", "100"},
    {"maxmemory", "1k", "1000"},
    {"maxmemory", "1kb", "1024"},
    {"maxmemory", "2M", "2000000"},
    {"maxmemory", "2Mb", "2097152"},
    {"maxmemory", "3g", "3000000000"},
    {"maxmemory", "3GB", "3221225472"},
    {"maxmemory", "1b", "1"},
    {"maxmemory", "1tb", NULL},
    {"maxmemory", "-1", NULL},
    {"maxmemory", "5 mb", NULL},
    {"maxmemory", "1.5gb", NULL},
    {"proto-max-bulk-len", "1", NULL},
    {"proto-max-bulk-len", "999999999999gb", NULL},
    {"maxmemory-clients", "5%", "5%"},
    {"maxmemory-clients", "100%", "100%"},
    {"maxmemory-clients", "101%", NULL},
    {"maxmemory-clients", "%", NULL},
    {"maxmemory-clients", "1mb", "1048576"},
    {"maxmemory-policy", "AllKeys-LRU", "allkeys-lru"},
    {"maxmemory-policy", "lru", NULL},
    {"shutdown-on-sigterm", "force save", "save force"},
    {"shutdown-on-sigterm", "default", "default"},
    {"shutdown-on-sigterm", "save nosave", NULL},
    {"save", "", ""},
    {"save", "900 1", "900 1"},
    {"save", "900 1 300 10", "900 1 300 10"},
    {"save", "900", NULL},
    {"save", "0 1", NULL},
    {"save", "1 -1", NULL},
    {"save", "a b", NULL},
    {"bind", "", ""},
    {"bind", "127.0.0.1 -::1", "127.0.0.1 -::1"},
    {"client-output-buffer-limit", "pubsub 1mb 2kb 7",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2048 7"},
    {"client-output-buffer-limit", "replica 1 2 3 normal 4 5 6",
        "normal 4 5 6 slave 1 2 3 pubsub 33554432 8388608 60"},
    {"client-output-buffer-limit", "pubsub 1 2", NULL},
    {"client-output-buffer-limit", "other 1 2 3", NULL},
    {"client-output-buffer-limit", "normal 1 2 -3", NULL},
    {"notify-keyspace-events", "KEA", "AKE"},
    {"notify-keyspace-events", "Kxg", "gxK"},
    {"notify-keyspace-events", "g$lshzxetdmnKE", "AKEm"},
    {"notify-keyspace-events", "Q", NULL},
    {"latency-tracking-info-percentiles", "50 99.99", "50 99.99"},
    {"latency-tracking-info-percentiles", "", ""},
    {"latency-tracking-info-percentiles", "101", NULL},
    {"latency-tracking-info-percentiles", "x", NULL},
    {"oom-score-adj-values", "0 1 2", "0 1 2"},
    {"oom-score-adj-values", "0 1", NULL},
    {"oom-score-adj-values", "0 1 2001", NULL},
    {"dbfilename", "a/b", NULL},
    {"dbfilename", "x.rdb", "x.rdb"},
    {"cluster-announce-hostname", "a b", NULL},
    {"proc-title-template", "{title} {port}", "{title} {port}"},
    {"proc-title-template", "{x}", NULL},
    {"dir", "/nonexistent-directory", NULL},
    {"dir", "/", "/"},
    {"databases", "16385", NULL},
    {"dry-readers", "257", NULL},
    {"dry-maxsize", "20gb", "21474836480"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct config config;
        char reason[CONFIG_REASON_BYTES] = "";
        const struct directive *directive = directive_find(values[i].name);
        assert_non_null(directive);
        config_init(&config);
        char *before = directive_get(&config, directive);
        bool ok =
            directive_set_text(&config, directive, values[i].value, reason);
        if (ok != (values[i].shown != NULL)) {
            fail_msg("%s '%s': %s", values[i].name, values[i].value, reason);
        }
        assert_value(&config, values[i].name, ok ? values[i].shown : before);
        assert_true(ok || reason[0] != '\0');
        free(before);
        config_finish(&config);
    }
}

/* ---- files and the command line ---- */

struct file {
    char path[64];
};

static void file_create(struct file *file, const char *content)
{
    snprintf(file->path, sizeof(file->path), "/tmp/test_config.XXXXXX");
    int fd = mkstemp(file->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void assert_file(const struct file *file, const char *expected)
{
    char content[4096];
    FILE *stream = fopen(file->path, "r");
    assert_non_null(stream);
    size_t size = fread(content, 1, sizeof(content) - 1, stream);
    content[size] = '\0';
    fclose(stream);
    assert_string_equal(content, expected);
}

static bool load(struct config *config, const char *first, ...)
{
    char *argv[16] = {(char *)(uintptr_t) "larder-server"};
    int argc = 1;
    va_list arguments;
    va_start(arguments, first);
    for (const char *word = first; word != NULL;
         word = va_arg(arguments, const char *)) {
        argv[argc++] = (char *)(uintptr_t)word;
    }
    va_end(arguments);
    return config_load(config, argc, argv);
}

static void test_nothing_given(void **state)
{
    struct config *config = *state;
    assert_true(load(config, NULL));
    assert_value(config, "port", "6379");
    assert_string_equal(config->config_path, "");
}

static void test_file(void **state)
{
    struct config *config = *state;
    struct file file;
    file_create(&file, "# a comment\n"
                       "\t port   7000  \r\n"
                       "\n"
                       "LogLevel WARNING\n"
                       "requirepass \"a b\\x41\\\"\\n\"\n"
                       "masterauth 'it\\'s'\n"
                       "save 900 1\n"
                       "save 300 10\n"
                       "bind 127.0.0.1 -::1\n"
                       "slaveof example.org 6380\n"
                       "lua-time-limit 7\n");
    assert_true(load(config, file.path, NULL));
    unlink(file.path);
    assert_value(config, "port", "7000");
    assert_value(config, "loglevel", "warning");
    assert_value(config, "requirepass", "a bA\"\n");
    assert_value(config, "masterauth", "it's");
    assert_value(config, "save", "900 1 300 10");
    assert_value(config, "bind", "127.0.0.1 -::1");
    assert_value(config, "replicaof", "example.org 6380");
    assert_value(config, "busy-reply-threshold", "7");
    assert_string_equal(config->config_path, file.path);
}

static void test_empty_save_takes_all_away(void **state)
{
    struct config *config = *state;
    struct file file;
    file_create(&file, "save 900 1\nsave \"\"\nsave 5 6\n");
    assert_true(load(config, file.path, NULL));
    unlink(file.path);
    assert_value(config, "save", "5 6");
}

static void test_include(void **state)
{
    struct config *config = *state;
    struct file inner, outer;
    char text[256];
    file_create(&inner, "port 7001\nhz 20\n");
    snprintf(text, sizeof(text),
        "port 7000\ninclude %s\ninclude /nonexistent/*.conf\nhz 30\n",
        inner.path);
    file_create(&outer, text);
    assert_true(load(config, outer.path, NULL));
    assert_value(config, "port", "7001");
    assert_value(config, "hz", "30");
    snprintf(text, sizeof(text), "/tmp/test_config.%.3s*",
        inner.path + strlen("/tmp/test_config."));
    assert_true(load(config, "--include", text, NULL));
    assert_value(config, "hz", "20");
    unlink(inner.path);
    unlink(outer.path);
}

static void test_options_win_over_the_file(void **state)
{
    struct config *config = *state;
    struct file file;
    file_create(&file, "port 7000\nhz 20");
    assert_true(load(config, file.path, "--port", "7001", "--save", "900", "1",
        "300", "10", "--requirepass", "a \"b\"", "--hz 25", NULL));
    unlink(file.path);
    assert_value(config, "port", "7001");
    assert_value(config, "hz", "25");
    assert_value(config, "save", "900 1 300 10");
    assert_value(config, "requirepass", "a \"b\"");
}

static void test_options_that_stand_alone(void **state)
{
    struct config *config = *state;
    assert_true(load(config, "--save", "--port", "7001", NULL));
    assert_value(config, "save", "");
    assert_value(config, "port", "7001");
    assert_true(load(config, "--save", "1 2", NULL));
    assert_value(config, "save", "1 2");
    assert_true(load(config, "--port", "7002", "--save", NULL));
    assert_value(config, "save", "");
    assert_true(load(config, "--save", "", "--bind", "1.2.3.4", "::1", NULL));
    assert_value(config, "save", "");
    assert_value(config, "bind", "1.2.3.4 ::1");
}

static void test_renames(void **state)
{
    struct config *config = *state;
    assert_true(load(config, "--rename-command", "GET", "fetch",
        "--rename-command", "flushall", "", NULL));
    assert_int_equal(config->rename_count, 2);
    assert_string_equal(config->renames[0].from, "GET");
    assert_string_equal(config->renames[0].to, "fetch");
    assert_string_equal(config->renames[1].to, "");
}

/* ---- CONFIG REWRITE ---- */

static void set(struct config *config, const char *name, const char *value)
{
    char reason[CONFIG_REASON_BYTES];
    assert_true(
        directive_set_text(config, directive_find(name), value, reason));
}

static void test_rewrite_keeps_what_holds(void **state)
{
    struct config *config = *state;
    struct file file;
    const char *content = "# larder\n\nport 7000\n  maxmemory 1gb # no\n"
                          "# save 1 2\nmaxmemory 2gb\n";
    file_create(&file, content);
    free(config->config_path);
    config->config_path = xstrdup(file.path);
    set(config, "port", "7000");
    set(config, "maxmemory", "2gb");
    assert_true(config_rewrite(config, NULL));
    assert_file(&file, "# larder\n\nport 7000\nmaxmemory 2gb\n"
                       "# save 1 2\n");
    assert_true(config_rewrite(config, NULL));
    assert_file(&file, "# larder\n\nport 7000\nmaxmemory 2gb\n"
                       "# save 1 2\n");
    unlink(file.path);
}

static void test_rewrite_replaces_and_adds(void **state)
{
    struct config *config = *state;
    struct file file;
    file_create(&file, "# first\nsave 900 1\nhz 10\nsave 300 10\n"
                       "rename-command get fetch\n# last");
    free(config->config_path);
    config->config_path = xstrdup(file.path);
    set(config, "save", "5 6 7 8");
    set(config, "hz", "20");
    set(config, "requirepass", "a \"b\"");
    set(config, "maxmemory", "1536kb");
    set(config, "slowlog-max-len", "7");
    assert_true(config_rewrite(config, NULL));
    assert_file(&file, "# first\nsave 5 6\nsave 7 8\nhz 20\n"
                       "rename-command get fetch\n# last\n"
                       "# Added by CONFIG REWRITE\n"
                       "maxmemory 1536kb\n"
                       "requirepass \"a \\\"b\\\"\"\n"
                       "slowlog-max-len 7\n");
    struct config again;
    config_init(&again);
    assert_true(load(&again, file.path, NULL));
    assert_value(&again, "requirepass", "a \"b\"");
    assert_value(&again, "save", "5 6 7 8");
    config_finish(&again);
    set(config, "slowlog-max-len", "128");
    set(config, "save", "");
    set(config, "hz", "10");
    assert_true(config_rewrite(config, NULL));
    assert_file(&file, "# first\nsave \"\"\nhz 10\n"
                       "rename-command get fetch\n# last\n"
                       "# Added by CONFIG REWRITE\n"
                       "maxmemory 1536kb\n"
                       "requirepass \"a \\\"b\\\"\"\n"
                       "slowlog-max-len 128\n");
    unlink(file.path);
}

static void test_rewrite_without_its_file(void **state)
{
    struct config *config = *state;
    free(config->config_path);
    config->config_path = xstrdup("/nonexistent/larder.conf");
    assert_false(config_rewrite(config, NULL));
}

int main(void)
{
#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names_are_unique),
        TEST(test_rows_are_sorted),
        TEST(test_defaults_parse_and_print_back),
        TEST(test_bounds_hold_the_default),
        TEST(test_copy_is_deep),
        TEST(test_values),
        TEST(test_nothing_given),
        TEST(test_file),
        TEST(test_empty_save_takes_all_away),
        TEST(test_include),
        TEST(test_options_win_over_the_file),
        TEST(test_options_that_stand_alone),
        TEST(test_renames),
        TEST(test_rewrite_keeps_what_holds),
        TEST(test_rewrite_replaces_and_adds),
        TEST(test_rewrite_without_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
