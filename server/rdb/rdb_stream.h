/* Streams in the RDB format, taken apart: for rdb_decode.c. One thread. */
#ifndef LARDER_SERVER_RDB_RDB_STREAM_H
#define LARDER_SERVER_RDB_RDB_STREAM_H

#include "server/rdb/rdb_decode.h"

/* Reads a stream of type RDB_STREAM_LISTPACKS or _2 and gives its parts to
 * `keep` in this order: RDB_ENTRY each entry in the order of ids;
 * RDB_STREAM_STATE; for each group RDB_GROUP, RDB_PENDING each pending entry
 * in the order of ids, and for each consumer RDB_CONSUMER and RDB_OWNED each
 * entry that is pending for it; at last RDB_STREAM_END. False: damaged or
 * refused. */
bool rdb_stream_read(
    struct rdb_reader *reader, unsigned type, rdb_part_fn *keep, void *context);

/* What the entries of a node say of themselves. */
enum rdb_entry_flags { RDB_ENTRY_DELETED = 1, RDB_ENTRY_SAME_FIELDS = 2 };

#endif
