"""DUMP and RESTORE: values go from redis-server to larder and back, in each
encoding; damaged ones are refused."""

import random
import struct

import pytest

from support.rdb import crc64, listpack, seal, string, ziplist

BAD_FORMAT = b"-ERR Bad data format\r\n"
BAD_SUM = b"-ERR DUMP payload version or checksum are wrong\r\n"


def bulk(reply):
    assert reply[:1] == b"$", reply
    return reply.split(b"\r\n", 1)[1][:-2]


def test_checksum_is_that_of_redis():
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA


STRINGS = [
    b"", b"a", b"0", b"-1", b"127", b"128", b"-128", b"-129", b"32767",
    b"32768", b"-32769", b"2147483647", b"2147483648", b"-2147483648",
    b"-2147483649", b"9223372036854775807", b"01", b"-0", b"+1", b" 1",
    b"x" * 20, b"x" * 21, b"x" * 63, b"x" * 64, b"x" * 16383, b"x" * 16384,
    b"abc" * 100000, bytes(range(256)) * 3, random.Random(1).randbytes(20000),
    b"ab" * 31 + b"\x00",
]


@pytest.mark.parametrize("which", range(len(STRINGS)))
def test_strings_both_ways(both, which):
    both.same("SET", "a", STRINGS[which])
    dumps = [bulk(side.command("DUMP", "a")) for side in both.sides]
    for dump in dumps:
        both.same("RESTORE", "b", 0, dump, "REPLACE")
        both.same("GET", "b")
        both.same("OBJECT", "ENCODING", "b")
    # LZF may find other matches; that is all that may differ.
    assert dumps[0] == dumps[1] or dumps[0][1] == dumps[1][1] == 0xC3


def fill_hash(count, size):
    return [("HSET", "a", "f%d" % i, "v" * size if i % 2 else i)
            for i in range(count)]


def fill_set(members):
    return [("SADD", "a", *members)]


def fill_zset(pairs):
    return [("ZADD", "a", score, member) for score, member in pairs]


def fill_list(elements):
    return [("RPUSH", "a", element) for element in elements]


INTEGERS = [0, 1, 127, 128, -1, -128, -4096, -4097, 4095, 4096, 32767, -32769,
            8388607, 8388608, -8388609, 2**31 - 1, 2**31, -2**31 - 1,
            2**63 - 1, -2**63]
COLLECTIONS = {
    "hash of one": fill_hash(1, 3),
    "hash at 512": fill_hash(512, 3),
    "hash above 512": fill_hash(513, 3),
    "hash at 64 bytes": fill_hash(3, 64),
    "hash above 64 bytes": fill_hash(3, 65),
    "hash of long values": fill_hash(40, 20000),
    "hash of odd fields": [("HSET", "a", "", "", "\x00", "1e3", "-0", "01",
                            "12", "-99999")],
    "set of integers": fill_set(INTEGERS),
    "set of 16 bits": fill_set([1, 2, -32768, 32767]),
    "set of 32 bits": fill_set([1, 40000]),
    "set at 512": fill_set(range(512)),
    "set above 512": fill_set(range(513)),
    "set of words": fill_set(["a", "b", 3, "", "x" * 100]),
    "set of many": fill_set(["m%d" % i for i in range(3000)]),
    "sorted set of odd scores": fill_zset([
        ("inf", "a"), ("-inf", "b"), ("1.5", "c"), ("1e17", "d"), ("3", "e"),
        ("-0.1", "12"), ("5e-324", ""), ("9007199254740993", "f")]),
    "sorted set at 128": fill_zset((i, "m%d" % i) for i in range(128)),
    "sorted set above 128": fill_zset((i % 7, "m%d" % i) for i in range(129)),
    "sorted set of a long member": fill_zset([(1, "x" * 65), (2.5, "y")]),
    "list of one": fill_list(["x"]),
    "list of integers": fill_list(INTEGERS),
    "list of texts": fill_list(["x" * n for n in
                                (0, 1, 63, 64, 127, 128, 4095, 4096, 8000)]),
    "list of back sizes": fill_list(["y" * n for n in
                                     (16370, 16380, 16384, 20000, 2097160)]),
    "list of many": fill_list(["e%d" % i for i in range(4000)]),
}


def contents(both, key):
    kind = both.same("TYPE", key)
    if kind == b"+list\r\n":
        both.same("LRANGE", key, 0, -1)
    elif kind == b"+zset\r\n":
        both.same("ZRANGE", key, 0, -1, "WITHSCORES")
    elif kind == b"+hash\r\n":
        ours, theirs = both.ask("HGETALL", key)
        assert pairs(ours) == pairs(theirs)
    else:
        ours, theirs = both.ask("SMEMBERS", key)
        assert sorted(words(ours)) == sorted(words(theirs))


def words(reply):
    """The bulk strings of an array."""
    found, at = [], reply.index(b"\r\n") + 2
    while at < len(reply):
        end = reply.index(b"\r\n", at)
        size = int(reply[at + 1:end])
        found.append(reply[end + 2:end + 2 + size])
        at = end + 4 + size
    return found


def pairs(reply):
    flat = words(reply)
    return sorted(zip(flat[::2], flat[1::2]))


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("compress", ["yes", "no"])
def test_collections_both_ways(both, name, compress):
    both.same("CONFIG", "SET", "rdbcompression", compress)
    for command in COLLECTIONS[name]:
        both.same(*command)
    dumps = [bulk(side.command("DUMP", "a")) for side in both.sides]
    for number, dump in enumerate(dumps):
        key = "b%d" % number
        both.same("RESTORE", key, 0, dump)
        contents(both, key)
        both.same("OBJECT", "ENCODING", key)
    # The same form, if not always the same order or the same nodes.
    assert dumps[0][0] == dumps[1][0]
    if compress == "no" and dumps[0][0] in (11, 16, 17):
        assert dumps[0] == dumps[1]


OLD = {
    "list": b"\x01\x03" + string(b"a") + string(b"b") + string(b"12"),
    "list ziplist": b"\x0a" + string(ziplist([b"a", 5, -7, 300, b"x" * 100,
                                              70000, 2**40, 12, 13])),
    "quicklist": b"\x0e\x02" + string(ziplist([b"a", 1])) + string(
        ziplist([b"z" * 300, b"y" * 70000])),
    "quicklist 2 with a plain node":
        b"\x12\x02\x01" + string(b"plain") + b"\x02" + string(listpack(
            [b"a", 7, -1, 5000, 2**20, 2**40, 2**63 - 1])),
    "hash": b"\x04\x02" + b"".join(map(string, [b"a", b"1", b"b", b"2"])),
    "hash ziplist": b"\x0d" + string(ziplist([b"a", 1, b"b", b"x"])),
    "hash zipmap": b"\x09" + string(b"\x02\x01a\x02\x00xy\x01b\x01\x02z__\xff"),
    "hash listpack": b"\x10" + string(listpack([b"a", 1, b"b", b"x"])),
    "sorted set": b"\x03\x03" + string(b"a") + b"\x031.5" + string(
        b"b") + b"\xfe" + string(b"c") + b"\xff",
    "sorted set 2": b"\x05\x02" + string(b"a") + struct.pack(
        "<d", 1.5) + string(b"b") + struct.pack("<d", float("inf")),
    "sorted set ziplist": b"\x0c" + string(ziplist([b"a", 1, b"b", b"2.5"])),
    "sorted set listpack": b"\x11" + string(listpack([b"a", 1, b"b", b"2.5"])),
    "set": b"\x02\x02" + string(b"a") + string(b"b"),
    "set of integers": b"\x02\x02" + string(b"1") + string(b"2"),
    "intset": b"\x0b" + string(struct.pack("<IIhhh", 2, 3, -5, 0, 9)),
    "intset of 64 bits": b"\x0b" + string(struct.pack("<IIqq", 8, 2, -5, 9)),
}


@pytest.mark.parametrize("name", OLD)
def test_what_older_servers_dumped(both, name):
    for version in (10, 9, 6, 1):
        both.same("RESTORE", "a", 0, seal(OLD[name], version), "REPLACE")
        contents(both, "a")
        both.same("OBJECT", "ENCODING", "a")


@pytest.mark.parametrize("name", OLD)
def test_every_cut(start_larder, name):
    """No beginning of a value is a value."""
    with start_larder().connect() as connection:
        whole = OLD[name]
        for size in range(min(len(whole), 400)):
            reply = connection.command(
                "RESTORE", "cut", 0, seal(whole[:size]))
            assert reply == BAD_FORMAT, size
        assert connection.command("EXISTS", "cut") == b":0\r\n"


DAMAGED = {
    "nothing": b"",
    "no such type": b"\x06abc",
    "far away type": b"\xff\x00",
    "empty hash": b"\x04\x00",
    "empty set": b"\x02\x00",
    "empty list": b"\x12\x00",
    "empty listpack": b"\x10" + string(listpack([])),
    "odd hash": b"\x10" + string(listpack([b"a", b"b", b"c"])),
    "field given twice": b"\x10" + string(listpack([b"a", 1, b"a", 2])),
    "field given twice, plain": b"\x04\x02" + string(b"a") * 4,
    "member given twice": b"\x02\x02" + string(b"a") * 2,
    "intset out of order": b"\x0b" + string(struct.pack("<IIhh", 2, 2, 5, 5)),
    "intset of no width": b"\x0b" + string(struct.pack("<IIhh", 3, 2, 1, 5)),
    "intset too short": b"\x0b" + string(struct.pack("<IIhh", 2, 3, 1, 5)),
    "text that goes on in the sum": b"\x00\x04abc",
    "length of 4 GB": b"\x00\x80\xff\xff\xff\xff",
    "length of 2^63": b"\x00\x81\x80" + bytes(7),
    "count of 2^64": b"\x02\x81" + b"\xff" * 8 + string(b"a"),
    "length that is none": b"\x00\x82\x00\x00",
    "text that is an unknown form": b"\x00\xc4\x00",
    "count that is a text": b"\x02\xc0\x01" + string(b"a"),
    "LZF of 4 GB": b"\x00\xc3\x03\x80\xff\xff\xff\xff" + b"\x02abc",
    "LZF of 300 MB": b"\x00\xc3\x03\x80\x12\x00\x00\x00" + b"\x02abc",
    "LZF that is shorter": b"\x00\xc3\x04\x0a\x02abc",
    "LZF that looks before its start": b"\x00\xc3\x02\x03\x20\xff",
    "listpack of a wrong size": b"\x10" + string(
        b"\xff" + listpack([b"a", b"b"])[1:]),
    "listpack of a wrong count": b"\x10" + string(
        listpack([b"a", b"b"])[:4] + b"\x05\x00" + listpack([b"a", b"b"])[6:]),
    "listpack without end": b"\x10" + string(listpack([b"a", b"b"])[:-1]),
    "ziplist of a wrong size": b"\x0d" + string(
        b"\xff" + ziplist([b"a", b"b"])[1:]),
    "scored twice": b"\x11" + string(listpack([b"a", 1, b"a", 2])),
    "unknown node": b"\x12\x01\x03" + string(b"a"),
    "sorted set of NaN": b"\x05\x01" + string(b"a") + struct.pack(
        "<d", float("nan")),
    "sorted set of no number": b"\x11" + string(listpack([b"a", b"b"])),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(start_larder, name):
    with start_larder().connect() as connection:
        assert connection.command("SET", "a", "before") == b"+OK\r\n"
        reply = connection.command("RESTORE", "a", 0, seal(DAMAGED[name]),
                                   "REPLACE")
        if name == "nothing":
            assert reply == BAD_SUM or reply == BAD_FORMAT
        else:
            assert reply == BAD_FORMAT
        assert connection.command("GET", "a") == b"$6\r\nbefore\r\n"


def test_random_damage(start_larder):
    """A few thousand; tests/fuzz/fuzz_restore.c has the rest."""
    source = random.Random(62)
    values = list(OLD.values())
    with start_larder().connect() as connection:
        for _ in range(5000):
            value = bytearray(source.choice(values))
            for _ in range(source.choice([1, 1, 2, 5])):
                at = source.randrange(min(len(value), 400))
                value[at] = source.choice(
                    [source.randrange(256), value[at] ^ 1, 0, 255, 254])
            reply = connection.command(
                "RESTORE", "a", 0, seal(bytes(value)), "REPLACE")
            assert reply in (b"+OK\r\n", BAD_FORMAT), (value, reply)
            if reply == b"+OK\r\n":
                assert connection.command("DUMP", "a")[:1] == b"$"
        assert connection.command("PING") == b"+PONG\r\n"


def test_sums_and_versions(both):
    good = seal(b"\x00" + string(b"abc"))
    for payload in [good[:-1], good + b"x", good[:-9] + b"\x01" + good[-8:],
                    b"", b"x" * 9, b"x" * 10, seal(b"\x00\x03abc", 11),
                    seal(b"\x00\x03abc", 65535), seal(b"\x00\x03abc", 0),
                    seal(b"\x00\x03abcbehind")]:
        both.same("RESTORE", "a", 0, payload, "REPLACE")
        both.same("GET", "a")


def test_options(both):
    payload = seal(b"\x00\x03abc")
    far = "4102444800000"
    both.same("SET", "a", "x")
    for args in [
        ("0", payload), ("0", "junk"), ("x", payload), ("-1", payload),
        ("0", payload, "REPLACE"), ("-1", payload, "REPLACE"),
        ("0", payload, "FOO"), ("0", payload, "IDLETIME"),
        ("0", payload, "IDLETIME", "-1"), ("0", payload, "IDLETIME", "x"),
        ("0", payload, "FREQ", "256"), ("0", payload, "FREQ", "-1"),
        ("0", payload, "FREQ", "1", "IDLETIME", "1"),
        ("0", payload, "IDLETIME", "1", "FREQ", "1"),
        ("0", payload, "REPLACE", "IDLETIME", "1000"),
        ("0", payload, "REPLACE", "FREQ", "100"),
        (far, payload, "REPLACE", "ABSTTL"), ("1", payload, "ABSTTL"),
        ("1", payload, "REPLACE", "ABSTTL"), ("0", payload, "ABSTTL"),
        ("9223372036854775807", payload, "REPLACE"),
        ("9223372036854775807", payload, "REPLACE", "ABSTTL"),
    ]:
        both.same("RESTORE", "a", *args)
        both.same("GET", "a")
        both.same("EXPIRETIME", "a")
    both.same("RESTORE-ASKING", "a", 0, payload, "REPLACE")
    both.same("RESTORE", "a", 100000, payload, "REPLACE")
    assert 99 <= int(both.sides[0].command("TTL", "a")[1:]) <= 100
    both.same("RESTORE", "a", 0, payload, "REPLACE", "IDLETIME", 1000)
    ours, theirs = both.ask("OBJECT", "IDLETIME", "a")
    assert abs(int(ours[1:]) - int(theirs[1:])) <= 1
    both.same("DUMP", "no")


def test_values_on_disk(start_larder):
    with start_larder().connect() as connection:
        ask = connection.command
        ask("SET", "text", "x" * 5000)
        ask("HSET", "small", "a", "1")
        for i in range(1000):
            ask("HSET", "large", "field %d" % i, "v" * 50)
            ask("RPUSH", "list", "element %d" % i)
        for key in ("text", "small", "large", "list"):
            hot = bulk(ask("DUMP", key))
            ask("TIER", "DEMOTE", key, "TO", "DRY")
            assert bulk(ask("DUMP", key)) == hot
            ask("TIER", "DEMOTE", key, "TO", "DRY")
            assert ask("RESTORE", key, 0, hot, "REPLACE") == b"+OK\r\n"
            assert sorted(bulk(ask("DUMP", key))) == sorted(hot)
