/* What the files of set commands share. */
#ifndef LARDER_SERVER_COMMANDS_SET_H
#define LARDER_SERVER_COMMANDS_SET_H

#include "server/commands/typed.h"
#include "tiers/values/set.h"

/* Opens the sets in arguments [first, first + count) for reading, into the
 * request's scratch memory; those that are absent have `exists` false. NULL:
 * WRONGTYPE has been answered. All stay good until the database changes. */
struct collection *set_open_all(struct request *request, int first, int count);

#endif
