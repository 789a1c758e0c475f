/* libFuzzer target: what RESTORE is given, its checksum repaired. Any bytes
 * are read to an end without touching others, and what a packed list gave is
 * given again after it was written as a listpack. */
#include <stdlib.h>

#include "server/rdb/rdb_decode.h"
#include "server/rdb/rdb_payload.h"

#define ROOM (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    uint64_t digest;
    struct rdb_listpack copy; /* of elements */
};

static void digest(struct outcome *outcome, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        outcome->digest =
            (outcome->digest ^ (unsigned char)text.data[i]) * 1099511628211u;
    }
    outcome->digest = (outcome->digest ^ text.size) * 1099511628211u;
}

static bool keep(void *context, const struct rdb_part *part)
{
    struct outcome *outcome = context;
    check(part->score == part->score);
    digest(outcome, part->text);
    digest(outcome, part->value);
    if (part->shape == RDB_ELEMENTS) {
        rdb_listpack_add(&outcome->copy, part->text);
    }
    return true;
}

static bool decode(struct bytes value, struct outcome *outcome)
{
    struct rdb_reader reader;
    rdb_reader_init(&reader, value, ROOM);
    unsigned type = rdb_read_byte(&reader);
    bool whole = !reader.failed && rdb_decode(&reader, type, keep, outcome);
    rdb_reader_finish(&reader);
    return whole;
}

/* The elements again, from one listpack. */
static void decode_copy(struct outcome *outcome)
{
    struct rdb_writer writer;
    struct outcome again = {0};
    rdb_writer_init(&writer, outcome->digest % 2 == 0);
    rdb_write_byte(&writer, RDB_LIST_QUICKLIST_2);
    rdb_write_length(&writer, 1);
    rdb_write_length(&writer, RDB_NODE_PACKED);
    rdb_write_listpack(&writer, &outcome->copy);
    check(decode(blob_bytes(writer.blob), &again));
    check(again.digest == outcome->digest);
    rdb_listpack_finish(&again.copy);
    rdb_writer_finish(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rdb_writer writer;
    struct outcome outcome = {0};
    struct bytes value;
    rdb_writer_init(&writer, false);
    rdb_write_bytes(&writer, bytes_of(data, size));
    rdb_payload_seal(&writer);
    check(rdb_payload_open(blob_bytes(writer.blob), &value));
    /* Exactly as long as it is: reading on is noticed. */
    char *exact = malloc(value.size + 1);
    check(exact != NULL);
    memcpy(exact, value.data, value.size);
    char *shifted = realloc(exact, value.size > 0 ? value.size : 1);
    check(shifted != NULL);
    if (decode(bytes_of(shifted, value.size), &outcome) &&
        outcome.copy.count > 0) {
        decode_copy(&outcome);
    }
    rdb_listpack_finish(&outcome.copy);
    free(shifted);
    rdb_writer_finish(&writer);
    return 0;
}
