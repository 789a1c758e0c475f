/* Power cuts, kills and calls that fail, in any order, on one LMDB store. */
#include "tests/unit/store_disk.h"

enum { BATCHES = 8 }; /* that one process writes */

static void write_batch(struct fixture *fixture)
{
    uint64_t first = disk->acknowledged + 1, keep_from = 0;
    if (first > 20 && below(3) == 0) {
        keep_from = first - 20 + below(10);
        disk->tried_keep =
            keep_from > disk->tried_keep ? keep_from : disk->tried_keep;
    }
    put_batch(fixture, keep_from, below(2) == 0);
}

static void live(struct fixture *fixture)
{
    bool calm = disk->fail_from == 0;
    enum dry_result result = fixture_try_open(fixture);
    must(
        result == DRY_OK || (!calm && (result == DRY_IO || result == DRY_FULL)),
        "cannot be opened", fixture);
    if (result != DRY_OK) {
        return;
    }
    expect_all(fixture);
    for (int i = 0; i < BATCHES; i++) {
        write_batch(fixture);
    }
    if (calm) {
        expect_all(fixture);
    }
    if (below(3) == 0) {
        fixture_close(fixture);
    }
}

/* ---- many of them ---- */

/* Often one of the first, while it opens. */
static unsigned some_call(void)
{
    return 1 + (unsigned)below(below(2) == 0        ? 4
                               : disk->only_flushes ? 12
                                                    : 70);
}

static void plan_life(void)
{
    disk->only_flushes = below(2) == 0;
    disk->kill_at = below(2) == 0 ? 0 : some_call();
    disk->fail_from = below(2) == 0 ? 0 : some_call();
    disk->fail_until = disk->fail_from;
    if (disk->fail_from != 0) {
        disk->fail_until += below(3) == 0 ? 1000 : 1 + (unsigned)below(4);
        if (below(3) == 0) {
            disk->kill_at = disk->fail_from + (unsigned)below(5);
        }
    }
    disk->error = below(2) == 0 ? EIO : ENOSPC;
}

static void test_cuts(void **state)
{
    const char *rounds = getenv("LARDER_CUTS");
    for (int i = rounds != NULL ? atoi(rounds) : 300; i > 0; i--) {
        plan_life();
        one_life(*state, live);
        if (below(2) == 0) {
            cut_power();
        }
    }
    assert_true(disk->commits > 100 && disk->failures > 100);
    assert_true(disk->kills > 20 && disk->losses > 100);
}

/* Each call of several commits fails, and the second or third after it never
 * comes: what LMDB does about a failed meta page is half of it. */
static void test_failed_and_killed(void **state)
{
    for (unsigned call = 1; call <= 30; call++) {
        for (unsigned more = 2; more <= 3; more++) {
            disk->fail_from = call;
            disk->fail_until = call + 1;
            disk->kill_at = call + more;
            disk->error = EIO;
            one_life(*state, live);
            disk->fail_from = disk->fail_until = disk->kill_at = 0;
            one_life(*state, live);
        }
    }
    assert_true(disk->failures > 50 && disk->kills > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_failed_and_killed, disk_setup, disk_teardown),
        cmocka_unit_test_setup_teardown(test_cuts, disk_setup, disk_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
