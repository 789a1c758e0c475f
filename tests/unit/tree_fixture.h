/* Items of every shape, for the tests of trees. */
#ifndef LARDER_TESTS_UNIT_TREE_FIXTURE_H
#define LARDER_TESTS_UNIT_TREE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/seed.h"
#include "tiers/values/tree.h"

/* An item on the heap, with its hash. */
struct item {
    char *data;
    size_t size;
    uint32_t hash;
};

/* A kind of collection: how its items are made. */
struct breed {
    const char *name;
    struct shape shape;
    unsigned keys;     /* so many different ones: some repeat */
    unsigned hashes;   /* 0: no hash; so many different ones */
    unsigned fixed;    /* so many different fixed parts, 0: all of them */
    size_t value_most; /* bytes of the last element, sometimes 100 times it */
    unsigned odd;      /* 0, or: all keys and values are of one size, but one
                          in so many */
};

static inline struct bytes item_bytes(const struct item *item)
{
    return bytes_of(item->data, item->size);
}

/* `value` as 8 bytes, big endian. */
static inline void write_big_endian(char *out, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof value);
}

/* A text of random size, or an integer. */
static inline size_t write_value(
    char *out, const struct breed *breed, uint64_t *random)
{
    size_t size = seed_below(random, breed->value_most + 1);
    if (breed->odd > 0 && seed_below(random, breed->odd) > 0) {
        return element_write(out, bytes_of("eeeeeeeeeeeeeeeeeeee", 20));
    }
    if (seed_below(random, 500) == 0) {
        size = seed_below(random, breed->value_most * 100 + 1);
    }
    if (seed_below(random, 3) == 0) {
        return element_write_integer(out, (int64_t)seed_below(random, 1000));
    }
    char *text = xmalloc(size + 1);
    memset(text, 'a' + (int)seed_below(random, 26), size);
    size = element_write(out, bytes_of(text, size));
    free(text);
    return size;
}

static inline size_t write_key(
    char *out, const struct breed *breed, uint64_t key)
{
    char text[160];
    memset(text, '.', sizeof text);
    size_t digits = bytes_from_int64(text, (int64_t)key);
    /* Some keys are numbers, some texts of different sizes. */
    size_t size = key % 3 == 0 ? digits : digits + 1 + key * 7 % 100;
    if (breed->odd > 0 && key % breed->odd > 0) {
        size = 24;
    }
    return element_write(out, bytes_of(text, size));
}

/* No item of this breed has more bytes: every element may be a large value. */
static inline size_t item_bytes_most(const struct breed *breed)
{
    return 1024 +
           breed->shape.elements * ELEMENT_BOUND(breed->value_most * 100);
}

/* Key number `key` with some value. Equal keys have equal hashes and equal
 * fixed parts where those order the items. */
static inline struct item make_item(
    const struct breed *breed, uint64_t key, uint64_t *random)
{
    const struct shape *shape = &breed->shape;
    struct item item = {.data = xmalloc(item_bytes_most(breed))};
    uint64_t mixed = (key + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 29;
    item.hash = breed->hashes > 0 ? (uint32_t)(mixed % breed->hashes) *
                                        (UINT32_MAX / breed->hashes)
                                  : 0;
    uint64_t fixed = breed->fixed > 0 ? key % breed->fixed : mixed;
    if (shape->order == SHAPE_BY_FIXED && fixed == 2) {
        fixed = UINT64_MAX; /* the last prefix there is */
    }
    if (shape->order == SHAPE_BY_HASH && shape->elements > 0) {
        fixed = seed_next(random); /* no part of the key */
    }
    if (shape->fixed >= 8) {
        write_big_endian(item.data, fixed);
    }
    if (shape->fixed >= 16) {
        write_big_endian(item.data + 8, key);
    }
    item.size = shape->fixed;
    bool keyed = shape->order != SHAPE_BY_POSITION && shape->fixed < 16;
    for (unsigned i = 0; i < shape->elements; i++) {
        char *out = item.data + item.size;
        item.size += i == 0 && keyed ? write_key(out, breed, key)
                                     : write_value(out, breed, random);
    }
    item.data = xrealloc(item.data, item.size);
    return item;
}

/* What an item is sought by. */
static inline struct bytes item_sought(
    const struct breed *breed, const struct item *item)
{
    return shape_key(&breed->shape, item_bytes(item));
}

#endif
