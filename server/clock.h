/* The time: wall clock, monotonic clock, and ticks that cost next to nothing
 * and so can be taken around every command. */
#ifndef LARDER_SERVER_CLOCK_H
#define LARDER_SERVER_CLOCK_H

#include <stdint.h>

/* Wall clock in ms since 1970, to a few ms; monotonic clock in us. */
int64_t server_now_ms(void);
uint64_t server_mono_us(void);

/* How ticks relate to time; measured against the monotonic clock. */
struct clock {
    uint64_t first_ticks, first_ns; /* of the same moment */
    uint64_t ns_per_tick_q20;       /* nanoseconds in a tick, times 2^20 */
};

uint64_t clock_mono_ns(void);

static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    /* Not __rdtsc(): its header is 60,000 lines, a second of compiling for
     * each of the 150 files that include this one. */
    return __builtin_ia32_rdtsc();
#else
    return clock_mono_ns();
#endif
}

/* Takes a millisecond: call once at start. */
void clock_init(struct clock *clock);
/* Measures again over the longer time since; call now and then. */
void clock_adjust(struct clock *clock);

/* For spans of up to an hour. */
static inline uint64_t clock_ticks_to_ns(
    const struct clock *clock, uint64_t ticks)
{
    return (ticks * clock->ns_per_tick_q20) >> 20;
}

#endif
