/* redis.call and redis.pcall: a command from inside a script. */
#include <math.h>
#include <stdio.h>

#include "server/acl.h"
#include "server/conn.h"
#include "server/scripting/script.h"

/* Numbers up to here are written as integers; beyond it %.17g would write an
 * exponent. */
#define PLAIN_NUMBER_MAX 1e17

/* A number as an argument: what %.17g prints. */
static struct bytes format_number(lua_Number number, char out[40])
{
    bool plain = number > -PLAIN_NUMBER_MAX && number < PLAIN_NUMBER_MAX &&
                 number == (lua_Number)(int64_t)number &&
                 !(number == 0 && signbit(number));
    if (plain) {
        return bytes_of(out, bytes_from_int64(out, (int64_t)number));
    }
    return bytes_of(out, (size_t)snprintf(out, 40, "%.17g", number));
}

static void reserve(struct scripting *scripting, int count)
{
    if (count > scripting->argv_capacity) {
        size_t capacity = (size_t)count * 2;
        scripting->argv =
            xrealloc(scripting->argv, capacity * sizeof(*scripting->argv));
        scripting->digits =
            xrealloc(scripting->digits, capacity * sizeof(*scripting->digits));
        scripting->argv_capacity = (int)capacity;
    }
}

/* Lua's arguments as a command's, which point into Lua's strings. False when
 * one is neither text nor number. */
static bool collect_arguments(
    lua_State *lua, struct scripting *scripting, int count)
{
    reserve(scripting, count);
    for (int i = 0; i < count; i++) {
        int type = lua_type(lua, i + 1);
        if (type == LUA_TSTRING) {
            size_t size;
            const char *data = lua_tolstring(lua, i + 1, &size);
            scripting->argv[i] = bytes_of(data, size);
        } else if (type == LUA_TNUMBER) {
            scripting->argv[i] =
                format_number(lua_tonumber(lua, i + 1), scripting->digits[i]);
        } else {
            return false;
        }
    }
    return true;
}

/* The row that would run, or NULL. */
static const struct command *find_row(
    struct server *server, int argc, struct dispatch_input *input)
{
    struct scripting *scripting = server->scripting;
    input->argc = argc;
    input->argv = scripting->argv;
    input->row = command_cache_find(&server->commands, &server->config,
        scripting->argv[0], &input->is_container);
    if (input->row != NULL && input->is_container && argc > 1) {
        return command_find_sub(input->row, scripting->argv[1]);
    }
    return input->row;
}

/* Why the script may not run this, or NULL. Notes that it writes. */
static const char *refusal(
    struct script_run *run, const struct command *row, int argc)
{
    if (row == NULL) {
        return "ERR Unknown Redis command called from script";
    }
    bool fits = row->arity >= 0 ? argc == row->arity : argc >= -row->arity;
    if (!fits || row->handler == NULL) {
        return "ERR Wrong number of args calling Redis command from script";
    }
    if ((row->flags & CMD_NOSCRIPT) != 0) {
        return "ERR This Redis command is not allowed from script";
    }
    if ((row->flags & CMD_WRITE) != 0) {
        run->wrote = true;
        if (run->reads_only) {
            return "ERR Write commands are not allowed from read-only "
                   "scripts.";
        }
    }
    return NULL;
}

/* Runs it; the reply stands in scripting->reply. */
static void run_command(
    struct script_run *run, const struct dispatch_input *input)
{
    struct server *server = run->request->server;
    struct scripting *scripting = server->scripting;
    struct request caller = *run->request;
    uint64_t counted = server->counted_errors;
    reply_clear(&scripting->reply);
    scripting->reply.version = run->resp_version;
    caller.reply = &scripting->reply;
    command_call(&caller, input);
    run->request->read_at_once |= caller.read_at_once;
    server->counted_errors = counted;
}

static int refuse(lua_State *lua, const char *text, bool raise)
{
    script_push_error(lua, text);
    return raise ? lua_error(lua) : 1;
}

static int call(lua_State *lua, bool raise)
{
    struct scripting *scripting = vm_of(lua)->scripting;
    struct script_run *run = scripting->run;
    struct dispatch_input input = {.argc = 0};
    int argc = lua_gettop(lua);
    if (run == NULL) {
        return refuse(lua,
            "ERR redis.call/pcall can only be called inside a script "
            "invocation",
            true);
    }
    if (argc == 0) {
        return refuse(lua,
            "ERR Please specify at least one argument for this redis lib call",
            raise);
    }
    if (!collect_arguments(lua, scripting, argc)) {
        return refuse(lua,
            "ERR Lua redis lib command arguments must be strings or integers",
            raise);
    }
    const struct command *row = find_row(scripting->server, argc, &input);
    const char *text = refusal(run, row, argc);
    if (text != NULL) {
        return refuse(lua, text, raise);
    }
    run_command(run, &input);
    reply_push_value(lua, &scripting->reply);
    if (reply_is_error(&scripting->reply)) {
        lua_pushboolean(lua, 1);
        lua_setfield(lua, -2, "ignore_error_stats_update");
        return raise ? lua_error(lua) : 1;
    }
    return 1;
}

int call_raise(lua_State *lua)
{
    return call(lua, true);
}

int call_return(lua_State *lua)
{
    return call(lua, false);
}

int call_check_rights(lua_State *lua)
{
    struct scripting *scripting = vm_of(lua)->scripting;
    struct dispatch_input input = {.argc = 0};
    int argc = lua_gettop(lua);
    if (argc == 0) {
        return refuse(lua,
            "ERR Please specify at least one argument for this redis lib call",
            true);
    }
    if (!collect_arguments(lua, scripting, argc)) {
        return refuse(lua,
            "ERR Lua redis lib command arguments must be strings or integers",
            true);
    }
    const struct command *row = find_row(scripting->server, argc, &input);
    if (row == NULL) {
        return refuse(
            lua, "ERR Invalid command passed to redis.acl_check_cmd()", true);
    }
    if (scripting->run == NULL) {
        return refuse(lua,
            "ERR redis.acl_check_cmd can only be called inside a script "
            "invocation",
            true);
    }
    struct request question = *scripting->run->request;
    int argument;
    question.command = row;
    question.argv = input.argv;
    question.argc = argc;
    enum acl_verdict verdict =
        acl_judge(question.conn->user, &question, &argument);
    lua_pushboolean(lua, verdict == ACL_ALLOWED);
    return 1;
}
