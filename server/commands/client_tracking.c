/* CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO. */
#include "server/conn.h"
#include "server/server.h"
#include "server/tracking.h"

struct options {
    int64_t redirect; /* 0: none */
    uint32_t set;     /* enum tracking_option */
    struct bytes *prefixes;
    unsigned prefix_count;
};

static bool option_redirect(
    struct request *request, int index, struct options *options)
{
    if (options->redirect != 0) {
        reply_error(request->reply,
            "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!arg_int64(request, index, &options->redirect)) {
        return false;
    }
    if (conn_find(request->server, (uint64_t)options->redirect) == NULL) {
        reply_error(request->reply,
            "ERR The client ID you want redirect to does not exist");
        return false;
    }
    return true;
}

static bool option_word(
    const struct request *request, int index, struct options *options)
{
    static const struct {
        const char *word;
        uint32_t option;
    } words[] = {
        {"bcast", TRACKING_BCAST},
        {"optin", TRACKING_OPTIN},
        {"optout", TRACKING_OPTOUT},
        {"noloop", TRACKING_NOLOOP},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (arg_is(request, index, words[i].word)) {
            options->set |= words[i].option;
            return true;
        }
    }
    return false;
}

static bool parse_options(struct request *request, struct options *options)
{
    *options = (struct options){0};
    options->prefixes = scratch_alloc(
        request->scratch, (size_t)request->argc * sizeof(struct bytes));
    for (int i = 3; i < request->argc; i++) {
        bool has_value = i + 1 < request->argc;
        if (has_value && arg_is(request, i, "redirect")) {
            if (!option_redirect(request, ++i, options)) {
                return false;
            }
        } else if (has_value && arg_is(request, i, "prefix")) {
            options->prefixes[options->prefix_count++] = request->argv[++i];
        } else if (!option_word(request, i, options)) {
            error_syntax(request);
            return false;
        }
    }
    return true;
}

/* ---- what goes together ---- */

static int shown(struct bytes prefix)
{
    return prefix.size < 128 ? (int)prefix.size : 128;
}

static bool prefixes_are_apart(
    struct request *request, const struct options *options)
{
    for (unsigned i = 0; i < options->prefix_count; i++) {
        struct bytes prefix = options->prefixes[i], with;
        const char *which = "an existing";
        bool collides = tracking_overlaps(request->conn, prefix, &with);
        for (unsigned j = i + 1; j < options->prefix_count && !collides; j++) {
            which = "another provided";
            with = options->prefixes[j];
            size_t size = prefix.size < with.size ? prefix.size : with.size;
            collides = bytes_equal(
                bytes_of(prefix.data, size), bytes_of(with.data, size));
        }
        if (collides) {
            reply_error(request->reply,
                "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes "
                "for a single client must not overlap.",
                shown(prefix), prefix.data, which, shown(with), with.data);
            return false;
        }
    }
    return true;
}

/* The error, or NULL when the options go together and with those in force. */
static const char *conflict(
    const struct tracker *tracker, const struct options *options)
{
    static const uint32_t opt = TRACKING_OPTIN | TRACKING_OPTOUT;
    uint32_t set = options->set,
             before = tracker == NULL ? 0 : tracker->options;
    if ((set & TRACKING_BCAST) == 0 && options->prefix_count > 0) {
        return "PREFIX option requires BCAST mode to be enabled";
    }
    if (tracker != NULL && ((set ^ before) & TRACKING_BCAST) != 0) {
        return "You can't switch BCAST mode on/off before disabling tracking "
               "for this client, and then re-enabling it with a different "
               "mode.";
    }
    if ((set & TRACKING_BCAST) != 0 && (set & opt) != 0) {
        return "OPTIN and OPTOUT are not compatible with BCAST";
    }
    if ((set & opt) == opt) {
        return "You can't specify both OPTIN mode and OPTOUT mode";
    }
    if (((set | before) & opt) == opt) {
        return "You can't switch OPTIN/OPTOUT mode before disabling tracking "
               "for this client, and then re-enabling it with a different "
               "mode.";
    }
    if (options->prefix_count + (tracker == NULL ? 0 : tracker->prefix_count) >
        TRACKING_PREFIXES_MAX) {
        return "Too many prefixes for a single client";
    }
    return NULL;
}

void cmd_client_tracking(struct request *request)
{
    struct conn *conn = request->conn;
    struct options options;
    if (!parse_options(request, &options)) {
        return;
    }
    if (arg_is(request, 2, "off")) {
        tracking_stop(conn);
        reply_ok(request->reply);
        return;
    }
    if (!arg_is(request, 2, "on")) {
        error_syntax(request);
        return;
    }
    const char *error = conflict(conn->tracker, &options);
    if (error != NULL) {
        reply_error(request->reply, "ERR %s", error);
        return;
    }
    if (prefixes_are_apart(request, &options)) {
        tracking_start(conn, (uint64_t)options.redirect, options.set,
            options.prefixes, options.prefix_count);
        reply_ok(request->reply);
    }
}

/* ---- the rest ---- */

void cmd_client_caching(struct request *request)
{
    struct tracker *tracker = request->conn->tracker;
    bool yes = arg_is(request, 2, "yes");
    if (tracker == NULL) {
        reply_error(request->reply,
            "ERR CLIENT CACHING can be called only when the client is in "
            "tracking mode with OPTIN or OPTOUT mode enabled");
    } else if (!yes && !arg_is(request, 2, "no")) {
        error_syntax(request);
    } else if (yes && (tracker->options & TRACKING_OPTIN) == 0) {
        reply_error(request->reply,
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in "
            "OPTIN mode.");
    } else if (!yes && (tracker->options & TRACKING_OPTOUT) == 0) {
        reply_error(request->reply,
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in "
            "OPTOUT mode.");
    } else {
        tracker->caching = true;
        reply_ok(request->reply);
    }
}

static int64_t redirect_of(const struct conn *conn)
{
    return conn->tracker == NULL ? -1 : (int64_t)conn->tracker->redirect;
}

void cmd_client_getredir(struct request *request)
{
    reply_integer(request->reply, redirect_of(request->conn));
}

static void info_flags(struct reply *reply, const struct tracker *tracker)
{
    uint32_t set = tracker == NULL ? 0 : tracker->options;
    bool caching = tracker != NULL && tracker->caching;
    const struct {
        bool set;
        const char *name;
    } flags[] = {
        {tracker == NULL, "off"},
        {tracker != NULL, "on"},
        {(set & TRACKING_BCAST) != 0, "bcast"},
        {(set & TRACKING_OPTIN) != 0, "optin"},
        {(set & TRACKING_OPTIN) != 0 && caching, "caching-yes"},
        {(set & TRACKING_OPTOUT) != 0, "optout"},
        {(set & TRACKING_OPTOUT) != 0 && caching, "caching-no"},
        {(set & TRACKING_NOLOOP) != 0, "noloop"},
        {tracker != NULL && tracker->broken, "broken_redirect"},
    };
    size_t count = 0, mark = reply_begin(reply);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (flags[i].set) {
            reply_bulk_text(reply, flags[i].name);
            count++;
        }
    }
    reply_end(reply, mark, REPLY_SET, count);
}

static void info_prefix(void *context, struct bytes prefix)
{
    reply_bulk(context, prefix);
}

void cmd_client_trackinginfo(struct request *request)
{
    struct reply *reply = request->reply;
    const struct conn *conn = request->conn;
    reply_map(reply, 3);
    reply_bulk_text(reply, "flags");
    info_flags(reply, conn->tracker);
    reply_bulk_text(reply, "redirect");
    reply_integer(reply, redirect_of(conn));
    reply_bulk_text(reply, "prefixes");
    reply_array(reply, conn->tracker == NULL ? 0 : conn->tracker->prefix_count);
    tracking_each_prefix(conn, info_prefix, reply);
}
