/* The syntax column of the command table, parsed. A tree is compared as text:
 * name, TOKEN, TOKEN=name, ? optional, * multiple, + token repeated,
 * {} block, <|> one of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/commands/command_syntax.h"

struct text {
    char data[512];
    size_t size;
};

static void put(struct text *out, const char *data, size_t size)
{
    assert_true(out->size + size < sizeof(out->data));
    if (size > 0) {
        memcpy(out->data + out->size, data, size);
    }
    out->size += size;
    out->data[out->size] = '\0';
}

static void put_list(
    struct text *out, const struct syntax *node, const char *between);

static void put_node(struct text *out, const struct syntax *node)
{
    put(out, node->token.data, node->token.size);
    if (node->token.size > 0 && node->kind != SYNTAX_TOKEN) {
        put(out, "=", 1);
    }
    if (node->kind == SYNTAX_NAME) {
        put(out, node->name.data, node->name.size);
    } else if (node->kind == SYNTAX_ONEOF) {
        put(out, "<", 1);
        put_list(out, node->children, "|");
        put(out, ">", 1);
    } else if (node->kind == SYNTAX_BLOCK) {
        put(out, "{", 1);
        put_list(out, node->children, " ");
        put(out, "}", 1);
    }
    put(out, "?", node->optional);
    put(out, "*", node->multiple);
    put(out, "+", node->multiple_token);
}

static void put_list(
    struct text *out, const struct syntax *node, const char *between)
{
    for (; node != NULL; node = node->next) {
        put_node(out, node);
        put(out, between, node->next == NULL ? 0 : 1);
    }
}

static void expect(const char *syntax, const char *wanted)
{
    struct scratch scratch = {0};
    struct text out = {0};
    put_list(&out, syntax_parse(syntax, &scratch), " ");
    assert_string_equal(out.data, wanted);
    scratch_reset(&scratch);
}

static void test_names_and_words(void **state)
{
    (void)state;
    expect("", "");
    expect("key", "key");
    expect("key value", "key value");
    expect("[message]", "message?");
    expect("[SCHEDULE]", "SCHEDULE?");
    expect("<ON | OFF>", "<ON|OFF>");
    expect("[NX | XX] [GET]", "<NX|XX>? GET?");
    expect("ip:port", "ip:port");
}

static void test_words_that_announce(void **state)
{
    (void)state;
    expect("[MATCH pattern] [COUNT count]", "MATCH=pattern? COUNT=count?");
    expect("[AUTH username password]", "AUTH={username password}?");
    expect("[TO host port [FORCE]]", "TO={host port FORCE?}?");
    expect("[TYPE <NORMAL | PUBSUB>]", "TYPE=<NORMAL|PUBSUB>?");
    expect("[EX seconds | KEEPTTL]", "<EX=seconds|KEEPTTL>?");
    expect("TIMEOUT seconds key", "TIMEOUT=seconds key");
    expect("<host port | NO ONE>", "<{host port}|{NO ONE}>");
    expect("<LIB-NAME libname | LIB-VER libver>",
        "<LIB-NAME=libname|LIB-VER=libver>");
}

static void test_repetitions(void **state)
{
    (void)state;
    expect("key [key ...]", "key*");
    expect("key value [key value ...]", "{key value}*");
    expect("[section [section ...]]", "section?*");
    expect("command [arg [arg ...]]", "command arg?*");
    expect("[ID client-id [client-id ...]]", "ID=client-id?*");
    expect("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX=prefix?*+");
    expect("path [CONFIG name value [CONFIG name value ...]]",
        "path CONFIG={name value}?*+");
    expect("key [value ...]", "key value?*");
}

static void test_nesting(void **state)
{
    (void)state;
    expect("[protover [AUTH username password] [SETNAME clientname]]",
        "{protover AUTH={username password}? SETNAME=clientname?}?");
    expect("<ip:port | [ID client-id] [SKIPME yes/no]>",
        "<ip:port|{ID=client-id? SKIPME=yes/no?}>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_words),
        cmocka_unit_test(test_words_that_announce),
        cmocka_unit_test(test_repetitions),
        cmocka_unit_test(test_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
