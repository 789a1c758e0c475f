#include "server/acl_log.h"

#include <stdlib.h>

#include "server/commands/client.h"
#include "server/conn.h"
#include "server/server.h"

/* Refusals that are alike and this near in time are counted as one, when the
 * earlier one is among the newest few. */
#define SAME_WITHIN_MS 60000
#define LOOK_BACK 10

struct acl_log_entry {
    struct acl_log_entry *older, *newer;
    uint64_t count;
    enum acl_verdict verdict;
    const char *context;
    int64_t time_ms;
    char *object, *user, *client; /* heap */
    size_t object_size, user_size;
};

struct acl_log {
    struct acl_log_entry *newest, *oldest;
    uint64_t count;
};

struct acl_log *acl_log_create(void)
{
    return xcalloc(1, sizeof(struct acl_log));
}

static void destroy_entry(struct acl_log_entry *entry)
{
    free(entry->object);
    free(entry->user);
    free(entry->client);
    free(entry);
}

/* Takes the entry out of the list. */
static void unlink_entry(struct acl_log *log, struct acl_log_entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &log->newest) =
        entry->older;
    *(entry->older != NULL ? &entry->older->newer : &log->oldest) =
        entry->newer;
    log->count--;
}

static void link_newest(struct acl_log *log, struct acl_log_entry *entry)
{
    entry->newer = NULL;
    entry->older = log->newest;
    *(log->newest != NULL ? &log->newest->newer : &log->oldest) = entry;
    log->newest = entry;
    log->count++;
}

static void drop_oldest(struct acl_log *log)
{
    struct acl_log_entry *entry = log->oldest;
    check(entry != NULL);
    log->oldest = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &log->newest) = NULL;
    log->count--;
    destroy_entry(entry);
}

void acl_log_reset(struct acl_log *log)
{
    struct acl_log_entry *entry = log->newest;
    while (entry != NULL) {
        struct acl_log_entry *older = entry->older;
        destroy_entry(entry);
        entry = older;
    }
    *log = (struct acl_log){.newest = NULL};
}

void acl_log_destroy(struct acl_log *log)
{
    if (log != NULL) {
        acl_log_reset(log);
        free(log);
    }
}

static struct bytes shown(struct bytes text)
{
    return bytes_of(text.data,
        text.size < ACL_LOG_TEXT_BYTES ? text.size : ACL_LOG_TEXT_BYTES);
}

static char *copy(struct bytes text)
{
    char *data = xmalloc(text.size + 1);
    if (text.size > 0) {
        memcpy(data, text.data, text.size);
    }
    return data;
}

static const char *context_name(
    const struct conn *conn, enum acl_context context)
{
    if (context == ACL_SCRIPT) {
        return "lua";
    }
    bool in_multi = context == ACL_EXEC || (conn->flags & CONN_MULTI) != 0;
    return in_multi ? "multi" : "toplevel";
}

static bool is_alike(const struct acl_log_entry *entry,
    const struct acl_refusal *refusal, const char *context, int64_t now_ms)
{
    return entry->verdict == refusal->verdict &&
           strcmp(entry->context, context) == 0 &&
           llabs(now_ms - entry->time_ms) <= SAME_WITHIN_MS &&
           bytes_equal(bytes_of(entry->object, entry->object_size),
               shown(refusal->object)) &&
           bytes_equal(
               bytes_of(entry->user, entry->user_size), shown(refusal->user));
}

static struct acl_log_entry *find_alike(const struct acl_log *log,
    const struct acl_refusal *refusal, const char *context, int64_t now_ms)
{
    struct acl_log_entry *entry = log->newest;
    for (int i = 0; i < LOOK_BACK && entry != NULL; i++) {
        if (is_alike(entry, refusal, context, now_ms)) {
            return entry;
        }
        entry = entry->older;
    }
    return NULL;
}

static struct acl_log_entry *create_entry(
    const struct acl_refusal *refusal, const char *context)
{
    struct acl_log_entry *entry = xcalloc(1, sizeof(*entry));
    entry->verdict = refusal->verdict;
    entry->context = context;
    entry->object_size = shown(refusal->object).size;
    entry->object = copy(shown(refusal->object));
    entry->user_size = shown(refusal->user).size;
    entry->user = copy(shown(refusal->user));
    return entry;
}

void acl_log_refusal(struct request *request, const struct acl_refusal *refusal)
{
    struct server *server = request->server;
    struct acl_log *log = server->acl->log;
    int64_t now_ms = request->now_ms;
    const char *context = context_name(request->conn, refusal->context);
    struct acl_log_entry *entry = find_alike(log, refusal, context, now_ms);
    if (entry != NULL) {
        unlink_entry(log, entry);
        free(entry->client);
    } else {
        entry = create_entry(refusal, context);
    }
    entry->count++;
    entry->time_ms = now_ms;
    entry->client = client_describe(request->conn, now_ms);
    link_newest(log, entry);
    while (log->count > (uint64_t)server->config.acllog_max_len) {
        drop_oldest(log);
    }
}

/* ---- ACL LOG ---- */

static const char *reason_name(enum acl_verdict verdict)
{
    switch (verdict) {
    case ACL_NO_COMMAND:
        return "command";
    case ACL_NO_KEY:
        return "key";
    case ACL_NO_CHANNEL:
        return "channel";
    case ACL_BAD_LOGIN:
        return "auth";
    case ACL_ALLOWED:
        break;
    }
    check(false);
    return "";
}

static void reply_entry(
    struct reply *reply, const struct acl_log_entry *entry, int64_t now_ms)
{
    reply_map(reply, 7);
    reply_bulk_text(reply, "count");
    reply_integer(reply, (int64_t)entry->count);
    reply_bulk_text(reply, "reason");
    reply_bulk_text(reply, reason_name(entry->verdict));
    reply_bulk_text(reply, "context");
    reply_bulk_text(reply, entry->context);
    reply_bulk_text(reply, "object");
    reply_bulk(reply, bytes_of(entry->object, entry->object_size));
    reply_bulk_text(reply, "username");
    reply_bulk(reply, bytes_of(entry->user, entry->user_size));
    reply_bulk_text(reply, "age-seconds");
    reply_double(reply, (double)(now_ms - entry->time_ms) / 1000);
    reply_bulk_text(reply, "client-info");
    reply_bulk_text(reply, entry->client);
}

void acl_log_reply(
    const struct acl_log *log, struct request *request, uint64_t count)
{
    if (count > log->count) {
        count = log->count;
    }
    reply_array(request->reply, count);
    const struct acl_log_entry *entry = log->newest;
    for (uint64_t i = 0; i < count && entry != NULL; i++) {
        reply_entry(request->reply, entry, request->now_ms);
        entry = entry->older;
    }
}
