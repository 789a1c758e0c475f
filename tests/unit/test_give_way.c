/* Who takes the core that a disk thread offers may keep it for long, but not
 * get it again at once: a machine that is busy with other programs would let
 * the thread do nothing else than offer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tiers/dry/give_way.h"

enum { MS = 1000000 };

static void a_loop_may_have_it_each_time(void **state)
{
    struct give_way way = {0};
    (void)state;
    give_way_waited(&way, 100 * MS, 101 * MS);
    assert_int_equal(way.not_before_ns, 0);
}

static void others_may_not(void **state)
{
    struct give_way way = {0};
    (void)state;
    give_way_waited(&way, 100 * MS, 104 * MS);
    assert_int_equal(way.not_before_ns, 108 * MS);
    give_way_waited(&way, 108 * MS, 109 * MS);
    assert_int_equal(way.not_before_ns, 108 * MS); /* past, and stays so */
}

/* Offered once in so many, and never before the time. */
static void it_is_offered_now_and_then(void **state)
{
    struct give_way way = {0};
    (void)state;
    for (unsigned i = 0; i < 15; i++) {
        give_way(&way, 16);
    }
    assert_int_equal(way.done, 15);
    way.not_before_ns = UINT64_MAX;
    give_way(&way, 16);
    assert_int_equal(way.done, 16);
    assert_int_equal(way.not_before_ns, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_may_have_it_each_time),
        cmocka_unit_test(others_may_not),
        cmocka_unit_test(it_is_offered_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
