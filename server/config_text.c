#include "server/config_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/bytes.h"
#include "protocol/words.h"

void text_init(struct text *text)
{
    text->data = xstrdup("");
    text->size = 0;
    text->capacity = 1;
}

void text_finish(struct text *text)
{
    free(text->data);
}

static void add_bytes(struct text *text, const char *data, size_t size)
{
    if (text->size + size + 1 > text->capacity) {
        text->capacity = (text->size + size + 1) * 2;
        text->data = xrealloc(text->data, text->capacity);
    }
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

static bool write_fd(int fd, const struct text *text)
{
    size_t done = 0;
    while (done < text->size) {
        ssize_t size = write(fd, text->data + done, text->size - done);
        if (size < 0 && errno != EINTR) {
            return false;
        }
        done += size > 0 ? (size_t)size : 0;
    }
    return true;
}

/* A rename is only durable once its directory is. */
static bool sync_directory(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

bool text_write_path(const struct text *text, const char *path)
{
    char temporary[PATH_MAX];
    struct stat old;
    if (snprintf(temporary, sizeof(temporary), "%s.%d.tmp", path,
            (int)getpid()) >= (int)sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 07777 : 0644;
    bool ok = write_fd(fd, text) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (ok) {
        ok = rename(temporary, path) == 0;
        error = errno;
    }
    if (!ok) {
        unlink(temporary);
        errno = error;
        return false;
    }
    return sync_directory(path);
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
