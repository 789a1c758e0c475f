#include "tiers/dry/lmdb_page.h"

enum { MAX_KEY_BYTES = 511, META_VERSION = 1 };
static const uint32_t meta_magic = 0xbeefc0de;

bool page_meta(const void *page, struct meta *meta)
{
    memcpy(meta, (const char *)page + PAGE_HEADER_BYTES, sizeof(*meta));
    return ((const struct page *)page)->flags == PAGE_META &&
           meta->magic == meta_magic && meta->version == META_VERSION;
}

unsigned page_last_meta(const struct meta metas[2])
{
    uint64_t first = metas[0].transaction, second = metas[1].transaction;
    return first == second ? (unsigned)(first % 2) : second > first;
}

size_t page_node_count(const struct page *page)
{
    return (size_t)(page->lower - PAGE_HEADER_BYTES) / sizeof(uint16_t);
}

const struct node *page_node(const struct page *page, size_t index)
{
    return (const struct node *)((const char *)page + page->nodes[index]);
}

size_t page_value_size(const struct node *node)
{
    return node->low | (size_t)node->high << 16;
}

const char *page_value(const struct node *node)
{
    return node->data + node->key_size;
}

uint64_t page_child(const struct node *node)
{
    return node->low | (uint64_t)node->high << 16 | (uint64_t)node->flags << 32;
}

uint64_t page_run(size_t value_size)
{
    return (PAGE_HEADER_BYTES + value_size + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* Bytes that the node takes of its page, rounded up as LMDB does. */
static size_t node_size(const struct node *node, unsigned kind)
{
    size_t size = NODE_HEADER_BYTES + node->key_size;
    if (kind == PAGE_LEAF) {
        size +=
            node->flags & NODE_BIG ? sizeof(uint64_t) : page_value_size(node);
    }
    return size + size % 2;
}

static bool leaf_flags_sane(const struct node *node)
{
    return (node->flags & ~(NODE_BIG | NODE_DATABASE)) == 0 &&
           node->flags != (NODE_BIG | NODE_DATABASE);
}

bool page_header_sane(const struct page *page, uint64_t number, unsigned kind)
{
    return page->number == number && page->flags == kind &&
           page->lower > PAGE_HEADER_BYTES && page->lower % 2 == 0 &&
           page->upper >= page->lower && page->upper <= PAGE_BYTES;
}

bool page_node_sane(const struct page *page, size_t index, unsigned kind)
{
    size_t start = page->nodes[index];
    if (start < page->upper || start + NODE_HEADER_BYTES > PAGE_BYTES ||
        start % 2 != 0) {
        return false;
    }
    const struct node *node = page_node(page, index);
    return node->key_size <= MAX_KEY_BYTES &&
           start + node_size(node, kind) <= PAGE_BYTES &&
           (kind != PAGE_LEAF || leaf_flags_sane(node));
}

bool page_sane(const struct page *page, uint64_t number, unsigned kind)
{
    if (!page_header_sane(page, number, kind)) {
        return false;
    }
    size_t taken = 0;
    for (size_t i = 0; i < page_node_count(page); i++) {
        if (!page_node_sane(page, i, kind)) {
            return false;
        }
        taken += node_size(page_node(page, i), kind);
    }
    /* They fill the page's end without gaps: removing one moves the others by
     * its size, and a wrong size would tear them apart. */
    return taken + page->upper == PAGE_BYTES;
}

bool page_value_sane(const void *value, size_t size)
{
    uintptr_t offset = (uintptr_t)value % PAGE_BYTES;
    const struct page *page =
        (const struct page *)((const char *)value - offset);
    if (offset != PAGE_HEADER_BYTES) {
        return offset > PAGE_HEADER_BYTES && offset + size <= PAGE_BYTES;
    }
    return page->flags == PAGE_OVERFLOW && page->pages == page_run(size);
}
