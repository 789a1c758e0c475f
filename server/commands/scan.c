/* Walking over keys: KEYS, SCAN, RANDOMKEY, TIER EXPIRY. */
#include <sys/random.h>

#include "protocol/glob.h"
#include "server/command.h"

#define DEFAULT_COUNT 10
/* However large a COUNT is asked for, one call visits no more keys, so that
 * other clients are not held up. */
#define MAX_COUNT 100000
/* Steps over empty parts of the index, for each key asked for. */
#define STEPS_PER_KEY 10

/* A key that SCAN found, in the request's scratch memory: the cursor is
 * answered first, and known last. */
struct found_key {
    struct found_key *next;
    struct bytes key;
    int64_t expiry_ms;
};

struct scan {
    struct scratch *scratch;
    struct bytes pattern; /* of size 0 and no data: every key */
    struct bytes type;    /* likewise */
    bool expiring;        /* only keys that have an expiry */
    int64_t count;
    int64_t visited;
    struct found_key *first;
    size_t found;
};

static bool has_type(const struct entry *entry, struct bytes type)
{
    return type.data == NULL ||
           bytes_equal_nocase(type, entry_type_name(entry));
}

static bool matches(struct bytes pattern, struct bytes key)
{
    return pattern.data == NULL || glob_match(pattern, key, false);
}

static void on_scanned(
    void *context, struct bytes key, const struct entry *entry)
{
    struct scan *scan = context;
    scan->visited++;
    int64_t expiry_ms = entry_expiry_ms(entry);
    if (!matches(scan->pattern, key) || !has_type(entry, scan->type) ||
        (scan->expiring && expiry_ms == 0)) {
        return;
    }
    struct found_key *found = scratch_alloc(scan->scratch, sizeof(*found));
    char *copy = scratch_alloc(scan->scratch, key.size + 1);
    if (key.size > 0) {
        memcpy(copy, key.data, key.size);
    }
    found->key = bytes_of(copy, key.size);
    found->expiry_ms = expiry_ms;
    found->next = scan->first;
    scan->first = found;
    scan->found++;
}

static bool parse_options(struct request *request, int first, struct scan *scan)
{
    for (int i = first; i < request->argc; i += 2) {
        bool has_value = i + 1 < request->argc;
        if (has_value && arg_is(request, i, "count")) {
            if (!arg_int64(request, i + 1, &scan->count)) {
                return false;
            }
            if (scan->count < 1) {
                error_syntax(request);
                return false;
            }
        } else if (has_value && arg_is(request, i, "match")) {
            scan->pattern = request->argv[i + 1];
        } else if (has_value && !scan->expiring && arg_is(request, i, "type")) {
            scan->type = request->argv[i + 1];
        } else {
            error_syntax(request);
            return false;
        }
    }
    if (scan->count > MAX_COUNT) {
        scan->count = MAX_COUNT;
    }
    return true;
}

/* The cursor at argument `at` and the options behind it; answers the next
 * cursor. False after an error. */
static bool scan_run(struct request *request, int at, struct scan *scan)
{
    uint64_t cursor;
    if (!arg_cursor(request, at, &cursor) ||
        !parse_options(request, at + 1, scan)) {
        return false;
    }
    int64_t steps = scan->count * STEPS_PER_KEY;
    do {
        cursor =
            db_scan(request->db, cursor, request->now_ms, on_scanned, scan);
        steps--;
    } while (cursor != 0 && steps > 0 && scan->visited < scan->count);
    reply_array(request->reply, 2);
    reply_bulk_format(request->reply, "%llu", (unsigned long long)cursor);
    return true;
}

void cmd_scan(struct request *request)
{
    struct scan scan = {.scratch = request->scratch, .count = DEFAULT_COUNT};
    if (!scan_run(request, 1, &scan)) {
        return;
    }
    reply_array(request->reply, scan.found);
    for (const struct found_key *f = scan.first; f != NULL; f = f->next) {
        reply_bulk(request->reply, f->key);
    }
}

/* Each key is followed by its expiry. */
void cmd_tier_expiry(struct request *request)
{
    struct scan scan = {
        .scratch = request->scratch, .count = DEFAULT_COUNT, .expiring = true};
    if (!scan_run(request, 2, &scan)) {
        return;
    }
    reply_array(request->reply, scan.found * 2);
    for (const struct found_key *f = scan.first; f != NULL; f = f->next) {
        reply_bulk(request->reply, f->key);
        reply_integer(request->reply, f->expiry_ms);
    }
}

struct key_listing {
    struct reply *reply;
    struct bytes pattern; /* as in struct scan */
    size_t found;
};

static void on_listed(
    void *context, struct bytes key, const struct entry *entry)
{
    struct key_listing *listing = context;
    (void)entry;
    if (matches(listing->pattern, key)) {
        reply_bulk(listing->reply, key);
        listing->found++;
    }
}

void cmd_keys(struct request *request)
{
    struct bytes pattern = request->argv[1];
    struct key_listing listing = {.reply = request->reply, .pattern = pattern};
    if (bytes_equal(pattern, BYTES("*"))) {
        listing.pattern = bytes_of(NULL, 0);
    }
    size_t mark = reply_begin(request->reply);
    uint64_t cursor = 0;
    do {
        cursor =
            db_scan(request->db, cursor, request->now_ms, on_listed, &listing);
    } while (cursor != 0);
    reply_end(request->reply, mark, REPLY_ARRAY, listing.found);
}

void cmd_randomkey(struct request *request)
{
    uint64_t random = 0;
    ssize_t size = getrandom(&random, sizeof(random), 0);
    check(size == (ssize_t)sizeof(random));
    const struct entry *entry = db_random(request->db, random, request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
    } else {
        reply_bulk(request->reply, entry_key(entry));
    }
}
