/* When a commit for a group of requests is begun: tiers/log_group.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tiers/log_group.h"

/* A commit for `size` requests, from 1,000 us on, that took `took_us`. */
static struct log_group after_commit(size_t size, uint64_t took_us)
{
    struct log_group group = {0};
    group_begin(&group, size, 1000);
    group_done(&group, 1000 + took_us);
    return group;
}

static void the_first_commit_waits_for_nobody(void **state)
{
    (void)state;
    struct log_group group = {0};
    assert_false(group_gathers(&group, 0, 5));
    assert_false(group_gathers(&group, 1, 5));
}

static void fewer_than_last_time_wait_for_the_others(void **state)
{
    (void)state;
    struct log_group group = after_commit(3, 400);
    assert_true(group_gathers(&group, 1, 1400));
    assert_true(group_gathers(&group, 2, 1400));
    assert_true(group.gathers);
    assert_false(group_gathers(&group, 3, 1400));
    assert_false(group.gathers);
    assert_false(group_gathers(&group, 4, 1400));
}

static void a_client_alone_never_waits(void **state)
{
    (void)state;
    struct log_group group = after_commit(1, 400);
    assert_false(group_gathers(&group, 1, 1400));
}

static void those_who_stay_away_hold_up_nobody(void **state)
{
    (void)state;
    struct log_group group = after_commit(50, 400);
    assert_true(group_gathers(&group, 1, 1799));
    assert_false(group_gathers(&group, 1, 1800)); /* as long as it took */
    group_begin(&group, 1, 1800);
    group_done(&group, 2200);
    assert_false(group_gathers(&group, 1, 2200)); /* and then no more */
}

static void a_slow_disk_is_waited_for_once(void **state)
{
    (void)state;
    struct log_group group = after_commit(50, 1000000);
    assert_true(group_gathers(&group, 1, 1001000 + 1999));
    assert_false(group_gathers(&group, 1, 1001000 + 2000));
}

static void after_a_failure_nobody_waits(void **state)
{
    (void)state;
    struct log_group group = after_commit(50, 400);
    assert_true(group_gathers(&group, 1, 1500));
    group_begin(&group, 1, 1500); /* never done */
    assert_false(group_gathers(&group, 0, 1600));
    assert_false(group.gathers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_commit_waits_for_nobody),
        cmocka_unit_test(fewer_than_last_time_wait_for_the_others),
        cmocka_unit_test(a_client_alone_never_waits),
        cmocka_unit_test(those_who_stay_away_hold_up_nobody),
        cmocka_unit_test(a_slow_disk_is_waited_for_once),
        cmocka_unit_test(after_a_failure_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
