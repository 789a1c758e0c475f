/* Scripts: EVAL and its kin, the SCRIPT commands, functions in libraries.
 * What the rest of the server needs to know of them; lua.h is seen in this
 * folder only. One thread, the loop's. */
#ifndef LARDER_SERVER_SCRIPTING_SCRIPTING_H
#define LARDER_SERVER_SCRIPTING_SCRIPTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;
struct conn;
struct request;
struct scripting;
struct server;

/* Creates what scripts run in. NULL when scripts are turned off (`scripting
 * no`) or were not built in: the commands then answer an error. */
struct scripting *scripting_create(struct server *server);
void scripting_destroy(struct scripting *scripting);

/* Reads the libraries of functions kept in `dir`. False, with the reason
 * logged, when there are some that cannot be read: the server must not start
 * without them and then write over them. NULL is allowed. */
bool scripting_load(struct scripting *scripting);

/* Whether a script has run for longer than busy-reply-threshold: commands
 * other than those flagged CMD_ALLOW_BUSY are refused, with the text of
 * scripting_busy_error. Parks, the engine's turn and cron rest meanwhile. */
bool scripting_is_busy(const struct server *server);
const char *scripting_busy_error(const struct server *server);
/* SIGTERM came while a script is busy: ends it, whatever it has done. */
void scripting_abort(struct server *server);

/* For INFO and MEMORY STATS; all zero when there are no scripts. */
struct scripting_figures {
    uint64_t eval_vm_bytes;      /* Lua's memory for scripts */
    uint64_t eval_scripts_bytes; /* the cache of scripts outside Lua */
    uint64_t cached_scripts;
    uint64_t function_vm_bytes;
    uint64_t function_bytes; /* libraries outside Lua */
    uint64_t libraries, functions;
};
void scripting_figures(
    const struct scripting *scripting, struct scripting_figures *figures);

#endif
