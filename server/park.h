/* Parking: a connection whose command cannot run yet, or cannot answer yet,
 * waits; its input is not parsed meanwhile. One thread, the loop's. */
#ifndef LARDER_SERVER_PARK_H
#define LARDER_SERVER_PARK_H

#include "server/command.h"

/* For a handler that cannot answer yet: it calls this, writes no reply and
 * returns. The connection is parked; once on_ready of the returned waiter has
 * been called (by the engine it was given to, or by the caller itself) the
 * command runs again from the start. The waiter is the connection's own and
 * forgotten when it closes. */
struct engine_waiter *park_retry(struct request *request);

#endif
