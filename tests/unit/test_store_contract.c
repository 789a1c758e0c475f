/* What every dry store promises, asked of each implementation. */
#include "tests/unit/store_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "tiers/dry/fault.h"

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, *state);
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(*state);
    free(*state);
    return 0;
}

static bool count_one(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    (void)id;
    (void)header;
    (void)payload_bytes;
    ++*(size_t *)context;
    return true;
}

static void test_empty(void **state)
{
    struct fixture *fixture = *state;
    struct dry_store *store = fixture->store;
    size_t count = 0, size;
    char *value;
    struct stat status;

    for (int round = 0; round < 2; round++) {
        struct dry_stats stats = fixture_stats(fixture);
        assert_int_equal(stats.first_id, 0);
        assert_int_equal(stats.last_id, 0);
        assert_int_equal(stats.record_count, 0);
        assert_int_equal(stats.limit_bytes, fixture->limit_bytes);
        fixture_expect_none(fixture, 0);
        fixture_expect_none(fixture, 1);
        assert_int_equal(store->ops->scan(store, 0, count_one, &count), DRY_OK);
        assert_int_equal(count, 0);
        assert_int_equal(store->ops->get_system(store, "none", &value, &size),
            DRY_NOT_FOUND);
        assert_int_equal(fixture_keep_from(fixture, 100), DRY_OK);
        assert_int_equal(store->ops->sync(store), DRY_OK);
        fixture_reopen(fixture);
        store = fixture->store;
    }
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

/* ---- values of every size ---- */

static const size_t sizes[] = {0, 1, 2, 255, 1000, 1024, 2018, 2022, 2023, 2040,
    4079, 4080, 4081, 4096, 8159, 8160, 8161, 20000, 1 << 20, 40 << 20};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void expect_sizes(struct fixture *fixture, uint64_t first)
{
    for (size_t i = 0; i < SIZES; i++) {
        fixture_expect(fixture, first + i, i * 7, sizes[i]);
    }
}

static void test_sizes(void **state)
{
    struct fixture *fixture = *state;
    struct dry_record records[SIZES];

    for (size_t i = 0; i < SIZES; i++) {
        records[i] = fixture_record(i + 1, i * 7, sizes[i]);
    }
    struct dry_batch_view batch = {.records = records, .record_count = SIZES};
    assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    fixture_free(records, SIZES);
    expect_sizes(fixture, 1);
    fixture_reopen(fixture);
    expect_sizes(fixture, 1);
    for (size_t i = 0; i < SIZES; i++) {
        assert_int_equal(
            fixture_put(fixture, 100 + i, i * 7, sizes[i]), DRY_OK);
    }
    expect_sizes(fixture, 100);
    fixture_reopen(fixture);
    expect_sizes(fixture, 1);
    expect_sizes(fixture, 100);
}

static void test_large_headers(void **state)
{
    struct fixture *fixture = *state;
    const size_t headers[] = {0, 1, 2010, 2011, 2012, 4068, 4069, 100000};

    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(fixture_put(fixture, 5 + i, headers[i], i), DRY_OK);
    }
    fixture_reopen(fixture);
    for (size_t i = 0; i < 8; i++) {
        fixture_expect(fixture, 5 + i, headers[i], i);
    }
}

/* ---- scanning ---- */

struct seen {
    uint64_t next;
    size_t count, limit;
};

static bool see(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    struct seen *seen = context;
    struct dry_record record = fixture_record(id, header.size, 0);
    assert_int_equal(id, seen->next);
    assert_int_equal(header.size, id % 100);
    assert_int_equal(payload_bytes, id % 3000);
    assert_memory_equal(header.data, record.header.data, header.size);
    fixture_free(&record, 1);
    seen->next += 2;
    return ++seen->count < seen->limit;
}

static void test_scan(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 5000 };
    struct dry_record *records = calloc(COUNT, sizeof(*records));

    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t id = 2 * i + 2;
        records[i] = fixture_record(id, id % 100, id % 3000);
    }
    struct dry_batch_view batch = {.records = records, .record_count = COUNT};
    assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    fixture_free(records, COUNT);
    free(records);

    const struct dry_ops *ops = fixture->store->ops;
    struct seen all = {.next = 2, .limit = COUNT + 1};
    assert_int_equal(ops->scan(fixture->store, 0, see, &all), DRY_OK);
    assert_int_equal(all.count, COUNT);
    struct seen part = {.next = 4002, .limit = 7};
    assert_int_equal(ops->scan(fixture->store, 4001, see, &part), DRY_OK);
    assert_int_equal(part.count, 7);
    part.limit = COUNT;
    assert_int_equal(ops->scan(fixture->store, part.next, see, &part), DRY_OK);
    assert_int_equal(part.count, COUNT - 2000);
    struct seen none = {.limit = 1};
    assert_int_equal(
        ops->scan(fixture->store, 2 * COUNT + 1, see, &none), DRY_OK);
    assert_int_equal(none.count, 0);
}

/* ---- system values ---- */

static void expect_system(
    struct fixture *fixture, const char *name, struct bytes expected)
{
    char *value;
    size_t size;
    assert_int_equal(
        fixture->store->ops->get_system(fixture->store, name, &value, &size),
        DRY_OK);
    assert_true(bytes_equal(bytes_of(value, size), expected));
    free(value);
}

static void test_system(void **state)
{
    struct fixture *fixture = *state;
    struct dry_system_value values[] = {
        {"secret", BYTES("0123456789abcdef")}, {"clean", BYTES("")}};
    struct dry_batch_view batch = {
        .system_values = values, .system_value_count = 2, .sync = true};

    assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    fixture_reopen(fixture);
    expect_system(fixture, "secret", BYTES("0123456789abcdef"));
    expect_system(fixture, "clean", BYTES(""));
    values[0].value = BYTES("x\0y");
    batch.system_value_count = 1;
    assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    fixture_reopen(fixture);
    expect_system(fixture, "secret", BYTES("x\0y"));
    expect_system(fixture, "clean", BYTES(""));
}

/* ---- removal ---- */

static size_t size_of(uint64_t id)
{
    return id % 17 == 0 ? 30000 : id % 5 == 0 ? 0 : id * 37 % 5000;
}

static void test_remove(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = 0, first = 1, largest_bytes = 0;

    for (int round = 0; round < 60; round++) {
        struct dry_record records[100];
        for (size_t i = 0; i < 100; i++) {
            uint64_t id = ++last;
            records[i] = fixture_record(id, id % 90, size_of(id));
        }
        first = last > 500 ? last - 500 + (uint64_t)round % 7 : 0;
        struct dry_batch_view batch = {
            .records = records, .record_count = 100, .keep_from = first};
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
        fixture_free(records, 100);
        struct dry_stats stats = fixture_stats(fixture);
        assert_int_equal(stats.first_id, first == 0 ? 1 : first);
        assert_int_equal(stats.last_id, last);
        assert_int_equal(
            stats.record_count, last - (first == 0 ? 1 : first) + 1);
        if (round == 20) {
            largest_bytes = stats.used_bytes + stats.free_bytes;
        }
    }
    struct dry_stats stats = fixture_stats(fixture);
    assert_true(stats.used_bytes + stats.free_bytes <= largest_bytes * 3 / 2);
    fixture_reopen(fixture);
    for (uint64_t id = 1; id <= last; id++) {
        if (id < first) {
            fixture_expect_none(fixture, id);
        } else {
            fixture_expect(fixture, id, id % 90, size_of(id));
        }
    }
    assert_int_equal(fixture_keep_from(fixture, last + 1), DRY_OK);
    assert_int_equal(fixture_stats(fixture).record_count, 0);
    assert_int_equal(fixture_put(fixture, last + 1, 3, 5000), DRY_OK);
    fixture_reopen(fixture);
    fixture_expect(fixture, last + 1, 3, 5000);
}

/* Random batches beside a model of two numbers: ids [first, next) are there. */
static void test_model(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = 0x1234567, first = 1, next = 1;

    for (int round = 0; round < 150; round++) {
        struct dry_record records[40];
        size_t count = seed_below(&random, 40);
        for (size_t i = 0; i < count; i++) {
            records[i] = fixture_record(next, next % 70, size_of(next));
            next++;
        }
        struct dry_batch_view batch = {.records = records,
            .record_count = count,
            .sync = seed_below(&random, 8) == 0};
        if (seed_below(&random, 3) == 0 && next > first) {
            first += seed_below(&random, next - first + 1);
            batch.keep_from = first;
        }
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
        fixture_free(records, count);
        if (seed_below(&random, 10) == 0) {
            fixture_reopen(fixture);
        }
        if (first < next) {
            uint64_t id = first + seed_below(&random, next - first);
            fixture_expect(fixture, id, id % 70, size_of(id));
            fixture_expect(fixture, first, first % 70, size_of(first));
        }
        fixture_expect_none(fixture, first - 1);
        fixture_expect_none(fixture, next);
        assert_int_equal(fixture_stats(fixture).record_count, next - first);
    }
}

/* ---- one owner ---- */

static void test_second_open(void **state)
{
    struct fixture *fixture = *state;
    struct fixture second = *fixture;

    assert_int_equal(fixture_put(fixture, 1, 10, 10), DRY_OK);
    assert_int_equal(fixture_try_open(&second), DRY_IO);
    assert_null(second.store);
    assert_non_null(strstr(second.reason, fixture->path));
    assert_non_null(strstr(second.reason, "in use"));
    fixture_expect(fixture, 1, 10, 10);
    fixture_reopen(fixture);
    fixture_expect(fixture, 1, 10, 10);
}

/* ---- several reads at once ---- */

enum { MANY = 200 };

static size_t many_header_size(uint64_t id)
{
    return id % 50 == 0 ? 5000 : 20;
}

static void expect_read(const struct dry_read *read)
{
    if (read->id > MANY) {
        assert_int_equal(read->result, DRY_NOT_FOUND);
        assert_null(read->data);
        return;
    }
    fixture_expect_read(read, many_header_size(read->id), size_of(read->id));
}

/* Ids in random order, some twice, some that are not there, rows that have
 * pages of their own, payloads of no and of many pages. */
static void test_many(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = 4711;
    for (uint64_t id = 1; id <= MANY; id++) {
        assert_int_equal(
            fixture_put(fixture, id, many_header_size(id), size_of(id)),
            DRY_OK);
    }
    for (size_t round = 0; round < 40; round++) {
        struct dry_read reads[MANY], *pointers[MANY];
        size_t count = seed_below(&random, MANY);
        for (size_t i = 0; i < count; i++) {
            reads[i] = (struct dry_read){.id = seed_below(&random, MANY + 20)};
            reads[i].id += reads[i].id == 0;
            pointers[i] = &reads[i];
        }
        fixture->store->ops->read_many(fixture->store, 0, pointers, count);
        for (size_t i = 0; i < count; i++) {
            expect_read(&reads[i]);
            free(reads[i].data);
        }
    }
}

/* ---- readers beside the writer ---- */

enum { LAST_ID = 600, KEPT_IDS = 300 };

struct reading {
    struct fixture *fixture;
    atomic_uint_fast64_t *last;
    uint64_t seed;
};

static void *read_on(void *argument)
{
    struct reading *reading = argument;
    struct dry_store *store = reading->fixture->store;
    uint64_t random = reading->seed, last;
    size_t wrong = 0;
    while ((last = atomic_load(reading->last)) < LAST_ID) {
        uint64_t id = 1 + seed_below(&random, last + 1);
        size_t header_bytes, payload_bytes;
        char *data;
        enum dry_result result =
            store->ops->read(store, id, &data, &header_bytes, &payload_bytes);
        struct dry_record record = fixture_record(id, 20, size_of(id));
        if (result == DRY_OK) {
            wrong += payload_bytes != size_of(id) ||
                     memcmp(data, record.header.data, 20 + payload_bytes) != 0;
        } else {
            wrong += result != DRY_NOT_FOUND;
        }
        fixture_free(&record, 1);
        free(data);
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    atomic_uint_fast64_t last = 0;
    pthread_t threads[4];
    struct reading readings[4];

    for (size_t i = 0; i < 4; i++) {
        readings[i] = (struct reading){fixture, &last, i + 99};
        assert_int_equal(
            pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    for (uint64_t id = 1; id <= LAST_ID; id++) {
        struct dry_record record = fixture_record(id, 20, size_of(id));
        struct dry_batch_view batch = {.records = &record,
            .record_count = 1,
            .keep_from = id > KEPT_IDS && id % 10 == 0 ? id - KEPT_IDS : 0};
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
        fixture_free(&record, 1);
        atomic_store(&last, id);
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

/* ---- killed at any moment ---- */

enum { BATCH = 7 };

/* Applies batches until it is killed; says the last id after each. */
static _Noreturn void write_until_killed(struct fixture *fixture, int pipe_fd)
{
    uint64_t id = fixture_stats(fixture).last_id;
    for (;;) {
        struct dry_record records[BATCH];
        for (size_t i = 0; i < BATCH; i++) {
            id++;
            size_t size = id % 50 == 0 ? (size_t)36 << 20 : size_of(id);
            records[i] = fixture_record(id, 9, size);
        }
        struct dry_batch_view batch = {.records = records,
            .record_count = BATCH,
            .keep_from = id > 200 ? id - 200 : 0};
        if (fixture_apply(fixture, &batch) != DRY_OK ||
            write(pipe_fd, &id, sizeof(id)) != sizeof(id)) {
            _exit(1);
        }
        fixture_free(records, BATCH);
    }
}

static uint64_t check_after_kill(struct fixture *fixture, uint64_t said)
{
    fixture_open(fixture);
    struct dry_stats stats = fixture_stats(fixture);
    assert_true(stats.last_id >= said);
    assert_int_equal(stats.last_id % BATCH, 0);
    assert_true(stats.last_id <= said + BATCH);
    for (uint64_t id = stats.first_id; id > 0 && id <= stats.last_id; id++) {
        size_t size = id % 50 == 0 ? (size_t)36 << 20 : size_of(id);
        fixture_expect(fixture, id, 9, size);
    }
    return stats.last_id;
}

static void test_kill(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = seed_take("kills"), said = 0;

    for (int round = 0; round < 12; round++) {
        int fds[2];
        fixture_close(fixture);
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            fixture_open(fixture);
            write_until_killed(fixture, fds[1]);
        }
        close(fds[1]);
        usleep((useconds_t)seed_below(&random, 150000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        uint64_t id;
        while (read(fds[0], &id, sizeof(id)) == sizeof(id)) {
            said = id;
        }
        close(fds[0]);
        said = check_after_kill(fixture, said); /* or more than it said */
    }
}

/* ---- the decorator itself ---- */

static void test_faults(void **state)
{
    struct fixture *fixture = *state;
    struct fault_plan once = {
        .action = FAULT_FAIL, .first = 2, .result = DRY_FULL};
    struct fault_call calls[8];
    size_t header_bytes, payload_bytes;
    char *data;

    fault_plan(fixture->store, FAULT_APPLY, &once);
    assert_int_equal(fixture_put(fixture, 1, 5, 5), DRY_OK);
    assert_int_equal(fixture_put(fixture, 2, 5, 5), DRY_FULL);
    assert_string_equal(fixture->reason, "planned: no room on disk");
    fixture_expect_none(fixture, 2);
    assert_int_equal(fixture_put(fixture, 2, 5, 5), DRY_OK);
    fixture_expect(fixture, 2, 5, 5);
    assert_int_equal(fault_count(fixture->store, FAULT_APPLY), 3);
    struct fault_plan always = {.action = FAULT_FAIL,
        .first = 3,
        .for_ever = true,
        .result = DRY_CORRUPT};
    fault_plan(fixture->store, FAULT_READ, &always);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture->store->ops->read(fixture->store, 1, &data,
                             &header_bytes, &payload_bytes),
            DRY_CORRUPT);
    }
    fault_plan(fixture->store, FAULT_READ, NULL);
    fixture_expect(fixture, 1, 5, 5);
    assert_int_equal(fault_calls(fixture->store, calls, 8), 8);
    assert_int_equal(calls[7].op, FAULT_READ);
    assert_int_equal(calls[7].id, 1);
    assert_int_equal(calls[7].result, DRY_OK);
    assert_int_equal(calls[6].result, DRY_CORRUPT);
}

static void kill_at(struct fixture *fixture, enum fault_action action)
{
    fixture_close(fixture);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fault_plan plan = {.action = action, .first = 2};
        fixture_open(fixture);
        uint64_t id = fixture_stats(fixture).last_id;
        fault_plan(fixture->store, FAULT_APPLY, &plan);
        fixture_put(fixture, id + 1, 5, 9000);
        fixture_put(fixture, id + 2, 5, 9000);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fixture_open(fixture);
}

static void test_kill_points(void **state)
{
    struct fixture *fixture = *state;
    kill_at(fixture, FAULT_KILL_BEFORE);
    assert_int_equal(fixture_stats(fixture).last_id, 1);
    kill_at(fixture, FAULT_KILL_AFTER);
    assert_int_equal(fixture_stats(fixture).last_id, 3);
    fixture_expect(fixture, 3, 5, 9000);
}

static const struct {
    const char *name;
    CMUnitTestFunction function;
    const struct dry_ops *only; /* NULL: for every store */
} tests[] = {
    {"empty", test_empty, NULL},
    {"sizes", test_sizes, NULL},
    {"large headers", test_large_headers, NULL},
    {"scan", test_scan, NULL},
    {"system values", test_system, NULL},
    {"remove", test_remove, NULL},
    {"model", test_model, NULL},
    {"second open", test_second_open, NULL},
    {"many at once", test_many, NULL},
    {"threads", test_threads, NULL},
    {"kill", test_kill, NULL},
    {"planned faults", test_faults, &dry_fault_ops},
    {"planned kills", test_kill_points, &dry_fault_ops},
};
/* A row for each implementation; the first wraps the other. */
static const struct dry_ops *const stores[] = {&dry_fault_ops, &dry_lmdb_ops};
enum {
    TESTS = sizeof(tests) / sizeof(tests[0]),
    STORES = SANITIZED ? 1 : sizeof(stores) / sizeof(stores[0]),
};

int main(void)
{
    struct CMUnitTest all[TESTS * STORES];
    char names[TESTS * STORES][40];
    size_t count = 0;

    for (size_t i = 0; i < (size_t)TESTS * STORES; i++) {
        const struct dry_ops *ops = stores[i / TESTS];
        if (tests[i % TESTS].only == NULL || tests[i % TESTS].only == ops) {
            snprintf(names[count], sizeof(names[count]), "%s: %s", ops->name,
                tests[i % TESTS].name);
            all[count] = (struct CMUnitTest){names[count],
                tests[i % TESTS].function, setup, teardown, (void *)ops};
            count++;
        }
    }
    return _cmocka_run_group_tests("store contract", all, count, NULL, NULL);
}
