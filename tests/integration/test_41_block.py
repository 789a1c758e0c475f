"""Commands that wait for a key: BLPOP and its kin, compared with redis-server
with several connections."""

import re
import selectors
import time

import pytest

from support.resp import Connection, encode
from support.server import wait_until
from support.stage import words


PLAYS = {
    "served": """
        a> BLPOP k 0
        p: RPUSH k x y
        a<
        p: LRANGE k 0 -1""",
    "from the right": """
        a> BRPOP k 0
        p: RPUSH k x y
        a<
        p: LRANGE k 0 -1""",
    "there already": """
        p: RPUSH k x
        a: BLPOP none k 0
        a: BRPOP k none 0.01""",
    "first come first served": """
        a> BLPOP k 0
        b> BRPOP k 0
        c> BLPOP k 0
        p: RPUSH k 1
        a<
        p: RPUSH k 2 3
        b<
        c<
        p: EXISTS k""",
    "several keys": """
        a> BLPOP x y z 0
        p: RPUSH z 1
        a<
        p: RPUSH x 1
        p: LLEN x""",
    "one key twice": """
        a> BLPOP x x 0
        b> BLPOP x 0
        p: RPUSH x 1 2
        a<
        b<
        p: EXISTS x""",
    "the key that came first in a transaction": """
        a> BLPOP x y 0
        p: MULTI
        p: RPUSH y 1
        p: RPUSH x 2
        p: EXEC
        a<
        p: LLEN x""",
    "gone again within a transaction": """
        a> BLPOP k 0
        p: MULTI
        p: RPUSH k 1
        p: LPOP k
        p: EXEC
        p: RPUSH k 2
        a<""",
    "deleted within a transaction": """
        a> BLPOP k 0
        p: MULTI
        p: RPUSH k 1
        p: DEL k
        p: SET k 1
        p: EXEC
        p: DEL k
        p: RPUSH k 2
        a<""",
    "another type is no answer": """
        a> BLPOP k 0
        p: SET k v
        p: DEL k
        p: SADD k v
        p: DEL k
        p: RPUSH k 1
        a<""",
    "wrong type at once": """
        p: SET s v
        a: BLPOP none s k 0
        a: BRPOP s 0
        a: BLMOVE s k LEFT LEFT 0""",
    "order of keys in a transaction, one of another type first": """
        a> BLPOP x y 0
        p: MULTI
        p: SET x 1
        p: RPUSH y 1
        p: DEL x
        p: RPUSH x 2
        p: EXEC
        a<
        p: EXISTS x y""",
    "renamed to": """
        p: RPUSH other 1
        a> BLPOP k 0
        p: RENAME other k
        a<
        p: EXISTS k other""",
    "copied to": """
        p: RPUSH other 1
        a> BLPOP k 0
        p: COPY other k
        a<
        p: EXISTS k other""",
    "moved from another database": """
        p: SELECT 1
        p: RPUSH k 1
        a> BLPOP k 0
        p: MOVE k 0
        a<""",
    "swapped": """
        p: SELECT 1
        p: RPUSH k 1
        a> BLPOP k 0
        p: SWAPDB 0 1
        a<""",
    "of its own database": """
        a: SELECT 1
        a> BLPOP k 0
        p: RPUSH k 1
        p: SELECT 1
        p: RPUSH k 2
        a<""",
    "moved on": """
        a> BLMOVE from to LEFT RIGHT 0
        p: RPUSH from 1 2
        a<
        p: LRANGE from 0 -1
        p: LRANGE to 0 -1""",
    "a chain of moves": """
        a> BLMOVE x y LEFT LEFT 0
        b> BRPOPLPUSH y z 0
        c> BLPOP z 0
        p: RPUSH x 1
        a<
        b<
        c<
        p: EXISTS x y z""",
    "a ring of moves": """
        a> BLMOVE x y LEFT LEFT 0
        b> BLMOVE y x LEFT LEFT 0
        p: RPUSH x 1
        a<
        b<
        p: LRANGE x 0 -1""",
    "moved onto itself": """
        a> BRPOPLPUSH k k 0
        p: RPUSH k 1 2
        a<
        p: LRANGE k 0 -1""",
    "the target has another type": """
        p: SET to v
        a> BLMOVE from to LEFT LEFT 0
        p: RPUSH from 1
        a<
        p: LLEN from""",
    "served before the pusher goes on": """
        a> BLPOP k 0
        p: MULTI
        p: RPUSH k 1
        p: LLEN k
        p: EXEC
        p: LLEN k
        a<""",
    "no waiting in a transaction": """
        a: MULTI
        a: BLPOP k 0
        a: BRPOP k 0
        a: BLMOVE k l LEFT LEFT 0
        a: BRPOPLPUSH k l 0
        a: RPUSH k 1
        a: BLPOP k 0
        a: EXEC""",
    "watched": """
        w: WATCH k
        a> BLPOP k 0
        p: RPUSH k 1
        a<
        w: MULTI
        w: PING
        w: EXEC""",
    "unblocked": """
        a> BLPOP k 0
        p: CLIENT UNBLOCK 999999
        p: CLIENT UNBLOCK x
        p: CLIENT UNBLOCK 1 NONSENSE
        p: RPUSH k 1
        a<""",
    "in RESP3": """
        a: CLIENT REPLY ON
        a> BLPOP k 0
        p: RPUSH k 1
        a<""",
    "without a reply": """
        a: PING
        a> BLPOP k 0
        p: RPUSH k 1 2
        a<
        a: LLEN k""",
    "flushed while waiting": """
        a> BLPOP k 0
        p: RPUSH other 1
        p: FLUSHALL
        p: RPUSH k 1
        a<""",
    "with lpushx": """
        a> BLPOP k 0
        p: LPUSHX k 1
        p: LPUSH k 1 2 3
        a<
        p: LRANGE k 0 -1""",
}


@pytest.mark.parametrize("name", PLAYS)
def test_play(stage, name):
    stage.play(PLAYS[name])
    assert stage.blocked() == [0, 0]


TIMEOUTS = ["-1", "x", "0.01", "0.001", "1e-9", "nan", "inf", "-inf", "1e30",
            "9223372036854775807", "-0.01", "", "0x0.01",
            " 1"]


@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("command", [
    ["BLPOP", "k"], ["BRPOP", "k", "l"], ["BLMOVE", "k", "l", "LEFT", "RIGHT"],
    ["BRPOPLPUSH", "k", "l"]])
def test_timeouts(both, command, timeout):
    both.same(*command, timeout)


def test_arguments(both):
    for line in ["BLPOP k", "BLMOVE a b UP LEFT 0", "BLMOVE a b LEFT DOWN x",
                 "BLMOVE a b LEFT LEFT x", "BLMOVE a b LEFT", "BRPOPLPUSH a b",
                 "CLIENT UNBLOCK", "CLIENT UNBLOCK 1 2 3"]:
        both.same(*words(line))


@pytest.mark.parametrize("version", [2, 3])
def test_what_a_timeout_answers(both, version):
    if version == 3:
        both.resp3()
    both.same("BLPOP", "k", "0.02")
    both.same("BLMOVE", "k", "l", "LEFT", "LEFT", "0.02")
    both.same("BRPOPLPUSH", "k", "l", "0.02")


def test_timeouts_are_kept_to_the_millisecond(larder):
    late = []
    with Connection(larder.port) as conn:
        for number in range(40):
            wanted = 0.003 + number * 0.0007
            begin = time.monotonic()
            assert conn.command("BLPOP", "none", wanted) == b"*-1\r\n"
            late.append(time.monotonic() - begin - wanted)
    assert min(late) > -0.0011
    assert sorted(late)[len(late) // 4] < 0.004, late


def test_many_timeouts_in_order(larder):
    crowd = [Connection(larder.port) for _ in range(50)]
    due = []  # a busy machine may take its time between two of them
    for number, conn in enumerate(crowd):
        seconds = 0.2 + (50 - number) * 0.004
        due.append(time.monotonic() + seconds)
        conn.send(encode("BLPOP", "none", seconds))
    order = []
    with selectors.DefaultSelector() as waiting:
        for number, conn in enumerate(crowd):
            waiting.register(conn.sock, selectors.EVENT_READ, number)
        while waiting.get_map():
            ready = waiting.select(10)
            assert ready
            for key, _ in ready:
                order.append(key.data)
                waiting.unregister(key.fileobj)
    for earlier, later in zip(order, order[1:]):
        assert due[earlier] < due[later] + 0.02
    for conn in crowd:
        assert conn.read_reply() == b"*-1\r\n"
    for conn in crowd:
        conn.close()
    assert larder.client().info("clients")["clients_in_timeout_table"] == 0


def test_unblock(both):
    crowd = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    numbers = [conn.command("CLIENT", "ID")[1:-2] for conn in crowd]

    def unblock(*how):
        for conn in crowd:
            conn.send(encode("BLMOVE", "k", "l", "LEFT", "LEFT", "0"))
        time.sleep(0.05)
        replies = [side.command("CLIENT", "UNBLOCK", number, *how)
                   for side, number in zip(both.sides, numbers)]
        assert replies == [b":1\r\n"] * 2
        ours, theirs = [conn.read_reply() for conn in crowd]
        assert ours == theirs
        for side, number in zip(both.sides, numbers):
            assert side.command("CLIENT", "UNBLOCK", number) == b":0\r\n"

    unblock()
    unblock("TIMEOUT")
    unblock("ERROR")
    both.same("RPUSH", "k", "1")
    both.same("LLEN", "k")
    ours, theirs = both.ask("INFO", "errorstats")
    assert b"UNBLOCKED" in ours and b"UNBLOCKED" in theirs
    for conn in crowd:
        conn.close()


def counted(reply):
    return sorted(re.sub(rb"usec\S*?=[\d.]+,?", b"", line)
                  for line in reply.split(b"\r\n")
                  if b"cmdstat_b" in line)


def test_statistics(both, stage):
    both.ask("CONFIG", "RESETSTAT")
    stage.play("""
        p: SET s v
        a: BLPOP k 0.01
        a> BLPOP k 0
        p: RPUSH k 1
        a<
        a: BLPOP s 0
        a> BLMOVE k s LEFT LEFT 0
        p: RPUSH k 1
        a<""")
    ours, theirs = both.ask("INFO", "commandstats")
    assert counted(ours) == counted(theirs)


def test_slowlog_does_not_count_the_wait(larder):
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        conn.command("SLOWLOG", "RESET")
        conn.send(encode("BLPOP", "k", 0))
        time.sleep(0.1)
        other.command("RPUSH", "k", "1")
        conn.read_reply()
        assert b"BLPOP" not in other.command("SLOWLOG", "GET")


def test_monitor_shows_it_when_it_begins(both):
    watchers = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    crowd = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    for watcher in watchers:
        assert watcher.command("MONITOR") == b"+OK\r\n"
    for conn in crowd:
        conn.send(encode("BLPOP", "k", 0))
    time.sleep(0.05)
    both.same("RPUSH", "k", "1")
    both.same("PING")
    seen = [[re.sub(rb"^.*?\] ", b"", watcher.read_reply())
             for _ in range(3)] for watcher in watchers]
    assert seen[0] == seen[1]
    for conn in crowd + watchers:
        conn.close()


def test_client_list(larder):
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        number = conn.command("CLIENT", "ID")[1:-2]
        conn.send(encode("BLPOP", "k", 0))
        client = larder.client()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        assert b" flags=b " in other.command("CLIENT", "LIST", "ID", number)
        other.command("RPUSH", "k", "1")
        conn.read_reply()
        assert b" flags=N " in other.command("CLIENT", "LIST", "ID", number)


# ---- pipelines ----

def test_pipeline_goes_on_behind_the_wait(both):
    crowd = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    lines = ["SET a 1", "BLPOP k 0", "INCR a", "BLPOP k l 0", "INCR a",
             "BLPOP k 0.01", "GET a"]
    for conn in crowd:
        conn.send(b"".join(encode(*words(line)) for line in lines))
    for conn in crowd:
        assert conn.read_reply() == b"+OK\r\n"
    time.sleep(0.03)
    both.same("GET", "a")
    both.same("RPUSH", "k", "x")
    both.same("RPUSH", "l", "y")
    replies = [[conn.read_reply() for _ in lines[1:]] for conn in crowd]
    assert replies[0] == replies[1]
    for conn in crowd:
        conn.close()


def test_served_between_two_commands_of_a_pipeline(both):
    crowd = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    for conn in crowd:
        conn.send(encode("BLPOP", "k", 0))
    time.sleep(0.03)
    lines = ["RPUSH k 1", "LPOP k", "RPUSH k 2", "LPOP k", "LLEN k"]
    both.same_raw(b"".join(encode(*words(line)) for line in lines), len(lines))
    replies = [conn.read_reply() for conn in crowd]
    assert replies[0] == replies[1]
    for conn in crowd:
        conn.close()


def test_reply_modes(larder):
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        conn.send(encode("CLIENT", "REPLY", "SKIP") +
                  encode("BLPOP", "k", 0) + encode("PING"))
        client = larder.client()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        other.command("RPUSH", "k", "1")
        assert conn.read_reply() == b"+PONG\r\n"
        assert other.command("EXISTS", "k") == b":0\r\n"


def test_large_elements(larder):
    value = b"v" * 3000000
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        conn.send(encode("BLPOP", "k", 0))
        client = larder.client()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        other.command("RPUSH", "k", value)
        assert conn.read_reply() == (
            b"*2\r\n$1\r\nk\r\n$3000000\r\n" + value + b"\r\n")
