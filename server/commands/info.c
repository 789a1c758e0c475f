/* INFO: which sections, in which order, and how a line looks. */
#include "server/commands/info.h"

#include <stdarg.h>
#include <stdlib.h>

enum section_set {
    IN_DEFAULT = 1 << 0,
    IN_ALL = 1 << 1,
    IN_EVERYTHING = 1 << 2,
};
#define IN_EACH (IN_DEFAULT | IN_ALL | IN_EVERYTHING)

static const struct section {
    const char *name, *title;
    info_fn *write;
    unsigned sets;
} sections[] = {
    {"server", "Server", info_server, IN_EACH},
    {"clients", "Clients", info_clients, IN_EACH},
    {"memory", "Memory", info_memory, IN_EACH},
    {"persistence", "Persistence", info_persistence, IN_EACH},
    {"stats", "Stats", info_stats, IN_EACH},
    {"replication", "Replication", info_replication, IN_EACH},
    {"cpu", "CPU", info_cpu, IN_EACH},
    {"modules", "Modules", info_modules, IN_EACH},
    {"commandstats", "Commandstats", info_commandstats, IN_ALL | IN_EVERYTHING},
    {"errorstats", "Errorstats", info_errorstats, IN_EACH},
    {"latencystats", "Latencystats", info_latencystats, IN_ALL | IN_EVERYTHING},
    {"cluster", "Cluster", info_cluster, IN_EACH},
    {"keyspace", "Keyspace", info_keyspace, IN_EACH},
    {"tiers", "Tiers", info_tiers, IN_EACH},
    {"namespaces", "Namespaces", info_namespaces, IN_EACH},
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

void info_line(struct info *info, const char *name, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(info->out, "%s:", name);
    vfprintf(info->out, format, list);
    fputs("\r\n", info->out);
    va_end(list);
}

void info_number(struct info *info, const char *name, uint64_t value)
{
    info_line(info, name, "%llu", (unsigned long long)value);
}

void info_bytes(struct info *info, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit < sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    char human_name[64];
    snprintf(human_name, sizeof(human_name), "%s_human", name);
    info_number(info, name, bytes);
    if (unit == 0) {
        info_line(info, human_name, "%lluB", (unsigned long long)bytes);
    } else {
        info_line(info, human_name, "%.2f%c", value, units[unit]);
    }
}

void info_zeros(struct info *info, const char *const *names)
{
    for (; *names != NULL; names++) {
        info_number(info, *names, 0);
    }
}

/* Which of the table's rows the arguments name, a bit each. */
static uint32_t wanted_sections(const struct request *request)
{
    uint32_t wanted = 0;
    for (int i = 1; i < request->argc || i == 1; i++) {
        unsigned set = 0;
        if (request->argc == 1 || arg_is(request, i, "default")) {
            set = IN_DEFAULT;
        } else if (arg_is(request, i, "all")) {
            set = IN_ALL;
        } else if (arg_is(request, i, "everything")) {
            set = IN_EVERYTHING;
        }
        for (size_t s = 0; s < SECTIONS; s++) {
            if ((sections[s].sets & set) != 0 ||
                (set == 0 && arg_is(request, i, sections[s].name))) {
                wanted |= UINT32_C(1) << s;
            }
        }
    }
    return wanted;
}

void cmd_info(struct request *request)
{
    struct info info = {
        .server = request->server,
        .engine = request->engine,
        .now_ms = request->now_ms,
    };
    uint32_t wanted = wanted_sections(request);
    char *text = NULL;
    size_t size = 0;
    engine_stats(request->engine, &info.stats);
    info.out = open_memstream(&text, &size);
    check(info.out != NULL);
    const char *between = "";
    for (size_t i = 0; i < SECTIONS; i++) {
        if ((wanted & (UINT32_C(1) << i)) != 0) {
            fprintf(info.out, "%s# %s\r\n", between, sections[i].title);
            sections[i].write(&info);
            between = "\r\n";
        }
    }
    fclose(info.out);
    reply_verbatim(request->reply, "txt", bytes_of(text, size));
    free(text);
}
