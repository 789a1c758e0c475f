/* redis.conf's grammar and the command line: words, lines, includes. */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "protocol/bytes.h"
#include "server/directive.h"
#include "server/server.h"

/* A file that includes itself must end in an error, not in a full stack. */
#define INCLUDE_DEPTH_MAX 16

/* ---- words ---- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* One escape of a "..." word, behind the backslash; moves *in. */
static char read_escape(const char **in)
{
    const char *c = *in;
    if (c[0] == 'x' && isxdigit((unsigned char)c[1]) &&
        isxdigit((unsigned char)c[2])) {
        *in += 3;
        return (char)(hex_digit(c[1]) * 16 + hex_digit(c[2]));
    }
    static const char names[] = "nrtba", values[] = "\n\r\t\b\a";
    const char *found = strchr(names, *c);
    *in += 1;
    return found != NULL ? values[found - names] : *c;
}

/* A quoted word from behind its opening quote. False when it does not end,
 * or when something follows its closing quote without a blank. */
static bool read_quoted(const char **in, char **out, char quote)
{
    const char *c = *in;
    while (*c != '\0' && *c != quote) {
        if (quote == '"' && c[0] == '\\' && c[1] != '\0') {
            c++;
            *(*out)++ = read_escape(&c);
        } else if (quote == '\'' && c[0] == '\\' && c[1] == '\'') {
            *(*out)++ = '\'';
            c += 2;
        } else {
            *(*out)++ = *c++;
        }
    }
    if (*c != quote || (c[1] != '\0' && !isspace((unsigned char)c[1]))) {
        return false;
    }
    *in = c + 1;
    return true;
}

/* One word, which may go over from plain to quoted in its middle. */
static bool read_word(const char **in, char **out)
{
    while (**in != '\0' && !isspace((unsigned char)**in)) {
        char c = **in;
        *in += 1;
        if (c == '"' || c == '\'') {
            return read_quoted(in, out, c);
        }
        *(*out)++ = c;
    }
    return true;
}

int words_split(const char *line, char ***words)
{
    int count = 0;
    size_t room = strlen(line) + 1;
    *words = xcalloc(room / 2 + 2, sizeof(**words));
    for (;;) {
        line += strspn(line, " \t\r\n\v\f");
        if (*line == '\0') {
            return count;
        }
        char *word = xmalloc(strlen(line) + 1);
        char *end = word;
        (*words)[count++] = word;
        bool ok = read_word(&line, &end);
        *end = '\0';
        if (!ok) {
            words_free(*words, count);
            *words = NULL;
            return -1;
        }
    }
}

void words_free(char **words, int count)
{
    for (int i = 0; i < count; i++) {
        free(words[i]);
    }
    free(words);
}

/* ---- growing text ---- */

struct text {
    char *data; /* heap, terminated */
    size_t size;
};

static void text_add(struct text *text, const char *data, size_t size)
{
    text->data = xrealloc(text->data, text->size + size + 1);
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

static void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

/* `word` in quotes, so that words_split gives it back as it is. */
static void text_add_quoted(struct text *text, const char *word)
{
    text_add(text, "\"", 1);
    for (const char *c = word; *c != '\0'; c++) {
        char escape[8];
        if (*c == '"' || *c == '\\') {
            snprintf(escape, sizeof(escape), "\\%c", *c);
        } else if (isprint((unsigned char)*c)) {
            snprintf(escape, sizeof(escape), "%c", *c);
        } else {
            snprintf(escape, sizeof(escape), "\\x%02x", (unsigned char)*c);
        }
        text_add_string(text, escape);
    }
    text_add(text, "\"", 1);
}

/* ---- lines ---- */

struct loader {
    struct config *config;
    int depth;   /* of includes */
    bool failed; /* and told */
};

static bool load_file(struct loader *loader, const char *path);

static bool fail(struct loader *loader, unsigned line_number, const char *line,
    const char *reason)
{
    if (!loader->failed) {
        fprintf(stderr,
            "\n*** FATAL CONFIG FILE ERROR (larder %s) ***\n"
            "Reading the configuration file, at line %u\n>>> '%s'\n%s\n",
            LARDER_VERSION, line_number, line, reason);
    }
    loader->failed = true;
    return false;
}

static bool fail_to_open(struct loader *loader, const char *path)
{
    fprintf(stderr, "Fatal error, can't open config file '%s': %s\n", path,
        strerror(errno));
    loader->failed = true;
    return false;
}

/* A pattern that matches nothing is no error; a plain name is. */
static bool load_include(struct loader *loader, const char *pattern)
{
    if (strpbrk(pattern, "*?[") == NULL) {
        return load_file(loader, pattern);
    }
    glob_t found;
    bool ok = true;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; ok && i < found.gl_pathc; i++) {
            ok = load_file(loader, found.gl_pathv[i]);
        }
        globfree(&found);
    }
    return ok;
}

/* Redis lets a list be written as one quoted word, too. */
static bool set_words(struct config *config, const struct directive *directive,
    char **words, int count, char *reason)
{
    bool one_text = count == 1 && (directive->flags & DIRECTIVE_MULTI) != 0 &&
                    (directive->flags & DIRECTIVE_FILE_ONLY) == 0;
    if (one_text) {
        return directive_set_text(config, directive, words[0], reason);
    }
    return directive_set(config, directive, words, count, reason);
}

static bool load_words(
    struct loader *loader, char **words, int count, char *reason)
{
    snprintf(reason, CONFIG_REASON_BYTES,
        "Bad directive or wrong number of arguments");
    if (strcasecmp(words[0], "include") == 0) {
        if (count != 2) {
            return false;
        }
        snprintf(reason, CONFIG_REASON_BYTES, "Too many nested includes");
        return loader->depth < INCLUDE_DEPTH_MAX &&
               load_include(loader, words[1]);
    }
    const struct directive *directive = directive_find(words[0]);
    if (directive == NULL) {
        return false;
    }
    loader->config->given[directive_row(directive)] = true;
    return set_words(loader->config, directive, words + 1, count - 1, reason);
}

/* `line` without blanks at its ends. */
static bool load_line(
    struct loader *loader, unsigned line_number, const char *line)
{
    char **words;
    char reason[CONFIG_REASON_BYTES];
    if (*line == '\0' || *line == '#') {
        return true;
    }
    int count = words_split(line, &words);
    if (count < 0) {
        return fail(loader, line_number, line,
            "Unbalanced quotes in configuration line");
    }
    bool ok = count == 0 || load_words(loader, words, count, reason);
    words_free(words, count);
    return ok || fail(loader, line_number, line, reason);
}

static char *trim(char *line)
{
    static const char blanks[] = " \t\r\n";
    line += strspn(line, blanks);
    size_t size = strlen(line);
    while (size > 0 && strchr(blanks, line[size - 1]) != NULL) {
        size--;
    }
    line[size] = '\0';
    return line;
}

/* Changes `text`. */
static bool load_text(struct loader *loader, char *text)
{
    bool ok = true;
    char *rest = text;
    for (unsigned number = 1; ok && rest != NULL; number++) {
        ok = load_line(loader, number, trim(strsep(&rest, "\n")));
    }
    return ok;
}

/* Appends all of `file`. */
static bool read_all(struct text *text, FILE *file)
{
    char part[4096];
    size_t size;
    while ((size = fread(part, 1, sizeof(part), file)) > 0) {
        text_add(text, part, size);
    }
    return ferror(file) == 0;
}

static bool read_file(struct text *text, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool ok = read_all(text, file);
    int error = errno;
    fclose(file);
    errno = error;
    return ok;
}

static bool load_file(struct loader *loader, const char *path)
{
    struct text text = {NULL, 0};
    text_add(&text, "", 0);
    bool ok = read_file(&text, path);
    if (ok) {
        loader->depth++;
        ok = load_text(loader, text.data);
        loader->depth--;
    } else {
        fail_to_open(loader, path);
    }
    free(text.data);
    return ok;
}

/* ---- the command line ---- */

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] == '-';
}

/* "--name" starts a line; what follows, up to the next one, are its values.
 * The first word behind a bare "--name" is a value even when it begins with
 * "--"; only --save and --sentinel may stand without one. "--name value" in
 * one argument is a whole line. */
static bool add_argument(
    struct text *lines, char **arguments, int count, bool wants_value)
{
    const char *argument = arguments[0];
    if (wants_value || !is_option(argument)) {
        text_add_quoted(lines, argument);
        text_add(lines, " ", 1);
        return false;
    }
    text_add(lines, "\n", 1);
    text_add_string(lines, argument + 2);
    text_add(lines, " ", 1);
    if (strchr(argument, ' ') != NULL) {
        return false;
    }
    bool stands_alone = count == 1 || is_option(arguments[1]);
    if (stands_alone && strcasecmp(argument, "--save") == 0) {
        text_add_string(lines, "\"\" ");
        return false;
    }
    return !(stands_alone && strcasecmp(argument, "--sentinel") == 0);
}

static void set_config_path(struct config *config, const char *path)
{
    char cwd[PATH_MAX];
    free(config->config_path);
    if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL) {
        config->config_path = xstrdup(path);
    } else {
        size_t size = strlen(cwd) + strlen(path) + 2;
        config->config_path = xmalloc(size);
        snprintf(config->config_path, size, "%s/%s", cwd, path);
    }
}

/* Everything that is to be read as one text: file, standard input, options. */
static bool gather(
    struct loader *loader, struct text *text, int argc, char **argv)
{
    struct config *config = loader->config;
    int first = 1;
    if (argc > 1 && argv[1][0] != '-') {
        set_config_path(config, argv[1]);
        first = 2;
        if (!read_file(text, config->config_path)) {
            return fail_to_open(loader, config->config_path);
        }
        text_add(text, "\n", 1);
    }
    struct text options = {NULL, 0};
    text_add(&options, "", 0);
    bool wants_value = false;
    for (int i = first; i < argc; i++) {
        bool at_end = i == 1 || i == argc - 1;
        if (at_end && strcmp(argv[i], "-") == 0) {
            read_all(text, stdin);
            text_add(text, "\n", 1);
        } else {
            wants_value =
                add_argument(&options, argv + i, argc - i, wants_value);
        }
    }
    text_add(text, options.data, options.size);
    free(options.data);
    return true;
}

bool config_load(struct config *config, int argc, char **argv)
{
    struct loader loader = {.config = config};
    struct text text = {NULL, 0};
    text_add(&text, "", 0);
    config->loading = true;
    bool ok =
        gather(&loader, &text, argc, argv) && load_text(&loader, text.data);
    config->loading = false;
    free(text.data);
    return ok;
}
