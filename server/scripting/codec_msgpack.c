/* cmsgpack: MessagePack, with the choices of Redis' module of that name. */
#include <math.h>

#include "server/scripting/vm.h"

/* Tables nested deeper are written as nil. */
#define PACK_DEPTH_MAX 16
/* What is packed lies outside of Lua's memory. */
#define PACK_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define VALUES_PER_LOOK 4096

/* ---- packing ---- */

/* Grows as a Lua userdata, so that an error loses nothing. */
struct packer {
    lua_State *lua;
    char *data;
    size_t size, capacity;
    int slot; /* of the userdata on the stack */
    unsigned values;
};

static void pack_reserve(struct packer *packer, size_t size)
{
    if (packer->capacity - packer->size >= size) {
        return;
    }
    if (packer->size + size > PACK_BYTES_MAX) {
        luaL_error(packer->lua, "the packed value would be too large");
    }
    size_t capacity = packer->capacity * 2;
    while (capacity - packer->size < size) {
        capacity *= 2;
    }
    char *data = lua_newuserdata(packer->lua, capacity);
    memcpy(data, packer->data, packer->size);
    lua_replace(packer->lua, packer->slot);
    packer->data = data;
    packer->capacity = capacity;
}

static void pack_bytes(struct packer *packer, const void *bytes, size_t size)
{
    pack_reserve(packer, size);
    memcpy(packer->data + packer->size, bytes, size);
    packer->size += size;
}

/* A type byte and a big-endian number of so many bytes. */
static void pack_head(
    struct packer *packer, unsigned type, uint64_t number, unsigned size)
{
    unsigned char out[9];
    out[0] = (unsigned char)type;
    for (unsigned i = 0; i < size; i++) {
        out[1 + i] = (unsigned char)(number >> (8 * (size - 1 - i)));
    }
    pack_bytes(packer, out, 1 + size);
}

static void pack_unsigned(struct packer *packer, uint64_t number)
{
    if (number < 128) {
        pack_head(packer, (unsigned)number, 0, 0);
    } else if (number <= UINT8_MAX) {
        pack_head(packer, 0xcc, number, 1);
    } else if (number <= UINT16_MAX) {
        pack_head(packer, 0xcd, number, 2);
    } else if (number <= UINT32_MAX) {
        pack_head(packer, 0xce, number, 4);
    } else {
        pack_head(packer, 0xcf, number, 8);
    }
}

static void pack_negative(struct packer *packer, int64_t number)
{
    if (number >= -32) {
        pack_head(packer, (unsigned)number & 0xff, 0, 0);
    } else if (number >= INT8_MIN) {
        pack_head(packer, 0xd0, (uint64_t)number, 1);
    } else if (number >= INT16_MIN) {
        pack_head(packer, 0xd1, (uint64_t)number, 2);
    } else if (number >= INT32_MIN) {
        pack_head(packer, 0xd2, (uint64_t)number, 4);
    } else {
        pack_head(packer, 0xd3, (uint64_t)number, 8);
    }
}

static void pack_number(struct packer *packer, lua_Number number)
{
    bool integral = number >= -9223372036854775808.0 &&
                    number < 9223372036854775808.0 && floor(number) == number;
    if (integral && number >= 0) {
        pack_unsigned(packer, (uint64_t)number);
    } else if (integral) {
        pack_negative(packer, (int64_t)number);
    } else if ((double)(float)number == number) {
        float single = (float)number;
        uint32_t bits;
        memcpy(&bits, &single, sizeof(bits));
        pack_head(packer, 0xca, bits, 4);
    } else {
        uint64_t bits;
        memcpy(&bits, &number, sizeof(bits));
        pack_head(packer, 0xcb, bits, 8);
    }
}

static void pack_string(struct packer *packer)
{
    size_t size;
    const char *text = lua_tolstring(packer->lua, -1, &size);
    if (size < 32) {
        pack_head(packer, 0xa0 | (unsigned)size, 0, 0);
    } else if (size <= UINT8_MAX) {
        pack_head(packer, 0xd9, size, 1);
    } else if (size <= UINT16_MAX) {
        pack_head(packer, 0xda, size, 2);
    } else {
        pack_head(packer, 0xdb, size, 4);
    }
    pack_bytes(packer, text, size);
}

static void pack_count(struct packer *packer, bool is_map, size_t count)
{
    if (count < 16) {
        pack_head(packer, (is_map ? 0x80U : 0x90U) | (unsigned)count, 0, 0);
    } else if (count <= UINT16_MAX) {
        pack_head(packer, is_map ? 0xde : 0xdc, count, 2);
    } else {
        pack_head(packer, is_map ? 0xdf : 0xdd, count, 4);
    }
}

static void pack_value(struct packer *packer, int depth);

/* Whether the keys of the table at the top are 1 ... n, in any order; how
 * many there are. */
static bool is_array(lua_State *lua, size_t *count)
{
    size_t keys = 0;
    lua_Number highest = 0;
    bool integral = true;
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_pop(lua, 1);
        keys++;
        if (lua_type(lua, -1) == LUA_TNUMBER) {
            lua_Number key = lua_tonumber(lua, -1);
            integral = integral && key > 0 && floor(key) == key;
            highest = key > highest ? key : highest;
        } else {
            integral = false;
        }
    }
    *count = keys;
    return integral && highest == (lua_Number)keys;
}

static void pack_table(struct packer *packer, int depth)
{
    lua_State *lua = packer->lua;
    size_t count;
    if (depth == PACK_DEPTH_MAX) {
        pack_head(packer, 0xc0, 0, 0);
        return;
    }
    luaL_checkstack(lua, 6, "in function pack_table");
    bool array = is_array(lua, &count);
    pack_count(packer, !array, count);
    for (size_t i = 1; array && i <= count; i++) {
        lua_rawgeti(lua, -1, (int)i);
        pack_value(packer, depth + 1);
        lua_pop(lua, 1);
    }
    if (array) {
        return;
    }
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_pushvalue(lua, -2);
        pack_value(packer, depth + 1);
        lua_pop(lua, 1);
        pack_value(packer, depth + 1);
        lua_pop(lua, 1);
    }
}

/* Packs the value at the top, which stays. */
static void pack_value(struct packer *packer, int depth)
{
    lua_State *lua = packer->lua;
    if (++packer->values % VALUES_PER_LOOK == 0) {
        vm_poll(lua);
    }
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        pack_string(packer);
        break;
    case LUA_TNUMBER:
        pack_number(packer, lua_tonumber(lua, -1));
        break;
    case LUA_TBOOLEAN:
        pack_head(packer, lua_toboolean(lua, -1) ? 0xc3 : 0xc2, 0, 0);
        break;
    case LUA_TTABLE:
        pack_table(packer, depth);
        break;
    default:
        pack_head(packer, 0xc0, 0, 0);
        break;
    }
}

/* All arguments, one behind the other in one string. */
static int msgpack_pack(lua_State *lua)
{
    int count = lua_gettop(lua);
    struct packer packer = {.lua = lua, .slot = count + 1, .capacity = 256};
    if (count == 0) {
        return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    }
    luaL_checkstack(lua, 8, "Too many arguments for MessagePack pack.");
    packer.data = lua_newuserdata(lua, packer.capacity);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(lua, i);
        pack_value(&packer, 0);
        lua_pop(lua, 1);
    }
    lua_pushlstring(lua, packer.data, packer.size);
    return 1;
}

/* ---- unpacking ---- */

struct unpacker {
    lua_State *lua;
    const unsigned char *data;
    size_t size, at;
    unsigned values;
};

static _Noreturn void fail(struct unpacker *unpacker, const char *text)
{
    luaL_error(unpacker->lua, "%s", text);
    check(false && "luaL_error returned");
    __builtin_unreachable();
}

/* The next `size` bytes. */
static const unsigned char *take(struct unpacker *unpacker, size_t size)
{
    if (unpacker->size - unpacker->at < size) {
        fail(unpacker, "Missing bytes in input.");
    }
    const unsigned char *data = unpacker->data + unpacker->at;
    unpacker->at += size;
    return data;
}

static uint64_t take_number(struct unpacker *unpacker, unsigned size)
{
    const unsigned char *data = take(unpacker, size);
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++) {
        number = number << 8 | data[i];
    }
    return number;
}

static void unpack_string(struct unpacker *unpacker, size_t size)
{
    const unsigned char *data = take(unpacker, size);
    lua_pushlstring(unpacker->lua, (const char *)data, size);
}

static void unpack_value(struct unpacker *unpacker);

static void unpack_array(struct unpacker *unpacker, size_t count)
{
    lua_newtable(unpacker->lua);
    for (size_t i = 1; i <= count; i++) {
        lua_pushnumber(unpacker->lua, (lua_Number)i);
        unpack_value(unpacker);
        lua_settable(unpacker->lua, -3);
    }
}

static void unpack_map(struct unpacker *unpacker, size_t count)
{
    lua_newtable(unpacker->lua);
    for (size_t i = 0; i < count; i++) {
        unpack_value(unpacker);
        unpack_value(unpacker);
        lua_settable(unpacker->lua, -3);
    }
}

static void unpack_float(struct unpacker *unpacker, unsigned size)
{
    if (size == 4) {
        uint32_t bits = (uint32_t)take_number(unpacker, 4);
        float number;
        memcpy(&number, &bits, sizeof(number));
        lua_pushnumber(unpacker->lua, (lua_Number)number);
    } else {
        uint64_t bits = take_number(unpacker, 8);
        double number;
        memcpy(&number, &bits, sizeof(number));
        lua_pushnumber(unpacker->lua, number);
    }
}

static void unpack_signed(struct unpacker *unpacker, unsigned size)
{
    unsigned shift = 64 - 8 * size;
    uint64_t number = take_number(unpacker, size) << shift;
    lua_pushnumber(unpacker->lua, (lua_Number)((int64_t)number >> shift));
}

/* Types 0xc0 to 0xdf: each with its own form. */
static void unpack_typed(struct unpacker *unpacker, unsigned type)
{
    lua_State *lua = unpacker->lua;
    switch (type) {
    case 0xc0:
        lua_pushnil(lua);
        break;
    case 0xc2:
    case 0xc3:
        lua_pushboolean(lua, type == 0xc3);
        break;
    case 0xc4: /* binary: 1, 2, 4 bytes of length */
    case 0xc5:
    case 0xc6:
        unpack_string(unpacker, take_number(unpacker, 1U << (type - 0xc4)));
        break;
    case 0xca:
    case 0xcb:
        unpack_float(unpacker, type == 0xca ? 4 : 8);
        break;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        lua_pushnumber(
            lua, (lua_Number)take_number(unpacker, 1U << (type - 0xcc)));
        break;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        unpack_signed(unpacker, 1U << (type - 0xd0));
        break;
    case 0xd9:
    case 0xda:
    case 0xdb:
        unpack_string(unpacker, take_number(unpacker, 1U << (type - 0xd9)));
        break;
    case 0xdc:
    case 0xdd:
        unpack_array(unpacker, take_number(unpacker, type == 0xdc ? 2 : 4));
        break;
    case 0xde:
    case 0xdf:
        unpack_map(unpacker, take_number(unpacker, type == 0xde ? 2 : 4));
        break;
    default:
        fail(unpacker, "Bad data format in input.");
    }
}

static void unpack_value(struct unpacker *unpacker)
{
    lua_State *lua = unpacker->lua;
    luaL_checkstack(lua, 4,
        "too many return values at once; use unpack_one or unpack_limit "
        "instead.");
    if (++unpacker->values % VALUES_PER_LOOK == 0) {
        vm_poll(lua);
    }
    unsigned type = take(unpacker, 1)[0];
    if (type < 0x80) {
        lua_pushnumber(lua, type);
    } else if (type < 0x90) {
        unpack_map(unpacker, type & 15);
    } else if (type < 0xa0) {
        unpack_array(unpacker, type & 15);
    } else if (type < 0xc0) {
        unpack_string(unpacker, type & 31);
    } else if (type >= 0xe0) {
        lua_pushnumber(lua, (lua_Number)(int)type - 256);
    } else {
        unpack_typed(unpacker, type);
    }
}

/* Up to `limit` values (0: all) from `offset`; before them, when limited, the
 * offset behind them or -1 at the end. */
static int unpack_values(lua_State *lua, int limit, int64_t offset)
{
    size_t size;
    const char *data = luaL_checklstring(lua, 1, &size);
    if (limit < 0 || offset < 0) {
        return luaL_error(lua,
            "Invalid request to unpack with offset of %d and limit of %d.",
            (int)offset, (int)size);
    }
    if ((size_t)offset > size) {
        return luaL_error(lua, "Start offset %d greater than input length %d.",
            (int)offset, (int)size);
    }
    struct unpacker unpacker = {
        .lua = lua,
        .data = (const unsigned char *)data,
        .size = size,
        .at = (size_t)offset,
    };
    int count = 0;
    while (unpacker.at < size && (limit == 0 || count < limit)) {
        unpack_value(&unpacker);
        count++;
    }
    if (limit > 0) {
        luaL_checkstack(lua, 1, "too many return values at once");
        lua_pushnumber(lua, unpacker.at == size ? -1 : (lua_Number)unpacker.at);
        lua_insert(lua, -(count + 1));
        count++;
    }
    return count;
}

static int msgpack_unpack(lua_State *lua)
{
    return unpack_values(lua, 0, 0);
}

static int msgpack_unpack_one(lua_State *lua)
{
    int offset = luaL_optinteger(lua, 2, 0) > INT32_MAX
                     ? INT32_MAX
                     : (int)luaL_optinteger(lua, 2, 0);
    return unpack_values(lua, 1, offset);
}

static int msgpack_unpack_limit(lua_State *lua)
{
    int limit = luaL_checkint(lua, 2);
    return unpack_values(lua, limit, luaL_optint(lua, 3, 0));
}

static const luaL_Reg functions[] = {
    {"pack", msgpack_pack},
    {"unpack", msgpack_unpack},
    {"unpack_limit", msgpack_unpack_limit},
    {"unpack_one", msgpack_unpack_one},
    {NULL, NULL},
};

void codec_msgpack_open(lua_State *lua)
{
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_pushliteral(lua, "cmsgpack");
    lua_setfield(lua, -2, "_NAME");
    lua_pushliteral(lua, "lua-cmsgpack 0.4.0");
    lua_setfield(lua, -2, "_VERSION");
    lua_pushliteral(lua, "MessagePack C implementation for Lua");
    lua_setfield(lua, -2, "_DESCRIPTION");
    lua_pushliteral(lua, "Copyright (C) 2012, Salvatore Sanfilippo");
    lua_setfield(lua, -2, "_COPYRIGHT");
    lua_setglobal(lua, "cmsgpack");
}
