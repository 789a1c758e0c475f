/* Rows of the log: the header bytes of a dry store's record.
 *
 *   offset 0  type        u8   ROW_VALUE or ROW_MARKS
 *          1  kind        u8   enum kind: part of the format
 *          2  codec       u8   enum codec
 *          3  flags       u8   1: the payload is inline, behind the key
 *                              2: tag and schema version are there
 *          4  header_sum  u32  XXH3 (low half) of bytes 8 .. end of the key,
 *                              or of all marks, seeded with bytes 0 .. 3
 *          8  keyspace    u32  which database's life it belongs to
 *         12  key_size    u32
 *         16  expiry_ms   i64  0: none
 *         24  payload_sum u64  XXH3 of the payload
 *         32  [tag u32, schema_version u32], key bytes, [fields],
 *             [payload bytes]
 *
 * fields: of a hash whose fields may expire, i64 first_ms, last_ms (struct
 * field_deadlines); part of what header_sum sums.
 *
 * A marks row instead has at 8 an u32 count, then that many marks of
 * 28 bytes: what happened to older records since. Little endian.
 *
 * Nothing read from disk is trusted: record_parse checks every length and
 * sum. Any thread. */
#ifndef LARDER_TIERS_RECORD_H
#define LARDER_TIERS_RECORD_H

#include "tiers/entry.h"

#define RECORD_HEADER_BYTES 32
#define RECORD_EXTRA_BYTES 8
/* Payloads up to this size lie in the header row itself. */
#define RECORD_INLINE_MAX_BYTES 256
#define RECORD_MARK_BYTES 28
#define RECORD_MARKS_MAX 60

enum row_type { ROW_VALUE = 1, ROW_MARKS = 2 };

struct record {
    enum kind kind;
    enum codec codec;
    uint32_t keyspace;
    int64_t expiry_ms;
    uint32_t tag, schema_version;
    struct field_deadlines fields; /* of kinds that have them */
    struct bytes key;
    struct bytes payload; /* when inline or given; else empty */
    bool payload_inline;
    bool damaged; /* to write: a record whose payload was lost */
    uint64_t payload_sum;
};

enum mark_kind { MARK_DEAD = 1, MARK_EXPIRY = 2 };
struct mark {
    enum mark_kind kind;
    uint32_t keyspace;
    uint64_t id;   /* the record it is about */
    uint64_t hash; /* of that record's key, to find its entry */
    int64_t expiry_ms;
};

/* Size of the row record_write will make; the payload is inline when small. */
size_t record_row_bytes(const struct record *record);
bool record_is_inline(size_t payload_bytes);
/* What a record with so many bytes of payload counts for in the log, and while
 * it lives in what is live: the payload as roughly as its entry remembers it,
 * so that the two are equal when nothing is dead. Keys are not counted. */
uint64_t record_log_bytes(uint64_t payload_bytes);
/* Writes the row (computing the sums) into `out`. */
void record_write(const struct record *record, char *out);
/* Reads a value row; key and payload borrow from it. False: damaged. */
bool record_parse(struct bytes row, struct record *record);
bool record_check_payload(const struct record *record, struct bytes payload);

/* ROW_VALUE, ROW_MARKS, or 0 when the row is neither. */
enum row_type record_row_type(struct bytes row);
size_t record_marks_bytes(unsigned count);
void record_write_marks(const struct mark *marks, unsigned count, char *out);
/* The marks of a row into `marks` (room for RECORD_MARKS_MAX); their number
 * or -1 when damaged. */
int record_parse_marks(struct bytes row, struct mark *marks);

#endif
