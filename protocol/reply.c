#include "protocol/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/number.h"

#define FIRST_CAPACITY 1024
/* More than this is given back by reply_clear. */
#define KEPT_CAPACITY (1024 * 1024)
/* A type byte, 20 digits and a line end. */
#define HEAD_MAX_BYTES 24
/* Left free by reply_begin: right for two-digit counts. */
#define BEGIN_BYTES 5

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.version = 2};
}

void reply_clear(struct reply *reply)
{
    for (size_t i = 0; i < reply->splice_count; i++) {
        blob_unref(reply->splices[i].blob);
    }
    reply->splice_count = 0;
    reply->splice_bytes = 0;
    reply->size = 0;
    if (reply->capacity > KEPT_CAPACITY) {
        free(reply->data);
        reply->data = NULL;
        reply->capacity = 0;
    }
}

void reply_finish(struct reply *reply)
{
    reply_clear(reply);
    free(reply->data);
    free(reply->splices);
    reply->data = NULL;
    reply->splices = NULL;
    reply->capacity = reply->splice_capacity = 0;
}

size_t reply_pending_bytes(const struct reply *reply)
{
    return reply->size + reply->splice_bytes;
}

static __attribute__((noinline)) void grow(struct reply *reply, size_t size)
{
    size_t capacity = reply->capacity;

    if (capacity == 0) {
        capacity = FIRST_CAPACITY;
    }
    while (capacity - reply->size < size) {
        capacity *= 2;
    }
    reply->data = xrealloc(reply->data, capacity);
    reply->capacity = capacity;
}

/* Where the next `size` bytes go; the caller then moves reply->size. */
static inline char *room(struct reply *reply, size_t size)
{
    if (reply->capacity - reply->size < size) {
        grow(reply, size);
    }
    return reply->data + reply->size;
}

/* The content is a literal of exactly `size` <= 8 bytes. Storing a whole
 * word is cheaper than storing just them. */
static inline void put_word(
    struct reply *reply, const char word[8], size_t size)
{
    if (!reply->muted) {
        memcpy(room(reply, 8), word, 8);
        reply->size += size;
    }
}

static inline char *put_line_end(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

/* A head such as "$12\r\n" at `at`; returns what follows it. */
static inline char *put_head(char *at, char type, uint64_t count)
{
    *at++ = type;
    if (count < 10) {
        *at++ = (char)('0' + count);
    } else if (count < 100) {
        *at++ = (char)('0' + count / 10);
        *at++ = (char)('0' + count % 10);
    } else {
        at += bytes_from_int64(at, (int64_t)count);
    }
    return put_line_end(at);
}

static void put_aggregate(struct reply *reply, char type, size_t count)
{
    if (!reply->muted) {
        char *at = room(reply, HEAD_MAX_BYTES);

        reply->size += (size_t)(put_head(at, type, count) - at);
    }
}

/* A head, the content, a line end. `prefix` belongs to the content. */
static inline void put_string(
    struct reply *reply, char type, struct bytes prefix, struct bytes value)
{
    size_t size = prefix.size + value.size;
    char *start, *at;

    if (reply->muted) {
        return;
    }
    start = room(reply, size + HEAD_MAX_BYTES + 2);
    at = put_head(start, type, size);
    if (prefix.size > 0) {
        memcpy(at, prefix.data, prefix.size);
        at += prefix.size;
    }
    if (value.size > 0) {
        memcpy(at, value.data, value.size);
        at += value.size;
    }
    reply->size += (size_t)(put_line_end(at) - start);
}

/* One line of free text, which must not be able to end it. */
static void put_line(struct reply *reply, char type, struct bytes text)
{
    char *at;

    if (reply->muted) {
        return;
    }
    at = room(reply, text.size + 3);
    *at++ = type;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        *at++ = c;
        if (c == '\r' || c == '\n') {
            at[-1] = ' ';
        }
    }
    put_line_end(at);
    reply->size += text.size + 3;
}

static void add_splice(struct reply *reply, size_t at, struct blob *blob)
{
    if (reply->splice_count == reply->splice_capacity) {
        reply->splice_capacity =
            reply->splice_capacity > 0 ? reply->splice_capacity * 2 : 8;
        reply->splices = xrealloc(
            reply->splices, reply->splice_capacity * sizeof(*reply->splices));
    }
    reply->splices[reply->splice_count++] =
        (struct reply_splice){.at = at, .blob = blob_ref(blob)};
    reply->splice_bytes += blob->size;
}

void reply_append(struct reply *reply, const struct reply *from)
{
    size_t start = reply->size;

    memcpy(room(reply, from->size), from->data, from->size);
    reply->size += from->size;
    for (size_t i = 0; i < from->splice_count; i++) {
        add_splice(reply, start + from->splices[i].at, from->splices[i].blob);
    }
}

void reply_status(struct reply *reply, const char *text)
{
    put_line(reply, '+', bytes_of(text, strlen(text)));
}

void reply_ok(struct reply *reply)
{
    put_word(reply, "+OK\r\n\0\0", 5);
}

static void note_error(struct reply *reply, struct bytes text)
{
    size_t size = 0;

    while (size < text.size && size < sizeof(reply->error_code) - 1 &&
           text.data[size] != ' ') {
        size++;
    }
    memcpy(reply->error_code, text.data, size);
    reply->error_code[size] = '\0';
    reply->errors++;
}

/* The text, heap, and its size. */
static int format_text(char **text, const char *format, va_list arguments)
{
    int size = vasprintf(text, format, arguments);
    check(size >= 0);
    return size;
}

void reply_error(struct reply *reply, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int size = format_text(&text, format, arguments);
    va_end(arguments);
    /* Line ends inside become spaces, those at the end go: as in Redis. */
    while (size > 0 && (text[size - 1] == '\r' || text[size - 1] == '\n')) {
        size--;
    }
    note_error(reply, bytes_of(text, (size_t)size));
    put_line(reply, '-', bytes_of(text, (size_t)size));
    free(text);
}

void reply_integer(struct reply *reply, int64_t value)
{
    if (value == 0 || value == 1) {
        put_word(reply, value == 0 ? ":0\r\n\0\0\0" : ":1\r\n\0\0\0", 4);
    } else if (!reply->muted) {
        char *start = room(reply, HEAD_MAX_BYTES), *at = start;

        *at++ = ':';
        at += bytes_from_int64(at, value);
        reply->size += (size_t)(put_line_end(at) - start);
    }
}

void reply_bulk(struct reply *reply, struct bytes value)
{
    put_string(reply, '$', bytes_of(NULL, 0), value);
}

void reply_bulk_text(struct reply *reply, const char *text)
{
    reply_bulk(reply, bytes_of(text, strlen(text)));
}

void reply_bulk_format(struct reply *reply, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int size = format_text(&text, format, arguments);
    va_end(arguments);
    reply_bulk(reply, bytes_of(text, (size_t)size));
    free(text);
}

void reply_bulk_integer(struct reply *reply, int64_t value)
{
    char digits[24];

    reply_bulk(reply, bytes_of(digits, bytes_from_int64(digits, value)));
}

void reply_bulk_blob(struct reply *reply, struct blob *value)
{
    if (value->size < REPLY_SPLICE_MIN_BYTES) {
        reply_bulk(reply, blob_bytes(value));
        return;
    }
    if (reply->muted) {
        return;
    }
    put_aggregate(reply, '$', value->size);
    add_splice(reply, reply->size, value);
    put_word(reply, "\r\n\0\0\0\0\0", 2);
}

void reply_null(struct reply *reply)
{
    if (reply->version == 3) {
        put_word(reply, "_\r\n\0\0\0\0", 3);
    } else {
        put_word(reply, "$-1\r\n\0\0", 5);
    }
}

void reply_null_array(struct reply *reply)
{
    if (reply->version == 3) {
        put_word(reply, "_\r\n\0\0\0\0", 3);
    } else {
        put_word(reply, "*-1\r\n\0\0", 5);
    }
}

void reply_array(struct reply *reply, size_t count)
{
    put_aggregate(reply, '*', count);
}

void reply_map(struct reply *reply, size_t count)
{
    bool resp3 = reply->version == 3;

    put_aggregate(reply, resp3 ? '%' : '*', resp3 ? count : count * 2);
}

void reply_set(struct reply *reply, size_t count)
{
    put_aggregate(reply, reply->version == 3 ? '~' : '*', count);
}

void reply_push(struct reply *reply, size_t count)
{
    put_aggregate(reply, reply->version == 3 ? '>' : '*', count);
}

void reply_double(struct reply *reply, double value)
{
    char digits[NUMBER_DOUBLE_MAX_BYTES];
    size_t size = number_format_double(digits, value);

    if (reply->version == 3) {
        put_line(reply, ',', bytes_of(digits, size));
    } else {
        reply_bulk(reply, bytes_of(digits, size));
    }
}

void reply_long_double(struct reply *reply, long double value)
{
    char text[NUMBER_LONG_DOUBLE_MAX_BYTES];
    struct bytes digits =
        bytes_of(text, number_format_long_double(text, sizeof(text), value));

    if (reply->version == 3) {
        put_line(reply, ',', digits);
    } else {
        reply_bulk(reply, digits);
    }
}

void reply_bool(struct reply *reply, bool value)
{
    if (reply->version == 3) {
        put_word(reply, value ? "#t\r\n\0\0\0" : "#f\r\n\0\0\0", 4);
    } else {
        reply_integer(reply, value);
    }
}

void reply_big_number(struct reply *reply, struct bytes digits)
{
    if (reply->version == 3) {
        put_line(reply, '(', digits);
        return;
    }
    reply_bulk(reply, digits);
    if (reply->muted) {
        return;
    }
    char *at = reply->data + reply->size - 2 - digits.size;
    for (size_t i = 0; i < digits.size; i++) {
        if (at[i] == '\r' || at[i] == '\n') {
            at[i] = ' ';
        }
    }
}

void reply_verbatim(struct reply *reply, const char *kind, struct bytes text)
{
    char prefix[4];

    if (reply->version == 3) {
        check(strlen(kind) == 3);
        memcpy(prefix, kind, 3);
        prefix[3] = ':';
        put_string(reply, '=', bytes_of(prefix, sizeof(prefix)), text);
    } else {
        reply_bulk(reply, text);
    }
}

void reply_take_back(struct reply *reply, size_t from, size_t to)
{
    size_t kept = 0;

    check(from <= to && to <= reply->size);
    for (size_t i = 0; i < reply->splice_count; i++) {
        struct reply_splice splice = reply->splices[i];
        if (splice.at > from && splice.at <= to) {
            reply->splice_bytes -= splice.blob->size;
            blob_unref(splice.blob);
            continue;
        }
        splice.at -= splice.at > to ? to - from : 0;
        reply->splices[kept++] = splice;
    }
    reply->splice_count = kept;
    memmove(reply->data + from, reply->data + to, reply->size - to);
    reply->size -= to - from;
}

size_t reply_begin(struct reply *reply)
{
    size_t mark = reply->size;

    if (!reply->muted) {
        room(reply, BEGIN_BYTES);
        reply->size += BEGIN_BYTES;
    }
    return mark;
}

void reply_end(
    struct reply *reply, size_t mark, enum reply_aggregate kind, size_t count)
{
    static const char types[] = {'*', '%', '~', '%'};
    bool resp3 = reply->version == 3;
    char head[HEAD_MAX_BYTES];
    size_t size, content;

    if (reply->muted) {
        return;
    }
    if (kind == REPLY_MAP && !resp3) {
        count *= 2;
    }
    size = (size_t)(put_head(head, resp3 ? types[kind] : '*', count) - head);
    content = reply->size - mark - BEGIN_BYTES;
    if (size != BEGIN_BYTES) {
        room(reply, HEAD_MAX_BYTES);
        memmove(reply->data + mark + size, reply->data + mark + BEGIN_BYTES,
            content);
        for (size_t i = reply->splice_count;
             i > 0 && reply->splices[i - 1].at > mark; i--) {
            reply->splices[i - 1].at += size - BEGIN_BYTES;
        }
    }
    memcpy(reply->data + mark, head, size);
    reply->size = mark + size + content;
}

void reply_pair(struct reply *reply)
{
    if (reply->version != 3) {
        reply_array(reply, 2);
    }
}
