/* Values of keys in the RDB format. One thread, the engine's. */
#ifndef LARDER_SERVER_COMMANDS_DUMP_H
#define LARDER_SERVER_COMMANDS_DUMP_H

#include "server/command.h"
#include "server/rdb/rdb_writer.h"

/* Writes type and value of a resident entry, as redis-server 7.0 does. */
void dump_value(struct request *request, const struct entry *entry,
    struct rdb_writer *writer);

#endif
