"""LMPOP, ZMPOP, and BLMPOP, BZMPOP, BZPOPMIN, BZPOPMAX, which wait, compared
with redis-server."""

import re

import pytest

from support.resp import Connection, encode
from support.server import wait_until
from support.stage import demote
from support.stage import words

PLAYS = {
    "served": """
        a> BLMPOP 0 1 k LEFT
        b> BZMPOP 0 1 z MIN
        c> BZPOPMIN z 0
        d> BZPOPMAX z 0
        p: RPUSH k x y
        a<
        p: ZADD z 1 a 2 b 3 c 4 d
        b<
        c<
        d<
        p: ZRANGE z 0 -1 WITHSCORES
        p: LRANGE k 0 -1""",
    "several": """
        a> BLMPOP 0 1 k RIGHT COUNT 2
        b> BLMPOP 0 1 k LEFT COUNT 5
        p: RPUSH k 1 2 3
        a<
        b<
        a> BZMPOP 0 1 z MAX COUNT 2
        b> BZMPOP 0 1 z MIN COUNT 10
        p: ZADD z 1 a 2 b 3 c
        a<
        b<
        p: EXISTS k z""",
    "there already": """
        p: ZADD z 1 a 2 b 3 c 4 d
        p: RPUSH k 1 2 3 4
        a: BZPOPMIN none z 0
        a: BZPOPMAX z none 0.01
        a: BZMPOP 0 2 none z MIN COUNT 10
        a: BLMPOP 0 2 none k LEFT
        a: BLMPOP 0 1 k RIGHT COUNT 2
        a: BLMPOP 0 1 k RIGHT COUNT 2
        p: EXISTS k z""",
    "several keys": """
        a> BZPOPMIN x y z 0
        b> BZMPOP 0 3 z y x MAX
        c> BLMPOP 0 2 k x LEFT
        p: MULTI
        p: ZADD z 1 a 2 b
        p: ZADD y 1 a
        p: EXEC
        a<
        b<
        p: RPUSH x 1
        c<
        p: EXISTS x y z""",
    "one key twice": """
        a> BZPOPMIN x x 0
        b> BLMPOP 0 3 x x x RIGHT COUNT 2
        p: ZADD x 1 a
        a<
        p: RPUSH x 1 2 3
        b<
        p: LLEN x""",
    "with those who wait for other types": """
        a> BLPOP k 0
        b> BZPOPMAX k 0
        c> XREAD BLOCK 0 STREAMS k 0
        d> BLMPOP 0 1 k LEFT
        p: ZADD k 1 a
        b<
        p: RPUSH k 1
        a<
        p: RPUSH k 2
        d<
        p: XADD k 1-0 a b
        c<""",
    "other types at once": """
        p: SET s v
        p: ZADD z 1 a
        a: BLMPOP 0 2 none s LEFT
        a: BLMPOP 0 1 z LEFT
        a: BZPOPMIN none s 0
        a: BZMPOP 0 1 s MIN
        a: LMPOP 2 none s LEFT
        a: ZMPOP 1 s MIN
        a: ZMPOP 2 none z MIN""",
    "zsets by all ways": """
        a> BZPOPMIN k 0
        p: ZINCRBY k 2 a
        a<
        a> BZPOPMIN k 0
        p: ZADD other 1 a
        p: ZUNIONSTORE k 1 other
        a<
        a> BZPOPMIN k 0
        p: RENAME other k
        a<
        a> BZMPOP 0 1 k MIN
        p: ZADD other 3 a
        p: COPY other k
        a<
        a> BZMPOP 0 1 k MIN
        p: ZRANGESTORE k other 0 -1
        a<
        a> BZMPOP 0 1 k MIN
        p: SELECT 1
        p: ZADD k 5 a
        p: MOVE k 0
        a<""",
    "gone again within a transaction": """
        a> BZPOPMIN k 0
        b> BLMPOP 0 1 l LEFT
        p: MULTI
        p: ZADD k 1 a
        p: ZREM k a
        p: RPUSH l 1
        p: DEL l
        p: EXEC
        a!
        p: ZADD k 2 b
        a<
        p: RPUSH l 2
        b<""",
    "no waiting in a transaction": """
        a: MULTI
        a: BLMPOP 0 1 k LEFT
        a: BZMPOP 0 1 k MAX
        a: BZPOPMIN k 0
        a: BZPOPMAX k 0
        a: ZADD k 1 a 2 b 3 c
        a: BZMPOP 0 1 k MAX
        a: BZPOPMIN k 0
        a: BZPOPMAX k 0
        a: EXEC""",
    "watched": """
        w: WATCH k
        a> BZPOPMIN k 0
        p: ZADD k 1 a
        a<
        w: MULTI
        w: PING
        w: EXEC
        w: WATCH k
        p: ZMPOP 1 k MIN
        p: LMPOP 1 k LEFT
        w: MULTI
        w: PING
        w: EXEC""",
    "a move into it": """
        a> BLMPOP 0 1 k LEFT
        b> BLMOVE from k LEFT LEFT 0
        p: RPUSH from 1
        b<
        a<
        p: EXISTS k from""",
}


@pytest.mark.parametrize("name", PLAYS)
@pytest.mark.parametrize("version", [2, 3])
def test_play(stage, name, version):
    if version == 3:
        for actor in "abc":
            for conn in stage.pair(actor):
                conn.command("HELLO", "3")
    stage.play(PLAYS[name])
    assert stage.blocked() == [0, 0]


def test_arguments(both):
    both.same("RPUSH", "k", "1", "2", "3", "4", "5", "6")
    both.same("ZADD", "z", "1", "a", "2", "b", "3", "c", "4", "d")
    forms = [("LMPOP %s", "k", "LEFT", "RIGHT"), ("ZMPOP %s", "z", "MIN", "max"),
             ("BLMPOP 0.01 %s", "k", "left", "RIGHT"),
             ("BZMPOP 0.01 %s", "z", "MIN", "MAX")]
    for form, key, start, end in forms:
        for rest in ["", "1", "1 k", "0 k %s" % start, "-1 k %s" % start,
                     "x k %s" % start, "2 k %s" % start, "1 k z %s" % start,
                     "1 %s UP" % key, "1 %s %s" % (key, end),
                     "1 none %s" % end, "2 none %s %s" % (key, start),
                     "1 %s %s COUNT" % (key, start),
                     "1 %s %s COUNT 0" % (key, start),
                     "1 %s %s COUNT -1" % (key, start),
                     "1 %s %s COUNT x" % (key, start),
                     "1 %s %s COUNT 0 x" % (key, start),
                     "1 %s %s COUNT 1 COUNT 1" % (key, start),
                     "1 %s %s NOUNT 1" % (key, start),
                     "1 %s %s COUNT 9223372036854775808" % (key, start),
                     "1 %s %s COUNT 1" % (key, end),
                     "1 %s %s cOUNT 9223372036854775807" % (key, end)]:
            both.same(*words((form % rest).strip()))
        both.same("RPUSH", "k", "1", "2", "3", "4", "5", "6")
        both.same("ZADD", "z", "1", "a", "2", "b", "3", "c", "4", "d")
    for line in ["BLMPOP x 0 k LEFT", "BLMPOP -1 1 k UP", "BLMPOP x 1 k LEFT x",
                 "BLMPOP x 1 k LEFT COUNT 0", "BLMPOP x 1 none LEFT",
                 "BLMPOP -1 1 k LEFT", "BZMPOP x 1 z UP", "BZMPOP x 1 z MIN",
                 "BZPOPMIN z x", "BZPOPMIN z -1", "BZPOPMIN z", "BZPOPMAX",
                 "BZPOPMAX none inf", "BZPOPMAX none 0.01",
                 "LMPOP 99 k LEFT", "LMPOP 2147483648 k LEFT"]:
        both.same(*words(line))


@pytest.mark.parametrize("version", [2, 3])
def test_what_a_timeout_answers(both, version):
    if version == 3:
        both.resp3()
    for line in ["BLMPOP 0.01 1 k LEFT", "BZMPOP 0.01 2 k l MAX COUNT 3",
                 "BZPOPMIN k 0.01", "BZPOPMAX k l 0.01"]:
        both.same(*words(line))


def test_scripts(both):
    both.same("ZADD", "z", "1.5", "a", "2", "b")
    for line in ["'LMPOP', '1', 'k', 'LEFT'", "'ZMPOP', '1', 'z', 'MIN'",
                 "'BZPOPMIN', 'z', '0'", "'BLMPOP', '0', '1', 'k', 'LEFT'"]:
        both.same("EVAL", "return redis.pcall(%s)" % line, "0")


def test_where_the_keys_are(both):
    for line in ["LMPOP 2 a b LEFT", "BLMPOP 0 2 a b LEFT", "ZMPOP 1 a MIN",
                 "BZMPOP 0 3 a b c MIN", "BZPOPMIN a b 0", "LMPOP 4 a b LEFT"]:
        both.same("COMMAND", "GETKEYSANDFLAGS", *words(line))


def test_events(stage):
    with stage.same_events():
        stage.play("""
            a> BLMPOP 0 1 k RIGHT COUNT 2
            p: RPUSH k 1 2 3
            a<
            p: LMPOP 1 k LEFT COUNT 9
            a> BZMPOP 0 1 z MAX
            b> BZPOPMIN z 0
            p: ZADD z 1 a 2 b 3 c
            a<
            b<
            p: ZMPOP 2 none z MIN
            a> BZPOPMAX z 0
            p: ZADD z 1 a
            a<""")


def test_changes_are_counted(both, stage):
    def changes():
        return [int(re.search(rb"changes_since_last_save:(\d+)",
                              side.command("INFO", "persistence"))[1])
                for side in both.sides]
    before = changes()
    stage.play("""
        a> BLMPOP 0 1 k RIGHT COUNT 2
        p: RPUSH k 1 2 3
        a<
        p: LMPOP 1 k LEFT COUNT 9
        a> BZMPOP 0 1 z MAX COUNT 2
        p: ZADD z 1 a 2 b 3 c
        a<
        p: ZMPOP 2 none z MIN""")
    ours, theirs = [now - then for now, then in zip(changes(), before)]
    assert ours == theirs


@pytest.mark.parametrize("how", [[], ["ERROR"], ["TIMEOUT"]])
@pytest.mark.parametrize("line", [
    "BLMPOP 0 1 k LEFT", "BZMPOP 0 1 k MIN", "BZPOPMIN k 0", "BZPOPMAX k 9"])
def test_unblock(both, stage, line, how):
    numbers = [conn.command("CLIENT", "ID")[1:-2] for conn in stage.pair("a")]
    stage.play("a> " + line)
    for side, number in zip(both.sides, numbers):
        assert side.command("CLIENT", "UNBLOCK", number, *how) == b":1\r\n"
    stage.play("a<")


def test_dry_keys(larder):
    """Those named beside the one that is served stay where they are."""
    client = larder.client()
    client.flushall()
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        conn.send(encode("BZMPOP", "0", "3", "x", "y", "z", "MIN"))
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        other.command("SET", "x", "x" * 2000)
        demote(other, "x")
        other.command("ZADD", "z", "1", "a", "2", "b" * 2000)
        assert conn.read_reply().startswith(b"*2\r\n$1\r\nz\r\n")
        assert b"dry" in other.command("OBJECT", "TIER", "x")
        demote(other, "z")
        assert other.command("ZMPOP", "2", "none", "z", "MIN", "COUNT", "9") == (
            b"*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$2000\r\n" + b"b" * 2000 +
            b"\r\n$1\r\n2\r\n")
        other.command("RPUSH", "l", "1" * 2000, "2")
        demote(other, "l")
        assert other.command("BLMPOP", "0", "2", "none", "l", "RIGHT") == (
            b"*2\r\n$1\r\nl\r\n*1\r\n$1\r\n2\r\n")


def test_dry_zset_arrives_by_swapdb(larder):
    client = larder.client()
    client.flushall()
    crowd = [Connection(larder.port) for _ in range(3)]
    with Connection(larder.port) as other:
        other.command("SELECT", "1")
        other.command("ZADD", "k", "1", "a" * 2000, "2", "b", "3", "c")
        demote(other, "k")
        for number, conn in enumerate(crowd):
            conn.send(encode("BZPOPMIN", "none", "k", "0"))
            wait_until(lambda: client.info("clients")["blocked_clients"] ==
                       number + 1)
        other.command("SWAPDB", "0", "1")
        for score, conn in enumerate(crowd, 1):
            assert conn.read_reply().endswith(b"$1\r\n%d\r\n" % score)
        assert client.exists("k") == 0
    for conn in crowd:
        conn.close()
