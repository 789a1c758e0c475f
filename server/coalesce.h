/* Wake-ups of the loop, made one where they come thick: what network drivers
 * call interrupt coalescing.
 *
 * A loop that goes to sleep between any two requests is woken for each, and a
 * wake-up costs the core several times a request: the switch, and caches gone
 * cold. With many clients at work, more requests come within the tenth of a
 * millisecond; so the loop naps for that long first, and finds them together.
 * It naps only while that pays and costs clients little: while a nap collects
 * the requests of MIN clients or more, and of no more than a quarter of those
 * at work. Then a client waits, by Little's law, an eighth longer for its
 * replies at most; of 15 clients or fewer none ever waits. */
#ifndef LARDER_SERVER_COALESCE_H
#define LARDER_SERVER_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

struct coalesce {
    uint64_t reads;        /* of all clients, ever */
    uint64_t period_start; /* in reads: */
    uint32_t period;       /* numbers stretches of input, see coalesce_read */
    uint32_t seen;         /* clients that have been at work in this period, */
    uint32_t at_work;      /* and in the one before */
    uint32_t nap_us;       /* of the next one */
    uint32_t skip, back_off; /* sleeps until the next nap is tried */
    uint64_t nap_start;      /* in reads, of the nap just taken */
    bool napped;
};

void coalesce_init(struct coalesce *coalesce);

/* A client has sent something. `last_period` is the client's own, 0 at first:
 * by it a client is counted once a period. */
static inline void coalesce_read(
    struct coalesce *coalesce, uint32_t *last_period)
{
    coalesce->reads++;
    if (*last_period != coalesce->period) {
        *last_period = coalesce->period;
        coalesce->seen++;
    }
}

/* Before the loop looks for input: learns from the nap before, if there was
 * one. Returns how many microseconds, of `max_us` at most, it should nap if
 * there is nothing to do; 0: not at all. The caller then says with
 * coalesce_begin that it does. */
uint32_t coalesce_next_us(struct coalesce *coalesce, uint32_t max_us);
void coalesce_begin(struct coalesce *coalesce);

#endif
