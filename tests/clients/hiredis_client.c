/* hiredis against the server at port argv[1]: blocking commands, a pipeline,
 * what nests, messages. Prints "ok name" for each part. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "FAILED %s\n", what);
        exit(1);
    }
}

static redisReply *ask(redisContext *context, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    expect(reply != NULL, format);
    return reply;
}

static void strings(redisContext *context)
{
    char bytes[] = {0, '\r', '\n', (char)0xff};
    freeReplyObject(ask(context, "SET %s %b", "binary", bytes, sizeof(bytes)));
    freeReplyObject(ask(context, "TIER DEMOTE binary TO DRY"));
    redisReply *reply = ask(context, "GET binary");
    expect(reply->type == REDIS_REPLY_STRING && reply->len == sizeof(bytes) &&
               memcmp(reply->str, bytes, sizeof(bytes)) == 0,
        "binary value");
    freeReplyObject(reply);
    reply = ask(context, "GET none");
    expect(reply->type == REDIS_REPLY_NIL, "nil");
    freeReplyObject(reply);
    reply = ask(context, "LPUSH binary x");
    expect(reply->type == REDIS_REPLY_ERROR &&
               strncmp(reply->str, "WRONGTYPE ", 10) == 0,
        "error");
    freeReplyObject(reply);
    puts("ok strings");
}

static void pipeline(redisContext *context)
{
    enum { COUNT = 5000 };
    for (int i = 0; i < COUNT; i++) {
        redisAppendCommand(context, "RPUSH list:%d %d", i % 10, i);
        redisAppendCommand(context, "LLEN list:%d", i % 10);
        if (i % 100 == 0) {
            redisAppendCommand(context, "TIER DEMOTE list:%d TO DRY", i % 10);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        redisReply *reply;
        for (int part = 0; part < 2; part++) {
            expect(redisGetReply(context, (void **)&reply) == REDIS_OK, "read");
            expect(reply->type == REDIS_REPLY_INTEGER &&
                       reply->integer == i / 10 + 1,
                "length");
            freeReplyObject(reply);
        }
        if (i % 100 == 0) {
            expect(redisGetReply(context, (void **)&reply) == REDIS_OK, "read");
            freeReplyObject(reply);
        }
    }
    puts("ok pipeline");
}

static void nested(redisContext *context)
{
    freeReplyObject(ask(context, "MULTI"));
    freeReplyObject(ask(context, "HSET hash f v"));
    freeReplyObject(ask(context, "HGETALL hash"));
    freeReplyObject(ask(context, "EVAL %s 0", "return {1, {'a', {false}}}"));
    redisReply *reply = ask(context, "EXEC");
    expect(reply->type == REDIS_REPLY_ARRAY && reply->elements == 3, "EXEC");
    expect(reply->element[1]->elements == 2 &&
               strcmp(reply->element[1]->element[1]->str, "v") == 0,
        "HGETALL");
    redisReply *inner = reply->element[2]->element[1]->element[1];
    expect(inner->elements == 1 && inner->element[0]->type == REDIS_REPLY_NIL,
        "nested");
    freeReplyObject(reply);
    puts("ok nested");
}

static void messages(redisContext *context, int port)
{
    redisContext *publisher = redisConnect("127.0.0.1", port);
    redisReply *reply = ask(context, "SUBSCRIBE news");
    expect(
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 3, "SUBSCRIBE");
    freeReplyObject(reply);
    freeReplyObject(ask(publisher, "PUBLISH news %s", "hello"));
    expect(redisGetReply(context, (void **)&reply) == REDIS_OK, "message");
    expect(reply->elements == 3 && strcmp(reply->element[2]->str, "hello") == 0,
        "text");
    freeReplyObject(reply);
    redisFree(publisher);
    puts("ok messages");
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 6379;
    redisContext *context = redisConnect("127.0.0.1", port);
    expect(context != NULL && context->err == 0, "connect");
    strings(context);
    pipeline(context);
    nested(context);
    messages(context, port);
    redisFree(context);
    return 0;
}
