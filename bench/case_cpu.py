"""Server CPU a request: GET and SET of 64 bytes, 50 clients. Over few keys, as
redis-benchmark asks by default, and over 1 M keys, where the index counts."""

from harness import Server, at_most, describe, fill, load, ratios, say, scaled

FEW, MANY = 100, 1000000
# Pipeline depth, keys, requests a measurement, ratio to Redis wanted.
DEPTHS = [
    (1, FEW, 100000, 0.90),
    (16, FEW, 500000, 0.60),
    (1, MANY, 100000, 0.90),
    (16, MANY, 500000, 0.60),
    (64, MANY, 1000000, 0.50),
]


def microseconds(server, gets, pipeline, keys, requests):
    before, ticks = server.cpu_seconds(), server.cpu_ticks_seconds()
    load(
        server,
        clients=50,
        pipeline=pipeline,
        gets=gets,
        requests=scaled(requests),
        keys=min(keys, scaled(MANY)),
        value_size=64,
    )
    used = server.cpu_seconds() - before
    coarse = server.cpu_ticks_seconds() - ticks
    if abs(used - coarse) > 0.1 * used + 0.05:
        say("  schedstat says %.3f s, stat %.3f s" % (used, coarse))
    return used / scaled(requests) * 1e6


def run():
    with Server("larder") as larder, Server("redis") as redis:
        filled = 0
        for pipeline, keys, requests, wanted in DEPTHS:
            if keys != filled:
                for server in (larder, redis):
                    fill(server, min(keys, scaled(MANY)), 64)
                filled = keys
            for name, gets in (("GET", 100), ("SET", 0)):
                seen = {larder: [], redis: []}

                def measure(server):
                    used = microseconds(server, gets, pipeline, keys, requests)
                    seen[server].append(used)
                    return seen[server][-1]

                ratio, found = ratios(measure, larder, redis)
                ours, theirs = describe(seen[larder]), describe(seen[redis])
                what = "%s P%d %d keys" % (name, pipeline, keys)
                say("  %s, us a request: larder %s; redis %s" % (what, ours, theirs))
                say("  ratios %s" % describe(found))
                at_most("cpu %s" % what, wanted, ratio)
