"""RAM hits while another client reads only dry keys."""

import statistics

from harness import Server, Settings, at_least, at_most, describe, fill
from harness import finish_load, load, say, scaled, start_load

KEYS, HOT, VALUE_SIZE = 600000, 1000, 1024
MAXMEMORY = 150 << 20
# Many short measurements: one that another process disturbs is outvoted.
SECONDS, ROUNDS = 2, 3


def hits(larder):
    # Paced, so that the latency is the server's and not that of a queue.
    options = {"clients": 1, "pause_us": 200, "seconds": SECONDS}
    return load(larder, keys=HOT, value_size=VALUE_SIZE, **options)["p99_us"]


def dry_reads(larder):
    for line in larder.command("INFO", "stats").decode().splitlines():
        if line.startswith("storage_provider_read_hits:"):
            return int(line.split(":")[1])
    return 0


def hits_beside_dry(larder, keys, shares):
    """p99 of the hits; notes which share of the other reads was dry."""
    before = dry_reads(larder)
    other = start_load(
        larder,
        clients=1,
        first_key=HOT,
        keys=keys - HOT,
        value_size=VALUE_SIZE,
        seconds=SECONDS + 0.5,
        seed=before,
    )
    try:
        p99 = hits(larder)
    finally:
        read = finish_load(other)["requests"]
    shares.append((dry_reads(larder) - before) / read)
    return p99


def run():
    keys = scaled(KEYS)
    limit = max(24 << 20, int(MAXMEMORY * Settings.scale))
    with Server("larder", "--maxmemory", str(limit)) as larder:
        fill(larder, keys, VALUE_SIZE)
        hits(larder)  # the hot keys are in RAM from here on
        found, alone, beside, shares = [], [], [], []
        for _ in range(ROUNDS * Settings.rounds):
            alone.append(hits(larder))
            beside.append(hits_beside_dry(larder, keys, shares))
            beside.append(hits_beside_dry(larder, keys, shares))
            alone.append(hits(larder))
            found.append(sum(beside[-2:]) / sum(alone[-2:]))
        say("  p99 us alone: %s" % describe(alone, "%.0f"))
        say("  p99 us beside: %s" % describe(beside, "%.0f"))
        say("  the server waited %.1f s for its core" % larder.waited_seconds())
    at_least("hits share of other reads dry", 0.5, statistics.median(shares))
    at_most("hits p99 beside dry/alone", 1.5, statistics.median(found))
