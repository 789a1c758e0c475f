#include "tiers/dry/lmdb_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void clear(struct plan *plan)
{
    plan->read_count = plan->part_count = 0;
    plan->piece_count = plan->page_count = 0;
    plan->end = 0;
}

void plan_begin(struct plan *plan, const struct lmdb *store, struct ring *ring)
{
    /* Its arrays are large, and filled as they are used. */
    plan->store = store;
    plan->ring = ring;
    plan->pages = NULL;
    clear(plan);
}

void plan_run(struct plan *plan)
{
    ring_read_all(plan->ring, plan->reads, plan->read_count);
    for (size_t i = 0; i < plan->piece_count; i++) {
        const struct plan_piece *piece = &plan->pieces[i];
        int error = plan->reads[piece->read].error;
        if (error != 0) {
            *piece->code = error == ENODATA ? MDB_CORRUPTED : error;
        } else if (piece->to != NULL) {
            memcpy(piece->to, piece->from, piece->size);
        }
    }
    clear(plan);
}

/* Runs what is planned unless there is room for one read, two parts, one piece
 * and one page more. */
static void make_room(struct plan *plan)
{
    if (plan->read_count == PLAN_READS || plan->part_count + 2 > PLAN_PIECES ||
        plan->piece_count == PLAN_PIECES ||
        plan->page_count == PLAN_DIRECT_PAGES) {
        plan_run(plan);
    }
}

static void begin_read(struct plan *plan, int fd, uint64_t at, const int *code)
{
    plan->owner = code;
    plan->reads[plan->read_count++] = (struct ring_read){
        .fd = fd, .at = at, .parts = plan->parts + plan->part_count};
}

static void add_part(struct plan *plan, void *data, size_t size)
{
    plan->parts[plan->part_count++] =
        (struct iovec){.iov_base = data, .iov_len = size};
    plan->reads[plan->read_count - 1].count++;
}

static void add_piece(struct plan *plan, struct plan_piece piece)
{
    piece.read = plan->read_count - 1;
    plan->pieces[plan->piece_count++] = piece;
}

/* Does a part at `at` go on where the last read ended, which was begun for the
 * same code? One that fails then fails nobody else's. */
static bool goes_on(
    const struct plan *plan, int fd, uint64_t at, const int *code)
{
    return plan->read_count > 0 && plan->reads[plan->read_count - 1].fd == fd &&
           plan->end == at && plan->owner == code;
}

/* Is the page at `page_at` what the last read brings, and all of it? */
static bool is_last_page(const struct plan *plan, int fd, uint64_t page_at)
{
    const struct ring_read *last = plan->reads + plan->read_count - 1;
    return plan->read_count > 0 && last->fd == fd && last->at == page_at &&
           plan->end == page_at + LMDB_PAGE_BYTES;
}

void plan_add(struct plan *plan, uint64_t at, struct iovec part, int *code)
{
    int fd = plan->store->fd;
    make_room(plan);
    if (goes_on(plan, fd, at - PAGE_HEADER_BYTES, code)) {
        add_part(plan, plan->page_header, PAGE_HEADER_BYTES);
    } else {
        begin_read(plan, fd, at, code);
    }
    add_part(plan, part.iov_base, part.iov_len);
    add_piece(plan, (struct plan_piece){.code = code});
    plan->end = at + part.iov_len;
}

void plan_add_direct(
    struct plan *plan, uint64_t at, struct iovec part, int *code)
{
    int fd = plan->store->direct_fd;
    uint64_t page_at = at - at % LMDB_PAGE_BYTES;
    make_room(plan);
    /* Records that were written together share pages. */
    if (!is_last_page(plan, fd, page_at)) {
        char *page = plan->pages + plan->page_count++ * LMDB_PAGE_BYTES;
        if (!goes_on(plan, fd, page_at, code)) {
            begin_read(plan, fd, page_at, code);
            add_part(plan, page, LMDB_PAGE_BYTES);
        } else {
            plan->parts[plan->part_count - 1].iov_len += LMDB_PAGE_BYTES;
        }
        plan->end = page_at + LMDB_PAGE_BYTES;
    }
    const char *page = plan->pages + (plan->page_count - 1) * LMDB_PAGE_BYTES;
    add_piece(plan, (struct plan_piece){.code = code,
                        .to = part.iov_base,
                        .from = page + at % LMDB_PAGE_BYTES,
                        .size = part.iov_len});
}

int plan_open_direct(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    char *page = aligned_alloc(LMDB_PAGE_BYTES, LMDB_PAGE_BYTES);
    /* Some open it and refuse to read. */
    if (fd >= 0 && (page == NULL || pread(fd, page, LMDB_PAGE_BYTES, 0) !=
                                        LMDB_PAGE_BYTES)) {
        close(fd);
        fd = -1;
    }
    free(page);
    return fd;
}
