/* What TIER shares with INFO and with connections. One thread. */
#ifndef LARDER_SERVER_COMMANDS_TIER_H
#define LARDER_SERVER_COMMANDS_TIER_H

#include "server/command.h"
#include "tiers/namespace.h"

/* A figure of the tiers: its name in INFO and TIER STATS, and where it is in
 * struct engine_stats (a uint64_t). */
struct tier_figure {
    const char *name;
    size_t offset;
};
extern const struct tier_figure tier_figures[];
extern const size_t tier_figure_count;
uint64_t tier_figure_value(
    const struct tier_figure *figure, const struct engine_stats *stats);

/* The figures of a namespace, likewise in struct namespace_stats. */
extern const struct tier_figure namespace_figures[];
extern const size_t namespace_figure_count;
uint64_t namespace_figure_value(
    const struct tier_figure *figure, const struct namespace_stats *stats);

void error_no_namespace(struct request *request, struct bytes prefix);

/* Forgets the move a connection waits for, if any: before it is freed. */
void tier_move_cancel(struct conn *conn);

#endif
