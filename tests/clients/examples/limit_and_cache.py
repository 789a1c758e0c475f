"""A rate limiter and a cache of a function's results, for redis-py.

    python3 limit_and_cache.py PORT

The limiter counts in a window that begins with its first event. The cache keeps
what a function returned for a while; larder sinks what is not asked for to disk,
so it may be larger than memory.
"""

import functools
import json
import sys

import redis

# One round trip, and no key is left without an expiry if the client dies.
COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""


class RateLimiter:
    def __init__(self, client, limit, window_ms):
        self.count = client.register_script(COUNT)
        self.limit, self.window_ms = limit, window_ms

    def allow(self, who):
        """(whether it may, milliseconds until the window ends)"""
        count, left_ms = self.count(keys=["limit:" + who], args=[self.window_ms])
        return count <= self.limit, left_ms


def cached(client, ttl_s):
    """Decorates a function of arguments that JSON can name and a result that it
    can hold."""

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            key = "cache:%s:%s" % (function.__name__, json.dumps(args))
            found = client.get(key)
            if found is not None:
                return json.loads(found)
            value = function(*args)
            client.set(key, json.dumps(value), ex=ttl_s)
            return value

        return wrapper

    return decorate


def main():
    client = redis.Redis(port=int(sys.argv[1]))
    # These keys may take a megabyte of RAM, the rest of them lies on disk.
    client.execute_command("NAMESPACE", "SET", "cache:", "hot-maxmemory", "1mb")
    limiter = RateLimiter(client, limit=3, window_ms=60000)
    print("allowed", [limiter.allow("ann")[0] for _ in range(5)])

    calls = []

    @cached(client, ttl_s=60)
    def square(number):
        calls.append(number)
        return number * number

    print("squares", [square(7), square(7), square(8)], "calls", calls)


if __name__ == "__main__":
    main()
