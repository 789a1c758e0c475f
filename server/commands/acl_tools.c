/* ACL CAT, GENPASS, DRYRUN, LOG, LOAD, SAVE, HELP. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "server/acl.h"
#include "server/acl_log.h"
#include "server/conn.h"
#include "server/server.h"

#define PASSWORD_BITS 256
#define PASSWORD_BITS_MAX 4096
#define LOG_ENTRIES 10 /* that LOG answers when it is not told */

/* ---- CAT ---- */

static void reply_category(struct request *request, unsigned category)
{
    char name[COMMAND_NAME_MAX];
    size_t mark = reply_begin(request->reply), count = 0;
    for (unsigned i = 0; i < command_row_count; i++) {
        const struct command *row = &command_rows[i];
        if (command_in_category(row, category)) {
            reply_bulk_text(
                request->reply, command_full_name(row, name, sizeof(name)));
            count++;
        }
    }
    reply_end(request->reply, mark, REPLY_ARRAY, count);
}

void cmd_acl_cat(struct request *request)
{
    if (request->argc > 3) {
        error_subcommand_syntax(request);
        return;
    }
    if (request->argc == 2) {
        reply_array(request->reply, command_category_count);
        for (unsigned i = 0; i < command_category_count; i++) {
            reply_bulk_text(request->reply, command_category_name(i));
        }
        return;
    }
    struct bytes name = request->argv[2];
    int category = command_category_find(name);
    if (category < 0) {
        reply_error(request->reply, "ERR Unknown category '%.*s'",
            name.size < 128 ? (int)name.size : 128, name.data);
        return;
    }
    reply_category(request, (unsigned)category);
}

/* ---- GENPASS ---- */

void cmd_acl_genpass(struct request *request)
{
    unsigned char random[PASSWORD_BITS_MAX / 8];
    char text[PASSWORD_BITS_MAX / 4 + 1];
    int64_t bits = PASSWORD_BITS;
    if (request->argc > 3) {
        error_subcommand_syntax(request);
        return;
    }
    if (request->argc == 3) {
        if (!arg_int64(request, 2, &bits)) {
            return;
        }
        if (bits <= 0 || bits > PASSWORD_BITS_MAX) {
            reply_error(request->reply,
                "ERR ACL GENPASS argument must be the number of bits for the "
                "output password, a positive number up to %d",
                PASSWORD_BITS_MAX);
            return;
        }
    }
    size_t digits = ((size_t)bits + 3) / 4;
    if (RAND_bytes(random, (int)(digits + 1) / 2) != 1) {
        reply_error(request->reply, "ERR The system has no random numbers");
        return;
    }
    for (size_t i = 0; i < digits; i += 2) {
        snprintf(text + i, 3, "%02x", random[i / 2]);
    }
    reply_bulk(request->reply, bytes_of(text, digits));
}

/* ---- DRYRUN ---- */

static bool arity_fits(const struct command *row, int argc)
{
    return row->arity >= 0 ? argc == row->arity : argc >= -row->arity;
}

/* The command of argv[3...], or NULL after an error. */
static const struct command *find_inner(struct request *request)
{
    struct bytes name = request->argv[3];
    const struct command *row =
        config_find_command(&request->server->config, name);
    if (row != NULL && command_is_container(row) && request->argc > 4) {
        row = command_find_sub(row, request->argv[4]);
    }
    if (row == NULL) {
        reply_error(request->reply, "ERR Command '%.*s' not found",
            name.size < 128 ? (int)name.size : 128, name.data);
        return NULL;
    }
    if (!arity_fits(row, request->argc - 3)) {
        char full[COMMAND_NAME_MAX];
        reply_error(request->reply,
            "ERR wrong number of arguments for '%s' command",
            command_full_name(row, full, sizeof(full)));
        return NULL;
    }
    return row;
}

static void reply_verdict(struct request *request, const struct request *inner,
    enum acl_verdict verdict, int argument)
{
    char name[COMMAND_NAME_MAX];
    struct bytes word = inner->argv[argument];
    if (verdict == ACL_ALLOWED) {
        reply_ok(request->reply);
    } else if (verdict == ACL_NO_COMMAND) {
        reply_bulk_format(request->reply,
            "This user has no permissions to run the '%s' command",
            command_full_name(inner->command, name, sizeof(name)));
    } else {
        reply_bulk_format(request->reply,
            "This user has no permissions to access the '%.*s' %s",
            (int)word.size, word.size > 0 ? word.data : "",
            verdict == ACL_NO_KEY ? "key" : "channel");
    }
}

void cmd_acl_dryrun(struct request *request)
{
    struct bytes name = request->argv[2];
    const struct acl_user *user = acl_find(request->server->acl, name);
    int argument;
    if (user == NULL) {
        reply_error(request->reply, "ERR User '%.*s' not found",
            name.size < 128 ? (int)name.size : 128, name.data);
        return;
    }
    struct request inner = *request;
    inner.command = find_inner(request);
    if (inner.command == NULL) {
        return;
    }
    inner.argv += 3;
    inner.argc -= 3;
    enum acl_verdict verdict = acl_judge(user, &inner, &argument);
    reply_verdict(request, &inner, verdict, argument);
}

/* ---- LOG ---- */

void cmd_acl_log(struct request *request)
{
    struct acl_log *log = request->server->acl->log;
    int64_t count = LOG_ENTRIES;
    if (request->argc > 3) {
        error_subcommand_syntax(request);
        return;
    }
    if (request->argc == 3 && arg_is(request, 2, "reset")) {
        acl_log_reset(log);
        reply_ok(request->reply);
        return;
    }
    if (request->argc == 3 && !arg_int64(request, 2, &count)) {
        return;
    }
    acl_log_reply(log, request, count < 0 ? 0 : (uint64_t)count);
}

/* ---- the ACL file ---- */

static bool has_file(struct request *request)
{
    if (request->server->config.aclfile[0] != '\0') {
        return true;
    }
    reply_error(request->reply,
        "ERR This Redis instance is not configured to use an ACL file. You may "
        "want to specify users via the ACL SETUSER command and then issue a "
        "CONFIG REWRITE (assuming you have a Redis configuration file set) in "
        "order to store users in the Redis configuration.");
    return false;
}

void cmd_acl_load(struct request *request)
{
    struct text errors;
    if (!has_file(request)) {
        return;
    }
    text_init(&errors);
    if (acl_load_file(request->server, request->conn, &errors)) {
        reply_ok(request->reply);
    } else {
        reply_error(request->reply, "ERR %s", errors.data);
    }
    text_finish(&errors);
}

void cmd_acl_save(struct request *request)
{
    struct server *server = request->server;
    if (!has_file(request)) {
        return;
    }
    if (acl_save_file(server)) {
        reply_ok(request->reply);
        return;
    }
    log_line(&server->log, LOG_WARNING, "Saving the ACL file %s: %s",
        server->config.aclfile, strerror(errno));
    reply_error(request->reply,
        "ERR There was an error trying to save the ACLs. Please check the "
        "server logs for more information");
}

void cmd_acl_help(struct request *request)
{
    static const char *const lines[] = {
        "CAT [<category>]",
        ("    List all commands that belong to <category>, or all command "
         "categories"),
        "    when no category is specified.",
        "DELUSER <username> [<username> ...]",
        "    Delete a list of users.",
        "DRYRUN <username> <command> [<arg> ...]",
        ("    Returns whether the user can execute the given command without "
         "executing the command."),
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        ("    Generate a secure 256-bit user password. The optional `bits` "
         "argument can"),
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "LOAD",
        "    Reload users from the ACL file.",
        "LOG [<count> | RESET]",
        "    Show the ACL log entries.",
        "SAVE",
        "    Save the current config to the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or modify a user with the specified attributes.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
        NULL,
    };
    help_reply(request, lines);
}
