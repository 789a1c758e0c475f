/* Streams against an array of entries: ids of every kind, fields alike and
 * not, what is deleted and trimmed, cursors both ways, and records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/unit/seed.h"
#include "tiers/index.h"
#include "tiers/values/stream_entries.h"

enum { MOST = 3000, WORDS_MOST = 8, TEXT_MOST = 60 };

static const uint8_t secret[INDEX_SECRET_BYTES] = {7, 7, 7};

struct model_entry {
    struct stream_id id;
    unsigned words; /* a seed for their text, and how many */
    uint64_t seed;
};

struct world {
    struct value *value;
    struct model_entry entries[MOST];
    size_t count;
    struct stream_id last;
    uint64_t added, random;
};

/* The words of an entry, made anew from its seed. */
static size_t make_words(const struct model_entry *entry,
    char text[WORDS_MOST][TEXT_MOST], struct bytes *words)
{
    uint64_t random = entry->seed;
    unsigned names = (unsigned)(seed_next(&random) % 4);
    for (unsigned i = 0; i < entry->words; i++) {
        int size = 0;
        if (i % 2 == 0) { /* few sets of names */
            size = snprintf(text[i], TEXT_MOST, "name-%u-%u",
                names == 3 ? (unsigned)(seed_next(&random) % 50) : 0, i);
        } else if (seed_next(&random) % 3 == 0) {
            size = snprintf(
                text[i], TEXT_MOST, "%d", (int)(seed_next(&random) % 100000));
        } else {
            size = (int)(seed_next(&random) % TEXT_MOST);
            memset(text[i], 'v', (size_t)size);
        }
        words[i] = bytes_of(text[i], (size_t)size);
    }
    return entry->words;
}

static struct stream_id id_behind(struct stream_id last, uint64_t *random)
{
    switch (seed_below(random, 40)) {
    case 0:
        return (struct stream_id){
            last.ms + seed_below(random, 1u << 20) + 1, seed_next(random)};
    case 1:
        return (struct stream_id){
            last.ms, last.seq + seed_below(random, 1000) + 1};
    default:
        return seed_below(random, 2) == 0
                   ? (struct stream_id){last.ms + 1 + seed_below(random, 3), 0}
                   : (struct stream_id){last.ms, last.seq + 1};
    }
}

static void append(struct world *world)
{
    char text[WORDS_MOST][TEXT_MOST];
    struct bytes words[WORDS_MOST];
    struct scratch scratch = {0};
    struct model_entry entry = {
        .id = id_behind(world->last, &world->random),
        .words = seed_below(&world->random, 10) == 0
                     ? 2 * (1 + (unsigned)seed_below(&world->random, 4))
                     : 4,
        .seed = seed_next(&world->random) | 1,
    };
    size_t count = make_words(&entry, text, words);
    stream_append(world->value, entry.id, words, count, &scratch);
    scratch_reset(&scratch);
    world->entries[world->count++] = entry;
    world->last = entry.id;
    world->added++;
}

static void remove_at(struct world *world, size_t at, size_t count)
{
    memmove(world->entries + at, world->entries + at + count,
        (world->count - at - count) * sizeof *world->entries);
    world->count -= count;
}

static void assert_entry(
    const struct stream_cursor *cursor, const struct model_entry *entry)
{
    char text[WORDS_MOST][TEXT_MOST];
    struct bytes expected[WORDS_MOST];
    struct stream_words words;
    struct element word;
    size_t count = make_words(entry, text, expected);
    assert_false(cursor->at_end);
    assert_int_equal(stream_id_compare(cursor->entry.id, entry->id), 0);
    stream_words_begin(cursor, &words);
    assert_int_equal(words.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(stream_words_next(&words, &word));
        assert_true(bytes_equal(element_text(&word), expected[i]));
    }
    assert_false(stream_words_next(&words, &word));
}

/* Forth and back, and the figures. */
static void assert_same(struct world *world, struct value *value)
{
    struct stream_cursor cursor;
    const struct stream_id none = {0, 0};
    tree_sane(&value->items);
    assert_int_equal(stream_length(value), world->count);
    stream_begin(value, &cursor);
    for (size_t i = 0; i < world->count; i++) {
        assert_entry(&cursor, &world->entries[i]);
        assert_int_equal(stream_next(&cursor), i + 1 < world->count);
    }
    assert_true(cursor.at_end);
    for (size_t i = world->count; i-- > 0;) {
        assert_true(stream_prev(&cursor));
        assert_entry(&cursor, &world->entries[i]);
    }
    assert_false(stream_prev(&cursor));
    struct stream_id first = world->count > 0 ? world->entries[0].id : none;
    struct stream_id top =
        world->count > 0 ? world->entries[world->count - 1].id : none;
    assert_int_equal(stream_id_compare(stream_first_id(value), first), 0);
    assert_int_equal(stream_id_compare(stream_top_id(value), top), 0);
}

/* An id that is there, or beside one that is. */
static struct stream_id some_id(struct world *world)
{
    struct stream_id id = {seed_below(&world->random, 50), 0};
    if (world->count > 0) {
        id = world->entries[seed_below(&world->random, world->count)].id;
    }
    switch (seed_below(&world->random, 4)) {
    case 0:
        stream_id_next(&id);
        break;
    case 1:
        stream_id_prev(&id);
        break;
    default:
        break;
    }
    return id;
}

static void seek(struct world *world)
{
    struct stream_cursor cursor;
    struct stream_id id = some_id(world);
    size_t at = 0;
    while (
        at < world->count && stream_id_compare(world->entries[at].id, id) < 0) {
        at++;
    }
    bool equal =
        at < world->count && stream_id_compare(world->entries[at].id, id) == 0;
    stream_seek(world->value, id, &cursor);
    assert_int_equal(cursor.at_end, at == world->count);
    if (!cursor.at_end) {
        assert_entry(&cursor, &world->entries[at]);
    }
    assert_int_equal(stream_find(world->value, id, &cursor), equal);
    assert_int_equal(stream_count_below(world->value, id), at);
    bool any = stream_seek_back(world->value, id, &cursor);
    assert_int_equal(any, equal || at > 0);
    if (any) {
        assert_entry(&cursor, &world->entries[equal ? at : at - 1]);
    }
}

static void delete_some(struct world *world)
{
    struct stream_id id = some_id(world);
    bool found = false;
    for (size_t i = 0; i < world->count && !found; i++) {
        if (stream_id_compare(world->entries[i].id, id) == 0) {
            remove_at(world, i, 1);
            found = true;
        }
    }
    assert_int_equal(stream_delete(world->value, id), found);
}

static void trim(struct world *world)
{
    uint64_t most = seed_below(&world->random, 5) == 0 ? world->count : 150;
    most = most > world->count ? world->count : most;
    uint64_t count = seed_below(&world->random, most + 1);
    stream_trim(world->value, count);
    remove_at(world, 0, count);
}

static char *encode(const struct value *value, size_t *size)
{
    *size = value_encoded_bytes(value);
    char *out = malloc(*size);
    assert_non_null(out);
    value_encode(value, out);
    return out;
}

/* The record's bytes give the same stream, and itself again. */
static void store_and_load(struct world *world)
{
    size_t size, again_size;
    char *bytes = encode(world->value, &size);
    struct value *loaded =
        value_decode(KIND_STREAM, bytes_of(bytes, size), secret);
    assert_non_null(loaded);
    assert_same(world, loaded);
    assert_int_equal(loaded->stream->entries_added, world->added);
    char *again = encode(loaded, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    value_release(world->value, SIZE_MAX);
    world->value = loaded;
}

static void play(struct world *world)
{
    uint64_t what = seed_below(&world->random, 100);
    if (world->count < MOST && what < 70) {
        append(world);
    } else if (what < 85) {
        delete_some(world);
    } else if (what < 98) {
        seek(world);
    } else {
        trim(world);
    }
}

static struct world *world_new(const char *what)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->value = value_create(KIND_STREAM);
    world->random = seed_take(what);
    return world;
}

static void world_free(struct world *world)
{
    value_release(world->value, SIZE_MAX);
    free(world);
}

static void entries_are_those_of_the_model(void **state)
{
    struct world *world = world_new("entries");
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned turn = 0; turn < 500; turn++) {
            play(world);
        }
        assert_same(world, world->value);
        store_and_load(world);
    }
    stream_trim(world->value, world->count);
    remove_at(world, 0, world->count);
    assert_same(world, world->value);
    store_and_load(world);
    world_free(world);
}

static void snapshots_stay_as_they_are(void **state)
{
    struct world *world = world_new("snapshots");
    struct world *then = malloc(sizeof *then);
    (void)state;
    assert_non_null(then);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned turn = 0; turn < 200; turn++) {
            play(world);
        }
        *then = *world;
        struct value *snapshot = value_snapshot(world->value);
        for (unsigned turn = 0; turn < 200; turn++) {
            play(world);
        }
        assert_same(then, snapshot);
        value_release(snapshot, SIZE_MAX);
        assert_same(world, world->value);
    }
    free(then);
    world_free(world);
}

/* What a record of KIND_STREAM_SINGLE held: an entry an item, its words in
 * one element. */
static size_t write_single(const struct model_entry *entry, char *out)
{
    char text[WORDS_MOST][TEXT_MOST], words_of_it[WORDS_MOST * 2 * TEXT_MOST];
    struct bytes words[WORDS_MOST];
    size_t count = make_words(entry, text, words), size = 0;
    for (size_t i = 0; i < count; i++) {
        size += element_write(words_of_it + size, words[i]);
    }
    stream_id_write(out, entry->id);
    return STREAM_ID_BYTES +
           element_write(out + STREAM_ID_BYTES, bytes_of(words_of_it, size));
}

static void records_of_single_entries_are_read(void **state)
{
    struct world *world = world_new("single");
    (void)state;
    while (world->count < 1000) {
        append(world);
    }
    char *payload = malloc(1000 * 1024);
    assert_non_null(payload);
    char *at = payload + varint_write(payload, world->count);
    for (size_t i = 0; i < world->count; i++) {
        at += write_single(&world->entries[i], at);
    }
    at = stream_encode(world->value->stream, at);
    size_t size = (size_t)(at - payload);
    struct value *value =
        value_decode(KIND_STREAM_SINGLE, bytes_of(payload, size), secret);
    assert_non_null(value);
    assert_int_equal(value->kind, KIND_STREAM);
    assert_int_equal(value->stream->entries_added, world->added);
    assert_same(world, value);
    /* An element that is no whole entry: its first word is longer than it. */
    uint64_t head;
    char *words = (char *)varint_read(
        payload + varint_size(world->count) + STREAM_ID_BYTES, at, &head);
    varint_write(words, UINT64_C(2) * WORDS_MOST * 2 * TEXT_MOST);
    assert_null(
        value_decode(KIND_STREAM_SINGLE, bytes_of(payload, size), secret));
    value_release(value, SIZE_MAX);
    free(payload);
    world_free(world);
}

/* Any byte changed: refused, or a stream that can be walked. */
static void damaged_records_do_no_harm(void **state)
{
    struct world *world = world_new("damage");
    size_t size;
    (void)state;
    while (world->count < 60) {
        append(world);
    }
    char *bytes = encode(world->value, &size);
    unsigned refused = 0;
    for (unsigned turn = 0; turn < 20000; turn++) {
        size_t at = seed_below(&world->random, size);
        char bits = (char)(1 + seed_below(&world->random, 255));
        bytes[at] ^= bits;
        struct value *value =
            value_decode(KIND_STREAM, bytes_of(bytes, size), secret);
        bytes[at] ^= bits;
        refused += value == NULL;
        if (value != NULL) {
            struct stream_cursor cursor;
            uint64_t entries = 0;
            stream_begin(value, &cursor);
            for (; !cursor.at_end; stream_next(&cursor)) {
                entries++;
            }
            assert_int_equal(entries, stream_length(value));
            value_release(value, SIZE_MAX);
        }
    }
    assert_true(refused > 1000);
    free(bytes);
    world_free(world);
}

static void entries_alike_are_small(void **state)
{
    struct value *value = value_create(KIND_STREAM);
    struct scratch scratch = {0};
    enum { COUNT = 50000 };
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        char text[20];
        int size = snprintf(text, sizeof text, "value:%07u", i);
        struct bytes words[] = {
            bytes_of("field", 5), bytes_of(text, (size_t)size)};
        stream_append(value, (struct stream_id){1700000000000 + i / 3, i % 3},
            words, 2, &scratch);
    }
    assert_int_equal(stream_length(value), COUNT);
    /* 14 of the value, 3 of id and form, and a share of block and tree. */
    assert_true((double)value->items.memory_bytes / COUNT < 20);
    scratch_reset(&scratch);
    value_release(value, SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_those_of_the_model),
        cmocka_unit_test(snapshots_stay_as_they_are),
        cmocka_unit_test(records_of_single_entries_are_read),
        cmocka_unit_test(damaged_records_do_no_harm),
        cmocka_unit_test(entries_alike_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
