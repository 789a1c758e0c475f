/* How the process' threads share a core, and each other programs'.
 *
 * Linux 6.12 and later give the core sooner to who asks for short slices,
 * though no larger share of it ("latency through slices" of the EEVDF
 * scheduler, sched_setattr(2)); others take it and change nothing. The loop and
 * the disk threads ask for the shortest there are. The writer is nicer besides,
 * so that where they share a core the loop takes it from it. Readers are not:
 * while the loop answers some the disk is to be asked for others.
 *
 * Measured on two cores. SETs with `appendfsync always`, two other programs
 * busy, mean of a reply in ms: nice 10 without short slices 8.0 to 17.6, with
 * them 1.1 to 3.3; nice 5 1.0 to 1.1; nice 0 0.6; Redis 0.2. For how long in
 * `bench/run hits --scale 0.3` the loop waited for the core that they share, in
 * s: nice 10 0.2 and 0.5 with short slices, nice 5 1.2, nice 0 5.3; p99 of a
 * hit in us 50, 55, 62, 62. `bench/run spill`'s mix with readers of nice 0: see
 * KEEP_MAX in workers.c. */
#ifndef LARDER_TIERS_DRY_PRIORITY_H
#define LARDER_TIERS_DRY_PRIORITY_H

enum priority_nicer {
    PRIORITY_WRITER = 5,      /* clients wait for it now and then */
    PRIORITY_BACKGROUND = 10, /* a tenth of the loop's share; nobody waits */
};

/* Both are for the calling thread and those it makes later. What is refused
 * stays as it was. */
void priority_short_slices(void);
void priority_be_nicer(enum priority_nicer by);

#endif
