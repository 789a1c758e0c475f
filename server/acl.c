#include "server/acl.h"

#include <stdlib.h>

#include "server/acl_log.h"
#include "server/acl_user.h"
#include "server/conn.h"
#include "server/pubsub.h"
#include "server/server.h"

static struct acl_user *create_default_user(void)
{
    static const char *const rules[] = {"on", "nopass", "~*", "&*", "+@all"};
    struct acl_user *user = acl_user_create("default", false);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct bytes rule = bytes_of(rules[i], strlen(rules[i]));
        check(acl_user_apply(user, rule, false) == ACL_RULE_OK);
    }
    acl_user_settle(user);
    return user;
}

struct acl *acl_create(void)
{
    struct acl *acl = xcalloc(1, sizeof(*acl));
    acl->catalog = acl_catalog_create();
    acl->log = acl_log_create();
    acl->default_user = create_default_user();
    acl_add(acl, acl->default_user);
    return acl;
}

void acl_users_destroy(struct acl_user *users)
{
    struct acl_user *user, *next;
    HASH_ITER(hh, users, user, next)
    {
        HASH_DELETE(hh, users, user);
        acl_user_destroy(user);
    }
}

void acl_destroy(struct acl *acl)
{
    if (acl != NULL) {
        acl_users_destroy(acl->users);
        acl_log_destroy(acl->log);
        acl_catalog_destroy(acl->catalog);
        free(acl);
    }
}

struct acl_user *acl_find(const struct acl *acl, struct bytes name)
{
    struct acl_user *user = NULL;
    HASH_FIND(hh, acl->users, name.size > 0 ? name.data : "",
        (unsigned)name.size, user);
    return user;
}

void acl_add(struct acl *acl, struct acl_user *user)
{
    HASH_ADD_KEYPTR(hh, acl->users, user->name, strlen(user->name), user);
}

static int compare_names(const void *a, const void *b)
{
    const struct acl_user *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

struct acl_user **acl_sorted(const struct acl *acl, size_t *count)
{
    *count = HASH_COUNT(acl->users);
    struct acl_user **sorted = xcalloc(*count, sizeof(struct acl_user *));
    size_t used = 0;
    for (struct acl_user *u = acl->users; u != NULL; u = u->hh.next) {
        sorted[used++] = u;
    }
    qsort(sorted, used, sizeof(struct acl_user *), compare_names);
    return sorted;
}

void acl_write_user(
    const struct acl *acl, const struct acl_user *user, struct text *out)
{
    text_add_format(out, "user %s ", user->name);
    acl_describe_user(acl->catalog, user, out);
}

/* ---- logging in ---- */

bool acl_is_open(const struct acl *acl)
{
    return acl->default_user->no_password && acl->default_user->enabled;
}

bool acl_default_has_no_password(const struct acl *acl)
{
    return acl->default_user->no_password;
}

void acl_set_default_password(struct acl *acl, const char *password)
{
    struct acl_user *user = acl->default_user;
    user->password_count = 0;
    user->no_password = *password == '\0';
    if (!user->no_password) {
        user->passwords = xrealloc(user->passwords, sizeof(*user->passwords));
        acl_hash_password(
            bytes_of(password, strlen(password)), user->passwords[0]);
        user->password_count = 1;
    }
}

bool acl_authenticate(
    struct request *request, struct bytes name, struct bytes password)
{
    struct conn *conn = request->conn;
    struct acl_user *user = acl_find(request->server->acl, name);
    if (user != NULL && acl_user_accepts(user, password)) {
        conn->user = user;
        conn->flags |= CONN_AUTHENTICATED;
        return true;
    }
    acl_log_refusal(
        request, &(struct acl_refusal){
                     .verdict = ACL_BAD_LOGIN,
                     .context = request->nested ? ACL_EXEC : ACL_SENT,
                     .object = request->argv[0],
                     .user = name,
                 });
    reply_error(request->reply,
        "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void acl_start_connection(struct conn *conn)
{
    const struct acl *acl = conn->server->acl;
    conn->user = acl->default_user;
    conn->flags &= ~(uint32_t)CONN_AUTHENTICATED;
    if (acl_is_open(acl)) {
        conn->flags |= CONN_AUTHENTICATED;
    }
}

/* ---- users who go ---- */

static void end_connection(struct conn *conn, const struct conn *current)
{
    if (conn == current) {
        conn->flags |= CONN_CLOSE_AFTER_REPLY;
    } else {
        conn_close_soon(conn);
    }
}

/* Ends the connections of `user`, or with NULL those of all but the default
 * user. None of them keeps the pointer. */
static void end_connections(
    struct server *server, const struct acl_user *user, struct conn *current)
{
    struct acl_user *fallback = server->acl->default_user;
    struct conn *next = NULL;
    for (struct conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        bool meant = user == NULL ? conn->user != fallback : conn->user == user;
        if (!meant) {
            continue;
        }
        conn->user = fallback;
        conn->flags &= ~(uint32_t)CONN_AUTHENTICATED;
        end_connection(conn, current);
    }
}

void acl_remove(
    struct server *server, struct acl_user *user, struct conn *current)
{
    struct acl *acl = server->acl;
    check(user != acl->default_user);
    end_connections(server, user, current);
    HASH_DELETE(hh, acl->users, user);
    acl_user_destroy(user);
}

struct hearing {
    const struct acl_user *user;
    bool is_pattern;
};

static bool is_heard(void *context, struct bytes name)
{
    const struct hearing *hearing = context;
    return acl_user_hears(hearing->user, name, hearing->is_pattern);
}

static bool hears_all_of(const struct acl_user *user, const struct conn *conn)
{
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct hearing hearing = {user, kind == PUBSUB_PATTERN};
        if (!pubsub_each_subscription(
                conn, (enum pubsub_kind)kind, is_heard, &hearing)) {
            return false;
        }
    }
    return true;
}

void acl_change(struct server *server, struct acl_user *user,
    const struct acl_user *changed, struct conn *current)
{
    struct conn *next = NULL;
    acl_user_assign(user, changed);
    for (struct conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->user == user && pubsub_is_subscriber(conn) &&
            !hears_all_of(user, conn)) {
            end_connection(conn, current);
        }
    }
}

void acl_replace_all(
    struct server *server, struct acl_user *users, struct conn *current)
{
    struct acl *acl = server->acl;
    struct acl_user *before = acl->users;
    end_connections(server, NULL, current);
    HASH_DELETE(hh, before, acl->default_user);
    acl_users_destroy(before);
    acl->users = users;
    struct acl_user *given = acl_find(acl, BYTES("default"));
    if (given != NULL) {
        HASH_DELETE(hh, acl->users, given);
    } else {
        given = create_default_user();
    }
    /* Its address stays: connections hold it. */
    acl_user_assign(acl->default_user, given);
    acl_user_destroy(given);
    acl_add(acl, acl->default_user);
}
