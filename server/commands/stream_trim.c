/* MAXLEN and MINID: the options of XADD and XTRIM, and what they take away. */
#include "server/commands/stream.h"
#include "server/server.h"

/* Of "~" without LIMIT, by the directive stream-node-max-entries. */
#define LIMIT_NODES 100
#define LIMIT_DEFAULT 10000
#define LIMIT_MAX 1000000

/* ---- options ---- */

struct options {
    struct stream_trim *trim;
    bool has_limit;
    int64_t limit;
};

static bool parse_threshold(
    struct request *request, int index, struct stream_trim *trim)
{
    if (trim->by == STREAM_TRIM_ID) {
        return stream_arg_id(request, index, &trim->id);
    }
    if (!arg_int64(request, index, &trim->length)) {
        return false;
    }
    if (trim->length < 0) {
        reply_error(request->reply, "ERR The MAXLEN argument must be >= 0.");
    }
    return trim->length >= 0;
}

/* MAXLEN or MINID at *index, which moves to the last argument used. */
static bool parse_strategy(struct request *request, int *index,
    enum stream_trim_by by, struct stream_trim *trim)
{
    if (trim->by != STREAM_TRIM_NOT) {
        reply_error(request->reply,
            "ERR syntax error, MAXLEN and MINID options at the same time are "
            "not compatible");
        return false;
    }
    trim->by = by;
    ++*index;
    if (*index + 1 < request->argc) {
        trim->about = stream_arg_is_sign(request, *index, '~');
        *index += trim->about || stream_arg_is_sign(request, *index, '=');
    }
    return parse_threshold(request, *index, trim);
}

static bool parse_limit(
    struct request *request, int index, struct options *options)
{
    if (!arg_int64(request, index, &options->limit)) {
        return false;
    }
    if (options->limit < 0) {
        reply_error(request->reply, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    options->has_limit = true;
    return true;
}

/* True when there was an option at *index, which moves to the last argument
 * it used; *valid is false after an error. */
static bool parse_option(
    struct request *request, int *index, struct options *options, bool *valid)
{
    bool has_value = *index + 1 < request->argc;
    if (has_value && arg_is(request, *index, "maxlen")) {
        *valid =
            parse_strategy(request, index, STREAM_TRIM_LENGTH, options->trim);
    } else if (has_value && arg_is(request, *index, "minid")) {
        *valid = parse_strategy(request, index, STREAM_TRIM_ID, options->trim);
    } else if (has_value && arg_is(request, *index, "limit")) {
        *valid = parse_limit(request, ++*index, options);
    } else {
        return false;
    }
    return true;
}

static bool check_options(
    struct request *request, struct options *options, bool must_trim)
{
    struct stream_trim *trim = options->trim;
    const char *error = NULL;
    if (options->limit > 0 && trim->by == STREAM_TRIM_NOT) {
        error = "ERR syntax error, LIMIT cannot be used without specifying a "
                "trimming strategy";
    } else if (must_trim && trim->by == STREAM_TRIM_NOT) {
        error = "ERR syntax error, XTRIM must be called with a trimming "
                "strategy";
    } else if (options->has_limit && !trim->about) {
        error = "ERR syntax error, LIMIT cannot be used without the special "
                "~ option";
    }
    if (error != NULL) {
        reply_error(request->reply, "%s", error);
        return false;
    }
    if (options->has_limit) {
        trim->limit = (uint64_t)options->limit;
    } else if (trim->about) {
        int64_t nodes = request->server->config.stream_node_max_entries;
        int64_t limit = nodes > LIMIT_MAX ? LIMIT_MAX : nodes * LIMIT_NODES;
        limit = limit == 0 ? LIMIT_DEFAULT : limit;
        trim->limit = (uint64_t)(limit > LIMIT_MAX ? LIMIT_MAX : limit);
    }
    return true;
}

/* What is no option of XADD has to be its id. */
static bool parse_new_id(
    struct request *request, int index, struct stream_new *new)
{
    new->next_id = stream_arg_is_sign(request, index, '*');
    return new->next_id ||
           stream_arg_new_id(request, index, &new->next_seq, &new->id);
}

int stream_trim_parse(
    struct request *request, struct stream_trim *trim, struct stream_new *new)
{
    struct options options = {.trim = trim};
    bool valid = true, has_id = false;
    int index = 2;
    for (; index < request->argc && valid && !has_id; index++) {
        if (parse_option(request, &index, &options, &valid)) {
            continue;
        }
        if (new == NULL) {
            error_syntax(request);
            return -1;
        }
        if (arg_is(request, index, "nomkstream")) {
            new->no_create = true;
        } else {
            valid = parse_new_id(request, index, new);
            has_id = true;
        }
    }
    if (!valid || !check_options(request, &options, new == NULL)) {
        return -1;
    }
    return has_id ? index - 1 : index;
}

/* ---- trimming ---- */

/* Redis takes away whole nodes, each of so many entries if none was deleted
 * from it, and so "about" means here, too. */
static uint64_t whole_nodes(
    const struct request *request, uint64_t length, uint64_t excess)
{
    uint64_t node = (uint64_t)request->server->config.stream_node_max_entries;
    if (excess == length || node == 0) {
        return excess;
    }
    return excess - excess % node;
}

uint64_t stream_trim_apply(const struct request *request, struct value *value,
    const struct stream_trim *trim)
{
    uint64_t length = stream_length(value);
    uint64_t excess = 0;
    if (trim->by == STREAM_TRIM_ID) {
        excess = stream_count_below(value, trim->id);
    } else if (trim->by == STREAM_TRIM_LENGTH &&
               length > (uint64_t)trim->length) {
        excess = length - (uint64_t)trim->length;
    }
    if (trim->limit > 0 && excess > trim->limit) {
        excess = trim->limit;
    }
    if (trim->about) {
        excess = whole_nodes(request, length, excess);
    }
    stream_trim(value, excess);
    return excess;
}
