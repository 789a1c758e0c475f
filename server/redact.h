/* Which arguments of a command must not be shown in SLOWLOG, MONITOR or the
 * log: passwords and other sensitive values. */
#ifndef LARDER_SERVER_REDACT_H
#define LARDER_SERVER_REDACT_H

#include "protocol/bytes.h"

/* What stands in place of such an argument, as in Redis. */
#define REDACTED "(redacted)"

struct command;

/* Whether argument `index` of a call of `command` is secret; argv[0] is the
 * name it was called by, which may be another than the command's own. */
bool argument_is_secret(const struct command *command, const struct bytes *argv,
    int argc, int index);

#endif
