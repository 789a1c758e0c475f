/* The table of directives: what config.c, CONFIG and the configuration file
 * know about each. Rows are in server/directives.def. */
#ifndef LARDER_SERVER_DIRECTIVE_H
#define LARDER_SERVER_DIRECTIVE_H

#include <stddef.h>

#include "server/config.h"

enum directive_kind {
    DIRECTIVE_BOOL,    /* field: bool */
    DIRECTIVE_INT,     /* field: int64_t */
    DIRECTIVE_MEMORY,  /* field: int64_t or uint64_t, below 2^63 */
    DIRECTIVE_ENUM,    /* field: int */
    DIRECTIVE_TEXT,    /* field: char *, heap, never NULL */
    DIRECTIVE_SPECIAL, /* its own functions */
};

enum directive_flags {
    DIRECTIVE_IMMUTABLE = 1 << 0, /* refused by CONFIG SET */
    DIRECTIVE_PROTECTED = 1 << 1, /* only with enable-protected-configs */
    DIRECTIVE_SENSITIVE = 1 << 2, /* value never shown in logs or SLOWLOG */
    DIRECTIVE_HIDDEN = 1 << 3,    /* CONFIG GET only by its exact name */
    DIRECTIVE_MULTI = 1 << 4,     /* several words */
    DIRECTIVE_OCTAL = 1 << 5,
    DIRECTIVE_PERCENT = 1 << 6,   /* memory or "n%", kept as -n */
    DIRECTIVE_FILE_ONLY = 1 << 7, /* a line of the file: no CONFIG GET */
    DIRECTIVE_NO_EFFECT = 1 << 8, /* accepted, with one warning */
};

struct directive;

/* Why a value was refused, in Redis' words. */
#define CONFIG_REASON_BYTES 512

/* A directive whose value is not one word. `set` gives false with `reason`
 * filled; `get` returns heap text as CONFIG GET shows it, and is NULL for
 * directives that only the file has. */
struct directive_special {
    bool (*set)(struct config *config, const struct directive *directive,
        char **words, int count, char *reason);
    char *(*get)(
        const struct config *config, const struct directive *directive);
};

struct directive_name {
    const char *name;
    int value;
};

/* A further check of a text value; false with `reason` filled. */
typedef bool directive_check(
    const struct directive *directive, const char *text, char *reason);

struct directive {
    const char *name, *alias; /* alias: NULL or the older name */
    enum directive_kind kind;
    unsigned flags;
    const char *initial; /* the default, as one would write it */
    int64_t low, high;
    const struct directive_name *names; /* ENUM; ends with a NULL name */
    directive_check *text_check;        /* TEXT; may be NULL */
    const struct directive_special *special;
    size_t offset; /* in struct config, or DIRECTIVE_STORED */
};
#define DIRECTIVE_STORED SIZE_MAX

extern const struct directive directive_rows[];
extern const unsigned directive_count;

/* By name or alias in any case; NULL when there is none. */
const struct directive *directive_find(const char *name);
/* Its number: the index into directive_rows, config->stored and ->given. */
unsigned directive_row(const struct directive *directive);

/* Sets a directive from its words (the name not among them). False with the
 * reason when the value is refused; the old value then stands. */
bool directive_set(struct config *config, const struct directive *directive,
    char **words, int count, char *reason);
/* The same from one text, as CONFIG SET has it. */
bool directive_set_text(struct config *config,
    const struct directive *directive, const char *text, char *reason);
/* The same from the words of a line: a list may also be one quoted word. */
bool directive_set_words(struct config *config,
    const struct directive *directive, char **words, int count, char *reason);
/* The value as CONFIG GET shows it: heap, to be freed by the caller. Not for
 * DIRECTIVE_FILE_ONLY. */
char *directive_get(
    const struct config *config, const struct directive *directive);

/* Kinds other than DIRECTIVE_SPECIAL (config_value.c). */
bool directive_set_word(struct config *config,
    const struct directive *directive, char **words, int count, char *reason);
char *directive_get_word(
    const struct config *config, const struct directive *directive);
/* Where a value of such a kind lies. */
void *directive_slot(
    const struct config *config, const struct directive *directive);
/* "10mb" in bytes, as Redis reads it; false when it is no size. */
bool config_parse_memory(const char *text, uint64_t *bytes);

/* Those of their own kind (config_special.c). */
extern const struct directive_special special_bind, special_save,
    special_output_limit, special_dir, special_percentiles, special_oom_score,
    special_notify, special_replicaof, special_rename, special_ignored,
    special_user, special_namespace, special_tier_defaults;
/* The list of `user` lines (config_users.c). */
void config_users_copy(struct config *to, const struct config *from);
void config_users_free(struct config *config);
/* (config_check.c) */
directive_check check_file_name, check_directory_name, check_host_name,
    check_title, check_socket_path;

#endif
