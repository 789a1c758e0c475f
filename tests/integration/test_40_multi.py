"""MULTI, EXEC, DISCARD, WATCH and UNWATCH, compared with redis-server; then
what concerns tiers, limits and the end of connections."""

import re
import time

import pytest

from support.resp import Connection, encode
from support.server import wait_until


def words(line):
    return line.split(" ")


def play(both, lines):
    """The same conversation with both; the last reply."""
    reply = None
    for line in lines:
        reply = both.same(*words(line))
    return reply


CONVERSATIONS = {
    "empty": "MULTI|EXEC",
    "plain": "MULTI|SET a 1|INCR a|GET a|GET b|EXEC|GET a",
    "errors inside": "SET s x|MULTI|INCR s|SET a 1|APPEND|EXEC",
    "failing command": "SET s x|MULTI|INCR s|SET a 1|EXEC|GET a",
    "nested": "MULTI|MULTI|PING|EXEC",
    "watch inside": "MULTI|WATCH a|PING|EXEC",
    "without multi": "EXEC|DISCARD|UNWATCH|EXEC",
    "discard": "MULTI|SET a 1|DISCARD|GET a|EXEC|DISCARD",
    "unknown command": "MULTI|NOSUCH a b|SET a 1|EXEC|GET a|EXEC",
    "wrong arity": "MULTI|GET|SET a 1|EXEC|GET a",
    "unknown subcommand": "MULTI|CONFIG NOSUCH|SET a 1|EXEC|GET a",
    "container arity": "MULTI|OBJECT|EXEC",
    "arity of exec": "MULTI|SET a 1|EXEC x|EXEC|GET a",
    "arity of discard": "MULTI|SET a 1|DISCARD x|EXEC|GET a",
    "arity of multi": "MULTI|MULTI x|EXEC",
    "arity of watch": "MULTI|WATCH|EXEC|WATCH",
    "refused commands": "MULTI|SAVE|SHUTDOWN NOSAVE|PING|EXEC",
    "unwatch inside": "WATCH a|MULTI|UNWATCH|EXEC",
    "select": "MULTI|SELECT 3|SET a 1|SELECT 99|GET a|EXEC|GET a|SELECT 0"
              "|GET a",
    "select nonsense": "MULTI|SELECT x|SET a 1|EXEC|GET a",
    "swapdb": "SET a 1|MULTI|SWAPDB 0 1|GET a|SELECT 1|GET a|EXEC|GET a"
              "|SELECT 0|GET a",
    "flushall": "SET a 1|MULTI|SET b 1|FLUSHALL|SET c 1|EXEC|GET a|GET b|GET c",
    "own change": "WATCH a|SET a 1|MULTI|PING|EXEC|MULTI|PING|EXEC",
    "own change inside": "WATCH a|MULTI|SET a 1|EXEC|GET a",
    "discard unwatches": "WATCH a|SET a 1|MULTI|DISCARD|MULTI|PING|EXEC",
    "unwatch": "WATCH a|SET a 1|UNWATCH|MULTI|PING|EXEC",
    "refused and broken": "WATCH a|SET a 1|MULTI|NOSUCH|EXEC",
    "reset": "WATCH a|MULTI|SET a 1|RESET|EXEC|GET a",
    "monitor": "MULTI|MONITOR|EXEC",
    "subcommands": "MULTI|OBJECT ENCODING a|CLIENT GETNAME|EXEC",
    "bad options": "MULTI|SET a 1 XX NX|EXPIRE a x|EXEC",
    "rename": "SET a 1|MULTI|RENAME a b|RENAME a b|GET b|EXEC",
    "wait": "MULTI|WAIT 0 0|EXEC",
    "expire": "MULTI|SET a 1 PX 100000|PERSIST a|TTL a|EXEC",
    "deleted by time": "SET a 1 PX 99999|MULTI|EXPIRE a -1|EXISTS a|EXEC",
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("version", [2, 3])
def test_conversation(both, name, version):
    if version == 3:
        both.resp3()
    play(both, CONVERSATIONS[name].split("|"))


def test_version_changes_inside(both):
    play(both, ["MULTI", "HELLO 3", "GET nokey"])
    replies = both.ask("EXEC")
    for reply in replies:
        assert reply.startswith(b"*2\r\n%7\r\n") and reply.endswith(b"_\r\n")


def test_quit_inside(both):
    play(both, ["MULTI", "SET a 1", "QUIT"])


def test_pipelined_in_one_write(both):
    lines = ["SET a 1", "MULTI", "INCR a", "GET a", "EXEC", "GET a", "MULTI",
             "SET b x", "NOSUCH", "EXEC", "GET b", "EXEC"] * 20
    both.same_raw(b"".join(encode(*words(line)) for line in lines), len(lines))


# What another connection does -> whether EXEC is broken by it.
CHANGES = {
    "set": "SET a 1",
    "the same value": "SET a v",
    "nothing": "GET a",
    "another key": "SET b 1",
    "failed": "INCR a",
    "not done": "SETNX a 1",
    "append": "APPEND a x",
    "setrange nothing": "SETRANGE a 0 ",
    "getdel": "GETDEL a",
    "getex": "GETEX a EX 100",
    "getex persist": "GETEX a PERSIST",
    "getset": "GETSET a x",
    "mset": "MSET b 1 a 2",
    "msetnx": "MSETNX b 1 a 2",
    "setbit": "SETBIT a 3 1",
    "delete": "DEL a",
    "unlink": "UNLINK a",
    "expire": "EXPIRE a 100",
    "expire past": "EXPIRE a -1",
    "expire refused": "EXPIRE a 100 XX",
    "persist nothing": "PERSIST a",
    "touch": "TOUCH a",
    "rename from": "RENAME a b",
    "rename to": "RENAME other a",
    "rename itself": "RENAME a a",
    "renamenx": "RENAMENX a other",
    "copy from": "COPY a b",
    "copy to": "COPY other a REPLACE",
    "copy not done": "COPY other a",
    "move": "MOVE a 1",
    "move not done": "MOVE other 1",
    "flushdb": "FLUSHDB",
    "flushall": "FLUSHALL",
    "swapdb": "SWAPDB 0 1",
    "swapdb itself": "SWAPDB 0 0",
    "swapdb others": "SWAPDB 2 3",
    "in a transaction": "MULTI|SET a 1|EXEC",
    "discarded": "MULTI|SET a 1|DISCARD",
    "other database": "SELECT 1|SET a 1|SELECT 0",
}


@pytest.mark.parametrize("watched", ["a", "absent", "b"])
@pytest.mark.parametrize("name", CHANGES)
def test_watch(both, name, watched):
    others = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    for other in others:
        other.command("SET", "a", "v")
        other.command("SET", "other", "o")
    both.same("WATCH", "nobody", watched)
    for line in CHANGES[name].split("|"):
        ours, theirs = [other.command(*words(line)) for other in others]
        assert ours == theirs
    play(both, ["MULTI", "GET a", "EXEC", "MULTI", "PING", "EXEC"])
    for other in others:
        other.close()


@pytest.mark.parametrize("change", ["", "SET a 2", "DEL a", "EXPIRE a 100",
                                    "FLUSHALL", "SWAPDB 0 1"])
def test_watch_of_what_expires(both, change):
    both.same("SET", "a", "1", "PX", "300")
    both.same("WATCH", "a")
    time.sleep(0.35)
    if change:
        both.same(*words(change))
    play(both, ["MULTI", "PING", "EXEC"])


@pytest.mark.parametrize("change", ["", "SET a 2", "FLUSHALL", "SWAPDB 0 1"])
def test_watch_of_what_has_expired(both, change):
    both.same("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    both.same("SET", "a", "1", "PX", "1")
    time.sleep(0.02)
    both.same("WATCH", "a")
    if change:
        both.same(*words(change))
    play(both, ["MULTI", "PING", "EXEC"])
    both.same("DEBUG", "SET-ACTIVE-EXPIRE", "1")


def test_many_watch_one_key(both):
    crowds = [[Connection(side.sock.getpeername()[1]) for _ in range(20)]
              for side in both.sides]
    for crowd in crowds:
        for number, conn in enumerate(crowd):
            conn.command("WATCH", "a", "k%d" % number)
    both.same("SET", "k3", "1")
    crowds[0][4].close()
    crowds[1][4].close()

    def outcome(crowd):
        replies = []
        for conn in crowd[:4] + crowd[5:]:
            conn.command("MULTI")
            conn.command("GET", "a")
            replies.append(conn.command("EXEC"))
        return replies

    assert outcome(crowds[0]) == outcome(crowds[1])
    both.same("SET", "a", "1")
    assert outcome(crowds[0]) == outcome(crowds[1])
    for crowd in crowds:
        for conn in crowd:
            conn.close()


def client_line(conn):
    text = conn.command("CLIENT", "LIST", "ID", conn.command(
        "CLIENT", "ID")[1:-2].decode()).decode()
    return dict(part.split("=", 1) for part in text.split()[1:])


def test_client_list_shows_transactions(larder):
    with Connection(larder.port) as watcher, Connection(larder.port) as conn:
        number = conn.command("CLIENT", "ID")[1:-2].decode()

        def line():
            text = watcher.command("CLIENT", "LIST", "ID", number).decode()
            return dict(part.split("=", 1) for part in text.split()[1:])

        assert line()["multi"] == "-1"
        conn.command("WATCH", "a", "b")
        conn.command("MULTI")
        assert line()["multi"] == "0" and line()["flags"] == "x"
        conn.command("SET", "x", "y" * 100000)
        shown = line()
        assert shown["multi"] == "1"
        assert 100000 < int(shown["multi-mem"]) < 300000
        assert int(shown["tot-mem"]) > 100000
        watcher.command("SET", "a", "1")
        assert line()["flags"] == "xd"
        info = larder.client().info("clients")
        assert info["watching_clients"] == 1
        assert info["total_watched_keys"] == 2
        conn.command("EXEC")
        assert line()["flags"] == "N" and line()["multi-mem"] == "0"
        assert larder.client().info("clients")["total_watched_keys"] == 0


def test_inside_client_list_is_the_transaction(both):
    def shape(reply):
        found = re.search(rb"flags=(\S+) .*multi=(\S+) .*cmd=(\S+)", reply)
        return found.groups()

    both.same("MULTI")
    both.same("CLIENT", "INFO")
    ours, theirs = both.ask("EXEC")
    assert shape(ours) == shape(theirs)


def counted(reply):
    return sorted(re.sub(rb"usec\S*?=[\d.]+,?", b"", line)
                  for line in reply.split(b"\r\n") if b"cmdstat" in line)


def test_statistics(both):
    both.ask("CONFIG", "RESETSTAT")
    play(both, ["SET s x", "MULTI", "INCR s", "GET s", "NOSUCH", "EXEC",
                "MULTI", "INCR s", "GET s", "EXEC", "EXEC x", "EXEC", "MULTI",
                "SAVE", "GET", "DISCARD"])
    ours, theirs = both.ask("INFO", "commandstats")
    assert counted(ours) == counted(theirs)
    ours, theirs = both.ask("INFO", "errorstats")
    assert ours == theirs


def test_monitor_sees_the_order(both):
    watchers = [Connection(side.sock.getpeername()[1]) for side in both.sides]
    for watcher in watchers:
        assert watcher.command("MONITOR") == b"+OK\r\n"
    play(both, ["MULTI", "SET a 1", "GET a", "EXEC", "PING"])
    seen = [[re.sub(rb"^.*?\] ", b"", watcher.read_reply())
             for _ in range(5)] for watcher in watchers]
    assert seen[0] == seen[1]
    for watcher in watchers:
        watcher.close()


# ---- tiers ----

def test_exec_fetches_what_it_needs(start_larder):
    server = start_larder("appendonly yes")
    client = server.client()
    for number in range(50):
        client.set("k%d" % number, "v%d" % number * 100)
    client.execute_command("SELECT", 2)
    client.set("there", "far")
    with Connection(server.port) as conn:
        conn.command("TIER", "DEMOTE", *["k%d" % n for n in range(50)],
                     "TO", "DRY")
        conn.command("SELECT", "2")
        conn.command("TIER", "DEMOTE", "there", "TO", "DRY")
        conn.command("SELECT", "0")
        before = client.info("stats")
        conn.command("MULTI")
        for number in range(50):
            conn.command("APPEND", "k%d" % number, "x")
        conn.command("SELECT", "2")
        conn.command("GET", "there")
        reply = conn.command("EXEC")
        assert reply.startswith(b"*52\r\n:")
        assert reply.endswith(b"+OK\r\n$3\r\nfar\r\n")
        stats = conn.command("TIER", "STATS")
        assert b"synchronous_reads\r\n:0\r\n" in stats
        assert before["total_commands_processed"] > 0


def sync_reads(conn):
    stats = conn.command("TIER", "STATS")
    return int(stats.split(b"synchronous_reads\r\n:")[1].split(b"\r\n")[0])


def test_what_nobody_could_foresee_is_read_at_once(larder):
    with Connection(larder.port) as conn:
        conn.command("FLUSHALL")
        conn.command("SET", "far", "v" * 3000)
        conn.command("TIER", "DEMOTE", "far", "TO", "DRY")
        before = sync_reads(conn)
        for line in ["SELECT 1", "MULTI", "SWAPDB 0 1", "STRLEN far",
                     "APPEND far x"]:
            conn.command(*words(line))
        assert conn.command("EXEC") == b"*3\r\n+OK\r\n:3000\r\n:3001\r\n"
        assert sync_reads(conn) == before + 1
        assert conn.command("STRLEN", "far") == b":3001\r\n"


def test_watch_sees_no_tier_move(larder):
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        conn.command("SET", "a", "1" * 500)
        conn.command("WATCH", "a")
        other.command("TIER", "DEMOTE", "a", "TO", "DRY")
        assert b"dry" in other.command("OBJECT", "TIER", "a")
        other.command("GET", "a")
        conn.command("MULTI")
        conn.command("STRLEN", "a")
        assert conn.command("EXEC") == b"*1\r\n:500\r\n"


def test_change_while_exec_waits_for_disk(larder):
    """Whatever comes first: nothing or the whole, never a part."""
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        for round in range(30):
            conn.command("SET", "a", "1")
            conn.command("SET", "big", "v" * 5000)
            other.command("TIER", "DEMOTE", "big", "TO", "DRY")
            conn.command("WATCH", "a")
            conn.command("MULTI")
            conn.command("STRLEN", "big")
            conn.command("INCR", "a")
            conn.send(encode("EXEC"))
            other.command("SET", "a", "100")
            reply = conn.read_reply()
            value = other.command("GET", "a")
            assert (reply, value) in [
                (b"*-1\r\n", b"$3\r\n100\r\n"),
                (b"*2\r\n:5000\r\n:2\r\n", b"$3\r\n100\r\n"),
            ]


# ---- limits and hostile use ----

def test_queue_is_bounded(start_larder):
    server = start_larder("maxmemory 64mb")
    value = b"x" * 500000
    with Connection(server.port) as conn, Connection(server.port) as other:
        conn.command("MULTI")
        refused = 0
        for number in range(300):
            reply = conn.command("SET", "k%d" % number, value)
            refused += reply.startswith(b"-OOM")
            assert reply[:4] in (b"+QUE", b"-OOM")
        assert refused > 0
        assert other.command("PING") == b"+PONG\r\n"
        assert conn.command("EXEC").startswith(b"-EXECABORT")
        assert other.command("DBSIZE") == b":0\r\n"
        conn.command("MULTI")
        conn.command("SET", "a", "1")
        assert conn.command("EXEC") == b"*1\r\n+OK\r\n"


def test_many_queues_share_the_bound(start_larder):
    server = start_larder("maxmemory 64mb")
    value = b"x" * 200000
    crowd = [Connection(server.port) for _ in range(20)]
    for conn in crowd:
        conn.command("MULTI")
    for number in range(25):
        for conn in crowd:
            conn.send(encode("SET", "k", value))
    for conn in crowd:
        conn.settimeout(20)
        for number in range(25):
            assert conn.read_reply()[:4] in (b"+QUE", b"-OOM")
    assert server.client().info("memory")["used_memory"] < 100 << 20
    for conn in crowd:
        conn.close()
    client = server.client()
    wait_until(lambda: client.set("a", "1"))


def test_huge_queue_of_small_commands(larder):
    with Connection(larder.port, timeout=60) as conn:
        conn.command("MULTI")
        count = 100000
        conn.send(encode("INCR", "counter") * count)
        for _ in range(count):
            assert conn.read_reply() == b"+QUEUED\r\n"
        reply = conn.command("EXEC")
        assert reply.startswith(b"*%d\r\n:1\r\n" % count)
        assert reply.endswith(b":%d\r\n" % count)


def test_results_beyond_memory_are_refused(start_larder):
    server = start_larder("maxmemory 64mb", "appendonly no")
    with Connection(server.port, timeout=60) as conn:
        conn.command("MULTI")
        for number in range(100):
            conn.command("SETRANGE", "k%d" % number, 4000000, "x")
        reply = conn.command("EXEC")
        assert reply.startswith(b"*100\r\n:4000001\r\n")
        assert b"-OOM" in reply
        assert conn.command("PING") == b"+PONG\r\n"


def test_watch_of_100000_keys(larder):
    with Connection(larder.port, timeout=60) as conn:
        with Connection(larder.port, timeout=60) as other:
            for start in range(0, 100000, 10000):
                assert conn.command("WATCH", *[
                    "w%d" % n for n in range(start, start + 10000)
                ]) == b"+OK\r\n"
            assert conn.command("MULTI") == b"+OK\r\n"
            conn.command("PING")
            assert conn.command("EXEC") == b"*1\r\n+PONG\r\n"
            conn.command("WATCH", *["w%d" % n for n in range(100000)])
            other.command("SET", "w99999", "1")
            conn.command("MULTI")
            conn.command("PING")
            assert conn.command("EXEC") == b"*-1\r\n"
            conn.command("WATCH", *["w%d" % n for n in range(100000)])
    client = larder.client()
    wait_until(lambda: client.info("clients")["total_watched_keys"] == 0)


def test_watches_are_bounded(start_larder):
    server = start_larder("maxmemory 32mb")
    with Connection(server.port, timeout=60) as conn:
        seen = set()
        for start in range(0, 1000000, 10000):
            reply = conn.command(
                "WATCH", *["w%d" % n for n in range(start, start + 10000)])
            seen.add(reply[:4])
        assert seen == {b"+OK\r", b"-OOM"}
        assert server.client().info("memory")["used_memory"] < 60 << 20


@pytest.mark.parametrize("state", [
    ["MULTI"],
    ["WATCH a", "MULTI", "SET a 1"],
    ["WATCH a b c"],
    ["MULTI", "NOSUCH"],
    ["WATCH a", "SET a 1", "MULTI", "GET a"],
])
def test_disconnect_in_every_state(larder, state):
    client = larder.client()
    client.flushall()
    before = client.info("clients")["connected_clients"]
    for _ in range(20):
        conn = Connection(larder.port)
        for line in state:
            conn.command(*words(line))
        conn.close()
    wait_until(lambda: client.info("clients")["connected_clients"] == before)
    info = client.info("clients")
    assert info["watching_clients"] == 0 and info["total_watched_keys"] == 0
    assert client.get("a") in (None, b"1", "1")


def test_kill_during_its_own_exec(larder):
    with Connection(larder.port) as conn:
        number = conn.command("CLIENT", "ID")[1:-2].decode()
        conn.command("MULTI")
        conn.command("SET", "before", "1")
        conn.command("CLIENT", "KILL", "ID", number, "SKIPME", "no")
        conn.command("SET", "after", "1")
        conn.send(encode("EXEC"))
        conn.sock.recv(1000)
    client = larder.client()
    assert client.exists("before", "after") == 2


def test_disconnect_while_exec_waits(larder):
    client = larder.client()
    for round in range(20):
        client.set("big", "v" * 100000)
        client.execute_command("TIER", "DEMOTE", "big", "TO", "DRY")
        conn = Connection(larder.port)
        conn.send(encode("MULTI") + encode("APPEND", "big", "x") +
                  encode("EXEC"))
        conn.close()
    assert client.ping()
