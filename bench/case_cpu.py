"""Server CPU a request: GET and SET of 64 bytes, 50 clients, 1 M keys."""

from harness import Server, at_most, describe, fill, load, ratios, say, scaled

KEYS = 1000000
# Pipeline depth, requests a measurement, ratio to Redis wanted.
DEPTHS = [(1, 100000, 0.90), (16, 500000, 0.60), (64, 1000000, 0.50)]


def microseconds(server, gets, pipeline, requests):
    before, ticks = server.cpu_seconds(), server.cpu_ticks_seconds()
    load(
        server,
        clients=50,
        pipeline=pipeline,
        gets=gets,
        requests=scaled(requests),
        keys=scaled(KEYS),
        value_size=64,
    )
    used = server.cpu_seconds() - before
    coarse = server.cpu_ticks_seconds() - ticks
    if abs(used - coarse) > 0.1 * used + 0.05:
        say("  schedstat says %.3f s, stat %.3f s" % (used, coarse))
    return used / scaled(requests) * 1e6


def run():
    with Server("larder") as larder, Server("redis") as redis:
        for server in (larder, redis):
            fill(server, scaled(KEYS), 64)
        for pipeline, requests, wanted in DEPTHS:
            for name, gets in (("GET", 100), ("SET", 0)):
                seen = {larder: [], redis: []}

                def measure(server):
                    seen[server].append(microseconds(server, gets, pipeline, requests))
                    return seen[server][-1]

                ratio, found = ratios(measure, larder, redis)
                ours, theirs = describe(seen[larder]), describe(seen[redis])
                say("  %s P%d us a request: larder %s; redis %s" % (name, pipeline, ours, theirs))
                say("  ratios %s" % describe(found))
                at_most("cpu %s P%d larder/redis" % (name, pipeline), wanted, ratio)
