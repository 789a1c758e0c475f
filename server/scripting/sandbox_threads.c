/* coroutine.resume and coroutine.wrap: Lua 5.1 does not count how deep
 * coroutines nest on the C stack, and an error that ends the script must not
 * stop at one. */
#include "server/scripting/vm.h"

static int thread_resume(lua_State *lua)
{
    vm_check_stack(lua);
    lua_pushvalue(lua, lua_upvalueindex(1)); /* Lua's own */
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
    if (vm_is_killed(lua)) {
        vm_raise_killed(lua);
    }
    return lua_gettop(lua);
}

/* What coroutine.wrap gave. */
static int thread_wrapped(lua_State *lua)
{
    vm_check_stack(lua);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    if (status == 0) {
        return lua_gettop(lua);
    }
    if (lua_isstring(lua, -1)) {
        luaL_where(lua, 1); /* Lua's own saw us as its caller */
        lua_insert(lua, -2);
        lua_concat(lua, 2);
    }
    return lua_error(lua);
}

static int thread_wrap(lua_State *lua)
{
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, 1);
    lua_pushcclosure(lua, thread_wrapped, 1);
    return 1;
}

void sandbox_threads_open(lua_State *lua)
{
    lua_getglobal(lua, "coroutine");
    lua_getfield(lua, -1, "resume");
    lua_pushcclosure(lua, thread_resume, 1);
    lua_setfield(lua, -2, "resume");
    lua_getfield(lua, -1, "wrap");
    lua_pushcclosure(lua, thread_wrap, 1);
    lua_setfield(lua, -2, "wrap");
    lua_pop(lua, 1);
}
