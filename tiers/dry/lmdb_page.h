/* Pages of an LMDB 0.9 file as they are on disk (little-endian, 64 bits),
 * read without LMDB, which trusts its file: a damaged page makes it read out
 * of bounds or abort. */
#ifndef LARDER_TIERS_DRY_LMDB_PAGE_H
#define LARDER_TIERS_DRY_LMDB_PAGE_H

#include "protocol/bytes.h"

enum {
    PAGE_BYTES = 4096,
    PAGE_HEADER_BYTES = 16,
    NODE_HEADER_BYTES = 8,
    PAGE_MAX_DEPTH = 32,

    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    NODE_BIG = 0x01,      /* the value is in overflow pages */
    NODE_DATABASE = 0x02, /* the value is the root of a database */

    DATABASE_PLAIN = 0,
    DATABASE_INTEGER_KEYS = 0x08,
};
#define PAGE_NONE UINT64_MAX /* the root of an empty database */

struct page {
    uint64_t number;
    uint16_t unused;
    uint16_t flags;
    union {
        struct {
            uint16_t lower, upper; /* the free space between them */
        };
        uint32_t pages; /* of an overflow run */
    };
    uint16_t nodes[];
};
struct node {
    uint16_t low, high; /* size of the value, or the child's page number */
    uint16_t flags;     /* or the page number's bits above 32 */
    uint16_t key_size;
    char data[]; /* the key, then the value or its page's number */
};
struct database {
    uint32_t page_size;
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages;
    uint64_t entries;
    uint64_t root;
};
struct meta {
    uint32_t magic;
    uint32_t version;
    uint64_t address, map_size;
    struct database free_list, table;
    uint64_t last_page;
    uint64_t transaction;
};
_Static_assert(sizeof(struct page) == PAGE_HEADER_BYTES, "as on disk");
_Static_assert(sizeof(struct node) == NODE_HEADER_BYTES, "as on disk");
_Static_assert(sizeof(struct database) == 48, "as on disk");
_Static_assert(sizeof(struct meta) == 136, "as on disk");

/* What a meta page says, whose bytes are aligned. False: it is none. */
bool page_meta(const void *page, struct meta *meta);
/* Which of both meta pages LMDB goes by: the newer. Of two with one number, of
 * which one was taken back, that in its own place: the other is a copy, or what
 * LMDB has left of a commit that failed. */
unsigned page_last_meta(const struct meta metas[2]);
/* Whether this is page `number`, a branch or leaf page (`kind`), and all its
 * entries lie within it. */
bool page_sane(const struct page *page, uint64_t number, unsigned kind);
/* The same of its header alone, which says that it has entries; and of one
 * entry, when the header is sound. */
bool page_header_sane(const struct page *page, uint64_t number, unsigned kind);
bool page_node_sane(const struct page *page, size_t index, unsigned kind);
size_t page_node_count(const struct page *page);
const struct node *page_node(const struct page *page, size_t index);
/* Of a branch page. */
uint64_t page_child(const struct node *node);
/* Of a leaf page. The value's bytes follow the key unless the node is big;
 * then the number of its first overflow page does. */
size_t page_value_size(const struct node *node);
const char *page_value(const struct node *node);
/* Pages an overflow run of a value takes. */
uint64_t page_run(size_t value_size);
/* Whether a value in the map lies within its leaf page, or in overflow pages
 * of its own. Not for what a write transaction has changed: that is not in
 * the map. */
bool page_value_sane(const void *value, size_t size);

#endif
