#include "server/clock.h"

#include "tiers/dry/clock.h"

#define CALIBRATION_NS 1000000
#define CLOCK_TRIES 5

/* The coarse clock costs a fifth of the exact one, and expiry has never been
 * exact to the millisecond. */
int64_t server_now_ms(void)
{
    return (int64_t)(clock_now_ns(CLOCK_REALTIME_COARSE) / 1000000);
}

uint64_t clock_mono_ns(void)
{
    return clock_now_ns(CLOCK_MONOTONIC);
}

uint64_t server_mono_us(void)
{
    return clock_mono_ns() / 1000;
}

/* Both clocks at one moment. Whoever else runs between two readings would
 * spoil them: of a few tries the quickest is taken. */
static void read_both(uint64_t *ticks, uint64_t *ns)
{
    uint64_t shortest = UINT64_MAX;
    for (unsigned i = 0; i < CLOCK_TRIES; i++) {
        uint64_t before = clock_mono_ns();
        uint64_t now = clock_ticks();
        uint64_t took = clock_mono_ns() - before;
        if (took < shortest) {
            shortest = took;
            *ticks = now;
            *ns = before + took / 2;
        }
    }
}

void clock_init(struct clock *clock)
{
    read_both(&clock->first_ticks, &clock->first_ns);
    while (clock_mono_ns() - clock->first_ns < CALIBRATION_NS) {
        /* ticks are worth nothing until some have passed */
    }
    clock_adjust(clock);
}

void clock_adjust(struct clock *clock)
{
    uint64_t ticks = clock->first_ticks, ns = clock->first_ns;
    read_both(&ticks, &ns);
    double ns_per_tick =
        (double)(ns - clock->first_ns) / (double)(ticks - clock->first_ticks);
    clock->ns_per_tick_q20 = (uint64_t)(ns_per_tick * (double)(1 << 20));
}
