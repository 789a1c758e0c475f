"""Larder beside Redis over a range of each thing that load has: sizes of values,
clients, pipeline depths, memory a key, data larger than RAM, a checkpoint. It
prints tables; nothing is wanted of them. Each can be run by itself: grid.sizes
grid.clients grid.depths grid.bytes grid.ram grid.checkpoint."""

import time

from case_spill import MIX, VALUE_SIZE as RAM_VALUE
from harness import Client, Server, figures, fill, finish_load, in_order, load, ratios
from harness import say, scaled, start_load, table

KIB, MIB = 1 << 10, 1 << 20


def shown_bytes(size):
    for unit, name in ((MIB, "MB"), (KIB, "KB")):
        if size >= unit:
            return "%d %s" % (size // unit, name)
    return "%d B" % size


# ---- server CPU a request ----

COMMANDS = [("GET", 100), ("SET", 0)]
KEYS, VALUE = 1000, 64


def cpu(server, requests, **options):
    """What it writes to disk afterwards is part of a request's cost."""
    server.settle()
    before = server.cpu_seconds()
    load(server, requests=requests, **options)
    server.settle()
    return (server.cpu_seconds() - before) / requests * 1e6


def cpu_row(larder, redis, requests, **options):
    """Of GET and of SET: microseconds of both servers and their ratio."""
    row = []
    for _, gets in COMMANDS:
        seen = {larder: [], redis: []}

        def measure(server):
            seen[server].append(cpu(server, requests, gets=gets, **options))
            return seen[server][-1]

        for server in seen:  # the kernel's first look at each page costs, too
            load(server, requests=requests, gets=gets, **options)
        ratio, _ = ratios(measure, larder, redis)
        # The least is what others on the machine disturbed least.
        row += ["%.2f" % min(seen[larder]), "%.2f" % min(seen[redis]), "%.2f" % ratio]
    return row


CPU_COLUMNS = ["GET us, larder", "redis", "ratio", "SET us, larder", "redis", "ratio"]

SIZES = [16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB]
SIZE_BYTES = 400 * MIB  # sent in one measurement, at most


def sizes():
    rows = []
    for size in SIZES:
        keys = min(KEYS, 200 * MIB // size)
        requests = scaled(min(100000, SIZE_BYTES // size))
        with Server("larder") as larder, Server("redis") as redis:
            for server in (larder, redis):
                fill(server, keys, size)
            options = dict(clients=50, keys=keys, value_size=size)
            rows.append([shown_bytes(size)] + cpu_row(larder, redis, requests, **options))
    table("Server CPU a request by size of value, 50 clients, P1", ["value"] + CPU_COLUMNS, rows)


CLIENTS = [1, 10, 50, 100, 500, 1000]


def of_connections(what, values, title, requests_of):
    rows = []
    with Server("larder") as larder, Server("redis") as redis:
        for server in (larder, redis):
            fill(server, KEYS, VALUE)
        for value in values:
            options = dict(clients=50, pipeline=1, keys=KEYS, value_size=VALUE)
            options[what] = value
            rows.append([value] + cpu_row(larder, redis, requests_of(value), **options))
    table(title, [what] + CPU_COLUMNS, rows)


def clients():
    title = "Server CPU a request by clients, 64 bytes, P1"
    of_connections("clients", CLIENTS, title, lambda count: scaled(100000))


DEPTHS = [1, 2, 4, 8, 16, 32, 64, 128]


def depths():
    title = "Server CPU a request by pipeline depth, 64 bytes, 50 clients"
    of_connections("pipeline", DEPTHS, title, lambda depth: scaled(100000 * min(depth, 8)))


# ---- memory a key ----

BYTES_KEYS, BYTES_VALUES, WEEK_S = 1000000, [8, 32, 100, 1000], 7 * 24 * 3600


def rss_a_key(side, keys, size, ttl_s):
    with Server(side) as server:
        before = server.memory("VmRSS")
        in_order(server, keys, size, ttl_s=ttl_s, gets=0)
        return (server.memory("VmRSS") - before) / keys


def bytes_a_key():
    keys, rows = scaled(BYTES_KEYS), []
    for size in BYTES_VALUES:
        for ttl_s in (0, WEEK_S):
            ours, theirs = (rss_a_key(side, keys, size, ttl_s) for side in ("larder", "redis"))
            rows.append([size, "a week" if ttl_s else "none", "%.1f" % ours, "%.1f" % theirs,
                         "%.2f" % (ours / theirs)])
    title = "RSS a key of 16 bytes, %d keys, all in RAM" % keys
    table(title, ["value bytes", "expiry", "larder", "redis", "ratio"], rows)


# ---- data larger than RAM ----

RAM_KEYS, RAM_SECONDS = 1000000, 6
# Of what a key takes in larder's RAM.
KEY_BYTES = 1120
TIMES = [1, 2, 4, 10]


def mix(server, keys, seed):
    """Requests a second, and the server's CPU of each."""
    before = server.cpu_seconds()
    done = load(server, keys=keys, seconds=RAM_SECONDS, seed=seed, **MIX)
    return done["rate"], (server.cpu_seconds() - before) / done["requests"] * 1e6


def ram_row(times, keys, redis):
    limit = keys * KEY_BYTES // times + 32 * MIB
    with Server("larder", "--maxmemory", str(limit)) as larder:
        fill(larder, keys, RAM_VALUE)
        mix(larder, keys, 1)  # to warm up
        before = figures(larder, "TIER", "STATS")
        ours = [mix(larder, keys, seed) for seed in (2, 3)]
        found = figures(larder, "TIER", "STATS")
        grown = {name: found[name] - before[name] for name in ("hot_hits", "cold_hits", "dry_hits")}
        theirs = [mix(redis, keys, seed) for seed in (2, 3)]
        rate, used = (sum(one[i] for one in ours) / sum(one[i] for one in theirs) for i in (0, 1))
        dry = grown["dry_hits"] / max(1, sum(grown.values()))
        return ["%d x" % times, shown_bytes(limit), "%.1f %%" % (100 * dry),
                "%.0f" % max(one[0] for one in ours), "%.0f" % max(one[0] for one in theirs),
                "%.2f" % rate, "%.2f" % used]


def ram():
    keys = scaled(RAM_KEYS)
    with Server("redis") as redis:
        fill(redis, keys, RAM_VALUE)
        rows = [ram_row(times, keys, redis) for times in TIMES]
    title = "Zipf(0.99), 95 %% reads, %d keys of 1 KB, 16 clients at P16; Redis has all in RAM" % keys
    table(title, ["data to RAM", "maxmemory", "read from disk", "larder a second",
                  "redis", "ratio of rates", "of CPU a request"], rows)


# ---- a checkpoint under load ----

SAVE_KEYS, SAVE_VALUE, SAVE_SECONDS = 3000000, 100, 3


def save_seconds(server):
    """BGSAVE from beginning to end."""
    client, begin = Client(server.port), time.monotonic()
    client("BGSAVE")
    while b"rdb_bgsave_in_progress:0" not in client("INFO", "persistence"):
        time.sleep(0.02)
    client.close()
    return time.monotonic() - begin


def save_row(side, keys):
    options = dict(clients=50, gets=90, keys=keys, value_size=SAVE_VALUE)
    with Server(side) as server:
        fill(server, keys, SAVE_VALUE)
        alone = load(server, seconds=SAVE_SECONDS, **options)
        beside = start_load(server, seconds=SAVE_SECONDS, **options)
        time.sleep(0.2)
        with_memory = server.memory("VmRSS")
        seconds = save_seconds(server)
        beside = finish_load(beside)
        say("  %s: RSS when it began %.0f MB" % (side, with_memory / MIB))
        cells = ["%.1f" % (one[name] / 1000) for name in ("p99_us", "max_us")
                 for one in (alone, beside)]
        return [side, "%.1f" % seconds, *cells,
                "%.2f" % (beside["rate"] / alone["rate"])]


def checkpoint():
    keys = scaled(SAVE_KEYS)
    rows = [save_row(side, keys) for side in ("larder", "redis")]
    title = ("BGSAVE of %d keys of 100 bytes beside 50 clients at P1, 90 %% reads, for %d s"
             % (keys, SAVE_SECONDS))
    table(title, ["server", "BGSAVE s", "p99 ms alone", "beside", "slowest ms alone", "beside",
                  "rate beside to alone"], rows)


PARTS = dict(sizes=sizes, clients=clients, depths=depths, bytes=bytes_a_key, ram=ram,
             checkpoint=checkpoint)


def run():
    for part in PARTS.values():
        part()
