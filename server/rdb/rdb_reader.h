/* Reads the RDB format from bytes that may be anything. One thread. */
#ifndef LARDER_SERVER_RDB_RDB_READER_H
#define LARDER_SERVER_RDB_RDB_READER_H

#include "protocol/bytes.h"

/* Strings that may be in use at the same time: a field and its value. */
#define RDB_READER_SLOTS 2

struct rdb_reader {
    const char *at, *end;             /* borrowed */
    size_t room;                      /* bytes that may still be unpacked */
    bool failed;                      /* stays once it is set */
    char *unpacked[RDB_READER_SLOTS]; /* heap: by slot */
    char digits[RDB_READER_SLOTS][21];
};

/* Of the caller's memory; `bytes` are borrowed until rdb_reader_finish. */
void rdb_reader_init(
    struct rdb_reader *reader, struct bytes bytes, size_t room);
void rdb_reader_finish(struct rdb_reader *reader);

/* Zeros, empty strings and NaN once the reader has failed. */
unsigned rdb_read_byte(struct rdb_reader *reader);
uint64_t rdb_read_length(struct rdb_reader *reader);
/* Good until the next string is read into the same slot, or the end. */
struct bytes rdb_read_string(struct rdb_reader *reader, unsigned slot);
/* That many bytes as they are; borrowed. */
struct bytes rdb_read_bytes(struct rdb_reader *reader, size_t size);
double rdb_read_double(struct rdb_reader *reader);
/* 8 bytes, little endian. */
uint64_t rdb_read_u64(struct rdb_reader *reader);
/* The text form of old sorted sets. */
double rdb_read_text_double(struct rdb_reader *reader);
/* Sets reader->failed. */
void rdb_fail(struct rdb_reader *reader);

/* The whole of `text` as a score: decimal or "inf"; false for anything else,
 * NaN included. */
bool rdb_parse_double(struct bytes text, double *value);

#endif
