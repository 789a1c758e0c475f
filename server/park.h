/* Parking: a connection whose command cannot run yet, or cannot answer yet,
 * waits; its input is not parsed meanwhile. Everything that waits does so
 * here: for values on disk, for room, for durability, for the end of CLIENT
 * PAUSE, for the client to read what it asked for, for its next turn.
 *
 * What ends a wait only marks the connection as ready; park_run_ready then
 * lets it go on, so nothing ever runs commands from inside the engine. One
 * thread, the loop's. */
#ifndef LARDER_SERVER_PARK_H
#define LARDER_SERVER_PARK_H

#include "server/batch.h"
#include "server/command.h"
#include "server/conn.h"
#include "server/dispatch.h"

/* Allocated when a connection first has to wait, freed when it has caught up
 * with its input or closes. */
struct park {
    struct conn *conn; /* NULL: it closed, whoever holds the park frees it */
    struct park *next_ready;
    bool in_ready_list, running;
    struct engine_waiter waiter; /* for room, sync, a handler's own wait */
    bool waiter_active;
    enum dry_result result;     /* of that waiter */
    struct park_fetch *fetches; /* values fetched for the batch, pinned */
    unsigned fetches_left;
    unsigned rounds;      /* of fetches for the command that is next */
    uint64_t since_ticks; /* when the command that is next first waited */
    bool has_batch;
    struct batch batch; /* what has not run, with its arguments */
};

/* For a handler that cannot answer yet: it calls this, writes no reply and
 * returns. The connection is parked; once on_ready of the returned waiter has
 * been called (by the engine it was given to, or by the caller itself) the
 * command runs again from the start. The waiter is the connection's own and
 * forgotten when it closes. */
struct engine_waiter *park_retry(struct request *request);

/* Waits until the values on disk that `batch` needs from its next command on
 * are in RAM. False when one that the next command needs could not be read
 * (*result) or kept sinking again (DRY_OK): answer an error. */
bool park_for_fetch(
    struct conn *conn, const struct batch *batch, enum dry_result *result);
void park_for_room(struct conn *conn);
/* CONN_WAIT_PAUSE, CONN_WAIT_OUTPUT and CONN_WAIT_BLOCKED, until park_end;
 * CONN_WAIT_TURN, which ends by itself. */
void park_for(struct conn *conn, enum conn_wait wait);
/* Durability `always`. False when there is nothing to wait for. */
bool park_for_sync(struct conn *conn);

/* CONN_WAIT_BLOCKED: runs the command that waits once more, `key` having
 * changed, into server->served_reply. DISPATCH_DONE: it has answered, and the
 * wait is to be ended; DISPATCH_PARKED: it goes on waiting;
 * DISPATCH_NEEDS_FETCH: it has to run as usual. */
enum dispatch_result park_serve(struct conn *conn, struct bytes key);
/* The wait is over; park_run_ready goes on with it. */
void park_end(struct conn *conn);
/* Moves a batch and its arguments to the parked connection. */
void park_keep_batch(struct conn *conn, struct batch *batch);
/* Whether values were fetched for the command that is next: it has been
 * admitted before. */
bool park_has_fetched(const struct conn *conn);
/* Whether the wait that ended last was for room that nothing can make. */
bool park_room_refused(const struct conn *conn);
/* The command that was next has been answered. */
void park_command_done(struct conn *conn);
/* How long the command that runs now has been waiting for values or room. */
uint64_t park_waited_ns(const struct conn *conn);
/* The connection goes away: waits for nothing any more. */
void park_cancel(struct conn *conn);
/* Lets all go on whose wait is over. */
void park_run_ready(struct server *server);

#endif
