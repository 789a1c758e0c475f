/* Any call of LMDB's may fail while a store is opened or read: it is refused
 * with path and reason, what was asked for is an error, and all is there when
 * calls work again. */
#include "tests/unit/nth_lmdb.h"
#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

NTH_LMDB_DEFINE_CALLS

enum { RECORDS = 20, LONG_KEY = 5000 };

/* What calls fail with, and what becomes of it. */
static const struct {
    int code;
    enum dry_result result;
} failures[] = {
    {ENOMEM, DRY_IO},
    {MDB_CORRUPTED, DRY_CORRUPT},
    {MDB_INVALID, DRY_CORRUPT},
    {MDB_VERSION_MISMATCH, DRY_FOREIGN},
    {MDB_BAD_RSLOT, DRY_IO},
};
enum { FAILURES = sizeof failures / sizeof *failures };

static size_t header_of(uint64_t id)
{
    return id == RECORDS / 2 ? LONG_KEY : 40;
}

static size_t payload_of(uint64_t id)
{
    return id * 1000;
}

static void plan(const char *function, unsigned nth, int code)
{
    nth_lmdb =
        (struct nth_lmdb){.function = function, .nth = nth, .code = code};
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture_init_in_ram(fixture, "calls");
    plan(NULL, 0, 0);
    *state = fixture;
    return 0;
}

static int setup_filled(void **state)
{
    setup(state);
    fixture_open(*state);
    for (uint64_t id = 1; id <= RECORDS; id++) {
        assert_int_equal(
            fixture_put(*state, id, header_of(id), payload_of(id)), DRY_OK);
    }
    return 0;
}

static int teardown(void **state)
{
    plan(NULL, 0, 0);
    fixture_finish(*state);
    free(*state);
    return 0;
}

static void expect_all(struct fixture *fixture)
{
    assert_int_equal(fixture_stats(fixture).record_count, RECORDS);
    for (uint64_t id = 1; id <= RECORDS; id++) {
        fixture_expect(fixture, id, header_of(id), payload_of(id));
    }
}

/* Opens while call `nth` fails; false: there were not as many calls. */
static bool open_badly(struct fixture *fixture, enum dry_result expected)
{
    enum dry_result result = fixture_try_open(fixture);
    bool failed = nth_lmdb.failed > 0;
    plan(NULL, 0, 0);
    if (result == DRY_OK) {
        /* Figures that could not be counted come with the next batch. */
        fixture_close(fixture);
        return failed;
    }
    assert_true(failed);
    assert_null(fixture->store);
    assert_int_equal(result, expected);
    assert_non_null(strstr(fixture->reason, fixture->path));
    return true;
}

/* How many of the function's calls were tried. */
static unsigned try_each(
    struct fixture *fixture, const char *function, unsigned failure)
{
    unsigned nth = 1;
    do {
        plan(function, nth++, failures[failure].code);
    } while (open_badly(fixture, failures[failure].result));
    return nth - 2;
}

static const char *const opened_with[] = {"mdb_env_create", "mdb_env_open",
    "mdb_env_get_fd", "mdb_env_set_mapsize", "mdb_env_set_maxreaders",
    "mdb_env_set_maxdbs", "mdb_reader_check", "mdb_txn_begin", "mdb_txn_commit",
    "mdb_dbi_open", "mdb_stat", "mdb_cursor_open", "mdb_cursor_get"};
enum { OPENED_WITH = sizeof opened_with / sizeof *opened_with };

static void any_call_of_opening_may_fail(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    for (unsigned i = 0; i < OPENED_WITH; i++) {
        for (unsigned failure = 0; failure < FAILURES; failure++) {
            assert_true(try_each(fixture, opened_with[i], failure) > 0);
        }
    }
    fixture_open(fixture);
    expect_all(fixture);
}

/* What is half made is no store, and nothing that is in the way of one. */
static void any_call_of_creation_may_fail(void **state)
{
    static const char *const further[] = {"mdb_env_sync", "mdb_put"};
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < OPENED_WITH + 2; i++) {
        const char *function =
            i < OPENED_WITH ? opened_with[i] : further[i - OPENED_WITH];
        unsigned nth = 1;
        do {
            directory_remove(fixture->path);
            plan(function, nth++, ENOMEM);
        } while (open_badly(fixture, DRY_IO));
        assert_true(nth > 2);
        fixture_open(fixture);
        assert_int_equal(fixture_put(fixture, 1, 10, 10), DRY_OK);
        fixture_expect(fixture, 1, 10, 10);
        fixture_close(fixture);
    }
    dry_lmdb_ops.close(NULL); /* what failed to open */
}

/* The format cannot be read: not a word of the file being another's. */
static void an_unread_format_is_no_foreign_file(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    assert_int_equal(try_each(fixture, "mdb_get", 0), 2);
    fixture_open(fixture);
    expect_all(fixture);
}

/* ---- reading ---- */

static bool count_row(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    uint64_t *rows = context;
    (*rows)++;
    return id > 0 && header.size > 0 && payload_bytes > 0;
}

static enum dry_result read_one(struct fixture *fixture, uint64_t id)
{
    char *data = NULL;
    size_t header_bytes, payload_bytes;
    enum dry_result result = fixture->store->ops->read(
        fixture->store, id, &data, &header_bytes, &payload_bytes);
    assert_true((result == DRY_OK) == (data != NULL));
    free(data);
    return result;
}

static enum dry_result read_long(struct fixture *fixture)
{
    return read_one(fixture, RECORDS / 2);
}

static enum dry_result read_last(struct fixture *fixture)
{
    return read_one(fixture, RECORDS);
}

static enum dry_result scan_all(struct fixture *fixture)
{
    uint64_t rows = 0;
    return fixture->store->ops->scan(fixture->store, 0, count_row, &rows);
}

static enum dry_result get_format(struct fixture *fixture)
{
    char *value = NULL;
    size_t size = 0;
    enum dry_result result =
        fixture->store->ops->get_system(fixture->store, "store", &value, &size);
    assert_true((result == DRY_OK) == (value != NULL));
    free(value);
    return result;
}

static enum dry_result sync_all(struct fixture *fixture)
{
    return fixture->store->ops->sync(fixture->store);
}

typedef enum dry_result call_fn(struct fixture *fixture);

/* Each call of each function that `call` makes, until none is left. */
static void any_call_of(struct fixture *fixture, call_fn *call,
    const char *const *functions, unsigned count)
{
    for (unsigned i = 0; i < count * FAILURES; i++) {
        unsigned failure = i % FAILURES, nth = 1;
        enum dry_result expected = failures[failure].result;
        for (;; nth++) {
            plan(functions[i / FAILURES], nth, failures[failure].code);
            enum dry_result result = call(fixture);
            bool failed = nth_lmdb.failed > 0;
            plan(NULL, 0, 0);
            assert_int_equal(result, failed ? expected : DRY_OK);
            if (!failed) {
                break;
            }
            assert_int_equal(call(fixture), DRY_OK);
        }
        assert_true(nth > 1);
    }
}

static void any_call_of_reading_may_fail(void **state)
{
    static const char *const of_read[] = {"mdb_txn_renew", "mdb_get"};
    static const char *const of_sync[] = {"mdb_env_sync"};
    struct fixture *fixture = *state;
    any_call_of(fixture, read_long, of_read, 2);
    any_call_of(fixture, read_last, of_read, 2);
    any_call_of(fixture, scan_all, of_read, 2);
    any_call_of(fixture, get_format, of_read, 2);
    any_call_of(fixture, sync_all, of_sync, 1);
    expect_all(fixture);
}

/* ---- many readers ---- */

enum { MANY = 20 };

struct reader {
    pthread_t thread;
    struct fixture *fixture;
    atomic_uint *reading; /* how many are, or have been */
    enum dry_result result;
};

/* Reads on when all others read too. */
static bool wait_for_all(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    struct reader *reader = context;
    if (id == 1) {
        atomic_fetch_add(reader->reading, 1);
    }
    while (atomic_load(reader->reading) < MANY) {
        sched_yield();
    }
    return header.size > 0 && payload_bytes > 0;
}

static void *read_with_others(void *argument)
{
    struct reader *reader = argument;
    struct dry_store *store = reader->fixture->store;
    reader->result = store->ops->scan(store, 0, wait_for_all, reader);
    if (reader->result != DRY_OK) {
        atomic_fetch_add(reader->reading, 1); /* nobody is to wait for it */
    }
    return NULL;
}

/* The table of readers is as large as it ever was; of the transactions no more
 * are kept than are asked for now. */
static void more_readers_than_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct reader readers[MANY];
    atomic_uint reading = 0;
    struct dry_open_options options = {.path = fixture->path,
        .limit_bytes = fixture->limit_bytes,
        .reader_threads = MANY};
    for (unsigned round = 0; round < 2; round++) {
        fixture_close(fixture);
        assert_int_equal(dry_lmdb_ops.open(&fixture->store, &options,
                             fixture->reason, sizeof fixture->reason),
            DRY_OK);
        options.reader_threads = 1;
    }
    for (unsigned i = 0; i < MANY; i++) {
        readers[i] = (struct reader){.fixture = fixture, .reading = &reading};
        assert_int_equal(pthread_create(&readers[i].thread, NULL,
                             read_with_others, &readers[i]),
            0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].result, DRY_OK);
    }
    expect_all(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            any_call_of_opening_may_fail, setup_filled, teardown),
        cmocka_unit_test_setup_teardown(
            any_call_of_creation_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_unread_format_is_no_foreign_file, setup_filled, teardown),
        cmocka_unit_test_setup_teardown(
            any_call_of_reading_may_fail, setup_filled, teardown),
        cmocka_unit_test_setup_teardown(
            more_readers_than_are_kept, setup_filled, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
