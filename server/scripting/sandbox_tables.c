/* The functions of `table` that write around metatables, and `math`'s random
 * numbers: Redis' sequence, which begins alike with every server. */
#include <math.h>
#include <stdlib.h>

#include "server/scripting/script.h"

/* Elements moved between two looks at the clock. */
#define MOVES_PER_LOOK 65536

/* table.insert moves what is behind; of large tables that takes long. */
static int table_insert(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (vm_push_real(lua, 1)) {
        lua_pushliteral(lua, "Attempt to modify a readonly table");
        return lua_error(lua);
    }
    int end = luaL_getn(lua, 1) + 1;
    int position = end;
    switch (lua_gettop(lua)) {
    case 2:
        break;
    case 3:
        position = luaL_checkint(lua, 2);
        end = position > end ? position : end;
        for (int i = end; i > position; i--) {
            lua_rawgeti(lua, 1, i - 1);
            lua_rawseti(lua, 1, i);
            if (i % MOVES_PER_LOOK == 0) {
                vm_poll(lua);
            }
        }
        break;
    default:
        return luaL_error(lua, "wrong number of arguments to 'insert'");
    }
    lua_rawseti(lua, 1, position);
    return 0;
}

static int table_remove(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int end = luaL_getn(lua, 1); /* of a proxy: 0 */
    int position = luaL_optint(lua, 2, end);
    if (!(1 <= position && position <= end)) {
        return 0;
    }
    lua_rawgeti(lua, 1, position);
    for (int i = position; i < end; i++) {
        lua_rawgeti(lua, 1, i + 1);
        lua_rawseti(lua, 1, i);
        if (i % MOVES_PER_LOOK == 0) {
            vm_poll(lua);
        }
    }
    lua_pushnil(lua);
    lua_rawseti(lua, 1, end);
    return 1;
}

/* ---- random numbers ---- */

#define RANDOM_MAX 2147483647

static int math_random(lua_State *lua)
{
    unsigned short *state = vm_of(lua)->scripting->random;
    lua_Number part =
        (lua_Number)(nrand48(state) % RANDOM_MAX) / (lua_Number)RANDOM_MAX;
    int low = 1, high;
    switch (lua_gettop(lua)) {
    case 0:
        lua_pushnumber(lua, part);
        return 1;
    case 1:
        high = luaL_checkint(lua, 1);
        luaL_argcheck(lua, 1 <= high, 1, "interval is empty");
        break;
    case 2:
        low = luaL_checkint(lua, 1);
        high = luaL_checkint(lua, 2);
        luaL_argcheck(lua, low <= high, 2, "interval is empty");
        break;
    default:
        return luaL_error(lua, "wrong number of arguments");
    }
    lua_Number width = (lua_Number)high - low + 1;
    lua_pushnumber(lua, floor(part * width) + low);
    return 1;
}

static int math_randomseed(lua_State *lua)
{
    unsigned short *state = vm_of(lua)->scripting->random;
    uint32_t seed = (uint32_t)luaL_checkint(lua, 1);
    state[0] = 0x330e; /* as srand48 does */
    state[1] = (unsigned short)(seed & 0xffff);
    state[2] = (unsigned short)(seed >> 16);
    return 0;
}

static const luaL_Reg table_functions[] = {
    {"insert", table_insert},
    {"remove", table_remove},
    {NULL, NULL},
};
static const luaL_Reg math_functions[] = {
    {"random", math_random},
    {"randomseed", math_randomseed},
    {NULL, NULL},
};

void sandbox_tables_open(lua_State *lua)
{
    lua_getglobal(lua, "table");
    luaL_register(lua, NULL, table_functions);
    lua_getglobal(lua, "math");
    luaL_register(lua, NULL, math_functions);
    lua_pop(lua, 2);
}
