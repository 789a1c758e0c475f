/* The page that is shown: lines of text made from two samples. */
#ifndef LARDER_SERVER_TOP_TOP_PAGE_H
#define LARDER_SERVER_TOP_TOP_PAGE_H

#include "server/top/top_sample.h"

#define TOP_LINE_BYTES 256

struct top_line {
    char text[TOP_LINE_BYTES];
    bool heading;
};

struct top_page {
    struct top_line *lines; /* heap */
    unsigned count, capacity;
};

void top_page_finish(struct top_page *page);
void top_page_clear(struct top_page *page);
void top_page_add(struct top_page *page, bool heading, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds what `now` says; rates are since `before`, or since the server's start
 * when that is of another server, or holds nothing. */
void top_page_fill(struct top_page *page, const struct top_sample *before,
    const struct top_sample *now);

#endif
