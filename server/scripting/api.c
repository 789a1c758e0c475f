/* The table `redis`, but for redis.call. */
#include "server/scripting/script.h"

/* redis.LOG_DEBUG ... are 0 ... 3, as enum log_level. */
static const char *const log_level_names[] = {
    "LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"};
#define LOG_LEVELS 4
#define LOG_LINE_BYTES 1024

static const struct {
    const char *name;
    int value;
} replication_flags[] = {
    {"REPL_NONE", 0},
    {"REPL_AOF", 1},
    {"REPL_SLAVE", 2},
    {"REPL_REPLICA", 2},
    {"REPL_ALL", 3},
};

static int raise_text(lua_State *lua, const char *text)
{
    script_push_error(lua, text);
    return lua_error(lua);
}

/* {field = text} from the one argument. */
static int make_reply(lua_State *lua, bool is_error)
{
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
        script_push_error(lua, "ERR wrong number or type of arguments");
        return 1;
    }
    if (!is_error) {
        lua_createtable(lua, 0, 1);
        lua_pushvalue(lua, 1);
        lua_setfield(lua, -2, "ok");
        return 1;
    }
    const char *text = lua_tostring(lua, 1);
    text += text[0] == '-';
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == '\r' || text[size - 1] == '\n')) {
        size--;
    }
    lua_createtable(lua, 0, 1);
    lua_pushlstring(lua, text, size);
    if (memchr(text, ' ', size) == NULL) {
        lua_pushliteral(lua, "ERR "); /* one word is no code */
        lua_insert(lua, -2);
        lua_concat(lua, 2);
    }
    lua_setfield(lua, -2, "err");
    return 1;
}

static int error_reply(lua_State *lua)
{
    return make_reply(lua, true);
}

static int status_reply(lua_State *lua)
{
    return make_reply(lua, false);
}

static int sha1hex(lua_State *lua)
{
    char digits[SCRIPT_SHA_TEXT + 1];
    if (lua_gettop(lua) != 1) {
        return raise_text(lua, "ERR wrong number of arguments");
    }
    size_t size = 0;
    const char *text = lua_tolstring(lua, 1, &size);
    script_sha1_hex(bytes_of(text, text == NULL ? 0 : size), digits);
    lua_pushlstring(lua, digits, SCRIPT_SHA_TEXT);
    return 1;
}

static int log_message(lua_State *lua)
{
    int count = lua_gettop(lua);
    if (count < 2) {
        return raise_text(
            lua, "ERR redis.log() requires two arguments or more.");
    }
    if (!lua_isnumber(lua, 1)) {
        return raise_text(
            lua, "ERR First argument must be a number (log level).");
    }
    lua_Number level = lua_tonumber(lua, 1);
    if (!(level >= 0 && level < LOG_LEVELS)) {
        return raise_text(lua, "ERR Invalid debug level.");
    }
    char line[LOG_LINE_BYTES];
    size_t used = 0;
    for (int i = 2; i <= count; i++) {
        size_t size;
        const char *text = lua_tolstring(lua, i, &size);
        if (text == NULL) {
            continue;
        }
        for (size_t j = 0; j < size && used < sizeof(line) - 2; j++) {
            /* What a script says cannot forge lines of the log. */
            unsigned char c = (unsigned char)text[j];
            line[used++] = (char)(c < ' ' ? ' ' : c);
        }
        if (i < count) {
            line[used++] = ' ';
        }
    }
    line[used] = '\0';
    log_line(&vm_of(lua)->scripting->server->log, (enum log_level)(int)level,
        "%s", line);
    return 0;
}

static int setresp(lua_State *lua)
{
    struct script_run *run = vm_of(lua)->scripting->run;
    if (lua_gettop(lua) != 1) {
        return raise_text(lua, "ERR redis.setresp() requires one argument.");
    }
    lua_Number version = lua_tonumber(lua, 1);
    if (version != 2 && version != 3) {
        return raise_text(lua, "ERR RESP version must be 2 or 3.");
    }
    if (run != NULL) {
        run->resp_version = (uint8_t)version;
    }
    return 0;
}

/* Nothing is replicated command by command: checked and forgotten. */
static int set_repl(lua_State *lua)
{
    if (lua_gettop(lua) != 1) {
        return raise_text(lua, "ERR redis.set_repl() requires two arguments.");
    }
    lua_Number flags = lua_tonumber(lua, 1);
    if (!(flags >= 0 && flags <= 3)) {
        return raise_text(lua,
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, "
            "REPL_ALL or REPL_NONE.");
    }
    return 0;
}

static int replicate_commands(lua_State *lua)
{
    lua_pushboolean(lua, 1);
    return 1;
}

/* No debugger is attached. */
static int breakpoint(lua_State *lua)
{
    lua_pushboolean(lua, 0);
    return 1;
}

static int debug_message(lua_State *lua)
{
    (void)lua;
    return 0;
}

static const luaL_Reg functions[] = {
    {"acl_check_cmd", call_check_rights},
    {"call", call_raise},
    {"error_reply", error_reply},
    {"log", log_message},
    {"pcall", call_return},
    {"set_repl", set_repl},
    {"setresp", setresp},
    {"sha1hex", sha1hex},
    {"status_reply", status_reply},
    {NULL, NULL},
};
/* What scripts have beyond functions. */
static const luaL_Reg script_functions[] = {
    {"breakpoint", breakpoint},
    {"debug", debug_message},
    {"replicate_commands", replicate_commands},
    {NULL, NULL},
};

/* "7.2.4" as 0x00070204. */
static int version_number(void)
{
    unsigned major = 0, minor = 0, patch = 0;
    check(
        sscanf(LARDER_REDIS_VERSION, "%u.%u.%u", &major, &minor, &patch) == 3);
    return (int)(major << 16 | minor << 8 | patch);
}

void api_open(lua_State *lua)
{
    const struct vm *vm = vm_of(lua);
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    if (vm == &vm->scripting->eval) {
        luaL_register(lua, NULL, script_functions);
    }
    lua_pushliteral(lua, LARDER_REDIS_VERSION);
    lua_setfield(lua, -2, "REDIS_VERSION");
    lua_pushinteger(lua, version_number());
    lua_setfield(lua, -2, "REDIS_VERSION_NUM");
    for (int i = 0; i < LOG_LEVELS; i++) {
        lua_pushinteger(lua, i);
        lua_setfield(lua, -2, log_level_names[i]);
    }
    for (size_t i = 0;
         i < sizeof(replication_flags) / sizeof(*replication_flags); i++) {
        lua_pushinteger(lua, replication_flags[i].value);
        lua_setfield(lua, -2, replication_flags[i].name);
    }
    lua_setglobal(lua, "redis");
}
