/* redis.conf's grammar and the command line: words, lines, includes. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "protocol/bytes.h"
#include "server/config_text.h"
#include "server/directive.h"
#include "server/server.h"

/* A file that includes itself must end in an error, not in a full stack. */
#define INCLUDE_DEPTH_MAX 16

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

/* Redis resolves every later relative path of the file against `dir`. */
static bool change_directory(const struct config *config, char *reason)
{
    if (chdir(config->dir) == 0) {
        return true;
    }
    snprintf(reason, CONFIG_REASON_BYTES, "%s", strerror(errno));
    return false;
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
    return directive_set_words(
               loader->config, directive, words + 1, count - 1, reason) &&
           (directive->special != &special_dir ||
               change_directory(loader->config, reason));
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
    int count = text_split(line, &words);
    if (count < 0) {
        return fail(loader, line_number, line,
            "Unbalanced quotes in configuration line");
    }
    bool ok = count == 0 || load_words(loader, words, count, reason);
    text_free_words(words, count);
    return ok || fail(loader, line_number, line, reason);
}

/* Changes `text`. */
static bool load_text(struct loader *loader, char *text)
{
    bool ok = true;
    char *rest = text;
    for (unsigned number = 1; ok && rest != NULL; number++) {
        ok = load_line(loader, number, text_trim(strsep(&rest, "\n")));
    }
    return ok;
}

static bool load_file(struct loader *loader, const char *path)
{
    struct text text;
    text_init(&text);
    bool ok = text_read_path(&text, path);
    if (ok) {
        loader->depth++;
        ok = load_text(loader, text.data);
        loader->depth--;
    } else {
        fail_to_open(loader, path);
    }
    text_finish(&text);
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
        text_add(lines, " ");
        return false;
    }
    text_add(lines, "\n");
    text_add(lines, argument + 2);
    text_add(lines, " ");
    if (strchr(argument, ' ') != NULL) {
        return false;
    }
    bool stands_alone = count == 1 || is_option(arguments[1]);
    if (stands_alone && strcasecmp(argument, "--save") == 0) {
        text_add(lines, "\"\" ");
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
        if (!text_read_path(text, config->config_path)) {
            return fail_to_open(loader, config->config_path);
        }
    }
    struct text options;
    text_init(&options);
    bool wants_value = false;
    for (int i = first; i < argc; i++) {
        bool at_end = i == 1 || i == argc - 1;
        if (at_end && strcmp(argv[i], "-") == 0) {
            bool ends = text->size == 0 || text->data[text->size - 1] == '\n';
            text_add(text, ends ? "" : "\n");
            if (!text_read(text, stdin)) {
                text_finish(&options);
                return fail_to_open(loader, "-");
            }
        } else {
            wants_value =
                add_argument(&options, argv + i, argc - i, wants_value);
        }
    }
    text_add(text, options.data);
    text_finish(&options);
    return true;
}

/* Later there would be nobody to tell. */
static bool check_log_file(struct loader *loader)
{
    const char *path = loader->config->logfile;
    if (*path == '\0') {
        return true;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr,
            "\n*** FATAL CONFIG FILE ERROR (larder %s) ***\n"
            "Can't open the log file: %s\n",
            LARDER_VERSION, strerror(errno));
        return false;
    }
    close(fd);
    return true;
}

bool config_load(struct config *config, int argc, char **argv)
{
    struct loader loader = {.config = config};
    struct text text;
    text_init(&text);
    config->loading = true;
    bool ok = gather(&loader, &text, argc, argv) &&
              load_text(&loader, text.data) && check_log_file(&loader);
    config_settle(config);
    config->loading = false;
    text_finish(&text);
    return ok;
}
