/* Points on the earth as scores of a sorted set, and the areas that are
 * searched.
 *
 * A point's score is the number of its cell: the earth, between 85.05 degrees
 * south and north, is halved 26 times in each direction, and the bits of both
 * halvings alternate. So a coarser cell is an interval of scores. One thread.
 */
#ifndef LARDER_SERVER_COMMANDS_GEO_H
#define LARDER_SERVER_COMMANDS_GEO_H

#include "server/commands/zset.h"

struct geo_point {
    double longitude, latitude; /* degrees */
};

/* ---- cells (geo_cell.c) ---- */

/* The point is within the limits. */
double geo_score(struct geo_point point);
/* The middle of the cell of that number; any score gives some point. */
struct geo_point geo_point_of(double score);
bool geo_point_allowed(struct geo_point point);
#define GEO_HASH_CHARS 11
/* The point as a geohash, as other programs know it; not terminated. */
void geo_hash_text(struct geo_point point, char text[GEO_HASH_CHARS]);
/* Metres along a great circle. */
double geo_distance(struct geo_point from, struct geo_point to);

/* A circle, or a box with sides along the meridians. */
struct geo_area {
    struct geo_point center;
    bool is_box;
    double radius, width, height; /* in units */
    double unit_m;                /* metres in one */
};

struct geo_interval {
    double low, high; /* scores; high is not in it */
};
#define GEO_INTERVALS_MAX 9
/* Where points of the area may be, in the order in which Redis looks there.
 * How many intervals. */
unsigned geo_area_intervals(const struct geo_area *area,
    struct geo_interval intervals[GEO_INTERVALS_MAX]);
/* Whether the point is in the area; its distance from the center. */
bool geo_area_contains(
    const struct geo_area *area, struct geo_point point, double *distance_m);

/* ---- arguments, replies (geo.c); false after an error ---- */

/* Longitude and latitude in arguments `index` and the next. */
bool geo_arg_point(struct request *request, int index, struct geo_point *point);
/* Metres in the unit that argument `index` names. */
bool geo_arg_unit(struct request *request, int index, double *unit_m);
/* A member's point; nothing is answered. */
bool geo_member_point(
    struct collection *zset, struct bytes member, struct geo_point *point);
void geo_reply_point(struct reply *reply, struct geo_point point);
void geo_reply_distance(struct reply *reply, double distance);

#endif
