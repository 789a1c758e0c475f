#include "tiers/dry/priority.h"

#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The shortest slice that there is. */
#define SLICE_NS UINT64_C(100000)

void priority_short_slices(void)
{
    struct sched_attr attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) {
        return;
    }
    attributes.sched_runtime = SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void priority_be_nicer(enum priority_nicer by)
{
    id_t thread = (id_t)syscall(SYS_gettid);
    int nice = getpriority(PRIO_PROCESS, thread);
    (void)setpriority(PRIO_PROCESS, thread, nice + (int)by);
}
