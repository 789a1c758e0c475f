/* Lua values as replies: what EVAL answers. */
#include "server/scripting/script.h"

/* A small script can return the same large table a thousand times. */
#define REPLY_BYTES_MAX(run) ((run)->vm->cap_bytes)
/* Values written between two looks at the clock. */
#define VALUES_PER_LOOK 1024

/* Fields that make a table something else than an array. Their names lie on
 * the stack while a reply is written: to push them anew for each table would
 * mean to hash them. */
enum field {
    FIELD_ERR,
    FIELD_OK,
    FIELD_DOUBLE,
    FIELD_BIG_NUMBER,
    FIELD_MAP,
    FIELD_SET,
    FIELD_VERBATIM,
    FIELD_STRING,
    FIELD_FORMAT,
    FIELDS,
};
static const char *const field_names[FIELDS] = {"err", "ok", "double",
    "big_number", "map", "set", "verbatim_string", "string", "format"};

struct writer {
    struct script_run *run;
    int names; /* where on the stack they begin */
    struct reply *reply;
    size_t start_bytes; /* of the reply, when it began */
    unsigned values;
};

static void write_value(lua_State *lua, struct writer *writer);

/* The field as it is stored; false, and nothing pushed, when it is of
 * another type. */
static bool push_field(
    lua_State *lua, const struct writer *writer, enum field field, int type)
{
    lua_pushvalue(lua, writer->names + (int)field);
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == type) {
        return true;
    }
    lua_pop(lua, 1);
    return false;
}

static struct bytes top_text(lua_State *lua)
{
    size_t size;
    const char *data = lua_tolstring(lua, -1, &size);
    return bytes_of(data, size);
}

/* ---- tables that stand for something else ---- */

static void write_map(lua_State *lua, struct writer *writer, bool is_set)
{
    size_t mark = reply_begin(writer->reply);
    size_t count = 0;
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        if (is_set) {
            lua_pop(lua, 1);
        }
        /* The key stays for lua_next: what is written is a copy. */
        lua_pushvalue(lua, is_set ? -1 : -2);
        write_value(lua, writer);
        if (!is_set) {
            write_value(lua, writer);
        }
        count++;
    }
    reply_end(writer->reply, mark, is_set ? REPLY_SET : REPLY_MAP, count);
}

static void write_verbatim(lua_State *lua, struct writer *writer)
{
    char kind[4] = "   ";
    struct bytes format = top_text(lua);
    memcpy(kind, format.data, format.size < 3 ? format.size : 3);
    lua_pop(lua, 1);
    check(push_field(lua, writer, FIELD_STRING, LUA_TSTRING));
    reply_verbatim(writer->reply, kind, top_text(lua));
    lua_pop(lua, 1);
}

static bool is_verbatim(lua_State *lua, const struct writer *writer)
{
    if (!push_field(lua, writer, FIELD_STRING, LUA_TSTRING)) {
        return false;
    }
    lua_pop(lua, 1);
    return push_field(lua, writer, FIELD_FORMAT, LUA_TSTRING);
}

/* {err = text}, {ok = text}, {double = number}; leaves the stack as it was.
 * False when it is none. */
static bool write_scalar_table(lua_State *lua, struct writer *writer)
{
    struct reply *reply = writer->reply;
    if (push_field(lua, writer, FIELD_ERR, LUA_TSTRING)) {
        reply_error(reply, "%s", lua_tostring(lua, -1));
    } else if (push_field(lua, writer, FIELD_OK, LUA_TSTRING)) {
        reply_status(reply, lua_tostring(lua, -1));
    } else if (push_field(lua, writer, FIELD_DOUBLE, LUA_TNUMBER)) {
        reply_double(reply, lua_tonumber(lua, -1));
    } else if (push_field(lua, writer, FIELD_BIG_NUMBER, LUA_TSTRING)) {
        reply_big_number(reply, top_text(lua));
    } else {
        return false;
    }
    lua_pop(lua, 1);
    return true;
}

static bool write_wrapped_table(lua_State *lua, struct writer *writer)
{
    if (push_field(lua, writer, FIELD_MAP, LUA_TTABLE)) {
        write_map(lua, writer, false);
    } else if (push_field(lua, writer, FIELD_SET, LUA_TTABLE)) {
        write_map(lua, writer, true);
    } else if (push_field(lua, writer, FIELD_VERBATIM, LUA_TTABLE)) {
        if (!is_verbatim(lua, writer)) {
            lua_pop(lua, 1);
            return false;
        }
        write_verbatim(lua, writer);
    } else {
        return false;
    }
    lua_pop(lua, 1);
    return true;
}

/* ---- all others ---- */

static void write_array(lua_State *lua, struct writer *writer)
{
    size_t mark = reply_begin(writer->reply);
    size_t count = 0;
    for (int i = 1;; i++) {
        lua_rawgeti(lua, -1, i);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            break;
        }
        write_value(lua, writer);
        count++;
    }
    reply_end(writer->reply, mark, REPLY_ARRAY, count);
}

static void write_table(lua_State *lua, struct writer *writer)
{
    if (!write_scalar_table(lua, writer) && !write_wrapped_table(lua, writer)) {
        write_array(lua, writer);
    }
}

static void write_number(struct reply *reply, lua_Number number)
{
    /* What the processor gives for numbers that are no 64-bit integer. */
    bool fits =
        number >= -9223372036854775808.0 && number < 9223372036854775808.0;
    reply_integer(reply, fits ? (int64_t)number : INT64_MIN);
}

static void write_boolean(struct writer *writer, bool value)
{
    if (writer->run->resp_version == 3) {
        reply_bool(writer->reply, value);
    } else if (value) {
        reply_integer(writer->reply, 1);
    } else {
        reply_null(writer->reply);
    }
}

static void look(lua_State *lua, struct writer *writer)
{
    if (++writer->values % VALUES_PER_LOOK == 0) {
        vm_poll(lua);
    }
    if (reply_pending_bytes(writer->reply) >
        writer->start_bytes + REPLY_BYTES_MAX(writer->run)) {
        script_push_error(lua, "ERR The reply of the script is too large");
        lua_error(lua);
    }
}

/* Writes the value at the top of the stack, and pops it. */
static void write_value(lua_State *lua, struct writer *writer)
{
    look(lua, writer);
    if (!lua_checkstack(lua, 6)) {
        reply_error(writer->reply, "ERR reached lua stack limit");
        lua_pop(lua, 1);
        return;
    }
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        reply_bulk(writer->reply, top_text(lua));
        break;
    case LUA_TNUMBER:
        write_number(writer->reply, lua_tonumber(lua, -1));
        break;
    case LUA_TBOOLEAN:
        write_boolean(writer, lua_toboolean(lua, -1) != 0);
        break;
    case LUA_TTABLE:
        write_table(lua, writer);
        break;
    default:
        reply_null(writer->reply);
        break;
    }
    lua_pop(lua, 1);
}

void reply_write_value(lua_State *lua, struct script_run *run)
{
    luaL_checkstack(lua, FIELDS + 1, "too many values");
    int value = lua_gettop(lua);
    for (int i = 0; i < FIELDS; i++) {
        lua_pushstring(lua, field_names[i]);
    }
    lua_pushvalue(lua, value);
    struct writer writer = {
        .run = run,
        .names = value + 1,
        .reply = run->request->reply,
        .start_bytes = reply_pending_bytes(run->request->reply),
    };
    write_value(lua, &writer);
    lua_settop(lua, value - 1);
}
