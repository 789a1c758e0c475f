/* Points on the earth: GEOADD, GEODIST, GEOHASH, GEOPOS. */
#include "server/commands/geo.h"

bool geo_arg_point(struct request *request, int index, struct geo_point *point)
{
    if (!zset_arg_score(request, index, &point->longitude) ||
        !zset_arg_score(request, index + 1, &point->latitude)) {
        return false;
    }
    if (!geo_point_allowed(*point)) {
        reply_error(request->reply, "ERR invalid longitude,latitude pair %f,%f",
            point->longitude, point->latitude);
        return false;
    }
    return true;
}

bool geo_arg_unit(struct request *request, int index, double *unit_m)
{
    static const struct {
        const char *name;
        double unit_m;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (arg_is(request, index, units[i].name)) {
            *unit_m = units[i].unit_m;
            return true;
        }
    }
    reply_error(request->reply,
        "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

bool geo_member_point(
    struct collection *zset, struct bytes member, struct geo_point *point)
{
    double score = 0;
    if (!zset_score(zset, member, &score)) {
        return false;
    }
    *point = geo_point_of(score);
    return true;
}

void geo_reply_point(struct reply *reply, struct geo_point point)
{
    reply_array(reply, 2);
    reply_long_double(reply, point.longitude);
    reply_long_double(reply, point.latitude);
}

void geo_reply_distance(struct reply *reply, double distance)
{
    reply_bulk_format(reply, "%.4f", distance);
}

/* ---- GEOADD: a ZADD ---- */

static int count_flags(struct request *request, bool *valid)
{
    bool nx = false, xx = false;
    int i = 2;
    for (; i < request->argc; i++) {
        bool is_nx = arg_is(request, i, "nx"), is_xx = arg_is(request, i, "xx");
        if (!is_nx && !is_xx && !arg_is(request, i, "ch")) {
            break;
        }
        nx |= is_nx;
        xx |= is_xx;
    }
    *valid = (request->argc - i) % 3 == 0 && !(nx && xx);
    return i - 2;
}

/* Decimal digits in scratch memory. */
static struct bytes write_score(struct request *request, double score)
{
    char *digits = scratch_alloc(request->scratch, 24);
    return bytes_of(digits, bytes_from_int64(digits, (int64_t)score));
}

void cmd_geoadd(struct request *request)
{
    struct geo_point point;
    bool valid = false;
    int first = 2 + count_flags(request, &valid);
    if (!valid) {
        error_syntax(request);
        return;
    }
    struct bytes *words =
        scratch_alloc(request->scratch, (size_t)request->argc * sizeof(*words));
    memcpy(words, request->argv, (size_t)first * sizeof(*words));
    int count = first;
    for (int i = first; i < request->argc; i += 3) {
        if (!geo_arg_point(request, i, &point)) {
            return;
        }
        words[count++] = write_score(request, geo_score(point));
        words[count++] = request->argv[i + 2];
    }
    struct request add = *request;
    add.argv = words;
    add.argc = count;
    add.arg_blobs = NULL;
    cmd_zadd(&add);
    request->changes = add.changes;
}

/* ---- looking at members ---- */

void cmd_geodist(struct request *request)
{
    struct collection zset;
    struct geo_point from, to;
    double unit_m = 1;
    if (request->argc > 5) {
        error_syntax(request);
        return;
    }
    if (request->argc == 5 && !geo_arg_unit(request, 4, &unit_m)) {
        return;
    }
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    if (open == TYPED_OPEN &&
        geo_member_point(&zset, request->argv[2], &from) &&
        geo_member_point(&zset, request->argv[3], &to)) {
        geo_reply_distance(request->reply, geo_distance(from, to) / unit_m);
    } else {
        reply_null(request->reply);
    }
}

typedef void reply_fn(struct reply *reply, struct geo_point point);

/* Answers `found` for each member that there is. */
static void reply_members(
    struct request *request, reply_fn *found, void (*missing)(struct reply *))
{
    struct collection zset;
    struct geo_point point;
    enum typed_open open = typed_read(request, 1, TYPE_ZSET, &zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    reply_array(request->reply, (size_t)request->argc - 2);
    for (int i = 2; i < request->argc; i++) {
        if (open == TYPED_OPEN &&
            geo_member_point(&zset, request->argv[i], &point)) {
            found(request->reply, point);
        } else {
            missing(request->reply);
        }
    }
}

static void reply_hash(struct reply *reply, struct geo_point point)
{
    char text[GEO_HASH_CHARS];
    geo_hash_text(point, text);
    reply_bulk(reply, bytes_of(text, sizeof text));
}

void cmd_geohash(struct request *request)
{
    reply_members(request, reply_hash, reply_null);
}

void cmd_geopos(struct request *request)
{
    reply_members(request, geo_reply_point, reply_null_array);
}
