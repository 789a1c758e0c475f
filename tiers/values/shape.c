#include "tiers/values/shape.h"

const char *shape_item_check(
    const struct shape *shape, const char *at, const char *end)
{
    if ((size_t)(end - at) < shape->fixed) {
        return NULL;
    }
    at += shape->fixed;
    for (unsigned i = 0; i < shape->elements && at != NULL; i++) {
        at = element_check(at, end);
    }
    return at;
}

struct bytes shape_key(const struct shape *shape, struct bytes item)
{
    if (shape->order != SHAPE_BY_HASH) {
        return item;
    }
    if (shape->elements == 0) {
        return bytes_of(item.data, shape->fixed);
    }
    const char *at = item.data + shape->fixed;
    return bytes_of(at, (size_t)(element_skip(at) - at));
}

static uint64_t big_endian(const char *at)
{
    uint64_t value = 0;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

uint64_t shape_prefix(
    const struct shape *shape, uint32_t hash, struct bytes item)
{
    switch (shape->order) {
    case SHAPE_BY_HASH:
        return hash;
    case SHAPE_BY_FIXED:
        return item.size >= 8 ? big_endian(item.data) : 0;
    default:
        return 0;
    }
}

static int compare_fixed(
    const struct shape *shape, struct bytes item, struct bytes sought)
{
    size_t size = sought.size < shape->fixed ? sought.size : shape->fixed;
    int order = size == 0 ? 0 : memcmp(item.data, sought.data, size);
    if (order != 0) {
        return order;
    }
    if (sought.size <= shape->fixed || shape->elements == 0) {
        /* Equal only when there is nothing more to compare. */
        return shape->elements == 0 && sought.size == shape->fixed ? 0 : 1;
    }
    struct element mine, theirs;
    element_read(item.data + shape->fixed, &mine);
    element_read(sought.data + shape->fixed, &theirs);
    return bytes_compare(element_text(&mine), element_text(&theirs));
}

int shape_compare(
    const struct shape *shape, struct bytes item, struct bytes sought)
{
    if (sought.size == 0) {
        return 1;
    }
    if (shape->order == SHAPE_BY_HASH) {
        return bytes_compare(shape_key(shape, item), sought);
    }
    return compare_fixed(shape, item, sought);
}
