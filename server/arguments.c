/* Arguments of a request as numbers and words, and the errors that many
 * commands share. The texts are Redis': clients compare them. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/command.h"

/* Longest text that is looked at as a floating point number. */
#define FLOAT_TEXT_MAX_BYTES (5 * 1024)

struct blob *request_take_blob(struct request *request, int index)
{
    if (request->arg_blobs == NULL) {
        return NULL;
    }
    /* The argument stays readable until the batch is done, whatever becomes
     * of the value: SLOWLOG looks at it after the handler. */
    struct blob *blob = request->arg_blobs[index];
    return blob == NULL ? NULL : blob_ref(blob);
}

bool arg_int64(struct request *request, int index, int64_t *value)
{
    if (bytes_to_int64(request->argv[index], value)) {
        return true;
    }
    error_not_integer(request);
    return false;
}

bool arg_int64_range(struct request *request, int index, int64_t low,
    int64_t high, int64_t *value)
{
    int64_t number;
    if (!arg_int64(request, index, &number)) {
        return false;
    }
    if (number >= low && number <= high) {
        *value = number;
        return true;
    }
    if (low == 0 && high == INT64_MAX) {
        reply_error(
            request->reply, "ERR value is out of range, must be positive");
    } else {
        reply_error(request->reply,
            "ERR value is out of range, value must between %lld and %lld",
            (long long)low, (long long)high);
    }
    return false;
}

static bool parse_long_double(struct bytes text, long double *value)
{
    char copy[FLOAT_TEXT_MAX_BYTES];
    if (text.size == 0 || text.size >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (isspace((unsigned char)copy[0])) {
        return false;
    }
    char *end;
    errno = 0;
    long double number = strtold(copy, &end);
    bool whole = (size_t)(end - copy) == text.size;
    bool in_range = errno != ERANGE || (isfinite(number) && number != 0);
    if (!whole || !in_range || isnan(number)) {
        return false;
    }
    *value = number;
    return true;
}

bool arg_long_double(struct request *request, int index, long double *value)
{
    if (parse_long_double(request->argv[index], value)) {
        return true;
    }
    reply_error(request->reply, "ERR value is not a valid float");
    return false;
}

bool arg_db(struct request *request, int index, unsigned *number)
{
    int64_t value;
    if (!arg_int64_range(request, index, INT_MIN, INT_MAX, &value)) {
        return false;
    }
    if (value < 0 || value >= engine_database_count(request->engine)) {
        reply_error(request->reply, "ERR DB index is out of range");
        return false;
    }
    *number = (unsigned)value;
    return true;
}

bool arg_count(struct request *request, int index, int64_t *value)
{
    if (bytes_to_int64(request->argv[index], value) && *value >= 0) {
        return true;
    }
    reply_error(request->reply, "ERR value is out of range, must be positive");
    return false;
}

/* As strtoul reads it, which clients rely on: a sign is allowed, leading
 * space is not, nothing at all is 0, a zero byte ends it. */
bool arg_cursor(struct request *request, int index, uint64_t *cursor)
{
    char text[64];
    struct bytes argument = request->argv[index];
    /* As Redis: what is behind a NUL does not count. */
    size_t size =
        argument.size == 0 ? 0 : strnlen(argument.data, argument.size);
    bool valid = size < sizeof(text);
    if (valid) {
        char *end;
        memcpy(text, size == 0 ? "" : argument.data, size);
        text[size] = '\0';
        errno = 0;
        *cursor = strtoul(text, &end, 10);
        valid =
            !isspace((unsigned char)text[0]) && errno != ERANGE && *end == '\0';
    }
    if (!valid) {
        reply_error(request->reply, "ERR invalid cursor");
    }
    return valid;
}

bool arg_is(const struct request *request, int index, const char *word)
{
    return bytes_equal_nocase(request->argv[index], word);
}

void error_syntax(struct request *request)
{
    reply_error(request->reply, "ERR syntax error");
}

void error_wrong_type(struct request *request)
{
    reply_error(request->reply,
        "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void error_not_integer(struct request *request)
{
    reply_error(request->reply, "ERR value is not an integer or out of range");
}

void error_arity(struct request *request)
{
    const struct command *command = request->command;
    bool sub = command->parent != NULL;
    reply_error(request->reply,
        "ERR wrong number of arguments for '%s%s%s' command",
        sub ? command->parent : "", sub ? "|" : "", command->name);
}

void error_unknown_subcommand(struct request *request)
{
    char container[32];
    const struct bytes name = request->argv[0];
    size_t size =
        name.size < sizeof(container) - 1 ? name.size : sizeof(container) - 1;
    for (size_t i = 0; i < size; i++) {
        container[i] = (char)toupper((unsigned char)name.data[i]);
    }
    container[size] = '\0';
    const struct bytes word = request->argv[1];
    int shown = word.size < 128 ? (int)word.size : 128;
    reply_error(request->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
        shown, word.data, container);
}

void error_oom(struct request *request)
{
    reply_error(request->reply,
        "OOM command not allowed when used memory > 'maxmemory'.");
}

void error_not_fetched(struct request *request, enum dry_result cause)
{
    if (cause == DRY_OK) {
        reply_error(request->reply,
            "ERR The value could not be kept in memory, try again later");
    } else {
        reply_error(request->reply,
            "ERR The value could not be read from disk: %s",
            dry_result_text(cause));
    }
}

bool require_type(
    struct request *request, const struct entry *entry, enum value_type type)
{
    if (entry == NULL || entry_type(entry) == type) {
        return true;
    }
    error_wrong_type(request);
    return false;
}
