#include "server/wake.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "protocol/bytes.h"

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct wake *wake = poll->data;
    eventfd_t count;
    (void)events;
    check(status == 0);
    /* Nothing to read: a call before has taken this signal as well. */
    check(eventfd_read(wake->fd, &count) == 0 || errno == EAGAIN);
    wake->call(wake->context);
}

void wake_init(struct wake *wake, uv_loop_t *loop, void (*call)(void *context),
    void *context)
{
    wake->call = call;
    wake->context = context;
    wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    check(wake->fd >= 0);
    check(uv_poll_init(loop, &wake->poll, wake->fd) == 0);
    wake->poll.data = wake;
    check(uv_poll_start(&wake->poll, UV_READABLE, on_readable) == 0);
}

void wake_signal(struct wake *wake)
{
    /* A counter that is full says it, too. */
    check(eventfd_write(wake->fd, 1) == 0 || errno == EAGAIN);
}

void wake_finish(struct wake *wake)
{
    close(wake->fd);
}
