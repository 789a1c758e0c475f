/* struct: values in and out of binary strings by a format, one letter a
 * value.
 *
 *   > < =    big endian, little endian, the machine's
 *   !n       align to at most n bytes (a power of two), the machine's if no n
 *   b B h H i I l L   integers of 1, 2, n (4), 8 bytes, capital: unsigned
 *   T        size_t
 *   f d      float, double
 *   s cn     a string that ends with a zero byte; one of n bytes, c0: of the
 *            length that was read before it, or all of it when packing
 *   x        a byte of padding
 *   blank    nothing */
#include <ctype.h>

#include "server/scripting/vm.h"

#define ALIGN_MAX 8
#define INTEGER_BYTES_MAX 32

struct format {
    lua_State *lua;
    const char *at;
    bool little;
    size_t align;
};

static void format_init(struct format *format, lua_State *lua, const char *text)
{
    *format =
        (struct format){.lua = lua, .at = text, .little = true, .align = 1};
}

/* A number in the format; `otherwise` when there is none. */
static size_t read_number(struct format *format, size_t otherwise)
{
    if (!isdigit((unsigned char)*format->at)) {
        return otherwise;
    }
    size_t number = 0;
    while (isdigit((unsigned char)*format->at)) {
        size_t digit = (size_t)(*format->at++ - '0');
        if (number > (INT32_MAX - digit) / 10) {
            luaL_error(format->lua, "integral size overflow");
        }
        number = number * 10 + digit;
    }
    return number;
}

/* How many bytes a value takes, for the letter just read. */
static size_t size_of(struct format *format, char letter)
{
    switch (letter) {
    case 'B':
    case 'b':
    case 'x':
        return 1;
    case 'H':
    case 'h':
        return 2;
    case 'L':
    case 'l':
    case 'T':
    case 'd':
        return 8;
    case 'f':
        return 4;
    case 'c':
        return read_number(format, 1);
    case 'i':
    case 'I': {
        size_t size = read_number(format, 4);
        if (size > INTEGER_BYTES_MAX) {
            luaL_error(format->lua,
                "integral size %d is larger than limit of %d", (int)size,
                INTEGER_BYTES_MAX);
        }
        return size;
    }
    default:
        return 0;
    }
}

/* Letters that are no values. */
static void control(struct format *format, char letter)
{
    switch (letter) {
    case ' ':
        break;
    case '>':
        format->little = false;
        break;
    case '<':
    case '=':
        format->little = true;
        break;
    case '!': {
        size_t align = read_number(format, ALIGN_MAX);
        if (align == 0 || (align & (align - 1)) != 0) {
            luaL_error(
                format->lua, "alignment %d is not a power of 2", (int)align);
        }
        format->align = align;
        break;
    }
    default:
        luaL_argerror(format->lua, 1,
            lua_pushfstring(format->lua, "invalid format option '%c'", letter));
    }
}

/* Bytes of padding before a value of that size at `at`. */
static size_t padding(
    const struct format *format, char letter, size_t size, size_t at)
{
    size_t align = size < format->align ? size : format->align;
    if (align <= 1 || letter == 'c') {
        return 0;
    }
    return (align - (at & (align - 1))) & (align - 1);
}

/* ---- packing ---- */

static void put_zeros(luaL_Buffer *buffer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        luaL_addchar(buffer, '\0');
    }
}

static void put_integer(
    luaL_Buffer *buffer, const struct format *format, int index, size_t size)
{
    char out[INTEGER_BYTES_MAX];
    check(size <= sizeof out);
    lua_Number number = luaL_checknumber(buffer->L, index);
    bool negative = number < 0;
    /* Numbers beyond 64 bits wrap nowhere in particular. */
    bool fits =
        number >= -9223372036854775808.0 && number < 18446744073709551616.0;
    uint64_t value = !fits      ? (uint64_t)INT64_MIN
                     : negative ? (uint64_t)(int64_t)number
                                : (uint64_t)number;
    for (size_t i = 0; i < size; i++) {
        uint64_t sign = negative ? 0xff : 0;
        uint64_t byte = (i < 8 ? value >> (8 * i) : sign) & 0xff;
        out[format->little ? i : size - 1 - i] = (char)byte;
    }
    luaL_addlstring(buffer, out, size);
}

static void put_float(
    luaL_Buffer *buffer, const struct format *format, int index, size_t size)
{
    char out[8];
    double number = luaL_checknumber(buffer->L, index);
    float single = (float)number;
    memcpy(out, size == 4 ? (void *)&single : (void *)&number, size);
    for (size_t i = 0; !format->little && i < size / 2; i++) {
        char held = out[i];
        out[i] = out[size - 1 - i];
        out[size - 1 - i] = held;
    }
    luaL_addlstring(buffer, out, size);
}

static void put_string(luaL_Buffer *buffer, char letter, int index, size_t size)
{
    size_t have;
    const char *text = luaL_checklstring(buffer->L, index, &have);
    size_t wanted = letter == 's' || size == 0 ? have : size;
    luaL_argcheck(buffer->L, have >= wanted, index + 1, "string too short");
    luaL_addlstring(buffer, text, wanted);
    if (letter == 's') {
        luaL_addchar(buffer, '\0');
    }
}

/* One value; false when the letter is none. */
static bool put_value(luaL_Buffer *buffer, struct format *format, char letter,
    int index, size_t size)
{
    switch (letter) {
    case 'b':
    case 'B':
    case 'h':
    case 'H':
    case 'l':
    case 'L':
    case 'T':
    case 'i':
    case 'I':
        put_integer(buffer, format, index, size);
        return true;
    case 'f':
    case 'd':
        put_float(buffer, format, index, size);
        return true;
    case 'c':
    case 's':
        put_string(buffer, letter, index, size);
        return true;
    default:
        return false;
    }
}

static int struct_pack(lua_State *lua)
{
    struct format format;
    luaL_Buffer buffer;
    int index = 2;
    size_t written = 0;
    format_init(&format, lua, luaL_checkstring(lua, 1));
    lua_pushnil(lua); /* what is missing is no argument */
    luaL_buffinit(lua, &buffer);
    while (*format.at != '\0') {
        char letter = *format.at++;
        size_t size = size_of(&format, letter);
        size_t pad = padding(&format, letter, size, written);
        put_zeros(&buffer, pad);
        written += pad;
        if (letter == 'x') {
            luaL_addchar(&buffer, '\0');
            written++;
        } else if (put_value(&buffer, &format, letter, index, size)) {
            bool text = letter == 's' || (letter == 'c' && size == 0);
            size_t have = text ? lua_objlen(lua, index) : size;
            written += have + (letter == 's');
            index++;
        } else {
            control(&format, letter);
        }
    }
    luaL_pushresult(&buffer);
    return 1;
}

/* ---- unpacking ---- */

static void push_integer(
    const struct format *format, char letter, const char *data, size_t size)
{
    uint64_t value = 0;
    size_t used = size < 8 ? size : 8;
    for (size_t i = 0; i < used; i++) {
        size_t at = format->little ? used - 1 - i : size - used + i;
        value = value << 8 | (unsigned char)data[at];
    }
    if (isupper((unsigned char)letter)) {
        lua_pushnumber(format->lua, (lua_Number)value);
        return;
    }
    unsigned shift = used == 0 ? 0 : (unsigned)(64 - 8 * used);
    lua_pushnumber(
        format->lua, (lua_Number)((int64_t)(value << shift) >> shift));
}

static void push_float(
    const struct format *format, const char *data, size_t size)
{
    char in[8];
    float single;
    double number;
    for (size_t i = 0; i < size; i++) {
        in[i] = data[format->little ? i : size - 1 - i];
    }
    if (size == 4) {
        memcpy(&single, in, sizeof(single));
        number = (double)single;
    } else {
        memcpy(&number, in, sizeof(number));
    }
    lua_pushnumber(format->lua, number);
}

/* The length for "c0": the value before it, which is taken off. */
static size_t take_length(lua_State *lua, int *count)
{
    if (*count == 0 || !lua_isnumber(lua, -1)) {
        luaL_error(lua, "format 'c0' needs a previous size");
    }
    lua_Number number = lua_tonumber(lua, -1);
    lua_pop(lua, 1);
    (*count)--;
    luaL_argcheck(
        lua, number >= 0 && number <= INT32_MAX, 2, "data string too short");
    return (size_t)number;
}

struct input {
    const char *data;
    size_t size, at;
};

/* A string; how many bytes of the input it takes. */
static size_t push_string(lua_State *lua, const struct input *input,
    char letter, size_t size, int *count)
{
    const char *start = input->data + input->at;
    size_t left = input->size - input->at;
    if (letter == 's') {
        const char *end = memchr(start, '\0', left);
        if (end == NULL) {
            luaL_error(lua, "unfinished string in data");
        }
        lua_pushlstring(lua, start, (size_t)(end - start));
        return (size_t)(end - start) + 1;
    }
    if (size == 0) {
        size = take_length(lua, count);
    }
    luaL_argcheck(lua, size <= left, 2, "data string too short");
    lua_pushlstring(lua, start, size);
    return size;
}

static int struct_unpack(lua_State *lua)
{
    struct format format;
    struct input input = {.at = 0};
    int count = 0;
    format_init(&format, lua, luaL_checkstring(lua, 1));
    input.data = luaL_checklstring(lua, 2, &input.size);
    lua_Integer start = luaL_optinteger(lua, 3, 1);
    luaL_argcheck(lua, start != 0, 3, "offset must be 1 or greater");
    luaL_argcheck(lua, start > 0, 2, "data string too short");
    input.at = (size_t)start - 1;
    while (*format.at != '\0') {
        char letter = *format.at++;
        size_t size = size_of(&format, letter);
        input.at += padding(&format, letter, size, input.at);
        luaL_argcheck(lua,
            input.at <= input.size && size <= input.size - input.at, 2,
            "data string too short");
        luaL_checkstack(lua, 2, "too many results");
        if (letter == 'c' || letter == 's') {
            input.at += push_string(lua, &input, letter, size, &count);
            count++;
        } else if (letter == 'f' || letter == 'd') {
            push_float(&format, input.data + input.at, size);
            input.at += size;
            count++;
        } else if (size > 0 && letter != 'x') {
            push_integer(&format, letter, input.data + input.at, size);
            input.at += size;
            count++;
        } else if (letter == 'x') {
            input.at += 1;
        } else {
            control(&format, letter);
        }
    }
    lua_pushnumber(lua, (lua_Number)input.at + 1);
    return count + 1;
}

static int struct_size(lua_State *lua)
{
    struct format format;
    size_t total = 0;
    format_init(&format, lua, luaL_checkstring(lua, 1));
    while (*format.at != '\0') {
        char letter = *format.at++;
        size_t size = size_of(&format, letter);
        total += padding(&format, letter, size, total);
        if (letter == 's') {
            luaL_argerror(lua, 1, "option 's' has no fixed size");
        } else if (letter == 'c' && size == 0) {
            luaL_argerror(lua, 1, "option 'c0' has no fixed size");
        }
        if (!isalnum((unsigned char)letter)) {
            control(&format, letter);
        }
        total += size;
        luaL_argcheck(lua, total <= INT32_MAX, 1, "format too large");
    }
    lua_pushinteger(lua, (lua_Integer)total);
    return 1;
}

static const luaL_Reg functions[] = {
    {"pack", struct_pack},
    {"size", struct_size},
    {"unpack", struct_unpack},
    {NULL, NULL},
};

void codec_struct_open(lua_State *lua)
{
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setglobal(lua, "struct");
}
