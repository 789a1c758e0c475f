/* Damaged, cut and foreign files: refused with path and reason, left as they
 * are, and never a crash. */
#include "tests/unit/store_fixture.h"
#include "tiers/dry/lmdb_changes.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { RECORDS = 400, PAGE = 4096 };

static char *data_path(const struct fixture *fixture)
{
    static char path[120];
    snprintf(path, sizeof(path), "%s/data.mdb", fixture->path);
    return path;
}

static size_t size_of(uint64_t id)
{
    return id % 40 == 0 ? 20000 : id * 53 % 3000;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct dry_record records[RECORDS];
    fixture_init(fixture, &dry_lmdb_ops);
    fixture_open(fixture);
    for (uint64_t i = 0; i < RECORDS; i++) {
        records[i] = fixture_record(i + 1, 60, size_of(i + 1));
    }
    for (size_t i = 0; i < RECORDS; i += 50) {
        struct dry_batch_view batch = {
            .records = &records[i], .record_count = 50, .keep_from = i / 2};
        assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    }
    fixture_free(records, RECORDS);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(*state);
    free(*state);
    return 0;
}

static void write_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static size_t read_file(const char *path, char *to, size_t limit)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t size = read(fd, to, limit);
    assert_true(size >= 0);
    close(fd);
    return (size_t)size;
}

/* Opening is refused, and the file is as it was. */
static void expect_refused(struct fixture *fixture, enum dry_result expected)
{
    struct stat before, after;
    assert_int_equal(stat(data_path(fixture), &before), 0);
    assert_int_equal(fixture_try_open(fixture), expected);
    assert_null(fixture->store);
    if (strstr(fixture->reason, fixture->path) == NULL) {
        fail_msg("no path in: %s", fixture->reason);
    }
    assert_int_equal(stat(data_path(fixture), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void test_cut(void **state)
{
    struct fixture *fixture = *state;
    struct dry_stats stats = fixture_stats(fixture);
    uint64_t end = stats.used_bytes + stats.free_bytes;

    fixture_close(fixture);
    assert_int_equal(truncate(data_path(fixture), (off_t)end), 0);
    fixture_reopen(fixture);
    fixture_expect(fixture, RECORDS, 60, size_of(RECORDS));
    fixture_close(fixture);
    const uint64_t lengths[] = {end - 1, end - PAGE, end / 2, 3 * PAGE,
        2 * PAGE, 2 * PAGE - 1, PAGE, 100, 1};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_int_equal(truncate(data_path(fixture), (off_t)lengths[i]), 0);
        expect_refused(fixture, DRY_CORRUPT);
    }
    assert_int_equal(truncate(data_path(fixture), 0), 0);
    fixture_open(fixture);
    assert_int_equal(fixture_stats(fixture).record_count, 0);
}

/* A bit of a seal: what it says of the last commit is not to be believed. */
static void test_broken_seal(void **state)
{
    enum { SEAL_AT = 512, SEAL_BYTES = 48 };
    struct fixture *fixture = *state;
    char byte, damaged;

    fixture_close(fixture);
    for (size_t i = 0; i < 2 * (size_t)SEAL_BYTES; i++) {
        off_t at = (off_t)(SEAL_AT + i % SEAL_BYTES + i / SEAL_BYTES * PAGE);
        int fd = open(data_path(fixture), O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        damaged = (char)(byte ^ 1 << i % 8);
        assert_int_equal(pwrite(fd, &damaged, 1, at), 1);
        expect_refused(fixture, DRY_CORRUPT);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    fixture_open(fixture);
    fixture_expect(fixture, RECORDS, 60, size_of(RECORDS));
}

/* ---- the last commit, if a power cut left a part of it ---- */

enum { FILE_MAX = 8 << 20, SECTOR = 512 };

/* The same part of a copy of the file. */
static void write_at(
    const struct fixture *fixture, size_t at, const char *from, size_t size)
{
    int fd = open(data_path(fixture), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, from + at, size, (off_t)at), size);
    close(fd);
}

static void put_last(struct fixture *fixture)
{
    struct dry_record records[60];
    for (uint64_t i = 0; i < 60; i++) {
        uint64_t id = RECORDS + 1 + i;
        records[i] = fixture_record(id, i % 20 == 0 ? 3000 : 60, size_of(id));
    }
    struct dry_system_value value = {"name", bytes_of("value", 5)};
    struct dry_batch_view batch = {.records = records,
        .record_count = 60,
        .system_values = &value,
        .system_value_count = 1,
        .keep_from = 300};
    assert_int_equal(fixture_apply(fixture, &batch), DRY_OK);
    fixture_free(records, 60);
}

/* Both commits are all there, or nothing of the last one is. */
static void expect_last(struct fixture *fixture, bool there, bool told)
{
    fixture_open(fixture);
    assert_int_equal(strstr(fixture->reason, "taken back") != NULL &&
                         strstr(fixture->reason, data_path(fixture)) != NULL,
        told);
    assert_int_equal(fixture->reason[0] != '\0', told);
    struct dry_stats stats = fixture_stats(fixture);
    assert_int_equal(stats.last_id, there ? RECORDS + 60 : RECORDS);
    assert_int_equal(stats.first_id, there ? 300 : (RECORDS - 50) / 2);
    for (uint64_t id = stats.first_id; id <= stats.last_id; id++) {
        bool large = id > RECORDS && (id - RECORDS - 1) % 20 == 0;
        fixture_expect(fixture, id, large ? 3000 : 60, size_of(id));
    }
    fixture_close(fixture);
}

/* The file before and after a last commit, as a process leaves it that is
 * killed then. */
struct images {
    char *before, *after;
    size_t size;
};

static struct images make_images(struct fixture *fixture)
{
    struct images images = {calloc(1, FILE_MAX), calloc(1, FILE_MAX), 0};
    fixture_close(fixture);
    read_file(data_path(fixture), images.before, FILE_MAX);
    fixture_open(fixture);
    put_last(fixture);
    struct dry_stats stats = fixture_stats(fixture);
    images.size = stats.used_bytes + stats.free_bytes;
    assert_true(images.size < FILE_MAX);
    read_file(data_path(fixture), images.after, FILE_MAX);
    fixture_close(fixture);
    write_at(fixture, 0, images.after, images.size);
    expect_last(fixture, true, false);
    return images;
}

static void free_images(struct images *images)
{
    free(images->before);
    free(images->after);
}

/* Sectors of what the last commit wrote, one at a time missing; both meta pages
 * wholly, of the others one in so many. */
enum { TORN_STRIDE = 7, META_SECTORS = 16 };

static void test_torn(void **state)
{
    struct fixture *fixture = *state;
    struct images images = make_images(fixture);
    unsigned changed = 0, torn = 0;

    for (size_t at = 0; at < images.size; at += SECTOR) {
        if (memcmp(images.before + at, images.after + at, SECTOR) == 0 ||
            (changed++ % TORN_STRIDE != 0 && at / SECTOR >= META_SECTORS)) {
            continue;
        }
        /* Without its meta page the commit was never there. */
        bool told = at % PAGE != 0 || at >= 2 * PAGE;
        write_at(fixture, 0, images.after, images.size);
        write_at(fixture, at, images.before, SECTOR);
        expect_last(fixture, false, told);
        expect_last(fixture, false, false); /* and it stays so */
        torn++;
    }
    assert_true(torn > 30);
    /* After all that it can be written again. */
    fixture_open(fixture);
    put_last(fixture);
    fixture_close(fixture);
    expect_last(fixture, true, false);
    free_images(&images);
}

/* Pages that the commit before had, and the last one has not. */
static struct page_list find_dropped(const struct fixture *fixture)
{
    char pages[2 * PAGE] __attribute__((aligned(8)));
    struct meta metas[2];
    struct page_list dropped = {0};
    int fd = open(data_path(fixture), O_RDONLY);
    assert_int_equal(pread(fd, pages, sizeof(pages), 0), sizeof(pages));
    for (size_t i = 0; i < 2; i++) {
        assert_true(page_meta(pages + i * PAGE, &metas[i]));
    }
    unsigned last = metas[1].transaction > metas[0].transaction;
    assert_int_equal(
        changes_find(fd, &metas[last], &metas[!last], &dropped), CHANGES_FOUND);
    close(fd);
    return dropped;
}

/* The last commit is not given up for one that is damaged itself. */
static void test_damage_before(void **state)
{
    struct fixture *fixture = *state;
    struct images images = make_images(fixture);
    char *garbage = malloc(FILE_MAX);

    memset(garbage, 0xa5, FILE_MAX);
    write_at(fixture, 0, images.after, images.size);
    struct page_list dropped = find_dropped(fixture);
    assert_true(dropped.count > 10);
    for (size_t i = 0; i < dropped.count; i++) {
        write_at(fixture, 0, images.after, images.size);
        write_at(fixture, dropped.numbers[i] * PAGE, garbage, PAGE);
        expect_last(fixture, true, false);
    }
    page_list_free(&dropped);
    free_images(&images);
    free(garbage);
}

static void test_not_lmdb(void **state)
{
    struct fixture *fixture = *state;
    char text[3 * PAGE];

    fixture_close(fixture);
    write_file(data_path(fixture), "REDIS0009", 9);
    expect_refused(fixture, DRY_CORRUPT);
    memset(text, 'x', sizeof(text));
    write_file(data_path(fixture), text, sizeof(text));
    expect_refused(fixture, DRY_FOREIGN);
    memset(text, 0, sizeof(text));
    write_file(data_path(fixture), text, sizeof(text));
    expect_refused(fixture, DRY_FOREIGN);
    unlink(data_path(fixture));
    assert_int_equal(mkdir(data_path(fixture), 0700), 0);
    expect_refused(fixture, DRY_FOREIGN);
    rmdir(data_path(fixture));
}

/* ---- files of LMDB's that are not ours, or not of our format ---- */

static void put_value(const struct fixture *fixture, const char *database,
    const char *name, const char *text)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {strlen(name), (void *)name};
    MDB_val value = {strlen(text), (void *)text};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, fixture->path, 0, 0600), 0);
    /* Twice: a single commit without a seal could be what a power cut left of
     * one with it. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, database, MDB_CREATE, &dbi), 0);
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
    }
    mdb_env_close(env);
}

static void test_foreign(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    unlink(data_path(fixture));
    put_value(fixture, NULL, "key", "value");
    expect_refused(fixture, DRY_FOREIGN);
    unlink(data_path(fixture));
    put_value(fixture, "users", "key", "value");
    expect_refused(fixture, DRY_FOREIGN);
    unlink(data_path(fixture));
    put_value(fixture, "system", "key", "value");
    expect_refused(fixture, DRY_FOREIGN);
    unlink(data_path(fixture));
    fixture_open(fixture);
}

static void test_other_format(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    put_value(fixture, "system", "store", "larder dry log, format 3");
    expect_refused(fixture, DRY_FOREIGN);
    assert_non_null(
        strstr(fixture->reason, "format 3, this program reads format 2"));
    put_value(fixture, "system", "store", "something else");
    expect_refused(fixture, DRY_FOREIGN);
}

/* What a program has written that knew of no seals, which is taken over, and
 * that such a program does not open any more. */
static void test_old_format(void **state)
{
    struct fixture *fixture = *state;
    size_t size;
    char *text;

    fixture_close(fixture);
    put_value(fixture, "system", "store", "larder dry log, format 1");
    for (int i = 0; i < 2; i++) {
        fixture_open(fixture);
        assert_string_equal(fixture->reason, "");
        assert_int_equal(fixture->store->ops->get_system(
                             fixture->store, "store", &text, &size),
            DRY_OK);
        assert_int_equal(size, strlen("larder dry log, format 2"));
        assert_memory_equal(text, "larder dry log, format 2", size);
        free(text);
        fixture_expect(fixture, RECORDS, 60, size_of(RECORDS));
        fixture_close(fixture);
    }
}

/* ---- single bytes ---- */

static bool skip_one(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    uint64_t *sum = context;
    for (size_t i = 0; i < header.size; i++) {
        *sum += (unsigned char)header.data[i];
    }
    *sum += id + payload_bytes;
    return true;
}

/* Opens, looks at everything, writes, removes; whatever comes of it, the
 * process must live. */
static _Noreturn void use_store(struct fixture *fixture)
{
    uint64_t sum = 0;
    size_t header_bytes, payload_bytes;
    char *data;
    /* cmocka catches them, but a crash is what we want to see. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    /* Who goes round for ever, not who waits for a busy disk. */
    setrlimit(RLIMIT_CPU, &(struct rlimit){20, 20});
    if (fixture_try_open(fixture) != DRY_OK) {
        _exit(strstr(fixture->reason, fixture->path) == NULL);
    }
    struct dry_store *store = fixture->store;
    if (store->ops->scan(store, 0, skip_one, &sum) != DRY_OK) {
        fixture_close(fixture);
        _exit(0);
    }
    for (uint64_t id = 1; id <= RECORDS; id++) {
        if (store->ops->read(store, id, &data, &header_bytes, &payload_bytes) ==
            DRY_OK) {
            free(data);
        }
    }
    uint64_t next = fixture_stats(fixture).last_id + 1;
    if (next > RECORDS) {
        fixture_put(fixture, next, 60, 5000);
        fixture_keep_from(fixture, RECORDS - 20);
        fixture_put(fixture, next + 1, 60, 5000);
    }
    fixture_close(fixture);
    _exit(0);
}

static bool flip(struct fixture *fixture, const char *image, size_t size,
    size_t at, unsigned char bits)
{
    char *damaged = malloc(size);
    assert_non_null(damaged);
    memcpy(damaged, image, size);
    damaged[at] = (char)(damaged[at] ^ bits);
    write_file(data_path(fixture), damaged, size);
    free(damaged);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        use_store(fixture);
    }
    int status;
    waitpid(child, &status, 0);
    if (status != 0) {
        print_error("byte %zu of page %zu, bits 0x%02x: status 0x%x\n",
            at % PAGE, at / PAGE, bits, status);
    }
    return status == 0;
}

/* Flips that did harm once. */
static const struct {
    size_t page, at;
    unsigned char bits;
} harmful[] = {
    {136, 2248, 0xf0}, /* the size of a row, in the middle of the log */
};

/* Each is a process of its own, which is slow in a sanitized build. */
enum { HEAD_STRIDE = SANITIZED ? 5 : 1, FLIPS = SANITIZED ? 60 : 300 };

static void test_flips(void **state)
{
    struct fixture *fixture = *state;
    const char *chosen = getenv("LARDER_FLIPS");
    size_t flips = chosen != NULL ? strtoul(chosen, NULL, 10) : FLIPS;
    struct dry_stats stats = fixture_stats(fixture);
    size_t size = stats.used_bytes + stats.free_bytes;
    char *image = malloc(size);
    size_t crashes = 0;
    uint64_t random = seed_take("flips");
    fixture_close(fixture);
    assert_non_null(image);
    assert_int_equal(read_file(data_path(fixture), image, size), size);
    for (size_t at = 0; at < 160; at += HEAD_STRIDE) {
        crashes += !flip(fixture, image, size, at, 0xff);
        crashes += !flip(fixture, image, size, PAGE + at, 0xff);
    }
    for (size_t i = 0; i < sizeof harmful / sizeof harmful[0]; i++) {
        crashes += !flip(fixture, image, size,
            harmful[i].page * PAGE + harmful[i].at, harmful[i].bits);
    }
    for (size_t i = 0; i < flips; i++) {
        /* Half of them where pages keep their structure. */
        size_t page = seed_below(&random, size / PAGE);
        size_t at = seed_below(&random, i % 2 == 0 ? 40 : PAGE);
        unsigned char bits = (unsigned char)(1 + seed_below(&random, 255));
        crashes += !flip(fixture, image, size, page * PAGE + at, bits);
    }
    free(image);
    assert_int_equal(crashes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_seal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_lmdb, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flips, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
