#include "server/clock.h"

#include <time.h>

#define CALIBRATION_NS 1000000

static uint64_t clock_read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The coarse clock costs a fifth of the exact one, and expiry has never been
 * exact to the millisecond. */
int64_t server_now_ms(void)
{
    return (int64_t)(clock_read_ns(CLOCK_REALTIME_COARSE) / 1000000);
}

uint64_t clock_mono_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t server_mono_us(void)
{
    return clock_mono_ns() / 1000;
}

void clock_init(struct clock *clock)
{
    clock->first_ticks = clock_ticks();
    clock->first_ns = clock_mono_ns();
    while (clock_mono_ns() - clock->first_ns < CALIBRATION_NS) {
        /* ticks are worth nothing until some have passed */
    }
    clock_adjust(clock);
}

void clock_adjust(struct clock *clock)
{
    double ticks = (double)(clock_ticks() - clock->first_ticks);
    double ns = (double)(clock_mono_ns() - clock->first_ns);
    clock->ns_per_tick_q20 = (uint64_t)(ns / ticks * (double)(1 << 20));
}
