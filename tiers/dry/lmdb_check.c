#include "tiers/dry/lmdb_check.h"
#include "tiers/dry/lmdb_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EDGE_FIRST = 1, /* on the way to the first leaf page of a database */
    EDGE_LAST = 2,
};

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
    for (uint64_t pages = page_run(size); pages > 0; pages--) {
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
    if (!page_sane(page, number, kind)) {
        return found_wrong(checker, "a damaged page");
    }
    return true;
}

/* Called for each entry of a leaf page. */
typedef bool node_fn(struct checker *checker, const struct node *node);

/* A place in a walk: a page `depth` levels above nothing. */
struct step {
    uint64_t number;
    unsigned depth;
    unsigned edges;
};

static bool walk(struct checker *checker, struct step step, node_fn *on_node);

static bool walk_leaf(
    struct checker *checker, const struct page *page, node_fn *on_node)
{
    for (size_t i = 0; on_node != NULL && i < page_node_count(page); i++) {
        if (!on_node(checker, page_node(page, i))) {
            return false;
        }
    }
    return true;
}

static void read_ahead(struct checker *checker, const struct page *branch)
{
    for (size_t i = 0; i < page_node_count(branch); i++) {
        uint64_t number = page_child(page_node(branch, i));
        posix_fadvise(checker->fd, (off_t)(number * PAGE_BYTES), PAGE_BYTES,
            POSIX_FADV_WILLNEED);
    }
}

static bool walk_branch(struct checker *checker, const struct page *page,
    struct step step, node_fn *on_node)
{
    size_t count = page_node_count(page);
    if (on_node != NULL) {
        read_ahead(checker, page);
    }
    for (size_t i = 0; i < count; i++) {
        struct step child = {.number = page_child(page_node(page, i)),
            .depth = step.depth - 1,
            .edges = (i == 0 ? step.edges & EDGE_FIRST : 0) |
                     (i == count - 1 ? step.edges & EDGE_LAST : 0)};
        if (!walk(checker, child, on_node)) {
            return false;
        }
    }
    return true;
}

/* A page and what is below it. Leaf pages are read for `on_node` only, and
 * at the edges, where opening a store reads and writing changes. */
static bool walk(struct checker *checker, struct step step, node_fn *on_node)
{
    if (!claim_page(checker, step.number)) {
        return false;
    }
    if (step.depth == 1 && on_node == NULL && step.edges == 0) {
        return true;
    }
    struct page *page = xmalloc(PAGE_BYTES);
    bool sound = load_page(
        checker, step.number, step.depth > 1 ? PAGE_BRANCH : PAGE_LEAF, page);
    if (sound) {
        sound = step.depth > 1 ? walk_branch(checker, page, step, on_node)
                               : walk_leaf(checker, page, on_node);
    }
    free(page);
    return sound;
}

static bool walk_database(struct checker *checker,
    const struct database *database, unsigned flags, node_fn *on_node)
{
    if (database->flags != flags) {
        return found_wrong(checker, "a database of the wrong kind");
    }
    if (database->root == PAGE_NONE) {
        return database->entries == 0 ||
               found_wrong(checker, "a database without its root");
    }
    if (database->depth < 1 || database->depth > PAGE_MAX_DEPTH) {
        return found_wrong(checker, "a database of impossible depth");
    }
    struct step root = {.number = database->root,
        .depth = database->depth,
        .edges = EDGE_FIRST | EDGE_LAST};
    return walk(checker, root, on_node);
}

/* The numbers of the pages a past transaction freed, their count first. */
static bool claim_freed(
    struct checker *checker, const struct node *node, uint64_t *numbers)
{
    size_t size = page_value_size(node);
    uint64_t start;
    if (node->flags & NODE_BIG) {
        memcpy(&start, page_value(node), sizeof(start));
        if (!claim_run(checker, start, size) ||
            !read_exactly(checker->fd, numbers, size,
                start * PAGE_BYTES + PAGE_HEADER_BYTES)) {
            return false;
        }
    } else {
        memcpy(numbers, page_value(node), size);
    }
    for (uint64_t i = 1; i <= numbers[0]; i++) {
        if (i >= size / sizeof(uint64_t) || !claim_page(checker, numbers[i])) {
            return false;
        }
    }
    return true;
}

static bool on_free_list(struct checker *checker, const struct node *node)
{
    size_t size = page_value_size(node);
    bool sound = false;
    if (size >= sizeof(uint64_t) && page_run(size) < checker->page_count) {
        uint64_t *numbers = xmalloc(size + sizeof(uint64_t));
        sound = claim_freed(checker, node, numbers);
        free(numbers);
    }
    if (!sound && checker->wrong == NULL) {
        found_wrong(checker, "a damaged free list");
    }
    return sound;
}

static bool on_value(struct checker *checker, const struct node *node)
{
    uint64_t start;
    if (!(node->flags & NODE_BIG)) {
        return true;
    }
    memcpy(&start, page_value(node), sizeof(start));
    return claim_run(checker, start, page_value_size(node));
}

static bool on_chunk(struct checker *checker, const struct node *node)
{
    if (node->key_size != sizeof(uint64_t) || node->flags & NODE_DATABASE ||
        page_value_size(node) > PAGE_BYTES) {
        return found_wrong(checker, "a damaged chunk");
    }
    return on_value(checker, node);
}

/* The table of databases: ours and nothing else. The pages of `headers` are
 * looked at when they are scanned, for there are many. */
static bool on_database(struct checker *checker, const struct node *node)
{
    static const struct {
        const char *name;
        unsigned flags;
        node_fn *on_node;
    } ours[] = {
        {"system", DATABASE_PLAIN, on_value},
        {"headers", DATABASE_INTEGER_KEYS, NULL},
        {"payloads", DATABASE_INTEGER_KEYS, on_chunk},
    };
    struct database database;
    struct bytes name = bytes_of(node->data, node->key_size);
    size_t i = 0;
    while (i < 3 &&
           !bytes_equal(name, bytes_of(ours[i].name, strlen(ours[i].name)))) {
        i++;
    }
    if (i == 3) {
        checker->foreign = true;
        return found_wrong(checker, "an LMDB file that is not larder's");
    }
    if (node->flags != NODE_DATABASE ||
        page_value_size(node) != sizeof(struct database)) {
        return found_wrong(checker, "a damaged table of databases");
    }
    memcpy(&database, page_value(node), sizeof(database));
    return walk_database(checker, &database, ours[i].flags, ours[i].on_node);
}

/* ---- meta pages ---- */

struct file {
    int fd;
    uint64_t size_bytes;
    uint64_t torn; /* the commit that does not count, or 0 */
};

/* The newer of both meta pages, that counts. */
static enum dry_result load_meta(
    struct file file, struct meta *newest, char *reason, size_t reason_size)
{
    struct meta metas[2];
    int fd = file.fd;
    uint64_t size_bytes = file.size_bytes;
    char buffer[2 * PAGE_BYTES] __attribute__((aligned(8))) = "";
    bool whole = read_exactly(fd, buffer, sizeof(buffer), 0);
    bool first = page_meta(buffer, &metas[0]);
    bool second = page_meta(buffer + PAGE_BYTES, &metas[1]);
    if (whole && !first && !second) {
        snprintf(reason, reason_size, "not an LMDB file of version 0.9");
        return DRY_FOREIGN;
    }
    unsigned last = page_last_meta(metas);
    bool taken_back = file.torn != 0 && metas[last].transaction == file.torn;
    *newest = metas[taken_back ? !last : last];
    /* LMDB finds the second page by what the first one says. */
    if (!whole || !first || !second ||
        metas[0].free_list.page_size != PAGE_BYTES ||
        metas[1].free_list.page_size != PAGE_BYTES) {
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
    bool sound =
        walk_database(
            &checker, &meta->free_list, DATABASE_INTEGER_KEYS, on_free_list) &&
        walk_database(&checker, &meta->table, DATABASE_PLAIN, on_database);
    free(checker.seen);
    if (sound) {
        return DRY_OK;
    }
    snprintf(reason, reason_size, "%s%s",
        checker.foreign ? "" : "damaged: ", checker.wrong);
    return checker.foreign ? DRY_FOREIGN : DRY_CORRUPT;
}

static enum dry_result check_descriptor(int fd, uint64_t torn,
    uint64_t *end_bytes, char *reason, size_t reason_size)
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
        load_meta((struct file){fd, (uint64_t)status.st_size, torn}, &meta,
            reason, reason_size);
    if (result == DRY_OK) {
        *end_bytes = (meta.last_page + 1) * PAGE_BYTES;
        result = check_trees(fd, &meta, reason, reason_size);
    }
    return result;
}

enum dry_result lmdb_check_file(const char *path, uint64_t torn,
    uint64_t *end_bytes, char *reason, size_t reason_size)
{
    char text[160] = "";
    enum dry_result result = DRY_OK;
    *end_bytes = (uint64_t)2 * PAGE_BYTES;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        result = check_descriptor(fd, torn, end_bytes, text, sizeof(text));
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
