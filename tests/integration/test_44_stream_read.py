"""XREAD and XREADGROUP, at once and waiting, compared with redis-server."""

import pytest

from support.resp import Connection, encode
from support.server import wait_until
from support.stage import demote
from support.stage import words

GROUP = """
        p: XADD k 1-0 a b
        p: XGROUP CREATE k g $
        a> XREADGROUP GROUP g c BLOCK 0 STREAMS k >
        """

# What comes after GROUP, and what it is to the one that waits.
ENDS = [
    "p: DEL k",
    "p: UNLINK k",
    "p: PEXPIRE k -1",
    "p: PEXPIRE k 30",
    "p: SET k v",
    "p: RENAME k l",
    "p: XADD l 1-0 a b\np: RENAME l k",
    "p: XADD l 1-0 a b\np: XGROUP CREATE l g 0\np: RENAME l k",
    "p: MOVE k 1",
    "p: SWAPDB 0 1",
    "p: FLUSHDB",
    "p: FLUSHALL ASYNC",
    "p: SADD l 1\np: COPY l k REPLACE",
    "p: SADD l 1\np: SUNIONSTORE k l",
    "p: XADD l 1-0 a b\np: COPY l k REPLACE",
    "p: XGROUP DESTROY k g",
    "p: MULTI\np: DEL k\np: XADD k 1-0 a b\np: EXEC",
    "p: MULTI\np: DEL k\np: XADD k 2-0 a b\np: XGROUP CREATE k g 0\np: EXEC",
    "p: MULTI\np: DEL k\np: SET k a\np: EXEC",
    "p: XADD k 5-0 a b",
    "p: XADD k MAXLEN 0 5-0 a b",
    "p: MULTI\np: XADD k 5-0 a b\np: XDEL k 5-0\np: EXEC",
    "p: SELECT 1\np: XADD k 1-0 a b\np: SWAPDB 0 1",
    "p: SELECT 1\np: SADD k 1\np: SWAPDB 0 1",
    "p: SELECT 1\np: XADD k 9-0 a b\np: XGROUP CREATE k g 0\np: SWAPDB 0 1",
]
GOES_ON = [
    "p: MULTI\np: XGROUP DESTROY k g\np: XGROUP CREATE k g $\np: EXEC",
    "p: MULTI\np: RENAME k l\np: RENAME l k\np: EXEC",
    "p: XGROUP SETID k g 0\np: XDEL k 1-0",
    "p: XSETID k 7-0\np: XDEL k 1-0",
    "p: XTRIM k MAXLEN 0",
    "p: XSETID k 7-0\np: PEXPIRE k 100000\np: PERSIST k",
    "p: SELECT 1\np: SADD k 1\np: MOVE k 0",
    "p: HSET k a b",
    "p: XGROUP DESTROY k other",
]


@pytest.mark.parametrize("end", ENDS)
def test_ends_the_wait_of_a_group(stage, end):
    stage.play(GROUP + end + "\na<")
    assert stage.blocked() == [0, 0]


@pytest.mark.parametrize("end", GOES_ON)
def test_does_not_end_the_wait_of_a_group(stage, end):
    stage.play(GROUP + end + """
        a!
        p: SELECT 0
        p: DEL k
        a<""")


PLAYS = {
    "news": """
        p: XADD k 1-0 a b
        a> XREAD BLOCK 0 STREAMS k $
        p: XADD k 2-0 c d e f
        a<
        a: XREAD BLOCK 0 STREAMS k 0""",
    "another expiry is no news": """
        p: XADD k 1-0 a b
        a> XREAD BLOCK 0 STREAMS k $
        p: XSETID k 20-0
        p: PEXPIREAT k 4103415245043 LT
        a!
        p: PERSIST k
        a!
        p: XADD k 21-0 c d
        a<""",
    "all are served": """
        a> XREAD BLOCK 0 STREAMS k $
        b> XREAD BLOCK 0 COUNT 1 STREAMS k 0
        c> XREAD BLOCK 0 STREAMS k 1-1
        d> XREAD BLOCK 0 COUNT 1 STREAMS l k $ $
        p: MULTI
        p: XADD k 1-1 a 1
        p: XADD k 1-2 a 2
        p: XADD l 1-1 a 1
        p: EXEC
        a<
        b<
        c<
        d<""",
    "one consumer is served": """
        p: XGROUP CREATE k g $ MKSTREAM
        a> XREADGROUP GROUP g c BLOCK 0 COUNT 1 STREAMS k >
        b> XREADGROUP GROUP g d BLOCK 0 STREAMS k >
        c> XREADGROUP GROUP g e BLOCK 0 STREAMS k >
        p: XADD k 1-0 a 1
        a<
        b!
        p: MULTI
        p: XADD k 2-0 a 2
        p: XADD k 3-0 a 3
        p: EXEC
        b<
        c!
        p: XPENDING k g - + 10 nobody
        p: XADD k 4-0 a 4
        c<
        p: XPENDING k g""",
    "without acknowledging": """
        p: XGROUP CREATE k g $ MKSTREAM
        a> XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS k >
        p: XADD k 1-0 a 1
        a<
        p: XPENDING k g""",
    "history is never waited for": """
        p: XGROUP CREATE k g $ MKSTREAM
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS k 0
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS k k > 0
        p: XADD k 1-0 a b
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS k >
        p: XDEL k 1-0
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS k 0""",
    "several groups": """
        p: XGROUP CREATE k g $ MKSTREAM
        p: XGROUP CREATE l g $ MKSTREAM
        a> XREADGROUP GROUP g c BLOCK 0 STREAMS k l > >
        p: XADD l 1-0 a b
        a<
        a> XREADGROUP GROUP g c BLOCK 0 STREAMS k l > >
        p: DEL k
        a<
        p: XADD l 2-0 a b""",
    "named twice": """
        a> XREAD BLOCK 0 STREAMS k k 0 9
        b> XREAD BLOCK 0 STREAMS k k 9 0
        p: XADD k 1-0 a b
        a<
        b!
        p: XADD k 10-0 a b
        b<""",
    "what was deleted": """
        p: XADD k 1-0 a b
        p: XADD k 9-0 a b
        p: XDEL k 9-0
        a> XREAD BLOCK 0 STREAMS k 5-0
        p: XDEL k 1-0
        p: XSETID k 10-0
        p: XGROUP CREATE k g 0
        p: DEL k
        a!
        p: XADD k MAXLEN 0 7-0 a b
        a<""",
    "another type, and back": """
        a> XREAD BLOCK 0 STREAMS k 0
        p: SET k v
        p: DEL k
        p: RPUSH k v
        p: DEL k
        a!
        p: XADD k 1-0 a b
        a<""",
    "beside those who wait for lists": """
        a> XREAD BLOCK 0 STREAMS k 0
        b> BLPOP k 0
        p: RPUSH k v
        b<
        p: XADD k 1-0 a b
        a<""",
    "renamed to": """
        p: XADD l 1-0 a b
        a> XREAD BLOCK 0 STREAMS k 0
        p: RENAME l k
        a<""",
    "in a transaction": """
        a: MULTI
        a: XREAD BLOCK 0 STREAMS k $
        a: XREAD STREAMS k $
        a: XADD k 1-0 a b
        a: XREAD BLOCK 0 STREAMS k 0
        a: XREAD BLOCK -1 STREAMS k 0
        a: XGROUP CREATE k g $
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS k >
        a: EXEC""",
    "watched": """
        p: XADD k 1-0 a b
        p: XGROUP CREATE k g 0
        w: WATCH k
        p: XREADGROUP GROUP g c STREAMS k >
        p: XREADGROUP GROUP g c STREAMS k 0
        w: MULTI
        w: PING
        w: EXEC
        w: WATCH k
        p: XGROUP DESTROY k g
        w: MULTI
        w: EXEC""",
    "in RESP3": """
        a: CLIENT REPLY ON
        p: XADD k 1-0 a b
        a: XREAD STREAMS k l 0 0
        a> XREAD BLOCK 0 STREAMS k l $ $
        p: XADD l 1-0 a b
        a<""",
}


@pytest.mark.parametrize("name", PLAYS)
@pytest.mark.parametrize("version", [2, 3])
def test_play(stage, name, version):
    if version == 3:
        for conn in stage.pair("a"):
            conn.command("HELLO", "3")
    stage.play(PLAYS[name])
    assert stage.blocked() == [0, 0]


def test_what_was_waited_for_is_tracked_from_the_beginning(stage):
    for conn in stage.pair("a"):
        conn.command("HELLO", "3")
    stage.play("""
        a: CLIENT TRACKING ON
        a> XREAD BLOCK 0 STREAMS k $
        p: XADD k 1-0 a b
        a<
        a<
        p: XADD k 2-0 a b
        a!
        a: CLIENT TRACKING OFF
        a: CLIENT TRACKING ON OPTIN
        a: CLIENT CACHING YES
        a> XREAD BLOCK 0 STREAMS k $
        p: XADD k 3-0 a b
        a<
        a<
        a: GET x
        a: CLIENT CACHING YES
        a: XREAD BLOCK 10 STREAMS none $
        a: GET x
        p: SET x 1
        a!
        p: XADD none 1-0 a b
        a<""")


def test_arguments(both):
    both.same("XADD", "k", "1-0", "a", "b")
    both.same("XGROUP", "CREATE", "k", "g", "0")
    both.same("SET", "s", "v")
    for line in [
            "XREAD", "XREAD STREAMS k", "XREAD STREAMS k l 0", "XREAD k 0 x",
            "XREAD COUNT x STREAMS k 0", "XREAD COUNT -1 STREAMS k 0",
            "XREAD COUNT 0 STREAMS k 0", "XREAD BLOCK x STREAMS k 0",
            "XREAD BLOCK -1 COUNT x STREAMS k 0", "XREAD BLOCK 1.5 STREAMS k 0",
            "XREAD BLOCK 9223372036854775808 STREAMS k 0",
            "XREAD BLOCK -9223372036854775808 STREAMS k 0",
            "XREAD GROUP g c STREAMS k 0", "XREAD NOACK STREAMS k 0",
            "XREAD STREAMS k >", "XREAD STREAMS k x", "XREAD STREAMS k +",
            "XREAD STREAMS s 0", "XREAD STREAMS s x", "XREAD STREAMS k s x 0",
            "XREAD STREAMS none s $ $", "XREAD STREAMS none $",
            "XREAD STREAMS STREAMS STREAMS", "XREAD STREAMS k 1-0-0",
            "XREAD STREAMS k 18446744073709551615-18446744073709551615",
            "XREAD COUNT 1 BLOCK", "XREAD COUNT 1 STREAMS", "XREAD NOACK a b",
            "XREADGROUP GROUP g c STREAMS k", "XREADGROUP GROUP g c STREAMS k $",
            "XREADGROUP STREAMS k l m 0 0 0", "XREADGROUP GROUP g STREAMS k > x",
            "XREADGROUP GROUP no c STREAMS k >", "XREADGROUP GROUP g c STREAMS n >",
            "XREADGROUP GROUP g c STREAMS s >", "XREADGROUP GROUP g c STREAMS k x",
            "XREADGROUP GROUP g c STREAMS k n > >", "XREADGROUP GROUP g c a b c",
            "XREADGROUP COUNT 1 NOACK GROUP g c STREAMS k k > >",
            "XREADGROUP GROUP g c GROUP g d STREAMS k 0",
            "XREADGROUP GROUP g c STREAMS k "
            "18446744073709551615-18446744073709551615",
            "XREADGROUP GROUP g c STREAMS k 18446744073709551615-0",
            "XINFO CONSUMERS k no"]:
        both.same(*words(line))


def test_where_the_keys_are(both):
    for line in [
            "XREAD STREAMS a b 1 2", "XREAD COUNT 1 STREAMS a",
            "XREADGROUP GROUP streams streams STREAMS a b",
            "XREADGROUP GROUP g c NOACK x STREAMS a b", "XREAD STREAMS a",
            "XREAD STREAMS a b c", "XREAD count 1 a b",
            "XREAD x STREAMS a b", "XREAD STREAMS STREAMS STREAMS",
            "XREAD STREAMS STREAMS STREAMS STREAMS b",
            "XREADGROUP GROUP g STREAMS STREAMS a b c",
            "XREADGROUP GROUP g c STREAMS a b c d e"]:
        both.same("COMMAND", "GETKEYSANDFLAGS", *words(line))


def test_a_group_named_streams(both):
    """Its stream is what counts, wherever the value is."""
    for name in ["g", "streams"]:
        both.same("DEL", "k")
        both.same("XADD", "k", "1-0", "a", "b" * 3000)
        both.same("XGROUP", "CREATE", "k", name, "0")
        both.sides[0].command("TIER", "DEMOTE", "k", "TO", "DRY")
        assert b"dry" in both.sides[0].command("OBJECT", "TIER", "k")
        both.same("XREADGROUP", "NOACK", "GROUP", name, "streams", "STREAMS",
                  "k", ">")


def test_scripts(both):
    both.same("XADD", "k", "1-0", "a", "b")
    for script in [
            "return redis.pcall('xRead', 'BLOCK', '1', 'STREAMS', 'k', '0')",
            "return redis.call('XREAD', 'STREAMS', 'k', '0')",
            "return redis.call('XREAD', 'STREAMS', 'none', '0')",
            "return redis.pcall('xreadGroup', 'GROUP', 'g', 'c', 'BLOCK', '1',"
            " 'STREAMS', 'zz', '0')"]:
        both.same("EVAL", script, "0")
    both.same("MULTI")
    both.same("EVAL", "return redis.pcall('XREAD', 'BLOCK', '1', 'STREAMS', "
              "'none', '0')", "0")
    both.same("EXEC")


def test_what_a_timeout_answers(both):
    both.same("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
    for _ in range(2):
        both.same("XREAD", "BLOCK", "15", "STREAMS", "k", "$")
        both.same("XREADGROUP", "GROUP", "g", "c", "BLOCK", "15", "STREAMS",
                  "k", ">")
        both.resp3()
    both.same("XINFO", "CONSUMERS", "k", "g")


@pytest.mark.parametrize("how", [[], ["ERROR"]])
def test_unblock(both, stage, how):
    both.same("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
    numbers = [conn.command("CLIENT", "ID")[1:-2] for conn in stage.pair("a")]
    stage.play("a> XREADGROUP GROUP g c BLOCK 0 STREAMS k >")
    for side, number in zip(both.sides, numbers):
        assert side.command("CLIENT", "UNBLOCK", number, *how) == b":1\r\n"
    stage.play("a<")


def test_events(stage):
    with stage.same_events():
        stage.play("""
            p: XGROUP CREATE k g $ MKSTREAM
            a> XREADGROUP GROUP g c BLOCK 0 STREAMS k >
            p: XADD k 1-0 a b
            a<
            p: XREADGROUP GROUP g d STREAMS k >
            p: XREADGROUP GROUP g e STREAMS k 0
            p: XADD k 2-0 a b
            p: XREADGROUP GROUP g f NOACK STREAMS k >
            p: XREAD STREAMS k 0
            a> XREADGROUP GROUP g c BLOCK 0 STREAMS k >
            p: XGROUP DESTROY k g
            a<""")


def test_dry_streams(larder):
    client = larder.client()
    client.flushall()
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        for key in "kl":
            other.command("XADD", key, "1-0", "a", "b" * 2000)
            other.command("XGROUP", "CREATE", key, "g", "$")
        for command in [
                ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "k",
                 "l", ">", ">"],
                ["XREAD", "BLOCK", "0", "STREAMS", "k", "l", "$", "$"]]:
            conn.send(encode(*command))
            wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
            demote(other, "k", "l")
            other.command("XADD", "k", "*", "a", "b")
            assert conn.read_reply().startswith(b"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n")
            # What it was not served by stays where it is.
            assert b"dry" in other.command("OBJECT", "TIER", "l")
        for id_ in "0>":  # once more, and what XREAD was served
            demote(other, "k")
            assert other.command("XREADGROUP", "GROUP", "g", "c", "STREAMS",
                                 "k", id_).startswith(
                                     b"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n")
        conn.send(encode("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0",
                         "STREAMS", "k", "l", ">", ">"))
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        demote(other, "k", "l")
        other.command("DEL", "l")
        assert conn.read_reply().startswith(b"-UNBLOCKED the stream key")


def test_dry_stream_arrives_by_swapdb(larder):
    client = larder.client()
    client.flushall()
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        other.command("SELECT", "1")
        other.command("XADD", "k", "1-0", "a", "b" * 2000)
        demote(other, "k")
        conn.send(encode("XREAD", "BLOCK", "0", "STREAMS", "none", "k", "0", "0"))
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        other.command("SWAPDB", "0", "1")
        assert conn.read_reply().startswith(b"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n")


def test_many_consumers_wait(larder):
    client = larder.client()
    client.flushall()
    client.xgroup_create("k", "g", "$", mkstream=True)
    crowd = [Connection(larder.port) for _ in range(200)]
    for number, conn in enumerate(crowd):
        conn.send(encode("XREADGROUP", "GROUP", "g", "c%d" % number, "BLOCK",
                         "60000", "COUNT", "1", "STREAMS", "k", ">"))
        if number % 20 == 0:
            wait_until(lambda: client.info("clients")["blocked_clients"] ==
                       number + 1)
    wait_until(lambda: client.info("clients")["blocked_clients"] == 200)
    with client.pipeline() as pipe:
        for number in range(200):
            pipe.xadd("k", {"n": number})
        ids = pipe.execute()
    given = [conn.read_reply() for conn in crowd]
    assert all(name in reply for name, reply in zip(ids, given))
    assert client.xpending("k", "g")["pending"] == 200
    assert client.info("clients")["blocked_clients"] == 0
    for conn in crowd:
        conn.close()


def test_what_was_read_survives(start_larder):
    server = start_larder("appendonly yes", "appendfsync always")
    client = server.client()
    client.xgroup_create("k", "g", "$", mkstream=True)
    with Connection(server.port) as conn:
        conn.send(encode("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0",
                         "STREAMS", "k", ">"))
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        client.xadd("k", {"a": "b"}, id="1-0")
        assert b"1-0" in conn.read_reply()
    server.kill()
    server.expect_crash = False
    server.start()
    assert server.client().xpending("k", "g")["pending"] == 1
