/* The connection to the server. A lost one is made again by the next look. */
#ifndef LARDER_SERVER_TOP_TOP_LINK_H
#define LARDER_SERVER_TOP_TOP_LINK_H

#include "server/top/top_options.h"
#include "server/top/top_sample.h"

struct redisContext;

struct top_link {
    const struct top_options *options; /* borrowed */
    struct redisContext *context;      /* NULL: not connected */
    char error[200];                   /* "" after a look that succeeded */
};

/* Asks once, waiting at most about two seconds. True: *sample is new, what it
 * held is freed. False: it is as it was, and link->error says why. */
bool top_link_look(struct top_link *link, struct top_sample *sample);
void top_link_finish(struct top_link *link);

#endif
