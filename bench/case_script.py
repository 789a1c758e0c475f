"""Server CPU a request of EVALSHA with a script of one GET, at P1 and P16,
50 clients, 100,000 keys of 64 bytes."""

import subprocess

from harness import CLIENT_CORE, Server, at_most, describe, fill, ratios, say, scaled

SCRIPT = "return redis.call('get', KEYS[1])"
KEYS, VALUE_SIZE = 100000, 64
# Pipeline, requests a measurement, ratio to Redis wanted.
DEPTHS = [(1, 40000, 1.0), (16, 160000, 1.0)]


def measure_with(sha, pipeline, requests):
    def measure(server):
        before = server.cpu_seconds()
        subprocess.run(
            ["taskset", "-c", str(CLIENT_CORE), "redis-benchmark", "-p", str(server.port),
             "-n", str(requests), "-c", "50", "-P", str(pipeline), "-r", str(KEYS), "-q",
             "EVALSHA", sha, "1", "k000__rand_int__"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return (server.cpu_seconds() - before) / requests * 1e6

    return measure


def run():
    with Server("larder") as larder, Server("redis") as redis:
        for server in (larder, redis):
            fill(server, KEYS, VALUE_SIZE)
            sha = server.command("SCRIPT", "LOAD", SCRIPT).decode()
            key = b"k%015d" % 7
            answer = server.command("EVALSHA", sha, "1", key)
            if answer is None or len(answer) != VALUE_SIZE:
                raise RuntimeError("the script answered %r" % answer)
        for pipeline, requests, wanted in DEPTHS:
            ratio, found = ratios(measure_with(sha, pipeline, scaled(requests)), larder, redis)
            say("  P%d ratios %s" % (pipeline, describe(found)))
            at_most("script EVALSHA P%d" % pipeline, wanted, ratio)
