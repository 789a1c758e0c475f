/* Texts for the configuration file and the ACL file: growing, quoting,
 * splitting, whole files. For config_*.c and acl_*.c only. */
#ifndef LARDER_SERVER_CONFIG_TEXT_H
#define LARDER_SERVER_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct text {
    char *data; /* heap, terminated; never NULL after text_init */
    size_t size, capacity;
};

void text_init(struct text *text);
void text_finish(struct text *text);
void text_add(struct text *text, const char *string);
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `word` in quotes, so that text_split gives it back as it is. */
void text_add_quoted(struct text *text, const char *word);

/* Appends all of `file`, or of the file at `path`. False with errno set;
 * EINVAL when there is a NUL byte in it, which is no text. */
bool text_read(struct text *text, FILE *file);
bool text_read_path(struct text *text, const char *path);

/* Puts the text in the place of the file at `path` and syncs it. Whatever
 * happens, the file holds its old or its new content, whole. False with errno
 * set. */
bool text_write_path(const struct text *text, const char *path);

/* Cuts blanks and line ends from both ends of `line`, in place. */
char *text_trim(char *line);

/* The words of a line by the rules of protocol/words.h: heap, for
 * text_free_words. Their number, or -1 when quotes are not balanced. */
int text_split(const char *line, char ***words);
void text_free_words(char **words, int count);

#endif
