/* How threads of the disk share a core with the engine's, which answers
 * clients.
 *
 * They are nicer, so that a loop that wakes takes the core from them. It cannot
 * while the scheduler thinks that it has had more than its share, and Linux
 * looks again only at the next tick of the clock: up to 4 ms. So they offer the
 * core in between; where nobody wants it, that costs less than a microsecond.
 * Source: "EEVDF Scheduler" in Linux' documentation, sched_yield(2). */
#ifndef LARDER_TIERS_DRY_GIVE_WAY_H
#define LARDER_TIERS_DRY_GIVE_WAY_H

#include <sched.h>
#include <stddef.h>

/* About 0.03 ms of work. Four times as much: policy.beside 0.42 to 0.57 ms in
 * place of 0.41 to 0.44, and overwriting no faster. */
enum {
    GIVE_WAY_ROWS = 16,
    GIVE_WAY_PAGES = 2,
};

/* Disk threads, in a loop over rows or pages; `done` are behind it. */
static inline void give_way(size_t done, size_t every)
{
    if (done % every == every - 1) {
        sched_yield();
    }
}

#endif
