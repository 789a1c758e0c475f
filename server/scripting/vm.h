/* A Lua state that can be trusted with strangers' code: its memory is capped,
 * its globals cannot be changed, it cannot reach outside, and what runs in it
 * for long lets the server breathe. There are two, one for scripts, one for
 * functions.
 *
 * How globals are protected: the real tables (string, redis, ...) are never
 * seen by a script. It sees an empty table in the place of each, a proxy,
 * whose metatable leads reads to the real one and refuses writes. All
 * functions of Lua that go around metatables are replaced (sandbox.c). */
#ifndef LARDER_SERVER_SCRIPTING_VM_H
#define LARDER_SERVER_SCRIPTING_VM_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

struct scripting;

struct vm {
    lua_State *lua;
    struct scripting *scripting; /* borrowed */
    size_t used_bytes, cap_bytes;
    size_t collect_bytes; /* beyond it garbage is collected at once: Lua 5.1
                             does not do so when memory runs out */
    /* Lua runs outside a protected call, where a failed allocation would end
     * the program; or a library is at work that would leak when interrupted,
     * and what it needs has been checked before. */
    bool uncapped;
    uintptr_t stack_base; /* where the C stack was when the script began */
    int error_handler;    /* references into Lua's registry */
    int real_globals, globals;
};

/* How deep the C stack may grow below where the script began: of the 8 MB
 * there are, with room for the 200 C calls a Lua thread may nest. */
#define VM_STACK_BYTES ((uintptr_t)2 * 1024 * 1024)
/* Instructions between two looks at the clock. */
#define VM_HOOK_INSTRUCTIONS 1000

/* Starts a state with all libraries and the functions of `redis`, protected.
 * The caller adds what else it has by vm_global_table and ends with
 * vm_protect. */
void vm_init(struct vm *vm, struct scripting *scripting, size_t cap_bytes);
void vm_finish(struct vm *vm);
/* The state's own struct, from anywhere inside Lua. */
static inline struct vm *vm_of(lua_State *lua)
{
    void *context;
    lua_getallocf(lua, &context);
    return context;
}

/* Pushes a proxy for the table at the top of the stack, in its place. */
void vm_make_proxy(lua_State *lua);
/* If the value at `index` is a proxy, pushes the real table and answers
 * true. */
bool vm_push_real(lua_State *lua, int index);

/* Makes the table at the top, which is popped, what scripts see as their
 * globals: while a library is loaded there are but few. */
void vm_set_globals(lua_State *lua);
/* The metamethod for what is not there; raises. */
int vm_missing_global(lua_State *lua);

/* Compiles text; the function or an error text is pushed. False on error.
 * Bytecode is refused. Never raises: call it outside of a protected call. */
bool vm_compile(struct vm *vm, struct bytes source, const char *chunk_name);

/* Looks at the clock, at kills and at other clients; raises an error when
 * the script must end. Called by the hook and by C code that may take
 * long. */
void vm_poll(lua_State *lua);
/* Raises an error when the C stack has become too deep. */
void vm_check_stack(lua_State *lua);
/* Whether the script that runs has been told to end: then no pcall may
 * swallow the error. */
bool vm_is_killed(lua_State *lua);
/* Raises the error of a script that has been told to end. */
void vm_raise_killed(lua_State *lua);
/* Raises "not enough memory" unless so many bytes more may be used. */
void vm_check_room(lua_State *lua, size_t size_bytes);

/* ---- what vm_init puts together, each in its file ---- */

void sandbox_open(lua_State *lua);         /* base functions (sandbox.c) */
void sandbox_tables_open(lua_State *lua);  /* table, math (sandbox_tables.c) */
void sandbox_threads_open(lua_State *lua); /* coroutine (sandbox_threads.c) */
void codec_json_open(lua_State *lua);      /* cjson, bit (codec_json.c) */
void codec_msgpack_open(lua_State *lua);   /* cmsgpack (codec_msgpack.c) */
void codec_struct_open(lua_State *lua);    /* struct (codec_struct.c) */
void sandbox_strings_open(lua_State *lua); /* string (sandbox_strings.c) */

#endif
