"""Scripts that run for long: BUSY, SCRIPT KILL, SHUTDOWN, beside redis-server
where it does the same."""

import time

import pytest

from support.resp import encode
from support.server import wait_until

LARDER_CONFIG = ORACLE_CONFIG = ["busy-reply-threshold 100"]
LOOP = "while true do end"


def start_script(connection, *words):
    connection.send(encode(*words))


def wait_busy(connection):
    wait_until(lambda: connection.command("PING").startswith(b"-BUSY"),
               what="BUSY")


@pytest.fixture
def busy(both):
    """Both servers busy with LOOP; yields (pair, connections that wait)."""
    waiting = [both.larder.connect(), both.oracle.connect()]
    for connection in waiting:
        start_script(connection, "EVAL", LOOP, 0)
    for side in both.sides:
        wait_busy(side)
    yield both, waiting
    for side, connection in zip(both.sides, waiting):
        side.command("SCRIPT", "KILL")
        wait_until(lambda: side.command("PING") == b"+PONG\r\n")
        connection.close()


def test_what_others_are_told(busy):
    both, _ = busy
    for words in [("PING",), ("GET", "x"), ("SET", "x", 1), ("NOSUCH",),
                  ("GET",), ("SCRIPT", "EXISTS", "x"), ("SHUTDOWN",),
                  ("SHUTDOWN", "SAVE"), ("FLUSHALL",), ("INFO",)]:
        both.same(*words)


def test_script_kill(busy):
    both, waiting = busy
    both.same("SCRIPT", "KILL")
    ours, theirs = [connection.read_reply() for connection in waiting]
    assert ours == theirs
    assert b"Script killed by user with SCRIPT KILL" in ours
    for side in both.sides:
        wait_until(lambda: side.command("PING") == b"+PONG\r\n")
    both.same("PING")
    both.same("SCRIPT", "KILL")
    for connection in waiting:
        assert connection.command("ECHO", "again") == b"$5\r\nagain\r\n"


def test_new_clients_are_served(busy):
    both, _ = busy
    with both.larder.connect() as connection:
        assert connection.command("PING").startswith(b"-BUSY")
        assert connection.command("HELLO", "3").startswith(b"%")
        assert connection.command("SCRIPT", "KILL") == b"+OK\r\n"
    wait_until(lambda: both.sides[0].command("PING") == b"+PONG\r\n")


def test_pipelined_commands_behind_the_script(larder):
    with larder.connect() as first, larder.connect() as second:
        first.send(encode("SET", "a", 1) + encode("EVAL", LOOP, 0)
                   + encode("GET", "a") + encode("PING"))
        wait_busy(second)
        first.send(encode("ECHO", "late"))
        assert second.command("SCRIPT", "KILL") == b"+OK\r\n"
        replies = first.read_replies(5)
        assert replies[0] == b"+OK\r\n"
        assert replies[1].startswith(b"-ERR Script killed")
        assert replies[2:] == [b"$1\r\n1\r\n", b"+PONG\r\n", b"$4\r\nlate\r\n"]


@pytest.mark.parametrize("script", [
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(pcall, pcall, pcall, function() while true do end "
    "end) end",
    "while true do xpcall(function() while true do end end, "
    "function() while true do end end) end",
    "while true do coroutine.resume(coroutine.create(function() while true "
    "do end end)) end",
    "local f = coroutine.wrap(function() while true do coroutine.yield() end "
    "end) while true do pcall(f) end",
    "while true do pcall(error) end",
    "while true do pcall(redis.call, 'get', 'x') end",
    "while true do redis.pcall('nosuch') end",
    "return load(function() return ' ' end)",
    "while true do loadstring('return 1') end",
    "while true do local t = {} for i = 1, 1000 do t[i] = i end "
    "collectgarbage() end",
    "return setmetatable({}, {__index = function() while true do end end}).x",
    "table.sort({1, 2, 3}, function() while true do end end)",
    "('x'):gsub('.', function() while true do end end)",
    "local t = {} for i = 1, 3000000 do t[i] = i end "
    "while true do table.insert(t, 1, 1) table.remove(t, 1) end",
])
def test_nothing_swallows_the_kill(larder, script):
    with larder.connect() as first, larder.connect() as second:
        first.settimeout(60)
        start_script(first, "EVAL", script, 0)
        wait_busy(second)
        begin = time.monotonic()
        assert second.command("SCRIPT", "KILL") == b"+OK\r\n"
        reply = first.read_reply()
        assert reply.startswith(b"-ERR Script killed by user"), reply
        assert time.monotonic() - begin < 5
        assert second.command("PING") == b"+PONG\r\n"


def test_a_script_that_has_written_cannot_be_killed(both):
    script = ("redis.call('set', 'a', 'b') local n = 0 "
              "for i = 1, 2e8 do n = n + 1 end return n")
    waiting = [both.larder.connect(timeout=60), both.oracle.connect(timeout=60)]
    for connection in waiting:
        start_script(connection, "EVAL", script, 0)
    for side in both.sides:
        wait_busy(side)
    reply = both.same("SCRIPT", "KILL")
    assert reply.startswith(b"-UNKILLABLE")
    for connection in waiting:
        assert connection.read_reply() == b":200000000\r\n"
        connection.close()
    both.same("GET", "a")


def test_shutdown_nosave_ends_a_busy_script(start_larder):
    server = start_larder("busy-reply-threshold 50")
    with server.connect() as first, server.connect() as second:
        start_script(first, "EVAL",
                     "redis.call('set', 'a', 1) " + LOOP, 0)
        wait_busy(second)
        second.send(encode("SHUTDOWN", "NOSAVE"))
        assert server.wait_end(10) == 0


def test_sigterm_ends_a_busy_script_and_saves(start_larder):
    server = start_larder("busy-reply-threshold 50")
    with server.connect() as first, server.connect() as second:
        second.command("SET", "before", 1)
        start_script(first, "EVAL", "pcall(function() " + LOOP + " end)", 0)
        wait_busy(second)
        assert server.stop(10) == 0
    server.start()
    with server.connect() as connection:
        assert connection.command("GET", "before") == b"$1\r\n1\r\n"


def test_the_client_goes_away(start_larder):
    server = start_larder("busy-reply-threshold 50")
    with server.connect() as second:
        first = server.connect()
        start_script(first, "EVAL", LOOP, 0)
        wait_busy(second)
        first.close()
        # Many come and go meanwhile.
        for _ in range(50):
            with server.connect() as other:
                assert other.command("PING").startswith(b"-BUSY")
        assert second.command("SCRIPT", "KILL") == b"+OK\r\n"
        wait_until(lambda: second.command("PING") == b"+PONG\r\n")
        assert b"number_of_cached_scripts:1" in second.command("INFO", "memory")


def test_no_threshold_no_busy(start_larder):
    server = start_larder("busy-reply-threshold 0")
    with server.connect() as connection:
        assert connection.command(
            "EVAL", "for i = 1, 1e7 do end return 1", 0) == b":1\r\n"
