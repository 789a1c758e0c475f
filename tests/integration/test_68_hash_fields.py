"""Fields of hashes that expire, as Redis 7.4 and 8.0 document them (the
redis-server of the other tests knows nothing of it): in every tier, across a
restart, and without anybody looking."""

import random
import struct
import time

import pytest

from support.rdb import listpack, seal, string
from support.resp import Connection, decode, encode
from support.server import wait_until

LARDER_CONFIG = ["hash-max-listpack-entries 8"]
FAR = 1 << 45
SIZES = [3, 40]  # a small form and a large one
TIERS = ["HOT", "COLD", "DRY"]


@pytest.fixture
def side(larder):
    with larder.connect() as connection:
        connection.command("FLUSHALL")
        connection.command("CONFIG", "SET", "notify-keyspace-events", "")
        yield connection


def now_ms(side):
    seconds, micros = side.value("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def passed(side, deadline):
    """Commands look at a clock that is some ms behind that of TIME."""
    return now_ms(side) > deadline + 20


def fill(side, key, count):
    words = [word for i in range(count) for word in ("f%d" % i, "v%d" % i)]
    side.command("HSET", key, *words)


def demote(side, key, tier):
    if tier != "HOT":
        side.command("TIER", "DEMOTE", key, "TO", tier)
        wait_until(lambda: side.value("TIER", "OF", key) == tier.lower().encode(),
                   what="demotion")


def fields_of(side, key):
    reply = side.value("HGETALL", key)
    return dict(zip(reply[::2], reply[1::2]))


def error(side, *words):
    reply = side.command(*words)
    assert reply.startswith(b"-"), reply
    return reply[1:-2].decode()


# ---- what commands answer ----

@pytest.mark.parametrize("count", SIZES)
def test_conditions(side, count):
    fill(side, "h", count)
    now = now_ms(side)
    near, far = now + 10**6, now + 10**9

    def expire(deadline, *words):
        return side.value("HPEXPIREAT", "h", deadline, *words)

    assert expire(near, "XX", "FIELDS", 1, "f0") == [0]
    assert expire(near, "GT", "FIELDS", 1, "f0") == [0]
    assert expire(near, "NX", "FIELDS", 2, "f0", "none") == [1, -2]
    assert expire(far, "NX", "FIELDS", 2, "f0", "f1") == [0, 1]
    assert expire(far, "LT", "FIELDS", 3, "f0", "f1", "f2") == [0, 0, 1]
    assert expire(far, "gt", "fields", 2, "f0", "f1") == [1, 0]
    assert expire(near, "LT", "FIELDS", 1, "f0") == [1]
    assert expire(near + 1, "XX", "FIELDS", 2, "f0", "f1") == [1, 1]
    assert side.value("HPEXPIRETIME", "h", "FIELDS", 4, "f0", "f1", "f2",
                      "x") == [near + 1, near + 1, far, -2]
    assert side.value("HEXPIRETIME", "h", "FIELDS", 1, "f2") == [
        -(-far // 1000)]
    assert expire(1, "NX", "FIELDS", 1, "f0") == [0]
    assert expire(0, "FIELDS", 3, "f0", "f0", "f1") == [2, -2, 2]
    assert side.value("HLEN", "h") == count - 2


@pytest.mark.parametrize("count", SIZES)
def test_how_long(side, count):
    fill(side, "h", count)
    assert side.value("HEXPIRE", "h", 100, "FIELDS", 1, "f0") == [1]
    assert side.value("HPEXPIRE", "h", 100500, "FIELDS", 1, "f1") == [1]
    assert side.value("HEXPIREAT", "h", 4102444800, "FIELDS", 1, "f2") == [1]
    seconds = side.value("HTTL", "h", "FIELDS", 3, "f0", "f1", "none")
    assert 90 <= seconds[0] <= 100 and 90 <= seconds[1] <= 101
    assert seconds[2] == -2
    assert 90000 < side.value("HPTTL", "h", "FIELDS", 1, "f1")[0] <= 100500
    assert side.value("HEXPIRETIME", "h", "FIELDS", 1, "f2") == [4102444800]
    assert side.value("HPERSIST", "h", "FIELDS", 3, "f0", "f0", "none") == [
        1, -1, -2]
    assert side.value("HTTL", "h", "FIELDS", 1, "f0") == [-1]
    for command in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME",
                    "HPERSIST"):
        assert side.value(command, "none", "FIELDS", 2, "a", "b") == [-2, -2]
    assert side.value("HEXPIRE", "none", 5, "FIELDS", 1, "a") == [-2]
    assert side.value("EXISTS", "none") == 0


@pytest.mark.parametrize("count", SIZES)
def test_what_keeps_a_deadline_and_what_does_not(side, count):
    fill(side, "h", count)
    for i in range(3):
        side.command("HSET", "h", "n%d" % i, 5)
        side.command("HEXPIRE", "h", 1000, "FIELDS", 1, "n%d" % i)
    side.command("HINCRBY", "h", "n0", 2)
    side.command("HINCRBYFLOAT", "h", "n1", "0.5")
    side.command("HSET", "h", "n2", 5)
    ttls = side.value("HTTL", "h", "FIELDS", 3, "n0", "n1", "n2")
    assert ttls[0] > 900 and ttls[1] > 900 and ttls[2] == -1
    side.command("HEXPIRE", "h", 1000, "FIELDS", 1, "n2")
    side.command("HDEL", "h", "n2")
    side.command("HSETNX", "h", "n2", "new")
    assert side.value("HTTL", "h", "FIELDS", 1, "n2") == [-1]


@pytest.mark.parametrize("count", SIZES)
def test_hgetex_and_hgetdel(side, count):
    fill(side, "h", count)
    assert side.value("HGETEX", "h", "FIELDS", 2, "f0", "none") == [b"v0", None]
    assert side.value("HTTL", "h", "FIELDS", 1, "f0") == [-1]
    for words in (["EX", 100], ["PX", 100000]):
        assert side.value("HGETEX", "h", *words, "FIELDS", 1, "f0") == [b"v0"]
        assert 90 < side.value("HTTL", "h", "FIELDS", 1, "f0")[0] <= 100
    for words in (["EXAT", 4102444800], ["PXAT", 4102444800000]):
        assert side.value("HGETEX", "h", *words, "FIELDS", 1, "f0") == [b"v0"]
        assert side.value("HEXPIRETIME", "h", "FIELDS", 1, "f0") == [4102444800]
    assert side.value("HGETEX", "h", "PERSIST", "FIELDS", 1, "f0") == [b"v0"]
    assert side.value("HTTL", "h", "FIELDS", 1, "f0") == [-1]
    assert side.value("HGETEX", "h", "PXAT", 1, "FIELDS", 1, "f0") == [b"v0"]
    assert side.value("HGETEX", "h", "EX", 0, "FIELDS", 1, "f1") == [b"v1"]
    assert side.value("HMGET", "h", "f0", "f1") == [None, None]
    assert side.value("HGETDEL", "h", "FIELDS", 3, "f2", "f2", "x") == [
        b"v2", None, None]
    rest = list(fields_of(side, "h"))
    if rest:
        side.command("HGETDEL", "h", "FIELDS", len(rest), *rest)
    assert side.value("EXISTS", "h") == 0
    assert side.value("HGETEX", "h", "EX", 5, "FIELDS", 1, "a") == [None]
    assert side.value("HGETDEL", "h", "FIELDS", 1, "a") == [None]


@pytest.mark.parametrize("count", SIZES)
def test_hsetex(side, count):
    fill(side, "h", count)
    assert side.value("HSETEX", "h", "FIELDS", 2, "f0", "w0", "g", "w") == 1
    assert side.value("HMGET", "h", "f0", "g") == [b"w0", b"w"]
    assert side.value("HSETEX", "h", "FNX", "EX", 5, "FIELDS", 2, "new", 1,
                      "g", 1) == 0
    assert side.value("HSETEX", "h", "FXX", "FIELDS", 2, "new", 1, "g", 1) == 0
    assert side.value("HEXISTS", "h", "new") == 0
    assert side.value("HSETEX", "h", "EX", 100, "FXX", "FIELDS", 1, "g", 1) == 1
    assert 90 < side.value("HTTL", "h", "FIELDS", 1, "g")[0] <= 100
    assert side.value("HSETEX", "h", "KEEPTTL", "FIELDS", 2, "g", 2, "f1",
                      "x") == 1
    ttls = side.value("HTTL", "h", "FIELDS", 2, "g", "f1")
    assert 90 < ttls[0] <= 100 and ttls[1] == -1
    assert side.value("HSETEX", "h", "FIELDS", 1, "g", 3) == 1
    assert side.value("HTTL", "h", "FIELDS", 1, "g") == [-1]
    assert side.value("HSETEX", "h", "PXAT", 1, "FIELDS", 2, "g", 4, "z",
                      1) == 1
    assert side.value("HMGET", "h", "g", "z") == [None, None]
    assert side.value("HSETEX", "new", "FXX", "FIELDS", 1, "a", 1) == 0
    assert side.value("HSETEX", "new", "EX", 0, "FIELDS", 1, "a", 1) == 1
    assert side.value("EXISTS", "new") == 0
    assert side.value("HSETEX", "new", "FNX", "PX", 10**6, "FIELDS", 1, "a",
                      1) == 1
    assert side.value("OBJECT", "ENCODING", "new") == b"listpackex"


def test_errors(side):
    side.command("HSET", "h", "f", "v")
    side.command("SET", "s", "v")
    missing = "ERR Mandatory argument FIELDS is missing or not at the right position"
    match = "ERR The `numfields` parameter must match the number of arguments"
    positive = "ERR Number of fields must be a positive integer"
    greater = "ERR Parameter `numFields` should be greater than 0"
    negative = "ERR invalid expire time, must be >= 0"
    number = "ERR value is not an integer or out of range"
    wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    for words, text in (
            (["HEXPIRE", "h", "x", "FIELDS", 1, "f"], number),
            (["HEXPIRE", "h", -1, "FIELDS", 1, "f"], negative),
            (["HEXPIRE", "h", 1 << 60, "FIELDS", 1, "f"],
             "ERR invalid expire time in 'hexpire' command"),
            (["HPEXPIRE", "h", 1 << 46, "FIELDS", 1, "f"],
             "ERR invalid expire time in 'hpexpire' command"),
            (["HPEXPIREAT", "h", 1 << 46, "FIELDS", 1, "f"],
             "ERR invalid expire time in 'hpexpireat' command"),
            (["HEXPIRE", "h", 1, "NX", "XX", "FIELDS", 1, "f"], missing),
            (["HEXPIRE", "h", 1, "FIELDZ", 1, "f"], missing),
            (["HEXPIRE", "h", 1, "FIELDS", 0, "f"], greater),
            (["HEXPIRE", "h", 1, "FIELDS", "x", "f"], greater),
            (["HEXPIRE", "h", 1, "FIELDS", 2, "f"], match),
            (["HEXPIRE", "h", 1, "FIELDS", 1, "f", "g"], match),
            (["HEXPIRE", "s", 1, "FIELDS", 1, "f"], wrong),
            (["HTTL", "s", "FIELDS", 1, "f"], wrong),
            (["HTTL", "h", "f", 1, "f"], missing),
            (["HTTL", "h", "FIELDS", 0, "f"], positive),
            (["HPERSIST", "h", "FIELDS", -1, "f"], positive),
            (["HPERSIST", "h", "FIELDS", 3, "f"], match),
            (["HGETDEL", "s", "FIELDS", 1, "f"], wrong),
            (["HGETDEL", "h", "FIELDS", 2, "f"], match),
            (["HGETEX", "h", "PXAT", 1, 1], missing),
            (["HGETEX", "h", "PERSIST", 1, "FIELDS", 1, "f"], missing),
            (["HGETEX", "h", "EX", "x", "FIELDS", 1, "f"], number),
            (["HGETEX", "h", "EX", -1, "FIELDS", 1, "f"], negative),
            (["HGETEX", "h", "EX", 1 << 48, "FIELDS", 1, "f"],
             "ERR invalid expire time in 'hgetex' command"),
            (["HSETEX", "h", "fields", 2, "a", "b"],
             "ERR wrong number of arguments for 'hsetex' command"),
            (["HSETEX", "h", "fields", 1, "a", "b", "c"],
             "ERR wrong number of arguments for 'hsetex' command"),
            (["HSETEX", "h", "fields", 0, "a", "b"],
             "ERR invalid number of fields"),
            (["HSETEX", "h", "nx", "fields", 1, "a", "b"],
             "ERR unknown argument: nx"),
            (["HSETEX", "h", "fxx", "fnx", "fields", 1, "a", "b"],
             "ERR Only one of FXX or FNX arguments can be specified"),
            (["HSETEX", "h", "EX", 1, "KEEPTTL", "fields", 1, "a", "b"],
             "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be "
             "specified"),
            (["HSETEX", "h", "ex", "fields", 1, "a", "b"], number),
            (["HSETEX", "s", "fields", 1, "a", "b"], wrong)):
        assert error(side, *words) == text, words
    assert fields_of(side, "h") == {b"f": b"v"}


# ---- expiring ----

@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("count", SIZES)
def test_an_expired_field_is_never_shown(side, count, tier):
    fill(side, "h", count)
    side.command("HSET", "h", "gone", 1, "later", 2)
    now = now_ms(side)
    side.command("HPEXPIREAT", "h", now + 300, "FIELDS", 1, "gone")
    side.command("HPEXPIREAT", "h", now + 10**7, "FIELDS", 1, "later")
    assert side.value("HLEN", "h") == count + 2
    demote(side, "h", tier)
    wait_until(lambda: passed(side, now + 300), what="deadline")
    assert side.value("EXISTS", "h") == 1
    assert side.value("HLEN", "h") == count + 1
    demote(side, "h", tier)
    assert side.value("HGET", "h", "gone") is None
    assert b"gone" not in side.value("HSCAN", "h", 0, "COUNT", 1000)[1]
    assert b"gone" not in side.value("HRANDFIELD", "h", 100)
    assert b"gone" not in side.value("HKEYS", "h")
    assert fields_of(side, "h")[b"later"] == b"2"
    assert side.value("HTTL", "h", "FIELDS", 1, "gone") == [-2]
    assert side.value("HSETNX", "h", "gone", "again") == 1
    assert side.value("HTTL", "h", "FIELDS", 1, "gone") == [-1]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("count", SIZES)
def test_a_hash_goes_with_its_last_field(side, count, tier):
    """Also when it is on disk, where nobody reads it."""
    fill(side, "h", count)
    now = now_ms(side)
    names = ["f%d" % i for i in range(count)]
    side.command("HPEXPIREAT", "h", now + 100, "FIELDS", 1, *names[:1])
    side.command("HPEXPIREAT", "h", now + 400, "FIELDS", count - 1, *names[1:])
    demote(side, "h", tier)
    assert side.value("DBSIZE") == 1
    wait_until(lambda: side.value("DBSIZE") == 0, what="the hash to go")
    assert now_ms(side) >= now + 400
    assert side.value("EXISTS", "h") == 0
    assert side.value("KEYS", "*") == []


def test_a_key_that_nobody_notices_is_gone_to_all(side):
    """With active expiry off everything has to look at the time itself."""
    side.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        for key in ("a", "b", "c"):
            side.command("HSETEX", key, "PX", 50, "FIELDS", 1, "f", "v")
        side.command("TIER", "DEMOTE", "b", "TO", "DRY")
        time.sleep(0.06)
        assert side.value("KEYS", "*") == []
        assert side.value("SCAN", 0, "COUNT", 100)[1] == []
        assert side.value("RANDOMKEY") is None
        assert side.value("TYPE", "a") == b"none"
        assert side.value("TTL", "b") == -2
        assert side.value("SET", "c", "v", "NX") == b"OK"
        assert side.value("HSET", "b", "g", 1) == 1
        assert fields_of(side, "b") == {b"g": b"1"}
    finally:
        side.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)


@pytest.mark.parametrize("count", SIZES)
def test_events(larder, side, count):
    side.command("CONFIG", "SET", "notify-keyspace-events", "KA")
    listener = Connection(larder.port)
    listener.command("PSUBSCRIBE", "__keyspace@0__:*")
    fill(side, "h", count)
    names = ["f%d" % i for i in range(count)]
    side.command("HEXPIRE", "h", 100, "FIELDS", 1, "f0")
    side.command("HPERSIST", "h", "FIELDS", 1, "f0")
    side.command("HPERSIST", "h", "FIELDS", 1, "f0")
    side.command("HGETEX", "h", "EX", 100, "FIELDS", 1, "f0")
    side.command("HGETEX", "h", "PERSIST", "FIELDS", 1, "f0")
    side.command("HGETEX", "h", "FIELDS", 1, "f0")
    side.command("HSETEX", "h", "EX", 100, "FIELDS", 1, "f0", "v")
    side.command("HGETDEL", "h", "FIELDS", 1, "f0")
    side.command("HPEXPIRE", "h", 1, "FIELDS", 1, "f1")
    expected = ["hset", "hexpire", "hpersist", "hexpire", "hpersist", "hset",
                "hexpire", "hdel", "hexpire", "hexpired"]
    seen = [decode(listener.read_reply())[3].decode() for _ in expected]
    assert seen == expected
    side.command("HPEXPIRE", "h", 1, "FIELDS", count - 2, *names[2:])
    expected = ["hexpire", "hexpired", "del"]
    seen = [decode(listener.read_reply())[3].decode() for _ in expected]
    assert seen == expected
    side.command("HSET", "h", "f", "v")
    side.command("HEXPIREAT", "h", 1, "FIELDS", 1, "f")
    expected = ["hset", "hdel", "del"]
    seen = [decode(listener.read_reply())[3].decode() for _ in expected]
    assert seen == expected
    listener.close()


def test_watch_and_tracking_see_fields_expire(larder, side):
    other = Connection(larder.port)
    other.command("HSET", "h", "f", 1, "g", 2)
    other.command("WATCH", "h")
    side.command("HPEXPIRE", "h", 30, "FIELDS", 1, "f")
    other.command("UNWATCH")
    other.command("WATCH", "h")
    wait_until(lambda: side.value("HLEN", "h") == 1, what="expiry")
    other.command("MULTI")
    other.command("PING")
    assert other.command("EXEC") in (b"*-1\r\n", b"_\r\n")
    other.close()


# ---- moves ----

@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("count", SIZES)
def test_copies_and_renames_keep_deadlines(side, count, tier):
    fill(side, "h", count)
    side.command("HPEXPIREAT", "h", FAR, "FIELDS", 1, "f1")
    side.command("EXPIRE", "h", 1000)
    whole = fields_of(side, "h")
    demote(side, "h", tier)
    assert side.value("COPY", "h", "copy") == 1
    demote(side, "h", tier)
    assert side.value("RENAME", "h", "renamed") == b"OK"
    assert side.value("MOVE", "renamed", 1) == 1
    side.command("SELECT", 1)
    for database, key in ((1, "renamed"), (0, "copy")):
        side.command("SELECT", database)
        assert side.value("HPEXPIRETIME", key, "FIELDS", 2, "f0", "f1") == [
            -1, FAR]
        assert fields_of(side, key) == whole
        assert 900 < side.value("TTL", key) <= 1000
    side.command("PERSIST", "copy")
    assert side.value("HPEXPIRETIME", "copy", "FIELDS", 1, "f1") == [FAR]
    side.command("HSET", "copy", "f1", "own")
    assert side.value("TTL", "copy") == -1


@pytest.mark.parametrize("config", [["appendonly yes"], []])
def test_restart(start_larder, config):
    server = start_larder(*config, *LARDER_CONFIG)
    with server.connect() as side:
        for count in SIZES:
            fill(side, "h%d" % count, count)
            side.command("HPEXPIREAT", "h%d" % count, FAR + count, "FIELDS", 1,
                         "f1")
            fill(side, "short%d" % count, count)
            names = ["f%d" % i for i in range(count)]
            side.command("HPEXPIRE", "short%d" % count, 1500, "FIELDS", count,
                         *names)
            side.command("EXPIRE", "h%d" % count, 5000)
        side.command("HSETEX", "mixed", "PX", 1500, "FIELDS", 1, "f", 1)
        side.command("HSET", "mixed", "g", 2)
        size = side.value("DBSIZE")
        assert size == 2 * len(SIZES) + 1
    server.restart()
    with server.connect() as side:
        wait_until(lambda: side.value("DBSIZE") == len(SIZES) + 1,
                   what="expiry on disk")
        assert fields_of(side, "mixed") == {b"g": b"2"}
        for count in SIZES:
            assert side.value("HPEXPIRETIME", "h%d" % count, "FIELDS", 2, "f0",
                              "f1") == [-1, FAR + count]
            assert len(fields_of(side, "h%d" % count)) == count
            assert 4000 < side.value("TTL", "h%d" % count) <= 5000
    if config:
        server.crash_restart()
        with server.connect() as side:
            assert side.value("HPEXPIRETIME", "h40", "FIELDS", 1, "f1") == [
                FAR + 40]


@pytest.mark.parametrize("count", SIZES)
def test_dump_and_restore(side, count):
    fill(side, "h", count)
    plain = side.value("DUMP", "h")
    now = now_ms(side)
    side.command("HPEXPIREAT", "h", FAR, "FIELDS", 1, "f0")
    side.command("HPEXPIREAT", "h", now + 200, "FIELDS", 1, "f1")
    dump = side.value("DUMP", "h")
    assert dump[0] == 24 and dump[-10:-8] == b"\x0c\x00"
    assert side.value("RESTORE", "a", 0, dump) == b"OK"
    assert side.value("HPEXPIRETIME", "a", "FIELDS", 3, "f0", "f1", "f2") == [
        FAR, now + 200, -1]
    assert fields_of(side, "a") == fields_of(side, "h")
    wait_until(lambda: passed(side, now + 200), what="deadline")
    assert side.value("RESTORE", "b", 0, dump) == b"OK"
    assert side.value("HLEN", "b") == count - 1
    side.command("HPERSIST", "b", "FIELDS", 1, "f0")
    side.command("HSET", "b", "f1", "v1")
    assert side.value("DUMP", "b")[-10:-8] == b"\x0a\x00"
    assert len(side.value("DUMP", "b")) == len(plain)


def lives(first, *fields):
    """What Redis 7.4 writes of a large hash."""
    value = bytes([24]) + struct.pack("<Q", first) + bytes([len(fields)])
    return value + b"".join(
        bytes([after]) + string(name) + string(b"v") for name, after in fields)


def packed_lives(*items):
    """And of a small one."""
    return bytes([25]) + struct.pack("<Q", 1) + string(listpack(items))


def test_restore_what_redis_74_writes(side):
    value = lives(FAR, (b"a", 1), (b"b", 0), (b"c", 6))
    assert side.value("RESTORE", "h", 0, seal(value, 12)) == b"OK"
    assert side.value("HPEXPIRETIME", "h", "FIELDS", 3, "a", "b", "c") == [
        FAR, -1, FAR + 5]
    value = packed_lives(b"a", b"v", FAR, b"b", b"v", 0)
    assert side.value("RESTORE", "h", 0, seal(value, 12), "REPLACE") == b"OK"
    assert side.value("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == [FAR, -1]
    past = packed_lives(b"a", b"v", 1)
    assert side.value("RESTORE", "h", 0, seal(past, 12), "REPLACE") == b"OK"
    assert side.value("EXISTS", "h") == 0
    assert side.value("RESTORE", "h", 0, seal(past, 12)) == b"OK"
    assert side.value("DBSIZE") == 0
    bad = "ERR Bad data format"
    for value in (lives(FAR, (b"a", 1), (b"a", 1)),
                  lives(2**64 - 1, (b"a", 5)), lives(1 << 50, (b"a", 1)),
                  lives(FAR, (b"a", 1))[:-1], lives(FAR),
                  packed_lives(b"a", b"v"), packed_lives(b"a", b"v", -1),
                  packed_lives(b"a", b"v", b"x"),
                  packed_lives(b"a", b"v", 1 << 50), bytes([25]),
                  bytes([24]) + b"\x00" * 8 + b"\x81" + b"\xff" * 8):
        assert error(side, "RESTORE", "h", 0, seal(value, 12)) == bad, value
    assert error(side, "RESTORE", "h", 0, seal(lives(FAR, (b"a", 1)), 13)) == (
        "ERR DUMP payload version or checksum are wrong")
    assert side.value("DBSIZE") == 0


def test_many_fields_that_expire_at_once(larder, side):
    """The loop goes on serving others."""
    count = 20000
    for start in range(0, count, 1000):
        fields = ["f%d" % i for i in range(start, start + 1000)]
        side.command("HSET", "h", *[w for f in fields for w in (f, "v" * 20)])
    side.command("HSET", "h", "stays", 1)
    deadline = now_ms(side) + 1500
    for start in range(0, count, 1000):
        fields = ["f%d" % i for i in range(start, start + 1000)]
        side.command("HPEXPIREAT", "h", deadline, "FIELDS", 1000, *fields)
    assert side.value("HLEN", "h") == count + 1
    wait_until(lambda: passed(side, deadline), what="deadline")
    assert side.value("HLEN", "h") == 1
    assert fields_of(side, "h") == {b"stays": b"1"}


# ---- all hot, or moved about: the same answers ----

def random_command(rng, now):
    field = lambda: "f%d" % rng.randrange(14)  # noqa: E731
    deadline = lambda: rng.choice(  # noqa: E731
        [now - 5, now + rng.randrange(1, 60), now + rng.randrange(1, 60), FAR])
    fields = [field() for _ in range(rng.randint(1, 3))]
    pairs = [word for name in fields for word in (name, rng.randrange(10**6))]
    listed = ["FIELDS", len(fields), *fields]
    return rng.choice([
        ["HSET", *pairs], ["HSET", *pairs],
        ["HDEL", *fields], ["HINCRBY", field(), 3],
        ["HSETNX", field(), "x" * rng.choice([3, 80])],
        ["HPEXPIREAT", deadline(), *listed],
        ["HPEXPIREAT", deadline(), *listed],
        ["HPEXPIREAT", deadline(),
         rng.choice(["NX", "XX", "GT", "LT"]), *listed],
        ["HPERSIST", *listed], ["HPEXPIRETIME", *listed],
        ["HGETEX", "PXAT", deadline(), *listed], ["HGETEX", "PERSIST", *listed],
        ["HGETDEL", *listed],
        ["HSETEX", rng.choice(["FNX", "FXX", "KEEPTTL"]), "FIELDS",
         len(fields), *pairs],
        ["HSETEX", "PXAT", deadline(), "FIELDS", len(fields), *pairs],
        ["HGETALL"], ["HLEN"], ["HKEYS"], ["HMGET", *fields], ["EXISTS"],
        ["HSCAN", 0, "COUNT", 100], ["OBJECT ENCODING"], ["TTL"],
        ["PEXPIREAT", FAR], ["PERSIST"],
    ])


def on(key, command):
    words = str(command[0]).split()
    return [*words, key, *command[1:]]


@pytest.mark.parametrize("round_", range(3))
def test_tiers_make_no_difference(larder, side, round_):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        pair = rng.randrange(4)
        if rng.random() < 0.3:
            side.command("TIER", "DEMOTE", "moved%d" % pair, "TO",
                         rng.choice(["COLD", "DRY"]))
        command = random_command(rng, now_ms(side))
        side.send(b"".join(encode(*words) for words in (
            ["MULTI"], on("hot%d" % pair, command),
            on("moved%d" % pair, command), ["EXEC"])))
        replies = side.read_replies(4)
        answers = decode(replies[3]) if b"-" not in replies[3] else None
        if answers is None:
            lines = replies[3].split(b"\r\n")[1:]
            assert lines[:len(lines) // 2] == lines[len(lines) // 2:-1], (
                seed, command, replies[3])
        else:
            assert answers[0] == answers[1], (seed, command, answers)
