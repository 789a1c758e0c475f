/* libFuzzer target: what a damaged disk may hand out, its checksums repaired.
 * The first byte chooses: a row of the log; packed bytes; a value of some
 * kind, which either is refused or can be decoded, encoded and decoded again
 * without a change. */
#include <stdlib.h>
#include <xxhash.h>

#include "tiers/codec.h"
#include "tiers/index.h"
#include "tiers/record.h"
#include "tiers/values/value.h"

#define RAW_MAX_BYTES (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[INDEX_SECRET_BYTES] = {1, 2, 3};

/* On the heap and exactly as long as it is: reading on is noticed. */
static struct bytes exact(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    check(copy != NULL);
    memcpy(copy, data, size);
    return bytes_of(copy, size);
}

/* The sum over everything up to the key's end, or all marks; see record.h. */
static void repair(char *row, size_t size)
{
    uint32_t seed, key_size, sum;
    if (size < RECORD_HEADER_BYTES) {
        return;
    }
    memcpy(&seed, row, 4);
    memcpy(&key_size, row + 12, 4);
    size_t end = row[0] == ROW_VALUE && key_size <= size - RECORD_HEADER_BYTES
                     ? RECORD_HEADER_BYTES + key_size
                     : size;
    sum = (uint32_t)XXH3_64bits_withSeed(row + 8, end - 8, seed);
    memcpy(row + 4, &sum, 4);
}

static void read_row(const uint8_t *data, size_t size)
{
    struct bytes row = exact(data, size);
    struct record record;
    struct mark marks[RECORD_MARKS_MAX];
    repair((char *)row.data, size);
    if (record_parse(row, &record)) {
        check(record.key.size <= size);
        if (record.payload_inline &&
            record_check_payload(&record, record.payload)) {
            char *again = malloc(record_row_bytes(&record));
            check(again != NULL);
            record_write(&record, again);
            free(again);
        }
    }
    int count = record_parse_marks(row, marks);
    check(count >= -1 && count <= RECORD_MARKS_MAX);
    free((char *)row.data);
}

static void unpack(const uint8_t *data, size_t size)
{
    struct bytes packed = exact(data, size);
    struct packer *packer = packer_create();
    for (enum codec codec = CODEC_LZ4; codec <= CODEC_ZLIB; codec++) {
        size_t raw = codec_raw_bytes(codec, packed);
        if (raw <= RAW_MAX_BYTES) {
            char *out = malloc(raw > 0 ? raw : 1);
            check(out != NULL);
            codec_unpack(packer, codec, packed, out);
            free(out);
        }
    }
    packer_destroy(packer);
    free((char *)packed.data);
}

static char *encode(const struct value *value, size_t *size)
{
    *size = value_encoded_bytes(value);
    char *out = malloc(*size > 0 ? *size : 1);
    check(out != NULL);
    value_encode(value, out);
    return out;
}

static void release(struct value *value)
{
    while (!value_release(value, SIZE_MAX)) {
    }
}

static void read_tree(enum kind kind, struct bytes payload)
{
    struct value *value = value_decode(kind, payload, secret);
    if (value == NULL) {
        return;
    }
    size_t first, second;
    char *once = encode(value, &first);
    struct value *same =
        value_decode(value->kind, bytes_of(once, first), secret);
    check(same != NULL);
    char *twice = encode(same, &second);
    check(first == second && memcmp(once, twice, first) == 0);
    release(value);
    release(same);
    free(once);
    free(twice);
}

/* What was found sane can be walked, both ways, to as many items. */
static void read_flat(enum kind kind, struct bytes payload)
{
    uint64_t count, forth = 0, back = 0;
    struct seq seq;
    struct seq_cursor cursor;
    if (!value_check(kind, payload)) {
        return;
    }
    struct bytes items = value_flat_items(payload, &count);
    seq_open_flat(&seq, value_shape(kind), items, count, secret);
    for (seq_at(&seq, 0, &cursor); !seq_at_end(&cursor); seq_next(&cursor)) {
        struct bytes item = seq_item(&cursor);
        check(item.data >= items.data &&
              item.data + item.size <= items.data + items.size);
        forth++;
    }
    while (seq_prev(&cursor)) {
        back++;
    }
    check(forth == count && back == count);
    seq_close(&seq);
}

static void read_value(enum kind kind, const uint8_t *data, size_t size)
{
    struct bytes payload = exact(data, size);
    if (value_form(kind) == VALUE_TREE) {
        read_tree(kind, payload);
    } else if (value_form(kind) == VALUE_FLAT) {
        read_flat(kind, payload);
    }
    free((char *)payload.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    unsigned what = data[0] % (KIND_COUNT + 2);
    if (what == KIND_COUNT) {
        read_row(data + 1, size - 1);
    } else if (what == KIND_COUNT + 1) {
        unpack(data + 1, size - 1);
    } else {
        read_value((enum kind)what, data + 1, size - 1);
    }
    return 0;
}
