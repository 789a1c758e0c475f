"""RAM hits while another client reads only dry keys."""

import statistics

from harness import Server, Settings, at_most, describe, fill, finish_load, load, say, scaled, start_load

KEYS, HOT, VALUE_SIZE = 600000, 1000, 1024
MAXMEMORY = 150 << 20
SECONDS = 5


def hits(larder):
    return load(larder, clients=8, pipeline=1, keys=HOT, value_size=VALUE_SIZE, seconds=SECONDS)["p99_us"]


def hits_beside_dry(larder, first, keys):
    other = start_load(
        larder, clients=1, pipeline=1, first_key=first, keys=keys, value_size=VALUE_SIZE, seconds=SECONDS + 2, seed=7
    )
    try:
        p99 = hits(larder)
    finally:
        dry = finish_load(other)
    return p99, dry["rate"]


def run():
    keys = scaled(KEYS)
    limit = max(24 << 20, int(MAXMEMORY * Settings.scale))
    with Server("larder", "--maxmemory", str(limit)) as larder:
        fill(larder, keys, VALUE_SIZE)
        hits(larder)  # the hot keys are in RAM from here on
        found, alone, beside = [], [], []
        for _ in range(Settings.rounds):
            a1, (b1, rate) = hits(larder), hits_beside_dry(larder, HOT, keys - HOT)
            (b2, _), a2 = hits_beside_dry(larder, HOT, keys - HOT), hits(larder)
            alone += [a1, a2]
            beside += [b1, b2]
            found.append((b1 + b2) / (a1 + a2))
        say("  p99 us: alone %s; beside %s (%.0f dry reads/s)" % (describe(alone), describe(beside), rate))
    at_most("hits p99 beside dry/alone", 1.5, statistics.median(found))
