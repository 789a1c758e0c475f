/* Waking the loop from other threads.
 *
 * Not uv_async_t: libuv 1.44 has the loop wait, by giving the core away again
 * and again, until the thread that woke it has returned from doing so. Where
 * both share a core that thread may not run for milliseconds. */
#ifndef LARDER_SERVER_WAKE_H
#define LARDER_SERVER_WAKE_H

#include <uv.h>

struct wake {
    uv_poll_t poll;
    int fd; /* an eventfd(2) */
    void (*call)(void *context);
    void *context;
};

/* `call(context)` will run on the loop's thread, once or more often for all
 * signals before it. */
void wake_init(struct wake *wake, uv_loop_t *loop, void (*call)(void *context),
    void *context);
/* Any thread; never blocks. */
void wake_signal(struct wake *wake);
/* After the loop has closed its handles. */
void wake_finish(struct wake *wake);

#endif
