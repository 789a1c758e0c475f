/* What the dry store does on this disk: build/bench/store_bench DIRECTORY
 * [RECORDS]. Appends, scans, reads and removes records of 1 KB and of 100
 * bytes, in batches of 4 MB, and prints rates and space. */
#include "tiers/dry/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_BYTES = 4 << 20, READS = 40000, THREADS = 4 };

struct bench {
    struct dry_store *store;
    uint64_t records;
    size_t header_bytes, payload_bytes;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Wall clock and processor time, which other work on the machine does not
 * change as much. */
struct lap {
    double start;
    clock_t cpu;
};

static struct lap lap_start(void)
{
    return (struct lap){.start = now(), .cpu = clock()};
}

static void say(const char *what, struct lap lap, uint64_t count)
{
    double seconds = now() - lap.start;
    printf("  %-26s %9.0f /s %8.3f s %8.3f s of CPU\n", what,
        (double)count / seconds, seconds,
        (double)(clock() - lap.cpu) / CLOCKS_PER_SEC);
    fflush(stdout);
}

static void apply(struct bench *bench, const struct dry_batch_view *batch)
{
    char reason[200];
    if (bench->store->ops->apply(bench->store, batch, reason, sizeof(reason)) !=
        DRY_OK) {
        fprintf(stderr, "%s\n", reason);
        exit(1);
    }
}

static void append(struct bench *bench, uint64_t count, bool sync)
{
    size_t size = bench->header_bytes + bench->payload_bytes;
    size_t per_batch = BATCH_BYTES / size;
    char *data = xmalloc(size * per_batch);
    struct dry_record *records = xcalloc(per_batch, sizeof(*records));
    for (size_t i = 0; i < size * per_batch; i++) {
        data[i] = (char)(i * 2654435761u >> 13);
    }
    struct lap lap = lap_start();
    for (uint64_t done = 0; done < count;) {
        size_t i = 0;
        for (; i < per_batch && done < count; i++, done++) {
            char *at = data + i * size;
            records[i] = (struct dry_record){.id = ++bench->records,
                .header = bytes_of(at, bench->header_bytes),
                .payload =
                    bytes_of(at + bench->header_bytes, bench->payload_bytes)};
        }
        struct dry_batch_view batch = {
            .records = records, .record_count = i, .sync = sync};
        apply(bench, &batch);
    }
    say(sync ? "append, sync each batch" : "append", lap, count);
    free(records);
    free(data);
}

static bool count_row(
    void *context, uint64_t id, struct bytes header, uint64_t payload_bytes)
{
    uint64_t *sum = context;
    *sum += id + (unsigned char)header.data[0] + payload_bytes;
    return true;
}

static void scan(struct bench *bench, const char *what)
{
    uint64_t sum = 0;
    struct lap lap = lap_start();
    check(bench->store->ops->scan(bench->store, 0, count_row, &sum) == DRY_OK);
    say(what, lap, bench->records);
}

static void *read_some(void *argument)
{
    const struct bench *bench = argument;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    for (int i = 0; i < READS; i++) {
        char *data;
        size_t header_bytes, payload_bytes;
        uint64_t id =
            1 + ((uint64_t)rand_r(&seed) << 15 ^ (uint64_t)rand_r(&seed)) %
                    bench->records;
        check(bench->store->ops->read(bench->store, id, &data, &header_bytes,
                  &payload_bytes) == DRY_OK);
        free(data);
    }
    return NULL;
}

static void read_random(struct bench *bench, int thread_count, const char *what)
{
    pthread_t threads[THREADS];
    struct lap lap = lap_start();
    for (int i = 0; i < thread_count; i++) {
        check(pthread_create(&threads[i], NULL, read_some, bench) == 0);
    }
    for (int i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    say(what, lap, (uint64_t)thread_count * READS);
}

static void drop_cache(const char *path)
{
    char name[300];
    snprintf(name, sizeof(name), "%s/data.mdb", path);
    int fd = open(name, O_RDONLY);
    check(fd >= 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void remove_half(struct bench *bench)
{
    uint64_t half = bench->records / 2;
    struct lap lap = lap_start();
    for (uint64_t id = 1; id < half; id += 4000) {
        struct dry_batch_view batch = {.keep_from = id, .frees = true};
        apply(bench, &batch);
    }
    say("remove from the left", lap, half);
}

static void space(struct bench *bench)
{
    struct dry_stats stats;
    bench->store->ops->stats(bench->store, &stats);
    size_t size = bench->header_bytes + bench->payload_bytes;
    printf("  used %.1f MB, %.1f bytes a record of %zu\n",
        (double)stats.used_bytes / 1e6,
        (double)stats.used_bytes / (double)bench->records, size);
}

static void reopen(struct bench *bench, struct dry_open_options *options)
{
    char reason[200];
    if (bench->store != NULL) {
        bench->store->ops->close(bench->store);
        drop_cache(options->path);
    }
    struct lap lap = lap_start();
    if (dry_lmdb_ops.open(&bench->store, options, reason, sizeof(reason)) !=
        DRY_OK) {
        fprintf(stderr, "%s\n", reason);
        exit(1);
    }
    say("open", lap, 1);
}

static void run(
    const char *path, uint64_t count, size_t header_bytes, size_t payload_bytes)
{
    struct bench bench = {
        .header_bytes = header_bytes, .payload_bytes = payload_bytes};
    struct dry_open_options options = {.path = path,
        .limit_bytes = (uint64_t)1 << 40,
        .reader_threads = THREADS};
    printf(
        "%zu bytes of header, %zu of payload\n", header_bytes, payload_bytes);
    reopen(&bench, &options);
    append(&bench, count, false);
    append(&bench, count / 10, true);
    space(&bench);
    scan(&bench, "scan, cached");
    read_random(&bench, 1, "read, cached, 1 thread");
    read_random(&bench, THREADS, "read, cached, 4 threads");
    reopen(&bench, &options);
    scan(&bench, "scan, from disk");
    reopen(&bench, &options);
    read_random(&bench, THREADS, "read, from disk, 4 threads");
    remove_half(&bench);
    bench.store->ops->close(bench.store);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s EMPTY_DIRECTORY [RECORDS]\n", argv[0]);
        return 1;
    }
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    char path[200];
    snprintf(path, sizeof(path), "%s/large", argv[1]);
    run(path, count, 60, 1024);
    snprintf(path, sizeof(path), "%s/small", argv[1]);
    run(path, count * 3, 130, 0);
    return 0;
}
