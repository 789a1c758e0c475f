/* Libraries of functions: FUNCTION and FCALL.
 *
 *   library.c       which there are; FCALL, FUNCTION LIST and STATS
 *   library_load.c  from code to a library; FUNCTION LOAD
 *   library_dump.c  FUNCTION DUMP and RESTORE: Redis' format
 *   library_file.c  what survives a restart; FUNCTION DELETE and FLUSH */
#ifndef LARDER_SERVER_SCRIPTING_LIBRARY_H
#define LARDER_SERVER_SCRIPTING_LIBRARY_H

#include "server/config_text.h"
#include "server/scripting/script.h"

/* Names of libraries and functions are shorter. */
#define LIBRARY_NAME_BYTES 1024

struct function {
    char *name;
    char *folded;           /* lower case: the key */
    UT_hash_handle by_name; /* scripting->functions */
    struct library *library;
    struct function *next; /* of the library, newest first */
    char *description;     /* or NULL */
    size_t description_bytes;
    uint32_t flags;
    int callback; /* reference in Lua's registry */
};
struct library {
    char *name;        /* heap */
    UT_hash_handle hh; /* scripting->libraries, by name */
    struct function *functions;
    char *code;
    size_t code_bytes;
    struct library *next; /* of those that come or go together */
};

/* Lower case into `out`, which has LIBRARY_NAME_BYTES; false when it is too
 * long to be a name. */
bool library_fold_name(struct bytes name, char *out);
struct library *library_find(struct scripting *scripting, struct bytes name);
/* Any case. */
struct function *library_function_find(
    struct scripting *scripting, struct bytes name);
/* Puts a library, whose names nobody else has, among those there are, or
 * takes it out. */
void library_attach(struct scripting *scripting, struct library *library);
void library_detach(struct scripting *scripting, struct library *library);
/* One that is not among them. NULL is allowed. */
void library_free(struct scripting *scripting, struct library *library);

/* Frees all of them; the file stays. */
void library_flush(struct scripting *scripting);

/* A library from its code; the name is taken from the shebang line. NULL
 * after an error has been answered. It is not attached. (library_load.c) */
struct library *library_create(struct request *request, struct bytes code);
/* The name in `library` that another library but `except` has as well, or
 * NULL. */
const struct function *library_clash(struct scripting *scripting,
    const struct library *library, const struct library *except);
/* The deadline of a library's code while it is loaded; raises. */
void library_look(lua_State *lua, const struct library_load *load);

/* All libraries as FUNCTION DUMP has them. (library_dump.c) */
void library_dump(const struct scripting *scripting, struct text *out);
/* Calls fn for each library's code in such a dump until it returns false.
 * *valid: whether the dump can be read at all, which is known before the
 * first call. False when fn returned false. */
typedef bool library_code_fn(void *context, struct bytes code);
bool library_each_code(
    struct bytes dump, library_code_fn *fn, void *context, bool *valid);

/* Writes all libraries to the file in `dir`. False after the error has been
 * answered. (library_file.c) */
bool library_save(struct request *request);

/* Answers and returns true when there are no scripts here. */
bool scripting_is_off(struct request *request);

#endif
