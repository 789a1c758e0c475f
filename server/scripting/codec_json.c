/* cjson and bit: Debian's lua-cjson and lua-bitop, with guards around what
 * they do not bound. */
#include "server/scripting/vm.h"

#include <lua-bitop.h>
#include <lua-cjson.h>

/* cjson keeps what it is writing outside of Lua's memory, as an int's worth
 * of bytes. */
#define JSON_BYTES_MAX ((size_t)256 * 1024 * 1024)
/* cjson.encode refuses what nests deeper; so need we look no deeper. */
#define JSON_DEPTH_MAX 1000
/* Memory that one value of a JSON text can take at most: a slot of a table
 * that is being doubled, and a table. */
#define JSON_VALUE_BYTES 256
/* Values looked at between two looks at the clock. */
#define VALUES_PER_LOOK 4096

/* ---- encode ---- */

struct measure {
    size_t size_bytes, limit_bytes;
    unsigned values;
};

static void measure_value(lua_State *lua, struct measure *measure, int depth);

static void measure_string(lua_State *lua, struct measure *measure)
{
    size_t size;
    const unsigned char *text =
        (const unsigned char *)lua_tolstring(lua, -1, &size);
    size_t escapes = 0;
    for (size_t i = 0; i < size; i++) {
        escapes += text[i] < ' ' || text[i] == '"' || text[i] == '\\' ||
                   text[i] == '/' || text[i] == 127;
    }
    measure->size_bytes += size + escapes * 5 + 2;
}

static void measure_table(lua_State *lua, struct measure *measure, int depth)
{
    if (depth > JSON_DEPTH_MAX || !lua_checkstack(lua, 4)) {
        return; /* cjson says so */
    }
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        measure_value(lua, measure, depth + 1);
        lua_pop(lua, 1);
        lua_pushvalue(lua, -1); /* measuring must not change the key */
        measure_value(lua, measure, depth + 1);
        lua_pop(lua, 1);
    }
}

/* How long the value at the top will be as JSON. The same value counts each
 * time it is met, as cjson writes it each time. */
static void measure_value(lua_State *lua, struct measure *measure, int depth)
{
    measure->size_bytes += 4;
    if (++measure->values % VALUES_PER_LOOK == 0) {
        vm_poll(lua);
    }
    if (measure->size_bytes > measure->limit_bytes) {
        luaL_error(lua, "Cannot serialise, the result would be too large");
    }
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        measure_string(lua, measure);
        break;
    case LUA_TNUMBER:
        measure->size_bytes += 24;
        break;
    case LUA_TTABLE:
        measure_table(lua, measure, depth);
        break;
    default:
        break;
    }
}

/* Calls the library's own function with the arguments on the stack. Lua's cap
 * is lifted, because it would lose its buffers if it were interrupted; what
 * it needs has been checked. */
static int call_unbounded(lua_State *lua)
{
    struct vm *vm = vm_of(lua);
    bool uncapped = vm->uncapped;
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    vm->uncapped = true;
    int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    vm->uncapped = uncapped;
    if (status != 0) {
        luaL_where(lua, 1); /* the library saw us as its caller */
        lua_insert(lua, -2);
        lua_concat(lua, 2);
        return lua_error(lua);
    }
    return lua_gettop(lua);
}

static int json_encode(lua_State *lua)
{
    struct measure measure = {.limit_bytes = JSON_BYTES_MAX};
    size_t cap_bytes = vm_of(lua)->cap_bytes;
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    if (cap_bytes < measure.limit_bytes) {
        measure.limit_bytes = cap_bytes;
    }
    measure_value(lua, &measure, 0);
    vm_check_room(lua, measure.size_bytes);
    return call_unbounded(lua);
}

/* ---- decode ---- */

static int json_decode(lua_State *lua)
{
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    size_t values = 1;
    for (size_t i = 0; i < size; i++) {
        values += text[i] == ',' || text[i] == '[' || text[i] == '{' ||
                  text[i] == ':';
    }
    vm_check_room(lua, 2 * size + values * JSON_VALUE_BYTES);
    vm_poll(lua);
    return call_unbounded(lua);
}

/* ---- cjson's settings ---- */

/* It would keep memory outside of Lua for good: answered, not done. */
static int json_keep_buffer(lua_State *lua)
{
    lua_pushboolean(lua, lua_isnoneornil(lua, 1) || lua_toboolean(lua, 1));
    return 1;
}

static void guard(lua_State *lua, const char *name, lua_CFunction function)
{
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, function, 1);
    lua_setfield(lua, -2, name);
}

static int json_new(lua_State *lua);

/* Replaces functions of the cjson table at the top. */
static void guard_json(lua_State *lua)
{
    lua_getfield(lua, -1, "encode_keep_buffer");
    lua_pushboolean(lua, 0);
    lua_call(lua, 1, 0);
    guard(lua, "encode", json_encode);
    guard(lua, "decode", json_decode);
    guard(lua, "new", json_new);
    lua_pushcfunction(lua, json_keep_buffer);
    lua_setfield(lua, -2, "encode_keep_buffer");
}

static int json_new(lua_State *lua)
{
    lua_settop(lua, 0);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_call(lua, 0, 1);
    guard_json(lua);
    return 1;
}

/* ---- bit ---- */

/* The argument as `bit` takes numbers: its lowest 32 bits. */
static int32_t bit_argument(lua_State *lua, int index)
{
    luaL_checknumber(lua, index);
    lua_getfield(lua, lua_upvalueindex(1), "tobit");
    lua_pushvalue(lua, index);
    lua_call(lua, 1, 1);
    int32_t bits = (int32_t)lua_tonumber(lua, -1);
    lua_pop(lua, 1);
    return bits;
}

/* Debian's bit.tohex writes beyond its buffer for the smallest number of
 * digits there is. */
static int bit_tohex(lua_State *lua)
{
    static const char lower[] = "0123456789abcdef",
                      upper[] = "0123456789ABCDEF";
    char out[8];
    uint32_t number = (uint32_t)bit_argument(lua, 1);
    int64_t digits = lua_isnone(lua, 2) ? 8 : bit_argument(lua, 2);
    const char *table = digits < 0 ? upper : lower;
    digits = digits < 0 ? -digits : digits;
    size_t count = digits > 8 ? 8 : (size_t)digits;
    for (size_t i = count; i > 0; i--) {
        out[i - 1] = table[number & 15];
        number >>= 4;
    }
    lua_pushlstring(lua, out, count);
    return 1;
}

void codec_json_open(lua_State *lua)
{
    lua_pushcfunction(lua, luaopen_cjson);
    lua_call(lua, 0, 1);
    guard_json(lua);
    lua_setglobal(lua, "cjson");
    lua_pushcfunction(lua, luaopen_bit);
    lua_call(lua, 0, 1);
    lua_pushvalue(lua, -1);
    lua_pushcclosure(lua, bit_tohex, 1);
    lua_setfield(lua, -2, "tohex");
    lua_setglobal(lua, "bit");
}
