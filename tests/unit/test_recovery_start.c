/* A start over a store whose contents are damaged: what cannot be understood is
 * refused with path and reason, or told of and passed over. */
#include "tests/unit/engine_fixture.h"

#include <xxhash.h>

/* ---- a store whose system values cannot be read ---- */

/* The name of one that cannot; all others can. */
static const char *unreadable;

static enum dry_result get_system(
    struct dry_store *store, const char *name, char **value, size_t *size)
{
    if (unreadable != NULL && strcmp(name, unreadable) == 0) {
        *value = NULL;
        return DRY_IO;
    }
    return store->ops->get_system(store, name, value, size);
}

/* ---- helpers ---- */

static int setup(void **state)
{
    static struct world world;
    unreadable = NULL;
    world_init(&world, ENGINE_CHECKPOINTS);
    put_text(&world, 0, "key", "value");
    put_text(&world, 3, "other", "another");
    world_save(&world);
    world_close(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    if (world->engine != NULL) {
        world_close(world);
    }
    directory_remove(world->directory);
    return 0;
}

static void expect_refused(struct world *world, const char *text)
{
    char reason[300] = "";
    assert_null(engine_create(&world->options, reason, sizeof reason));
    if (strstr(reason, world->path) == NULL || strstr(reason, text) == NULL) {
        fail_msg("no \"%s\" in: %s", text, reason);
    }
}

/* Writes to the store as it is without an engine. */
static void apply(struct world *world, const struct dry_batch_view *batch)
{
    struct dry_open_options options = {.path = world->path,
        .limit_bytes = world->options.dry_maxsize_bytes,
        .reader_threads = 1};
    struct dry_store *store = NULL;
    char reason[200];
    assert_int_equal(
        dry_lmdb_ops.open(&store, &options, reason, sizeof reason), DRY_OK);
    assert_int_equal(
        dry_lmdb_ops.apply(store, batch, reason, sizeof reason), DRY_OK);
    dry_lmdb_ops.close(store);
}

static void set_system(
    struct world *world, const char *name, const void *data, size_t size)
{
    struct dry_system_value value = {name, bytes_of(data, size)};
    const struct dry_batch_view batch = {
        .system_values = &value, .system_value_count = 1};
    apply(world, &batch);
}

/* ---- system values ---- */

static void a_secret_of_another_size_is_refused(void **state)
{
    struct world *world = *state;
    set_system(world, "secret", "short", 5);
    expect_refused(world, "no usable hash secret: damaged data on disk");
}

static void records_without_a_secret_are_refused(void **state)
{
    struct world *world = *state;
    struct dry_record record = {.id = 1, .header = text("header")};
    const struct dry_batch_view batch = {.records = &record, .record_count = 1};
    directory_remove(world->path);
    apply(world, &batch);
    expect_refused(world, "no usable hash secret: no such record");
}

static void unreadable_system_values_are_refused(void **state)
{
    struct world *world = *state;
    static struct dry_ops ops;
    ops = dry_fault_ops;
    ops.get_system = get_system;
    world->options.dry = &ops;
    unreadable = "secret";
    expect_refused(world, "no usable hash secret: disk error");
    unreadable = "keyspaces";
    expect_refused(world, "The map of databases in the dry store in ");
    unreadable = "dictionary.1";
    expect_refused(world, "The dictionaries of the dry store in ");
    unreadable = NULL;
    world_open(world);
    expect_text(world, 0, "key", "value");
}

static void a_map_of_databases_cut_short_is_refused(void **state)
{
    struct world *world = *state;
    set_system(world, "keyspaces", "abc", 3);
    expect_refused(world, "keys in more than 4 databases");
}

/* Fewer databases than there were: only if what is gone had no keys. */
static void databases_with_keys_must_be_there(void **state)
{
    struct world *world = *state;
    world->options.databases = 3;
    expect_refused(world, "keys in more than 3 databases");
    world->options.databases = 4;
    world_open(world);
    engine_flush_db(world->engine, 3);
    world_save(world);
    world_close(world);
    world->options.databases = 2;
    world_open(world);
    expect_text(world, 0, "key", "value");
    world_close(world);
    world->options.databases = 16;
    world_open(world);
    expect_text(world, 0, "key", "value");
    put_text(world, 15, "new", "there");
    world_save(world);
    world_reopen(world);
    expect_text(world, 15, "new", "there");
}

/* ---- rows ---- */

/* Sums are no secret: a row may have the right one and lie all the same. */
static void sum_row(char *row, size_t end)
{
    enum { SUM_AT = 4, SUMMED_AT = 8 };
    uint32_t word = 0;
    memcpy(&word, row, sizeof word);
    uint32_t sum =
        (uint32_t)XXH3_64bits_withSeed(row + SUMMED_AT, end - SUMMED_AT, word);
    memcpy(row + SUM_AT, &sum, sizeof sum);
}

static size_t write_row(char *row, bool in_row)
{
    static char large[RECORD_INLINE_MAX_BYTES + 1];
    struct record record = {.kind = KIND_STRING_RAW,
        .keyspace = 1,
        .key = text("k"),
        .payload = in_row ? text("v") : bytes_of(large, sizeof large)};
    record_write(&record, row);
    return record_row_bytes(&record);
}

static void fields_of_rows_are_checked(void **state)
{
    enum { END = RECORD_HEADER_BYTES + 1 }; /* of a key of one byte */
    static const struct {
        size_t at;
        int value;
    } wrong[] = {{1, KIND_COUNT}, {1, 0xff}, {2, CODEC_ZLIB + 1}, {2, 0xff},
        {3, 4}, {3, 0xff}};
    struct record parsed;
    char row[RECORD_HEADER_BYTES + 16];
    size_t size = write_row(row, true);
    (void)state;
    sum_row(row, END);
    assert_true(record_parse(bytes_of(row, size), &parsed));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_row(row, true);
        row[wrong[i].at] = (char)wrong[i].value;
        sum_row(row, END);
        if (record_parse(bytes_of(row, size), &parsed)) {
            fail_msg("%d at %zu was taken", wrong[i].value, wrong[i].at);
        }
    }
    /* A payload in the row, of a record that says it lies elsewhere. */
    size = write_row(row, false);
    assert_int_equal(size, END);
    assert_true(record_parse(bytes_of(row, size), &parsed));
    row[END] = 'x';
    assert_false(record_parse(bytes_of(row, size + 1), &parsed));
}

/* Neither rows of values nor of marks stop the load, and the log says so. */
static void damaged_rows_are_passed_over(void **state)
{
    struct world *world = *state;
    char value[RECORD_HEADER_BYTES + 16], marks[100];
    struct mark mark = {MARK_DEAD, 1, 1, 1, 0};
    size_t size = write_row(value, true);
    value[20] ^= 1;
    record_write_marks(&mark, 1, marks);
    marks[20] ^= 1;
    struct dry_record records[] = {
        {.id = 100, .header = bytes_of(value, size)},
        {.id = 101, .header = bytes_of(marks, record_marks_bytes(1))},
        {.id = 102, .header = text("nothing of ours")},
    };
    const struct dry_batch_view batch = {.records = records, .record_count = 3};
    apply(world, &batch);
    world_open(world);
    assert_non_null(strstr(world->last_log, "3 damaged headers"));
    assert_non_null(strstr(world->last_log, world->path));
    assert_int_equal(db_size(world_db(world, 0)), 1);
    expect_text(world, 0, "key", "value");
    expect_text(world, 3, "other", "another");
    put_text(world, 0, "key", "new");
    world_save(world);
    world_reopen(world);
    expect_text(world, 0, "key", "new");
    world_sane(world);
}

static void a_failing_load_says_why(void **state)
{
    struct world *world = *state;
    char reason[300] = "";
    enum dry_result result = DRY_OK;
    world->engine = engine_create(&world->options, reason, sizeof reason);
    assert_non_null(world->engine);
    world_plan(world, FAULT_SCAN, 1, false, DRY_CORRUPT);
    assert_false(engine_load(
        world->engine, world->now_ms, 1000, &result, reason, sizeof reason));
    assert_int_equal(result, DRY_CORRUPT);
    assert_non_null(strstr(reason, world->path));
    assert_non_null(strstr(reason, "damaged data on disk"));
    /* There is nothing more to load. */
    assert_false(engine_load(
        world->engine, world->now_ms, 1000, &result, reason, sizeof reason));
    assert_int_equal(result, DRY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_secret_of_another_size_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            records_without_a_secret_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            unreadable_system_values_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_map_of_databases_cut_short_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            databases_with_keys_must_be_there, setup, teardown),
        cmocka_unit_test(fields_of_rows_are_checked),
        cmocka_unit_test_setup_teardown(
            damaged_rows_are_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_failing_load_says_why, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
