#include "server/top/top_sample.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NUMBER_BYTES 32

double top_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void top_sample_finish(struct top_sample *sample)
{
    free(sample->text);
    sample->text = NULL;
}

struct top_fields top_sample_lines(const struct top_sample *sample)
{
    struct top_fields fields = {
        .text = sample->text, .separator = ':', .terminator = '\r'};
    if (sample->text != NULL) {
        fields.end = sample->text + strlen(sample->text);
    }
    return fields;
}

/* Where the value of a field begins, and its size. */
static const char *find_value(
    const struct top_fields *fields, const char *name, size_t *size)
{
    size_t name_size = strlen(name);
    const char *at = fields->text;
    while (at != NULL && at < fields->end) {
        size_t left = (size_t)(fields->end - at);
        const char *stop = memchr(at, fields->terminator, left);
        size_t field_size = stop != NULL ? (size_t)(stop - at) : left;
        if (field_size > name_size && memcmp(at, name, name_size) == 0 &&
            at[name_size] == fields->separator) {
            *size = field_size - name_size - 1;
            return at + name_size + 1;
        }
        at += field_size + 1;
        if (at < fields->end && *at == '\n') {
            at++;
        }
    }
    return NULL;
}

struct top_fields top_fields_inside(
    const struct top_fields *fields, const char *name)
{
    struct top_fields inside = {.separator = '=', .terminator = ','};
    size_t size = 0;
    inside.text = find_value(fields, name, &size);
    if (inside.text != NULL) {
        inside.end = inside.text + size;
    }
    return inside;
}

struct top_fields top_sample_namespace(
    const struct top_sample *sample, unsigned number)
{
    char name[NUMBER_BYTES];
    struct top_fields lines = top_sample_lines(sample);
    snprintf(name, sizeof(name), "namespace%u", number);
    return top_fields_inside(&lines, name);
}

void top_fields_word(
    const struct top_fields *fields, const char *name, char *out, size_t size)
{
    size_t value_size = 0;
    const char *value = find_value(fields, name, &value_size);
    size_t count = 0;
    while (value != NULL && count < value_size && count + 1 < size) {
        unsigned char c = (unsigned char)value[count];
        out[count++] = (char)(isprint(c) ? c : '?');
    }
    out[count] = '\0';
}

double top_fields_number(const struct top_fields *fields, const char *name)
{
    char text[NUMBER_BYTES];
    top_fields_word(fields, name, text, sizeof(text));
    return strtod(text, NULL);
}
