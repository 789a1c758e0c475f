"""Server CPU a request of redis-benchmark's cases of collections, at P1 and
P16, 50 clients."""

import subprocess

from harness import CLIENT_CORE, Server, at_most, describe, ratios, say, scaled

TESTS = ["lpush", "rpush", "lpop", "rpop", "sadd", "hset", "spop", "zadd",
         "zpopmin", "lrange_100", "lrange_600", "mset"]
# What is measured at each depth; lrange_600 has a limit of its own at P16.
DEPTHS = [(1, 40000, 0.85), (16, 480000, 0.65)]
LRANGE_600 = 0.80
RANDOM_KEYS = 100000


def measure_with(test, pipeline, requests):
    requests = scaled(requests) // (10 if "lrange" in test else 1)

    def measure(server):
        before = server.cpu_seconds()
        subprocess.run(
            ["taskset", "-c", str(CLIENT_CORE), "redis-benchmark", "-p", str(server.port),
             "-t", test, "-n", str(requests), "-c", "50", "-P", str(pipeline),
             "-r", str(RANDOM_KEYS), "-q"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return (server.cpu_seconds() - before) / requests * 1e6

    return measure


def run():
    with Server("larder") as larder, Server("redis") as redis:
        for pipeline, requests, wanted in DEPTHS:
            for test in TESTS:
                measure = measure_with(test, pipeline, requests)
                for server in (larder, redis):
                    server.command("FLUSHALL")
                ratio, found = ratios(measure, larder, redis)
                limit = LRANGE_600 if test == "lrange_600" and pipeline > 1 else wanted
                say("  %s P%d ratios %s" % (test, pipeline, describe(found)))
                at_most("types %s P%d" % (test, pipeline), limit, ratio)
