"""Limits of namespaces, by bytes and items, a tier at a time, and who leaves
when there are too many: `eviction`."""

import random

from support.namespaces import options, set_options, stats
from support.server import wait_until

LARDER_CONFIG = ["save ''"]


def alive(one, prefix, count):
    return {i for i in range(count)
            if one.command("EXISTS", f"{prefix}{i}") == b":1\r\n"}


def test_tiers_hot_alone_is_a_plain_lru_map(one):
    set_options(one, "m:", "tiers", "hot", "hot-max-items", "3")
    for i in range(3):
        one.command("SET", f"m:{i}", i)
    one.command("GET", "m:0")
    one.command("SET", "m:3", 3)
    assert alive(one, "m:", 4) == {0, 2, 3}
    one.command("SET", "m:2", "again")
    one.command("SET", "m:4", 4)
    assert alive(one, "m:", 5) == {2, 3, 4}
    assert stats(one, "m:")["hot_evicted"] == 2
    assert stats(one, "m:")["disk_bytes"] == 0


def test_eviction_lru_is_exact(one):
    set_options(one, "l:", "tiers", "hot", "hot-max-items", "50")
    source = random.Random(5)
    model = []
    for _ in range(3000):
        i = source.randrange(100)
        if source.random() < 0.5:
            one.command("SET", f"l:{i}", i)
        elif one.command("GET", f"l:{i}") == b"$-1\r\n":
            assert i not in model
            continue
        if i in model:
            model.remove(i)
        model = [*model, i][-50:]
    assert alive(one, "l:", 100) == set(model)


def test_eviction_fifo_goes_by_age(one):
    set_options(one, "f:", "tiers", "hot", "hot-max-items", "3", "eviction",
                "fifo")
    for i in range(3):
        one.command("SET", f"f:{i}", i)
    one.command("GET", "f:0")
    one.command("SET", "f:0", "again")
    one.command("SET", "f:3", 3)
    assert alive(one, "f:", 4) == {1, 2, 3}


def test_eviction_lfu_keeps_what_is_used_often(one):
    set_options(one, "u:", "tiers", "hot", "hot-max-items", "20", "eviction",
                "lfu")
    for i in range(10):
        one.command("SET", f"u:{i}", i)
        for _ in range(10):
            one.command("GET", f"u:{i}")
    for i in range(10, 500):
        one.command("SET", f"u:{i}", i)
    left = alive(one, "u:", 500)
    assert len(left) == 20 and left >= set(range(10))


def test_eviction_ttl_takes_what_expires_first(one):
    set_options(one, "t:", "tiers", "hot", "hot-max-items", "8", "eviction",
                "ttl")
    order = list(range(12))
    random.Random(2).shuffle(order)
    one.command("SET", "t:12", "never expires")
    for i in order[:7]:
        one.command("SET", f"t:{i}", i, "EX", 1000 + 100 * i)
    for i in order[7:]:
        one.command("SET", f"t:{i}", i, "EX", 1000 + 100 * i)
    assert alive(one, "t:", 13) >= {12, 11, 10, 9, 8}


def test_eviction_random_spares_nobody(one):
    set_options(one, "r:", "tiers", "hot", "hot-max-items", "100", "eviction",
                "random")
    ages = []
    for i in range(2000):
        one.command("SET", f"r:{i}", i)
    left = alive(one, "r:", 2000)
    ages = sorted(1999 - i for i in left)
    assert len(left) == 100
    # Half of them are older than 69 insertions (the half-life), and some are
    # much older than any order of arrival would leave.
    assert 40 < ages[50] < 110, ages
    assert ages[-1] > 200


def test_eviction_s3_fifo_lets_a_scan_pass(one):
    set_options(one, "s:", "tiers", "hot", "hot-max-items", "100", "eviction",
                "s3-fifo")
    for _ in range(4):
        for i in range(50):
            if one.command("GET", f"s:{i}") == b"$-1\r\n":
                one.command("SET", f"s:{i}", i)
    for i in range(1000, 3000):
        one.command("SET", f"s:{i}", i)
    assert len(alive(one, "s:", 50)) >= 45
    assert stats(one, "s:")["hot_keys"] == 100


def test_limits_pass_values_down_tier_by_tier(one):
    set_options(one, "d:", "hot-max-items", "10", "cold-max-items", "20",
                "dry-max-items", "30")
    for i in range(100):
        one.command("SET", f"d:{i}", f"value {i}")

    def settled():
        found = stats(one, "d:")
        return (found["hot_keys"], found["cold_keys"], found["dry_keys"]) == (
            10, 20, 30)
    wait_until(settled)
    assert alive(one, "d:", 100) == set(range(40, 100))
    assert one.value("TIER", "OF", "d:99") == b"hot"
    assert one.value("TIER", "OF", "d:89") == b"cold"
    assert one.value("TIER", "OF", "d:69") == b"dry"
    assert one.command("GET", "d:69") == b"$8\r\nvalue 69\r\n"
    # Out of dry goes what was used longest ago.
    one.command("GET", "d:40")
    one.command("GET", "d:40")
    for i in range(100, 105):
        one.command("SET", f"d:{i}", i)
    wait_until(settled)
    assert 40 in alive(one, "d:", 105)


def test_tiers_hot_and_dry(one):
    set_options(one, "h:", "tiers", "hot,dry", "hot-max-items", "10")
    for i in range(100):
        one.command("SET", f"h:{i}", f"value {i}")
    wait_until(lambda: stats(one, "h:")["dry_keys"] == 90)
    assert stats(one, "h:")["cold_keys"] == 0
    assert one.command("GET", "h:5") == b"$7\r\nvalue 5\r\n"
    assert one.value("TIER", "OF", "h:5") == b"hot"
    wait_until(lambda: stats(one, "h:")["dry_keys"] == 90)
    for i in range(100):
        assert one.value("GET", f"h:{i}") == b"value %d" % i


def test_limits_by_bytes(one):
    set_options(one, "b:", "hot-maxmemory", "100kb", "cold-maxmemory", "200kb",
                "dry-maxsize", "300kb")
    for i in range(2000):
        one.command("SET", f"b:{i}", random.Random(i).randbytes(1000))

    def settled():
        found = stats(one, "b:")
        return (found["hot_bytes"] <= 100 << 10 and
                found["cold_bytes"] <= 200 << 10 and
                found["disk_bytes"] <= 300 << 10)
    wait_until(settled)
    found = stats(one, "b:")
    assert found["hot_bytes"] > 95 << 10
    assert found["cold_bytes"] > 190 << 10
    assert found["disk_bytes"] > 290 << 10
    assert found["dry_evicted"] > 1000
    left = alive(one, "b:", 2000)
    assert min(left) > 1000 and max(left) == 1999


def test_lowering_a_limit_acts_on_what_is_there(one):
    for i in range(5000):
        one.command("SET", f"x:{i}", i)
    set_options(one, "x:", "hot-max-items", "100", "tiers", "hot")
    wait_until(lambda: stats(one, "x:")["hot_keys"] == 100)
    set_options(one, "x:", "hot-max-items", "7")
    wait_until(lambda: stats(one, "x:")["hot_keys"] == 7)
    assert alive(one, "x:", 5000) == set(range(4993, 5000))
    for eviction in ("lfu", "s3-fifo", "ttl", "random", "fifo", "lru"):
        set_options(one, "x:", "eviction", eviction)
        one.command("SET", "x:new", eviction)
        wait_until(lambda: stats(one, "x:")["hot_keys"] == 7)
        assert one.value("GET", "x:new") in (eviction.encode(), None)


def test_a_small_namespace_in_a_large_store(one):
    one.pipeline([("SET", f"big{i}", "x" * 10) for i in range(100_000)])
    set_options(one, "small:", "tiers", "hot", "hot-max-items", "10")
    for i in range(1000):
        one.command("SET", f"small:{i}", i)
    assert alive(one, "small:", 1000) == set(range(990, 1000))
    assert stats(one, "")["hot_keys"] == 100_000


def test_limits_hold_over_all_databases_and_after_flushing(one):
    set_options(one, "n:", "tiers", "hot", "hot-max-items", "20")
    for database in (0, 1, 2):
        one.command("SELECT", database)
        for i in range(20):
            one.command("SET", f"n:{i}", i)
    assert stats(one, "n:")["hot_keys"] == 20
    sizes = []
    for database in (0, 1, 2):
        one.command("SELECT", database)
        sizes.append(one.value("DBSIZE"))
    assert sum(sizes) == 20
    one.command("FLUSHDB")
    assert stats(one, "n:")["hot_keys"] == 20 - sizes[2]
    one.command("FLUSHALL")
    assert stats(one, "n:")["hot_keys"] == 0
    one.command("SELECT", 0)


def test_limits_after_a_restart(start_larder):
    server = start_larder("warm-restart no",
                          "namespace d: dry-max-items 1000",
                          "namespace e: hot-max-items 5 cold-max-items 5")
    with server.connect() as one:
        for i in range(200):
            one.command("SET", f"d:{i}", f"value {i}")
            one.command("SET", f"e:{i}", f"value {i}")
    server.restart()
    with server.connect() as one:
        assert stats(one, "d:")["dry_keys"] == 200
        set_options(one, "d:", "dry-max-items", "50")
        wait_until(lambda: stats(one, "d:")["dry_keys"] == 50)
        assert alive(one, "e:", 200) == set(range(200))
        left = alive(one, "d:", 200)
    server.restart()
    with server.connect() as one:
        assert alive(one, "d:", 200) == left
        assert options(one, "d:")["dry-max-items"] == "1000"
