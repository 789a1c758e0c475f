/* Reply writer: RESP2 or RESP3 bytes into an output queue, the version chosen
 * once. Handlers call these and never branch on the version themselves.
 *
 * The writer appends to `struct reply`, a growable byte buffer plus
 * references to large blobs that are sent from where they lie. No I/O.
 * One thread. */
#ifndef LARDER_PROTOCOL_REPLY_H
#define LARDER_PROTOCOL_REPLY_H

#include "protocol/bytes.h"

/* A blob spliced into the stream behind the first `at` bytes of the buffer. */
struct reply_splice {
    size_t at;
    struct blob *blob; /* one reference held */
};

struct reply {
    char *data; /* heap, `capacity` bytes, kept between commands */
    size_t size, capacity;
    struct reply_splice *splices;
    size_t splice_count, splice_capacity;
    size_t splice_bytes; /* sum of the blobs' sizes */
    uint8_t version;     /* 2 or 3 */
    bool muted;          /* CLIENT REPLY OFF/SKIP: everything is dropped */
    uint64_t errors;     /* error replies written so far */
    char error_code[32]; /* first word of the last error, for errorstats */
};

/* Bulk strings of at least this many bytes held in a blob are spliced. */
#define REPLY_SPLICE_MIN_BYTES (16 * 1024)

/* Caller's memory: start empty, version 2. */
void reply_init(struct reply *reply);
/* Frees the buffer and drops the blobs. */
void reply_finish(struct reply *reply);
/* Forgets content, keeps the allocation unless it became large. */
void reply_clear(struct reply *reply);
/* All that `from` holds, behind what is there; whether either is muted does
 * not matter. `from` keeps its content. */
void reply_append(struct reply *reply, const struct reply *from);
/* Bytes waiting: the buffer and the blobs. */
size_t reply_pending_bytes(const struct reply *reply);

/* "+text\r\n" */
void reply_status(struct reply *reply, const char *text);
void reply_ok(struct reply *reply);
/* "-text\r\n": text begins with its code ("ERR ..."), printf-like; CR and LF
 * inside become spaces, those at the end are dropped. */
void reply_error(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct bytes value);
void reply_bulk_text(struct reply *reply, const char *text);
void reply_bulk_format(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The integer's digits as a bulk string. */
void reply_bulk_integer(struct reply *reply, int64_t value);
/* As reply_bulk; takes its own reference when it splices. */
void reply_bulk_blob(struct reply *reply, struct blob *value);
/* $-1 or _ */
void reply_null(struct reply *reply);
/* *-1 or _ */
void reply_null_array(struct reply *reply);
void reply_array(struct reply *reply, size_t count);
/* %count, or an array of 2 * count in RESP2. */
void reply_map(struct reply *reply, size_t count);
/* ~count or an array. */
void reply_set(struct reply *reply, size_t count);
/* >count or an array. */
void reply_push(struct reply *reply, size_t count);
/* ,value or a bulk string; both as Redis prints doubles (%.17g, inf, nan). */
void reply_double(struct reply *reply, double value);
/* The same, but without an exponent and with at most 17 decimals. */
void reply_long_double(struct reply *reply, long double value);
/* #t #f or 1 0 */
void reply_bool(struct reply *reply, bool value);
/* (digits or a bulk string; CR and LF become spaces. */
void reply_big_number(struct reply *reply, struct bytes digits);
/* =n\r\ntxt:... or a bulk string; `kind` is "txt" or "mkd". */
void reply_verbatim(struct reply *reply, const char *kind, struct bytes text);

/* Takes back what was written between two sizes that the buffer had; what
 * came after it moves down. */
void reply_take_back(struct reply *reply, size_t from, size_t to);

/* An aggregate whose length is known only afterwards: begin, write the
 * elements, end with their number. `mark` from begin. */
enum reply_aggregate { REPLY_ARRAY, REPLY_MAP, REPLY_SET, REPLY_PAIRS };
size_t reply_begin(struct reply *reply);
void reply_end(
    struct reply *reply, size_t mark, enum reply_aggregate kind, size_t count);
/* REPLY_PAIRS: a map, but in RESP2 an array of arrays of two. Before the two
 * elements of each pair. */
void reply_pair(struct reply *reply);

#endif
