/* Values in the RDB format, taken apart. One thread. */
#ifndef LARDER_SERVER_RDB_RDB_DECODE_H
#define LARDER_SERVER_RDB_RDB_DECODE_H

#include "server/rdb/rdb.h"
#include "server/rdb/rdb_reader.h"

enum rdb_shape { RDB_TEXT, RDB_ELEMENTS, RDB_MEMBERS, RDB_FIELDS, RDB_SCORED };

/* One thing that a value is made of. */
struct rdb_part {
    enum rdb_shape shape; /* the same for the whole value */
    struct bytes text;    /* string, element, member or field; borrowed */
    struct bytes value;   /* of a field */
    double score;         /* of RDB_SCORED; not NaN */
    uint64_t deadline_ms; /* of a field: when it expires; 0: never */
};
/* Keeps one part; false when it cannot be (a member given twice). */
typedef bool rdb_part_fn(void *context, const struct rdb_part *part);

/* Reads the value of that type and gives its parts, at least one, to `keep`.
 * False when the value is damaged, empty, of no known type, or refused;
 * parts may have been given all the same. */
bool rdb_decode(
    struct rdb_reader *reader, unsigned type, rdb_part_fn *keep, void *context);

#endif
