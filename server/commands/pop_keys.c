#include "server/commands/pop_keys.h"

static bool arg_positive(
    struct request *request, int index, const char *name, int64_t *value)
{
    bool valid = bytes_to_int64(request->argv[index], value) && *value > 0;
    if (!valid) {
        reply_error(request->reply, "ERR %s should be greater than 0", name);
    }
    return valid;
}

static bool parse_count(
    struct request *request, int index, struct pop_keys *keys)
{
    if (index == request->argc) {
        keys->count = 1;
        return true;
    }
    if (index + 1 == request->argc || !arg_is(request, index, "count")) {
        error_syntax(request);
        return false;
    }
    if (!arg_positive(request, index + 1, "count", &keys->count)) {
        return false;
    }
    if (index + 2 != request->argc) {
        error_syntax(request);
        return false;
    }
    return true;
}

bool pop_keys_parse(struct request *request, int numkeys_at, const char *start,
    const char *end, struct pop_keys *keys)
{
    int64_t numkeys = 0;
    if (!arg_positive(request, numkeys_at, "numkeys", &numkeys)) {
        return false;
    }
    if (numkeys >= request->argc - numkeys_at - 1) {
        error_syntax(request);
        return false;
    }
    keys->first_key = numkeys_at + 1;
    keys->last_key = numkeys_at + (int)numkeys;
    int where = keys->last_key + 1;
    keys->from_end = arg_is(request, where, end);
    if (!keys->from_end && !arg_is(request, where, start)) {
        error_syntax(request);
        return false;
    }
    return parse_count(request, where + 1, keys);
}

static bool pop_first(
    struct request *request, const struct pop_keys *keys, pop_keys_fn *pop)
{
    for (int key = keys->first_key; key <= keys->last_key; key++) {
        if (block_considers(request, request->argv[key]) &&
            pop(request, key, keys)) {
            return true;
        }
    }
    return false;
}

void pop_keys_now(
    struct request *request, const struct pop_keys *keys, pop_keys_fn *pop)
{
    if (!pop_first(request, keys, pop)) {
        reply_null_array(request->reply);
    }
}

void pop_keys_or_wait(struct request *request, const struct pop_keys *keys,
    pop_keys_fn *pop, enum value_type type, int timeout_at)
{
    struct block_keys wait = {
        .type = type, .first = keys->first_key, .last = keys->last_key};
    if (block_arg_timeout(request, timeout_at, &wait.timeout_ms) &&
        !pop_first(request, keys, pop) && !block_wait(request, &wait)) {
        reply_null_array(request->reply);
    }
}
