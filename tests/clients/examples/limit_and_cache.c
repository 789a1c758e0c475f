/* A rate limiter and a cache of a function's results, for hiredis.
 *
 *     gcc limit_and_cache.c -o limit_and_cache -lhiredis
 *     ./limit_and_cache PORT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

/* One round trip, and no key is left without an expiry if the client dies. */
static const char *const count_in_window =
    "local count = redis.call('INCR', KEYS[1]) "
    "if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end "
    "return count";

static unsigned calls;

/* Its reply, to be freed by the caller. Ends the program on an error. */
static redisReply *expect(void *answer, int type)
{
    redisReply *reply = answer;
    if (reply == NULL ||
        (reply->type != type && reply->type != REDIS_REPLY_NIL)) {
        fprintf(stderr, "%s\n", reply == NULL ? "no reply" : reply->str);
        exit(1);
    }
    return reply;
}

/* Whether `who` may: at most `limit` times in a window. */
static int allow(
    redisContext *redis, const char *who, long long limit, long long window_ms)
{
    redisReply *reply = expect(redisCommand(redis, "EVAL %s 1 limit:%s %lld",
                                   count_in_window, who, window_ms),
        REDIS_REPLY_INTEGER);
    int allowed = reply->integer <= limit;
    freeReplyObject(reply);
    return allowed;
}

static long square(long number)
{
    calls++;
    return number * number;
}

/* square(), or what it returned within the last `ttl_s` seconds. */
static long cached_square(redisContext *redis, long number, unsigned ttl_s)
{
    redisReply *reply =
        expect(redisCommand(redis, "GET cache:square:%ld", number),
            REDIS_REPLY_STRING);
    if (reply->type == REDIS_REPLY_STRING) {
        long found = atol(reply->str);
        freeReplyObject(reply);
        return found;
    }
    freeReplyObject(reply);
    long value = square(number);
    freeReplyObject(expect(redisCommand(redis, "SET cache:square:%ld %ld EX %u",
                               number, value, ttl_s),
        REDIS_REPLY_STATUS));
    return value;
}

int main(int argc, char **argv)
{
    redisContext *redis =
        redisConnect("127.0.0.1", argc == 2 ? atoi(argv[1]) : 6379);
    if (redis == NULL || redis->err != 0) {
        fprintf(stderr, "cannot connect\n");
        return 1;
    }
    /* These keys may take a megabyte of RAM, the rest of them lies on disk. */
    freeReplyObject(
        expect(redisCommand(redis, "NAMESPACE SET cache: hot-maxmemory 1mb"),
            REDIS_REPLY_STATUS));
    printf("allowed");
    for (int i = 0; i < 5; i++) {
        printf(" %s", allow(redis, "ann", 3, 60000) ? "yes" : "no");
    }
    printf("\nsquares %ld", cached_square(redis, 7, 60));
    printf(" %ld", cached_square(redis, 7, 60));
    printf(" %ld", cached_square(redis, 8, 60));
    printf(" calls %u\n", calls);
    redisFree(redis);
    return 0;
}
