#include "server/allocator.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/bytes.h"
#include "tiers/dry/priority.h"

uint64_t allocator_process_rss(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    int fields = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    return fields == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

#ifdef LARDER_JEMALLOC

#include <jemalloc/jemalloc.h>

#define DECAY_MS 1000

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

const char *allocator_name(void)
{
    return "jemalloc-" TEXT_OF(JEMALLOC_VERSION_MAJOR) "." TEXT_OF(
        JEMALLOC_VERSION_MINOR) "." TEXT_OF(JEMALLOC_VERSION_BUGFIX);
}

static uint64_t ask(const char *name)
{
    size_t value = 0, size = sizeof(value);
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void allocator_stats(struct allocator_stats *stats)
{
    /* The figures stand still until the epoch is written. */
    uint64_t epoch = 1;
    size_t size = sizeof(epoch);
    mallctl("epoch", &epoch, &size, &epoch, size);
    stats->allocated = ask("stats.allocated");
    stats->active = ask("stats.active");
    stats->resident = ask("stats.resident");
}

/* Arenas there are get the setting one by one, later ones as a default. */
static void set_decay(const char *what, ssize_t ms)
{
    char name[64];
    unsigned count = 0;
    size_t size = sizeof(count);
    mallctl("arenas.narenas", &count, &size, NULL, 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "arena.%u.%s", i, what);
        mallctl(name, NULL, NULL, &ms, sizeof(ms));
    }
    snprintf(name, sizeof(name), "arenas.%s", what);
    mallctl(name, NULL, NULL, &ms, sizeof(ms));
}

/* Threads inherit how nice they are from the one that makes them. The
 * allocator's own gives pages back for milliseconds at a time: while it shares
 * a core with the loop, clients would wait for that. */
static void *start_background(void *none)
{
    bool on = true;
    priority_be_nicer(PRIORITY_BACKGROUND);
    mallctl("background_thread", NULL, NULL, &on, sizeof(on));
    return none;
}

void allocator_start(void)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, start_background, NULL);
    check(rc == 0);
    pthread_join(thread, NULL);
    set_decay("dirty_decay_ms", DECAY_MS);
    set_decay("muzzy_decay_ms", 0);
}

void allocator_purge(void)
{
    char name[48];
    snprintf(name, sizeof(name), "arena.%u.purge", MALLCTL_ARENAS_ALL);
    mallctl(name, NULL, NULL, NULL, 0);
}

static void write_report(void *context, const char *text)
{
    fputs(text, context);
}

char *allocator_report(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    malloc_stats_print(write_report, out, NULL);
    fclose(out);
    return text;
}

#else

void allocator_start(void)
{
}

const char *allocator_name(void)
{
    return "libc";
}

void allocator_stats(struct allocator_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
}

void allocator_purge(void)
{
}

char *allocator_report(void)
{
    return NULL;
}

#endif
