"""DUMP and RESTORE of streams: from redis-server to larder and back, with
groups, consumers and what is pending; damaged bytes are refused."""

import random
import struct

import pytest

from support.rdb import listpack, seal, string
from support.resp import decode

BAD_FORMAT = b"-ERR Bad data format\r\n"


def bulk(reply):
    assert reply[:1] == b"$", reply
    return reply.split(b"\r\n", 1)[1][:-2]


def add(entry_id, *words):
    return ("XADD", "s", entry_id, *words)


def numbered(count, *words):
    return [add("%d-%d" % (i // 3 + 1, i % 3 + 1), *words, i)
            for i in range(count)]


GROUPS = numbered(40, "field") + [
    ("XGROUP", "CREATE", "s", "g", "0"),
    ("XGROUP", "CREATE", "s", "h", "5-1", "ENTRIESREAD", "7"),
    ("XGROUP", "CREATE", "s", "empty", "$"),
    ("XGROUP", "CREATECONSUMER", "s", "g", "idle one"),
    ("XREADGROUP", "GROUP", "g", "alice", "COUNT", "7", "STREAMS", "s", ">"),
    ("XREADGROUP", "GROUP", "g", "bob", "COUNT", "5", "STREAMS", "s", ">"),
    ("XREADGROUP", "GROUP", "h", "alice", "COUNT", "3", "STREAMS", "s", ">"),
    ("XCLAIM", "s", "g", "bob", "0", "1-1", "TIME", "1000000", "RETRYCOUNT",
     "9"),
    ("XACK", "s", "g", "1-2", "2-2"),
    ("XDEL", "s", "1-3", "5-1"),
]
STREAMS = {
    "one entry": [add("1-1", "a", "b")],
    "integers": [add("1-1", "1", "-5", "x", 2**63 - 1, "y", "007", "", "")],
    "many": numbered(350, "name", "value", "more"),
    "other fields": [add("%d-1" % (i + 1), "f%d" % (i % 3), i, "g", "x" * i)
                     for i in range(150)],
    "long values": [add("%d-1" % (i + 1), "f", "v" * 3000) for i in range(9)],
    "very long": [add("7-7", "f", "v" * 100000), add("8-0", "f" * 5000, "1")],
    "highest ids": [add("18446744073709551615-18446744073709551614", "a", 1),
                    add("18446744073709551615-18446744073709551615", "a", 1)],
    "low ids": [add("0-1", "a", "b"), add("0-18446744073709551615", "a", "b"),
                add("5-0", "a", "c")],
    "deleted": numbered(200, "f") + [("XDEL", "s", "3-1", "3-2", "9-3", "1-1")],
    "trimmed": numbered(200, "f") + [("XTRIM", "s", "MAXLEN", 17)],
    "emptied": numbered(3, "f") + [("XDEL", "s", "1-1", "1-2", "1-3")],
    "only a group": [("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")],
    "set id": numbered(3, "f") + [
        ("XSETID", "s", "99-9", "ENTRIESADDED", 1000, "MAXDELETEDID", "50-1")],
    "groups": GROUPS,
}


def same_stream(both, key):
    both.same("XRANGE", key, "-", "+")
    both.same("XLEN", key)
    ours, theirs = (decode(side.command("XINFO", "STREAM", key, "FULL", "COUNT", 0))
                    for side in both.sides)

    def plain(info):
        """Without what the two have to differ in."""
        if isinstance(info, list):
            skip = (b"radix-tree-keys", b"radix-tree-nodes")
            pairs = list(info)
            for name in skip:
                if name in pairs:
                    at = pairs.index(name)
                    del pairs[at:at + 2]
            return [plain(part) for part in pairs]
        return info

    assert plain(ours) == plain(theirs)


@pytest.mark.parametrize("name", STREAMS)
def test_both_ways(both, name):
    for command in STREAMS[name]:
        for side in both.sides:
            assert side.command(*command)[:1] != b"-", command
    for side in both.sides:
        dump = bulk(side.command("DUMP", "s"))
        both.same("RESTORE", "copy", 0, dump, "REPLACE")
        same_stream(both, "copy")
        # It is a stream like any other.
        both.same("XADD", "copy", "18446744073709551615-*",
                  "new", "entry")
        both.same("XGROUP", "CREATE", "copy", "later", "0")
        both.same("XREADGROUP", "GROUP", "later", "c", "COUNT", 3, "STREAMS",
                  "copy", ">")


def test_settings_of_nodes(both):
    """However Redis cuts a stream into nodes."""
    for entries in (0, 1, 7, 1000):
        for side in both.sides:
            side.command("CONFIG", "SET", "stream-node-max-entries", entries)
            side.command("DEL", "s")
        for command in numbered(60, "a", "b", "c"):
            both.same(*command)
        for side in both.sides:
            dump = bulk(side.command("DUMP", "s"))
            both.same("RESTORE", "copy", 0, dump, "REPLACE")
            same_stream(both, "copy")
    for side in both.sides:
        side.command("CONFIG", "SET", "stream-node-max-entries", 100)


def test_from_disk_and_after_a_restart(start_larder, both):
    for command in GROUPS:
        for side in both.sides:
            side.command(*command)
    dump = bulk(both.sides[1].command("DUMP", "s"))
    server = start_larder()
    with server.connect() as side:
        assert side.command("RESTORE", "s", 0, dump) == b"+OK\r\n"
        pending = side.value("XPENDING", "s", "g")
        groups = side.value("XINFO", "GROUPS", "s")
        side.command("TIER", "DEMOTE", "s", "TO", "DRY")
        assert side.value("XPENDING", "s", "g") == pending
    server.restart()
    with server.connect() as side:
        assert side.value("XPENDING", "s", "g") == pending
        assert side.value("XINFO", "GROUPS", "s") == groups
        dump = bulk(side.command("DUMP", "s"))
    both.same("RESTORE", "copy", 0, dump)
    same_stream(both, "copy")


# ---- by hand ----

def length(value):
    return b"\x81" + struct.pack(">Q", value)


def raw_id(ms, seq):
    return struct.pack(">QQ", ms, seq)


def node(base, items, size=None):
    return string(raw_id(*base)) + string(listpack(items))


def one(*items, base=(5, 1)):
    """A node of one entry with the field a."""
    return node(base, list(items))


GOOD_NODE = one(1, 0, 1, b"a", 0, 2, 0, 0, b"v", 4)


def stream(*nodes, count=1, last=(5, 1), first=(5, 1), deleted=(0, 0), added=1,
           groups=b"\x00"):
    return (b"\x13" + bytes([len(nodes)]) + b"".join(nodes) + bytes([count])
            + b"".join(map(length, (*last, *first, *deleted))) + length(added)
            + groups)


def old_stream(*nodes, count=1, last=(5, 1), groups=b"\x00"):
    return (b"\x0f" + bytes([len(nodes)]) + b"".join(nodes) + bytes([count])
            + b"".join(map(length, last)) + groups)


def group(name=b"g", last=(5, 1), read=length(1), pending=(), consumers=()):
    value = string(name) + length(last[0]) + length(last[1]) + read
    value += bytes([len(pending)])
    for entry_id, time, count in pending:
        value += raw_id(*entry_id) + struct.pack("<q", time) + length(count)
    value += bytes([len(consumers)])
    for consumer, seen, owned in consumers:
        value += string(consumer) + struct.pack("<q", seen)
        value += bytes([len(owned)]) + b"".join(raw_id(*i) for i in owned)
    return value


def groups(*each):
    return bytes([len(each)]) + b"".join(each)


PENDING = [((5, 1), 1000, 2)]
GOOD_GROUP = group(pending=PENDING, consumers=[(b"c", 5000, [(5, 1)])])
OLD_GROUP = group(read=b"", pending=PENDING,
                  consumers=[(b"c", 5000, [(5, 1)])])
GOOD = {
    "one": stream(GOOD_NODE),
    "other fields": stream(one(1, 0, 1, b"b", 0, 0, 0, 0, 1, b"a", b"v", 6)),
    "deleted entries": stream(
        one(1, 1, 1, b"a", 0, 3, 0, 0, b"v", 4, 2, 3, 0, b"w", 4),
        last=(8, 1), first=(8, 1)),
    "steps back": stream(
        one(2, 0, 1, b"a", 0, 2, 0, 0, b"v", 4, 2, 1, -1, b"w", 4),
        count=2, last=(6, 0), added=2),
    "group": stream(GOOD_NODE, groups=groups(GOOD_GROUP)),
    "read unknown": stream(GOOD_NODE, groups=groups(
        group(read=length(2**64 - 1)), group(b"h", (9, 9), length(50)))),
    "pending but deleted": stream(GOOD_NODE, groups=groups(
        group(pending=[((3, 3), 1, 1)],
              consumers=[(b"a", 1, []), (b"b", 1, [(3, 3)])]))),
    "old": old_stream(GOOD_NODE),
    "old with groups": old_stream(GOOD_NODE, groups=groups(OLD_GROUP)),
    "old and read in part": old_stream(
        one(2, 0, 1, b"a", 0, 2, 0, 0, b"v", 4, 2, 1, 0, b"w", 4), count=2,
        last=(6, 1), groups=groups(group(read=b""))),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_redis_takes(both, name):
    both.same("RESTORE", "s", 0, seal(GOOD[name]), "REPLACE")
    assert both.same("EXISTS", "s") == b":1\r\n"
    same_stream(both, "s")


BAD = {
    "no nodes but entries": stream(count=1),
    "fewer entries": stream(GOOD_NODE, count=2),
    "short id": stream(string(b"x" * 15) + GOOD_NODE[17:]),
    "id 0-0": stream(one(1, 0, 1, b"a", 0, 2, 0, 0, b"v", 4, base=(0, 0)),
                     first=(0, 0)),
    "last id below": stream(GOOD_NODE, last=(5, 0)),
    "same node twice": stream(GOOD_NODE, GOOD_NODE, count=2),
    "ids go down": stream(
        one(2, 0, 1, b"a", 0, 2, 0, 0, b"v", 4, 2, -1, 0, b"w", 4), count=2,
        last=(9, 9)),
    "count too large": stream(one(2, 0, 1, b"a", 0, 2, 0, 0, b"v", 4)),
    "count too small": stream(
        one(1, 0, 1, b"a", 0, 2, 0, 0, b"v", 4, 2, 1, 0, b"w", 4)),
    "count negative": stream(one(-1, 0, 1, b"a", 0, 2, 0, 0, b"v", 4)),
    "count is text": stream(one(b"x", 0, 1, b"a", 0, 2, 0, 0, b"v", 4)),
    "nothing but deleted": stream(one(0, 1, 1, b"a", 0, 3, 0, 0, b"v", 4),
                                  count=0),
    "no fields": stream(one(1, 0, 0, 0, 2, 0, 0, 3)),
    "too many fields": stream(one(1, 0, 1000000, b"a", 0, 2, 0, 0, b"v", 4)),
    "no end of fields": stream(one(1, 0, 1, b"a", 7, 2, 0, 0, b"v", 4)),
    "unknown flags": stream(one(1, 0, 1, b"a", 0, 4, 0, 0, b"v", 4)),
    "wrong way back": stream(one(1, 0, 1, b"a", 0, 2, 0, 0, b"v", 5)),
    "entry cut": stream(one(1, 0, 1, b"a", 0, 2, 0, 0)),
    "fields cut": stream(one(1, 0, 3, b"a")),
    "fields of an entry": stream(one(1, 0, 1, b"b", 0, 0, 0, 0, 9, b"a", b"v",
                                     6)),
    "no listpack": stream(string(raw_id(5, 1)) + string(b"abc")),
    "group twice": stream(GOOD_NODE, groups=groups(GOOD_GROUP, GOOD_GROUP)),
    "group cut": stream(GOOD_NODE, groups=b"\x01" + GOOD_GROUP[:-1]),
    "owned by nobody": stream(GOOD_NODE, groups=groups(
        group(pending=PENDING))),
    "owned by nobody, then a group": stream(GOOD_NODE, groups=groups(
        group(pending=PENDING), group(b"h"))),
    "owned twice": stream(GOOD_NODE, groups=groups(group(
        pending=PENDING, consumers=[(b"a", 1, [(5, 1)]), (b"b", 1, [(5, 1)])]))),
    "owned but not pending": stream(GOOD_NODE, groups=groups(group(
        consumers=[(b"a", 1, [(5, 1)])]))),
    "pending twice": stream(GOOD_NODE, groups=groups(group(
        pending=PENDING * 2, consumers=[(b"a", 1, [(5, 1)])]))),
    "consumer twice": stream(GOOD_NODE, groups=groups(group(
        consumers=[(b"a", 1, []), (b"a", 1, [])]))),
    "delivered before time": stream(GOOD_NODE, groups=groups(group(
        pending=[((5, 1), -1, 1)], consumers=[(b"a", 1, [(5, 1)])]))),
    "many groups": stream(GOOD_NODE, groups=length(2**63)),
    "nothing": b"\x13",
    "many nodes": b"\x13" + length(2**64 - 1),
    "bytes behind": stream(GOOD_NODE)[:-1],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_damaged(larder, name):
    with larder.connect() as side:
        side.command("DEL", "s")
        assert side.command("RESTORE", "s", 0, seal(BAD[name])) == BAD_FORMAT
        assert side.command("EXISTS", "s") == b":0\r\n"


def test_whatever_bytes(larder, both):
    """Random damage is refused, or gives a stream that can be used."""
    for command in GROUPS:
        for side in both.sides:
            side.command(*command)
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    samples = [bulk(side.command("DUMP", "s"))[:-10] for side in both.sides]
    samples += list(GOOD.values())
    with larder.connect() as side:
        for _ in range(2500):
            value = bytearray(rng.choice(samples))
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(1, len(value))
                value[at] = rng.choice(
                    [rng.randrange(256), value[at] ^ 1, 0, 255, 127])
            if rng.random() < 0.2:
                del value[rng.randrange(1, len(value)):]
            reply = side.command("RESTORE", "x", 0, seal(bytes(value)),
                                 "REPLACE")
            assert reply in (b"+OK\r\n", BAD_FORMAT), (seed, reply)
            if reply == b"+OK\r\n":
                side.command("XRANGE", "x", "-", "+")
                side.command("XINFO", "STREAM", "x", "FULL")
                dump = bulk(side.command("DUMP", "x"))
                assert side.command("RESTORE", "y", 0, dump,
                                    "REPLACE") == b"+OK\r\n", seed
        assert side.command("PING") == b"+PONG\r\n"


def test_names_of_fields_do_not_blow_up(start_larder):
    """Redis keeps them once for all entries of a node."""
    server = start_larder("maxmemory 64mb")
    entries = 20000
    items = [entries, 0, 1, b"n" * 50000, 0]
    for i in range(entries):
        items += [2, i, 0, b"v", 4]
    value = (b"\x13\x01" + node((5, 1), items) + length(entries)
             + length(1 << 40) + length(0) + length(5) + length(1) + length(0) * 2
             + length(entries) + b"\x00")
    with server.connect() as side:
        assert side.command("RESTORE", "s", 0, seal(value)) == (
            b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")
        assert side.command("PING") == b"+PONG\r\n"
        assert side.command("EXISTS", "s") == b":0\r\n"
