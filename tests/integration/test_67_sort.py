"""SORT: what the generators cannot say. Keys that elements name may be on
disk; rights on them; what a large SORT may take."""

import random

import pytest

from support.resp import decode, encode

OPTIONS = [
    [], ["DESC"], ["ALPHA"], ["LIMIT", 3, 7], ["BY", "w_*"],
    ["BY", "w_*", "ALPHA", "DESC"], ["BY", "h_*->weight", "GET", "#"],
    ["GET", "o_*", "GET", "#", "GET", "h_*->name"],
    ["BY", "nosort", "DESC", "LIMIT", 2, 5], ["BY", "w_*", "GET", "none_*"],
]


def fill(side, count=60):
    """Weights that differ, in no order."""
    for i in range(count):
        side.command("RPUSH", "list", i)
        side.command("ZADD", "zset", -i, i)
        side.command("SADD", "set", i)
        side.command("SET", "w_%d" % i, i * 37 % 101)
        side.command("SET", "o_%d" % i, "object %d " % i * (i * 9))
        side.command("HSET", "h_%d" % i, "weight", i * 41 % 97 + 0.5, "name",
                     "name %d" % i)


def synchronous_reads(side):
    words = decode(side.command("TIER", "STATS"))
    return int(words[words.index(b"synchronous_reads") + 1])


@pytest.mark.parametrize("tier", ["HOT", "COLD", "DRY"])
def test_keys_named_by_elements_may_be_in_any_tier(both, tier):
    for side in both.sides:
        fill(side)
    larder = both.sides[0]
    names = ["list", "zset", "set"] + [
        "%s_%d" % (kind, i) for i in range(60) for kind in "woh"]
    for key in ("list", "zset", "set"):
        for options in OPTIONS:
            if key == "set" and "nosort" in options:
                continue
            if tier != "HOT":
                larder.command("TIER", "DEMOTE", *names, "TO", tier)
            both.same("SORT", key, *options)
            both.same("SORT_RO", key, *options)
            both.same("SORT", key, *options, "STORE", "stored")
            both.same("LRANGE", "stored", 0, -1)


def test_what_was_read_from_disk_is_counted(start_larder):
    server = start_larder()
    with server.connect() as side:
        fill(side, 5)
        side.command("TIER", "DEMOTE", "list", "w_1", "w_2", "TO", "DRY")
        before = synchronous_reads(side)
        side.command("SORT", "list", "BY", "w_*")
        assert synchronous_reads(side) == before + 2


def test_store_replaces_whatever_is_there(both):
    both.same("RPUSH", "list", 3, 1, 2)
    both.same("SET", "to", "string", "EX", 1000)
    both.same("SORT", "list", "STORE", "to")
    both.same("TTL", "to")
    both.same("LRANGE", "to", 0, -1)
    both.same("SORT", "list", "STORE", "list")
    both.same("LRANGE", "list", 0, -1)
    both.same("SORT", "nothing", "STORE", "to")
    both.same("EXISTS", "to")
    both.same("SORT", "list", "GET", "to*", "STORE", "list")
    both.same("LRANGE", "list", 0, -1)


def test_events(both):
    for side in both.sides:
        side.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
    listener = both.another()
    listener.same("PSUBSCRIBE", "__key*")
    both.same("RPUSH", "list", 3, 1, 2)
    both.same("SORT", "list", "STORE", "to")
    both.same("SORT", "nothing", "STORE", "to")
    both.same("SORT", "nothing", "STORE", "to")
    listener.read(6)
    for side in both.sides:
        side.command("CONFIG", "SET", "notify-keyspace-events", "")


def test_inside_transactions_and_scripts(both):
    for side in both.sides:
        fill(side, 9)
    both.sides[0].command("TIER", "DEMOTE", "w_1", "w_2", "list", "TO", "DRY")
    both.same("MULTI")
    both.same("SORT", "list", "BY", "w_*", "GET", "w_*")
    both.same("SORT", "set", "BY", "nosort", "STORE", "stored")
    both.same("EXEC")
    both.same("LRANGE", "stored", 0, -1)
    script = "return redis.call('sort', KEYS[1], unpack(ARGV))"
    both.same("SADD", "set", "b", "a")
    both.same("EVAL", script, 1, "set", "BY", "nosort")
    both.same("EVAL", script, 1, "set", "BY", "nosort", "DESC")
    both.same("EVAL", script, 1, "list", "BY", "w_*", "GET", "h_*->name")
    both.same("EVAL_RO", script, 1, "list")


@pytest.mark.parametrize("rules", [
    ["+@all", "~list"], ["+@all", "~list", "~*"], ["+@all", "%R~*"],
    ["+@all", "%W~*", "~list"], ["+@all", "%R~list", "%R~*", "%W~to"],
    ["+@all", "~list", "(+get ~*)"], ["+get", "~*", "(+sort ~list)"],
    ["+@all", "~list", "(+sort %R~*)"], ["+@all", "-@dangerous", "~*"],
    ["+sort", "%R~list", "%W~to"], ["+sort", "~list"],
])
def test_rights(both, rules):
    for side in both.sides:
        fill(side, 3)
    both.same("ACL", "SETUSER", "user", "reset", "on", "nopass", *rules)
    user = both.another()
    user.same("AUTH", "user", "x")
    user.same("SORT", "list")
    user.same("SORT", "list", "BY", "nosort")
    user.same("SORT", "list", "BY", "w_*")
    user.same("SORT", "list", "GET", "#")
    user.same("SORT", "list", "BY", "nosort", "GET", "x")
    user.same("SORT", "list", "STORE", "to")
    user.same("SORT_RO", "list", "BY", "w_*")
    user.same("EVAL", "return redis.pcall('sort','list','by','w_*')", 0)


def test_keys_of_the_command(both):
    for words in (
            ["SORT", "a"], ["SORT", "a", "STORE"], ["SORT", "a", "STORE", "b"],
            ["SORT", "a", "store", "b", "STORE", "c"],
            ["SORT", "a", "BY", "store", "GET", "store", "x"],
            ["SORT", "a", "LIMIT", "store", "store", "store", "y"],
            ["SORT", "a", "LIMIT", "1", "2", "sTore", "y", "ALPHA"],
            ["SORT_RO", "a", "STORE", "b"], ["SORT_RO", "a"]):
        both.same("COMMAND", "GETKEYS", *words)
        both.same("COMMAND", "GETKEYSANDFLAGS", *words)


def test_numbers(both):
    """Each alone: Redis takes an earlier error of the C library for one of
    its own, so those that are out of range come last."""
    for text in (b"", b" 1", b"1 ", b"0x10", b"inf", b"-infinity", b"nan",
                 b"1\x00x", b"+3", b"1e3", b"1" * 300, b"x", b"1e-300",
                 b"1e400", b"5e-324"):
        both.same("DEL", "list")
        both.same("RPUSH", "list", text, b"2", b"-7")
        both.same("SORT", "list")
        both.same("SORT", "list", "DESC", "ALPHA")


def test_a_large_list(both):
    """In the order of numbers, of texts, and by 10,000 keys."""
    count = 10000
    for side in both.sides:
        for start in range(0, count, 1000):
            numbers = [(start + i) * 7919 % 100003 for i in range(1000)]
            side.command("RPUSH", "list", *numbers)
            side.command("MSET", *[word for number in numbers for word in
                                   ("w_%d" % number, number * 31 % 100003)])
    both.sides[0].command("TIER", "DEMOTE", "list", "TO", "DRY")
    both.same("SORT", "list")
    both.same("SORT", "list", "ALPHA", "DESC")
    both.same("SORT", "list", "BY", "w_*", "LIMIT", 100, 500, "GET", "w_*")
    both.same("SORT", "list", "DESC", "STORE", "list")
    both.same("LRANGE", "list", 0, -1)


def test_result_is_bounded_by_memory(start_larder):
    """An element that names the same value again and again."""
    server = start_larder("maxmemory 64mb")
    with server.connect() as side:
        side.command("SET", "big", "x" * 15000)
        for _ in range(20):
            side.command("RPUSH", "list", *["big"] * 1000)
        gets = ["GET", "*"] * 20
        refused = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
        assert side.command("SORT", "list", "ALPHA", *gets) == refused
        assert side.command(
            "SORT", "list", "ALPHA", *gets, "STORE", "to") == refused
        assert side.command("SORT", "list", "ALPHA", "BY", "*") == refused
        assert side.command("EXISTS", "to") == b":0\r\n"
        assert side.command("PING") == b"+PONG\r\n"
        reply = side.command("SORT", "list", "ALPHA", "LIMIT", 0, 2, *gets)
        assert reply.startswith(b"*40\r\n")


def test_many_keys_on_disk_pass_through_little_memory(start_larder):
    """All of them together are twice as large as what may be in RAM."""
    server = start_larder("maxmemory 32mb")
    with server.connect() as side:
        count = 6000
        for start in range(0, count, 500):
            numbers = range(start, start + 500)
            side.command("RPUSH", "list", *numbers)
            for i in numbers:
                side.send(encode("HSET", "h_%d" % i, "weight", i, "more",
                                 random.randbytes(10000)))
            side.read_replies(500)
        reply = side.command("SORT", "list", "BY", "h_*->weight", "DESC",
                             "LIMIT", 0, 3)
        assert reply == b"*3\r\n$4\r\n5999\r\n$4\r\n5998\r\n$4\r\n5997\r\n"
        assert synchronous_reads(side) > 1000
        # In EXEC nothing may sink, so that ends at a bound instead.
        side.command("MULTI")
        side.command("SORT", "list", "BY", "h_*->weight", "DESC")
        reply = side.command("EXEC")
        assert reply.startswith(b"*1\r\n-OOM "), reply[:100]
        assert side.command("PING") == b"+PONG\r\n"
