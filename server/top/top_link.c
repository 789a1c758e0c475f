#include "server/top/top_link.h"

#include <ctype.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* To connect, and for each answer. */
#define TIMEOUT_S 1

void top_link_finish(struct top_link *link)
{
    if (link->context != NULL) {
        redisFree(link->context);
        link->context = NULL;
    }
}

static void keep_error(struct top_link *link, const char *text)
{
    snprintf(link->error, sizeof(link->error), "%s", text);
    for (char *c = link->error; *c != '\0'; c++) {
        *c = (char)(isprint((unsigned char)*c) ? *c : '?');
    }
}

/* The connection cannot be used any more. */
static void lose(struct top_link *link)
{
    const char *text = "no memory";
    if (link->context != NULL && link->context->errstr[0] != '\0') {
        text = link->context->errstr;
    }
    keep_error(link, text);
    top_link_finish(link);
}

/* NULL: link->error says why. Free with freeReplyObject. */
static redisReply *ask(
    struct top_link *link, int argc, const char *const *words)
{
    redisReply *reply = redisCommandArgv(
        link->context, argc, (const char **)(uintptr_t)words, NULL);
    if (reply == NULL) {
        lose(link);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        keep_error(link, reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

static bool authenticate(struct top_link *link)
{
    const struct top_options *options = link->options;
    const char *with_user[] = {"AUTH", options->user, options->password};
    const char *without[] = {"AUTH", options->password};
    if (options->password == NULL) {
        return true;
    }
    redisReply *reply =
        options->user != NULL ? ask(link, 3, with_user) : ask(link, 2, without);
    if (reply == NULL) {
        top_link_finish(link); /* to try again with the next look */
        return false;
    }
    freeReplyObject(reply);
    return true;
}

static bool connect_server(struct top_link *link)
{
    const struct top_options *options = link->options;
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    link->context =
        options->path != NULL
            ? redisConnectUnixWithTimeout(options->path, timeout)
            : redisConnectWithTimeout(options->host, options->port, timeout);
    if (link->context == NULL || link->context->err != 0 ||
        redisSetTimeout(link->context, timeout) != REDIS_OK) {
        lose(link);
        return false;
    }
    return authenticate(link);
}

bool top_link_look(struct top_link *link, struct top_sample *sample)
{
    const char *words[] = {
        "INFO", "server", "clients", "memory", "stats", "tiers", "namespaces"};
    if (link->context == NULL && !connect_server(link)) {
        return false;
    }
    redisReply *reply = ask(link, sizeof(words) / sizeof(words[0]), words);
    if (reply == NULL) {
        return false;
    }
    char *text = NULL;
    if (reply->type == REDIS_REPLY_STRING) {
        text = strdup(reply->str);
    }
    freeReplyObject(reply);
    if (text == NULL || strstr(text, "# Tiers") == NULL) {
        free(text);
        keep_error(link, "this is not a larder server");
        return false;
    }
    top_sample_finish(sample);
    *sample = (struct top_sample){.text = text, .at_s = top_now_s()};
    link->error[0] = '\0';
    return true;
}
