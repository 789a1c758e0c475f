/* One run of a script or a function, from its arguments to its reply. */
#include "server/conn.h"
#include "server/park.h"
#include "server/scripting/script.h"

/* When Lua holds more than this part of its cap after a run, what is garbage
 * goes at once: the next script must find room. */
#define FULL_COLLECT_PART 2

/* ---- before it ---- */

bool script_key_count(
    struct request *request, const char *not_a_number, int *count)
{
    int64_t number;
    if (!bytes_to_int64(request->argv[2], &number)) {
        reply_error(request->reply, "%s", not_a_number);
        return false;
    }
    if (number > request->argc - 3) {
        reply_error(request->reply,
            "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (number < 0) {
        reply_error(request->reply, "ERR Number of keys can't be negative");
        return false;
    }
    *count = (int)number;
    return true;
}

bool script_admit(struct request *request, uint32_t flags, bool reads_only)
{
    struct conn *conn = request->conn;
    bool harmless =
        reads_only || (flags & (SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM)) != 0;
    if (request->nested || harmless || park_has_fetched(conn)) {
        return true;
    }
    switch (engine_admit(
        request->engine, request_argument_bytes(request), request->now_ms)) {
    case ENGINE_ADMIT:
    case ENGINE_REFUSE_DISK: /* the commands that write will say so */
        return true;
    case ENGINE_PARK:
        if (!park_room_refused(conn)) {
            engine_wait_room(request->engine, park_retry(request));
            return false;
        }
        break;
    case ENGINE_REFUSE_OOM:
        break;
    }
    if ((flags & SCRIPT_COMPAT) != 0) {
        return true; /* it may only read */
    }
    reply_error(request->reply,
        "OOM allow-oom flag is not set on the script, can not run it when "
        "used memory > 'maxmemory'");
    return false;
}

/* Without `script-maxmemory`: a part of what there is, within bounds. */
#define CAP_PART 4
#define CAP_BYTES_MIN ((uint64_t)32 * 1024 * 1024)
#define CAP_BYTES_MAX ((uint64_t)256 * 1024 * 1024)

size_t script_cap_bytes(const struct server *server)
{
    uint64_t bytes = server->config.script_maxmemory;
    if (bytes == 0) {
        bytes = server->maxmemory_bytes / CAP_PART;
        bytes = bytes < CAP_BYTES_MIN ? CAP_BYTES_MIN : bytes;
        bytes = bytes > CAP_BYTES_MAX ? CAP_BYTES_MAX : bytes;
    }
    return bytes;
}

/* ---- errors ---- */

void script_push_error(lua_State *lua, const char *text)
{
    lua_createtable(lua, 0, 1);
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "err");
}

/* Where the error was raised: for errors of C functions, their caller. */
static bool find_origin(lua_State *lua, lua_Debug *origin)
{
    for (int level = 1; lua_getstack(lua, level, origin) != 0; level++) {
        lua_getinfo(lua, "Sl", origin);
        if (origin->what[0] != 'C') {
            return true;
        }
    }
    return false;
}

static void set_raw_field(lua_State *lua, const char *name)
{
    lua_pushstring(lua, name);
    lua_insert(lua, -2);
    lua_rawset(lua, -3);
}

int script_on_error(lua_State *lua)
{
    lua_Debug origin;
    lua_settop(lua, 1);
    bool own_table = lua_istable(lua, 1) && !vm_push_real(lua, 1);
    lua_settop(lua, 1);
    if (!own_table) {
        const char *text = lua_tostring(lua, 1);
        lua_createtable(lua, 0, 3);
        lua_pushfstring(lua, "ERR %s",
            text != NULL ? text : lua_typename(lua, lua_type(lua, 1)));
        set_raw_field(lua, "err");
    }
    if (find_origin(lua, &origin)) {
        lua_pushstring(lua, origin.source);
        set_raw_field(lua, "source");
        lua_pushinteger(lua, origin.currentline);
        set_raw_field(lua, "line");
    }
    return 1;
}

static const char *raw_text(lua_State *lua, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    const char *text = lua_tostring(lua, -1);
    return text; /* stays on the stack, which the caller empties */
}

void script_reply_error(struct script_run *run, int status)
{
    lua_State *lua = run->vm->lua;
    struct reply *reply = run->request->reply;
    int top = lua_gettop(lua);
    if (status == LUA_ERRMEM) {
        reply_error(reply,
            "ERR not enough memory: a script may use %zu bytes script: %s",
            run->vm->cap_bytes, run->name);
    } else if (!lua_istable(lua, top)) {
        const char *text = lua_tostring(lua, top);
        reply_error(reply, "ERR Error running script %s, %.100s", run->name,
            text != NULL ? text : "execution failure");
    } else {
        const char *text = raw_text(lua, "err");
        lua_pushvalue(lua, top);
        const char *source = raw_text(lua, "source");
        lua_pushvalue(lua, top);
        const char *line = raw_text(lua, "line");
        text = text != NULL ? text : "ERR unknown error";
        if (source != NULL && line != NULL) {
            reply_error(reply, "%s script: %s, on %s:%s.", text, run->name,
                source, line);
        } else {
            reply_error(reply, "%s", text);
        }
    }
    lua_settop(lua, top - 1);
}

/* ---- the run ---- */

static void push_arguments(
    lua_State *lua, const struct request *request, int first, int end)
{
    lua_createtable(lua, end - first, 0);
    for (int i = first; i < end; i++) {
        const struct bytes *argument = &request->argv[i];
        lua_pushlstring(
            lua, argument->size == 0 ? "" : argument->data, argument->size);
        lua_rawseti(lua, -2, i - first + 1);
    }
}

/* Everything that may raise an error, the reply included. */
static int run_protected(lua_State *lua)
{
    const struct vm *vm = vm_of(lua);
    struct script_run *run = vm->scripting->run;
    const struct request *request = run->request;
    int keys_end = 3 + run->key_count;
    if (!run->is_eval) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, run->function);
        push_arguments(lua, request, 3, keys_end);
        push_arguments(lua, request, keys_end, request->argc);
        lua_call(lua, 2, 1);
    } else {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->real_globals);
        lua_pushliteral(lua, "KEYS");
        push_arguments(lua, request, 3, keys_end);
        lua_rawset(lua, -3);
        lua_pushliteral(lua, "ARGV");
        push_arguments(lua, request, keys_end, request->argc);
        lua_rawset(lua, -3);
        lua_rawgeti(lua, LUA_REGISTRYINDEX, run->function);
        lua_call(lua, 0, 1);
    }
    reply_write_value(lua, run);
    return 0;
}

/* The state after it: garbage that could hinder the next script goes. */
static void tidy(struct vm *vm)
{
    lua_settop(vm->lua, 0);
    if (vm->used_bytes > vm->cap_bytes / FULL_COLLECT_PART) {
        lua_gc(vm->lua, LUA_GCCOLLECT, 0);
    }
}

static void run_in_vm(struct script_run *run)
{
    struct vm *vm = run->vm;
    lua_State *lua = vm->lua;
    struct reply *reply = run->request->reply;
    size_t mark = reply->size;
    char here;
    vm->stack_base = (uintptr_t)&here;
    vm->cap_bytes = script_cap_bytes(run->request->server);
    vm->collect_bytes = vm->cap_bytes / FULL_COLLECT_PART;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->error_handler);
    lua_pushcfunction(lua, run_protected);
    vm->uncapped = false;
    int status = lua_pcall(lua, 0, 0, 1);
    vm->uncapped = true;
    if (status != 0) {
        if (reply->size > mark) {
            reply->size = mark; /* what had been written of a reply */
        }
        script_reply_error(run, status);
    }
    tidy(vm);
    reply_clear(&vm->scripting->reply);
}

void script_run_call(
    struct request *request, const struct script_call *call, int key_count)
{
    struct server *server = request->server;
    struct scripting *scripting = server->scripting;
    struct conn *conn = request->conn;
    uint16_t db = conn->db;
    struct script_run run = {
        .request = request,
        .vm = call->vm,
        .name = call->name,
        .function = call->function,
        .is_eval = call->is_eval,
        .reads_only = call->reads_only || ((call->flags & SCRIPT_COMPAT) == 0 &&
                                              (call->flags & SCRIPT_NO_WRITES)),
        .flags = call->flags,
        .key_count = key_count,
        .resp_version = 2,
    };
    if (call->reads_only &&
        (call->flags & (SCRIPT_COMPAT | SCRIPT_NO_WRITES)) == 0) {
        reply_error(request->reply,
            "ERR Can not execute a script with write flag using *_ro "
            "command.");
        return;
    }
    check(scripting->run == NULL);
    busy_begin(&run);
    scripting->run = &run;
    run_in_vm(&run);
    scripting->run = NULL;
    busy_end(&run);
    conn->db = db; /* SELECT inside holds inside */
    conn->last_command = request->command;
}
