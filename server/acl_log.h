/* ACL LOG: the last acllog-max-len refusals, newest first; those alike within
 * a minute are one entry with a count. One thread. */
#ifndef LARDER_SERVER_ACL_LOG_H
#define LARDER_SERVER_ACL_LOG_H

#include "server/acl.h"

struct acl_log;

struct acl_refusal {
    enum acl_verdict verdict;
    enum acl_context context;
    struct bytes object, user; /* borrowed; shown up to ACL_LOG_TEXT_BYTES */
};
#define ACL_LOG_TEXT_BYTES 1024

struct acl_log *acl_log_create(void);
void acl_log_destroy(struct acl_log *log); /* NULL is allowed */

/* Notes that the request, of its connection, was refused. */
void acl_log_refusal(
    struct request *request, const struct acl_refusal *refusal);
void acl_log_reset(struct acl_log *log);
/* Answers ACL LOG with at most `count` entries. */
void acl_log_reply(
    const struct acl_log *log, struct request *request, uint64_t count);

#endif
