/* Group commit: when to begin the next one.
 *
 * Clients whose commit has ended write again a moment later. Begun at once, the
 * next commit takes only those who came meanwhile, and the clients fall into
 * two groups that wait for each other. So it is begun when as many wait as the
 * one before had, or after a part of what a commit takes. */
#ifndef LARDER_TIERS_LOG_GROUP_H
#define LARDER_TIERS_LOG_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_group {
    size_t size; /* requests that waited when the last commit was begun */
    uint64_t begun_us, done_us;
    bool gathers; /* some wait, and others are waited for */
};

/* A commit is begun for the `waiting` requests. */
void group_begin(struct log_group *group, size_t waiting, uint64_t now_us);
/* It is on disk. */
void group_done(struct log_group *group, uint64_t now_us);
/* Whether to wait for more than the `waiting` requests; sets `gathers`. Asked
 * when there is something to commit and no commit is under way. */
bool group_gathers(struct log_group *group, size_t waiting, uint64_t now_us);

#endif
