/* Which arguments of a command must not be shown in SLOWLOG, MONITOR or the
 * log: passwords and other sensitive values. */
#ifndef LARDER_SERVER_REDACT_H
#define LARDER_SERVER_REDACT_H

#include "protocol/bytes.h"

/* What stands in place of such an argument, as in Redis. */
#define REDACTED "(redacted)"

/* Whether argument `index` of the command argv[0..argc) is secret. */
bool argument_is_secret(const struct bytes *argv, int argc, int index);

#endif
