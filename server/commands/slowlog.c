/* SLOWLOG GET, LEN, RESET. */
#include "server/slowlog.h"

#include "server/server.h"

#define DEFAULT_COUNT 10

static void reply_entry(struct reply *reply, const struct slowlog_entry *entry)
{
    reply_array(reply, 6);
    reply_integer(reply, (int64_t)entry->id);
    reply_integer(reply, entry->time_s);
    reply_integer(reply, (int64_t)entry->us);
    reply_array(reply, (size_t)entry->argc);
    for (int i = 0; i < entry->argc; i++) {
        reply_bulk(reply, bytes_of(entry->argv[i].data, entry->argv[i].size));
    }
    reply_bulk_text(reply, entry->address);
    reply_bulk_text(reply, entry->name);
}

/* The optional count, -1 for all; false after having answered an error. */
static bool read_count(struct request *request, size_t *count)
{
    int64_t wanted = DEFAULT_COUNT;
    size_t size = slowlog_size(request->server->slowlog);
    if (request->argc == 3) {
        bool ok = bytes_to_int64(request->argv[2], &wanted) && wanted >= -1;
        if (!ok) {
            reply_error(request->reply,
                "ERR count should be greater than or equal to -1");
            return false;
        }
    }
    *count = wanted < 0 || (uint64_t)wanted > size ? size : (size_t)wanted;
    return true;
}

void cmd_slowlog_get(struct request *request)
{
    size_t count;
    if (request->argc > 3) {
        error_subcommand_syntax(request);
        return;
    }
    if (!read_count(request, &count)) {
        return;
    }
    reply_array(request->reply, count);
    const struct slowlog_entry *entry =
        slowlog_newest(request->server->slowlog);
    for (size_t i = 0; i < count; i++) {
        reply_entry(request->reply, entry);
        entry = entry->next;
    }
}

void cmd_slowlog_len(struct request *request)
{
    reply_integer(
        request->reply, (int64_t)slowlog_size(request->server->slowlog));
}

void cmd_slowlog_reset(struct request *request)
{
    slowlog_reset(request->server->slowlog);
    reply_ok(request->reply);
}

void cmd_slowlog_help(struct request *request)
{
    static const char *const lines[] = {
        "GET [<count>]",
        ("    Return top <count> entries from the slowlog (default: 10, -1 "
         "mean "
         "all)."),
        "    Entries are made of:",
        ("    id, timestamp, time in microseconds, arguments array, client IP "
         "and port,"),
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        NULL,
    };
    help_reply(request, lines);
}
