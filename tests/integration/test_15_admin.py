"""Commands for whoever runs the server: MEMORY, DEBUG, TIME, saving, stopping,
and what a server that stands alone answers about replication and clusters."""

import re
import time

import pytest

from support.server import wait_until

LARDER_CONFIG = ["enable-debug-command yes"]
ORACLE_CONFIG = ["enable-debug-command yes"]

COMMANDS = [
    "TIME x",
    "LASTSAVE x",
    "SAVE x",
    "BGSAVE FOO",
    "BGSAVE SCHEDULE x",
    "SHUTDOWN FOO",
    "SHUTDOWN SAVE NOSAVE",
    "SHUTDOWN ABORT",
    "SHUTDOWN ABORT NOW",
    "ROLE",
    "REPLICAOF",
    "REPLICAOF NO ONE",
    "REPLICAOF host port",
    "SLAVEOF NO ONE",
    "FAILOVER",
    "FAILOVER ABORT",
    "FAILOVER FOO",
    "FAILOVER TO host 1",
    "CLUSTER",
    "CLUSTER INFO",
    "CLUSTER NODES",
    "CLUSTER SLOTS",
    "CLUSTER KEYSLOT x",
    "CLUSTER FOO",
    "CLUSTER SETSLOT",
    "CLUSTER HELP",
    "MODULE LIST",
    "MODULE LOAD",
    "MODULE FOO",
    "READONLY",
    "READWRITE",
    "ASKING",
    "ACL WHOAMI",
    "MEMORY",
    "MEMORY FOO",
    "MEMORY USAGE",
    "MEMORY USAGE nothing",
    "MEMORY USAGE key SAMPLES",
    "MEMORY USAGE key SAMPLES x",
    "MEMORY USAGE key SAMPLES -1",
    "MEMORY USAGE key FOO 3",
    "MEMORY STATS x",
    "MEMORY PURGE",
    "MEMORY HELP",
    "DEBUG",
    "DEBUG FOO",
    "DEBUG SLEEP",
    "DEBUG SLEEP 0.01",
    "DEBUG SLEEP x",
    "DEBUG OBJECT",
    "DEBUG OBJECT nothing",
    "DEBUG POPULATE",
    "DEBUG POPULATE x",
    "DEBUG POPULATE -1",
    "DEBUG POPULATE 2 pref x",
    "DEBUG POPULATE 2 pref -5",
    "DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG SET-ACTIVE-EXPIRE",
    "DEBUG ERROR",
    "DEBUG LOG hello",
    "DEBUG PROTOCOL string",
    "DEBUG PROTOCOL integer",
    "DEBUG PROTOCOL double",
    "DEBUG PROTOCOL null",
    "DEBUG PROTOCOL array",
    "DEBUG PROTOCOL set",
    "DEBUG PROTOCOL map",
    "DEBUG PROTOCOL verbatim",
    "DEBUG PROTOCOL true",
    "DEBUG PROTOCOL false",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_replies(both, command):
    both.same(*command.split())


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.startswith("DEBUG PROTOCOL")])
def test_replies_in_resp3(both, command):
    both.resp3()
    both.same(*command.split())


def test_debug_error(both):
    both.same("DEBUG", "ERROR", "ERR hello there")
    both.same("DEBUG", "ERROR", "CODE a\r\nb")


def test_populate(both):
    both.same("SET", "key:1", "mine")
    both.same("DEBUG", "POPULATE", "12")
    both.same("DEBUG", "POPULATE", "2", "sized", "20")
    both.same("DEBUG", "POPULATE", "2", "short", "3")
    both.same("DBSIZE")
    for key in ("key:0", "key:1", "key:11", "sized:1", "short:0"):
        both.same("GET", key)


def test_populate_more_than_fits(start_larder):
    server = start_larder("enable-debug-command yes", "maxmemory 32mb")
    with server.connect() as connection:
        connection.settimeout(60)
        assert connection.command(
            "DEBUG", "POPULATE", "20000", "key", "4000") == b"+OK\r\n"
        assert connection.command("DBSIZE") == b":20000\r\n"
        assert connection.command("STRLEN", "key:7") == b":4000\r\n"
        assert connection.command("STRLEN", "key:19999") == b":4000\r\n"


@pytest.mark.parametrize("setting", ["no", "local", "yes"])
def test_debug_must_be_allowed(start_larder, start_oracle, setting):
    replies = []
    for start in (start_larder, start_oracle):
        server = start("enable-debug-command " + setting)
        with server.connect() as connection:
            replies.append(connection.command("DEBUG", "SLEEP", "0"))
    assert replies[0] == replies[1]


def test_active_expire_can_be_stopped(larder):
    with larder.connect() as connection:
        def size():
            return connection.command("DBSIZE")

        connection.command("FLUSHALL")
        connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        connection.command("SET", "key", "x", "PX", "1")
        time.sleep(0.4)
        assert size() == b":1\r\n"
        connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        wait_until(lambda: size() == b":0\r\n", what="expiry")


def test_debug_object(both):
    both.same("SET", "key", "12345")
    ours, theirs = both.ask("DEBUG", "OBJECT", "key")
    names = [re.findall(rb"(\w+):", reply) for reply in (ours, theirs)]
    assert names[0][:len(names[1])] == names[1]
    assert b" encoding:int " in ours


def test_time(larder):
    with larder.connect() as connection:
        reply = connection.command("TIME")
    match = re.fullmatch(rb"\*2\r\n\$10\r\n(\d+)\r\n\$\d\r\n(\d+)\r\n", reply)
    seconds, micros = (int(part) for part in match.groups())
    assert abs(seconds + micros / 1e6 - time.time()) < 2


def test_memory_stats(both):
    both.same("SET", "key", "value")
    ours, theirs = both.ask("MEMORY", "STATS")
    names = [re.findall(rb"\$\d+\r\n([a-z][a-z0-9.-]+)\r\n", reply)
             for reply in (ours, theirs)]
    assert set(names[1]) <= set(names[0])
    stats = both.larder.client().memory_stats()
    assert stats["keys.count"] == 1
    assert stats["total.allocated"] > 0
    assert stats["db.0"]


def test_memory_texts(larder):
    with larder.connect() as connection:
        assert connection.command("MEMORY", "DOCTOR").startswith(b"$")
        assert connection.command("MEMORY", "MALLOC-STATS").startswith(b"$")


def test_refusals(larder):
    with larder.connect() as connection:
        for words in (["REPLICAOF", "127.0.0.1", "6379"],
                      ["MODULE", "LOAD", "/x.so"],
                      ["DEBUG", "CHANGE-REPL-ID"]):
            reply = connection.command(*words)
            assert reply.startswith(b"-ERR "), words
        assert connection.command("ROLE").startswith(b"*3\r\n$6\r\nmaster")


@pytest.mark.parametrize("command, text", [
    (["BGSAVE"], b"+Background saving started\r\n"),
    (["BGSAVE", "SCHEDULE"], b"+Background saving started\r\n"),
    (["BGREWRITEAOF"],
     b"+Background append only file rewriting started\r\n"),
])
def test_background_saving(larder, command, text):
    def running():
        return larder.info("persistence")["rdb_bgsave_in_progress"] == 1

    with larder.connect() as connection:
        connection.command("SET", "key", "x")
        before = int(connection.command("LASTSAVE")[1:])
        time.sleep(1.1)
        wait_until(lambda: not running(), what="no other checkpoint")
        saves = larder.info("persistence")["rdb_saves"]
        assert connection.command(*command) == text
        wait_until(lambda: not running(), what="the checkpoint's end")
        assert int(connection.command("LASTSAVE")[1:]) > before
    wait_until(lambda: larder.info("persistence")["rdb_saves"] > saves,
               what="it is counted")
    info = larder.info("persistence")
    assert info["rdb_changes_since_last_save"] == 0
    assert 0 <= info["rdb_last_bgsave_time_sec"] < 60
    assert info["rdb_last_bgsave_status"] == "ok"


@pytest.mark.parametrize("words, kept", [
    ([], True), (["SAVE"], True), (["NOSAVE"], False), (["NOW", "FORCE"], True),
])
def test_shutdown(start_larder, words, kept):
    server = start_larder("save ''")
    with server.connect() as connection:
        connection.command("SET", "key", "value")
        connection.send(b"SHUTDOWN %s\r\n" % " ".join(words).encode())
        assert connection.read_until_closed() == b""
    server.wait_end()
    server.start()
    with server.connect() as connection:
        assert connection.command("EXISTS", "key") == b":%d\r\n" % kept
