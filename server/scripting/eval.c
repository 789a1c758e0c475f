/* EVAL and its kin; SCRIPT. */
#include "server/scripting/library.h"

/* ---- EVAL ---- */

/* Its text for a number of keys that is no number is that of all commands. */
static bool read_key_count(struct request *request, int *key_count)
{
    return script_key_count(
        request, "ERR value is not an integer or out of range", key_count);
}

static void run_script(struct request *request, const struct script *script,
    int key_count, bool reads_only)
{
    if (!script_admit(request, script->flags, reads_only)) {
        return;
    }
    const struct script_call call = {
        .vm = &request->server->scripting->eval,
        .name = script->name,
        .function = script->function,
        .flags = script->flags,
        .is_eval = true,
        .reads_only = reads_only,
    };
    script_run_call(request, &call, key_count);
}

static void eval(struct request *request, bool reads_only)
{
    int key_count;
    if (scripting_is_off(request) || !read_key_count(request, &key_count)) {
        return;
    }
    const struct script *script = cache_add(request, request->argv[1], false);
    if (script != NULL) {
        run_script(request, script, key_count, reads_only);
    }
}

void cmd_eval(struct request *request)
{
    eval(request, false);
}

void cmd_eval_ro(struct request *request)
{
    eval(request, true);
}

static void evalsha(struct request *request, bool reads_only)
{
    int key_count = 0;
    const struct bytes sha = request->argv[1];
    if (scripting_is_off(request) ||
        (sha.size == SCRIPT_SHA_TEXT && !read_key_count(request, &key_count))) {
        return;
    }
    const struct script *script = cache_find(request->server->scripting, sha);
    if (script != NULL) {
        run_script(request, script, key_count, reads_only);
    } else {
        reply_error(
            request->reply, "NOSCRIPT No matching script. Please use EVAL.");
    }
}

void cmd_evalsha(struct request *request)
{
    evalsha(request, false);
}

void cmd_evalsha_ro(struct request *request)
{
    evalsha(request, true);
}

/* ---- SCRIPT ---- */

void cmd_script_load(struct request *request)
{
    if (scripting_is_off(request)) {
        return;
    }
    const struct script *script = cache_add(request, request->argv[2], true);
    if (script != NULL) {
        reply_bulk_text(request->reply, script->name);
    }
}

void cmd_script_exists(struct request *request)
{
    if (scripting_is_off(request)) {
        return;
    }
    reply_array(request->reply, (size_t)(request->argc - 2));
    for (int i = 2; i < request->argc; i++) {
        reply_integer(request->reply,
            cache_find(request->server->scripting, request->argv[i]) != NULL);
    }
}

void cmd_script_flush(struct request *request)
{
    bool known = request->argc == 2 ||
                 (request->argc == 3 && (arg_is(request, 2, "sync") ||
                                            arg_is(request, 2, "async")));
    if (scripting_is_off(request)) {
        return;
    }
    if (!known) {
        reply_error(
            request->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    cache_flush(request->server->scripting);
    reply_ok(request->reply);
}

/* There is no debugger: who asks for one is told so. */
void cmd_script_debug(struct request *request)
{
    if (arg_is(request, 2, "no")) {
        reply_ok(request->reply);
    } else if (arg_is(request, 2, "yes") || arg_is(request, 2, "sync")) {
        reply_error(
            request->reply, "ERR This server has no debugger for scripts");
    } else {
        reply_error(request->reply, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
    }
}

void cmd_script_help(struct request *request)
{
    static const char *const lines[] = {
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the "
        "script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is "
        "determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes "
        "are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
        NULL,
    };
    help_reply(request, lines);
}
