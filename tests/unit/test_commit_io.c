/* Any read, write or flush may fail, or come short, while a batch is written:
 * it is refused with path and reason, and taken when it is given again. */
#include "tests/unit/nth_io.h"
#include "tests/unit/store_fixture.h"

NTH_IO_DEFINE_CALLS

enum { FIRST = 20 };

struct game {
    struct fixture fixture;
    uint64_t next; /* id */
};

static int setup(void **state)
{
    struct game *game = calloc(1, sizeof *game);
    struct fixture *fixture = &game->fixture;
    fixture_init_in_ram(fixture, "io");
    nth_io_plan(NTH_NONE, 0, false);
    fixture_open(fixture);
    for (game->next = 1; game->next <= FIRST; game->next++) {
        assert_int_equal(fixture_put(fixture, game->next, 30, 9000), DRY_OK);
    }
    *state = game;
    return 0;
}

static int teardown(void **state)
{
    struct game *game = *state;
    nth_io_plan(NTH_NONE, 0, false);
    fixture_finish(&game->fixture);
    free(game);
    return 0;
}

/* A record, and an old one less. */
static enum dry_result write_one(struct game *game)
{
    struct dry_record record = fixture_record(game->next, 30, 9000);
    struct dry_batch_view batch = {.records = &record,
        .record_count = 1,
        .keep_from = game->next - FIRST,
        .sync = game->next % 2 == 0};
    enum dry_result result = fixture_apply(&game->fixture, &batch);
    fixture_free(&record, 1);
    return result;
}

/* Writes while call `nth` fails; false: there were not as many calls. */
static bool write_badly(
    struct game *game, enum nth_kind kind, unsigned nth, bool comes_short)
{
    struct fixture *fixture = &game->fixture;
    nth_io_plan(kind, nth, comes_short);
    enum dry_result result = write_one(game);
    bool failed = nth_io.failed > 0;
    nth_io_plan(NTH_NONE, 0, false);
    if (result != DRY_OK) {
        assert_true(failed);
        assert_int_equal(result, DRY_IO);
        assert_non_null(strstr(fixture->reason, fixture->path));
        fixture_expect(fixture, game->next - 1, 30, 9000);
        assert_int_equal(write_one(game), DRY_OK);
    }
    fixture_expect(fixture, game->next - 1, 30, 9000);
    fixture_expect(fixture, game->next, 30, 9000);
    game->next++;
    return failed;
}

static void write_while(struct game *game, enum nth_kind kind, bool comes_short)
{
    struct fixture *fixture = &game->fixture;
    unsigned nth = 1;
    while (write_badly(game, kind, nth, comes_short)) {
        nth++;
        if (nth % 4 == 0) {
            fixture_reopen(fixture);
            fixture_expect(fixture, game->next - 1, 30, 9000);
        }
    }
    fixture_reopen(fixture);
    fixture_expect(fixture, game->next - 1, 30, 9000);
    assert_int_equal(fixture_stats(fixture).last_id, game->next - 1);
}

static void any_write_may_fail(void **state)
{
    struct game *game = *state;
    uint64_t before = game->next;
    write_while(game, NTH_WRITE, false);
    assert_true(game->next > before + 3);
    write_while(game, NTH_WRITE, true);
}

static void any_flush_may_fail(void **state)
{
    write_while(*state, NTH_SYNC, false);
}

static void any_read_may_fail(void **state)
{
    write_while(*state, NTH_READ, false);
    write_while(*state, NTH_READ, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_write_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(any_flush_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(any_read_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
