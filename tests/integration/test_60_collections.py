"""Collections in every tier: what the differential test cannot say."""

import itertools
import random

import pytest

MANY = 30000


def fill(client, kind, key, count):
    pipe = client.pipeline(transaction=False)
    for start in range(0, count, 1000):
        numbers = range(start, min(start + 1000, count))
        if kind == "hash":
            pipe.hset(key, mapping={"f:%d" % i: "v:%d" % i for i in numbers})
        elif kind == "set":
            pipe.sadd(key, *["m:%d" % i for i in numbers])
        elif kind == "list":
            pipe.rpush(key, *["e:%d" % i for i in numbers])
        else:
            pipe.zadd(key, {"z:%d" % i: i / 2 for i in numbers})
    pipe.execute()


def everything(client, kind, key):
    return {
        "hash": lambda: client.hgetall(key),
        "set": lambda: client.smembers(key),
        "list": lambda: client.lrange(key, 0, -1),
        "zset": lambda: client.zrange(key, 0, -1, withscores=True),
    }[kind]()


def tier(client, key):
    return client.execute_command("TIER OF", key)


KINDS = ["hash", "set", "list", "zset"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 10, 600, MANY])
def test_comes_back_whole_from_disk(larder, kind, count):
    client = larder.client()
    client.flushall()
    fill(client, kind, "big", count)
    before = everything(client, kind, "big")
    assert len(before) == count
    encoding = client.object("encoding", "big")
    client.execute_command("TIER DEMOTE", "big", "TO", "dry")
    assert tier(client, "big") == b"dry"
    assert client.exists("big") == 1 and client.type("big").decode() == kind
    assert everything(client, kind, "big") == before
    assert client.object("encoding", "big") == encoding
    client.execute_command("TIER DEMOTE", "big", "TO", "cold")
    assert everything(client, kind, "big") == before


@pytest.mark.parametrize("kind", KINDS)
def test_survives_a_restart(start_larder, kind):
    server = start_larder("warm-restart no")
    client = server.client()
    fill(client, kind, "small", 5)
    fill(client, kind, "big", MANY)
    client.expire("small", 1000)
    before = [everything(client, kind, key) for key in ("small", "big")]
    server.restart()
    client = server.client()
    assert tier(client, "big") == b"dry"
    assert [everything(client, kind, key)
            for key in ("small", "big")] == before
    assert 0 < client.ttl("small") <= 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_and_its_original_change_apart(larder, kind):
    client = larder.client()
    client.flushall()
    fill(client, kind, "one", MANY)
    before = everything(client, kind, "one")
    assert client.copy("one", "two")
    fill(client, kind, "two", MANY + 1000)
    assert everything(client, kind, "one") == before
    assert len(everything(client, kind, "two")) != len(before)
    client.delete("one")
    assert len(everything(client, kind, "two")) > MANY


def test_changes_while_it_is_being_written_are_kept(start_larder):
    """The writer encodes a snapshot; what happens meanwhile is newer."""
    server = start_larder("appendonly yes", "appendfsync everysec")
    client = server.client()
    fill(client, "hash", "big", MANY)
    for turn in range(50):
        client.hset("big", "f:%d" % turn, "changed")
        client.execute_command("TIER DEMOTE", "big", "TO", "dry")
    server.restart()
    client = server.client()
    values = client.hmget("big", ["f:%d" % i for i in range(60)])
    assert values == [b"changed"] * 50 + [b"v:%d" % i for i in range(50, 60)]


def test_empty_collections_are_gone(both):
    for fill_, drain in (
            (("HSET", "k", "f", "v"), ("HDEL", "k", "f")),
            (("SADD", "k", "m"), ("SREM", "k", "m")),
            (("RPUSH", "k", "e"), ("LPOP", "k")),
            (("ZADD", "k", "1", "m"), ("ZREM", "k", "m"))):
        both.same(*fill_)
        both.same(*drain)
        assert both.same("EXISTS", "k") == b":0\r\n"


@pytest.mark.parametrize("aggregate", ["SUM", "MIN", "MAX"])
@pytest.mark.parametrize("command", ["ZINTER", "ZUNION"])
def test_infinite_scores_and_weights(both, command, aggregate):
    """0 times infinity is 0 in the first set, and spoils a sum in another."""
    both.same("FLUSHALL")
    infinities = ["-inf", "0", "1", "inf"]
    pairs = list(itertools.product(infinities, repeat=2))
    for number, (one, other) in enumerate(pairs):
        both.same("ZADD", "a", one, "m%d" % number)
        both.same("ZADD", "b", other, "m%d" % number)
        both.same("SADD", "c", "m%d" % number)
    for keys in itertools.product("abc", repeat=2):
        for weights in pairs:
            both.same(command, "2", *keys, "WEIGHTS", *weights, "AGGREGATE", aggregate,
                      "WITHSCORES")


def test_encodings_change_where_redis_changes_them(both):
    """At the limits of the directives, one way only."""
    def grow(command, count, make):
        for i in range(count):
            both.same(command, "k", *make(i))
        both.same("OBJECT", "ENCODING", "k")

    for command, count, make in (
            ("HSET", 512, lambda i: ("f%d" % i, "v")),
            ("ZADD", 128, lambda i: (str(i), "m%d" % i)),
            ("SADD", 512, lambda i: (str(i),))):
        both.same("DEL", "k")
        grow(command, count, make)
        both.same(command, "k", *make(100000))
        assert b"hashtable" in both.same(
            "OBJECT", "ENCODING", "k") or command == "ZADD"
    for command, words in (("HSET", ("f", "v" * 65)), ("HSET", ("f" * 65, "v")),
                           ("ZADD", ("1", "m" * 65)), ("SADD", ("x",))):
        both.same("DEL", "k")
        both.same(command, "k", *words)
        both.same("OBJECT", "ENCODING", "k")


def test_limits_are_those_of_the_directives(start_larder):
    client = start_larder("hash-max-listpack-entries 2").client()
    client.hset("h", mapping={"a": 1, "b": 2})
    assert client.object("encoding", "h") == b"listpack"
    client.config_set("hash-max-listpack-entries", 3)
    client.hset("h", "c", 3)
    assert client.object("encoding", "h") == b"listpack"
    client.hset("h", "d", 4)
    assert client.object("encoding", "h") == b"hashtable"


def test_scan_sees_what_stays(larder):
    client = larder.client()
    client.flushall()
    fill(client, "set", "s", 5000)
    seen, cursor, turn = set(), 0, 0
    while True:
        cursor, page = client.sscan("s", cursor, count=50)
        seen.update(page)
        turn += 1
        client.sadd("s", *["new:%d:%d" % (turn, i) for i in range(20)])
        client.srem("s", "m:%d" % (4999 - turn))
        if cursor == 0:
            break
    gone = {b"m:%d" % (4999 - i) for i in range(1, turn + 1)}
    assert {b"m:%d" % i for i in range(5000)} - gone <= seen


def test_zscan_survives_changed_scores(larder):
    client = larder.client()
    client.flushall()
    fill(client, "zset", "z", 3000)
    seen, cursor = set(), 0
    while True:
        cursor, page = client.zscan("z", cursor, count=50)
        seen.update(member for member, _ in page)
        client.zincrby("z", 100000, page[0][0])
        client.zincrby("z", -100000, page[-1][0])
        if cursor == 0:
            break
    assert len(seen) == 3000


def test_many_members_of_one_score_and_prefix(larder):
    """Long members that begin alike, all of one score, in the large form."""
    client = larder.client()
    client.flushall()
    members = [b"p" * 100 + b"%d" % i for i in range(500)]
    client.zadd("z", {member: 7 for member in members})
    assert client.zscore("z", members[250]) == 7
    assert client.zrank("z", sorted(members)[99]) == 99
    client.zadd("z", {members[3]: 8})
    assert client.zrange("z", -1, -1) == [members[3]]
    assert client.zrem("z", *members[:100]) == 100
    assert client.zcard("z") == 400
    assert len(dict(client.zscan_iter("z"))) == 400


@pytest.mark.parametrize("count", [7, 300])
def test_ranges_of_members(both, count):
    """Scores are equal: only then Redis says what is in the range."""
    source = random.Random(count)
    members = ["", "a", "b", "c", "1", "-7", "m" * 40 + "x", "m" * 40 + "y"]
    members += ["n:%d" % i for i in range(count)]
    for member in members:
        both.same("ZADD", "k", "0", member)

    def bound():
        return source.choice(
            ["-", "+", "a", ""] + ["[" + source.choice(members)] * 4
            + ["(" + source.choice(members)] * 4)

    for _ in range(300):
        low, high = bound(), bound()
        both.same("ZLEXCOUNT", "k", low, high)
        both.same("ZRANGEBYLEX", "k", low, high, "LIMIT", "1", "3")
        both.same("ZREVRANGEBYLEX", "k", low, high)
        both.same("ZRANGE", "k", low, high, "BYLEX", "REV", "LIMIT", "0", "5")
    for _ in range(5):
        both.same("ZREMRANGEBYLEX", "k", "[" + source.choice(members),
                  "(" + source.choice(members))
    both.same("ZRANGE", "k", "0", "-1")


def test_every_member_is_found_while_sets_grow(larder):
    with larder.connect() as connection:
        for number in range(8):
            key = "growing:%d" % number
            for i in range(150):
                member = "member:%d" % i
                assert connection.command("SADD", key, member) == b":1\r\n"
                assert connection.command("SISMEMBER", key, member) == b":1\r\n"


def test_a_cursor_ends_at_a_nul(one):
    for cursor in (b"\0" + b"x" * 99, b"0\0" + b"9" * 99):
        assert one.command("SSCAN", "none", cursor) == (
            b"*2\r\n$1\r\n0\r\n*0\r\n")
    assert one.command("SSCAN", "none", b"0" + b"x" * 99) == (
        b"-ERR invalid cursor\r\n")
