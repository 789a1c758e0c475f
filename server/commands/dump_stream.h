/* Streams in the RDB format: for dump.c and dump_value.c. One thread. */
#ifndef LARDER_SERVER_COMMANDS_DUMP_STREAM_H
#define LARDER_SERVER_COMMANDS_DUMP_STREAM_H

#include "server/rdb/rdb_decode.h"
#include "server/rdb/rdb_writer.h"
#include "tiers/values/value.h"

/* Writes type and value; a node has at most `node_entries` entries (0: any
 * number). */
void dump_stream_write(
    struct value *value, uint64_t node_entries, struct rdb_writer *writer);

/* What was read of the group that is being restored. Zeroed = none. */
struct dump_stream {
    struct stream_group *group;
    struct stream_consumer *consumer;
    struct dump_pending *pending; /* heap, in the order of ids */
    size_t count, capacity, owned;
};
/* Adds a part to `value`, a stream that is put together. False: it does not
 * fit what came before. */
bool dump_stream_keep(struct dump_stream *restored, struct value *value,
    const struct rdb_part *part);
void dump_stream_finish(struct dump_stream *restored);

#endif
