/* What a command that runs inside another's handler (command_call) needs
 * before it can run, without waiting. One thread, the loop's. */
#ifndef LARDER_SERVER_NESTED_H
#define LARDER_SERVER_NESTED_H

#include "server/command.h"

/* Whether there is memory for it: the outer command was admitted, so some
 * more than maxmemory is given. False after having answered -OOM. */
bool nested_fits(struct request *request);

/* Reads the values it needs that are on disk, at once, and pins them. False
 * after having answered an error. */
bool nested_fetch(struct request *request);
/* The same for one key that no argument names and that only the handler knows
 * of; not pinned: it is good until the handler ends. Nothing borrowed from
 * the database is good after it. */
bool nested_fetch_key(struct request *request, struct bytes key);
/* Ends the pins of nested_fetch. */
void nested_release(struct request *request);

#endif
