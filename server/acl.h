/* Who may do what: the server's users, and the one check that every command
 * passes before it runs.
 *
 *   acl.c        the users, logging in, what their changes do to connections
 *   acl_check.c  the check
 *   acl_file.c   users in `aclfile` and in redis.conf
 *   acl_log.c    what was refused lately
 *   acl_user.h   a user and its rules
 *
 * What a command touches is said by its row in commands.def: flags, acl
 * categories, keys and what it does with them. One thread. */
#ifndef LARDER_SERVER_ACL_H
#define LARDER_SERVER_ACL_H

#include "server/command.h"
#include "server/config_text.h"

struct acl_user;
struct acl_log;
struct acl_catalog;

struct acl {
    struct acl_user *users;        /* uthash, by name */
    struct acl_user *default_user; /* one of them; lives as long as this */
    struct acl_catalog *catalog;
    struct acl_log *log;
};

/* With the default user alone, who may do everything without a password. */
struct acl *acl_create(void);
/* After the connections. NULL is allowed. */
void acl_destroy(struct acl *acl);
/* All of a table of users; NULL is allowed. */
void acl_users_destroy(struct acl_user *users);

struct acl_user *acl_find(const struct acl *acl, struct bytes name);
/* Takes the user over; there must be none of its name. */
void acl_add(struct acl *acl, struct acl_user *user);
/* All users ordered by name: heap, to be freed; their number. */
struct acl_user **acl_sorted(const struct acl *acl, size_t *count);
/* A user as a line of a file, "user <name> <rules>", without line end. */
void acl_write_user(
    const struct acl *acl, const struct acl_user *user, struct text *out);

/* Whether connections are the default user's without logging in, and whether
 * that user has no password (protected mode asks). */
bool acl_is_open(const struct acl *acl);
bool acl_default_has_no_password(const struct acl *acl);
/* What `requirepass` says: "" is no password. */
void acl_set_default_password(struct acl *acl, const char *password);

/* Logs the request's connection in; else answers WRONGPASS and logs it. */
bool acl_authenticate(
    struct request *request, struct bytes name, struct bytes password);
/* The user of a new connection, or after RESET. */
void acl_start_connection(struct conn *conn);
/* Forgets the user and ends its connections; `current` (or NULL), whose
 * command does it, after its reply. Not for the default user. */
void acl_remove(
    struct server *server, struct acl_user *user, struct conn *current);
/* The user becomes what `changed` is. Its connections that listen to channels
 * which it may not hear then end; `current` after its reply. */
void acl_change(struct server *server, struct acl_user *user,
    const struct acl_user *changed, struct conn *current);
/* Puts all of `users` (uthash, taken over) in the place of those there are;
 * connections of users other than default end. */
void acl_replace_all(
    struct server *server, struct acl_user *users, struct conn *current);

/* ---- the check (acl_check.c) ---- */

enum acl_verdict {
    ACL_ALLOWED,
    ACL_NO_COMMAND,
    ACL_NO_KEY,
    ACL_BAD_LOGIN, /* for the log */
    ACL_NO_CHANNEL,
};
enum acl_context {
    ACL_SENT,   /* by the client, to be run or queued */
    ACL_EXEC,   /* about to be run by EXEC */
    ACL_SCRIPT, /* called by a script of the client */
};

/* Whether the connection's user may run the request: its command with the
 * keys and channels it names. Else the error that belongs to the context has
 * been answered and the refusal logged. Costs one test when the user may do
 * everything. */
bool acl_check(struct request *request, enum acl_context context);
/* Whether the request's command may read whatever key its user names: for
 * SORT, whose BY and GET name keys that nobody knows beforehand. */
bool acl_may_read_every_key(const struct request *request);
/* The same question as acl_check's about any user, without consequences. Of the
 * request command, argv and argc count. *argument: of the key or channel
 * refused. */
enum acl_verdict acl_judge(
    const struct acl_user *user, const struct request *request, int *argument);
/* Whether a user may subscribe to a channel, or to a pattern of some. */
bool acl_user_hears(
    const struct acl_user *user, struct bytes channel, bool is_pattern);

/* ---- files (acl_file.c) ---- */

/* The users of redis.conf or of the ACL file; false after having logged why
 * they cannot be had. Before the first connection. */
bool acl_load_at_start(struct server *server);
/* Reads the ACL file in the place of all users. False with the reason
 * appended to `errors`: then nothing has changed. */
bool acl_load_file(
    struct server *server, struct conn *current, struct text *errors);
/* The users as `user` lines of redis.conf, for CONFIG REWRITE. False when they
 * are in the ACL file. No line when there is but the default user as
 * `requirepass` makes it. */
bool acl_write_directives(const struct server *server, struct text *out);
/* False with errno set. */
bool acl_save_file(const struct server *server);

#endif
