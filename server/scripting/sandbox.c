/* Lua's basic functions as scripts may have them. Replaced are those that
 * could write to a protected table or look behind it, load bytecode, swallow
 * the error that ends a script, or work for long unseen. */
#include "server/scripting/vm.h"

static int protected_error(lua_State *lua)
{
    lua_pushliteral(lua, "Attempt to modify a readonly table");
    return lua_error(lua);
}

/* ---- tables ---- */

static int base_next(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    if (vm_push_real(lua, 1)) {
        lua_replace(lua, 1);
    }
    if (lua_next(lua, 1) != 0) {
        return 2;
    }
    lua_pushnil(lua);
    return 1;
}

static int base_pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_pushvalue(lua, lua_upvalueindex(1)); /* next */
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

static int base_rawget(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    if (vm_push_real(lua, 1)) {
        lua_replace(lua, 1);
    }
    lua_rawget(lua, 1);
    return 1;
}

static int base_rawset(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    lua_settop(lua, 3);
    if (vm_push_real(lua, 1)) {
        return protected_error(lua);
    }
    lua_rawset(lua, 1);
    return 1;
}

static int base_getmetatable(lua_State *lua)
{
    luaL_checkany(lua, 1);
    if (vm_push_real(lua, 1) || !lua_getmetatable(lua, 1)) {
        lua_pushnil(lua);
        return 1;
    }
    luaL_getmetafield(lua, 1, "__metatable");
    return 1; /* that field, or the metatable */
}

static int base_setmetatable(lua_State *lua)
{
    int type = lua_type(lua, 2);
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2,
        "nil or table expected");
    if (vm_push_real(lua, 1)) {
        return protected_error(lua);
    }
    if (luaL_getmetafield(lua, 1, "__metatable")) {
        return luaL_error(lua, "cannot change a protected metatable");
    }
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* Counts in 64 bits: Lua 5.1's own overflows. */
static int base_unpack(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int64_t first = luaL_optint(lua, 2, 1);
    int64_t last = lua_isnoneornil(lua, 3) ? (int64_t)lua_objlen(lua, 1)
                                           : luaL_checkint(lua, 3);
    if (first > last) {
        return 0;
    }
    int64_t count = last - first + 1;
    if (count >= LUAI_MAXCSTACK || !lua_checkstack(lua, (int)count)) {
        return luaL_error(lua, "too many results to unpack");
    }
    for (int64_t i = first; i <= last; i++) {
        lua_rawgeti(lua, 1, (int)i);
    }
    return (int)count;
}

/* ---- errors ---- */

/* An error that is a table with a text is given as the text. */
static void unwrap_error(lua_State *lua)
{
    if (!lua_istable(lua, -1)) {
        return;
    }
    lua_getfield(lua, -1, "err");
    if (lua_isstring(lua, -1)) {
        lua_replace(lua, -2);
    } else {
        lua_pop(lua, 1);
    }
}

static int base_pcall(lua_State *lua)
{
    luaL_checkany(lua, 1);
    vm_check_stack(lua);
    lua_pushboolean(lua, 1);
    lua_insert(lua, 1);
    if (lua_pcall(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0) == 0) {
        return lua_gettop(lua);
    }
    if (vm_is_killed(lua)) {
        return lua_error(lua);
    }
    unwrap_error(lua);
    lua_pushboolean(lua, 0);
    lua_replace(lua, 1);
    return 2;
}

/* Calls xpcall's handler, but not for the error that ends the script: the
 * hook raised it, and Lua lets no hook interrupt what runs then. */
static int call_handler(lua_State *lua)
{
    if (vm_is_killed(lua)) {
        return 1;
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, 1);
    return 1;
}

static int base_xpcall(lua_State *lua)
{
    luaL_checkany(lua, 2);
    vm_check_stack(lua);
    lua_settop(lua, 2);
    lua_pushcclosure(lua, call_handler, 1);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, 0, LUA_MULTRET, 1);
    if (status != 0 && vm_is_killed(lua)) {
        return lua_error(lua);
    }
    lua_pushboolean(lua, status == 0);
    lua_replace(lua, 1);
    return lua_gettop(lua);
}

/* ---- loading code ---- */

/* The function, or nil and what is wrong. */
static int loaded(lua_State *lua, int status)
{
    if (status == 0) {
        return 1;
    }
    if (vm_is_killed(lua)) {
        return lua_error(lua);
    }
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int refuse_bytecode(lua_State *lua)
{
    lua_pushnil(lua);
    lua_pushliteral(lua, "attempt to load a binary chunk");
    return 2;
}

/* The chunk's name stays on the stack, because the parser of Lua 5.1 does not
 * keep it alive. */
static int base_loadstring(lua_State *lua)
{
    size_t size;
    const char *source = luaL_checklstring(lua, 1, &size);
    lua_pushstring(lua, luaL_optstring(lua, 2, source));
    if (size > 0 && source[0] == LUA_SIGNATURE[0]) {
        return refuse_bytecode(lua);
    }
    return loaded(
        lua, luaL_loadbuffer(lua, source, size, lua_tostring(lua, -1)));
}

struct piece_reader {
    bool began;
};

/* Asks the script's function (at 1) for the next piece, which is kept at 3. */
static const char *read_piece(lua_State *lua, void *context, size_t *size)
{
    struct piece_reader *reader = context;
    luaL_checkstack(lua, 2, "too many nested functions");
    lua_pushvalue(lua, 1);
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1)) {
        *size = 0;
        return NULL;
    }
    if (!lua_isstring(lua, -1)) {
        luaL_error(lua, "reader function must return a string");
    }
    lua_replace(lua, 3);
    const char *piece = lua_tolstring(lua, 3, size);
    if (!reader->began && *size > 0 && piece[0] == LUA_SIGNATURE[0]) {
        luaL_error(lua, "attempt to load a binary chunk");
    }
    reader->began = reader->began || *size > 0;
    return piece;
}

static int base_load(lua_State *lua)
{
    struct piece_reader reader = {.began = false};
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    const char *name = luaL_optstring(lua, 2, "=(load)");
    lua_settop(lua, 3);
    lua_pushstring(lua, name);
    return loaded(
        lua, lua_load(lua, read_piece, &reader, lua_tostring(lua, 4)));
}

/* ---- the collector ---- */

/* What would change how the collector works, for all scripts to come, is
 * accepted without effect. */
static int base_collectgarbage(lua_State *lua)
{
    static const char *const options[] = {"stop", "restart", "collect", "count",
        "step", "setpause", "setstepmul", NULL};
    int option = luaL_checkoption(lua, 1, "collect", options);
    int argument = luaL_optint(lua, 2, 0);
    vm_poll(lua);
    switch (option) {
    case 2:
        lua_pushnumber(lua, lua_gc(lua, LUA_GCCOLLECT, 0));
        break;
    case 3:
        lua_pushnumber(lua, lua_gc(lua, LUA_GCCOUNT, 0) +
                                lua_gc(lua, LUA_GCCOUNTB, 0) / 1024.0);
        break;
    case 4:
        lua_pushboolean(
            lua, lua_gc(lua, LUA_GCSTEP, argument < 1024 ? argument : 1024));
        break;
    default:
        lua_pushnumber(lua, option == 5 || option == 6 ? 200 : 0);
        break;
    }
    return 1;
}

static const luaL_Reg functions[] = {
    {"collectgarbage", base_collectgarbage},
    {"getmetatable", base_getmetatable},
    {"load", base_load},
    {"loadstring", base_loadstring},
    {"next", base_next},
    {"pcall", base_pcall},
    {"rawget", base_rawget},
    {"rawset", base_rawset},
    {"setmetatable", base_setmetatable},
    {"unpack", base_unpack},
    {"xpcall", base_xpcall},
    {NULL, NULL},
};

void sandbox_open(lua_State *lua)
{
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    luaL_register(lua, NULL, functions);
    lua_getfield(lua, -1, "next");
    lua_pushcclosure(lua, base_pairs, 1);
    lua_setfield(lua, -2, "pairs");
    lua_pop(lua, 1);
}
