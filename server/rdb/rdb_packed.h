/* Redis' packed lists: many items in one string. Opening one checks it from
 * its first byte to its last; behind that its items may be read without
 * further checks. Any thread. */
#ifndef LARDER_SERVER_RDB_RDB_PACKED_H
#define LARDER_SERVER_RDB_RDB_PACKED_H

#include "protocol/bytes.h"

enum rdb_packed_kind {
    RDB_LISTPACK,
    RDB_ZIPLIST,
    RDB_ZIPMAP,
    RDB_INTSET,
};

struct rdb_packed {
    enum rdb_packed_kind kind;
    const char *at, *end; /* the items; borrowed */
    uint64_t count;
    unsigned width; /* of an intset's integers */
    bool value;     /* of a zipmap: the next item is a value */
};

/* An item that was read. */
struct rdb_item {
    bool is_integer;
    int64_t integer;
    struct bytes text; /* also of an integer: in `digits` */
    char digits[21];
};

/* False when `text` is none, or has a wrong length, end or count. */
bool rdb_packed_open(
    struct rdb_packed *packed, enum rdb_packed_kind kind, struct bytes text);
/* The next item; false at the end. */
bool rdb_packed_next(struct rdb_packed *packed, struct rdb_item *item);

/* For the files of the forms: the item at `at`, checked; the position behind
 * it or NULL. */
typedef const char *rdb_item_fn(
    const char *at, const char *end, struct rdb_item *item);
rdb_item_fn rdb_listpack_item, rdb_ziplist_item;
/* Bytes of the size behind a listpack's item of `size` bytes. */
size_t rdb_listpack_back_bytes(uint64_t size);
void rdb_item_set_integer(struct rdb_item *item, int64_t value);
/* A little-endian number of `size` bytes, with its sign. */
int64_t rdb_little_integer(const char *at, size_t size);

#endif
