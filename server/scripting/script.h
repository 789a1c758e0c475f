/* What the files of this folder share: the script that runs, the cache of
 * scripts, the libraries of functions. */
#ifndef LARDER_SERVER_SCRIPTING_SCRIPT_H
#define LARDER_SERVER_SCRIPTING_SCRIPT_H

#include <uthash.h>

#include "server/scripting/scripting.h"
#include "server/scripting/vm.h"
#include "server/server.h"

enum script_flags { /* as the shebang line and register_function name them */
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_ALLOW_CROSS_SLOT_KEYS = 1 << 4,
    SCRIPT_COMPAT = 1 << 5, /* no shebang line: as before Redis 7 */
};
/* The flag of that name, or 0. */
uint32_t script_flag_find(struct bytes name);
/* Writes the names of `flags` as a set. */
void script_flags_reply(struct reply *reply, uint32_t flags);

/* ---- the cache of scripts (cache.c) ---- */

#define SCRIPT_SHA_BYTES 20
#define SCRIPT_SHA_TEXT 40

struct script {
    unsigned char sha[SCRIPT_SHA_BYTES]; /* the key */
    char name[SCRIPT_SHA_TEXT + 1];      /* the same in hexadecimal */
    UT_hash_handle hh;
    struct script *newer, *older; /* by their last use */
    int function;                 /* its reference in Lua's registry */
    uint32_t flags;
    bool loaded; /* by SCRIPT LOAD: outlives those only run by EVAL */
    size_t source_bytes;
};

/* The script with that SHA-1, by its 40 digits in any case, or NULL. */
struct script *cache_find(struct scripting *scripting, struct bytes sha);
/* The script with that source, compiled if it is new. NULL after an error
 * has been answered. `loaded`: by SCRIPT LOAD. */
struct script *cache_add(
    struct request *request, struct bytes source, bool loaded);
void cache_flush(struct scripting *scripting);
/* 40 lower-case digits and a terminator. */
void script_sha1_hex(struct bytes text, char out[SCRIPT_SHA_TEXT + 1]);

/* ---- the script that runs (run.c, busy.c) ---- */

struct script_run {
    struct request *request;
    struct vm *vm;
    const char *name; /* SHA-1 or the function's name */
    int function;     /* reference in Lua's registry */
    bool is_eval, reads_only;
    uint32_t flags;       /* of the script */
    int key_count;        /* argv[3...] */
    uint8_t resp_version; /* of what redis.call answers */
    bool wrote;           /* has called a command that writes */
    bool killed;          /* by SCRIPT KILL and its kin: must end */
    bool busy;            /* has run for too long: others are told so */
    uint64_t since_ticks, wait_ns; /* when the clock was last looked at, and
                                      how long the script may run on */
    uint64_t start_us;
    struct busy *held; /* busy.c: while busy */
};

/* What a run is given. */
struct script_call {
    struct vm *vm;
    const char *name;
    int function;
    uint32_t flags;
    bool is_eval, reads_only;
};
/* Runs it with the keys and arguments of `request` (argv[2] counts the keys,
 * `key_count` says how many) and answers. */
void script_run_call(
    struct request *request, const struct script_call *call, int key_count);
/* False when it must wait for room in memory: the request is parked, or was
 * answered. */
bool script_admit(struct request *request, uint32_t flags, bool reads_only);
/* EVAL's numkeys; false after an error. */
bool script_key_count(
    struct request *request, const char *not_a_number, int *count);

/* What scripts may use of memory (run.c). */
size_t script_cap_bytes(const struct server *server);
/* lua_pcall's handler: makes any error a table with err, source, line. */
int script_on_error(lua_State *lua);
/* Pushes {err = text}; the text begins with its code. */
void script_push_error(lua_State *lua, const char *text);
/* Answers for the error at the top of the stack, and pops it. */
void script_reply_error(struct script_run *run, int status);

/* Before the run. */
void busy_begin(struct script_run *run);
/* The hook's work while a script runs. */
void busy_look(lua_State *lua, struct script_run *run);
/* After the run: what rested goes on. */
void busy_end(struct script_run *run);

/* ---- replies (reply_in.c, reply_out.c) ---- */

/* Pushes the one reply in `reply` as Lua has it. */
void reply_push_value(lua_State *lua, const struct reply *reply);
/* Whether it is an error. */
bool reply_is_error(const struct reply *reply);
/* Answers with the value at the top of Lua's stack, and pops it. Raises Lua
 * errors. */
void reply_write_value(lua_State *lua, struct script_run *run);

/* Adds the table `redis`, for both VMs; what only scripts have is taken away
 * from the one for functions. (api.c) */
void api_open(lua_State *lua);
/* redis.call and redis.pcall (call.c). */
int call_raise(lua_State *lua);
int call_return(lua_State *lua);
int call_check_rights(lua_State *lua);

struct library;      /* library.h */
struct function;     /* library.h */
struct library_load; /* library_load.c */

struct scripting {
    struct server *server;
    struct vm eval, function_vm;
    struct script *scripts; /* uthash by sha */
    struct script *newest, *oldest;
    size_t script_count, eval_count, script_bytes;
    struct library *libraries;
    struct function *functions;
    struct library_load *load; /* under way, or NULL */
    struct script_run *run;    /* the one that runs, or NULL */
    unsigned short random[3];  /* math.random's state */
    /* redis.call's, kept between calls. */
    struct reply reply;
    struct bytes *argv;
    char (*digits)[40];
    int argv_capacity;
};

#endif
