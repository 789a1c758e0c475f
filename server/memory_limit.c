/* How much memory there is, and how much of it `maxmemory 0` stands for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/server.h"

#define DEFAULT_PERCENT 60

/* The number in a file, or `otherwise`: "max" and nonsense count as none. */
static uint64_t read_number(const char *path, uint64_t otherwise)
{
    FILE *file = fopen(path, "re");
    unsigned long long value;
    if (file == NULL) {
        return otherwise;
    }
    int fields = fscanf(file, "%llu", &value);
    fclose(file);
    return fields == 1 && value > 0 ? value : otherwise;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The limit of one control group, whose path below the mount the line of
 * /proc/self/cgroup gives, and of those above it. */
static uint64_t group_limit(
    const char *mount, char *group, const char *file, uint64_t limit)
{
    for (;;) {
        char path[1024];
        snprintf(path, sizeof(path), "%s%s/%s", mount, group, file);
        limit = smaller(limit, read_number(path, limit));
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return limit;
        }
        *slash = '\0';
    }
}

/* Version 2 has one line, "0::/path"; version 1 one for each controller,
 * "9:memory:/path". */
static uint64_t control_group_limit(uint64_t limit)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[1024];
    if (file == NULL) {
        return limit;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *group++ = '\0';
        controllers++;
        if (controllers[0] == '\0') {
            limit = group_limit("/sys/fs/cgroup", group, "memory.max", limit);
        } else if (strcmp(controllers, "memory") == 0) {
            limit = group_limit(
                "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", limit);
        }
    }
    fclose(file);
    return limit;
}

uint64_t server_memory_bytes(void)
{
    uint64_t bytes =
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return control_group_limit(bytes);
}

uint64_t server_maxmemory_bytes(const struct config *config)
{
    if (config->maxmemory != 0) {
        return config->maxmemory;
    }
    return server_memory_bytes() / 100 * DEFAULT_PERCENT;
}
