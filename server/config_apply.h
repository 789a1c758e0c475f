/* What a changed directive means for the running server. Engine thread. */
#ifndef LARDER_SERVER_CONFIG_APPLY_H
#define LARDER_SERVER_CONFIG_APPLY_H

#include "server/config.h"
#include "tiers/engine.h"

struct directive;
struct server;

/* Makes `wanted` the server's configuration and puts each directive whose
 * value differs to work. Takes over what `wanted` owns. On failure the old
 * configuration is at work again, *culprit is the directive that could not be
 * applied, and `reason` (CONFIG_REASON_BYTES) says why. */
bool config_apply(struct server *server, struct config *wanted,
    const struct directive **culprit, char *reason);

/* What appendonly and appendfsync ask of the engine. */
enum engine_durability config_durability(const struct config *config);

#endif
