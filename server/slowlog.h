/* SLOWLOG: the last slowlog-max-len commands that took at least
 * slowlog-log-slower-than microseconds, newest first. One thread. */
#ifndef LARDER_SERVER_SLOWLOG_H
#define LARDER_SERVER_SLOWLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "server/config.h"

struct command;
struct slowlog;

struct slowlog_entry {
    struct slowlog_entry *next;  /* the one before it in time */
    struct slowlog_entry *newer; /* the one after it */
    uint64_t id;
    int64_t time_s; /* wall clock, since 1970 */
    uint64_t us;
    char *address, *name; /* heap */
    int argc;
    struct slowlog_argument {
        char *data; /* heap */
        size_t size;
    } * argv;
};

/* What there is to say about a command that has run. Everything borrowed. */
struct slowlog_record {
    const struct command *command;
    const struct bytes *argv;
    int argc;
    int64_t time_s;      /* wall clock */
    uint64_t us;         /* from its arrival: waiting for disk included */
    const char *address; /* of the client, "127.0.0.1:1234" */
    const char *name;    /* of the client, or NULL */
    bool waited;         /* for values on disk */
};

struct slowlog *slowlog_create(void);
void slowlog_destroy(struct slowlog *slowlog);

/* Whether a command that took `us` belongs in the log. Ask before building a
 * record; commands flagged CMD_SKIP_SLOWLOG never do. */
static inline bool slowlog_wants(const struct config *config, uint64_t us)
{
    return config->slowlog_log_slower_than >= 0 &&
           us >= (uint64_t)config->slowlog_log_slower_than;
}

/* Adds an entry in Redis' form: at most 32 arguments of 128 bytes, secrets
 * replaced. One that waited for disk gets the further argument
 * SLOWLOG_WAITED: clients know "... (n more arguments)" there already, while
 * a seventh field would break those that count fields. Drops the oldest
 * entries beyond `max_entries`. */
#define SLOWLOG_WAITED "(waited for disk)"
void slowlog_add(struct slowlog *slowlog, uint64_t max_entries,
    const struct slowlog_record *record);
void slowlog_reset(struct slowlog *slowlog);

size_t slowlog_size(const struct slowlog *slowlog);
/* The newest, or NULL; valid until the next slowlog_add or slowlog_reset. */
const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog);

#endif
