"""TIER INTERN, EXPIRED COUNT, EXPIRY, CLEANUP and INFO. Each test quotes its
line of the contract."""

import hashlib
import random
import time

import pytest

from support.namespaces import pairs
from support.resp import decode
from support.server import wait_until

LARDER_CONFIG = ["save ''", "enable-debug-command yes",
                 "notify-keyspace-events KEA"]


@pytest.fixture
def one(one):
    yield one
    one.command("DEBUG", "SET-ACTIVE-EXPIRE", "1")


def key_of(prefix, value):
    return prefix + hashlib.md5(value).hexdigest().encode()


# ---- INTERN ----

@pytest.mark.parametrize("value", [b"", b"a value", b"\x00\xff" * 40_000],
                         ids=["empty", "short", "long"])
def test_intern_answers_prefix_and_md5(one, value):
    """stores under prefix + MD5 of the value, answers the key"""
    key = key_of(b"file:", value)
    assert one.value("TIER", "INTERN", "file:", value) == key
    assert one.value("GET", key) == value
    assert one.command("TTL", key) == b":-1\r\n"


def test_intern_stores_the_same_content_once(one, larder):
    """the same content is stored once"""
    value = random.Random(3).randbytes(3000)
    key = key_of(b"", value)
    with larder.connect() as listener:
        listener.command("SUBSCRIBE", "__keyevent@0__:set")
        for _ in range(5):
            assert one.value("TIER", "INTERN", "", value) == key
        one.command("SET", "other", 1)
        assert b"other" not in listener.read_reply()
        assert b"other" in listener.read_reply()
    # Not even read: it stays where it is.
    one.command("TIER", "DEMOTE", key, "TO", "dry")
    one.value("TIER", "INTERN", "", value)
    assert one.value("TIER", "OF", key) == b"dry"
    assert one.command("DBSIZE") == b":2\r\n"


def test_intern_lives_as_long_as_the_last_who_needs_it(one):
    """INTERN prefix value [EX s]"""
    key = key_of(b"p:", b"x")
    one.command("TIER", "INTERN", "p:", "x", "EX", "100")
    assert one.value("TTL", key) == 100
    one.command("TIER", "INTERN", "p:", "x", "EX", "10")
    assert one.value("TTL", key) > 90
    one.command("TIER", "INTERN", "p:", "x", "EX", "1000")
    assert one.value("TTL", key) == 1000
    one.command("TIER", "INTERN", "p:", "x")
    assert one.value("TTL", key) == -1
    one.command("TIER", "INTERN", "p:", "x", "EX", "5")
    assert one.value("TTL", key) == -1
    one.command("NAMESPACE", "SET", "d:", "default-ttl", "100s")
    one.command("TIER", "INTERN", "d:", "x", "EX", "5")
    one.command("TIER", "INTERN", "d:", "x")
    assert one.value("TTL", key_of(b"d:", b"x")) == 100


def test_intern_errors(one):
    for words, error in [
            (["x"], b"wrong number of arguments for 'tier|intern' command"),
            (["p", "x", "EX"], b"syntax error"),
            (["p", "x", "PX", "5"], b"syntax error"),
            (["p", "x", "EX", "y"],
             b"value is not an integer or out of range"),
            (["p", "x", "EX", "0"],
             b"invalid expire time in 'tier|intern' command"),
            (["p", "x", "EX", "9223372036854775"],
             b"invalid expire time in 'tier|intern' command")]:
        assert one.command("TIER", "INTERN", *words) == (
            b"-ERR " + error + b"\r\n")
    one.command("RPUSH", key_of(b"p", b"x"), "taken")
    assert one.command("TIER", "INTERN", "p", "x").startswith(b"-WRONGTYPE")


def test_intern_needs_the_right_to_the_key_it_makes(one, larder):
    one.command("ACL", "SETUSER", "ann", "on", "nopass", "+@all", "~p:", "~q:*")
    with larder.connect() as ann:
        ann.command("AUTH", "ann", "x")
        assert ann.command("TIER", "INTERN", "q:", "x").startswith(b"$34")
        assert ann.command("TIER", "INTERN", "p:", "x").startswith(b"-NOPERM")
        assert ann.command("TIER", "INTERN", "r:", "x").startswith(b"-NOPERM")


# ---- expired keys ----

def test_expired_count_and_cleanup(one):
    """EXPIRED COUNT; CLEANUP -> how many, by tier"""
    one.command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    for tier, count in (("hot", 30), ("cold", 20), ("dry", 10)):
        for i in range(count):
            one.command("SET", f"{tier}{i}", "x", "PX", "150")
        if tier != "hot":
            one.command("TIER", "DEMOTE", *(f"{tier}{i}" for i in range(count)),
                        "TO", tier)
    for i in range(20):
        one.command("SET", f"later{i}", "x", "EX", str(10 ** (i // 2)))
    assert one.value("TIER", "EXPIRED", "COUNT") <= 60
    wait_until(lambda: one.value("TIER", "EXPIRED", "COUNT") == 60)
    assert one.command("DBSIZE") == b":80\r\n"
    assert pairs(one.value("TIER", "CLEANUP")) == {
        "hot": 30, "cold": 20, "dry": 10}
    assert one.value("TIER", "EXPIRED", "COUNT") == 0
    assert one.command("DBSIZE") == b":20\r\n"
    assert pairs(one.value("TIER", "CLEANUP")) == {
        "hot": 0, "cold": 0, "dry": 0}


def test_cleanup_of_many_holds_nobody_up(one, larder):
    one.command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    replies = one.pipeline([["SET", f"k{i}", "x", "PX", "1"]
                            for i in range(60_000)])
    assert len(replies) == 60_000
    wait_until(lambda: one.value("TIER", "EXPIRED", "COUNT") == 60_000)
    with larder.connect() as other:
        one.send(b"TIER CLEANUP\r\n")
        answered = 0
        while one.quiet(0.0001):
            assert other.command("PING") == b"+PONG\r\n"
            answered += 1
        assert pairs(decode(one.read_reply())) == {
            "hot": 60_000, "cold": 0, "dry": 0}
    assert answered > 0


def walk(one, *options):
    cursor, found = b"0", {}
    while True:
        cursor, flat = one.value("TIER", "EXPIRY", cursor, *options)
        found.update(zip(flat[::2], flat[1::2]))
        if cursor == b"0":
            return found


def test_expiry_lists_keys_with_their_expiry(one):
    """TIER EXPIRY [MATCH p] (a cursor)"""
    expected = {}
    for i in range(500):
        one.command("SET", f"plain{i}", "x")
        at = 4_000_000_000_000 + i
        one.command("SET", f"a{i % 7}:{i}", "x", "PXAT", str(at))
        expected[b"a%d:%d" % (i % 7, i)] = at
    one.command("TIER", "FLUSH", "all")
    assert walk(one) == expected
    assert walk(one, "COUNT", "100") == expected
    assert walk(one, "MATCH", "a3:*") == {
        key: at for key, at in expected.items() if key.startswith(b"a3:")}
    assert one.value("TIER", "OF", "a0:0") == b"dry"
    assert one.command("TIER", "EXPIRY", "x") == b"-ERR invalid cursor\r\n"
    assert one.command("TIER", "EXPIRY", "0", "TYPE", "string") == (
        b"-ERR syntax error\r\n")


# ---- INFO ----

def test_info_says_what_an_entry_knows(one):
    """TIER INFO key (tier, bytes raw and stored, codec, created, last read,
    hits, expiry, record id)"""
    before = time.time() * 1000
    one.command("SET", "key", "x" * 4000, "PXAT", "4000000000000")
    info = pairs(one.value("TIER", "INFO", "key"))
    assert info["tier"] == b"hot" and info["codec"] == b"none"
    assert info["raw_bytes"] == info["stored_bytes"] == 4000
    assert abs(info["last_read_ms"] - before) < 2000
    assert info["expiry_ms"] == 4_000_000_000_000
    assert info["record_id"] == 0
    # What would take RAM for each key is not known, and said so.
    assert info["created"] is None and info["hits"] is None
    one.command("TIER", "DEMOTE", "key")
    info = pairs(one.value("TIER", "INFO", "key"))
    assert info["tier"] == b"cold" and info["codec"] == b"lz4"
    assert info["raw_bytes"] == 4000 and 10 < info["stored_bytes"] < 400
    one.command("TIER", "DEMOTE", "key")
    info = pairs(one.value("TIER", "INFO", "key"))
    assert info["tier"] == b"dry" and info["record_id"] > 0
    assert info["raw_bytes"] is None and 10 < info["stored_bytes"] < 400


# ---- latency ----

def latencies(one):
    return {tier.decode(): pairs(found)
            for tier, found in zip(*[iter(one.value("TIER", "LATENCY"))] * 2)}


def test_latency_histogram_by_tier(one, larder):
    """latency histogram by tier"""
    one.command("CONFIG", "RESETSTAT")
    keys = [f"k{i}" for i in range(10)]
    for key in keys:
        one.command("SET", key, "x" * 2000)
        one.command("GET", key)
    one.command("TIER", "DEMOTE", *keys, "TO", "cold")
    one.command("GET", keys[0])
    one.command("TIER", "DEMOTE", *keys, "TO", "dry")
    for key in keys[:3]:
        one.command("GET", key)
    # Looking without reading and misses are in none; of several keys the
    # slowest counts.
    one.command("EXISTS", *keys)
    one.command("GET", "none")
    one.command("MGET", keys[0], keys[9])
    found = latencies(one)
    assert {tier: of["calls"] for tier, of in found.items()} == {
        "hot": 10, "cold": 1, "dry": 4}
    steps = found["dry"]["histogram_usec"]
    assert steps[-1] == 4 and steps[1::2] == sorted(steps[1::2])
    info = larder.info("tiers")
    assert info["dry_latency_usec"]["calls"] == 4
    assert info["dry_latency_usec"]["p99"] >= info["dry_latency_usec"]["p50"]
    one.command("CONFIG", "RESETSTAT")
    assert latencies(one)["dry"]["calls"] == 0
