/* Any call of LMDB's may fail while a batch is written, whatever the reason:
 * the batch is refused with path and reason, nothing of it is there, and the
 * same batch is taken when calls work again. */
#include "tests/unit/nth_lmdb.h"
#include "tests/unit/store_fixture.h"

#include <errno.h>

NTH_LMDB_DEFINE_CALLS

enum {
    STAGED_BYTES = 9 << 20, /* more than is committed in one transaction */
    KEPT = 12,              /* records, of which a batch brings two */
    KEPT_LARGE = 4,
};

/* What calls fail with, and what becomes of it. */
static const struct {
    int code;
    enum dry_result result;
} failures[] = {
    {EIO, DRY_IO},
    {MDB_PANIC, DRY_IO},
    {MDB_CORRUPTED, DRY_CORRUPT},
    {MDB_MAP_FULL, DRY_FULL},
};
enum { FAILURES = sizeof failures / sizeof *failures };

struct game {
    struct fixture fixture;
    uint64_t next; /* id */
    uint64_t kept; /* records */
    size_t payload_bytes;
};

static int setup(void **state)
{
    struct game *game = calloc(1, sizeof *game);
    struct fixture *fixture = &game->fixture;
    fixture_init_in_ram(fixture, "calls");
    nth_lmdb = (struct nth_lmdb){.function = NULL};
    game->next = 1;
    game->kept = KEPT;
    game->payload_bytes = 6000;
    fixture_open(fixture);
    *state = game;
    return 0;
}

static int teardown(void **state)
{
    struct game *game = *state;
    nth_lmdb.function = NULL;
    fixture_finish(&game->fixture);
    free(game);
    return 0;
}

/* The system value goes with the batch: the id of its first record. */
static uint64_t newest(struct fixture *fixture)
{
    uint64_t id = 0;
    size_t size = 0;
    char *value = NULL;
    enum dry_result result = fixture->store->ops->get_system(
        fixture->store, "newest", &value, &size);
    if (result == DRY_OK) {
        assert_int_equal(size, sizeof id);
        memcpy(&id, value, sizeof id);
    } else {
        assert_int_equal(result, DRY_NOT_FOUND);
    }
    free(value);
    return id;
}

/* Two records and a system value; those of old batches go. */
static enum dry_result write_batch(struct game *game, bool frees)
{
    uint64_t id = game->next;
    struct dry_record records[] = {fixture_record(id, 30, game->payload_bytes),
        fixture_record(id + 1, 3000, 10)};
    struct dry_system_value value = {
        "newest", bytes_of((const char *)&id, sizeof id)};
    struct dry_batch_view batch = {.records = records,
        .record_count = 2,
        .system_values = &value,
        .system_value_count = 1,
        .keep_from = id > game->kept ? id - game->kept : 0,
        .sync = id % 4 == 1,
        .frees = frees};
    enum dry_result result = fixture_apply(&game->fixture, &batch);
    fixture_free(records, 2);
    return result;
}

/* The last batch that was taken is there, and nothing behind it. */
static void expect_before(struct game *game)
{
    struct fixture *fixture = &game->fixture;
    fixture_expect(fixture, game->next - 2, 30, game->payload_bytes);
    fixture_expect(fixture, game->next - 1, 3000, 10);
    fixture_expect_none(fixture, game->next);
    fixture_expect_none(fixture, game->next + 1);
    assert_int_equal(newest(fixture), game->next - 2);
}

static void write_well(struct game *game)
{
    assert_int_equal(write_batch(game, false), DRY_OK);
    game->next += 2;
    expect_before(game);
}

/* One batch while call `nth` fails; false: there were not as many calls. */
static bool write_badly(struct game *game, enum dry_result expected)
{
    bool frees = game->next % 4 == 3;
    enum dry_result result = write_batch(game, frees);
    bool failed = nth_lmdb.failed > 0;
    nth_lmdb.function = NULL;
    if (result == DRY_OK) {
        game->next += 2;
        expect_before(game);
        return failed;
    }
    assert_true(failed);
    assert_int_equal(result, expected);
    assert_non_null(strstr(game->fixture.reason, game->fixture.path));
    if (!nth_lmdb.for_ever) {
        expect_before(game);
    }
    write_well(game); /* the same again */
    return true;
}

/* How many of the function's calls have been tried. */
static unsigned try_each(
    struct game *game, const char *function, unsigned failure, bool for_ever)
{
    unsigned nth = 1, tried = 0;
    for (;;) {
        nth_lmdb = (struct nth_lmdb){.function = function,
            .nth = nth,
            .for_ever = for_ever,
            .code = failures[failure].code};
        if (!write_badly(game, failures[failure].result)) {
            return tried;
        }
        write_well(game);
        tried++;
        nth += nth < 4 ? 1 : nth / 2 + 1; /* there may be thousands */
    }
}

static void any_call_may_fail(void **state)
{
    static const char *const functions[] = {"mdb_txn_begin", "mdb_txn_renew",
        "mdb_txn_commit", "mdb_put", "mdb_stat", "mdb_cursor_open",
        "mdb_cursor_get", "mdb_cursor_put", "mdb_cursor_del"};
    struct game *game = *state;
    for (unsigned i = 0; i < KEPT; i++) {
        write_well(game);
    }
    for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) {
        for (unsigned failure = 0; failure < FAILURES; failure++) {
            /* From then on: in two of four cases, or it takes too long. */
            bool for_ever = (i + failure) % 2 == 0;
            assert_true(try_each(game, functions[i], failure, for_ever) > 0);
        }
    }
    fixture_reopen(&game->fixture);
    expect_before(game);
}

/* Payloads that were committed before the call that fails are taken out. */
static void any_call_of_a_large_batch_may_fail(void **state)
{
    static const char *const functions[] = {"mdb_txn_begin", "mdb_txn_commit"};
    struct game *game = *state;
    game->payload_bytes = STAGED_BYTES;
    game->kept = KEPT_LARGE;
    write_well(game);
    for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) {
        for (int ever = 0; ever < 2; ever++) {
            assert_true(try_each(game, functions[i], 0, ever) > 0);
        }
    }
    uint64_t used_bytes = fixture_stats(&game->fixture).used_bytes;
    assert_true(used_bytes < (uint64_t)(KEPT_LARGE / 2 + 2) * STAGED_BYTES);
    fixture_reopen(&game->fixture);
    expect_before(game);
}

static bool count_row(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    unsigned *rows = context;
    (*rows)++;
    return id > 0 && header.size > 0 && payload_bytes > 0;
}

/* What is read while nothing can be written is right, or refused. */
static void expect_right_or_refused(struct fixture *fixture)
{
    struct dry_store *store = fixture->store;
    struct dry_read read = {.id = 1}, *reads = &read;
    size_t size;
    unsigned rows = 0;
    char *value = NULL;
    store->ops->read_many(store, 0, &reads, 1);
    assert_true((read.result == DRY_OK) == (read.data != NULL));
    free(read.data);
    enum dry_result scanned = store->ops->scan(store, 0, count_row, &rows);
    assert_int_equal(rows, scanned == DRY_OK ? 2 : 0);
    enum dry_result got =
        store->ops->get_system(store, "newest", &value, &size);
    assert_true((got == DRY_OK) == (value != NULL));
    free(value);
    assert_true(read.result == DRY_OK || read.result == DRY_IO);
    assert_int_equal(scanned, read.result);
    assert_int_equal(got, read.result);
    assert_int_equal(store->ops->sync(store), read.result);
}

/* The environment is shut and does not open: all is refused until it does, and
 * then goes on. */
static void a_shut_store_refuses(void **state)
{
    struct game *game = *state;
    struct fixture *fixture = &game->fixture;
    write_well(game);
    nth_lmdb = (struct nth_lmdb){.function = "mdb_txn_begin",
        .nth = 1,
        .for_ever = true,
        .code = MDB_PANIC};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(write_batch(game, false), DRY_IO);
        assert_non_null(strstr(fixture->reason, fixture->path));
    }
    nth_lmdb.function = NULL;
    expect_right_or_refused(fixture);
    write_well(game);
    assert_int_equal(fixture->store->ops->sync(fixture->store), DRY_OK);
}

/* A commit that was reported as failed has got to the file: what it brought
 * gives way to what is written then. */
static void a_failed_commit_may_be_there(void **state)
{
    struct game *game = *state;
    struct fixture *fixture = &game->fixture;
    for (unsigned i = 0; i < KEPT; i++) {
        write_well(game);
        nth_lmdb = (struct nth_lmdb){
            .function = "mdb_txn_commit", .nth = 1, .code = EIO, .late = true};
        assert_int_equal(write_batch(game, false), DRY_IO);
        nth_lmdb.function = NULL;
        game->payload_bytes = 1000 * (1 + i % 3);
        if (i % 2 == 0) {
            assert_int_equal(fixture_put(fixture, game->next, 40, 5), DRY_OK);
            fixture_expect(fixture, game->next, 40, 5);
            fixture_expect_none(fixture, game->next + 1);
            game->next += 1;
        }
    }
    write_well(game);
    fixture_reopen(fixture);
    expect_before(game);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            any_call_of_a_large_batch_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shut_store_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_failed_commit_may_be_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
