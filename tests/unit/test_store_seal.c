/* One LMDB store: what a seal has to tell apart, a plan for each. */
#include "tests/unit/store_disk.h"

#include <lmdb.h>

static void expect_open(struct fixture *fixture)
{
    must(fixture_try_open(fixture) == DRY_OK, "cannot be opened", fixture);
    expect_all(fixture);
}

static void must_write(struct fixture *fixture)
{
    uint64_t last = disk->acknowledged;
    uint64_t keep_from = disk->tried_keep = last > 20 ? last - 20 : 0;
    must(
        put_batch(fixture, keep_from, false) == DRY_OK, "not written", fixture);
}

static void live_well(struct fixture *fixture)
{
    expect_open(fixture);
    must_write(fixture);
    must_write(fixture);
    expect_all(fixture);
}

/* So that there are free pages, and what is written next goes there. */
static void live_long(struct fixture *fixture)
{
    expect_open(fixture);
    for (int i = 0; i < 20; i++) {
        must_write(fixture);
    }
}

static void must_fail_meta(struct fixture *fixture)
{
    disk->fail_meta = true;
    must(put_batch(fixture, 0, false) == DRY_IO, "did not fail", fixture);
}

static void die_taking_back(struct fixture *fixture)
{
    expect_open(fixture);
    must_write(fixture);
    disk->kill_undo = true;
    must_fail_meta(fixture);
    must(false, "not killed", fixture);
}

static void die_taking_back_again(struct fixture *fixture)
{
    expect_open(fixture);
    must_write(fixture);
    /* Something else, or it would write the same to the same pages. */
    disk->fail_meta = true;
    disk->tried_keep++;
    must(fixture_keep_from(fixture, disk->tried_keep) == DRY_IO, "did not fail",
        fixture);
    disk->kill_undo = true;
    must_fail_meta(fixture);
    must(false, "not killed", fixture);
}

static void fail_nothing(void)
{
    disk->fail_from = disk->fail_until = disk->kill_at = 0;
    disk->only_flushes = false;
    disk->fail_meta = disk->kill_undo = disk->kill_seal = false;
}

/* LMDB cannot write a meta page, restores the number in it, and leaves there
 * the roots of the commit that failed. What these lead to is not on the disk,
 * or not all, and is not to be followed, nor compared with. */
static void test_meta_half_restored(void **state)
{
    static const size_t kept[] = {2, PAGES};
    one_life(*state, live_long);
    for (int i = 0; i < 8; i++) { /* each in both meta pages */
        one_life(
            *state, i / 2 % 2 == 0 ? die_taking_back : die_taking_back_again);
        fail_nothing();
        cut_power_but(0, kept[i / 4], false);
        one_life(*state, live_well);
    }
}

static void fail_flushes(unsigned count, int error)
{
    disk->only_flushes = true;
    disk->error = error;
    disk->fail_from = disk->calls + 1;
    disk->fail_until = disk->fail_from + count;
}

static void die_sealing(struct fixture *fixture)
{
    expect_open(fixture);
    must_write(fixture);
    fail_flushes(1, EIO);
    must(put_batch(fixture, 0, false) == DRY_IO, "did not fail", fixture);
    disk->kill_seal = true;
    must_write(fixture);
    must(false, "not killed", fixture);
}

/* Somebody else has LMDB's table of readers open, which then keeps the number
 * of the commit that was taken back: the next one has the number after it, and
 * its meta page takes the place of the one that was gone back to. */
static void test_number_left_out(void **state)
{
    struct fixture *fixture = *state;
    MDB_env *env;
    one_life(fixture, live_long);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mdb_env_create(&env), 0);
        assert_int_equal(mdb_env_open(env, fixture->path, MDB_RDONLY, 0600), 0);
        one_life(fixture, die_sealing);
        mdb_env_close(env);
        fail_nothing();
        cut_power_but(0, 2, true);
        one_life(fixture, live_well);
    }
}

static void live_with_full_disk(struct fixture *fixture)
{
    expect_open(fixture);
    must(!fixture_stats(fixture).tight, "no reserve", fixture);
    fail_flushes(2, ENOSPC); /* and what takes it back */
    must(put_batch(fixture, 0, true) == DRY_OK, "not written", fixture);
    must_write(fixture);
    expect_all(fixture);
}

/* The second try of a batch begins with what the first could not do: to take
 * itself back. */
static void test_second_try(void **state)
{
    one_life(*state, live_with_full_disk);
    assert_int_equal(disk->failures, 2);
    fail_nothing();
    cut_power();
    one_life(*state, live_well);
}

/* ---- files of before there were seals ---- */

static void settle_page(const char *file, size_t page)
{
    disk->touched[page] = 1;
    memcpy(disk->durable + page * PAGE, file + page * PAGE, PAGE);
}

/* As a program without seals leaves it; all of it is on the disk. */
static void make_old(void)
{
    static const char text[] = "larder dry log, format 2";
    enum { SEAL_AT = 512 };
    struct stat status;
    int fd = open_data();
    assert_int_equal(fstat(fd, &status), 0);
    size_t size = (size_t)status.st_size;
    char *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(file != MAP_FAILED);
    char *at = memmem(file, size, text, strlen(text));
    assert_non_null(at);
    for (; at != NULL; at = memmem(at, file + size - at, text, strlen(text))) {
        at[strlen(text) - 1] = '1';
        settle_page(file, (size_t)(at - file) / PAGE);
    }
    for (size_t i = 0; i < 2; i++) {
        memset(file + i * PAGE + SEAL_AT, 0, PAGE - SEAL_AT);
        settle_page(file, i);
    }
    memset(disk->dirty, 0, sizeof(disk->dirty));
    munmap(file, size);
    close(fd);
}

static void live_whole(struct fixture *fixture)
{
    expect_open(fixture);
    must(fixture->reason[0] == '\0', "taken back", fixture);
    must_write(fixture);
}

/* It is killed at each call while it opens such a file for the first time, and
 * of what was not flushed then one meta page is on the disk, or all. Nothing
 * may be taken back, if only the new format: a program without seals could
 * write to it then, and that would be taken back. */
static void test_old_file(void **state)
{
    static const size_t kept[][2] = {{0, 1}, {1, 2}, {0, PAGES}};
    one_life(*state, live_well);
    for (unsigned call = 1; call <= 17; call++) {
        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
            make_old();
            disk->kill_at = call;
            one_life(*state, live_whole);
            fail_nothing();
            cut_power_but(kept[i][0], kept[i][1], true);
            one_life(*state, live_whole);
        }
    }
    assert_true(disk->kills > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_meta_half_restored, disk_setup, disk_teardown),
        cmocka_unit_test_setup_teardown(
            test_number_left_out, disk_setup, disk_teardown),
        cmocka_unit_test_setup_teardown(
            test_second_try, disk_setup, disk_teardown),
        cmocka_unit_test_setup_teardown(
            test_old_file, disk_setup, disk_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
