/* The index against a list of its keys, growing under a scan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/seed.h"
#include "tiers/entry_layout.h"
#include "tiers/index.h"

#define KEYS 60000

struct item {
    uint32_t ref; /* 0: not in the index */
    uint32_t number;
    uint64_t hash;
    unsigned seen;
    bool stays;
};

struct world {
    struct arena arena;
    struct index index;
    uint8_t secret[INDEX_SECRET_BYTES];
    size_t bytes;
    uint64_t random;
    uint64_t count;
    struct item items[KEYS];
};

static struct bytes key_of(const struct item *item)
{
    return bytes_of(&item->number, sizeof item->number);
}

static int by_hash(const void *a, const void *b)
{
    const struct item *left = a, *right = b;
    return (left->hash > right->hash) - (left->hash < right->hash);
}

static struct world *world_new(bool ordered)
{
    struct world *world = xcalloc(1, sizeof *world);
    world->random = seed_take(ordered ? "index, ordered" : "index");
    assert_true(arena_init(&world->arena, (size_t)1 << 30));
    for (unsigned i = 0; i < INDEX_SECRET_BYTES; i++) {
        world->secret[i] = (uint8_t)seed_next(&world->random);
    }
    index_init(&world->index, &world->arena, world->secret, &world->bytes);
    for (unsigned i = 0; i < KEYS; i++) {
        struct item *item = &world->items[i];
        item->number = i;
        item->hash = index_hash(world->secret, key_of(item));
    }
    if (ordered) {
        qsort(world->items, KEYS, sizeof *world->items, by_hash);
    }
    return world;
}

static void world_free(struct world *world)
{
    index_finish(&world->index);
    assert_int_equal(world->bytes, 0);
    arena_finish(&world->arena);
    free(world);
}

static void insert(struct world *world, struct item *item)
{
    struct entry_spec spec = {
        .key = key_of(item),
        .id = item->number + 1,
        .bits = entry_with_tier(0, TIER_DRY),
    };
    item->ref = arena_alloc(&world->arena, entry_slot_size(&spec));
    assert_int_not_equal(item->ref, 0);
    entry_write(arena_at(&world->arena, item->ref), &spec);
    index_insert(&world->index, item->hash, item->ref);
    world->count++;
}

static void take(struct world *world, struct item *item)
{
    struct index_slot slot =
        index_find(&world->index, item->hash, key_of(item));
    assert_non_null(slot.ref);
    index_remove(&world->index, item->hash, slot);
    arena_free(&world->arena, item->ref);
    item->ref = 0;
    world->count--;
}

static void expect_item(const struct world *world, const struct item *item)
{
    const struct index *index = &world->index;
    struct index_slot slot = index_find(index, item->hash, key_of(item));
    if (item->ref == 0) {
        assert_null(slot.ref);
        assert_null(index_find_id(index, item->hash, item->number + 1).ref);
        return;
    }
    assert_non_null(slot.ref);
    assert_int_equal(*slot.ref, item->ref);
    assert_ptr_equal(
        index_find_id(index, item->hash, item->number + 1).ref, slot.ref);
    assert_ptr_equal(
        index_find_ref(index, item->hash, item->ref).ref, slot.ref);
    assert_null(index_find_queued(index, item->hash).ref);
    assert_null(index_find_id(index, item->hash, KEYS + 1).ref);
}

static void expect_all(const struct world *world)
{
    assert_int_equal(world->index.count, world->count);
    index_sane(&world->index);
    for (unsigned i = 0; i < KEYS; i++) {
        expect_item(world, &world->items[i]);
    }
}

static void play(bool ordered)
{
    struct world *world = world_new(ordered);
    for (unsigned i = 0; i < KEYS; i++) {
        insert(world, &world->items[i]);
    }
    expect_all(world);
    /* A slot of 4 bytes and a tag, at worst half full. */
    assert_true(world->bytes < (size_t)KEYS * 12);
    for (unsigned step = 0; step < 200000; step++) {
        struct item *item = &world->items[seed_below(&world->random, KEYS)];
        if (item->ref == 0) {
            insert(world, item);
        } else {
            take(world, item);
        }
    }
    expect_all(world);
    for (unsigned i = 0; i < KEYS; i++) {
        if (world->items[i].ref != 0) {
            take(world, &world->items[i]);
        }
    }
    expect_all(world);
    world_free(world);
}

static void keys_in_any_order(void **state)
{
    (void)state;
    play(false);
}

static void keys_in_the_order_of_their_hashes(void **state)
{
    (void)state;
    play(true);
}

static void on_scan(void *context, uint32_t ref, uint64_t hash)
{
    struct world *world = context;
    uint32_t number = 0;
    struct bytes key = entry_key_of(arena_at(&world->arena, ref));
    memcpy(&number, key.data, sizeof number);
    assert_true(world->items[number].hash == hash);
    assert_int_equal(world->items[number].ref, ref);
    world->items[number].seen++;
}

static void scan_while_it_changes(struct world *world, unsigned changes)
{
    uint64_t position = 0, steps = 0;
    do {
        uint64_t next = index_scan(&world->index, position, on_scan, world);
        assert_true(next < (UINT64_C(1) << INDEX_POSITION_BITS));
        assert_true(next == 0 || next > position);
        position = next;
        for (unsigned i = 0; i < changes; i++) {
            struct item *item = &world->items[seed_below(&world->random, KEYS)];
            if (item->ref == 0) {
                insert(world, item);
            } else if (!item->stays && seed_below(&world->random, 4) == 0) {
                take(world, item);
            }
        }
        assert_true(++steps < 1000000);
    } while (position != 0);
}

/* From few keys to many under one scan, and shrinking under the next. */
static void scans_miss_nothing_that_stays(void **state)
{
    struct world *world = world_new(false);
    (void)state;
    for (unsigned i = 0; i < KEYS; i += 100) {
        insert(world, &world->items[i]);
        world->items[i].stays = true;
    }
    for (unsigned changes = 0; changes < 300; changes += 60) {
        for (unsigned i = 0; i < KEYS; i++) {
            world->items[i].seen = 0;
        }
        scan_while_it_changes(world, changes);
        for (unsigned i = 0; i < KEYS; i++) {
            assert_true(!world->items[i].stays || world->items[i].seen > 0);
            assert_true(changes > 0 ||
                        world->items[i].seen == (world->items[i].ref != 0));
        }
        index_sane(&world->index);
    }
    world_free(world);
}

static void reserved_index_does_not_grow(void **state)
{
    struct world *world = world_new(false);
    (void)state;
    index_reserve(&world->index, KEYS);
    size_t bytes = world->bytes;
    for (unsigned i = 0; i < KEYS; i++) {
        insert(world, &world->items[i]);
    }
    assert_true(world->bytes <= bytes + bytes / 10);
    expect_all(world);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_in_any_order),
        cmocka_unit_test(keys_in_the_order_of_their_hashes),
        cmocka_unit_test(scans_miss_nothing_that_stays),
        cmocka_unit_test(reserved_index_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
