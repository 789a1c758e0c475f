/* From a library's code to its functions: the code runs once, in an
 * environment in which it can do little but register them. */
#include "server/scripting/library.h"

#include <stdlib.h>

#include "server/scripting/shebang.h"

/* How long the code of a library may run. */
#define LOAD_NS UINT64_C(500000000)

/* A load under way. */
struct library_load {
    struct server *server;
    struct library *library;
    uint64_t start_ticks;
};

/* ---- redis.register_function ---- */

static int fail(lua_State *lua, const char *text)
{
    script_push_error(lua, text);
    return lua_error(lua);
}

/* What is registered, still on Lua's stack. */
struct registration {
    struct bytes name, description;
    bool has_name, has_description, has_callback;
    int callback; /* stack index */
    uint32_t flags;
};

/* Values that Lua takes for strings. */
static bool text_at(lua_State *lua, int index, struct bytes *text)
{
    if (!lua_isstring(lua, index)) {
        return false;
    }
    text->data = lua_tolstring(lua, index, &text->size);
    return true;
}

static void read_flags(lua_State *lua, struct registration *registration)
{
    struct bytes name;
    if (!lua_istable(lua, -1)) {
        fail(lua,
            "ERR flags argument to redis.register_function must be a table "
            "representing function flags");
    }
    for (int i = 1;; i++) {
        lua_rawgeti(lua, -1, i);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            return;
        }
        uint32_t flag =
            lua_type(lua, -1) == LUA_TSTRING && text_at(lua, -1, &name)
                ? script_flag_find(name)
                : 0;
        if (flag == 0) {
            fail(lua, "ERR unknown flag given");
        }
        registration->flags |= flag;
        lua_pop(lua, 1);
    }
}

/* One named argument, the value at the top and its name below. A value that
 * must be kept is copied to the bottom of the stack. */
static void read_named(lua_State *lua, struct registration *registration)
{
    const char *name =
        lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "";
    if (strcmp(name, "function_name") == 0) {
        lua_pushvalue(lua, -1);
        if (!text_at(lua, -1, &registration->name)) {
            fail(lua, "ERR function_name argument given to "
                      "redis.register_function must be a string");
        }
        lua_replace(lua, 2); /* a number has become text: that lives here */
        registration->has_name = true;
    } else if (strcmp(name, "description") == 0) {
        lua_pushvalue(lua, -1);
        if (!text_at(lua, -1, &registration->description)) {
            fail(lua,
                "ERR description argument given to redis.register_function "
                "must be a string");
        }
        lua_replace(lua, 3);
        registration->has_description = true;
    } else if (strcmp(name, "callback") == 0) {
        if (!lua_isfunction(lua, -1)) {
            fail(lua,
                "ERR callback argument given to redis.register_function must "
                "be a function");
        }
        lua_pushvalue(lua, -1);
        lua_replace(lua, registration->callback);
        registration->has_callback = true;
    } else if (strcmp(name, "flags") == 0) {
        read_flags(lua, registration);
    } else {
        fail(lua, "ERR unknown argument given to redis.register_function");
    }
}

static void read_table(lua_State *lua, struct registration *registration)
{
    if (!lua_istable(lua, 1)) {
        fail(lua,
            "ERR calling redis.register_function with a single argument is "
            "only applicable to Lua table (representing named arguments).");
    }
    lua_settop(lua, 4); /* the table; name, description, callback */
    registration->callback = 4;
    lua_pushnil(lua);
    while (lua_next(lua, 1) != 0) {
        read_named(lua, registration);
        lua_pop(lua, 1);
    }
    if (!registration->has_name) {
        fail(lua,
            "ERR redis.register_function must get a function name argument");
    }
    if (!registration->has_callback) {
        fail(lua, "ERR redis.register_function must get a callback argument");
    }
}

static void read_pair(lua_State *lua, struct registration *registration)
{
    if (!text_at(lua, 1, &registration->name)) {
        fail(lua,
            "ERR first argument to redis.register_function must be a string");
    }
    if (!lua_isfunction(lua, 2)) {
        fail(lua, "ERR second argument to redis.register_function must be a "
                  "function");
    }
    registration->callback = 2;
}

static bool has_function(const struct library *library, const char *folded)
{
    const struct function *function = library->functions;
    while (function != NULL && strcmp(function->folded, folded) != 0) {
        function = function->next;
    }
    return function != NULL;
}

static char *copy_text(struct bytes text)
{
    char *copy = xmalloc(text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    return copy;
}

static int register_function(lua_State *lua)
{
    struct library *library = vm_of(lua)->scripting->load->library;
    struct registration registration = {.flags = 0};
    char folded[LIBRARY_NAME_BYTES];
    int count = lua_gettop(lua);
    if (count == 1) {
        read_table(lua, &registration);
    } else if (count == 2) {
        read_pair(lua, &registration);
    } else {
        fail(lua, "ERR wrong number of arguments to redis.register_function");
    }
    if (!shebang_name_is_valid(registration.name)) {
        fail(lua, "ERR Library names can only contain letters, numbers, or "
                  "underscores(_) and must be at least one character long");
    }
    if (!library_fold_name(registration.name, folded)) {
        fail(lua, "ERR The name of the function is too long");
    }
    if (has_function(library, folded)) {
        fail(lua, "ERR Function already exists in the library");
    }
    lua_pushvalue(lua, registration.callback);
    int callback = luaL_ref(lua, LUA_REGISTRYINDEX);
    struct function *function = xcalloc(1, sizeof(*function));
    function->callback = callback;
    function->library = library;
    function->name = copy_text(registration.name);
    function->folded = xstrdup(folded);
    function->flags = registration.flags;
    if (registration.has_description) {
        function->description = copy_text(registration.description);
        function->description_bytes = registration.description.size;
    }
    function->next = library->functions;
    library->functions = function;
    return 0;
}

/* ---- the environment while a library loads ---- */

/* Makes the table at the top complain about what it does not have. */
static void miss_loudly(lua_State *lua)
{
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, vm_missing_global);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

/* Pushes the globals of loading: `redis` with what there is at that time. */
static void push_load_globals(lua_State *lua)
{
    static const char *const kept[] = {"log", "LOG_DEBUG", "LOG_VERBOSE",
        "LOG_NOTICE", "LOG_WARNING", "REDIS_VERSION", "REDIS_VERSION_NUM",
        NULL};
    lua_newtable(lua);
    lua_newtable(lua);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm_of(lua)->real_globals);
    lua_getfield(lua, -1, "redis");
    for (const char *const *name = kept; *name != NULL; name++) {
        lua_getfield(lua, -1, *name);
        lua_setfield(lua, -4, *name);
    }
    lua_pop(lua, 2);
    lua_pushcfunction(lua, register_function);
    lua_setfield(lua, -2, "register_function");
    miss_loudly(lua);
    vm_make_proxy(lua);
    lua_setfield(lua, -2, "redis");
    miss_loudly(lua);
}

/* Runs the compiled code, which is on the stack. */
static int load_protected(lua_State *lua)
{
    push_load_globals(lua);
    vm_set_globals(lua);
    lua_call(lua, 0, 0);
    return 0;
}

void library_look(lua_State *lua, const struct library_load *load)
{
    uint64_t ticks = clock_ticks() - load->start_ticks;
    if (clock_ticks_to_ns(&load->server->clock, ticks) > LOAD_NS) {
        fail(lua, "ERR FUNCTION LOAD timeout");
    }
}

/* ---- loading ---- */

static bool reply_load_error(
    struct request *request, lua_State *lua, const char *what)
{
    const char *text = lua_tostring(lua, -1);
    if (lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "err");
        text = lua_tostring(lua, -1);
    }
    reply_error(request->reply, "ERR %s: %s", what, text != NULL ? text : "?");
    return false;
}

/* Runs the code at the top of the stack. */
static bool run_code(struct request *request, struct library *library)
{
    struct scripting *scripting = request->server->scripting;
    struct vm *vm = &scripting->function_vm;
    lua_State *lua = vm->lua;
    struct library_load load = {.server = request->server,
        .library = library,
        .start_ticks = clock_ticks()};
    char here;
    vm->stack_base = (uintptr_t)&here;
    vm->collect_bytes = vm->cap_bytes / 2;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->error_handler);
    lua_insert(lua, -2);
    int handler = lua_gettop(lua) - 1;
    lua_pushcfunction(lua, load_protected);
    lua_insert(lua, -2);
    scripting->load = &load;
    vm->uncapped = false;
    int status = lua_pcall(lua, 1, 0, handler);
    vm->uncapped = true;
    scripting->load = NULL;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->real_globals);
    vm_set_globals(lua);
    if (status != 0) {
        return reply_load_error(request, lua, "Error registering functions");
    }
    if (library->functions == NULL) {
        reply_error(request->reply, "ERR No functions registered");
        return false;
    }
    return true;
}

struct library *library_create(struct request *request, struct bytes code)
{
    struct scripting *scripting = request->server->scripting;
    struct vm *vm = &scripting->function_vm;
    struct bytes body = code, name;
    if (!shebang_of_library(request, &body, &name)) {
        return NULL;
    }
    if (name.size >= LIBRARY_NAME_BYTES) {
        reply_error(request->reply, "ERR The name of the library is too long");
        return NULL;
    }
    struct library *library = xcalloc(1, sizeof(*library));
    library->name = copy_text(name);
    vm->cap_bytes = script_cap_bytes(request->server);
    bool good = vm_compile(vm, body, "@user_function");
    if (!good) {
        reply_load_error(request, vm->lua, "Error compiling function");
    } else {
        good = run_code(request, library);
    }
    lua_settop(vm->lua, 0);
    if (!good) {
        library_free(scripting, library);
        return NULL;
    }
    library->code = copy_text(code);
    library->code_bytes = code.size;
    return library;
}

const struct function *library_clash(struct scripting *scripting,
    const struct library *library, const struct library *except)
{
    for (const struct function *function = library->functions; function != NULL;
         function = function->next) {
        const struct function *other = library_function_find(
            scripting, bytes_of(function->name, strlen(function->name)));
        if (other != NULL && other->library != except) {
            return function;
        }
    }
    return NULL;
}
