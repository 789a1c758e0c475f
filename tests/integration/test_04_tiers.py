"""More data than RAM: every value right, every count exact, in every tier."""

import random
import threading
import time

import pytest

from support.resp import encode
from support.server import PATIENCE, SANITIZED, patience, wait_until

MB = 1 << 20
LIMIT = 32 * MB
# The data are larger than the page cache: read past it.
LARDER_CONFIG = ["maxmemory 32mb", "save \"\"", "dry-page-cache 40mb"]
KEYS = 80000
VALUE_BYTES = 1000


def value_of(i, version=0):
    """1000 bytes that do not compress, told by the number."""
    return random.Random(i * 1000 + version).randbytes(VALUE_BYTES)


def key_of(i):
    return b"key:%06d" % i


def fill(server, numbers, version=0):
    numbers = list(numbers)
    with server.connect(timeout=60) as connection:
        for at in range(0, len(numbers), 500):
            part = numbers[at : at + 500]
            replies = connection.pipeline(
                [("SET", key_of(i), value_of(i, version)) for i in part])
            assert set(replies) == {b"+OK\r\n"}


def check(server, numbers, version=0):
    numbers = list(numbers)
    with server.connect(timeout=60) as connection:
        for at in range(0, len(numbers), 500):
            part = numbers[at : at + 500]
            replies = connection.pipeline([("GET", key_of(i)) for i in part])
            for i, reply in zip(part, replies):
                expected = b"$%d\r\n%b\r\n" % (
                    VALUE_BYTES, value_of(i, version))
                assert reply == expected, "key %d: %r" % (i, reply[:60])


def tiers(server):
    return server.info("tiers")


def tier_of(server, key):
    return server.client().execute_command("TIER", "OF", key)


@pytest.fixture(scope="module")
def full(larder):
    """80 MB of values in a server given 32 MB."""
    fill(larder, range(KEYS))
    return larder


def test_everything_is_there(full):
    assert full.client().dbsize() == KEYS
    check(full, range(KEYS))
    figures = tiers(full)
    assert figures["dry_keys"] > KEYS // 2
    assert (figures["hot_keys"] + figures["cold_keys"] + figures["dry_keys"]
            == KEYS)


def test_the_limit_holds(full):
    assert full.info("memory")["maxmemory"] == LIMIT
    figures = tiers(full)
    assert figures["used_bytes"] <= LIMIT
    if not SANITIZED:
        # The program itself and its allocator on top of what is counted.
        assert full.status_kb("RssAnon") * 1024 < LIMIT + 16 * MB


def test_random_reads_rise_and_others_sink(full):
    source = random.Random(5)
    for _ in range(5):
        check(full, [source.randrange(KEYS) for _ in range(2000)])
    check(full, [7] * 500)
    assert tier_of(full, key_of(7)) in (b"hot", b"cold")
    check(full, range(KEYS))
    assert full.client().dbsize() == KEYS


def test_reads_by_many_clients_at_once(full):
    failures = []

    def read(seed):
        source = random.Random(seed)
        try:
            check(full, [source.randrange(KEYS) for _ in range(2000)])
        except Exception as error:  # told by the main thread
            failures.append(repr(error))

    threads = [threading.Thread(target=read, args=(s,)) for s in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_scan_is_complete_while_values_move(full):
    stop = threading.Event()

    def stir():
        source = random.Random(9)
        with full.connect(timeout=60) as connection:
            while not stop.is_set():
                connection.pipeline([
                    ("GET", key_of(source.randrange(KEYS)))
                    for _ in range(100)])

    thread = threading.Thread(target=stir)
    thread.start()
    try:
        for count in (10, 1000):
            seen = set()
            cursor = 0
            client = full.client()
            while True:
                cursor, keys = client.scan(cursor, count=count)
                seen.update(keys)
                if cursor == 0:
                    break
            assert seen == {key_of(i) for i in range(KEYS)}
    finally:
        stop.set()
        thread.join()


def test_looking_costs_no_disk_read(full):
    """Existence, type, expiry and size of the database never wait."""
    client = full.client()
    dry = [key_of(i) for i in range(KEYS)
           if i % 40 == 0 and tier_of(full, key_of(i)) == b"dry"]
    assert len(dry) > 100
    before = tiers(full)["fetches"]
    for key in dry:
        assert client.exists(key) == 1
        assert client.type(key) == b"string"
        assert client.ttl(key) == -1
        assert client.object("ENCODING", key) == b"raw"
        assert client.object("IDLETIME", key) >= 0
        assert client.execute_command("MEMORY", "USAGE", key) > 0
        assert client.expire(key, 1000) and client.persist(key)
        assert client.touch(key) == 1
    assert tiers(full)["fetches"] == before
    assert all(tier_of(full, key) == b"dry" for key in dry[:50])


def test_strlen_append_and_ranges_of_dry_values(full):
    client = full.client()
    client.execute_command("TIER", "FLUSH", "ALL")
    for i in range(100, 140):
        assert tier_of(full, key_of(i)) == b"dry"
        value = value_of(i)
        assert client.getrange(key_of(i), 10, 19) == value[10:20]
        client.execute_command("TIER", "DEMOTE", key_of(i), "TO", "DRY")
        assert client.strlen(key_of(i)) == VALUE_BYTES
        client.execute_command("TIER", "DEMOTE", key_of(i), "TO", "DRY")
        assert client.append(key_of(i), "x") == VALUE_BYTES + 1
        client.execute_command("TIER", "DEMOTE", key_of(i), "TO", "DRY")
        assert client.get(key_of(i)) == value + b"x"
        client.set(key_of(i), value)


def test_expiry_is_exact_in_every_tier(full):
    client = full.client()
    names = {"hot": [], "cold": [], "dry": []}
    for tier, keys in names.items():
        for i in range(50):
            key = "expiring:%s:%d" % (tier, i)
            client.set(key, value_of(i), px=4000 * PATIENCE)
            keys.append(key)
    end = time.monotonic() + 4 * PATIENCE
    client.execute_command("TIER", "DEMOTE", *names["cold"], "TO", "COLD")
    client.execute_command("TIER", "DEMOTE", *names["dry"], "TO", "DRY")
    for tier, keys in names.items():
        for key in keys:
            assert tier_of(full, key) == tier.encode()
            assert 0 < client.pttl(key) <= 4000 * PATIENCE
    before = tiers(full)
    time.sleep(max(0, end - time.monotonic()) + 0.05)
    for keys in names.values():
        for key in keys:
            assert client.get(key) is None
            assert client.exists(key) == 0
    after = tiers(full)
    assert after["fetches"] == before["fetches"], "expired dry keys were read"
    assert client.dbsize() == KEYS


def test_expired_dry_keys_go_by_themselves(full):
    client = full.client()
    keys = ["going:%d" % i for i in range(2000)]
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.set(key, "x" * 100, px=1500 * PATIENCE)
        pipe.execute()
    client.execute_command("TIER", "DEMOTE", *keys, "TO", "DRY")
    before = tiers(full)["fetches"]
    wait_until(lambda: client.dbsize() == KEYS, 20, 0.1, "active expiry")
    assert tiers(full)["fetches"] == before
    assert client.info("stats")["expired_keys"] >= 2000


def test_moving_changes_nothing_a_client_sees(full):
    client = full.client()
    for i, value in enumerate([b"", b"1", b"-7", b"x" * 44, b"x" * 45,
                               b"x" * 5000, random.Random(1).randbytes(70000),
                               b"9223372036854775807", b"1.5"]):
        key = "moved:%d" % i
        client.set(key, value, ex=5000)
        at = client.execute_command("PEXPIRETIME", key)
        encoding = client.object("ENCODING", key)
        for tier in ("COLD", "DRY", "COLD", "DRY"):
            client.execute_command("TIER", "DEMOTE", key, "TO", tier)
            assert client.execute_command("PEXPIRETIME", key) == at
            assert client.object("ENCODING", key) == encoding
            assert client.type(key) == b"string"
            if tier == "DRY":
                assert client.get(key) == value
        client.delete(key)


def test_overwriting_and_deleting_dry_keys(full):
    client = full.client()
    client.execute_command("TIER", "FLUSH", "ALL")
    before = tiers(full)["fetches"]
    numbers = range(200, 400)
    fill(full, numbers, version=1)
    assert tiers(full)["fetches"] == before, "SET read what it replaced"
    check(full, numbers, version=1)
    client.execute_command("TIER", "FLUSH", "ALL")
    assert client.delete(*[key_of(i) for i in numbers]) == 200
    assert client.dbsize() == KEYS - 200
    assert client.mget(*[key_of(i) for i in numbers]) == [None] * 200
    fill(full, numbers)
    check(full, numbers)
    assert client.dbsize() == KEYS


def test_whole_database_commands_on_dry_keys(full):
    a, b = full.client(), full.client(db=1)
    b.set("only", "one")
    b.execute_command("TIER", "DEMOTE", "only", "TO", "DRY")
    a.execute_command("SWAPDB", 0, 1)
    try:
        assert a.dbsize() == 1 and b.dbsize() == KEYS
        assert a.get("only") == b"one" and b.get(key_of(5)) == value_of(5)
    finally:
        a.execute_command("SWAPDB", 0, 1)
    b.flushdb()
    assert b.get("only") is None
    check(full, range(0, KEYS, 37))


def test_writers_faster_than_the_disk_lose_nothing(full):
    failures = []

    def write(first):
        try:
            fill(full, range(first, KEYS, 4), version=2)
        except Exception as error:  # told by the main thread
            failures.append(repr(error))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    pings = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pings.append(full.ping_ms())
        time.sleep(0.01)
    assert not failures, failures[0]
    # The client's own threads are in it: hence not the slowest of all.
    pings.sort()
    assert pings[len(pings) * 95 // 100] < 100 * patience(), pings[-20:]
    assert pings[-1] < 1000 * patience(), pings[-20:]
    assert full.client().dbsize() == KEYS
    check(full, range(KEYS), version=2)
    assert tiers(full)["used_bytes"] <= LIMIT


def test_disk_space_is_taken_back(full):
    """Overwriting everything again and again does not grow the file without
    bound, and what is deleted is reused."""
    for version in range(3, 7):
        fill(full, range(KEYS), version)
    check(full, range(0, KEYS, 11), version=6)
    data = KEYS * (VALUE_BYTES + 100)
    figures = wait_until(
        lambda: (lambda f: f if f["disk_used_bytes"] < 2.5 * data else None)(
            tiers(full)), 30, 0.5, "dead records are reclaimed")
    assert figures["disk_file_bytes"] < 4 * data
    fill(full, range(KEYS))
    check(full, range(0, KEYS, 11))


def test_restart_with_more_data_than_memory(full):
    full.restart()
    assert full.client().dbsize() == KEYS
    check(full, range(KEYS))
    assert tiers(full)["used_bytes"] <= LIMIT
    assert tiers(full)["direct_reads"] > KEYS // 4


def test_scan_cursor_survives_growth_and_restart(start_larder):
    server = start_larder()
    client = server.client()
    with client.pipeline(transaction=False) as pipe:
        for i in range(5000):
            pipe.set("first:%d" % i, i)
        pipe.execute()
    seen, cursor, steps = set(), 0, 0
    while True:
        cursor, keys = client.scan(cursor, count=50)
        seen.update(keys)
        steps += 1
        if cursor == 0:
            break
        if steps == 20:
            with client.pipeline(transaction=False) as pipe:
                for i in range(50000):
                    pipe.set("later:%d" % i, i)
                pipe.execute()
        if steps == 40:
            server.restart()
        if steps == 60:
            with client.pipeline(transaction=False) as pipe:
                for i in range(50000):
                    pipe.delete("later:%d" % i)
                pipe.execute()
    assert {b"first:%d" % i for i in range(5000)} <= seen


def test_maxmemory_lowered_at_run_time(start_larder):
    server = start_larder("maxmemory 100mb")
    fill(server, range(40000))
    client = server.client()
    assert tiers(server)["used_bytes"] > 32 * MB
    client.config_set("maxmemory", "24mb")
    wait_until(lambda: tiers(server)["used_bytes"] <= 24 * MB, 20, 0.1,
               "the new limit")
    check(server, range(40000))
    assert client.dbsize() == 40000
    client.config_set("maxmemory", "100mb")
    check(server, range(40000))


def test_a_full_store_refuses_writes_and_heals(start_larder):
    """dry-maxsize reached: -OOM, reads and DEL go on, room brings it back."""
    server = start_larder("maxmemory 16mb", "dry-maxsize 32mb")
    with server.connect(timeout=60) as connection:
        refused = None
        for i in range(100000):
            reply = connection.command("SET", key_of(i), value_of(i))
            if reply != b"+OK\r\n":
                refused = (i, reply)
                break
        assert refused is not None, "128 MB went into 48"
        kept, reply = refused
        assert reply.startswith((b"-OOM ", b"-MISCONF ")), reply
        assert connection.command("DBSIZE") == b":%d\r\n" % kept
        check(server, range(0, kept, 7))
        gone = kept // 2
        for i in range(gone):
            assert connection.command("DEL", key_of(i)) == b":1\r\n"

        def accepted():
            return connection.command("SET", "again", "x" * 1000) == b"+OK\r\n"

        wait_until(accepted, 20, 0.1, "room comes back")
        check(server, range(gone, kept, 7))
        for i in range(200):
            assert connection.command(
                "SET", key_of(i), value_of(i)) == b"+OK\r\n"


def test_large_values_tier_too(start_larder):
    server = start_larder("maxmemory 32mb")
    client = server.client()
    sizes = [100, 5000, 70000, 1 * MB, 3 * MB]
    values = {}
    for i in range(60):
        key = "large:%d" % i
        values[key] = random.Random(i).randbytes(sizes[i % 5])
        client.set(key, values[key])
    for _ in range(2):
        for key, value in values.items():
            assert client.get(key) == value
    wait_until(lambda: tiers(server)["used_bytes"] <= 32 * MB, 5,
               what="the limit")
    server.restart()
    for key, value in values.items():
        assert server.client().get(key) == value


def test_parked_clients_keep_their_order(full):
    """A pipeline over dry keys: replies in order, other clients not held."""
    full.client().execute_command("TIER", "FLUSH", "ALL")
    with full.connect(timeout=60) as connection:
        numbers = list(range(0, 4000, 2))
        data = b""
        for i in numbers:
            data += encode("GET", key_of(i)) + encode("ECHO", "%d" % i)
        connection.send(data)
        assert full.ping_ms() < 100 * patience()
        for i in numbers:
            assert connection.read_reply() == b"$%d\r\n%b\r\n" % (
                VALUE_BYTES, value_of(i))
            text = b"%d" % i
            assert connection.read_reply() == b"$%d\r\n%b\r\n" % (
                len(text), text)


def test_one_write_answers_a_pipeline_that_waited(full):
    """What was answered before a value came from disk waits for it."""
    full.client().execute_command("TIER", "FLUSH", "ALL")
    pipelines = 50
    with full.connect(timeout=60) as connection:
        fetches = tiers(full)["fetches"]
        writes = full.info("stats")["total_writes_processed"]
        for i in range(1000, 1000 + pipelines):
            replies = connection.pipeline([("PING",), ("GET", key_of(i)), ("PING",)])
            value = b"$%d\r\n%b\r\n" % (VALUE_BYTES, value_of(i))
            assert replies == [b"+PONG\r\n", value, b"+PONG\r\n"]
        writes = full.info("stats")["total_writes_processed"] - writes
        fetches = tiers(full)["fetches"] - fetches
    assert fetches >= pipelines
    assert writes < pipelines * 3 // 2  # a disk may be slow now and then


def test_many_waiters_for_one_key(full):
    """Single flight: a hundred clients, one read."""
    full.client().execute_command("TIER", "DEMOTE", key_of(77), "TO", "DRY")
    before = tiers(full)["fetches"]
    held = [full.connect() for _ in range(100)]
    for connection in held:
        connection.send(encode("GET", key_of(77)))
    for connection in held:
        assert connection.read_reply().endswith(value_of(77) + b"\r\n")
        connection.close()
    assert tiers(full)["fetches"] - before <= 3
