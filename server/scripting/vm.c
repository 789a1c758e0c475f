#include "server/scripting/vm.h"

#include <stdlib.h>

#include "server/scripting/library.h"

/* Names of Lua's base library that scripts may use; the rest goes. */
static const char *const base_names[] = {"_VERSION", "assert", "bit", "cjson",
    "cmsgpack", "collectgarbage", "coroutine", "error", "gcinfo",
    "getmetatable", "ipairs", "load", "loadstring", "math", "next", "pairs",
    "pcall", "rawequal", "rawget", "rawset", "redis", "select", "setmetatable",
    "string", "struct", "table", "tonumber", "tostring", "type", "unpack",
    "xpcall", NULL};
static const char *const table_names[] = {"bit", "cjson", "cmsgpack",
    "coroutine", "math", "redis", "string", "struct", "table", NULL};

/* Between two collections that memory made necessary. */
#define COLLECT_STEP_BYTES ((size_t)1024 * 1024)

/* Its address marks the metatable of a proxy. */
static const char proxy_mark = 'p';

/* ---- memory ---- */

static void *allocate(
    void *context, void *old, size_t old_size, size_t new_size)
{
    struct vm *vm = context;
    if (new_size == 0) {
        free(old);
        vm->used_bytes -= old_size;
        return NULL;
    }
    bool grows = new_size > old_size;
    if (grows && !vm->uncapped &&
        vm->used_bytes + (new_size - old_size) > vm->cap_bytes) {
        return NULL;
    }
    void *moved = realloc(old, new_size);
    if (moved == NULL) {
        return grows ? NULL
                     : old; /* Lua takes it for granted that this works */
    }
    vm->used_bytes += new_size - old_size;
    return moved;
}

static int on_panic(lua_State *lua)
{
    (void)lua;
    check(false && "Lua raised an error outside of a protected call");
    return 0;
}

static bool has_room(const struct vm *vm, size_t size_bytes)
{
    return size_bytes <= vm->cap_bytes &&
           vm->used_bytes <= vm->cap_bytes - size_bytes;
}

void vm_check_room(lua_State *lua, size_t size_bytes)
{
    const struct vm *vm = vm_of(lua);
    if (!has_room(vm, size_bytes) && size_bytes <= vm->cap_bytes) {
        lua_gc(lua, LUA_GCCOLLECT, 0);
    }
    if (!has_room(vm, size_bytes)) {
        lua_pushliteral(lua, "not enough memory");
        lua_error(lua);
    }
}

/* ---- the C stack ---- */

void vm_check_stack(lua_State *lua)
{
    char here;
    uintptr_t at = (uintptr_t)&here;
    uintptr_t base = vm_of(lua)->stack_base;
    if (base != 0 && at < base && base - at > VM_STACK_BYTES) {
        luaL_error(lua, "C stack overflow");
    }
}

/* ---- proxies ---- */

static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, "Attempt to modify a readonly table");
}

void vm_make_proxy(lua_State *lua)
{
    int real = lua_gettop(lua);
    lua_newtable(lua);
    lua_createtable(lua, 0, 4);
    lua_pushvalue(lua, real);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&proxy_mark);
    lua_pushvalue(lua, real);
    lua_rawset(lua, -3);
    lua_setmetatable(lua, -2);
    lua_replace(lua, real);
}

bool vm_push_real(lua_State *lua, int index)
{
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index)) {
        return false;
    }
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&proxy_mark);
    lua_rawget(lua, -2);
    lua_remove(lua, -2);
    if (lua_istable(lua, -1)) {
        return true;
    }
    lua_pop(lua, 1);
    return false;
}

/* ---- putting it together ---- */

static void open_library(lua_State *lua, lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

int vm_missing_global(lua_State *lua)
{
    const char *name = lua_tostring(lua, 2);
    return luaL_error(lua,
        "Script attempted to access nonexistent global variable '%s'",
        name == NULL ? "(null)" : name);
}

static bool is_listed(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

/* Drops from the real globals what is not listed. */
static void drop_globals(lua_State *lua)
{
    lua_pushnil(lua);
    while (lua_next(lua, LUA_GLOBALSINDEX) != 0) {
        lua_pop(lua, 1);
        if (lua_type(lua, -1) == LUA_TSTRING &&
            !is_listed(base_names, lua_tostring(lua, -1))) {
            lua_pushvalue(lua, -1);
            lua_pushnil(lua);
            lua_rawset(lua, LUA_GLOBALSINDEX);
        }
    }
}

/* The metatable that all strings share: a script that gets hold of it sees a
 * proxy. */
static void protect_strings(lua_State *lua)
{
    lua_pushliteral(lua, "");
    check(lua_getmetatable(lua, -1) != 0);
    lua_createtable(lua, 0, 1);
    lua_getglobal(lua, "string");
    lua_setfield(lua, -2, "__index");
    vm_make_proxy(lua);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

/* From here on scripts see proxies only. */
static void protect(struct vm *vm)
{
    lua_State *lua = vm->lua;
    drop_globals(lua);
    for (const char *const *name = table_names; *name != NULL; name++) {
        lua_getglobal(lua, *name);
        vm_make_proxy(lua);
        lua_setglobal(lua, *name);
    }
    protect_strings(lua);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, vm_missing_global);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    vm->real_globals = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_pushvalue(lua, -1);
    vm_make_proxy(lua);
    lua_pushvalue(lua, -1);
    vm->globals = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "_G");
    lua_replace(lua, LUA_GLOBALSINDEX);
    lua_pop(lua, 1);
}

void vm_set_globals(lua_State *lua)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm_of(lua)->globals);
    check(lua_getmetatable(lua, -1) != 0);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 3);
}

static void on_hook(lua_State *lua, lua_Debug *debug)
{
    (void)debug;
    vm_poll(lua);
}

/* Compiled text names its chunk by one of these: kept alive, because the
 * parser does not do so while it works. */
static void keep_chunk_names(lua_State *lua)
{
    static const char *const names[] = {"@user_script", "@user_function", NULL};
    for (const char *const *name = names; *name != NULL; name++) {
        lua_pushstring(lua, *name);
        luaL_ref(lua, LUA_REGISTRYINDEX);
    }
}

void vm_init(struct vm *vm, struct scripting *scripting, size_t cap_bytes)
{
    *vm = (struct vm){
        .scripting = scripting, .cap_bytes = cap_bytes, .uncapped = true};
    lua_State *lua = lua_newstate(allocate, vm);
    check(lua != NULL);
    vm->lua = lua;
    lua_atpanic(lua, on_panic);
    open_library(lua, luaopen_base, "");
    open_library(lua, luaopen_table, LUA_TABLIBNAME);
    open_library(lua, luaopen_string, LUA_STRLIBNAME);
    open_library(lua, luaopen_math, LUA_MATHLIBNAME);
    sandbox_open(lua);
    sandbox_tables_open(lua);
    sandbox_threads_open(lua);
    sandbox_strings_open(lua);
    codec_json_open(lua);
    codec_msgpack_open(lua);
    codec_struct_open(lua);
    api_open(lua);
    keep_chunk_names(lua);
    lua_pushcfunction(lua, script_on_error);
    vm->error_handler = luaL_ref(lua, LUA_REGISTRYINDEX);
    protect(vm);
    lua_settop(lua, 0);
    lua_sethook(lua, on_hook, LUA_MASKCOUNT, VM_HOOK_INSTRUCTIONS);
}

void vm_finish(struct vm *vm)
{
    if (vm->lua != NULL) {
        lua_close(vm->lua);
        vm->lua = NULL;
    }
}

bool vm_compile(struct vm *vm, struct bytes source, const char *chunk_name)
{
    if (source.size > 0 && source.data[0] == LUA_SIGNATURE[0]) {
        lua_pushfstring(vm->lua, "%s:1: unexpected symbol near '%c'",
            chunk_name + 1, source.data[0]);
        return false;
    }
    check(vm->uncapped);
    /* A compiled script is several times its text. */
    size_t cap_bytes = vm->cap_bytes;
    if (source.size > cap_bytes / 8 ||
        vm->used_bytes > cap_bytes - source.size) {
        lua_gc(vm->lua, LUA_GCCOLLECT, 0);
    }
    vm->uncapped = false;
    int status = luaL_loadbuffer(vm->lua, source.data, source.size, chunk_name);
    vm->uncapped = true;
    return status == 0;
}

/* Before the cap is reached, and less often the less that gains. */
static void collect(struct vm *vm)
{
    lua_gc(vm->lua, LUA_GCCOLLECT, 0);
    size_t left =
        vm->used_bytes < vm->cap_bytes ? vm->cap_bytes - vm->used_bytes : 0;
    vm->collect_bytes = vm->used_bytes + left / 2 + COLLECT_STEP_BYTES;
}

void vm_poll(lua_State *lua)
{
    struct vm *vm = vm_of(lua);
    if (vm->used_bytes > vm->collect_bytes) {
        collect(vm);
    }
    const struct scripting *scripting = vm->scripting;
    if (scripting->run != NULL) {
        busy_look(lua, scripting->run);
    } else if (scripting->load != NULL) {
        library_look(lua, scripting->load);
    }
}
