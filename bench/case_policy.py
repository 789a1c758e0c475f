"""Namespaces: hit ratios, cold values, write-policy through, a limit beside a
reader, overwriting, the lookup of 100 namespaces, and idle keys that expire.
Each can be run by itself: policy.hits policy.cold policy.through policy.beside
policy.overwrite policy.lookup policy.idle."""

import os
import shutil
import statistics
import time

from case_spill import CGROUP_BYTES, KEYS as SPILL_KEYS, MAXMEMORY, scaled_bytes
from harness import Cgroup, Instructions, Server, Settings, Watcher
from harness import at_least, at_most, describe, figures, fill, finish_load, in_order
from harness import load, ratios, say, scaled, simulate, start_load


def namespace(server, prefix, *options):
    server.command("NAMESPACE", "SET", prefix, *options)


def stats(server, prefix):
    return figures(server, "NAMESPACE", "STATS", prefix)


# ---- hit ratios in RAM, of a cache of 5 % ----

HIT_KEYS, HIT_WARM, HIT_REQUESTS = 500000, 500000, 1000000
# Exponent of Zipf's law, per cent of the requests that scan.
HIT_ORDERS = [(0.8, 0), (0.8, 30), (0.99, 0), (0.99, 30)]
SEEDS = 1, 2


def hit_percent(eviction, order, scan):
    """What is not in RAM is read from disk, and takes another's place."""
    keys = scaled(HIT_KEYS)
    options = dict(clients=1, pipeline=16, keys=keys, order=order, scan=scan)
    with Server("larder") as larder:
        limit = ["tiers", "hot,dry", "hot-max-items", keys // 20]
        namespace(larder, "k", "eviction", eviction, *limit)
        fill(larder, keys, 64)
        load(larder, seed=SEEDS[0], requests=scaled(HIT_WARM), **options)
        before = stats(larder, "k")["hot_hits"]
        load(larder, seed=SEEDS[1], requests=scaled(HIT_REQUESTS), **options)
        hits = stats(larder, "k")["hot_hits"] - before
    return 100 * hits / scaled(HIT_REQUESTS)


def hits():
    for exponent, scan in HIT_ORDERS:
        order, keys = "zipf:%g" % exponent, scaled(HIT_KEYS)
        first, second = zip(SEEDS, (scaled(HIT_WARM), scaled(HIT_REQUESTS)))
        exact = simulate(keys, keys // 20, order, scan, *first, *second)
        exact = 100 * exact["hits"] / exact["requests"]
        lru = hit_percent("lru", order, scan)
        s3_fifo = hit_percent("s3-fifo", order, scan)
        what = "zipf %g, scan %d %%" % (exponent, scan)
        say("  %s: exact LRU %.2f %%, lru %.2f %%, s3-fifo %.2f %%" % (what, exact, lru, s3_fifo))
        at_most("lru off exact, %s" % what, 0.3, abs(lru - exact), " points")
        at_least("s3-fifo - lru, %s" % what, 4, s3_fifo - lru, " points")


# ---- cold values ----

JSON_KEYS, JSON_BYTES, JSON_HOT = 400000, 500, 1000
JSON_REQUESTS = {1: 100000, 16: 400000}
# Of namespaces whose values are nearly all cold.
COLD = [
    ("lz4", ["compression", "lz4"]),
    ("zstd, no dictionary", ["compression", "zstd", "compression-dictionary", "no"]),
    ("zstd", ["compression", "zstd"]),
]
COLD_BEST = "zstd"


def json_server(server, *options):
    """Filled with JSON values; bytes a key."""
    namespace(server, "k", "tiers", "hot,cold", "compression-min-size", 64, *options)
    before = server.memory()
    in_order(server, scaled(JSON_KEYS), JSON_BYTES, gets=0, json=True)
    return (server.memory() - before) / scaled(JSON_KEYS)


def get_microseconds(server, pipeline, **options):
    options.setdefault("requests", scaled(JSON_REQUESTS[pipeline]))
    before = server.cpu_seconds()
    done = load(
        server,
        clients=50,
        pipeline=pipeline,
        keys=scaled(JSON_KEYS),
        value_size=JSON_BYTES,
        json=True,
        **options,
    )["requests"]
    return (server.cpu_seconds() - before) / done * 1e6


def cold_gets(hot, cold, name, depth, wanted):
    """Of random keys: nearly each one is cold, rises, and another one sinks."""
    seen = {hot: [], cold: []}

    def measure(server):
        seen[server].append(get_microseconds(server, depth))
        return seen[server][-1]

    before = stats(cold, "k")
    ratio, _ = ratios(measure, cold, hot)
    after = stats(cold, "k")
    reads = [after[tier] - before[tier] for tier in ("cold_hits", "hot_hits")]
    say(
        "  %s GET P%d, us: cold %s; hot %s; %.1f %% were cold"
        % (name, depth, describe(seen[cold]), describe(seen[hot]), 100 * reads[0] / sum(reads))
    )
    if name == COLD_BEST:
        at_most("CPU of a GET P%d, cold/hot" % depth, wanted, ratio)


def cold_only(hot, cold, name):
    """Each key once, and nothing has to sink for it."""
    namespace(cold, "k", "hot-max-items", 0)
    used = {}
    for server in (hot, cold):
        used[server] = get_microseconds(server, 16, order="seq", requests=scaled(JSON_KEYS))
    say(
        "  %s GET P16 when nothing sinks, us: cold %.3f, hot %.3f; ratio %.2f"
        % (name, used[cold], used[hot], used[cold] / used[hot])
    )


def cold():
    with Server("larder") as hot:
        hot_bytes = json_server(hot)
        for name, options in COLD:
            with Server("larder") as cold:
                cold_bytes = json_server(cold, "hot-max-items", JSON_HOT, *options)
                figures = stats(cold, "k")
                packed = figures["compressed_stored_bytes"] / max(
                    1, figures["compressed_raw_bytes"] / JSON_BYTES
                )
                say(
                    "  %s: RSS a key hot %.1f, cold %.1f, ratio %.2f; a value that was packed %.1f"
                    % (name, hot_bytes, cold_bytes, hot_bytes / cold_bytes, packed)
                )
                if name == COLD_BEST:
                    at_least("values a byte of RAM, cold/hot", 2.5, hot_bytes / cold_bytes)
                for depth in JSON_REQUESTS:
                    cold_gets(hot, cold, name, depth, 2.5)
                cold_only(hot, cold, name)


# ---- write-policy through ----

THROUGH_KEYS = 100000
THROUGH_REQUESTS = {1: 30000, 16: 200000}


def through():
    always = ["--appendonly", "yes", "--appendfsync", "always"]
    with Server("larder") as larder, Server("redis", *always) as redis:
        namespace(larder, "k", "write-policy", "through")
        for depth, requests in THROUGH_REQUESTS.items():
            rates = {larder: [], redis: []}

            def measure(server):
                options = dict(clients=50, pipeline=depth, gets=0, keys=scaled(THROUGH_KEYS))
                found = load(server, requests=scaled(requests), **options)
                rates[server].append(found["rate"])
                return found["rate"]

            ratio, found = ratios(measure, larder, redis)
            for server in rates:
                say("  P%d rates of %s: %s" % (depth, server.side, describe(rates[server], "%.0f")))
            say("  ratios %s" % describe(found))
            at_least("through SET/s P%d larder/redis" % depth, 0.8, ratio)


# ---- a limit of 100 MB beside a reader ----

BESIDE_KEYS, BESIDE_SECONDS = 1000000, 2
BESIDE_LIMIT, BESIDE_VALUE = "100mb", 1024
READER_KEYS, READER_VALUE = 1000, 64
# Clients and pipeline depth of the writer; the first is the one that counts.
WRITERS = [(1, 16), (1, 1), (16, 16)]


def reader_p99(server):
    """Paced, so that the latency is the server's and not that of a queue."""
    options = dict(clients=1, pause_us=200, keys=READER_KEYS, value_size=READER_VALUE)
    return load(server, seconds=BESIDE_SECONDS, **options)["p99_us"]


def reader_p99_beside(server, clients, depth, rates):
    writer = start_load(
        server,
        letter="w",
        clients=clients,
        pipeline=depth,
        gets=0,
        keys=scaled(BESIDE_KEYS),
        value_size=BESIDE_VALUE,
        seconds=BESIDE_SECONDS + 0.5,
    )
    try:
        p99 = reader_p99(server)
    finally:
        rates.append(finish_load(writer)["rate"])
    return p99


def compare_beside(server, clients, depth):
    alone, beside, rates, found = [], [], [], []
    for _ in range(Settings.rounds):
        beside.append(reader_p99_beside(server, clients, depth, rates))
        beside.append(reader_p99_beside(server, clients, depth, rates))
        for _ in range(2):
            # Alone means that no space is taken back behind the writer either.
            server.settle()
            alone.append(reader_p99(server))
        found.append(sum(beside[-2:]) / sum(alone[-2:]))
    say(
        "  %s, writer of %d x P%d (%.0f/s): p99 us alone %s; beside %s"
        % (
            server.side,
            clients,
            depth,
            statistics.median(rates),
            describe(alone, "%.0f"),
            describe(beside, "%.0f"),
        )
    )
    return statistics.median(found)


def beside():
    with Server("larder") as larder, Server("redis") as redis:
        namespace(larder, "w", "tiers", "hot,dry", "hot-maxmemory", BESIDE_LIMIT)
        for server in (larder, redis):
            fill(server, READER_KEYS, READER_VALUE)
            load(server, letter="w", gets=0, keys=scaled(BESIDE_KEYS), value_size=BESIDE_VALUE)
        for number, (clients, depth) in enumerate(WRITERS):
            # Redis has no limit of its own: what the machine does to a reader
            # beside such a writer.
            theirs = compare_beside(redis, clients, depth)
            ours = compare_beside(larder, clients, depth)
            say("  beside/alone: larder %.2f, redis %.2f" % (ours, theirs))
            if number == 0:
                at_most("reader's p99 beside/alone", 1.5, ours)
        taken = stats(larder, "w")["hot_bytes"]
    at_most("the writer's namespace in RAM", 100, taken / (1 << 20), " MB")


# ---- random overwriting ----

# Before what is measured, until as much is dead on disk as ever will be.
OVERWRITE_WARM_SECONDS, OVERWRITE_SECONDS = 120, 60
OVERWRITE_VALUE, KEY_BYTES = 1024, 16


class DiskUse(Watcher):
    """Bytes that a directory's files take, once a second."""

    def __init__(self, directory):
        super().__init__(self.measure, 1)
        self.directory, self.taken = directory, []

    def measure(self):
        total = 0
        for folder, _, names in os.walk(self.directory):
            for name in names:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
        self.taken.append(total)


def overwrite_for(server, keys, seconds, seed):
    options = dict(clients=16, pipeline=16, gets=0, keys=keys, value_size=OVERWRITE_VALUE)
    return load(server, seconds=max(12, seconds * Settings.scale), seed=seed, **options)


def overwrite():
    keys = scaled(SPILL_KEYS)
    live = keys * (KEY_BYTES + OVERWRITE_VALUE)
    limit = str(scaled_bytes(MAXMEMORY))
    with Cgroup(scaled_bytes(CGROUP_BYTES)) as cgroup:
        with Server("larder", "--maxmemory", limit, cgroup=cgroup) as larder:
            fill(larder, keys, OVERWRITE_VALUE)
            warming = overwrite_for(larder, keys, OVERWRITE_WARM_SECONDS, 1)
            with DiskUse(larder.directory) as disk:
                done = overwrite_for(larder, keys, OVERWRITE_SECONDS, 2)
    half = len(disk.taken) // 2
    first, second = disk.taken[:half], disk.taken[half:]
    say("  warming up: %.0f/s" % warming["rate"])
    say("  disk/live, each second: %s" % describe([taken / live for taken in disk.taken], "%.2f"))
    say("  p99 %.1f ms, slowest %.1f ms" % (done["p99_us"] / 1e3, done["max_us"] / 1e3))
    at_least("overwrites a second", 40000, done["rate"])
    at_most("disk/live bytes, the most", 2.2, max(disk.taken) / live)
    at_most("disk, second half/first half", 1.02, max(second) / max(first))


# ---- the lookup of a key's namespace ----

LOOKUP_KEYS, LOOKUP_REQUESTS, NAMESPACES = 1000000, 1000000, 100
LOOKUP_PAIRS = 5
CALLGRIND_KEYS, CALLGRIND_REQUESTS = 20000, 50000


def namespaces_of_keys(server, keys):
    """100 prefixes: each is that of the names of a hundredth of the keys."""
    digits = len(str(keys // NAMESPACES)) - 1
    for first in range(0, keys, keys // NAMESPACES):
        namespace(server, ("k%015d" % first)[: 16 - digits], "eviction", "lru")


def lookup_instructions(count):
    """Of a GET under callgrind, which needs no quiet machine."""
    with Instructions("larder", "--dry-maxsize", "1gb") as larder:
        if count:
            namespaces_of_keys(larder, CALLGRIND_KEYS)
        fill(larder, CALLGRIND_KEYS, 64)
        options = dict(clients=10, pipeline=16, keys=CALLGRIND_KEYS)
        larder.begin()
        load(larder, requests=CALLGRIND_REQUESTS, **options)
        return larder.end() / CALLGRIND_REQUESTS


def lookup_ratio(keys):
    """CPU of a GET, of two servers that have been filled for it."""
    with Server("larder") as many, Server("larder") as none:
        namespaces_of_keys(many, keys)
        seen = {many: [], none: []}
        for server in seen:
            fill(server, keys, 64)

        def measure(server):
            before = server.cpu_seconds()
            options = dict(clients=50, pipeline=16, keys=keys)
            load(server, requests=scaled(LOOKUP_REQUESTS), **options)
            used = server.cpu_seconds() - before
            seen[server].append(used / scaled(LOOKUP_REQUESTS) * 1e6)
            return used

        ratio, _ = ratios(measure, many, none)
    say(
        "  GET P16, us: %d namespaces %s; none %s; ratio %.3f"
        % (NAMESPACES, describe(seen[many]), describe(seen[none]), ratio)
    )
    return ratio


def lookup():
    # Two servers that do the same differ by 1 or 2 %, by where in the
    # processor's caches their memory comes to lie: several pairs.
    ratio = statistics.median(lookup_ratio(scaled(LOOKUP_KEYS)) for _ in range(LOOKUP_PAIRS))
    at_most("CPU of a GET, 100 namespaces/none", 1.03, ratio)
    if shutil.which("valgrind") is None:
        say("  no valgrind: instructions were not counted")
        return
    many, none = lookup_instructions(True), lookup_instructions(False)
    say("  instructions a GET: %d namespaces %.0f, none %.0f" % (NAMESPACES, many, none))
    at_most("instructions of a GET, the same", 1.03, many / none)


# ---- keys that expire, but not now ----

IDLE_KEYS, IDLE_VALUE, IDLE_SECONDS = 10000000, 32, 10


def idle():
    keys = scaled(IDLE_KEYS)
    with Server("larder") as larder:
        namespace(larder, "k", "default-ttl", "7d", "cold-ttl", "14d", "hot-ttl", "8d")
        fill(larder, keys, IDLE_VALUE)
        expiring = larder.command("INFO", "keyspace").decode().strip().splitlines()[-1]
        time.sleep(2)
        before, ticks = larder.cpu_seconds(), larder.cpu_ticks_seconds()
        time.sleep(IDLE_SECONDS)
        used = larder.cpu_seconds() - before
        coarse = larder.cpu_ticks_seconds() - ticks
    say("  %s; schedstat %.3f s, stat %.2f s of %d s" % (expiring, used, coarse, IDLE_SECONDS))
    at_most("idle CPU", 1, 100 * used / IDLE_SECONDS, " %")


PARTS = {
    "hits": hits,
    "cold": cold,
    "through": through,
    "beside": beside,
    "overwrite": overwrite,
    "lookup": lookup,
    "idle": idle,
}


def run():
    for part in PARTS.values():
        part()
