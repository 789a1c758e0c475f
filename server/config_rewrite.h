/* CONFIG REWRITE. Engine thread. */
#ifndef LARDER_SERVER_CONFIG_REWRITE_H
#define LARDER_SERVER_CONFIG_REWRITE_H

#include "server/config.h"

/* Writes the values in use into config->config_path, which is not "". `users`
 * are whole `user` lines, those that shall be in the file in the place of
 * those it has, or NULL: these stay. The file is replaced as a whole and
 * synced. False with errno set when it could not be; it then stands as it was.
 */
bool config_rewrite(const struct config *config, const char *users);

#endif
