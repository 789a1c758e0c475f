/* string.rep, which Lua 5.1 lets run for hours without result. */
#include "server/scripting/vm.h"

static int string_rep(lua_State *lua)
{
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    lua_Number count = luaL_checknumber(lua, 2);
    if (!(count >= 1) || size == 0) {
        lua_pushliteral(lua, "");
        return 1;
    }
    size_t most = vm_of(lua)->cap_bytes / size;
    if (count > (lua_Number)most) {
        lua_pushliteral(lua, "not enough memory");
        return lua_error(lua);
    }
    size_t total = size * (size_t)count;
    vm_check_room(lua, 2 * total);
    /* Memory of Lua's, which is freed whatever happens. */
    char *out = lua_newuserdata(lua, total);
    memcpy(out, text, size);
    for (size_t have = size; have < total;) {
        size_t more = have < total - have ? have : total - have;
        memcpy(out + have, out, more);
        have += more;
    }
    lua_pushlstring(lua, out, total);
    return 1;
}

void sandbox_strings_open(lua_State *lua)
{
    lua_getglobal(lua, "string");
    lua_pushcfunction(lua, string_rep);
    lua_setfield(lua, -2, "rep");
    lua_pop(lua, 1);
}
