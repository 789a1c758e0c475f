/* The loop's thread before the disk threads, where they share a core. */
#ifndef LARDER_SERVER_PRIORITY_H
#define LARDER_SERVER_PRIORITY_H

/* The calling thread wakes when its time is over, not up to 50 us later, and
 * gets a core soon after it wakes, though no larger share of it: Linux 6.12 and
 * later give way to who asks for short slices ("latency through slices" of the
 * EEVDF scheduler, sched_setattr(2)). Others take it and change nothing.
 * Threads that are begun later inherit it. */
void priority_wake_soon(void);

#endif
