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
/* Ends the pins. */
void nested_release(struct request *request);

#endif
