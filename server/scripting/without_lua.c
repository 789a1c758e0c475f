/* A server built without Lua: the commands are there and say so. */
#include "server/scripting/scripting.h"

#include "server/command.h"

struct scripting *scripting_create(struct server *server)
{
    (void)server;
    return NULL;
}

bool scripting_load(struct scripting *scripting)
{
    (void)scripting;
    return true;
}

void scripting_destroy(struct scripting *scripting)
{
    (void)scripting;
}

bool scripting_is_busy(const struct server *server)
{
    (void)server;
    return false;
}

const char *scripting_busy_error(const struct server *server)
{
    (void)server;
    return "";
}

void scripting_abort(struct server *server)
{
    (void)server;
}

void scripting_figures(
    const struct scripting *scripting, struct scripting_figures *figures)
{
    (void)scripting;
    *figures = (struct scripting_figures){0};
}

#define WITHOUT_LUA(handler)                                                   \
    void handler(struct request *request)                                      \
    {                                                                          \
        reply_error(request->reply,                                            \
            "ERR This server was built without Lua: it runs no scripts");      \
    }
WITHOUT_LUA(cmd_eval)
WITHOUT_LUA(cmd_evalsha)
WITHOUT_LUA(cmd_eval_ro)
WITHOUT_LUA(cmd_evalsha_ro)
WITHOUT_LUA(cmd_script_load)
WITHOUT_LUA(cmd_script_exists)
WITHOUT_LUA(cmd_script_flush)
WITHOUT_LUA(cmd_script_kill)
WITHOUT_LUA(cmd_script_debug)
WITHOUT_LUA(cmd_script_help)
WITHOUT_LUA(cmd_fcall)
WITHOUT_LUA(cmd_fcall_ro)
WITHOUT_LUA(cmd_function_load)
WITHOUT_LUA(cmd_function_delete)
WITHOUT_LUA(cmd_function_flush)
WITHOUT_LUA(cmd_function_list)
WITHOUT_LUA(cmd_function_stats)
WITHOUT_LUA(cmd_function_kill)
WITHOUT_LUA(cmd_function_dump)
WITHOUT_LUA(cmd_function_restore)
WITHOUT_LUA(cmd_function_help)
