#include "tests/unit/store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tiers/dry/fault.h"
#include "tiers/dry/priority.h"
#include "tiers/dry/workers.h"

struct test {
    struct fixture fixture;
    struct dry_workers *workers;
    atomic_uint wakes;
    unsigned done, expected; /* jobs done; the id of the last apply */
    unsigned collected;      /* times there was something to collect */
};

/* A job of a test with what it points at. */
struct task {
    struct dry_job job;
    struct test *test;
    struct dry_record record;
    atomic_uint ran;
    atomic_int nice;
};

static void on_wake(void *context)
{
    struct test *test = context;
    atomic_fetch_add(&test->wakes, 1);
}

static int setup(void **state)
{
    struct test *test = calloc(1, sizeof(*test));
    fixture_init(&test->fixture, &dry_fault_ops);
    fixture_open(&test->fixture);
    test->workers = dry_workers_create(test->fixture.store, 3, on_wake, test);
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    struct test *test = *state;
    dry_workers_destroy(test->workers);
    fixture_finish(&test->fixture);
    free(test);
    return 0;
}

static void run_all(struct test *test, unsigned count)
{
    time_t until = time(NULL) + 60;
    while (test->done < count) {
        dry_workers_wait(test->workers, 1000);
        test->collected += dry_workers_collect(test->workers) > 0;
        assert_true(time(NULL) < until);
    }
    assert_int_equal(test->done, count);
    assert_int_equal(dry_workers_reading(test->workers), 0);
    assert_int_equal(dry_workers_applying(test->workers), 0);
}

/* ---- scheduling ---- */

static void note_nice(struct dry_job *job, struct dry_store *store)
{
    struct task *task = (struct task *)job;
    (void)store;
    atomic_store(
        &task->nice, getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)));
    job->result = DRY_OK;
}

static void on_noted(struct dry_job *job)
{
    ((struct task *)job)->test->done++;
}

/* Clients wait for readers; the writer has time. */
static void test_the_writer_is_nicer(void **state)
{
    struct test *test = *state;
    int process = getpriority(PRIO_PROCESS, (id_t)getpid());
    int nicer = process + PRIORITY_WRITER;
    struct task reader = {.test = test,
        .job = {.kind = DRY_JOB_CALL, .call = note_nice, .done = on_noted}};
    struct task writer = {.test = test,
        .job = {.kind = DRY_JOB_APPLY, .call = note_nice, .done = on_noted}};
    dry_workers_submit(test->workers, &reader.job);
    dry_workers_submit(test->workers, &writer.job);
    run_all(test, 2);
    assert_int_equal(atomic_load(&reader.nice), process);
    assert_int_equal(atomic_load(&writer.nice), nicer < 19 ? nicer : 19);
}

/* ---- writes ---- */

static void on_applied(struct dry_job *job)
{
    struct task *task = (struct task *)job;
    assert_int_equal(job->result, DRY_OK);
    assert_int_equal(task->record.id, ++task->test->expected);
    task->test->done++;
    fixture_free(&task->record, 1);
    free(task);
}

static void submit_apply(struct test *test, uint64_t id, size_t size)
{
    struct task *task = calloc(1, sizeof(*task));
    task->test = test;
    task->record = fixture_record(id, 6, size);
    task->job.kind = DRY_JOB_APPLY;
    task->job.batch =
        (struct dry_batch_view){.records = &task->record, .record_count = 1};
    task->job.done = on_applied;
    dry_workers_submit(test->workers, &task->job);
}

static void test_writes_in_order(void **state)
{
    struct test *test = *state;
    for (uint64_t id = 1; id <= 300; id++) {
        submit_apply(test, id, id * 10);
    }
    assert_true(dry_workers_applying(test->workers) > 0);
    run_all(test, 300);
    for (uint64_t id = 1; id <= 300; id++) {
        fixture_expect(&test->fixture, id, 6, id * 10);
    }
}

static void on_failed(struct dry_job *job)
{
    struct task *task = (struct task *)job;
    assert_int_equal(job->result, DRY_FULL);
    assert_string_equal(job->reason, "planned: no room on disk");
    task->test->done++;
}

static void test_failed_write(void **state)
{
    struct test *test = *state;
    struct fault_plan plan = {
        .action = FAULT_FAIL, .first = 1, .result = DRY_FULL};
    struct task task = {.test = test, .record = fixture_record(1, 6, 10)};

    fault_plan(test->fixture.store, FAULT_APPLY, &plan);
    task.job.batch =
        (struct dry_batch_view){.records = &task.record, .record_count = 1};
    task.job.kind = DRY_JOB_APPLY;
    task.job.done = on_failed;
    dry_workers_submit(test->workers, &task.job);
    run_all(test, 1);
    fixture_free(&task.record, 1);
    submit_apply(test, 1, 20);
    run_all(test, 2);
    fixture_expect(&test->fixture, 1, 6, 20);
}

/* ---- reads ---- */

static void on_read(struct dry_job *job)
{
    struct task *task = (struct task *)job;
    struct dry_record expected = fixture_record(job->id, 6, job->id * 10);
    if (job->id > 100) {
        assert_int_equal(job->result, DRY_NOT_FOUND);
        assert_null(job->data);
    } else {
        assert_int_equal(job->result, DRY_OK);
        assert_int_equal(job->header_bytes, 6);
        assert_int_equal(job->payload_bytes, job->id * 10);
        assert_memory_equal(job->data, expected.header.data, 6 + job->id * 10);
    }
    fixture_free(&expected, 1);
    free(job->data);
    task->test->done++;
}

static void test_reads(void **state)
{
    struct test *test = *state;
    struct task *tasks = calloc(2000, sizeof(*tasks));

    for (uint64_t id = 1; id <= 100; id++) {
        submit_apply(test, id, id * 10);
    }
    run_all(test, 100);
    for (size_t i = 0; i < 2000; i++) {
        tasks[i].test = test;
        tasks[i].job.kind = DRY_JOB_READ;
        tasks[i].job.id = i % 110 + 1;
        tasks[i].job.done = on_read;
        dry_workers_submit(test->workers, &tasks[i].job);
        if (i % 97 == 0) {
            dry_workers_collect(test->workers);
        }
    }
    run_all(test, 2100);
    free(tasks);
}

static void slow_call(struct dry_job *job, struct dry_store *store)
{
    struct task *task = (struct task *)job;
    assert_ptr_equal(store, task->test->fixture.store);
    usleep(20000);
    atomic_fetch_add(&task->ran, 1);
}

static void on_called(struct dry_job *job)
{
    struct task *task = (struct task *)job;
    assert_int_equal(atomic_load(&task->ran), 1);
    task->test->done++;
}

static void submit_calls(struct test *test, struct task *tasks, size_t count,
    void (*call)(struct dry_job *job, struct dry_store *store),
    void (*done)(struct dry_job *job))
{
    for (size_t i = 0; i < count; i++) {
        tasks[i].test = test;
        tasks[i].job.kind = DRY_JOB_CALL;
        tasks[i].job.call = call;
        tasks[i].job.done = done;
        dry_workers_submit(test->workers, &tasks[i].job);
    }
}

/* Calls run beside each other, and a slow one does not hold up a write. */
static void test_calls(void **state)
{
    struct test *test = *state;
    struct task tasks[30] = {{.test = NULL}};
    struct timespec start, end;

    clock_gettime(CLOCK_MONOTONIC, &start);
    submit_calls(test, tasks, 30, slow_call, on_called);
    assert_true(dry_workers_reading(test->workers) == 30);
    run_all(test, 30);
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t ms = (end.tv_sec - start.tv_sec) * 1000 +
                 (end.tv_nsec - start.tv_nsec) / 1000000;
    assert_true(ms >= 180);
    assert_true(ms < 550);
}

/* ---- waking, waiting, ending ---- */

/* One wake for all that completes until somebody collects. */
static void test_wakes_once(void **state)
{
    struct test *test = *state;
    for (uint64_t id = 1; id <= 50; id++) {
        submit_apply(test, id, 10);
    }
    while (fault_count(test->fixture.store, FAULT_APPLY) < 50) {
        usleep(1000);
    }
    run_all(test, 50);
    submit_apply(test, 51, 10);
    run_all(test, 51);
    assert_true(test->collected >= 2 && test->collected <= 4);
    /* The last wake may come after what it tells of was collected. */
    for (int i = 0; i < 5000 && atomic_load(&test->wakes) < test->collected;
         i++) {
        usleep(1000);
    }
    assert_int_equal(atomic_load(&test->wakes), test->collected);
}

/* Readers begin while the engine's thread goes on asking. */
static void test_many_reads_are_not_kept_back(void **state)
{
    struct test *test = *state;
    struct task tasks[64] = {{.test = NULL}};
    submit_calls(test, tasks, 64, note_nice, on_noted);
    for (int i = 0; i < 60000 && atomic_load(&test->wakes) == 0; i++) {
        usleep(1000); /* nothing is flushed meanwhile */
    }
    assert_true(atomic_load(&test->wakes) > 0);
    run_all(test, 64);
}

static void test_wait(void **state)
{
    struct test *test = *state;
    struct timespec start, end;

    clock_gettime(CLOCK_MONOTONIC, &start);
    dry_workers_wait(test->workers, 50);
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t us = (end.tv_sec - start.tv_sec) * 1000000 +
                 (end.tv_nsec - start.tv_nsec) / 1000;
    assert_true(us >= 50000);
    assert_int_equal(dry_workers_collect(test->workers), 0);

    struct fault_plan slow = {.delay_ms = 100};
    fault_plan(test->fixture.store, FAULT_APPLY, &slow);
    submit_apply(test, 1, 10);
    dry_workers_wait(test->workers, 30);
    assert_int_equal(dry_workers_collect(test->workers), 0);
    dry_workers_wait(test->workers, 30000);
    assert_int_equal(dry_workers_collect(test->workers), 1);
    assert_int_equal(test->done, 1);
}

static void on_chained(struct dry_job *job)
{
    struct task *task = (struct task *)job;
    task->test->done++;
    if (++job->id < 1100) {
        dry_workers_submit(task->test->workers, job);
    } else {
        free(task);
    }
}

/* What is queued at the end, and what its done() queues, is finished. */
static void test_destroy_finishes(void **state)
{
    struct test *test = *state;
    struct task *task = calloc(1, sizeof(*task));
    task->test = test;
    task->job.kind = DRY_JOB_READ;
    task->job.id = 1000;
    task->job.done = on_chained;
    for (uint64_t id = 1; id <= 20; id++) {
        submit_apply(test, id, 10);
    }
    dry_workers_submit(test->workers, &task->job);
    dry_workers_destroy(test->workers);
    test->workers = NULL;
    assert_int_equal(test->done, 120);
    assert_int_equal(test->expected, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_the_writer_is_nicer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writes_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wakes_once, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_many_reads_are_not_kept_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroy_finishes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
