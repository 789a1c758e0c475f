/* Libraries of functions: which there are, and what FUNCTION and FCALL say of
 * them. Loading is in library_load.c, keeping them in library_file.c. */
#include "server/scripting/library.h"

#include <ctype.h>
#include <stdlib.h>

#include "protocol/glob.h"

/* ---- names: compared in any case ---- */

bool library_fold_name(struct bytes name, char *out)
{
    if (name.size >= LIBRARY_NAME_BYTES) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        out[i] = (char)tolower((unsigned char)name.data[i]);
    }
    out[name.size] = '\0';
    return true;
}

struct library *library_find(struct scripting *scripting, struct bytes name)
{
    struct library *library = NULL;
    if (name.size < LIBRARY_NAME_BYTES && name.size > 0) {
        HASH_FIND(hh, scripting->libraries, name.data, name.size, library);
    }
    return library;
}

struct function *library_function_find(
    struct scripting *scripting, struct bytes name)
{
    char folded[LIBRARY_NAME_BYTES];
    struct function *function = NULL;
    if (library_fold_name(name, folded)) {
        HASH_FIND(by_name, scripting->functions, folded, name.size, function);
    }
    return function;
}

/* ---- coming and going ---- */

void library_attach(struct scripting *scripting, struct library *library)
{
    HASH_ADD_KEYPTR(hh, scripting->libraries, library->name,
        strlen(library->name), library);
    for (struct function *function = library->functions; function != NULL;
         function = function->next) {
        HASH_ADD_KEYPTR(by_name, scripting->functions, function->folded,
            strlen(function->folded), function);
    }
}

void library_detach(struct scripting *scripting, struct library *library)
{
    for (struct function *function = library->functions; function != NULL;
         function = function->next) {
        /* NOLINTNEXTLINE: uthash looks empty */
        HASH_DELETE(by_name, scripting->functions, function);
    }
    HASH_DEL(scripting->libraries, library); /* NOLINT: as in cache.c */
}

void library_free(struct scripting *scripting, struct library *library)
{
    if (library == NULL) {
        return;
    }
    while (library->functions != NULL) {
        struct function *function = library->functions;
        library->functions = function->next;
        luaL_unref(
            scripting->function_vm.lua, LUA_REGISTRYINDEX, function->callback);
        free(function->name);
        free(function->folded);
        free(function->description);
        free(function);
    }
    free(library->name);
    free(library->code);
    free(library);
}

void library_flush(struct scripting *scripting)
{
    while (scripting->libraries != NULL) {
        struct library *library = scripting->libraries;
        library_detach(scripting, library); /* NOLINT: it is another one */
        library_free(scripting, library);
    }
    lua_gc(scripting->function_vm.lua, LUA_GCCOLLECT, 0);
}

/* ---- FCALL ---- */

bool scripting_is_off(struct request *request)
{
    if (request->server->scripting != NULL) {
        return false;
    }
    reply_error(request->reply,
        "ERR Scripts are turned off on this server (scripting no)");
    return true;
}

static void fcall(struct request *request, bool reads_only)
{
    int key_count;
    if (scripting_is_off(request)) {
        return;
    }
    struct scripting *scripting = request->server->scripting;
    const struct function *function =
        library_function_find(scripting, request->argv[1]);
    if (function == NULL) {
        reply_error(request->reply, "ERR Function not found");
        return;
    }
    if (!script_key_count(
            request, "ERR Bad number of keys provided", &key_count) ||
        !script_admit(request, function->flags, reads_only)) {
        return;
    }
    const struct script_call call = {
        .vm = &scripting->function_vm,
        .name = function->name,
        .function = function->callback,
        .flags = function->flags,
        .reads_only = reads_only,
    };
    script_run_call(request, &call, key_count);
}

void cmd_fcall(struct request *request)
{
    fcall(request, false);
}

void cmd_fcall_ro(struct request *request)
{
    fcall(request, true);
}

/* ---- FUNCTION LIST ---- */

struct list_options {
    bool with_code;
    bool filtered;
    struct bytes pattern;
};

static bool list_options(struct request *request, struct list_options *options)
{
    *options = (struct list_options){.with_code = false};
    for (int i = 2; i < request->argc; i++) {
        if (!options->with_code && arg_is(request, i, "withcode")) {
            options->with_code = true;
        } else if (!options->filtered && arg_is(request, i, "libraryname")) {
            if (i + 1 == request->argc) {
                reply_error(
                    request->reply, "ERR library name argument was not given");
                return false;
            }
            options->filtered = true;
            options->pattern = request->argv[++i];
        } else {
            reply_error(request->reply, "ERR Unknown argument %.*s",
                (int)request->argv[i].size, request->argv[i].data);
            return false;
        }
    }
    return true;
}

static void reply_function(struct reply *reply, const struct function *function)
{
    reply_map(reply, 3);
    reply_bulk_text(reply, "name");
    reply_bulk_text(reply, function->name);
    reply_bulk_text(reply, "description");
    if (function->description != NULL) {
        reply_bulk(reply,
            bytes_of(function->description, function->description_bytes));
    } else {
        reply_null(reply);
    }
    reply_bulk_text(reply, "flags");
    script_flags_reply(reply, function->flags);
}

static void reply_library(
    struct reply *reply, const struct library *library, bool with_code)
{
    reply_map(reply, with_code ? 4 : 3);
    reply_bulk_text(reply, "library_name");
    reply_bulk_text(reply, library->name);
    reply_bulk_text(reply, "engine");
    reply_bulk_text(reply, "LUA");
    reply_bulk_text(reply, "functions");
    size_t mark = reply_begin(reply);
    size_t count = 0;
    for (const struct function *function = library->functions; function != NULL;
         function = function->next) {
        reply_function(reply, function);
        count++;
    }
    reply_end(reply, mark, REPLY_ARRAY, count);
    if (with_code) {
        reply_bulk_text(reply, "library_code");
        reply_bulk(reply, bytes_of(library->code, library->code_bytes));
    }
}

void cmd_function_list(struct request *request)
{
    struct list_options options;
    if (scripting_is_off(request) || !list_options(request, &options)) {
        return;
    }
    size_t mark = reply_begin(request->reply);
    size_t count = 0;
    for (const struct library *library = request->server->scripting->libraries;
         library != NULL; library = library->hh.next) {
        struct bytes name = bytes_of(library->name, strlen(library->name));
        if (!options.filtered || glob_match(options.pattern, name, true)) {
            reply_library(request->reply, library, options.with_code);
            count++;
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

/* ---- FUNCTION STATS ---- */

static void reply_running(struct reply *reply, const struct script_run *run)
{
    if (run == NULL) {
        reply_null(reply);
        return;
    }
    const struct request *request = run->request;
    reply_map(reply, 3);
    reply_bulk_text(reply, "name");
    reply_bulk_text(reply, run->name);
    reply_bulk_text(reply, "command");
    reply_array(reply, (size_t)request->argc);
    for (int i = 0; i < request->argc; i++) {
        reply_bulk(reply, request->argv[i]);
    }
    reply_bulk_text(reply, "duration_ms");
    reply_integer(reply, (int64_t)((server_mono_us() - run->start_us) / 1000));
}

void cmd_function_stats(struct request *request)
{
    struct scripting_figures figures;
    if (scripting_is_off(request)) {
        return;
    }
    const struct scripting *scripting = request->server->scripting;
    if (scripting->run != NULL && scripting->run->is_eval) {
        reply_error(
            request->reply, "%s", scripting_busy_error(request->server));
        return;
    }
    scripting_figures(scripting, &figures);
    reply_map(request->reply, 2);
    reply_bulk_text(request->reply, "running_script");
    reply_running(request->reply, scripting->run);
    reply_bulk_text(request->reply, "engines");
    reply_map(request->reply, 1);
    reply_bulk_text(request->reply, "LUA");
    reply_map(request->reply, 2);
    reply_bulk_text(request->reply, "libraries_count");
    reply_integer(request->reply, (int64_t)figures.libraries);
    reply_bulk_text(request->reply, "functions_count");
    reply_integer(request->reply, (int64_t)figures.functions);
}
