/* What DUMP answers: a type, a value, u16 version of the format, u64 CRC of
 * all that; both little-endian. Any thread. */
#ifndef LARDER_SERVER_RDB_RDB_PAYLOAD_H
#define LARDER_SERVER_RDB_RDB_PAYLOAD_H

#include "server/rdb/rdb_writer.h"

#define RDB_FOOTER_BYTES 10

/* CRC-64 with Jones' polynomial, as Redis computes it. */
uint64_t rdb_crc64(struct bytes bytes);
/* The type and the value of a payload; false when its version is newer than
 * ours or its sum is wrong. */
bool rdb_payload_open(struct bytes payload, struct bytes *value);
/* Puts version and sum behind what was written. */
void rdb_payload_seal(struct rdb_writer *writer);

#endif
