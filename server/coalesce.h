/* Wake-ups of the loop, made one where they come thick: what network drivers
 * call interrupt coalescing.
 *
 * A loop that goes to sleep between any two requests is woken for each, and a
 * wake-up costs the core several times a request: the switch, and caches gone
 * cold. With many clients at work, more requests come within the tenth of a
 * millisecond; so the loop naps for that long first, and finds them together.
 * A request may wait for the end of a nap, half of one on average. The loop
 * naps only while a nap collects four reads or more, and no more than a quarter
 * of the clients at work: then, by Little's law, naps make the time between
 * two requests of a client longer by a seventh at most. With 15 clients or
 * fewer it never naps. */
#ifndef LARDER_SERVER_COALESCE_H
#define LARDER_SERVER_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

/* How many clients are at work is told from a period of some hundred reads:
 * the square of their number by the sum of the squares of each client's. This
 * is the number of clients if all read alike, and hardly counts those that
 * read seldom (the inverse of Simpson, "Measurement of Diversity", 1949). */
struct coalesce {
    uint64_t reads; /* of all clients, ever */
    uint64_t period_start;
    uint32_t period;    /* its number, never 0 */
    uint64_t squares;   /* of the clients' reads in it, summed up */
    uint64_t gone;      /* reads in it of clients that have left */
    uint64_t at_work;   /* clients, in the period before */
    uint32_t nap_us;    /* of the next one */
    uint32_t skip;      /* turns of the loop until the next one is tried */
    uint32_t back_off;  /* what `skip` becomes when a nap does not pay */
    uint64_t nap_start; /* in reads, of the nap just taken */
    bool napped;
};

struct coalesce_client { /* zeroed at first */
    uint32_t period, reads;
};

void coalesce_init(struct coalesce *coalesce);

/* A client has sent something. */
static inline void coalesce_read(
    struct coalesce *coalesce, struct coalesce_client *client)
{
    if (client->period != coalesce->period) {
        *client = (struct coalesce_client){.period = coalesce->period};
    }
    coalesce->squares += 2 * (uint64_t)client->reads + 1;
    client->reads++;
    coalesce->reads++;
}

/* A client has gone. All that go count as one client: some connect anew for
 * every few requests. */
void coalesce_leave(
    struct coalesce *coalesce, const struct coalesce_client *client);

/* Call it in every turn of the loop before it looks for input: learns from the
 * nap before, if there was one. */
void coalesce_turn(struct coalesce *coalesce);
/* How many microseconds, of `max_us` at most, the loop should nap if there is
 * nothing to do; 0: not at all. `clients` are connected. The caller says with
 * coalesce_nap that it does. */
uint32_t coalesce_nap_us(
    struct coalesce *coalesce, unsigned clients, uint32_t max_us);
void coalesce_nap(struct coalesce *coalesce);

#endif
