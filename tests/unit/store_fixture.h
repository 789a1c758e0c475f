/* What the tests of dry stores share: a directory on a real disk, records
 * with contents that can be told from their id, and checks of them. */
#ifndef LARDER_TESTS_UNIT_STORE_FIXTURE_H
#define LARDER_TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/directory.h"
#include "tests/unit/seed.h"
#include "tiers/dry/store.h"

#define FIXTURE_LIMIT ((uint64_t)4 << 30)

struct fixture {
    const struct dry_ops *ops;
    struct dry_store *store;
    char directory[DIRECTORY_PATH_BYTES]; /* for this test alone */
    char path[80];                        /* of the store in it */
    uint64_t limit_bytes;
    uint64_t page_cache_bytes;
    char reason[200];
};

/* Of a store that is not open yet, in the fixture's directory. */
static inline void fixture_place(
    struct fixture *fixture, const struct dry_ops *ops)
{
    fixture->ops = ops;
    fixture->limit_bytes = FIXTURE_LIMIT;
    snprintf(
        fixture->path, sizeof(fixture->path), "%s/dry", fixture->directory);
}

static inline void fixture_init(
    struct fixture *fixture, const struct dry_ops *ops)
{
    *fixture = (struct fixture){.store = NULL};
    /* /tmp may be in RAM. */
    snprintf(fixture->directory, sizeof(fixture->directory),
        "/var/tmp/larder-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture_place(fixture, ops);
}

/* An LMDB store that need not survive anything, in RAM where possible. */
static inline void fixture_init_in_ram(
    struct fixture *fixture, const char *name)
{
    *fixture = (struct fixture){.store = NULL};
    assert_true(directory_make(fixture->directory, name));
    fixture_place(fixture, &dry_lmdb_ops);
}

static inline enum dry_result fixture_try_open(struct fixture *fixture)
{
    struct dry_open_options options = {.path = fixture->path,
        .limit_bytes = fixture->limit_bytes,
        .page_cache_bytes = fixture->page_cache_bytes,
        .reader_threads = 4};
    fixture->reason[0] = '\0';
    return fixture->ops->open(
        &fixture->store, &options, fixture->reason, sizeof(fixture->reason));
}

static inline void fixture_open(struct fixture *fixture)
{
    enum dry_result result = fixture_try_open(fixture);
    if (result != DRY_OK) {
        print_error("%s\n", fixture->reason);
    }
    assert_int_equal(result, DRY_OK);
    assert_non_null(fixture->store);
}

static inline void fixture_close(struct fixture *fixture)
{
    if (fixture->store != NULL) {
        fixture->ops->close(fixture->store);
        fixture->store = NULL;
    }
}

static inline void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

static inline void fixture_finish(struct fixture *fixture)
{
    fixture_close(fixture);
    directory_remove(fixture->directory);
}

/* ---- records ---- */

/* Fills `size` bytes so that the id and the place can be told. */
static inline void fixture_fill(char *to, size_t size, uint64_t id)
{
    uint64_t state = id * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) {
            seed_next(&state);
        }
        to[i] = (char)(state >> i % 8 * 8);
    }
}

/* A record with heap contents; free with fixture_free. */
static inline struct dry_record fixture_record(
    uint64_t id, size_t header_size, size_t payload_size)
{
    char *data = malloc(header_size + payload_size + 1);
    assert_non_null(data);
    fixture_fill(data, header_size + payload_size, id);
    return (struct dry_record){.id = id,
        .header = bytes_of(data, header_size),
        .payload = bytes_of(data + header_size, payload_size)};
}

static inline void fixture_free(struct dry_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)records[i].header.data);
    }
}

static inline enum dry_result fixture_apply(
    struct fixture *fixture, const struct dry_batch_view *batch)
{
    fixture->reason[0] = '\0';
    return fixture->store->ops->apply(
        fixture->store, batch, fixture->reason, sizeof(fixture->reason));
}

/* Applies one record of the given sizes. */
static inline enum dry_result fixture_put(struct fixture *fixture, uint64_t id,
    size_t header_size, size_t payload_size)
{
    struct dry_record record = fixture_record(id, header_size, payload_size);
    struct dry_batch_view batch = {.records = &record, .record_count = 1};
    enum dry_result result = fixture_apply(fixture, &batch);
    fixture_free(&record, 1);
    return result;
}

/* Applies one small record that says it frees room, as dead marks do. */
static inline enum dry_result fixture_mark(struct fixture *fixture, uint64_t id)
{
    struct dry_record record = fixture_record(id, 30, 0);
    struct dry_batch_view batch = {
        .records = &record, .record_count = 1, .frees = true};
    enum dry_result result = fixture_apply(fixture, &batch);
    fixture_free(&record, 1);
    return result;
}

static inline enum dry_result fixture_keep_from(
    struct fixture *fixture, uint64_t id)
{
    struct dry_batch_view batch = {.keep_from = id, .frees = true};
    return fixture_apply(fixture, &batch);
}

/* A record that was read is whole, byte for byte. */
static inline void fixture_expect_read(
    const struct dry_read *read, size_t header_size, size_t payload_size)
{
    struct dry_record record =
        fixture_record(read->id, header_size, payload_size);
    assert_int_equal(read->result, DRY_OK);
    assert_int_equal(read->header_bytes, header_size);
    assert_int_equal(read->payload_bytes, payload_size);
    assert_true(memcmp(read->data, record.header.data,
                    header_size + payload_size) == 0);
    fixture_free(&record, 1);
}

/* The record is there, byte for byte. */
static inline void fixture_expect(struct fixture *fixture, uint64_t id,
    size_t header_size, size_t payload_size)
{
    struct dry_read read = {.id = id};
    read.result = fixture->store->ops->read(fixture->store, id, &read.data,
        &read.header_bytes, &read.payload_bytes);
    fixture_expect_read(&read, header_size, payload_size);
    free(read.data);
}

static inline void fixture_expect_none(struct fixture *fixture, uint64_t id)
{
    char *data;
    size_t header_bytes, payload_bytes;
    assert_int_equal(fixture->store->ops->read(fixture->store, id, &data,
                         &header_bytes, &payload_bytes),
        DRY_NOT_FOUND);
    assert_null(data);
}

static inline struct dry_stats fixture_stats(struct fixture *fixture)
{
    struct dry_stats stats;
    fixture->store->ops->stats(fixture->store, &stats);
    return stats;
}

#endif
