/* Members within an area: GEOSEARCH, GEOSEARCHSTORE, and what came before
 * them, GEORADIUS and GEORADIUSBYMEMBER. */
#include <math.h>
#include <stdlib.h>

#include "server/commands/geo.h"

enum form {
    FORM_RADIUS,           /* GEORADIUS */
    FORM_RADIUS_BY_MEMBER, /* GEORADIUSBYMEMBER */
    FORM_SEARCH,
    FORM_SEARCH_STORE,
};

enum order { ORDER_NONE, ORDER_NEAREST, ORDER_FARTHEST };

struct found {
    double score, distance_m;
    uint64_t rank;
};

struct search {
    struct request *request;
    enum form form;
    bool may_store; /* STORE and STOREDIST are options */
    int source;     /* argument */
    struct collection zset;
    bool exists;
    struct geo_area area;
    bool has_center, by_member, has_size;
    bool with_distance, with_hash, with_point;
    int64_t count; /* 0: all */
    bool any;
    enum order order;
    int target; /* argument, 0: not stored */
    bool store_distance;
    struct found *found; /* heap */
    size_t used, capacity;
};

static bool is_search(const struct search *search)
{
    return search->form >= FORM_SEARCH;
}

/* ---- arguments; each parses what begins at argument `i` ---- */

static bool parse_length(
    struct request *request, int i, const char *name, double *length)
{
    bool valid = zset_parse_score(request->argv[i], length);
    if (!valid) {
        reply_error(request->reply, "ERR need numeric %s", name);
    }
    return valid;
}

static bool parse_radius(struct search *search, int i)
{
    struct request *request = search->request;
    if (!parse_length(request, i, "radius", &search->area.radius)) {
        return false;
    }
    if (search->area.radius < 0) {
        reply_error(request->reply, "ERR radius cannot be negative");
        return false;
    }
    return geo_arg_unit(request, i + 1, &search->area.unit_m);
}

static bool parse_box(struct search *search, int i)
{
    struct request *request = search->request;
    struct geo_area *area = &search->area;
    area->is_box = true;
    if (!parse_length(request, i, "width", &area->width) ||
        !parse_length(request, i + 1, "height", &area->height)) {
        return false;
    }
    if (area->width < 0 || area->height < 0) {
        reply_error(request->reply, "ERR height or width cannot be negative");
        return false;
    }
    return geo_arg_unit(request, i + 2, &area->unit_m);
}

static bool parse_member(struct search *search, int i)
{
    struct request *request = search->request;
    if (search->exists && !geo_member_point(&search->zset, request->argv[i],
                              &search->area.center)) {
        reply_error(
            request->reply, "ERR could not decode requested zset member");
        return false;
    }
    return true;
}

static bool parse_count(struct search *search, int i)
{
    struct request *request = search->request;
    if (!arg_int64(request, i, &search->count)) {
        return false;
    }
    if (search->count <= 0) {
        reply_error(request->reply, "ERR COUNT must be > 0");
    }
    return search->count > 0;
}

/* Options of one word. */
static bool take_word(struct search *search, int i)
{
    const struct request *request = search->request;
    if (arg_is(request, i, "withdist")) {
        search->with_distance = true;
    } else if (arg_is(request, i, "withhash")) {
        search->with_hash = true;
    } else if (arg_is(request, i, "withcoord")) {
        search->with_point = true;
    } else if (arg_is(request, i, "any")) {
        search->any = true;
    } else if (arg_is(request, i, "asc")) {
        search->order = ORDER_NEAREST;
    } else if (arg_is(request, i, "desc")) {
        search->order = ORDER_FARTHEST;
    } else if (search->form == FORM_SEARCH_STORE &&
               arg_is(request, i, "storedist")) {
        search->store_distance = true;
    } else {
        return false;
    }
    return true;
}

/* Options of GEOSEARCH that say where. How many arguments, -1 after an error,
 * 0: it is none of them. */
static int take_where(struct search *search, int i)
{
    struct request *request = search->request;
    int more = request->argc - i - 1;
    if (more >= 1 && arg_is(request, i, "frommember") &&
        (!search->has_center || search->by_member)) {
        search->has_center = search->by_member = true;
        return parse_member(search, i + 1) ? 2 : -1;
    }
    if (more >= 2 && arg_is(request, i, "fromlonlat") && !search->by_member) {
        search->has_center = true;
        return geo_arg_point(request, i + 1, &search->area.center) ? 3 : -1;
    }
    if (more >= 2 && arg_is(request, i, "byradius") && !search->area.is_box) {
        search->has_size = true;
        return parse_radius(search, i + 1) ? 3 : -1;
    }
    if (more >= 3 && arg_is(request, i, "bybox") &&
        (!search->has_size || search->area.is_box)) {
        search->has_size = true;
        return parse_box(search, i + 1) ? 4 : -1;
    }
    return 0;
}

static int take_option(struct search *search, int i)
{
    struct request *request = search->request;
    bool more = i + 1 < request->argc;
    if (take_word(search, i)) {
        return 1;
    }
    if (more && arg_is(request, i, "count")) {
        return parse_count(search, i + 1) ? 2 : -1;
    }
    if (more && search->may_store &&
        (arg_is(request, i, "store") || arg_is(request, i, "storedist"))) {
        search->target = i + 1;
        search->store_distance = arg_is(request, i, "storedist");
        return 2;
    }
    int taken = is_search(search) ? take_where(search, i) : 0;
    if (taken == 0) {
        error_syntax(request);
    }
    return taken == 0 ? -1 : taken;
}

static bool check_options(struct search *search)
{
    struct request *request = search->request;
    struct bytes name = request->argv[0];
    if (search->target != 0 &&
        (search->with_distance || search->with_hash || search->with_point)) {
        reply_error(request->reply,
            "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD "
            "options",
            is_search(search) ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    } else if (is_search(search) && !search->has_center) {
        reply_error(request->reply,
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for "
            "%.*s",
            (int)name.size, name.data);
    } else if (is_search(search) && !search->has_size) {
        reply_error(request->reply,
            "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
            (int)name.size, name.data);
    } else if (search->any && search->count == 0) {
        reply_error(
            request->reply, "ERR the ANY argument requires COUNT argument");
    } else {
        return true;
    }
    return false;
}

/* What stands before the options; the argument behind it, or -1. */
static int parse_base(struct search *search)
{
    struct request *request = search->request;
    switch (search->form) {
    case FORM_RADIUS:
        return geo_arg_point(request, 2, &search->area.center) &&
                       parse_radius(search, 4)
                   ? 6
                   : -1;
    case FORM_RADIUS_BY_MEMBER:
        /* Nothing is read where there is no key. */
        return !search->exists ||
                       (parse_member(search, 2) && parse_radius(search, 3))
                   ? 5
                   : -1;
    case FORM_SEARCH:
        return 2;
    default:
        search->target = 1;
        return 3;
    }
}

static bool parse(struct search *search)
{
    int i = parse_base(search);
    while (i > 0 && i < search->request->argc) {
        int taken = take_option(search, i);
        i = taken < 0 ? -1 : i + taken;
    }
    return i > 0 && check_options(search);
}

/* ---- the search ---- */

static bool has_enough(const struct search *search)
{
    return search->any && search->used >= (size_t)search->count;
}

static void keep(struct search *search, const struct found *found)
{
    if (search->used == search->capacity) {
        search->capacity = search->capacity == 0 ? 16 : search->capacity * 2;
        search->found =
            xrealloc(search->found, search->capacity * sizeof(*search->found));
    }
    search->found[search->used++] = *found;
}

static void search_interval(
    struct search *search, const struct geo_interval *interval)
{
    struct collection *zset = &search->zset;
    struct seq_cursor cursor;
    struct element member;
    struct found found;
    uint64_t rank = zset_rank_of_score(zset, interval->low, false);
    uint64_t end = zset_rank_of_score(zset, interval->high, false);
    if (rank >= end) {
        return;
    }
    seq_at(&zset->seq, rank, &cursor);
    for (; rank < end && !has_enough(search); rank++, seq_next(&cursor)) {
        found.score = zset_item(&cursor, &member);
        found.rank = rank;
        if (geo_area_contains(
                &search->area, geo_point_of(found.score), &found.distance_m)) {
            keep(search, &found);
        }
    }
}

static int compare_nearest(const void *a, const void *b)
{
    const struct found *first = a, *second = b;
    return (first->distance_m > second->distance_m) -
           (first->distance_m < second->distance_m);
}

static int compare_farthest(const void *a, const void *b)
{
    return compare_nearest(b, a);
}

static void search_area(struct search *search)
{
    struct geo_interval intervals[GEO_INTERVALS_MAX];
    unsigned count = geo_area_intervals(&search->area, intervals);
    for (unsigned i = 0; i < count && !has_enough(search); i++) {
        search_interval(search, &intervals[i]);
    }
    if (search->count > 0 && search->order == ORDER_NONE && !search->any) {
        search->order = ORDER_NEAREST;
    }
    if (search->order != ORDER_NONE && search->used > 0) {
        qsort(search->found, search->used, sizeof(*search->found),
            search->order == ORDER_NEAREST ? compare_nearest
                                           : compare_farthest);
    }
    if (search->count > 0 && search->used > (size_t)search->count) {
        search->used = (size_t)search->count;
    }
}

/* ---- answers ---- */

static void find_member(struct search *search, const struct found *found,
    struct seq_cursor *cursor, struct element *member)
{
    seq_at(&search->zset.seq, found->rank, cursor);
    zset_item(cursor, member);
}

static void reply_found(struct search *search, const struct found *found)
{
    struct reply *reply = search->request->reply;
    struct seq_cursor cursor;
    struct element member;
    size_t options =
        (size_t)search->with_distance + search->with_hash + search->with_point;
    if (options > 0) {
        reply_array(reply, options + 1);
    }
    find_member(search, found, &cursor, &member);
    typed_reply(search->request, &member);
    if (search->with_distance) {
        geo_reply_distance(reply, found->distance_m / search->area.unit_m);
    }
    if (search->with_hash) {
        bool fits = fabs(found->score) < 0x1p63;
        reply_integer(reply, fits ? (int64_t)found->score : INT64_MIN);
    }
    if (search->with_point) {
        geo_reply_point(reply, geo_point_of(found->score));
    }
}

static void reply_all(struct search *search)
{
    reply_array(search->request->reply, search->used);
    for (size_t i = 0; i < search->used; i++) {
        reply_found(search, &search->found[i]);
    }
}

static void store_all(struct search *search)
{
    struct request *request = search->request;
    struct collection result;
    struct seq_cursor cursor;
    struct element member;
    collection_write(&result, request->db, request->argv[search->target], NULL,
        ZSET_KIND_NEW, request->now_ms);
    for (size_t i = 0; i < search->used; i++) {
        const struct found *found = &search->found[i];
        find_member(search, found, &cursor, &member);
        zset_set(&result, element_text(&member),
            search->store_distance ? found->distance_m / search->area.unit_m
                                   : found->score);
    }
    typed_store(request, &result,
        is_search(search) ? "geosearchstore" : "georadiusstore");
    if (search->used > 0) {
        request->changes += search->used - 1; /* each counts */
    }
}

static void run(struct search *search)
{
    enum typed_open open =
        typed_read(search->request, search->source, TYPE_ZSET, &search->zset);
    if (open == TYPED_REFUSED) {
        return;
    }
    search->exists = open == TYPED_OPEN;
    if (!parse(search)) {
        return;
    }
    if (search->exists) {
        search_area(search);
    }
    if (search->target != 0) {
        store_all(search);
    } else {
        reply_all(search);
    }
    free(search->found);
}

static void run_form(struct request *request, enum form form, bool may_store)
{
    struct search search = {
        .request = request,
        .form = form,
        .may_store = may_store,
        .source = form == FORM_SEARCH_STORE ? 2 : 1,
    };
    run(&search);
}

void cmd_georadius(struct request *request)
{
    run_form(request, FORM_RADIUS, true);
}

void cmd_georadius_ro(struct request *request)
{
    run_form(request, FORM_RADIUS, false);
}

void cmd_georadiusbymember(struct request *request)
{
    run_form(request, FORM_RADIUS_BY_MEMBER, true);
}

void cmd_georadiusbymember_ro(struct request *request)
{
    run_form(request, FORM_RADIUS_BY_MEMBER, false);
}

void cmd_geosearch(struct request *request)
{
    run_form(request, FORM_SEARCH, false);
}

void cmd_geosearchstore(struct request *request)
{
    run_form(request, FORM_SEARCH_STORE, false);
}
