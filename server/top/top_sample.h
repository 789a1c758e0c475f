/* What the server said at one moment: the text of INFO, read by name. */
#ifndef LARDER_SERVER_TOP_TOP_SAMPLE_H
#define LARDER_SERVER_TOP_TOP_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct top_sample {
    char *text;  /* heap; NULL: nothing yet */
    double at_s; /* as top_now_s */
};

/* Monotonic. */
double top_now_s(void);

void top_sample_finish(struct top_sample *sample);

/* Some fields "name<separator>value": of a line, or lines. */
struct top_fields {
    const char *text; /* NULL: there are none */
    const char *end;
    char separator, terminator; /* of one field */
};
struct top_fields top_sample_lines(const struct top_sample *sample);
/* The n-th namespace's; no text: there are fewer. */
struct top_fields top_sample_namespace(
    const struct top_sample *sample, unsigned number);
/* The fields in the value of another one, "a=1,b=2". */
struct top_fields top_fields_inside(
    const struct top_fields *fields, const char *name);

/* 0 when there is no such field, or it is no number. */
double top_fields_number(const struct top_fields *fields, const char *name);
/* Its value, what is not printable as '?', cut to what fits; "" if there is
 * none. */
void top_fields_word(
    const struct top_fields *fields, const char *name, char *out, size_t size);

#endif
