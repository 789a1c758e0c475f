#include "tiers/log_group.h"

/* Gathering lasts no longer than the last commit took, and not longer than
 * this, whatever the disk is like. */
#define GATHER_MAX_US 2000

void group_begin(struct log_group *group, size_t waiting, uint64_t now_us)
{
    group->size = waiting;
    group->begun_us = now_us;
    group->gathers = false;
}

void group_done(struct log_group *group, uint64_t now_us)
{
    group->done_us = now_us;
}

bool group_gathers(struct log_group *group, size_t waiting, uint64_t now_us)
{
    bool failed = group->done_us < group->begun_us;
    uint64_t took_us = group->done_us - group->begun_us;
    uint64_t most_us = took_us < GATHER_MAX_US ? took_us : GATHER_MAX_US;
    group->gathers =
        !failed && waiting < group->size && now_us - group->done_us < most_us;
    return group->gathers;
}
