#include "tiers/dry/lmdb_changes.h"

#include <stdlib.h>
#include <unistd.h>

#include "tiers/dry/give_way.h"

/* Both commits' pages of one height in a tree, none of them in both. */
struct level {
    struct page_list before, now;
};

struct finder {
    int fd;
    uint64_t page_count;
    struct page_list *written;
    enum changes_result broken; /* what it means that a page is not sound */
    enum changes_result result;
};

static bool stop(struct finder *finder, enum changes_result result)
{
    finder->result = result;
    return false;
}

/* ---- lists ---- */

static void list_add(struct page_list *list, uint64_t number)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 64;
        list->numbers =
            xrealloc(list->numbers, list->capacity * sizeof(*list->numbers));
    }
    list->numbers[list->count++] = number;
}

void page_list_free(struct page_list *list)
{
    free(list->numbers);
    list->numbers = NULL;
    list->count = list->capacity = 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

void page_list_sort(struct page_list *list)
{
    size_t kept = 0;
    if (list->count == 0) {
        return;
    }
    qsort(list->numbers, list->count, sizeof(*list->numbers), compare);
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || list->numbers[i] != list->numbers[kept - 1]) {
            list->numbers[kept++] = list->numbers[i];
        }
    }
    list->count = kept;
}

/* Takes out of both lists what is in both. */
static void level_settle(struct level *level)
{
    struct page_list *before = &level->before, *now = &level->now;
    size_t i = 0, j = 0, before_kept = 0, now_kept = 0;
    page_list_sort(before);
    page_list_sort(now);
    while (i < before->count || j < now->count) {
        if (j == now->count ||
            (i < before->count && before->numbers[i] < now->numbers[j])) {
            before->numbers[before_kept++] = before->numbers[i++];
        } else if (i == before->count || now->numbers[j] < before->numbers[i]) {
            now->numbers[now_kept++] = now->numbers[j++];
        } else {
            i++;
            j++;
        }
    }
    before->count = before_kept;
    now->count = now_kept;
}

static void level_free(struct level *level)
{
    page_list_free(&level->before);
    page_list_free(&level->now);
}

/* ---- pages ---- */

static bool load(
    struct finder *finder, uint64_t number, unsigned kind, struct page *page)
{
    if (number < 2 || number >= finder->page_count) {
        return stop(finder, finder->broken);
    }
    ssize_t got =
        pread(finder->fd, page, PAGE_BYTES, (off_t)(number * PAGE_BYTES));
    if (got < 0) {
        return stop(finder, CHANGES_UNREAD);
    }
    return (got == PAGE_BYTES && page_sane(page, number, kind)) ||
           stop(finder, finder->broken);
}

static void add_children(const struct page *page, struct page_list *below)
{
    for (size_t i = 0; i < page_node_count(page); i++) {
        list_add(below, page_child(page_node(page, i)));
    }
}

/* The overflow pages of a leaf page's values. */
static bool add_runs(
    struct finder *finder, const struct page *page, struct page_list *below)
{
    for (size_t i = 0; i < page_node_count(page); i++) {
        const struct node *node = page_node(page, i);
        uint64_t start;
        if ((node->flags & NODE_BIG) == 0) {
            continue;
        }
        memcpy(&start, page_value(node), sizeof(start));
        uint64_t pages = page_run(page_value_size(node));
        /* Each page has one owner: more of them than there are is garbage. */
        if (start >= finder->page_count || pages > finder->page_count - start ||
            below->count > finder->page_count) {
            return stop(finder, finder->broken);
        }
        for (; pages > 0; pages--) {
            list_add(below, start++);
        }
    }
    return true;
}

/* What is below the pages of a list, which are `height` above nothing. */
static bool add_list_below(struct finder *finder, const struct page_list *list,
    unsigned height, struct page_list *below)
{
    struct page *page = xmalloc(PAGE_BYTES);
    bool good = true;
    struct give_way way = {0};
    for (size_t i = 0; good && i < list->count; i++) {
        give_way(&way, GIVE_WAY_PAGES);
        good = load(finder, list->numbers[i],
            height > 1 ? PAGE_BRANCH : PAGE_LEAF, page);
        if (good && height > 1) {
            add_children(page, below);
        } else if (good) {
            good = add_runs(finder, page, below);
        }
    }
    free(page);
    return good;
}

static bool add_below(struct finder *finder, const struct level *level,
    unsigned height, struct level *below)
{
    finder->broken = CHANGES_STALE;
    if (!add_list_below(finder, &level->before, height, &below->before)) {
        return false;
    }
    finder->broken = CHANGES_BROKEN;
    return add_list_below(finder, &level->now, height, &below->now);
}

static void add_written(struct finder *finder, const struct page_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        list_add(finder->written, list->numbers[i]);
    }
}

/* ---- trees ---- */

static unsigned depth_of(const struct database *database)
{
    return database->root == PAGE_NONE ? 0 : database->depth;
}

/* From the higher root down; in `leaves`, if that is not NULL, the leaf pages
 * of both. */
static bool compare_trees(struct finder *finder, const struct database *before,
    const struct database *now, struct level *leaves)
{
    unsigned before_depth = depth_of(before), now_depth = depth_of(now);
    unsigned height = before_depth > now_depth ? before_depth : now_depth;
    struct level level = {0};
    finder->broken =
        before_depth > PAGE_MAX_DEPTH ? CHANGES_STALE : CHANGES_BROKEN;
    bool good = height <= PAGE_MAX_DEPTH || stop(finder, finder->broken);
    for (; good && height > 0; height--) {
        struct level below = {0};
        if (height == before_depth) {
            list_add(&level.before, before->root);
        }
        if (height == now_depth) {
            list_add(&level.now, now->root);
        }
        level_settle(&level);
        add_written(finder, &level.now);
        good = add_below(finder, &level, height, &below);
        if (height == 1 && leaves != NULL) {
            *leaves = level;
        } else {
            level_free(&level);
        }
        level = below;
    }
    /* The runs of values. */
    level_settle(&level);
    add_written(finder, &level.now);
    level_free(&level);
    return good;
}

/* ---- the databases in the table ---- */

#define DATABASES_MAX 8

struct table {
    struct {
        char name[32];
        size_t size;
        struct database database;
    } rows[DATABASES_MAX];
    size_t count;
};

static bool read_table(
    struct finder *finder, const struct page_list *leaves, struct table *table)
{
    struct page *page = xmalloc(PAGE_BYTES);
    bool good = true;
    for (size_t i = 0; good && i < leaves->count; i++) {
        good = load(finder, leaves->numbers[i], PAGE_LEAF, page);
        for (size_t j = 0; good && j < page_node_count(page); j++) {
            const struct node *node = page_node(page, j);
            good = (node->flags == NODE_DATABASE &&
                       page_value_size(node) == sizeof(struct database) &&
                       node->key_size <= sizeof(table->rows[0].name) &&
                       table->count < DATABASES_MAX) ||
                   stop(finder, finder->broken);
            if (good) {
                memcpy(
                    table->rows[table->count].name, node->data, node->key_size);
                table->rows[table->count].size = node->key_size;
                memcpy(&table->rows[table->count].database, page_value(node),
                    sizeof(struct database));
                table->count++;
            }
        }
    }
    free(page);
    return good;
}

static struct database find_database(
    const struct table *table, const char *name, size_t size)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].size == size &&
            memcmp(table->rows[i].name, name, size) == 0) {
            return table->rows[i].database;
        }
    }
    return (struct database){.root = PAGE_NONE};
}

/* Databases whose row is on a page that both commits have are the same. */
static bool compare_databases(struct finder *finder, const struct level *leaves)
{
    struct table before = {.count = 0}, now = {.count = 0};
    finder->broken = CHANGES_STALE;
    bool good = read_table(finder, &leaves->before, &before);
    finder->broken = CHANGES_BROKEN;
    good = good && read_table(finder, &leaves->now, &now);
    for (size_t i = 0; good && i < now.count; i++) {
        struct database old =
            find_database(&before, now.rows[i].name, now.rows[i].size);
        good = compare_trees(finder, &old, &now.rows[i].database, NULL);
    }
    return good;
}

enum changes_result changes_find(int fd, const struct meta *before,
    const struct meta *now, struct page_list *written)
{
    struct finder finder = {.fd = fd,
        .page_count =
            1 + (now->last_page > before->last_page ? now->last_page
                                                    : before->last_page),
        .written = written,
        .result = CHANGES_FOUND};
    struct level leaves = {0};
    if (compare_trees(&finder, &before->free_list, &now->free_list, NULL) &&
        compare_trees(&finder, &before->table, &now->table, &leaves)) {
        compare_databases(&finder, &leaves);
    }
    level_free(&leaves);
    page_list_sort(written);
    return finder.result;
}
