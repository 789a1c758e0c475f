#include "protocol/resp.h"

#include <stdio.h>

#include "protocol/resp_partial.h"
#include "protocol/words.h"

/* A bulk string gets this much room at first, and so many times what has come
 * of it later on: who only announces a large one takes little. */
#define BLOB_FIRST_BYTES ((size_t)64 * 1024)
#define BLOB_GROWTH 16
#define LINE_END_BYTES 2

/* How reading one piece of input went. */
enum piece { PIECE_OK, PIECE_MORE, PIECE_BIG, PIECE_ERROR };

void resp_init(struct resp_parser *parser, const struct resp_limits *limits)
{
    *parser = (struct resp_parser){.limits = limits, .args_left = -1};
}

void resp_finish(struct resp_parser *parser)
{
    resp_partial_destroy(parser->partial);
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
    size_t blob = parser->blob != NULL ? parser->blob->capacity : 0;

    return blob + resp_partial_bytes(parser->partial);
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

/* The size of the length line at `at` when it has one to three digits and the
 * window reaches beyond it; the number goes to *length. 0: look closer. As in
 * Redis the byte behind CR is skipped whatever it is. */
static inline size_t short_length(
    const char *at, const char *end, uint32_t *length)
{
    unsigned first, second, third;

    if (end - at < 6) {
        return 0;
    }
    first = (unsigned char)at[1] - (unsigned)'0';
    if (first > 9) {
        return 0;
    }
    if (at[2] == '\r') {
        *length = first;
        return 4;
    }
    second = (unsigned char)at[2] - (unsigned)'0';
    if (second > 9 || first == 0) {
        return 0;
    }
    if (at[3] == '\r') {
        *length = first * 10 + second;
        return 5;
    }
    third = (unsigned char)at[3] - (unsigned)'0';
    if (third > 9 || at[4] != '\r') {
        return 0;
    }
    *length = (first * 10 + second) * 10 + third;
    return 6;
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
    size_t line = short_length(*at, end, &small);
    enum piece piece;

    *valid = true;
    if (line > 0) {
        *length = small;
        *at += line;
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
    int64_t length = -1;
    bool valid;
    enum piece piece;
    char type;

    if (*at == end) {
        return PIECE_MORE;
    }
    type = **at;
    piece = read_length(at, end, &length, &valid);
    if (piece == PIECE_MORE) {
        return PIECE_MORE;
    }
    if (piece == PIECE_ERROR) {
        return fail(parser, "too big bulk count string");
    }
    if (type != '$') {
        return fail_not_bulk(parser, type);
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

/* Keeps the arguments from `first` on: their window is about to go. */
static enum piece keep_args(
    struct resp_parser *parser, struct resp_args *args, size_t first)
{
    if (args->count == first) {
        return PIECE_OK;
    }
    resp_partial_keep(&parser->partial, args, first);
    if (resp_held_bytes(parser) > parser->limits->max_total_bytes) {
        parser->failed = true; /* as Redis: closed without a word */
        return PIECE_ERROR;
    }
    return PIECE_OK;
}

/* ---- blobs ---- */

/* The room for `filled` bytes and more to come. */
static size_t blob_room_for(const struct resp_parser *parser, size_t filled)
{
    size_t whole = parser->blob_size + LINE_END_BYTES;
    size_t room = filled * BLOB_GROWTH;

    room = room > BLOB_FIRST_BYTES ? room : BLOB_FIRST_BYTES;
    return room < whole ? room : whole;
}

/* For the bulk string of parser->blob_size bytes, of which `at_hand` are in the
 * window. */
static enum piece blob_begin(struct resp_parser *parser, size_t at_hand)
{
    if (resp_held_bytes(parser) + parser->blob_size >
        parser->limits->max_total_bytes) {
        parser->failed = true;
        return PIECE_ERROR;
    }
    parser->blob = blob_create(blob_room_for(parser, at_hand));
    if (parser->blob == NULL) {
        return fail(parser, "no memory for a bulk string");
    }
    parser->blob->size = 0;
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
        struct blob *grown = blob_reserve(
            parser->blob, blob_room_for(parser, parser->blob_filled));

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
    parser->blob->size = parser->blob_size;
    resp_partial_keep_blob(&parser->partial, &parser->blob);
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
        const char *data = *at;
        size_t line = short_length(*at, end, &small);

        if (line > 0 && **at == '$') {
            data += line;
            size = small;
        } else {
            enum piece piece = read_bulk_length(parser, &data, end, &size);
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
        resp_args_push(args, data, size);
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
        resp_args_push(args, word.data, word.size);
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
                piece = blob_begin(parser, (size_t)(end - *at));
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
            resp_partial_restore(&parser->partial, args, command->first);
        }
    }
    *offset = (size_t)(at - window);
    command->argc = (int)(args->count - command->first);
    if (result == RESP_COMMAND && command->argc == 0) {
        return RESP_EMPTY;
    }
    return result;
}
