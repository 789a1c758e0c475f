/* What follows from a command that has run or was refused: statistics,
 * SLOWLOG, LATENCY, MONITOR, and that its writes have to be made durable. One
 * thread, the loop's. */
#ifndef LARDER_SERVER_ACCOUNT_H
#define LARDER_SERVER_ACCOUNT_H

#include "server/command.h"

/* An error was answered, by the handler or (rejected) instead of running it.
 * `row` is NULL when there is no such command. */
void account_error(
    struct request *request, const struct command *row, bool rejected);
/* The handler has answered after so many ticks (clock.h). */
void account_run(struct request *request, uint64_t ticks);
/* It has begun to wait for a key (block.h), which counts as its call. */
void account_blocked(struct request *request, uint64_t ticks);

#endif
