/* Namespaces in the configuration, for NAMESPACE and CONFIG. Engine thread. */
#ifndef LARDER_SERVER_CONFIG_NAMESPACE_H
#define LARDER_SERVER_CONFIG_NAMESPACE_H

#include "server/config.h"

/* Adds to the options of a prefix, which is created when it is new. False
 * with the reason (CONFIG_REASON_BYTES) and nothing changed. */
bool config_set_namespace(struct config *config, const char *prefix,
    char *const *words, int count, char *reason);
/* False when there is none. */
bool config_remove_namespace(struct config *config, const char *prefix);
/* The options in use, defaults included. False when there is none. */
bool config_namespace_options(const struct config *config, const char *prefix,
    struct namespace_options *merged);
/* Hands all of them to the engine. */
void config_apply_namespaces(
    const struct config *config, struct engine *engine);

#endif
