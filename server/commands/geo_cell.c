/* Cells of the earth: see geo.h. */
#include <math.h>

#include "server/commands/geo.h"

#define STEPS_MAX 26
#define LATITUDE_MAX 85.05112878
#define LONGITUDE_MAX 180.0
#define EARTH_RADIUS_M 6372797.560856
/* Half of the earth's girth, where a Mercator map ends. */
#define MERCATOR_MAX_M 20037726.37
#define RADIANS_IN_DEGREE (M_PI / 180.0)

/* Of the cells of one size, column and row from the south-west. */
struct cell {
    uint32_t column, row;
};

struct bounds {
    double west, south, east, north; /* degrees */
};

/* ---- bits ---- */

static const uint64_t spread_masks[] = {0x0000FFFF0000FFFF, 0x00FF00FF00FF00FF,
    0x0F0F0F0F0F0F0F0F, 0x3333333333333333, 0x5555555555555555};

/* Each bit moves to twice its place. */
static uint64_t spread(uint32_t value)
{
    uint64_t bits = value;
    for (unsigned i = 0; i < 5; i++) {
        bits = (bits | bits << (16U >> i)) & spread_masks[i];
    }
    return bits;
}

static uint32_t gather(uint64_t bits)
{
    bits &= spread_masks[4];
    for (unsigned i = 4; i > 0; i--) {
        bits = (bits | bits >> (16U >> i)) & spread_masks[i - 1];
    }
    return (uint32_t)(bits | bits >> 16);
}

static uint64_t cell_number(struct cell cell)
{
    return spread(cell.row) | spread(cell.column) << 1;
}

static struct cell cell_at(
    struct geo_point point, double latitude_max, unsigned steps)
{
    double row = (point.latitude + latitude_max) / (latitude_max * 2);
    double column = (point.longitude + LONGITUDE_MAX) / (LONGITUDE_MAX * 2);
    double cells = (double)(UINT64_C(1) << steps);
    return (struct cell){(uint32_t)(column * cells), (uint32_t)(row * cells)};
}

static double edge(double max, uint32_t at, unsigned steps)
{
    double part = (double)at / (double)(UINT64_C(1) << steps);
    return -max + part * (max * 2);
}

static struct bounds cell_bounds(struct cell cell, unsigned steps)
{
    return (struct bounds){
        .west = edge(LONGITUDE_MAX, cell.column, steps),
        .south = edge(LATITUDE_MAX, cell.row, steps),
        .east = edge(LONGITUDE_MAX, cell.column + 1, steps),
        .north = edge(LATITUDE_MAX, cell.row + 1, steps),
    };
}

/* ---- points ---- */

bool geo_point_allowed(struct geo_point point)
{
    return fabs(point.longitude) <= LONGITUDE_MAX &&
           fabs(point.latitude) <= LATITUDE_MAX;
}

double geo_score(struct geo_point point)
{
    return (double)cell_number(cell_at(point, LATITUDE_MAX, STEPS_MAX));
}

/* A score may be any number: as the processor makes bits of it. */
static uint64_t score_bits(double score)
{
    if (score < 0) {
        return score >= -0x1p63 ? (uint64_t)(int64_t)score : UINT64_C(1) << 63;
    }
    return score < 0x1p64 ? (uint64_t)score : 0;
}

static double limited(double value, double max)
{
    if (value > max) {
        return max;
    }
    return value < -max ? -max : value;
}

struct geo_point geo_point_of(double score)
{
    uint64_t bits = score_bits(score);
    struct cell cell = {gather(bits >> 1), gather(bits)};
    struct bounds bounds = cell_bounds(cell, STEPS_MAX);
    return (struct geo_point){
        limited((bounds.west + bounds.east) / 2, LONGITUDE_MAX),
        limited((bounds.south + bounds.north) / 2, LATITUDE_MAX),
    };
}

void geo_hash_text(struct geo_point point, char text[GEO_HASH_CHARS])
{
    static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t number = cell_number(cell_at(point, 90, STEPS_MAX));
    for (unsigned i = 0; i < GEO_HASH_CHARS - 1; i++) {
        text[i] = digits[number >> (STEPS_MAX * 2 - 5 * (i + 1)) & 31];
    }
    text[GEO_HASH_CHARS - 1] = digits[0]; /* 52 bits make only ten */
}

static double radians(double degrees)
{
    return degrees * RADIANS_IN_DEGREE;
}

static double degrees(double radians)
{
    return radians / RADIANS_IN_DEGREE;
}

static double latitude_distance(double from, double to)
{
    return EARTH_RADIUS_M * fabs(radians(to) - radians(from));
}

/* Haversine. */
double geo_distance(struct geo_point from, struct geo_point to)
{
    double v = sin((radians(to.longitude) - radians(from.longitude)) / 2);
    if (v == 0.0) {
        return latitude_distance(from.latitude, to.latitude);
    }
    double from_latitude = radians(from.latitude);
    double to_latitude = radians(to.latitude);
    double u = sin((to_latitude - from_latitude) / 2);
    double a = u * u + cos(from_latitude) * cos(to_latitude) * v * v;
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(a));
}

/* ---- areas ---- */

/* As far as the area may reach. */
static struct bounds area_bounds(const struct geo_area *area)
{
    double height = area->is_box ? area->height / 2 : area->radius;
    double width = area->is_box ? area->width / 2 : area->radius;
    double up = degrees(area->unit_m * height / EARTH_RADIUS_M);
    /* A degree of longitude is shorter where it is nearer to a pole. */
    double latitude = area->center.latitude;
    double farther = latitude < 0 ? latitude - up : latitude + up;
    double aside =
        degrees(area->unit_m * width / EARTH_RADIUS_M / cos(radians(farther)));
    return (struct bounds){
        .west = area->center.longitude - aside,
        .south = latitude - up,
        .east = area->center.longitude + aside,
        .north = latitude + up,
    };
}

/* How often the earth is halved for cells of about the area's size. */
static unsigned area_steps(const struct geo_area *area)
{
    double half_width = area->width / 2, half_height = area->height / 2;
    double range_m =
        area->is_box ? sqrt(half_width * half_width + half_height * half_height)
                     : area->radius;
    range_m *= area->unit_m;
    if (range_m == 0) {
        return STEPS_MAX;
    }
    int steps = -1;
    while (range_m < MERCATOR_MAX_M) {
        range_m *= 2;
        steps++;
    }
    double latitude = fabs(area->center.latitude);
    steps -= (latitude > 66) + (latitude > 80);
    steps = steps < 1 ? 1 : steps;
    return steps > STEPS_MAX ? STEPS_MAX : (unsigned)steps;
}

static struct cell neighbour(
    struct cell cell, int east, int north, unsigned steps)
{
    uint32_t mask = (UINT32_C(1) << steps) - 1;
    if (east != 0) {
        cell.column = (cell.column + (uint32_t)east) & mask;
    }
    if (north != 0) {
        cell.row = (cell.row + (uint32_t)north) & mask;
    }
    return cell;
}

/* Whether a cell and those around it cover the area. */
static bool covers(struct cell cell, unsigned steps, const struct bounds *area)
{
    struct bounds north = cell_bounds(neighbour(cell, 0, 1, steps), steps);
    struct bounds south = cell_bounds(neighbour(cell, 0, -1, steps), steps);
    struct bounds east = cell_bounds(neighbour(cell, 1, 0, steps), steps);
    struct bounds west = cell_bounds(neighbour(cell, -1, 0, steps), steps);
    return !(north.north < area->north || south.south > area->south ||
             east.east < area->east || west.west > area->west);
}

/* Whether the cells in that direction are beyond the area. */
static bool is_beyond(
    const struct bounds *cell, const struct bounds *area, int east, int north)
{
    return (north < 0 && cell->south < area->south) ||
           (north > 0 && cell->north > area->north) ||
           (east < 0 && cell->west < area->west) ||
           (east > 0 && cell->east > area->east);
}

static struct geo_interval cell_interval(struct cell cell, unsigned steps)
{
    uint64_t number = cell_number(cell);
    unsigned shift = 2 * (STEPS_MAX - steps);
    return (struct geo_interval){
        (double)(number << shift), (double)((number + 1) << shift)};
}

unsigned geo_area_intervals(const struct geo_area *area,
    struct geo_interval intervals[GEO_INTERVALS_MAX])
{
    static const struct {
        int east, north;
    } directions[GEO_INTERVALS_MAX] = {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0},
        {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    struct bounds reach = area_bounds(area);
    unsigned steps = area_steps(area);
    struct cell center = cell_at(area->center, LATITUDE_MAX, steps);
    if (steps > 1 && !covers(center, steps, &reach)) {
        steps--;
        center = cell_at(area->center, LATITUDE_MAX, steps);
    }
    struct bounds middle = cell_bounds(center, steps);
    uint64_t last = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < GEO_INTERVALS_MAX; i++) {
        int east = directions[i].east, north = directions[i].north;
        if (steps >= 2 && is_beyond(&middle, &reach, east, north)) {
            continue;
        }
        struct cell cell = neighbour(center, east, north, steps);
        /* With few cells, those east and west are the same. */
        if (count > 1 && cell_number(cell) == last) {
            continue;
        }
        last = cell_number(cell);
        intervals[count++] = cell_interval(cell, steps);
    }
    return count;
}

static bool box_contains(const struct geo_area *area, struct geo_point point)
{
    struct geo_point center = area->center;
    if (latitude_distance(point.latitude, center.latitude) >
        area->height * area->unit_m / 2) {
        return false;
    }
    center.latitude = point.latitude;
    return geo_distance(point, center) <= area->width * area->unit_m / 2;
}

bool geo_area_contains(
    const struct geo_area *area, struct geo_point point, double *distance_m)
{
    if (area->is_box && !box_contains(area, point)) {
        return false;
    }
    *distance_m = geo_distance(area->center, point);
    return area->is_box || !(*distance_m > area->radius * area->unit_m);
}
