/* One record by its id. LMDB finds the row and the chunks of the payload; the
 * chunks themselves are read with preadv, not out of the map. LMDB finds them
 * without touching their pages, and a page that nobody has mapped costs no
 * fault when it comes, and no flush of address translations when the kernel
 * takes it back for the next one. */
#include "tiers/dry/lmdb_page.h"
#include "tiers/dry/lmdb_store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

/* Pieces of a payload on pages that follow each other in the file. */
struct run {
    const struct lmdb *store;
    uint64_t start, end; /* in the file */
    struct iovec parts[2 * LMDB_HINT_CHUNKS];
    int count;
    char page_header[PAGE_HEADER_BYTES]; /* between two pieces: not wanted */
};

/* Steps over the first `size` bytes of the parts up to `end`. */
static struct iovec *skip_parts(
    struct iovec *part, const struct iovec *end, size_t size)
{
    while (part < end && size >= part->iov_len) {
        size -= part->iov_len;
        part++;
    }
    if (part < end) {
        part->iov_base = (char *)part->iov_base + size;
        part->iov_len -= size;
    }
    return part;
}

static int read_run(struct run *run)
{
    struct iovec *part = run->parts;
    const struct iovec *end = part + run->count;
    uint64_t at = run->start;
    run->count = 0;
    while (part < end) {
        ssize_t got =
            preadv(run->store->fd, part, (int)(end - part), (off_t)at);
        if (got == 0) {
            return MDB_CORRUPTED; /* behind the end of the file */
        }
        if (got > 0) {
            at += (uint64_t)got;
            part = skip_parts(part, end, (size_t)got);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return MDB_SUCCESS;
}

/* Adds a piece; reads what was added before if it does not follow that. */
static int run_add(struct run *run, const char *piece, size_t size, char *to)
{
    uint64_t start = (uint64_t)(piece - run->store->map);
    if (run->count > 0 && start == run->end + PAGE_HEADER_BYTES) {
        run->parts[run->count++] =
            (struct iovec){run->page_header, PAGE_HEADER_BYTES};
    } else if (run->count > 0) {
        int rc = read_run(run);
        if (rc != MDB_SUCCESS) {
            return rc;
        }
    }
    if (run->count == 0) {
        run->start = start;
    }
    run->parts[run->count++] = (struct iovec){to, size};
    run->end = start + size;
    return MDB_SUCCESS;
}

/* Finds the chunks of a payload and reads them to `to`. */
static int read_chunks(
    MDB_cursor *cursor, struct run *run, struct row row, char *to)
{
    size_t left = row.size;
    while (left > 0) {
        MDB_val key = lmdb_val(&row.chunk, sizeof(row.chunk)), value;
        int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
        if (rc != MDB_SUCCESS || value.mv_size <= row.offset ||
            value.mv_size > LMDB_CHUNK_BYTES) {
            return rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
        }
        size_t size = value.mv_size - row.offset;
        size = size < left ? size : left;
        rc = run_add(run, (char *)value.mv_data + row.offset, size, to);
        if (rc == MDB_SUCCESS && run->count > 2 * (LMDB_HINT_CHUNKS - 1)) {
            rc = read_run(run);
        }
        if (rc != MDB_SUCCESS) {
            return rc;
        }
        to += size;
        left -= size;
        row.chunk++;
        row.offset = 0;
    }
    return read_run(run);
}

static int read_payload(
    const struct lmdb *store, MDB_txn *txn, const struct row *row, char *to)
{
    MDB_cursor *chunks;
    struct run run;
    if (row->size == 0) {
        return MDB_SUCCESS;
    }
    int rc = mdb_cursor_open(txn, store->payloads, &chunks);
    if (rc == MDB_SUCCESS) {
        run.store = store;
        run.count = 0;
        rc = read_chunks(chunks, &run, *row, to);
        mdb_cursor_close(chunks);
    }
    return rc;
}

enum dry_result lmdb_read_record(struct dry_store *base, uint64_t id,
    char **data, size_t *header_bytes, size_t *payload_bytes)
{
    struct lmdb *store = lmdb_of(base);
    MDB_txn *txn;
    MDB_val key = lmdb_val(&id, sizeof(id)), value;
    struct row row;
    struct bytes header;
    *data = NULL;
    int rc = lmdb_env_begin_read(store, &txn);
    if (rc != MDB_SUCCESS) {
        return lmdb_env_result(store, rc);
    }
    rc = mdb_get(txn, store->headers, &key, &value);
    if (rc == MDB_SUCCESS && (!page_value_sane(value.mv_data, value.mv_size) ||
                                 !lmdb_row_parse(value, &row, &header))) {
        rc = MDB_CORRUPTED;
    }
    if (rc == MDB_SUCCESS) {
        *data = malloc(header.size + row.size + 1);
        rc = *data == NULL ? ENOMEM : MDB_SUCCESS;
    }
    if (rc == MDB_SUCCESS) {
        *header_bytes = header.size;
        *payload_bytes = row.size;
        memcpy(*data, header.data, header.size);
        rc = read_payload(store, txn, &row, *data + header.size);
    }
    lmdb_env_end_read(store, txn);
    if (rc != MDB_SUCCESS) {
        free(*data);
        *data = NULL;
    }
    return lmdb_env_result(store, rc);
}
