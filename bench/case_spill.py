"""Five times more data than memory: 3 M keys of 1 KB, maxmemory 600mb, in a
memory cgroup of 1.2 GB; then a Zipf read mix against Redis in RAM."""

from harness import Cgroup, Sampler, Server, at_least, at_most, fill, load
from harness import describe as shown
from harness import ratios, result, say, scaled, verify

KEYS, VALUE_SIZE = 3000000, 1024
MAXMEMORY, CGROUP_BYTES, RSS_BYTES = 600 << 20, 1200 << 20, 660000000
MIX = dict(clients=16, pipeline=16, gets=95, order="zipf:0.99", value_size=VALUE_SIZE)
MIX_SECONDS = 10


def zipf(server, keys, seed):
    return load(server, keys=keys, seconds=MIX_SECONDS, seed=seed, **MIX)


def describe(phase, figures, memory):
    """A line on the phase that just ended. RssAnon is the most, and the wait
    for the core that others held the sum, since the server's start."""
    say(
        "  %s: %.0f/s, p99 %.1f ms, p99.9 %.1f ms, slowest %.1f ms; "
        "RssAnon %.1f MB, waited %.1f s for its core"
        % (
            phase,
            figures["rate"],
            figures["p99_us"] / 1000,
            figures["p999_us"] / 1000,
            figures["max_us"] / 1000,
            memory.most / 1e6,
            memory.server.waited_seconds(),
        )
    )


def spill(larder, keys):
    with Sampler(larder) as memory:
        filled = fill(larder, keys, VALUE_SIZE)
        describe("fill", filled, memory)
        size = larder.command("DBSIZE")
        checked = verify(larder, keys, VALUE_SIZE)
        describe("verify", checked, memory)
        describe("zipf, warming up", zipf(larder, keys, 1), memory)
    result("spill DBSIZE", "= %d" % keys, size, size == keys)
    result("spill values right", "= %d" % keys, checked["requests"], checked["requests"] == keys)
    at_most("spill RssAnon", scaled_bytes(RSS_BYTES) / 1e6, memory.most / 1e6, " MB")
    at_most("spill slowest reply while filling", 100, filled["max_us"] / 1000, " ms")


def scaled_bytes(size):
    """A limit that fits the number of keys; the server itself needs some."""
    return size * scaled(KEYS) // KEYS + (0 if scaled(KEYS) == KEYS else 16 << 20)


def compare(larder, redis, keys):
    with Sampler(redis) as memory:
        # How slow the machine alone makes a reply now and then.
        describe("redis fill", fill(redis, keys, VALUE_SIZE), memory)
        describe("redis zipf, warming up", zipf(redis, keys, 1), memory)
    rates = {larder: [], redis: []}

    def rate(server):
        rates[server].append(zipf(server, keys, len(rates[server]) + 2)["rate"])
        return rates[server][-1]

    ratio, found = ratios(rate, larder, redis)
    for server in rates:
        say("  zipf rates of %s: %s" % (server.side, shown(rates[server], "%.0f")))
    say("  ratios %s" % shown(found))
    at_least("spill zipf rate larder/redis", 0.5, ratio)


def run():
    keys = scaled(KEYS)
    limit = str(scaled_bytes(MAXMEMORY))
    with Cgroup(scaled_bytes(CGROUP_BYTES)) as cgroup:
        with Server("larder", "--maxmemory", limit, cgroup=cgroup) as larder:
            spill(larder, keys)
            with Server("redis") as redis:
                compare(larder, redis, keys)
