#include "protocol/resp.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/words.h"

#define ARGS_FIRST_CAPACITY 256
/* An array larger than this is given back at reset. */
#define ARGS_KEPT_CAPACITY (16 * 1024)
#define BLOB_FIRST_BYTES (64 * 1024)
#define LINE_END_BYTES 2

/* Arguments of an unfinished command. Those without a blob lie in `text` one
 * behind the other. Once the command is whole it moves to args->spent. */
struct partial_arg {
    size_t size;
    struct blob *blob;
};
struct resp_partial {
    struct resp_partial *next;
    struct partial_arg *items;
    size_t count, capacity;
    char *text;
    size_t text_size, text_capacity;
    size_t blob_bytes;
};

/* How reading one piece of input went. */
enum piece { PIECE_OK, PIECE_MORE, PIECE_BIG, PIECE_ERROR };

void resp_init(struct resp_parser *parser, const struct resp_limits *limits)
{
    *parser = (struct resp_parser){.limits = limits, .args_left = -1};
}

static void partial_destroy(struct resp_partial *partial)
{
    if (partial != NULL) {
        free(partial->items);
        free(partial->text);
        free(partial);
    }
}

void resp_finish(struct resp_parser *parser)
{
    struct resp_partial *partial = parser->partial;

    for (size_t i = 0; partial != NULL && i < partial->count; i++) {
        blob_unref(partial->items[i].blob);
    }
    partial_destroy(partial);
    blob_unref(parser->blob);
    parser->partial = NULL;
    parser->blob = NULL;
}

bool resp_idle(const struct resp_parser *parser)
{
    return parser->args_left < 0;
}

size_t resp_held_bytes(const struct resp_parser *parser)
{
    const struct resp_partial *partial = parser->partial;
    size_t size = parser->blob != NULL ? parser->blob->capacity : 0;

    if (partial != NULL) {
        size += partial->capacity * sizeof(*partial->items) +
                partial->text_capacity + partial->blob_bytes;
    }
    return size;
}

/* ---- arguments ---- */

void resp_args_init(struct resp_args *args)
{
    *args = (struct resp_args){.capacity = 0};
}

void resp_args_reset(struct resp_args *args)
{
    if (args->any_blob) {
        for (size_t i = 0; i < args->count; i++) {
            blob_unref(args->blobs[i]);
            args->blobs[i] = NULL;
        }
        args->any_blob = false;
    }
    args->count = 0;
    while (args->spent != NULL) {
        struct resp_partial *partial = args->spent;

        args->spent = partial->next;
        partial_destroy(partial);
    }
    scratch_reset(&args->text);
    if (args->capacity > ARGS_KEPT_CAPACITY) {
        resp_args_finish(args);
    }
}

void resp_args_finish(struct resp_args *args)
{
    args->capacity = 0; /* resp_args_reset must not come back here */
    resp_args_reset(args);
    free(args->items);
    free(args->blobs);
    resp_args_init(args);
}

static __attribute__((noinline)) void args_grow(
    struct resp_args *args, size_t needed)
{
    size_t capacity = args->capacity;

    if (capacity == 0) {
        capacity = ARGS_FIRST_CAPACITY;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    args->items = xrealloc(args->items, capacity * sizeof(*args->items));
    if (args->blobs != NULL) {
        args->blobs = xrealloc(args->blobs, capacity * sizeof(*args->blobs));
        memset(args->blobs + args->capacity, 0,
            (capacity - args->capacity) * sizeof(*args->blobs));
    }
    args->capacity = capacity;
}

static inline void args_push(
    struct resp_args *args, const char *data, size_t size)
{
    if (args->count == args->capacity) {
        args_grow(args, args->count + 1);
    }
    args->items[args->count++] = bytes_of(data, size);
}

static void args_set_blob(
    struct resp_args *args, size_t index, struct blob *blob)
{
    if (args->blobs == NULL) {
        args->blobs = xcalloc(args->capacity, sizeof(*args->blobs));
    }
    args->blobs[index] = blob;
    args->any_blob = true;
}

/* ---- errors ---- */

static enum piece fail(struct resp_parser *parser, const char *what)
{
    snprintf(
        parser->error, sizeof(parser->error), "ERR Protocol error: %s", what);
    parser->failed = true;
    return PIECE_ERROR;
}

static enum piece fail_not_bulk(struct resp_parser *parser, char got)
{
    char what[32];

    if (got == '\r' || got == '\n' || got == '\0') {
        got = ' ';
    }
    snprintf(what, sizeof(what), "expected '$', got '%c'", got);
    return fail(parser, what);
}

/* ---- lines ---- */

/* The length line at `at` when it has one to three digits and the window
 * reaches beyond it: stores the number, returns what follows. NULL: look
 * closer. As in Redis the byte behind CR is skipped whatever it is. */
static inline const char *short_length(
    const char *at, const char *end, uint32_t *length)
{
    unsigned first, second, third;

    if (end - at < 6) {
        return NULL;
    }
    first = (unsigned char)at[1] - (unsigned)'0';
    if (first > 9) {
        return NULL;
    }
    if (at[2] == '\r') {
        *length = first;
        return at + 4;
    }
    second = (unsigned char)at[2] - (unsigned)'0';
    if (second > 9 || first == 0) {
        return NULL;
    }
    if (at[3] == '\r') {
        *length = first * 10 + second;
        return at + 5;
    }
    third = (unsigned char)at[3] - (unsigned)'0';
    if (third > 9 || at[4] != '\r') {
        return NULL;
    }
    *length = (first * 10 + second) * 10 + third;
    return at + 6;
}

/* Looks for the end of the line that begins at `at`. A line too long to be
 * right is refused at the same byte however the input is cut. */
static enum piece find_line_end(
    const char *at, const char *end, char stop, const char **found)
{
    size_t size = (size_t)(end - at);
    size_t limit = RESP_LINE_MAX_BYTES + 1;

    *found = memchr(at, stop, limit < size ? limit : size);
    if (*found != NULL) {
        return PIECE_OK;
    }
    return size > RESP_LINE_MAX_BYTES ? PIECE_ERROR : PIECE_MORE;
}

/* The number of a `*` or `$` line at *at; moves *at behind the line. Without
 * a valid number *valid is false. */
static enum piece read_length(
    const char **at, const char *end, int64_t *length, bool *valid)
{
    const char *cr;
    uint32_t small;
    const char *next = short_length(*at, end, &small);
    enum piece piece;

    *valid = true;
    if (next != NULL) {
        *length = small;
        *at = next;
        return PIECE_OK;
    }
    piece = find_line_end(*at, end, '\r', &cr);
    if (piece != PIECE_OK) {
        return piece;
    }
    if (end - cr < LINE_END_BYTES) {
        return PIECE_MORE;
    }
    /* The type byte itself may be the CR, which is an error further on. */
    *valid = cr > *at &&
             bytes_to_int64(bytes_of(*at + 1, (size_t)(cr - *at - 1)), length);
    *at = cr + LINE_END_BYTES;
    return PIECE_OK;
}

static enum piece read_count(
    struct resp_parser *parser, const char **at, const char *end)
{
    const char *next = *at;
    int64_t count;
    bool valid;
    enum piece piece = read_length(&next, end, &count, &valid);

    if (piece == PIECE_MORE) {
        return PIECE_MORE;
    }
    if (piece == PIECE_ERROR) {
        return fail(parser, "too big mbulk count string");
    }
    if (!valid || count > INT32_MAX) {
        return fail(parser, "invalid multibulk length");
    }
    if (parser->limits->unauthenticated &&
        count > RESP_UNAUTHENTICATED_MAX_ARGS) {
        return fail(parser, "unauthenticated multibulk length");
    }
    parser->args_left = count > 0 ? (int)count : 0;
    *at = next;
    return PIECE_OK;
}

/* The `$` line at *at. */
static enum piece read_bulk_length(
    struct resp_parser *parser, const char **at, const char *end, size_t *size)
{
    const char *line = *at;
    int64_t length;
    bool valid;
    enum piece piece = read_length(at, end, &length, &valid);

    if (piece == PIECE_MORE) {
        return PIECE_MORE;
    }
    if (piece == PIECE_ERROR) {
        return fail(parser, "too big bulk count string");
    }
    if (*line != '$') {
        return fail_not_bulk(parser, *line);
    }
    if (!valid || length < 0 ||
        (uint64_t)length > parser->limits->max_bulk_bytes) {
        return fail(parser, "invalid bulk length");
    }
    if (parser->limits->unauthenticated &&
        length > RESP_UNAUTHENTICATED_MAX_BULK_BYTES) {
        return fail(parser, "unauthenticated bulk length");
    }
    *size = (size_t)length;
    return PIECE_OK;
}

/* ---- kept arguments ---- */

static void partial_reserve(
    struct resp_partial *partial, size_t count, size_t text)
{
    if (partial->count + count > partial->capacity) {
        partial->capacity = (partial->count + count) * 2;
        partial->items = xrealloc(
            partial->items, partial->capacity * sizeof(*partial->items));
    }
    if (partial->text_size + text > partial->text_capacity) {
        partial->text_capacity = (partial->text_size + text) * 2;
        partial->text = xrealloc(partial->text, partial->text_capacity);
    }
}

/* Moves the arguments from `first` on out of `args`, whose window is about
 * to go. */
static enum piece keep_args(
    struct resp_parser *parser, struct resp_args *args, size_t first)
{
    struct resp_partial *partial = parser->partial;
    size_t text = 0, bytes;

    if (args->count == first) {
        return PIECE_OK;
    }
    if (partial == NULL) {
        partial = parser->partial = xcalloc(1, sizeof(*partial));
    }
    for (size_t i = first; i < args->count; i++) {
        text += args->items[i].size;
    }
    bytes = resp_held_bytes(parser) + text;
    if (bytes > parser->limits->max_total_bytes) {
        parser->failed = true; /* as Redis: closed without a word */
        return PIECE_ERROR;
    }
    partial_reserve(partial, args->count - first, text);
    for (size_t i = first; i < args->count; i++) {
        struct bytes item = args->items[i];

        if (item.size > 0) {
            memcpy(partial->text + partial->text_size, item.data, item.size);
        }
        partial->text_size += item.size;
        partial->items[partial->count++] =
            (struct partial_arg){.size = item.size};
    }
    args->count = first;
    return PIECE_OK;
}

/* Puts the kept arguments before those from `first` on. */
static void restore_args(
    struct resp_parser *parser, struct resp_args *args, size_t first)
{
    struct resp_partial *partial = parser->partial;
    size_t fresh = args->count - first;
    const char *text = partial->text;

    if (args->count + partial->count > args->capacity) {
        args_grow(args, args->count + partial->count);
    }
    memmove(args->items + first + partial->count, args->items + first,
        fresh * sizeof(*args->items));
    for (size_t i = 0; i < partial->count; i++) {
        struct partial_arg item = partial->items[i];

        if (item.blob != NULL) {
            args->items[first + i] = blob_bytes(item.blob);
            args_set_blob(args, first + i, item.blob);
        } else {
            args->items[first + i] = bytes_of(text, item.size);
            text += item.size;
        }
    }
    args->count += partial->count;
    partial->next = args->spent;
    args->spent = partial;
    parser->partial = NULL;
}

/* ---- blobs ---- */

static enum piece blob_begin(struct resp_parser *parser, size_t size)
{
    size_t room = size + LINE_END_BYTES;

    if (resp_held_bytes(parser) + size > parser->limits->max_total_bytes) {
        parser->failed = true;
        return PIECE_ERROR;
    }
    parser->blob =
        blob_create(room < BLOB_FIRST_BYTES ? room : BLOB_FIRST_BYTES);
    if (parser->blob == NULL) {
        return fail(parser, "no memory for a bulk string");
    }
    parser->blob->size = 0;
    parser->blob_size = size;
    parser->blob_filled = 0;
    return PIECE_OK;
}

char *resp_blob_room(struct resp_parser *parser, size_t *size)
{
    size_t whole = parser->blob_size + LINE_END_BYTES;

    *size = 0;
    if (parser->blob == NULL || parser->failed ||
        parser->blob_filled == whole) {
        return NULL;
    }
    if (parser->blob_filled == parser->blob->capacity) {
        size_t room = parser->blob_filled * 4;
        struct blob *grown =
            blob_reserve(parser->blob, room < whole ? room : whole);

        if (grown == NULL) {
            fail(parser, "no memory for a bulk string");
            return NULL;
        }
        parser->blob = grown;
    }
    *size = parser->blob->capacity - parser->blob_filled;
    return parser->blob->data + parser->blob_filled;
}

void resp_blob_filled(struct resp_parser *parser, size_t size)
{
    check(parser->blob != NULL);
    check(size <= parser->blob->capacity - parser->blob_filled);
    parser->blob_filled += size;
}

/* Fills the blob from the window; when it is whole, keeps it. */
static enum piece blob_continue(
    struct resp_parser *parser, const char **at, const char *end)
{
    size_t room;
    char *to;

    while (*at < end && (to = resp_blob_room(parser, &room)) != NULL) {
        size_t size = (size_t)(end - *at) < room ? (size_t)(end - *at) : room;

        memcpy(to, *at, size);
        resp_blob_filled(parser, size);
        *at += size;
    }
    if (parser->failed) {
        return PIECE_ERROR;
    }
    if (parser->blob_filled < parser->blob_size + LINE_END_BYTES) {
        return PIECE_MORE;
    }
    if (parser->partial == NULL) {
        parser->partial = xcalloc(1, sizeof(*parser->partial));
    }
    partial_reserve(parser->partial, 1, 0);
    parser->blob->size = parser->blob_size;
    parser->partial->items[parser->partial->count++] =
        (struct partial_arg){.size = parser->blob_size, .blob = parser->blob};
    parser->partial->blob_bytes += parser->blob->capacity;
    parser->blob = NULL;
    parser->args_left--;
    return PIECE_OK;
}

/* ---- commands ---- */

/* Reads arguments at *at until the command is whole or the window ends;
 * *at then stands before the first byte not used. PIECE_BIG: a bulk string
 * of parser->blob_size begins at *at and should go into a blob. */
static enum piece read_args(struct resp_parser *parser, const char **at,
    const char *end, struct resp_args *args)
{
    while (parser->args_left > 0) {
        size_t size = 0;
        uint32_t small = 0;
        const char *data = short_length(*at, end, &small);

        if (data != NULL && **at == '$') {
            size = small;
        } else {
            enum piece piece;

            data = *at;
            piece = read_bulk_length(parser, &data, end, &size);
            if (piece != PIECE_OK) {
                return piece;
            }
        }
        if ((size_t)(end - data) < size + LINE_END_BYTES) {
            if (size < RESP_BIG_BYTES) {
                return PIECE_MORE;
            }
            parser->blob_size = size;
            *at = data;
            return PIECE_BIG;
        }
        args_push(args, data, size);
        *at = data + size + LINE_END_BYTES;
        parser->args_left--;
    }
    return PIECE_OK;
}

static enum resp_result parse_inline(struct resp_parser *parser,
    struct bytes input, size_t *used, struct resp_args *args)
{
    const char *end;
    size_t limit = RESP_LINE_MAX_BYTES + 1;
    enum piece piece =
        find_line_end(input.data, input.data + input.size, '\n', &end);
    size_t size = piece == PIECE_OK ? (size_t)(end - input.data) : input.size;
    struct words words;
    struct bytes word;
    enum words_result result;

    /* Binary data, such as a TLS greeting, is no inline request. */
    if (memchr(input.data, '\0', size < limit ? size : limit) != NULL) {
        fail(parser, "invalid inline request");
        return RESP_ERROR;
    }
    if (piece == PIECE_ERROR) {
        fail(parser, "too big inline request");
        return RESP_ERROR;
    }
    if (piece == PIECE_MORE) {
        return RESP_INCOMPLETE;
    }
    *used = size + 1;
    if (size > 0 && end[-1] == '\r') {
        size--;
    }
    words_init(&words, bytes_of(input.data, size), &args->text);
    while ((result = words_next(&words, &word)) == WORDS_ONE) {
        args_push(args, word.data, word.size);
    }
    if (result == WORDS_UNBALANCED) {
        fail(parser, "unbalanced quotes in request");
        return RESP_ERROR;
    }
    return RESP_COMMAND;
}

/* The window ends inside a command that began at `start` (NULL: earlier).
 * Moves *at back when it is simplest to see the command again. */
static enum piece suspend(struct resp_parser *parser, const char *start,
    const char **at, struct resp_args *args, size_t first)
{
    if (start != NULL && *at - start < RESP_REPARSE_MAX_BYTES &&
        parser->blob == NULL && parser->partial == NULL) {
        *at = start;
        args->count = first;
        parser->args_left = -1;
        return PIECE_OK;
    }
    return keep_args(parser, args, first);
}

static enum piece parse_multibulk(struct resp_parser *parser, const char **at,
    const char *end, struct resp_args *args, size_t first)
{
    enum piece piece = PIECE_OK;

    if (parser->args_left < 0) {
        piece = read_count(parser, at, end);
    } else if (parser->blob != NULL) {
        piece = blob_continue(parser, at, end);
    }
    while (piece == PIECE_OK && parser->args_left > 0) {
        piece = read_args(parser, at, end, args);
        if (piece == PIECE_BIG) {
            piece = keep_args(parser, args, first);
            if (piece == PIECE_OK) {
                piece = blob_begin(parser, parser->blob_size);
            }
            if (piece == PIECE_OK) {
                piece = blob_continue(parser, at, end);
            }
        }
    }
    return piece;
}

enum resp_result resp_parse(struct resp_parser *parser, const char *window,
    size_t size, size_t *offset, struct resp_args *args,
    struct resp_command *command)
{
    const char *start = window + *offset, *at = start;
    const char *end = window + size;
    bool fresh = parser->args_left < 0;
    enum resp_result result = RESP_COMMAND;
    enum piece piece;

    command->first = args->count;
    if (parser->failed || (fresh && at == end)) {
        return parser->failed ? RESP_ERROR : RESP_INCOMPLETE;
    }
    if (fresh && *at != '*') {
        size_t used = 0;

        result =
            parse_inline(parser, bytes_of(at, (size_t)(end - at)), &used, args);
        at += used;
    } else {
        piece = parse_multibulk(parser, &at, end, args, command->first);
        if (piece == PIECE_MORE) {
            result = RESP_INCOMPLETE;
            piece = suspend(
                parser, fresh ? start : NULL, &at, args, command->first);
        } else {
            parser->args_left = -1;
        }
        if (piece == PIECE_ERROR) {
            return RESP_ERROR;
        }
        if (result == RESP_COMMAND && parser->partial != NULL) {
            restore_args(parser, args, command->first);
        }
    }
    *offset = (size_t)(at - window);
    command->argc = (int)(args->count - command->first);
    if (result == RESP_COMMAND && command->argc == 0) {
        return RESP_EMPTY;
    }
    return result;
}
