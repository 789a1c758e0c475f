/* Writes the RDB format into a blob that grows. One thread. */
#ifndef LARDER_SERVER_RDB_RDB_WRITER_H
#define LARDER_SERVER_RDB_RDB_WRITER_H

#include "protocol/bytes.h"

struct rdb_writer {
    struct blob *blob; /* one reference; NULL once memory was exhausted */
    bool compress;     /* long strings, by LZF */
    unsigned version;  /* of the format, that a reader must know */
};

void rdb_writer_init(struct rdb_writer *writer, bool compress);
/* Drops the blob, unless somebody took it and set it to NULL. */
void rdb_writer_finish(struct rdb_writer *writer);

void rdb_write_bytes(struct rdb_writer *writer, struct bytes bytes);
void rdb_write_byte(struct rdb_writer *writer, unsigned byte);
void rdb_write_length(struct rdb_writer *writer, uint64_t length);
/* As an integer where the digits allow it, compressed where that is shorter. */
void rdb_write_string(struct rdb_writer *writer, struct bytes text);
void rdb_write_double(struct rdb_writer *writer, double value);
/* 8 bytes, little endian. */
void rdb_write_u64(struct rdb_writer *writer, uint64_t value);

/* ---- packed lists ---- */

/* A listpack being written. Zeroed struct = empty. */
struct rdb_listpack {
    char *data; /* heap, kept between lists */
    size_t size, capacity;
    uint64_t count;
};
void rdb_listpack_finish(struct rdb_listpack *list);
/* Most bytes that an item of `size` bytes of text takes. */
size_t rdb_listpack_bound(size_t size);
void rdb_listpack_add(struct rdb_listpack *list, struct bytes text);
/* Writes the list as a string, and begins another one. */
void rdb_write_listpack(struct rdb_writer *writer, struct rdb_listpack *list);

#endif
