/* The rules that make a user: what each does, and that one which is refused
 * leaves the user as it was. Random rules, described and applied again, give
 * the same user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "seed.h"
#include "server/acl_user.h"
#include "server/command.h"

static struct bytes word(const char *text)
{
    return bytes_of(text, strlen(text));
}

static enum acl_rule_result apply(struct acl_user *user, const char *rule)
{
    return acl_user_apply(user, word(rule), false);
}

/* Heap. */
static char *describe(const struct acl_user *user)
{
    struct acl_catalog *catalog = acl_catalog_create();
    struct text text;
    text_init(&text);
    acl_describe_user(catalog, user, &text);
    acl_catalog_destroy(catalog);
    return text.data;
}

static void assert_described(const struct acl_user *user, const char *expected)
{
    char *text = describe(user);
    assert_string_equal(text, expected);
    free(text);
}

static void test_results(void **state)
{
    static const struct {
        const char *rule;
        enum acl_rule_result result;
    } cases[] = {
        {"", ACL_RULE_OK},
        {"nonsense", ACL_RULE_SYNTAX},
        {"+", ACL_RULE_UNKNOWN},
        {"-", ACL_RULE_UNKNOWN},
        {"+@", ACL_RULE_UNKNOWN},
        {"+|", ACL_RULE_UNKNOWN},
        {"+||", ACL_RULE_UNKNOWN},
        {"+nothing|x", ACL_RULE_UNKNOWN},
        {"+get|", ACL_RULE_SYNTAX},
        {"+config|nothing", ACL_RULE_UNKNOWN},
        {"+config|get|x", ACL_RULE_SUB_ARGUMENT},
        {"-get|x", ACL_RULE_UNKNOWN},
        {"%", ACL_RULE_SYNTAX},
        {"%~x", ACL_RULE_SYNTAX},
        {"%RWR~x", ACL_RULE_SYNTAX},
        {"~a b", ACL_RULE_SYNTAX},
        {"&a\tb", ACL_RULE_SYNTAX},
        {"#12", ACL_RULE_BAD_HASH},
        {"!12", ACL_RULE_BAD_HASH},
        {"<secret", ACL_RULE_NO_PASSWORD},
        {"(", ACL_RULE_SYNTAX},
        {")", ACL_RULE_SYNTAX},
        {"(on)", ACL_RULE_SYNTAX},
        {"(~a +nothing)", ACL_RULE_UNKNOWN},
        {"(&* &a)", ACL_RULE_AFTER_ALL_CHANNELS},
        {"((+get))", ACL_RULE_SYNTAX},
    };
    (void)state;
    struct acl_user *user = acl_user_create("u", false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(apply(user, cases[i].rule), cases[i].result);
        assert_described(user, "off resetchannels -@all");
    }
    acl_user_destroy(user);
}

static void test_after_all(void **state)
{
    (void)state;
    struct acl_user *user = acl_user_create("u", true);
    assert_described(user, "off &* -@all");
    assert_int_equal(apply(user, "&a"), ACL_RULE_AFTER_ALL_CHANNELS);
    assert_int_equal(apply(user, "allkeys"), ACL_RULE_OK);
    assert_int_equal(apply(user, "~a"), ACL_RULE_AFTER_ALL_KEYS);
    assert_int_equal(apply(user, "resetkeys"), ACL_RULE_OK);
    assert_int_equal(apply(user, "~a"), ACL_RULE_OK);
    assert_described(user, "off ~a &* -@all");
    acl_user_destroy(user);
}

static void test_passwords(void **state)
{
    (void)state;
    struct acl_user *user = acl_user_create("u", false);
    apply(user, "on");
    assert_false(acl_user_accepts(user, BYTES("")));
    apply(user, ">one");
    apply(user, ">two");
    apply(user, ">one");
    assert_int_equal(user->password_count, 2);
    assert_true(acl_user_accepts(user, BYTES("one")));
    assert_true(acl_user_accepts(user, BYTES("two")));
    assert_false(acl_user_accepts(user, BYTES("three")));
    assert_int_equal(apply(user, "<one"), ACL_RULE_OK);
    assert_false(acl_user_accepts(user, BYTES("one")));
    assert_true(acl_user_accepts(user, BYTES("two")));
    apply(user, "off");
    assert_false(acl_user_accepts(user, BYTES("two")));
    apply(user, "on");
    apply(user, "nopass");
    assert_true(acl_user_accepts(user, BYTES("anything")));
    apply(user, "resetpass");
    assert_false(acl_user_accepts(user, BYTES("anything")));
    /* A well-known value of SHA-256. */
    char hash[ACL_HASH_BYTES];
    acl_hash_password(BYTES("abc"), hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223"
                              "b00361a396177a9cb410ff61f20015ad");
    acl_user_destroy(user);
}

static void test_selectors_in_pieces(void **state)
{
    (void)state;
    struct scratch scratch = {NULL};
    struct bytes words[] = {BYTES("on"), BYTES("(+get"), BYTES("~a"),
        BYTES("&b)"), BYTES("(+set)"), BYTES("off")};
    struct bytes out[6];
    int count;
    assert_int_equal(acl_join_selectors(words, 6, out, &count, &scratch), -1);
    assert_int_equal(count, 4);
    assert_true(bytes_equal(out[1], BYTES("(+get ~a &b)")));
    assert_true(bytes_equal(out[3], BYTES("off")));
    assert_int_equal(acl_join_selectors(words, 3, out, &count, &scratch), 1);
    scratch_reset(&scratch);
}

static void test_unrestricted(void **state)
{
    (void)state;
    struct acl_user *user = acl_user_create("u", false);
    static const char *const rules[] = {"+@all", "~*", "&*"};
    for (size_t i = 0; i < 3; i++) {
        acl_user_settle(user);
        assert_false(user->unrestricted);
        apply(user, rules[i]);
    }
    acl_user_settle(user);
    assert_true(user->unrestricted);
    apply(user, "-get");
    acl_user_settle(user);
    assert_false(user->unrestricted);
    apply(user, "(~* &* +@all)");
    acl_user_settle(user);
    assert_true(user->unrestricted);
    apply(user, "clearselectors");
    acl_user_settle(user);
    assert_false(user->unrestricted);
    acl_user_destroy(user);
}

/* A random rule about commands, keys or channels. */
static void make_rule(uint64_t *seed, char *out, size_t capacity)
{
    char name[COMMAND_NAME_MAX];
    const struct command *row =
        &command_rows[seed_next(seed) % command_row_count];
    unsigned category = (unsigned)(seed_next(seed) % command_category_count);
    char sign = seed_next(seed) % 2 == 0 ? '+' : '-';
    unsigned number = (unsigned)(seed_next(seed) % 4);
    switch (seed_next(seed) % 6) {
    case 0:
        snprintf(out, capacity, "%c@%s", sign,
            seed_next(seed) % 4 == 0 ? "all" : command_category_name(category));
        break;
    case 1:
    case 2:
        snprintf(out, capacity, "%c%s", sign,
            command_full_name(row, name, sizeof(name)));
        break;
    case 3:
        snprintf(out, capacity, "+select|%u", number);
        break;
    case 4:
        snprintf(out, capacity, "%s~k%u",
            number == 0   ? "%R"
            : number == 1 ? "%W"
                          : "",
            number);
        break;
    default:
        snprintf(out, capacity, "&c%u", number);
        break;
    }
}

static void apply_all(struct acl_user *user, const char *text)
{
    struct scratch scratch = {NULL};
    struct bytes words[2048], rules[2048];
    int count = 0, joined;
    for (const char *at = text; *at != '\0';) {
        size_t size = strcspn(at, " ");
        assert_true(count < 2048);
        words[count++] = bytes_of(at, size);
        at += size + (at[size] == ' ');
    }
    assert_int_equal(
        acl_join_selectors(words, count, rules, &joined, &scratch), -1);
    for (int i = 0; i < joined; i++) {
        assert_int_equal(acl_user_apply(user, rules[i], false), ACL_RULE_OK);
    }
    scratch_reset(&scratch);
}

static void assert_same(const struct acl_user *a, const struct acl_user *b)
{
    const struct acl_selector *left = a->root, *right = b->root;
    for (; left != NULL; left = left->next, right = right->next) {
        assert_non_null(right);
        for (unsigned i = 0; i < command_row_count; i++) {
            assert_int_equal(
                acl_selector_has(left, i), acl_selector_has(right, i));
        }
        assert_int_equal(left->keys.count, right->keys.count);
        assert_int_equal(left->channels.count, right->channels.count);
    }
    assert_null(right);
}

static void test_described_is_the_same(void **state)
{
    (void)state;
    uint64_t seed = seed_take("rules");
    for (int round = 0; round < 300; round++) {
        struct acl_user *user = acl_user_create("u", false);
        struct acl_user *again = acl_user_create("u", false);
        unsigned count = (unsigned)(seed_next(&seed) % 30);
        for (unsigned i = 0; i < count; i++) {
            char rule[128], selector[160];
            make_rule(&seed, rule, sizeof(rule));
            snprintf(selector, sizeof(selector), "(%s)", rule);
            bool apart = seed_next(&seed) % 8 == 0;
            assert_int_equal(apply(user, apart ? selector : rule), ACL_RULE_OK);
        }
        char *text = describe(user);
        apply_all(again, text);
        assert_same(user, again);
        assert_described(again, text);
        struct acl_user *copy = acl_user_create("u", true);
        acl_user_assign(copy, user);
        assert_described(copy, text);
        free(text);
        acl_user_destroy(user);
        acl_user_destroy(again);
        acl_user_destroy(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_after_all),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_selectors_in_pieces),
        cmocka_unit_test(test_unrestricted),
        cmocka_unit_test(test_described_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
