/* SORT and SORT_RO. */
#include "server/commands/sort.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "server/acl.h"
#include "tiers/values/list.h"

/* Memory beyond the value that is sorted is asked for in steps of this. */
#define TAKEN_STEP_BYTES ((size_t)64 * 1024)

/* What an element is ordered by when that is a text, terminated. */
struct sort_text {
    size_t size;
    char data[];
};

struct sort_item {
    const char *at; /* the element, in what `source` keeps */
    union {
        double score;
        const struct sort_text *text; /* NULL: its BY key is not there */
    };
};

struct sort {
    struct request *request;
    bool read_only, descending, alpha, as_is;
    int by, store; /* arguments, or 0 */
    int64_t limit_start, limit_count;
    struct sort_pattern by_pattern, *gets;
    size_t get_count;
    bool exists; /* the key */
    bool kept;   /* `source` */
    struct collection source;
    struct sort_lookup lookup;
    struct sort_item *items;
    int64_t count;      /* of items */
    int64_t start, end; /* those that are shown; end is the last of them */
    size_t taken_bytes, checked_bytes;
    size_t good_size; /* of the reply, before what may have failed */
    bool bad_number;
};

/* ---- arguments ---- */

/* What elements name may be any key. */
static bool may_read_all(struct sort *sort, const char *option)
{
    if (acl_may_read_every_key(sort->request)) {
        return true;
    }
    reply_error(sort->request->reply,
        "ERR %s option of SORT denied due to insufficient ACL permissions.",
        option);
    return false;
}

static bool parse_by(struct sort *sort, int index)
{
    sort->by = index;
    sort_pattern_parse(&sort->by_pattern, sort->request->argv[index]);
    if (sort->by_pattern.is_fixed) {
        sort->as_is = true;
        return true;
    }
    return may_read_all(sort, "BY");
}

static bool parse_get(struct sort *sort, int index)
{
    if (!may_read_all(sort, "GET")) {
        return false;
    }
    sort_pattern_parse(
        &sort->gets[sort->get_count++], sort->request->argv[index]);
    return true;
}

static bool parse_limit(struct sort *sort, int index)
{
    return arg_int64(sort->request, index, &sort->limit_start) &&
           arg_int64(sort->request, index + 1, &sort->limit_count);
}

/* One option; how many arguments it takes, 0 after an error. */
static int parse_option(struct sort *sort, int i)
{
    struct request *request = sort->request;
    int left = request->argc - i - 1;
    if (arg_is(request, i, "asc") || arg_is(request, i, "desc")) {
        sort->descending = arg_is(request, i, "desc");
        return 1;
    }
    if (arg_is(request, i, "alpha")) {
        sort->alpha = true;
        return 1;
    }
    if (left >= 2 && arg_is(request, i, "limit")) {
        return parse_limit(sort, i + 1) ? 3 : 0;
    }
    if (left >= 1 && !sort->read_only && arg_is(request, i, "store")) {
        sort->store = i + 1;
        return 2;
    }
    if (left >= 1 && arg_is(request, i, "by")) {
        return parse_by(sort, i + 1) ? 2 : 0;
    }
    if (left >= 1 && arg_is(request, i, "get")) {
        return parse_get(sort, i + 1) ? 2 : 0;
    }
    error_syntax(request);
    return 0;
}

static bool parse(struct sort *sort)
{
    struct request *request = sort->request;
    sort->limit_count = -1;
    sort->gets = scratch_alloc(
        request->scratch, (size_t)request->argc * sizeof *sort->gets);
    for (int i = 2; i < request->argc;) {
        int took = parse_option(sort, i);
        if (took == 0) {
            return false;
        }
        i += took;
    }
    return true;
}

/* ---- memory ---- */

/* Asks for memory that grows with what is sorted. False after -OOM. */
static bool take(struct sort *sort, size_t bytes)
{
    sort->taken_bytes += bytes;
    if (sort->taken_bytes - sort->checked_bytes < TAKEN_STEP_BYTES) {
        return true;
    }
    sort->checked_bytes = sort->taken_bytes;
    if (engine_admit_nested(sort->request->engine, sort->taken_bytes)) {
        return true;
    }
    error_oom(sort->request);
    return false;
}

/* ---- the elements ---- */

static bool open_source(struct sort *sort)
{
    struct request *request = sort->request;
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (entry == NULL) {
        return true;
    }
    enum value_type type = entry_type(entry);
    if (type != TYPE_LIST && type != TYPE_SET && type != TYPE_ZSET) {
        error_wrong_type(request);
        return false;
    }
    sort->exists = true;
    collection_read(&sort->source, request->db, entry);
    /* A set has no order of its own that could be kept. */
    if (sort->as_is && type == TYPE_SET && (sort->store || request->scripted)) {
        sort->as_is = false;
        sort->alpha = true;
        sort->by = 0;
    }
    return true;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void find_range(struct sort *sort)
{
    int64_t count = sort->exists ? (int64_t)collection_count(&sort->source) : 0;
    int64_t limit = clamp(sort->limit_count, -1, count);
    sort->count = count;
    sort->start = clamp(sort->limit_start, 0, count);
    sort->end = limit < 0 ? count - 1 : sort->start + limit - 1;
    if (sort->start >= count) {
        sort->start = count;
        sort->end = count - 1;
    }
    sort->end = sort->end >= count ? count - 1 : sort->end;
}

/* Of what has an order and keeps it, only the range is looked at. */
static bool takes_range(const struct sort *sort)
{
    return sort->exists && sort->as_is &&
           kind_type(sort->source.kind) != TYPE_SET;
}

/* Reads the elements from that of `rank` on into the items. */
static void load_items(struct sort *sort, int64_t rank, bool backwards)
{
    struct seq *seq = &sort->source.seq;
    struct seq_cursor cursor;
    seq_at(seq, (uint64_t)rank, &cursor);
    for (int64_t i = 0; i < sort->count; i++) {
        sort->items[i].at = seq_item(&cursor).data + seq->shape->fixed;
        if (backwards) {
            seq_prev(&cursor);
        } else {
            seq_next(&cursor);
        }
    }
}

/* The items, not in order yet. They stay good whatever lookups do. */
static bool make_items(struct sort *sort)
{
    find_range(sort);
    int64_t rank = 0;
    bool backwards = takes_range(sort) && sort->descending;
    if (takes_range(sort)) {
        rank = backwards ? sort->count - 1 - sort->start : sort->start;
        sort->count = sort->end - sort->start + 1;
        sort->start = 0;
        sort->end = sort->count - 1;
    }
    if (sort->count == 0) {
        return true;
    }
    size_t bytes = (size_t)sort->count * sizeof *sort->items;
    if (!take(sort, bytes)) {
        return false;
    }
    sort->items = scratch_alloc(sort->request->scratch, bytes);
    collection_keep(&sort->source);
    sort->kept = true;
    load_items(sort, rank, backwards);
    return true;
}

/* ---- what they are ordered by ---- */

#define NUMBER_STACK_BYTES 128

/* As strtod reads it, which clients may rely on: leading blanks, nothing at
 * all, and whatever follows a zero byte. */
static bool read_number(struct bytes text, double *number)
{
    char small[NUMBER_STACK_BYTES];
    char *copy = text.size < sizeof small ? small : xmalloc(text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    char *end = NULL;
    errno = 0;
    *number = strtod(copy, &end);
    bool valid = *end == '\0' && errno == 0 && !isnan(*number);
    if (copy != small) {
        free(copy);
    }
    return valid;
}

static bool weigh(struct sort *sort, struct sort_item *item, struct bytes text)
{
    if (!sort->alpha) {
        sort->bad_number |= !read_number(text, &item->score);
        return true;
    }
    size_t bytes = sizeof(struct sort_text) + text.size + 1;
    if (!take(sort, bytes)) {
        return false;
    }
    struct sort_text *copy = scratch_alloc(sort->request->scratch, bytes);
    copy->size = text.size;
    if (text.size > 0) {
        memcpy(copy->data, text.data, text.size);
    }
    copy->data[text.size] = '\0';
    item->text = copy;
    return true;
}

static bool weigh_item(struct sort *sort, struct sort_item *item)
{
    struct element element;
    struct sort_value value;
    element_read(item->at, &element);
    memset(&item->score, 0, sizeof item->score);
    if (sort->alpha) {
        item->text = NULL;
    }
    if (sort->by == 0) {
        if (!sort->alpha && element.is_integer) {
            item->score = (double)element.integer;
            return true;
        }
        return weigh(sort, item, element_text(&element));
    }
    return sort_lookup(&sort->lookup, &sort->by_pattern, element_text(&element),
               &value) &&
           (!value.found || weigh(sort, item, value.text));
}

static int compare_elements(
    const struct sort_item *left, const struct sort_item *right)
{
    struct element a, b;
    element_read(left->at, &a);
    element_read(right->at, &b);
    return bytes_compare(element_text(&a), element_text(&b));
}

/* What is stored must not depend on the machine's language. */
static int compare_texts(const struct sort *sort, const struct sort_text *left,
    const struct sort_text *right)
{
    if (left == NULL || right == NULL) {
        return (left != NULL) - (right != NULL);
    }
    return sort->store ? bytes_compare(bytes_of(left->data, left->size),
                             bytes_of(right->data, right->size))
                       : strcoll(left->data, right->data);
}

static int compare_items(const void *left, const void *right, void *context)
{
    const struct sort *sort = context;
    const struct sort_item *a = left, *b = right;
    int order = 0;
    if (sort->alpha) {
        order = compare_texts(sort, a->text, b->text);
    } else if (a->score != b->score) {
        order = a->score > b->score ? 1 : -1;
    } else {
        order = compare_elements(a, b);
    }
    return sort->descending ? -order : order;
}

static bool put_in_order(struct sort *sort)
{
    for (int64_t i = 0; i < sort->count; i++) {
        if (!weigh_item(sort, &sort->items[i])) {
            return false;
        }
    }
    if (sort->bad_number) {
        reply_error(sort->request->reply,
            "ERR One or more scores can't be converted into double");
        return false;
    }
    if (sort->count > 1) {
        qsort_r(sort->items, (size_t)sort->count, sizeof *sort->items,
            compare_items, sort);
    }
    return true;
}

/* ---- the answer ---- */

/* Where results go: `list` or, when that is NULL, the reply. */
static bool give(
    struct sort *sort, struct collection *list, const struct sort_value *value)
{
    struct reply *reply = sort->request->reply;
    bool spliced = list == NULL && value->blob != NULL &&
                   value->text.size >= REPLY_SPLICE_MIN_BYTES;
    if (!take(sort, (spliced ? 0 : value->text.size) + ELEMENT_HEAD_MAX)) {
        return false;
    }
    if (list != NULL) {
        list_push(list, LIST_RIGHT, value->text);
    } else if (!value->found) {
        reply_null(reply);
    } else if (spliced) {
        reply_bulk_blob(reply, value->blob);
    } else {
        reply_bulk(reply, value->text);
    }
    return true;
}

static bool give_item(
    struct sort *sort, struct collection *list, const struct sort_item *item)
{
    struct element element;
    struct sort_value value = {.found = true};
    element_read(item->at, &element);
    sort->good_size = sort->request->reply->size;
    if (sort->get_count == 0) {
        value.text = element_text(&element);
        return give(sort, list, &value);
    }
    for (size_t i = 0; i < sort->get_count; i++) {
        sort->good_size = sort->request->reply->size;
        if (!sort_lookup(&sort->lookup, &sort->gets[i], element_text(&element),
                &value) ||
            !give(sort, list, &value)) {
            return false;
        }
    }
    return true;
}

static bool give_all(struct sort *sort, struct collection *list)
{
    for (int64_t i = sort->start; i <= sort->end; i++) {
        if (!give_item(sort, list, &sort->items[i])) {
            return false;
        }
    }
    return true;
}

static void answer(struct sort *sort)
{
    struct reply *reply = sort->request->reply;
    size_t shown = (size_t)(sort->end - sort->start + 1);
    size_t mark = reply->size;
    reply_array(reply, sort->get_count > 0 ? shown * sort->get_count : shown);
    if (!give_all(sort, NULL)) {
        /* The error stands in the place of all that came before it. */
        reply_take_back(reply, mark, sort->good_size);
    }
}

static void store(struct sort *sort)
{
    struct request *request = sort->request;
    struct collection list;
    collection_write(&list, request->db, request->argv[sort->store], NULL,
        LIST_KIND_NEW, request->now_ms);
    if (!give_all(sort, &list)) {
        collection_end(&list, false);
        return;
    }
    uint64_t count = collection_count(&list);
    typed_store(request, &list, "sortstore");
    if (count > 1) {
        request->changes += count - 1; /* of which one is counted there */
    }
}

static void finish(struct sort *sort)
{
    sort_lookup_finish(&sort->lookup);
    if (sort->kept) {
        collection_release(&sort->source);
    }
}

static void run(struct request *request, bool read_only)
{
    struct sort sort = {
        .request = request,
        .read_only = read_only,
        .lookup.request = request,
    };
    if (parse(&sort) && open_source(&sort) && make_items(&sort) &&
        (sort.as_is || put_in_order(&sort))) {
        if (sort.store != 0) {
            store(&sort);
        } else {
            answer(&sort);
        }
    }
    finish(&sort);
}

void cmd_sort(struct request *request)
{
    run(request, false);
}

void cmd_sort_ro(struct request *request)
{
    run(request, true);
}
