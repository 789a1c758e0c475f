/* How threads of the disk share a core with the engine's, which answers
 * clients.
 *
 * They are nicer (priority.h), so that a loop that wakes takes the core from
 * them. It cannot while the scheduler thinks that it has had more than its
 * share, and Linux looks again only at the next tick of the clock: up to 4 ms.
 * So they offer the core in between; where nobody wants it, that costs less
 * than a microsecond.
 * Source: "EEVDF Scheduler" in Linux' documentation, sched_yield(2).
 *
 * On a machine that is busy with other programs it is those that take it, for
 * milliseconds each time; they get it no more often than the scheduler's own
 * turns would give it to them. */
#ifndef LARDER_TIERS_DRY_GIVE_WAY_H
#define LARDER_TIERS_DRY_GIVE_WAY_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#include "tiers/dry/clock.h"

/* About 0.03 ms of work. Four times as much: policy.beside 0.42 to 0.57 ms in
 * place of 0.41 to 0.44, and overwriting no faster. */
enum {
    GIVE_WAY_ROWS = 16,
    GIVE_WAY_PAGES = 2,
};

/* A round of the loop is shorter (TURN_MAX_US and its input): who keeps the
 * core for so long is somebody else. */
enum { GIVE_WAY_LONG_NS = 2000000 };

/* Zeroed before a loop over rows or pages. */
struct give_way {
    size_t done; /* rows or pages */
    uint64_t not_before_ns;
};

/* The core was offered at `begin_ns` and had back at `end_ns`. */
static inline void give_way_waited(
    struct give_way *way, uint64_t begin_ns, uint64_t end_ns)
{
    if (end_ns - begin_ns >= GIVE_WAY_LONG_NS) {
        way->not_before_ns = end_ns + (end_ns - begin_ns);
    }
}

/* Disk threads, once a row or page. Who has waited long works for as long
 * before the core is offered again. */
static inline void give_way(struct give_way *way, size_t every)
{
    if (++way->done % every != 0) {
        return;
    }
    uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (begin_ns >= way->not_before_ns) {
        sched_yield();
        give_way_waited(way, begin_ns, clock_now_ns(CLOCK_MONOTONIC));
    }
}

#endif
