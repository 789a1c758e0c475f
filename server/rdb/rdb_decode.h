/* Values in the RDB format, taken apart. One thread. */
#ifndef LARDER_SERVER_RDB_RDB_DECODE_H
#define LARDER_SERVER_RDB_RDB_DECODE_H

#include "server/rdb/rdb.h"
#include "server/rdb/rdb_reader.h"

enum rdb_shape {
    RDB_TEXT,
    RDB_ELEMENTS,
    RDB_MEMBERS,
    RDB_FIELDS,
    RDB_SCORED,
    /* The parts of a stream, in the order that rdb_stream.h says: */
    RDB_ENTRY,        /* id, words */
    RDB_STREAM_STATE, /* id: the last; deleted_id: the highest; number: of
                         entries ever added */
    RDB_GROUP,        /* text: its name; id: the last delivered; number: of
                         entries read, UINT64_MAX: not known */
    RDB_PENDING,      /* id, time_ms: of delivery; number: of deliveries */
    RDB_CONSUMER,     /* text: its name; time_ms: when it was seen */
    RDB_OWNED,        /* id */
    RDB_STREAM_END,
};

struct rdb_id {
    uint64_t ms, seq;
};

/* One thing that a value is made of. */
struct rdb_part {
    enum rdb_shape shape; /* the same for the whole value, but of streams */
    struct bytes text;    /* string, element, member or field; borrowed */
    struct bytes value;   /* of a field */
    double score;         /* of RDB_SCORED; not NaN */
    uint64_t deadline_ms; /* of a field: when it expires; 0: never */
    struct rdb_id id, deleted_id;
    const struct bytes *words; /* fields and values alternately; borrowed */
    size_t word_count;
    uint64_t number;
    int64_t time_ms;
    bool older; /* from a Redis that did not count entries: state and groups
                   have no `number` of use */
};
/* Keeps one part; false when it cannot be (a member given twice). */
typedef bool rdb_part_fn(void *context, const struct rdb_part *part);

/* Reads the value of that type and gives its parts, at least one, to `keep`.
 * False when the value is damaged, empty, of no known type, or refused;
 * parts may have been given all the same. */
bool rdb_decode(
    struct rdb_reader *reader, unsigned type, rdb_part_fn *keep, void *context);

#endif
