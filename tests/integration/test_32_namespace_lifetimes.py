"""Lifetimes of namespaces: how long a key stays in a tier without being read,
and the expiry that a write gets when it names none."""

import time

import pytest

from support.namespaces import set_options, stats, tier
from support.resp import encode
from support.server import wait_until

LARDER_CONFIG = ["save ''", "enable-debug-command yes"]


def when_in(one, key, wanted, start, seconds=10):
    wait_until(lambda: tier(one, key) == wanted, seconds, 0.01,
               what=f"{key} in {wanted}")
    return time.monotonic() - start


def test_defaults(one):
    options = dict(zip(*[iter(one.value("NAMESPACE", "GET", ""))] * 2))
    assert options[b"hot-ttl"] == b"4h" and options[b"cold-ttl"] == b"1d"
    assert options[b"dry-ttl"] == b"0"


def test_hot_cold_and_dry_ttl_one_after_the_other(one):
    set_options(one, "t:", "hot-ttl", "1s", "cold-ttl", "2s", "dry-ttl", "1s")
    start = time.monotonic()
    one.command("SET", "t:key", "value")
    cold = when_in(one, "t:key", "cold", start)
    dry = when_in(one, "t:key", "dry", start)
    gone = when_in(one, "t:key", "none", start)
    assert 0.85 < cold < 1.6, (cold, dry, gone)
    assert 2.85 < dry < 3.6, (cold, dry, gone)
    assert 3.85 < gone < 4.6, (cold, dry, gone)
    assert one.command("EXISTS", "t:key") == b":0\r\n"
    assert stats(one, "t:")["dry_expired"] == 1


def test_reading_keeps_a_key_where_it_is(one):
    set_options(one, "r:", "hot-ttl", "1s")
    one.command("MSET", "r:read", "1", "r:unread", "2")
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert one.command("GET", "r:read") == b"$1\r\n1\r\n"
        time.sleep(0.1)
    assert tier(one, "r:read") == "hot"
    assert tier(one, "r:unread") == "cold"


def test_cold_ttl_after_sinking_by_hand(one):
    set_options(one, "c:", "cold-ttl", "500ms")
    one.command("SET", "c:key", "value")
    one.command("TIER", "DEMOTE", "c:key", "TO", "cold")
    when_in(one, "c:key", "dry", 0)
    assert one.command("GET", "c:key") == b"$5\r\nvalue\r\n"


def test_out_of_the_last_tier_only_what_was_said_deletes(one):
    set_options(one, "l:", "tiers", "hot", "hot-ttl", "500ms")
    one.command("SET", "l:key", "value")
    when_in(one, "l:key", "none", 0)
    assert stats(one, "l:")["hot_expired"] == 1


def test_dry_ttl_counts_from_the_last_use(one):
    set_options(one, "d:", "dry-ttl", "1s")
    for key in ("d:old", "d:used"):
        one.command("SET", key, "value")
        one.command("TIER", "DEMOTE", key, "TO", "dry")
    time.sleep(0.6)
    one.command("GET", "d:used")
    one.command("TIER", "DEMOTE", "d:used", "TO", "dry")
    wait_until(lambda: tier(one, "d:old") == "none", 3)
    assert tier(one, "d:used") == "dry"
    wait_until(lambda: tier(one, "d:used") == "none", 3)


def test_default_ttl(one):
    set_options(one, "e:", "default-ttl", "100s")
    one.command("SET", "e:plain", "1")
    one.command("SET", "e:plain", "2")
    one.command("SET", "e:own", "1", "EX", 1000)
    one.command("INCR", "e:counter")
    one.command("RPUSH", "e:list", "a")
    one.command("SET", "other", "1")
    for key in ("e:plain", "e:counter", "e:list"):
        assert 95 < one.value("TTL", key) <= 100, key
    assert one.value("TTL", "e:own") > 900
    assert one.value("TTL", "other") == -1
    one.command("SET", "e:own", "2", "KEEPTTL")
    assert one.value("TTL", "e:own") > 900
    one.command("PERSIST", "e:plain")
    assert one.value("TTL", "e:plain") == -1
    one.command("SET", "e:plain", "3")
    assert 95 < one.value("TTL", "e:plain") <= 100


def test_sliding_ttl(one, larder):
    set_options(one, "s:", "default-ttl", "1s", "sliding-ttl", "yes")
    one.command("MSET", "s:read", "1", "s:unread", "2")
    one.command("SET", "s:longer", "3", "EX", 100)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert one.command("GET", "s:read") == b"$1\r\n1\r\n"
        one.command("GET", "s:longer")
        time.sleep(0.1)
    assert one.command("GET", "s:unread") == b"$-1\r\n"
    assert one.value("TTL", "s:longer") > 90
    wait_until(lambda: one.command("EXISTS", "s:read") == b":0\r\n", 3)


def test_sliding_ttl_survives_a_restart(start_larder):
    server = start_larder(
        "namespace s: default-ttl 30s sliding-ttl yes")
    with server.connect() as one:
        one.command("SET", "s:key", "1", "EX", 5)
        one.command("TIER", "DEMOTE", "s:key", "TO", "dry")
        one.command("GET", "s:key")
        assert one.value("TTL", "s:key") > 25
    server.restart()
    with server.connect() as one:
        assert one.value("TTL", "s:key") > 20


def test_sliding_ttl_needs_a_default_ttl(one):
    reply = one.command("NAMESPACE", "SET", "s:", "sliding-ttl", "yes")
    assert reply.startswith(b"-ERR") and b"sliding-ttl" in reply


def test_mget_touch(one):
    set_options(one, "m:", "tiers", "hot", "hot-max-items", "3", "mget-touch",
                "no")
    one.command("MSET", "m:1", "1", "m:2", "2", "m:3", "3")
    one.command("MGET", "m:1", "m:2")
    one.command("SET", "m:4", "4")
    assert one.command("EXISTS", "m:1") == b":0\r\n"
    set_options(one, "m:", "mget-touch", "yes")
    one.command("MGET", "m:2", "m:3")
    one.command("MGET", "m:2")
    one.command("SET", "m:5", "5")
    assert one.command("EXISTS", "m:4") == b":0\r\n"
    assert one.command("EXISTS", "m:2") == b":1\r\n"


def test_lifetimes_of_every_eviction_policy(one):
    for eviction in ("lru", "lfu", "fifo", "random", "ttl", "s3-fifo"):
        set_options(one, f"{eviction}:", "hot-ttl", "300ms", "eviction",
                    eviction)
        one.command("SET", f"{eviction}:key", "value")
    for eviction in ("lru", "lfu", "fifo", "random", "ttl", "s3-fifo"):
        when_in(one, f"{eviction}:key", "cold", 0)


MANY = 150000


@pytest.fixture
def one_seldom(start_larder):
    """Whose clock ticks once a second: what is due goes between the ticks."""
    with start_larder("hz 1").connect(timeout=60) as connection:
        yield connection


def set_many(one, prefix, *options):
    for start in range(0, MANY, 10000):
        one.send(b"".join(encode("SET", f"{prefix}{i}", "value", *options)
                          for i in range(start, start + 10000)))
        assert set(one.read_replies(10000)) == {b"+OK\r\n"}


def test_many_expire_at_once(one_seldom):
    set_many(one_seldom, "many:", "PXAT", int(time.time() * 1000) + 5000)
    wait_until(lambda: one_seldom.command("DBSIZE") == b":0\r\n", 15,
               what="expiry")


def test_many_sink_at_once(one_seldom):
    set_options(one_seldom, "sink:", "hot-ttl", "1s")
    set_many(one_seldom, "sink:")
    wait_until(lambda: stats(one_seldom, "sink:")["hot_keys"] == 0, 15,
               what="cold")
