#include "tiers/values/stream_block.h"

/* The longest prefix of an entry: three varints. */
#define ENTRY_HEAD_MAX (3 * ELEMENT_HEAD_MAX)

/* ---- reading ---- */

static const char *number(const char *at, const char *end, uint64_t *value)
{
    at = varint_read(at, end, value);
    check(at != NULL);
    return at;
}

void stream_block_open(struct bytes item, struct stream_block *block)
{
    uint64_t head = 0;
    block->base = stream_id_read(item.data);
    block->end = item.data + item.size;
    const char *at = number(item.data + STREAM_ID_BYTES, block->end, &head);
    block->count = (unsigned char)*at;
    at = number(at + 1, block->end, &block->name_count);
    block->names = at;
    for (uint64_t i = 0; i < block->name_count; i++) {
        at = element_skip(at);
    }
    block->entries = at;
}

const char *stream_block_read(const struct stream_block *block, const char *at,
    struct stream_block_entry *entry)
{
    uint64_t ms = 0, seq = 0, words = 0;
    at = number(at, block->end, &ms);
    at = number(at, block->end, &seq);
    at = number(at, block->end, &words);
    entry->id = (struct stream_id){
        block->base.ms + ms, ms == 0 ? block->base.seq + seq : seq};
    entry->has_names = words > 0;
    entry->words = words > 0 ? words : 2 * block->name_count;
    entry->text = at;
    uint64_t own = words > 0 ? words : block->name_count;
    for (uint64_t i = 0; i < own; i++) {
        at = element_skip(at);
    }
    return at;
}

/* ---- checking: NULL goes through ---- */

static const char *check_elements(
    const char *at, const char *end, uint64_t count)
{
    for (uint64_t i = 0; at != NULL && i < count; i++) {
        at = at < end ? element_check(at, end) : NULL;
    }
    return at;
}

static const char *check_entry(
    const struct stream_block *block, const char *at, struct stream_id *last)
{
    uint64_t ms = 0, seq = 0, words = 0;
    at = varint_read_on(at, block->end, &ms);
    at = varint_read_on(at, block->end, &seq);
    at = varint_read_on(at, block->end, &words);
    struct stream_id id = {
        block->base.ms + ms, ms == 0 ? block->base.seq + seq : seq};
    if (at == NULL || words % 2 != 0 || id.ms < block->base.ms ||
        (ms == 0 && id.seq < seq) || stream_id_compare(id, *last) <= 0) {
        return NULL;
    }
    *last = id;
    return check_elements(
        at, block->end, words > 0 ? words : block->name_count);
}

unsigned stream_block_check(struct bytes item, struct stream_id *last)
{
    struct stream_block block = {
        .base = stream_id_read(item.data), .end = item.data + item.size};
    uint64_t head = 0;
    const char *at =
        varint_read_on(item.data + STREAM_ID_BYTES, block.end, &head);
    /* A text, not an integer. */
    if (at == NULL || (head & 1) != 0 || at == block.end ||
        stream_id_compare(block.base, *last) < 0) {
        return 0;
    }
    block.count = (unsigned char)*at;
    at = varint_read_on(at + 1, block.end, &block.name_count);
    at = check_elements(at, block.end, block.name_count);
    if (block.count > STREAM_BLOCK_ENTRIES) {
        return 0;
    }
    for (unsigned i = 0; at != NULL && i < block.count; i++) {
        at = check_entry(&block, at, last);
    }
    return at == block.end ? block.count : 0;
}

/* ---- writing ---- */

static char *write_words(
    char *out, const struct bytes *words, size_t count, size_t step)
{
    for (size_t i = 0; i < count; i += step) {
        out += element_write(out, words[i]);
    }
    return out;
}

static size_t words_size(const struct bytes *words, size_t count, size_t step)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i += step) {
        size += element_size(words[i]);
    }
    return size;
}

size_t stream_block_bound(const struct bytes *words, size_t count)
{
    return STREAM_ID_BYTES + 2 * ELEMENT_HEAD_MAX + 1 + ENTRY_HEAD_MAX +
           words_size(words, count, 1);
}

/* Writes base id and head of an item whose block takes `size` bytes. */
static char *write_head(char *out, struct stream_id base, size_t size)
{
    stream_id_write(out, base);
    out += STREAM_ID_BYTES;
    return out + varint_write(out, (uint64_t)size << 1);
}

size_t stream_block_begin(
    char *out, struct stream_id id, const struct bytes *words, size_t count)
{
    size_t size = 1 + varint_size(count / 2) + words_size(words, count, 1) + 3;
    char *at = write_head(out, id, size);
    *at++ = 1;
    at += varint_write(at, count / 2);
    at = write_words(at, words, count, 2);
    memset(at, 0, 3); /* the base id, the block's names */
    at = write_words(at + 3, words + 1, count - 1, 2);
    return (size_t)(at - out);
}

static bool names_are(
    const struct stream_block *block, const struct bytes *words, size_t count)
{
    const char *at = block->names;
    if (block->name_count != count / 2) {
        return false;
    }
    for (size_t i = 0; i < count; i += 2) {
        struct element name;
        at = element_read(at, &name);
        if (!bytes_equal(element_text(&name), words[i])) {
            return false;
        }
    }
    return true;
}

size_t stream_block_append(char *out, struct bytes item, struct stream_id id,
    const struct bytes *words, size_t count)
{
    struct stream_block block;
    if (item.size >= STREAM_BLOCK_BYTES) {
        return 0;
    }
    stream_block_open(item, &block);
    bool same = names_are(&block, words, count);
    size_t words_bytes = same ? words_size(words + 1, count - 1, 2)
                              : words_size(words, count, 1);
    if (block.count == STREAM_BLOCK_ENTRIES ||
        item.size + words_bytes + ENTRY_HEAD_MAX + 1 > STREAM_BLOCK_BYTES) {
        return 0;
    }
    char head[ENTRY_HEAD_MAX];
    uint64_t ms = id.ms - block.base.ms;
    size_t head_size = varint_write(head, ms);
    head_size += varint_write(
        head + head_size, ms == 0 ? id.seq - block.base.seq : id.seq);
    head_size += varint_write(head + head_size, same ? 0 : count);
    uint64_t old = 0;
    const char *body = number(item.data + STREAM_ID_BYTES, block.end, &old);
    size_t size = (size_t)(block.end - body);
    char *at = write_head(out, block.base, size + head_size + words_bytes);
    memcpy(at, body, size);
    *at = (char)(block.count + 1);
    memcpy(at + size, head, head_size);
    at += size + head_size;
    at = same ? write_words(at, words + 1, count - 1, 2)
              : write_words(at, words, count, 1);
    return (size_t)(at - out);
}

size_t stream_block_cut(char *out, struct bytes item, const char *from,
    const char *to, unsigned count)
{
    struct stream_block block;
    stream_block_open(item, &block);
    uint64_t old = 0;
    const char *body = number(item.data + STREAM_ID_BYTES, block.end, &old);
    size_t before = (size_t)(from - body), behind = (size_t)(block.end - to);
    char *at = write_head(out, block.base, before + behind);
    memcpy(at, body, before);
    memcpy(at + before, to, behind);
    *at = (char)(block.count - count);
    return (size_t)(at + before + behind - out);
}
