/* Changes of the set of libraries, each kept on disk before it is answered.
 *
 * They are kept in one small file in `dir`, functions.dump, in the form of
 * FUNCTION DUMP, written anew with every change: to a temporary file that is
 * synced and renamed. It is not a value in the dry store because that would
 * need a kind of record of its own there, and libraries must be had even by a
 * server without a dry tier; nor is it bound to `save` or `appendonly`, which
 * people turn off for caches without meaning to lose their code. */
#include "server/scripting/library.h"

#include <errno.h>
#include <stdlib.h>

#include "server/scripting/shebang.h"

#define FILE_NAME "functions.dump"
#define FILE_BYTES_MAX ((size_t)1024 * 1024 * 1024)

static void file_path(const struct server *server, struct text *path)
{
    text_init(path);
    text_add_format(path, "%s/" FILE_NAME, server->config.dir);
}

bool library_save(struct request *request)
{
    struct text dump, path;
    text_init(&dump);
    library_dump(request->server->scripting, &dump);
    file_path(request->server, &path);
    bool good = text_write_path(&dump, path.data);
    if (!good) {
        reply_error(request->reply,
            "ERR The functions cannot be written to %s: %s", path.data,
            strerror(errno));
    }
    text_finish(&path);
    text_finish(&dump);
    return good;
}

/* ---- a change: libraries go, others come ---- */

struct change {
    struct request *request;
    struct scripting *scripting;
    struct library *old; /* taken out */
    struct library *new; /* put in, or still to be */
};

static void take_out(struct change *change, struct library *library)
{
    library_detach(change->scripting, library);
    library->next = change->old;
    change->old = library;
}

static void free_list(struct scripting *scripting, struct library *library)
{
    while (library != NULL) {
        struct library *next = library->next;
        library_free(scripting, library);
        library = next;
    }
}

static void attach_list(struct scripting *scripting, struct library *library)
{
    for (; library != NULL; library = library->next) {
        library_attach(scripting, library);
    }
}

/* Puts the new ones in; false after the error, none of them then in. */
static bool put_in(struct change *change)
{
    struct scripting *scripting = change->scripting;
    struct library *library = change->new;
    for (; library != NULL; library = library->next) {
        struct bytes name = bytes_of(library->name, strlen(library->name));
        const struct function *clash = library_clash(scripting, library, NULL);
        if (library_find(scripting, name) != NULL) {
            reply_error(change->request->reply, "ERR Library %s already exists",
                library->name);
            break;
        }
        if (clash != NULL) {
            reply_error(change->request->reply,
                "ERR Function %s already exists", clash->name);
            break;
        }
        library_attach(scripting, library);
    }
    if (library == NULL) {
        return true;
    }
    for (struct library *undo = change->new; undo != library;
         undo = undo->next) {
        library_detach(scripting, undo);
    }
    return false;
}

/* Ends a change: what is new is in and on disk, or everything is as it was
 * and the error has been answered. */
static bool commit(struct change *change)
{
    struct scripting *scripting = change->scripting;
    bool in = put_in(change);
    if (in && library_save(change->request)) {
        free_list(scripting, change->old);
        return true;
    }
    for (struct library *undo = change->new; in &&undo != NULL;
         undo = undo->next) {
        library_detach(scripting, undo);
    }
    free_list(scripting, change->new);
    attach_list(scripting, change->old);
    return false;
}

static void take_out_all(struct change *change)
{
    while (change->scripting->libraries != NULL) {
        take_out(change, change->scripting->libraries);
    }
}

static struct change begin(struct request *request)
{
    return (struct change){
        .request = request, .scripting = request->server->scripting};
}

static void replace_named(struct change *change)
{
    for (const struct library *library = change->new; library != NULL;
         library = library->next) {
        struct library *old = library_find(
            change->scripting, bytes_of(library->name, strlen(library->name)));
        if (old != NULL) {
            take_out(change, old);
        }
    }
}

/* ---- FUNCTION LOAD ---- */

/* The code of FUNCTION LOAD [REPLACE] code, or false after an error. */
static bool load_arguments(struct request *request, bool *replace)
{
    *replace = false;
    for (int i = 2; i < request->argc - 1; i++) {
        if (!arg_is(request, i, "replace")) {
            reply_error(request->reply, "ERR Unknown option given: %.*s",
                (int)request->argv[i].size, request->argv[i].data);
            return false;
        }
        *replace = true;
    }
    return true;
}

/* Whether there may be a library of that name now: asked before the code
 * runs, as Redis does. */
static bool name_is_free(
    struct request *request, struct bytes code, bool replace)
{
    struct bytes name;
    if (!shebang_of_library(request, &code, &name)) {
        return false;
    }
    if (!replace && library_find(request->server->scripting, name) != NULL) {
        reply_error(request->reply, "ERR Library '%.*s' already exists",
            (int)name.size, name.data);
        return false;
    }
    return true;
}

void cmd_function_load(struct request *request)
{
    bool replace;
    const struct bytes code = request->argv[request->argc - 1];
    if (scripting_is_off(request) || !load_arguments(request, &replace) ||
        !name_is_free(request, code, replace)) {
        return;
    }
    struct change change = begin(request);
    change.new = library_create(request, code);
    if (change.new == NULL) {
        return;
    }
    replace_named(&change);
    /* commit may free it */
    struct bytes name = bytes_of(change.new->name, strlen(change.new->name));
    if (commit(&change)) {
        request->changes++;
        reply_bulk(request->reply, name);
    }
}

/* ---- FUNCTION DELETE, FLUSH ---- */

void cmd_function_delete(struct request *request)
{
    if (scripting_is_off(request)) {
        return;
    }
    struct change change = begin(request);
    struct library *library = library_find(change.scripting, request->argv[2]);
    if (library == NULL) {
        reply_error(request->reply, "ERR Library not found");
        return;
    }
    take_out(&change, library);
    if (commit(&change)) {
        request->changes++;
        reply_ok(request->reply);
    }
}

void cmd_function_flush(struct request *request)
{
    if (request->argc > 3) {
        error_subcommand_syntax(request);
        return;
    }
    if (request->argc == 3 && !arg_is(request, 2, "sync") &&
        !arg_is(request, 2, "async")) {
        reply_error(request->reply,
            "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    if (scripting_is_off(request)) {
        return;
    }
    struct change change = begin(request);
    take_out_all(&change);
    if (commit(&change)) {
        lua_gc(change.scripting->function_vm.lua, LUA_GCCOLLECT, 0);
        request->changes++;
        reply_ok(request->reply);
    }
}

/* ---- FUNCTION RESTORE ---- */

static bool add_code(void *context, struct bytes code)
{
    struct change *change = context;
    struct library *library = library_create(change->request, code);
    if (library != NULL) {
        library->next = change->new;
        change->new = library;
    }
    return library != NULL;
}

/* The libraries in a dump, into change->new; false after an error. */
static bool read_dump(struct change *change, struct bytes dump)
{
    bool valid;
    if (library_each_code(dump, add_code, change, &valid) && valid) {
        return true;
    }
    if (!valid) {
        reply_error(change->request->reply,
            "ERR DUMP payload version or checksum are wrong");
    }
    free_list(change->scripting, change->new);
    return false;
}

void cmd_function_restore(struct request *request)
{
    bool append = request->argc == 3 || arg_is(request, 3, "append");
    bool replace = request->argc == 4 && arg_is(request, 3, "replace");
    bool flush = request->argc == 4 && arg_is(request, 3, "flush");
    if (request->argc > 4) {
        error_subcommand_syntax(request);
        return;
    }
    if (scripting_is_off(request)) {
        return;
    }
    if (!append && !replace && !flush) {
        reply_error(request->reply,
            "ERR Wrong restore policy given, value should be either FLUSH, "
            "APPEND or REPLACE.");
        return;
    }
    struct change change = begin(request);
    if (!read_dump(&change, request->argv[2])) {
        return;
    }
    if (flush) {
        take_out_all(&change);
    } else if (replace) {
        replace_named(&change);
    }
    if (commit(&change)) {
        request->changes++;
        reply_ok(request->reply);
    }
}

/* ---- at start ---- */

/* The file, heap; NULL when there is none (*missing) or it cannot be read. */
static char *read_file(const char *path, size_t *size, bool *missing)
{
    FILE *file = fopen(path, "rbe");
    *missing = file == NULL && errno == ENOENT;
    if (file == NULL) {
        return NULL;
    }
    size_t capacity = 64 * 1024;
    char *data = xmalloc(capacity);
    *size = 0;
    for (;;) {
        size_t got = fread(data + *size, 1, capacity - *size, file);
        *size += got;
        if (got == 0 || *size > FILE_BYTES_MAX) {
            break;
        }
        if (*size == capacity) {
            capacity *= 2;
            data = xrealloc(data, capacity);
        }
    }
    bool good = feof(file) != 0 && ferror(file) == 0;
    fclose(file);
    if (!good) {
        free(data);
        data = NULL;
    }
    return data;
}

static bool load_dump(struct scripting *scripting, struct bytes dump)
{
    struct reply reply;
    reply_init(&reply);
    struct request request = {.server = scripting->server, .reply = &reply};
    struct change change = {.request = &request, .scripting = scripting};
    bool good = read_dump(&change, dump);
    if (good && !put_in(&change)) {
        free_list(scripting, change.new);
        good = false;
    }
    if (!good) {
        log_line(&scripting->server->log, LOG_WARNING,
            "Cannot load the functions in " FILE_NAME ": %.*s",
            reply.size > 3 ? (int)reply.size - 3 : 0, reply.data + 1);
    }
    reply_finish(&reply);
    return good;
}

bool scripting_load(struct scripting *scripting)
{
    struct text path;
    size_t size = 0;
    bool missing;
    if (scripting == NULL) {
        return true;
    }
    file_path(scripting->server, &path);
    char *data = read_file(path.data, &size, &missing);
    bool good = missing;
    if (data != NULL) {
        good = load_dump(scripting, bytes_of(data, size));
    } else if (!missing) {
        log_line(&scripting->server->log, LOG_WARNING,
            "Cannot read the functions in %s", path.data);
    }
    free(data);
    text_finish(&path);
    return good;
}

void cmd_function_help(struct request *request)
{
    static const char *const lines[] = {
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Create a new library with the given library name and code.",
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Library description",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern "
        "using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "KILL",
        "    Kill the current running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is "
        "determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes "
        "are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, "
        "can be restored using FUNCTION RESTORE command",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload, it is "
        "possible to give a restore policy to",
        "    control how to handle existing libraries (default APPEND):",
        "    * FLUSH: delete all existing libraries.",
        "    * APPEND: appends the restored libraries to the existing "
        "libraries. On collision, abort.",
        "    * REPLACE: appends the restored libraries to the existing "
        "libraries, On collision, replace the old",
        "      libraries with the new libraries (notice that even on this "
        "option there is a chance of failure",
        "      in case of functions name collision with another library).",
        NULL,
    };
    help_reply(request, lines);
}
