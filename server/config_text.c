#include "server/config_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "protocol/bytes.h"
#include "protocol/words.h"

void text_init(struct text *text)
{
    text->data = xstrdup("");
    text->size = 0;
}

void text_finish(struct text *text)
{
    free(text->data);
}

static void add_bytes(struct text *text, const char *data, size_t size)
{
    text->data = xrealloc(text->data, text->size + size + 1);
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_add(struct text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

void text_add_format(struct text *text, const char *format, ...)
{
    char *line;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&line, format, arguments);
    va_end(arguments);
    check(size >= 0);
    add_bytes(text, line, (size_t)size);
    free(line);
}

void text_add_quoted(struct text *text, const char *word)
{
    add_bytes(text, "\"", 1);
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            text_add_format(text, "\\%c", *c);
        } else if (isprint((unsigned char)*c)) {
            add_bytes(text, c, 1);
        } else {
            text_add_format(text, "\\x%02x", (unsigned char)*c);
        }
    }
    add_bytes(text, "\"", 1);
}

bool text_read(struct text *text, FILE *file)
{
    char part[4096];
    size_t size;
    while ((size = fread(part, 1, sizeof(part), file)) > 0) {
        if (memchr(part, '\0', size) != NULL) {
            errno = EINVAL;
            return false;
        }
        add_bytes(text, part, size);
    }
    return ferror(file) == 0;
}

bool text_read_path(struct text *text, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool ok = text_read(text, file);
    int error = errno;
    fclose(file);
    errno = error;
    return ok;
}

char *text_trim(char *line)
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

int text_split(const char *line, char ***words)
{
    struct scratch scratch = {NULL};
    struct words reader;
    struct bytes word;
    enum words_result result;
    int count = 0;
    *words = xcalloc(strlen(line) / 2 + 2, sizeof(**words));
    words_init(&reader, bytes_of(line, strlen(line)), &scratch);
    while ((result = words_next(&reader, &word)) == WORDS_ONE) {
        char *copy = xmalloc(word.size + 1);
        if (word.size > 0) {
            memcpy(copy, word.data, word.size);
        }
        copy[word.size] = '\0';
        (*words)[count++] = copy;
    }
    scratch_reset(&scratch);
    if (result == WORDS_UNBALANCED) {
        text_free_words(*words, count);
        *words = NULL;
        return -1;
    }
    return count;
}

void text_free_words(char **words, int count)
{
    for (int i = 0; i < count; i++) {
        free(words[i]);
    }
    free(words);
}
