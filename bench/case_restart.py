"""Clean stop and start of 3 M keys of 100 bytes: until DBSIZE is complete."""

import statistics

from harness import Server, Settings, at_most, describe, fill, say, scaled, verify

KEYS, VALUE_SIZE = 3000000, 100


def run():
    keys = scaled(KEYS)
    starts = {"larder": [], "redis": []}
    with Server("larder") as larder, Server("redis") as redis:
        for server in (larder, redis):
            fill(server, keys, VALUE_SIZE)
        for _ in range(Settings.rounds):
            for server in (larder, redis):
                stop = server.stop(save=True)
                server.start(wait=False)
                starts[server.side].append(server.wait(size=keys))
                say(
                    "  %s: stop %.2f s, start %.2f s, of it %.2f s of CPU"
                    % (server.side, stop, starts[server.side][-1], server.cpu_seconds())
                )
        verify(larder, keys, VALUE_SIZE)
    found = [ours / theirs for ours, theirs in zip(starts["larder"], starts["redis"])]
    say("  ratios %s; every value verified after the last start" % describe(found))
    at_most("restart start larder/redis", 0.4, statistics.median(found))
