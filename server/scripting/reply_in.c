/* Replies of commands as Lua values: the conversions of redis.call. */
#include <stdlib.h>

#include "server/scripting/script.h"

/* Reads along a reply. What it reads is our own writing: checked, not
 * trusted with errors. */
struct reader {
    const struct reply *reply;
    size_t at, splice; /* the next splice */
};

static struct bytes read_line(struct reader *reader)
{
    const char *start = reader->reply->data + reader->at;
    size_t left = reader->reply->size - reader->at;
    const char *end = memchr(start, '\r', left);
    check(end != NULL);
    struct bytes line = bytes_of(start, (size_t)(end - start));
    reader->at += line.size + 2;
    return line;
}

static int64_t line_number(struct bytes line)
{
    int64_t number = 0;
    check(bytes_to_int64(bytes_of(line.data + 1, line.size - 1), &number));
    return number;
}

/* The content of a bulk string; it may lie in a blob. */
static struct bytes read_bulk(struct reader *reader, int64_t size)
{
    const struct reply *reply = reader->reply;
    struct bytes content = bytes_of(reply->data + reader->at, (size_t)size);
    if (reader->splice < reply->splice_count &&
        reply->splices[reader->splice].at == reader->at) {
        content = blob_bytes(reply->splices[reader->splice++].blob);
        check(content.size == (size_t)size);
    } else {
        reader->at += (size_t)size;
    }
    reader->at += 2;
    return content;
}

static void push_bytes(lua_State *lua, struct bytes value)
{
    lua_pushlstring(lua, value.size == 0 ? "" : value.data, value.size);
}

/* {name = value}, the value being at the top of the stack. */
static void wrap(lua_State *lua, const char *name)
{
    lua_createtable(lua, 0, 1);
    lua_insert(lua, -2);
    lua_setfield(lua, -2, name);
}

static void push_value(lua_State *lua, struct reader *reader);

static void push_array(lua_State *lua, struct reader *reader, int64_t count)
{
    lua_createtable(lua, count < INT_MAX ? (int)count : 0, 0);
    for (int64_t i = 1; i <= count; i++) {
        push_value(lua, reader);
        lua_rawseti(lua, -2, (int)i);
    }
}

/* {map = {key = value}} or {set = {member = true}}. */
static void push_map(
    lua_State *lua, struct reader *reader, int64_t count, bool is_set)
{
    lua_newtable(lua);
    for (int64_t i = 0; i < count; i++) {
        push_value(lua, reader);
        if (is_set) {
            lua_pushboolean(lua, 1);
        } else {
            push_value(lua, reader);
        }
        lua_rawset(lua, -3);
    }
    wrap(lua, is_set ? "set" : "map");
}

static void push_verbatim(lua_State *lua, struct bytes content)
{
    lua_createtable(lua, 0, 2);
    push_bytes(lua, bytes_of(content.data, 3));
    lua_setfield(lua, -2, "format");
    push_bytes(lua, bytes_of(content.data + 4, content.size - 4));
    lua_setfield(lua, -2, "string");
    wrap(lua, "verbatim_string");
}

static void push_double(lua_State *lua, struct bytes text)
{
    char copy[64];
    check(text.size < sizeof(copy));
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    lua_pushnumber(lua, strtod(copy, NULL));
    wrap(lua, "double");
}

/* Strings and aggregates, whose line says how long they are. */
static void push_counted(
    lua_State *lua, struct reader *reader, char type, int64_t count)
{
    switch (type) {
    case '$':
        if (count < 0) {
            lua_pushboolean(lua, 0);
        } else {
            push_bytes(lua, read_bulk(reader, count));
        }
        break;
    case '=':
        push_verbatim(lua, read_bulk(reader, count));
        break;
    case '*':
    case '>':
        if (count < 0) {
            lua_pushboolean(lua, 0);
        } else {
            push_array(lua, reader, count);
        }
        break;
    default:
        push_map(lua, reader, count, type == '~');
        break;
    }
}

static void push_value(lua_State *lua, struct reader *reader)
{
    luaL_checkstack(lua, 6, "reply too deep");
    struct bytes line = read_line(reader);
    struct bytes text = bytes_of(line.data + 1, line.size - 1);
    switch (line.data[0]) {
    case '+':
        push_bytes(lua, text);
        wrap(lua, "ok");
        break;
    case '-':
        push_bytes(lua, text);
        wrap(lua, "err");
        break;
    case ':':
        lua_pushnumber(lua, (lua_Number)line_number(line));
        break;
    case '_':
        lua_pushnil(lua);
        break;
    case '#':
        lua_pushboolean(lua, text.data[0] == 't');
        break;
    case ',':
        push_double(lua, text);
        break;
    case '(':
        push_bytes(lua, text);
        wrap(lua, "big_number");
        break;
    default:
        push_counted(lua, reader, line.data[0], line_number(line));
        break;
    }
}

bool reply_is_error(const struct reply *reply)
{
    return reply->size > 0 && reply->data[0] == '-';
}

void reply_push_value(lua_State *lua, const struct reply *reply)
{
    struct reader reader = {.reply = reply};
    check(reply->size > 0);
    push_value(lua, &reader);
}
