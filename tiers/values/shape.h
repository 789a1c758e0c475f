/* Shapes: what the items of a collection look like and how they are ordered.
 *
 *   item = `fixed` bytes, then `elements` elements (element.h)
 *
 * Collections keep items of one shape, in a flat run (pack.h) while they are
 * small and in a tree (tree.h) when they are large. */
#ifndef LARDER_TIERS_VALUES_SHAPE_H
#define LARDER_TIERS_VALUES_SHAPE_H

#include "tiers/values/element.h"

enum shape_order {
    SHAPE_BY_POSITION, /* lists */
    SHAPE_BY_HASH,     /* by a 32-bit hash that the caller gives, then by the
                          bytes of `key`: the first element, or the fixed
                          bytes when there is no element */
    SHAPE_BY_FIXED,    /* by the fixed bytes (big endian, so memcmp orders
                          them), then by the text of the first element */
};

struct shape {
    uint8_t fixed;    /* bytes before the elements: 0, 8 or 16 */
    uint8_t elements; /* 0 to 3 */
    enum shape_order order;
};

/* Where the item that begins at trusted bytes `at` ends. */
static inline const char *shape_item_end(
    const struct shape *shape, const char *at)
{
    at += shape->fixed;
    for (unsigned i = 0; i < shape->elements; i++) {
        at = element_skip(at);
    }
    return at;
}

/* The same for bytes that may be damaged: NULL when no item is there. */
const char *shape_item_check(
    const struct shape *shape, const char *at, const char *end);

/* The part of an item that orders it: of SHAPE_BY_HASH its key. */
struct bytes shape_key(const struct shape *shape, struct bytes item);

/* What inner nodes keep of an item: the hash, or the first 8 fixed bytes as a
 * big-endian number, or 0 for lists. */
uint64_t shape_prefix(
    const struct shape *shape, uint32_t hash, struct bytes item);

/* Orders an item against what is sought, hashes being equal: `sought` is a
 * key in the form of shape_key (SHAPE_BY_HASH), or `fixed` bytes and
 * optionally one element (SHAPE_BY_FIXED; without the element it is before
 * every item with these fixed bytes). Empty: before everything. Below, equal
 * to or above 0. */
int shape_compare(
    const struct shape *shape, struct bytes item, struct bytes sought);

#endif
