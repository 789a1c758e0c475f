/* The list of warm keys as a file:
 *
 *   8 bytes   "larwarm1"
 *   16 bytes  an item, again and again
 *   8 bytes   XXH3 of all before
 *
 * Little-endian, as the store. It is written beside its name and moved there
 * when it is whole. Nothing is synced: what a power cut leaves of it shows. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "tiers/engine_internal.h"

#define MAGIC "larwarm1"
#define MAGIC_BYTES 8
#define SUM_BYTES 8
#define NAME "warm"
#define NEW_NAME "warm.new"
#define PATH_BYTES 4096
/* Items handed to a worker at a time. */
#define CHUNK_ITEMS 16384
/* Left free, for what one step of a walk finds. */
#define CHUNK_SPARE 1024

/* ---- writing ---- */

struct warm_write {
    struct dry_job job; /* first */
    struct dry_workers *workers;
    const char *path;
    FILE *file;
    XXH3_state_t *sum;
    bool begun, busy, last, failed;
    unsigned count;
    struct warm_item items[CHUNK_ITEMS];
};

static bool file_path(const char *directory, const char *name, char *out)
{
    int size = snprintf(out, PATH_BYTES, "%s/%s", directory, name);
    return size > 0 && size < PATH_BYTES;
}

struct warm_write *warm_write_begin(
    const char *path, struct dry_workers *workers)
{
    struct warm_write *write = xmalloc(sizeof *write);
    memset(write, 0, offsetof(struct warm_write, items));
    write->path = path;
    write->workers = workers;
    write->sum = XXH3_createState();
    check(write->sum != NULL);
    XXH3_64bits_reset(write->sum);
    return write;
}

bool warm_write_is_idle(const struct warm_write *write)
{
    return !write->busy;
}

bool warm_write_is_full(const struct warm_write *write)
{
    return write->count > CHUNK_ITEMS - CHUNK_SPARE;
}

void warm_write_add(struct warm_write *write, const struct warm_item *item)
{
    check(!write->busy);
    if (write->count < CHUNK_ITEMS) {
        write->items[write->count++] = *item;
    }
}

static bool put(struct warm_write *write, const void *data, size_t size)
{
    XXH3_64bits_update(write->sum, data, size);
    return fwrite(data, 1, size, write->file) == size;
}

static bool open_new(struct warm_write *write)
{
    char path[PATH_BYTES];
    write->begun = true;
    if (!file_path(write->path, NEW_NAME, path)) {
        return false;
    }
    int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    write->file = fd < 0 ? NULL : fdopen(fd, "we");
    if (write->file == NULL && fd >= 0) {
        close(fd);
    }
    return write->file != NULL && put(write, MAGIC, MAGIC_BYTES);
}

static bool finish_new(struct warm_write *write)
{
    char new_path[PATH_BYTES], path[PATH_BYTES];
    uint64_t sum = XXH3_64bits_digest(write->sum);
    bool good = fwrite(&sum, 1, SUM_BYTES, write->file) == SUM_BYTES;
    good = fclose(write->file) == 0 && good;
    write->file = NULL;
    return good && file_path(write->path, NEW_NAME, new_path) &&
           file_path(write->path, NAME, path) && rename(new_path, path) == 0;
}

/* Worker thread. */
static void on_write(struct dry_job *job, struct dry_store *store)
{
    struct warm_write *write = (struct warm_write *)job;
    (void)store;
    if (!write->failed && !write->begun) {
        write->failed = !open_new(write);
    }
    if (!write->failed) {
        write->failed =
            !put(write, write->items, write->count * sizeof *write->items);
    }
    if (!write->failed && write->last) {
        write->failed = !finish_new(write);
    }
}

static void on_written(struct dry_job *job)
{
    struct warm_write *write = (struct warm_write *)job;
    write->busy = false;
    write->count = 0;
}

void warm_write_flush(struct warm_write *write, bool last)
{
    check(!write->busy);
    write->busy = true;
    write->last = last;
    write->job.kind = DRY_JOB_CALL;
    write->job.call = on_write;
    write->job.done = on_written;
    dry_workers_submit(write->workers, &write->job);
    dry_workers_flush(write->workers);
}

bool warm_write_end(struct warm_write *write)
{
    char path[PATH_BYTES];
    bool good = !write->failed;
    check(!write->busy);
    if (write->file != NULL) {
        fclose(write->file);
    }
    if (write->begun && (write->failed || !write->last) &&
        file_path(write->path, NEW_NAME, path)) {
        unlink(path);
    }
    XXH3_freeState(write->sum);
    free(write);
    return good;
}

/* ---- reading ---- */

struct warm_read {
    struct dry_job job; /* first */
    struct engine *engine;
    uint32_t now_tick;
    size_t bytes_max;
    enum warm_result result;
    struct warm_item *items;
    size_t count;
};

static uint32_t idle_ticks(const struct warm_item *item, uint32_t now_tick)
{
    uint32_t used = item->access >> ACCESS_FREQUENCY_BITS;
    return (now_tick - used) & ACCESS_TICK_MASK;
}

static int compare_idle(const void *left, const void *right, void *context)
{
    const uint32_t *now_tick = context;
    uint32_t a = idle_ticks(left, *now_tick);
    uint32_t b = idle_ticks(right, *now_tick);
    return (a < b) - (a > b);
}

/* `size` bytes of which the head and the sum are none of the items. */
static enum warm_result read_items(
    struct warm_read *read, FILE *file, size_t size)
{
    char magic[MAGIC_BYTES];
    uint64_t sum;
    XXH3_state_t *state = XXH3_createState();
    size_t items_bytes = size - MAGIC_BYTES - SUM_BYTES;
    check(state != NULL);
    read->count = items_bytes / sizeof *read->items;
    read->items = xmalloc(items_bytes + 1);
    bool whole = items_bytes % sizeof *read->items == 0 &&
                 fread(magic, 1, MAGIC_BYTES, file) == MAGIC_BYTES &&
                 fread(read->items, 1, items_bytes, file) == items_bytes &&
                 fread(&sum, 1, SUM_BYTES, file) == SUM_BYTES;
    if (whole) {
        XXH3_64bits_reset(state);
        XXH3_64bits_update(state, magic, MAGIC_BYTES);
        XXH3_64bits_update(state, read->items, items_bytes);
    }
    bool good = whole && memcmp(magic, MAGIC, MAGIC_BYTES) == 0 &&
                XXH3_64bits_digest(state) == sum;
    XXH3_freeState(state);
    return good ? WARM_READ : WARM_DAMAGED;
}

static enum warm_result read_file(struct warm_read *read)
{
    char path[PATH_BYTES];
    struct stat status;
    if (!file_path(read->engine->options.path, NAME, path)) {
        return WARM_ABSENT;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT ? WARM_ABSENT : WARM_DAMAGED;
    }
    enum warm_result result = WARM_DAMAGED;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size >= MAGIC_BYTES + SUM_BYTES) {
        size_t size = (size_t)status.st_size;
        result = size > read->bytes_max ? WARM_TOO_LARGE
                                        : read_items(read, file, size);
    }
    fclose(file);
    return result;
}

/* Worker thread. */
static void on_read(struct dry_job *job, struct dry_store *store)
{
    struct warm_read *read = (struct warm_read *)job;
    (void)store;
    read->result = read_file(read);
    if (read->result == WARM_READ) {
        qsort_r(read->items, read->count, sizeof *read->items, compare_idle,
            &read->now_tick);
    }
}

static void on_was_read(struct dry_job *job)
{
    struct warm_read *read = (struct warm_read *)job;
    warm_was_read(read->engine);
}

struct warm_read *warm_read_begin(struct engine *engine,
    struct dry_workers *workers, uint32_t now_tick, size_t bytes_max)
{
    struct warm_read *read = xcalloc(1, sizeof *read);
    read->engine = engine;
    read->now_tick = now_tick;
    read->bytes_max = bytes_max;
    read->job.kind = DRY_JOB_CALL;
    read->job.call = on_read;
    read->job.done = on_was_read;
    dry_workers_submit(workers, &read->job);
    dry_workers_flush(workers);
    return read;
}

enum warm_result warm_read_end(
    struct warm_read *read, struct warm_item **items, size_t *count)
{
    enum warm_result result = read->result;
    bool good = result == WARM_READ && read->count > 0;
    *items = good ? read->items : NULL;
    *count = good ? read->count : 0;
    if (!good) {
        free(read->items);
    }
    free(read);
    return result;
}
