/* A clock of the system in numbers, and moments to wait for. Any thread. */
#ifndef LARDER_TIERS_DRY_CLOCK_H
#define LARDER_TIERS_DRY_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* So many ms from now, as pthread_cond_timedwait wants it. */
static inline struct timespec clock_after_ms(clockid_t clock, unsigned ms)
{
    uint64_t ns = clock_now_ns(clock) + (uint64_t)ms * 1000000;
    return (struct timespec){
        .tv_sec = (time_t)(ns / 1000000000),
        .tv_nsec = (long)(ns % 1000000000),
    };
}

#endif
