/* CONFIG REWRITE: brings the file in line with the values in use.
 *
 * Lines are kept as they stand, comments and order included, as long as the
 * file already says what is in use. Where it does not, the directive's first
 * line is replaced and its others go; what the file does not mention at all
 * is added at the end. */
#include "server/config_rewrite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "protocol/bytes.h"
#include "server/config_text.h"
#include "server/directive.h"

#define MARKER "# Added by CONFIG REWRITE"

struct line {
    char *text;                        /* as it stands in the file */
    const struct directive *directive; /* NULL: kept whatever it is */
};

struct rewrite {
    const struct config *config; /* what is in use */
    const char *users;           /* lines, or NULL */
    bool users_written;
    struct config file; /* what the file says */
    bool *refused;      /* by row: a line of it does not parse now */
    bool *written;      /* by row: its new lines are in `out` */
    struct line *lines;
    size_t line_count;
    struct text out;
};

/* ---- what the file says ---- */

static const struct directive *read_line(struct rewrite *rewrite, char *text)
{
    char **words = NULL;
    char reason[CONFIG_REASON_BYTES];
    char *copy = xstrdup(text);
    char *line = text_trim(copy);
    int count = *line == '#' ? 0 : text_split(line, &words);
    free(copy);
    if (count < 0) {
        return NULL;
    }
    const struct directive *directive =
        count > 1 ? directive_find(words[0]) : NULL;
    if (directive != NULL && (directive->flags & DIRECTIVE_FILE_ONLY) != 0) {
        directive = NULL;
    }
    if (directive != NULL && !directive_set_words(&rewrite->file, directive,
                                 words + 1, count - 1, reason)) {
        rewrite->refused[directive_row(directive)] = true;
    }
    text_free_words(words, count);
    return directive;
}

static void read_lines(struct rewrite *rewrite, char *text)
{
    char *rest = text;
    size_t capacity = 0;
    while (rest != NULL && *rest != '\0') {
        char *line = strsep(&rest, "\n");
        if (rewrite->line_count == capacity) {
            capacity = capacity * 2 + 64;
            rewrite->lines =
                xrealloc(rewrite->lines, capacity * sizeof(*rewrite->lines));
        }
        rewrite->lines[rewrite->line_count++] =
            (struct line){line, read_line(rewrite, line)};
    }
}

/* ---- the new lines of a directive ---- */

static void write_save(struct rewrite *rewrite)
{
    const struct config *config = rewrite->config;
    if (config->save_count == 0) {
        text_add(&rewrite->out, "save \"\"\n");
    }
    for (unsigned i = 0; i < config->save_count; i++) {
        text_add_format(&rewrite->out, "save %" PRIu64 " %" PRIu64 "\n",
            config->save[i].seconds, config->save[i].changes);
    }
}

static void write_output_limits(struct rewrite *rewrite)
{
    static const char *const names[] = {"normal", "replica", "pubsub"};
    const struct output_limit *limits =
        rewrite->config->client_output_buffer_limit;
    for (int i = 0; i < OUTPUT_CLASSES; i++) {
        text_add_format(&rewrite->out,
            "client-output-buffer-limit %s %" PRIu64 " %" PRIu64 " %" PRIu64
            "\n",
            names[i], limits[i].hard_bytes, limits[i].soft_bytes,
            limits[i].soft_seconds);
    }
}

static void write_namespaces(struct rewrite *rewrite)
{
    char *lines = directive_get(rewrite->config, directive_find("namespace"));
    char *rest = *lines == '\0' ? NULL : lines;
    while (rest != NULL) {
        text_add_format(&rewrite->out, "namespace %s\n", strsep(&rest, "\n"));
    }
    free(lines);
}

/* Sizes as people write them, where that loses nothing. */
static void write_size(struct text *out, const char *value)
{
    static const struct {
        int shift;
        const char *unit;
    } units[] = {{30, "gb"}, {20, "mb"}, {10, "kb"}};
    int64_t bytes;
    if (bytes_to_int64(bytes_of(value, strlen(value)), &bytes) && bytes > 0) {
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if ((bytes & ((INT64_C(1) << units[i].shift) - 1)) == 0) {
                text_add_format(out, "%" PRId64 "%s", bytes >> units[i].shift,
                    units[i].unit);
                return;
            }
        }
    }
    text_add(out, value);
}

static void write_lines(
    struct rewrite *rewrite, const struct directive *directive)
{
    rewrite->written[directive_row(directive)] = true;
    if (directive->special == &special_save) {
        write_save(rewrite);
        return;
    }
    if (directive->special == &special_namespace) {
        write_namespaces(rewrite);
        return;
    }
    if (directive->special == &special_output_limit) {
        write_output_limits(rewrite);
        return;
    }
    char *value = directive_get(rewrite->config, directive);
    text_add_format(&rewrite->out, "%s ", directive->name);
    bool list =
        *value != '\0' && ((directive->flags & DIRECTIVE_MULTI) != 0 ||
                              directive->special == &special_tier_defaults);
    if (directive->kind == DIRECTIVE_MEMORY) {
        write_size(&rewrite->out, value);
    } else if (list || directive->kind == DIRECTIVE_BOOL ||
               directive->kind == DIRECTIVE_INT ||
               directive->kind == DIRECTIVE_ENUM) {
        text_add(&rewrite->out, value);
    } else {
        text_add_quoted(&rewrite->out, value);
    }
    text_add(&rewrite->out, "\n");
    free(value);
}

static bool differs(
    const struct rewrite *rewrite, const struct directive *directive)
{
    if (rewrite->refused[directive_row(directive)]) {
        return true;
    }
    char *wanted = directive_get(rewrite->config, directive);
    char *found = directive_get(&rewrite->file, directive);
    bool result = strcmp(wanted, found) != 0;
    free(wanted);
    free(found);
    return result;
}

/* Whether the line is one of a user whom the lines in use replace. */
static bool is_user_line(const struct rewrite *rewrite, const char *text)
{
    return rewrite->users != NULL &&
           strncasecmp(text + strspn(text, " \t"), "user", 4) == 0 &&
           strchr(" \t", text[strspn(text, " \t") + 4]) != NULL;
}

static void write_users(struct rewrite *rewrite)
{
    if (rewrite->users != NULL && !rewrite->users_written) {
        text_add(&rewrite->out, rewrite->users);
        rewrite->users_written = true;
    }
}

static void write_all(struct rewrite *rewrite)
{
    bool marked = false;
    for (size_t i = 0; i < rewrite->line_count; i++) {
        const struct line *line = &rewrite->lines[i];
        if (is_user_line(rewrite, line->text)) {
            write_users(rewrite);
        } else if (line->directive == NULL ||
                   !differs(rewrite, line->directive)) {
            marked = marked || strcmp(line->text, MARKER) == 0;
            text_add_format(&rewrite->out, "%s\n", line->text);
        } else if (!rewrite->written[directive_row(line->directive)]) {
            write_lines(rewrite, line->directive);
        }
    }
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *directive = &directive_rows[i];
        bool skip = (directive->flags & DIRECTIVE_FILE_ONLY) != 0 ||
                    rewrite->written[i] || !differs(rewrite, directive);
        if (!skip) {
            text_add(&rewrite->out, marked ? "" : MARKER "\n");
            marked = true;
            write_lines(rewrite, directive);
        }
    }
    if (rewrite->users != NULL && *rewrite->users != '\0' &&
        !rewrite->users_written) {
        text_add(&rewrite->out, marked ? "" : MARKER "\n");
        write_users(rewrite);
    }
}

bool config_rewrite(const struct config *config, const char *users)
{
    struct rewrite rewrite = {.config = config, .users = users};
    struct text text;
    /* A symbolic link stays one: its target is replaced. */
    char *path = realpath(config->config_path, NULL);
    text_init(&text);
    bool ok = path != NULL && text_read_path(&text, path);
    if (ok) {
        text_init(&rewrite.out);
        config_init(&rewrite.file);
        rewrite.file.loading = true;
        rewrite.refused = xcalloc(directive_count, sizeof(bool));
        rewrite.written = xcalloc(directive_count, sizeof(bool));
        read_lines(&rewrite, text.data);
        write_all(&rewrite);
        ok = text_write_path(&rewrite.out, path);
        int error = errno;
        free(rewrite.lines);
        free(rewrite.refused);
        free(rewrite.written);
        config_finish(&rewrite.file);
        text_finish(&rewrite.out);
        errno = error;
    }
    int error = errno;
    text_finish(&text);
    free(path);
    errno = error;
    return ok;
}
