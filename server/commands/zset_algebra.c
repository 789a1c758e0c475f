/* Unions, intersections and differences of sorted sets and sets. A plain
 * set's members have the score 1. */
#include <math.h>

#include "server/commands/set.h"
#include "server/commands/zset.h"

enum zset_operation { ZSET_UNION, ZSET_INTER, ZSET_DIFF };
enum zset_aggregate { ZSET_SUM, ZSET_MIN, ZSET_MAX };

struct source {
    struct collection collection;
    double weight;
};

struct algebra {
    enum zset_operation operation;
    bool store;             /* to the key in argument 1 */
    bool card;              /* only the number of members is asked for */
    int numkeys_at;         /* argument */
    int count;              /* of sources */
    struct source *sources; /* in the request's scratch memory */
    enum zset_aggregate aggregate;
    int64_t limit; /* of `card`, 0: none */
    struct zset_range shown;
};

/* ---- sources ---- */

static uint64_t size_of(const struct source *source)
{
    return source->collection.exists ? collection_count(&source->collection)
                                     : 0;
}

static bool is_set(const struct source *source)
{
    return kind_type(source->collection.kind) == TYPE_SET;
}

/* 0 times infinity is 0 where a member is seen first. */
static double product(const struct source *source, double score)
{
    double result = source->weight * score;
    return isnan(result) ? 0 : result;
}

/* The weighted score of a member, also one that is not a number: combine knows
 * it. False when the source has it not. */
static bool source_score(
    struct source *source, struct bytes member, double *score)
{
    if (size_of(source) == 0) {
        return false;
    }
    *score = 1;
    bool found = is_set(source)
                     ? set_has(&source->collection, member)
                     : zset_score(&source->collection, member, score);
    *score *= source->weight;
    return found;
}

static double source_item(const struct source *source,
    const struct seq_cursor *cursor, struct element *member)
{
    if (is_set(source)) {
        set_member(cursor, member);
        return product(source, 1);
    }
    return product(source, zset_item(cursor, member));
}

/* Opens all keys, absent ones as empty. False: WRONGTYPE was answered. */
static bool open_sources(struct request *request, struct algebra *algebra)
{
    size_t size = (size_t)algebra->count * sizeof(*algebra->sources);
    algebra->sources = scratch_alloc(request->scratch, size);
    memset(algebra->sources, 0, size);
    const struct bytes *keys = request->argv + algebra->numkeys_at + 1;
    for (int i = 0; i < algebra->count; i++) {
        const struct entry *entry =
            db_read(request->db, keys[i], request->now_ms);
        if (entry != NULL && entry_type(entry) != TYPE_SET &&
            entry_type(entry) != TYPE_ZSET) {
            error_wrong_type(request);
            return false;
        }
    }
    /* Reading may have moved entries; from here on nothing does. */
    for (int i = 0; i < algebra->count; i++) {
        struct source *source = &algebra->sources[i];
        const struct entry *entry =
            db_find(request->db, keys[i], request->now_ms);
        source->weight = 1;
        if (entry != NULL) {
            collection_read(&source->collection, request->db, entry);
        }
    }
    return true;
}

/* ---- arguments ---- */

static bool parse_numkeys(struct request *request, struct algebra *algebra)
{
    int64_t count = 0;
    char name[COMMAND_NAME_MAX];
    if (!arg_int64(request, algebra->numkeys_at, &count)) {
        return false;
    }
    if (count < 1) {
        reply_error(request->reply,
            "ERR at least 1 input key is needed for '%s' command",
            command_full_name(request->command, name, sizeof name));
        return false;
    }
    if (count > request->argc - (algebra->numkeys_at + 1)) {
        error_syntax(request);
        return false;
    }
    algebra->count = (int)count;
    return true;
}

static bool parse_weights(
    struct request *request, struct algebra *algebra, int first)
{
    for (int i = 0; i < algebra->count; i++) {
        if (!zset_parse_score(
                request->argv[first + i], &algebra->sources[i].weight)) {
            reply_error(request->reply, "ERR weight value is not a float");
            return false;
        }
    }
    return true;
}

static bool parse_aggregate(
    struct request *request, struct algebra *algebra, int index)
{
    static const char *const names[] = {"sum", "min", "max"};
    for (unsigned i = 0; i < 3; i++) {
        if (arg_is(request, index, names[i])) {
            algebra->aggregate = (enum zset_aggregate)i;
            return true;
        }
    }
    error_syntax(request);
    return false;
}

static bool parse_limit(
    struct request *request, struct algebra *algebra, int index)
{
    if (bytes_to_int64(request->argv[index], &algebra->limit) &&
        algebra->limit >= 0) {
        return true;
    }
    reply_error(request->reply, "ERR LIMIT can't be negative");
    return false;
}

/* One option; how many arguments it takes, 0 after an error. */
static int parse_option(struct request *request, struct algebra *algebra, int i)
{
    int left = request->argc - i;
    bool scores = algebra->operation != ZSET_DIFF && !algebra->card;
    if (scores && left > algebra->count && arg_is(request, i, "weights")) {
        return parse_weights(request, algebra, i + 1) ? algebra->count + 1 : 0;
    }
    if (scores && left > 1 && arg_is(request, i, "aggregate")) {
        return parse_aggregate(request, algebra, i + 1) ? 2 : 0;
    }
    if (!algebra->store && !algebra->card && arg_is(request, i, "withscores")) {
        algebra->shown.with_scores = true;
        return 1;
    }
    if (algebra->card && left > 1 && arg_is(request, i, "limit")) {
        return parse_limit(request, algebra, i + 1) ? 2 : 0;
    }
    error_syntax(request);
    return 0;
}

static bool parse_options(struct request *request, struct algebra *algebra)
{
    int i = algebra->numkeys_at + 1 + algebra->count;
    while (i < request->argc) {
        int took = parse_option(request, algebra, i);
        if (took == 0) {
            return false;
        }
        i += took;
    }
    return true;
}

/* ---- the work ---- */

/* `b` may be no number, as 0 times infinity is; a sum then is 0, and `a` both
 * the least and the largest. */
static double combine(enum zset_aggregate aggregate, double a, double b)
{
    switch (aggregate) {
    case ZSET_SUM:
        return isnan(a + b) ? 0 : a + b; /* inf - inf, too */
    case ZSET_MIN:
        return b < a ? b : a;
    default:
        return b > a ? b : a;
    }
}

/* The smallest first, so that the least is looked at; stable. */
static void sort_sources(struct algebra *algebra)
{
    for (int i = 1; i < algebra->count; i++) {
        struct source moved = algebra->sources[i];
        int at = i;
        while (at > 0 && size_of(&algebra->sources[at - 1]) > size_of(&moved)) {
            algebra->sources[at] = algebra->sources[at - 1];
            at--;
        }
        algebra->sources[at] = moved;
    }
}

/* What becomes of a member of the first source: false when the others say it
 * is none of the result. */
static bool judge(struct algebra *algebra, struct bytes member, double *score)
{
    for (int i = 1; i < algebra->count; i++) {
        double other = 0;
        bool found = source_score(&algebra->sources[i], member, &other);
        if (found != (algebra->operation == ZSET_INTER)) {
            return false;
        }
        if (found) {
            *score = combine(algebra->aggregate, *score, other);
        }
    }
    return true;
}

static void add_union(struct algebra *algebra, struct collection *result,
    struct bytes member, double score)
{
    double before = 0;
    if (zset_score(result, member, &before)) {
        score = combine(algebra->aggregate, before, score);
    }
    zset_set(result, member, score);
}

/* The members of one source into the result. */
static void gather(
    struct algebra *algebra, struct source *source, struct collection *result)
{
    struct seq_cursor cursor;
    struct element element;
    if (size_of(source) == 0) {
        return;
    }
    seq_at(&source->collection.seq, 0, &cursor);
    do {
        double score = source_item(source, &cursor, &element);
        struct bytes member = element_text(&element);
        if (algebra->operation == ZSET_UNION) {
            add_union(algebra, result, member, score);
        } else if (judge(algebra, member, &score)) {
            zset_set(result, member, score);
        }
    } while ((algebra->limit == 0 ||
                 collection_count(result) < (uint64_t)algebra->limit) &&
             seq_next(&cursor));
}

static void compute(struct algebra *algebra, struct collection *result)
{
    if (algebra->operation != ZSET_DIFF) {
        sort_sources(algebra);
    }
    int last = algebra->operation == ZSET_UNION ? algebra->count : 1;
    for (int i = 0; i < last; i++) {
        gather(algebra, &algebra->sources[i], result);
    }
}

static void run(
    struct request *request, struct algebra *algebra, const char *event)
{
    struct collection result;
    algebra->numkeys_at = algebra->store ? 2 : 1;
    if (!parse_numkeys(request, algebra) || !open_sources(request, algebra) ||
        !parse_options(request, algebra)) {
        return;
    }
    collection_write(&result, request->db, request->argv[1], NULL,
        ZSET_KIND_NEW, request->now_ms);
    compute(algebra, &result);
    uint64_t count = collection_count(&result);
    if (algebra->store) {
        typed_store(request, &result, event);
        return;
    }
    if (algebra->card) {
        reply_integer(request->reply, (int64_t)count);
    } else {
        zset_reply_range(request, &result, &algebra->shown, 0, count);
    }
    collection_end(&result, false);
}

void cmd_zunion(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_UNION}, NULL);
}

void cmd_zinter(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_INTER}, NULL);
}

void cmd_zdiff(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_DIFF}, NULL);
}

void cmd_zintercard(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_INTER, .card = true},
        NULL);
}

void cmd_zunionstore(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_UNION, .store = true},
        "zunionstore");
}

void cmd_zinterstore(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_INTER, .store = true},
        "zinterstore");
}

void cmd_zdiffstore(struct request *request)
{
    run(request, &(struct algebra){.operation = ZSET_DIFF, .store = true},
        "zdiffstore");
}
