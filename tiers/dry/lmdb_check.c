#include "tiers/dry/lmdb_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGE_BYTES = 4096,
    PAGE_HEADER_BYTES = 16,
    NODE_HEADER_BYTES = 8,
    META_MAGIC_NUMBER = 0x0eefc0de, /* the lower 28 bits of 0xBEEFC0DE */
    META_VERSION = 1,
    MAX_DEPTH = 32,
    MAX_KEY_BYTES = 511,

    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    NODE_BIG = 0x01,     /* the value is in overflow pages */
    NODE_DATABASE = 0x02 /* the value is the root of a database */
};
static const uint64_t no_page = UINT64_MAX;

/* What LMDB writes, on a little-endian machine of 64 bits. */
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
    char data[]; /* the key, then the value */
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

/* ---- pages ---- */

static size_t node_count(const struct page *page)
{
    return (size_t)(page->lower - PAGE_HEADER_BYTES) / sizeof(uint16_t);
}

static const struct node *node_at(const struct page *page, size_t index)
{
    return (const struct node *)((const char *)page + page->nodes[index]);
}

static size_t value_size(const struct node *node)
{
    return node->low | (size_t)node->high << 16;
}

static const char *value_of(const struct node *node)
{
    return node->data + node->key_size;
}

static uint64_t child_of(const struct node *node)
{
    return node->low | (uint64_t)node->high << 16 | (uint64_t)node->flags << 32;
}

/* Whether the entries of a branch or leaf page all lie within it. */
static bool page_sane(const struct page *page, unsigned kind)
{
    if (page->flags != kind || page->lower < PAGE_HEADER_BYTES ||
        page->lower % 2 != 0 || page->upper < page->lower ||
        page->upper > PAGE_BYTES) {
        return false;
    }
    for (size_t i = 0; i < node_count(page); i++) {
        size_t start = page->nodes[i];
        if (start < page->upper || start + NODE_HEADER_BYTES > PAGE_BYTES ||
            start % 2 != 0) {
            return false;
        }
        const struct node *node = node_at(page, i);
        size_t size = NODE_HEADER_BYTES + node->key_size;
        if (kind == PAGE_LEAF) {
            size +=
                node->flags & NODE_BIG ? sizeof(uint64_t) : value_size(node);
        }
        if (node->key_size > MAX_KEY_BYTES || start + size > PAGE_BYTES) {
            return false;
        }
    }
    return true;
}

bool lmdb_check_leaf(const void *page)
{
    return page_sane(page, PAGE_LEAF);
}

bool lmdb_check_value(const void *data, size_t size)
{
    uintptr_t offset = (uintptr_t)data % PAGE_BYTES;
    const struct page *page =
        (const struct page *)((const char *)data - offset);
    if (offset != PAGE_HEADER_BYTES) {
        return offset > PAGE_HEADER_BYTES && offset + size <= PAGE_BYTES;
    }
    return page->flags == PAGE_OVERFLOW &&
           page->pages ==
               (PAGE_HEADER_BYTES + size + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* ---- the file ---- */

struct checker {
    int fd;
    uint64_t page_count;
    unsigned char *seen; /* a bit a page: each belongs to one owner */
    const char *wrong;   /* what was found, NULL: nothing yet */
    bool foreign;        /* it is sound, but not ours */
};

static bool found_wrong(struct checker *checker, const char *what)
{
    checker->wrong = what;
    return false;
}

static bool claim_page(struct checker *checker, uint64_t number)
{
    if (number < 2 || number >= checker->page_count) {
        return found_wrong(checker, "a page number outside the file");
    }
    unsigned char bit = (unsigned char)(1u << number % 8);
    if (checker->seen[number / 8] & bit) {
        return found_wrong(checker, "a page that is used twice");
    }
    checker->seen[number / 8] |= bit;
    return true;
}

static bool claim_run(struct checker *checker, uint64_t number, size_t size)
{
    size_t pages = (PAGE_HEADER_BYTES + size + PAGE_BYTES - 1) / PAGE_BYTES;
    while (pages-- > 0) {
        if (!claim_page(checker, number++)) {
            return false;
        }
    }
    return true;
}

static bool read_exactly(int fd, void *to, size_t size, uint64_t offset)
{
    return pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* A claimed branch or leaf page into a buffer of PAGE_BYTES. */
static bool load_page(
    struct checker *checker, uint64_t number, unsigned kind, struct page *page)
{
    if (!read_exactly(checker->fd, page, PAGE_BYTES, number * PAGE_BYTES)) {
        return found_wrong(checker, "a page that cannot be read");
    }
    if (page->number != number || !page_sane(page, kind)) {
        return found_wrong(checker, "a damaged page");
    }
    return true;
}

/* Called for each entry of a leaf page. */
typedef bool node_fn(struct checker *checker, const struct node *node);

static bool walk(
    struct checker *checker, uint64_t number, unsigned depth, node_fn *on_node);

static bool walk_leaf(
    struct checker *checker, const struct page *page, node_fn *on_node)
{
    for (size_t i = 0; i < node_count(page); i++) {
        if (!on_node(checker, node_at(page, i))) {
            return false;
        }
    }
    return true;
}

static bool walk_branch(struct checker *checker, const struct page *page,
    unsigned depth, node_fn *on_node)
{
    if (node_count(page) == 0) {
        return found_wrong(checker, "an empty branch page");
    }
    for (size_t i = 0; i < node_count(page); i++) {
        if (!walk(checker, child_of(node_at(page, i)), depth - 1, on_node)) {
            return false;
        }
    }
    return true;
}

/* A subtree of `depth` levels. Leaf pages are read only for `on_node`. */
static bool walk(
    struct checker *checker, uint64_t number, unsigned depth, node_fn *on_node)
{
    if (!claim_page(checker, number)) {
        return false;
    }
    if (depth == 1 && on_node == NULL) {
        return true;
    }
    struct page *page = xmalloc(PAGE_BYTES);
    bool sound =
        load_page(checker, number, depth > 1 ? PAGE_BRANCH : PAGE_LEAF, page);
    if (sound) {
        sound = depth > 1 ? walk_branch(checker, page, depth, on_node)
                          : walk_leaf(checker, page, on_node);
    }
    free(page);
    return sound;
}

static bool walk_database(
    struct checker *checker, const struct database *database, node_fn *on_node)
{
    if (database->root == no_page) {
        return database->entries == 0 ||
               found_wrong(checker, "a database without its root");
    }
    if (database->depth < 1 || database->depth > MAX_DEPTH) {
        return found_wrong(checker, "a database of impossible depth");
    }
    return walk(checker, database->root, database->depth, on_node);
}

/* The numbers of the pages a past transaction freed, the count before them,
 * descending. */
static bool on_free_list(struct checker *checker, const struct node *node)
{
    size_t size = value_size(node);
    bool big = node->flags & NODE_BIG;
    uint64_t start = 0, count;
    uint64_t *numbers = xmalloc(size + sizeof(uint64_t));
    bool sound = node->key_size == sizeof(uint64_t) && size % 8 == 0 &&
                 size >= 8 && (!big || size < checker->page_count * 8 + 4096);
    if (sound && big) {
        memcpy(&start, value_of(node), sizeof(start));
        sound = claim_run(checker, start, size) &&
                read_exactly(checker->fd, numbers, size,
                    start * PAGE_BYTES + PAGE_HEADER_BYTES);
    } else if (sound) {
        memcpy(numbers, value_of(node), size);
    }
    count = sound ? numbers[0] : 0;
    sound = sound && count <= size / 8 - 1;
    for (uint64_t i = 1; sound && i <= count; i++) {
        sound = claim_page(checker, numbers[i]);
    }
    free(numbers);
    return sound || checker->wrong != NULL ||
           found_wrong(checker, "a damaged free list");
}

static bool on_value(struct checker *checker, const struct node *node)
{
    uint64_t start;
    if (!(node->flags & NODE_BIG)) {
        return true;
    }
    memcpy(&start, value_of(node), sizeof(start));
    return claim_run(checker, start, value_size(node));
}

/* The table of databases: ours and nothing else. */
static bool on_database(struct checker *checker, const struct node *node)
{
    struct bytes name = bytes_of(node->data, node->key_size);
    struct database database;
    bool small = bytes_equal(name, BYTES("system"));
    if (!small && !bytes_equal(name, BYTES("headers")) &&
        !bytes_equal(name, BYTES("payloads"))) {
        checker->foreign = true;
        return found_wrong(checker, "an LMDB file that is not larder's");
    }
    if (node->flags != NODE_DATABASE ||
        value_size(node) != sizeof(struct database)) {
        return found_wrong(checker, "a damaged table of databases");
    }
    memcpy(&database, value_of(node), sizeof(database));
    return walk_database(checker, &database, small ? on_value : NULL);
}

/* ---- meta pages ---- */

static bool meta_sane(const char *buffer, struct meta *meta)
{
    const struct page *page = (const struct page *)buffer;
    memcpy(meta, buffer + PAGE_HEADER_BYTES, sizeof(*meta));
    return page->flags == PAGE_META &&
           (meta->magic & 0x0fffffff) == META_MAGIC_NUMBER &&
           meta->version == META_VERSION;
}

/* The newer of both meta pages. */
static enum dry_result load_meta(int fd, uint64_t size_bytes,
    struct meta *newest, char *reason, size_t reason_size)
{
    struct meta metas[2];
    char buffer[2 * PAGE_BYTES] __attribute__((aligned(8))) = "";
    bool whole = read_exactly(fd, buffer, sizeof(buffer), 0);
    bool first = meta_sane(buffer, &metas[0]);
    bool second = meta_sane(buffer + PAGE_BYTES, &metas[1]);
    if (whole && !first && !second) {
        snprintf(reason, reason_size, "not an LMDB file of version 0.9");
        return DRY_FOREIGN;
    }
    *newest = metas[metas[1].transaction > metas[0].transaction];
    if (!whole || !first || !second ||
        newest->free_list.page_size != PAGE_BYTES) {
        snprintf(reason, reason_size, "damaged: a broken meta page");
        return DRY_CORRUPT;
    }
    if (newest->last_page >= size_bytes / PAGE_BYTES) {
        snprintf(reason, reason_size,
            "damaged: cut short, %llu bytes of at least %llu",
            (unsigned long long)size_bytes,
            (unsigned long long)(newest->last_page + 1) * PAGE_BYTES);
        return DRY_CORRUPT;
    }
    return DRY_OK;
}

static enum dry_result check_trees(
    int fd, const struct meta *meta, char *reason, size_t reason_size)
{
    struct checker checker = {.fd = fd, .page_count = meta->last_page + 1};
    checker.seen = xcalloc(checker.page_count / 8 + 1, 1);
    bool sound = walk_database(&checker, &meta->free_list, on_free_list) &&
                 walk_database(&checker, &meta->table, on_database);
    free(checker.seen);
    if (sound) {
        return DRY_OK;
    }
    snprintf(reason, reason_size, "%s%s",
        checker.foreign ? "" : "damaged: ", checker.wrong);
    return checker.foreign ? DRY_FOREIGN : DRY_CORRUPT;
}

static enum dry_result check_descriptor(
    int fd, char *reason, size_t reason_size)
{
    struct stat status;
    struct meta meta;
    if (fstat(fd, &status) != 0) {
        snprintf(reason, reason_size, "%s", strerror(errno));
        return DRY_IO;
    }
    if (!S_ISREG(status.st_mode)) {
        snprintf(reason, reason_size, "not a file");
        return DRY_FOREIGN;
    }
    if (status.st_size == 0) {
        return DRY_OK;
    }
    enum dry_result result =
        load_meta(fd, (uint64_t)status.st_size, &meta, reason, reason_size);
    if (result == DRY_OK) {
        result = check_trees(fd, &meta, reason, reason_size);
    }
    return result;
}

enum dry_result lmdb_check_file(
    const char *path, char *reason, size_t reason_size)
{
    char text[160] = "";
    enum dry_result result = DRY_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        result = check_descriptor(fd, text, sizeof(text));
        close(fd);
    } else if (errno != ENOENT) {
        snprintf(text, sizeof(text), "%s", strerror(errno));
        result = DRY_IO;
    }
    if (result != DRY_OK) {
        snprintf(reason, reason_size, "%s: %s", path, text);
    }
    return result;
}
