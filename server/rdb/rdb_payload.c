#include "server/rdb/rdb_payload.h"

#include <endian.h>
#include <isa-l/crc64.h>

#include "server/rdb/rdb.h"

#define SUM_BYTES 8

uint64_t rdb_crc64(struct bytes bytes)
{
    /* The library inverts the sum before and after; Redis does not. */
    return ~crc64_jones_refl(
        UINT64_MAX, (const unsigned char *)bytes.data, bytes.size);
}

/* Redis 7.0 knows none beyond its own version; of later ones only what is new
 * in them is read here. */
static bool version_fits(unsigned version, struct bytes value)
{
    unsigned type = value.size == 0 ? 0 : (unsigned char)value.data[0];
    bool fields = type == RDB_HASH_METADATA || type == RDB_HASH_LISTPACK_EX;
    return version <= (fields ? RDB_VERSION_FIELDS : RDB_VERSION);
}

bool rdb_payload_open(struct bytes payload, struct bytes *value)
{
    uint16_t version;
    uint64_t sum;
    if (payload.size < RDB_FOOTER_BYTES) {
        return false;
    }
    size_t summed = payload.size - SUM_BYTES;
    *value = bytes_of(payload.data, payload.size - RDB_FOOTER_BYTES);
    memcpy(&version, payload.data + value->size, sizeof(version));
    memcpy(&sum, payload.data + summed, sizeof(sum));
    return version_fits(le16toh(version), *value) &&
           le64toh(sum) == rdb_crc64(bytes_of(payload.data, summed));
}

void rdb_payload_seal(struct rdb_writer *writer)
{
    rdb_write_byte(writer, writer->version & 0xff);
    rdb_write_byte(writer, writer->version >> 8);
    if (writer->blob != NULL) {
        uint64_t sum = htole64(rdb_crc64(blob_bytes(writer->blob)));
        rdb_write_bytes(writer, bytes_of(&sum, sizeof(sum)));
    }
}
