"""Keyspace notifications, beside redis-server: which events, in which order,
on which channels; and from keys that go by themselves, in every tier."""

import time

import pytest

from support.resp import Connection, encode
from support.server import wait_until

LARDER_CONFIG = ["maxmemory 256mb"]


class Witness:
    """Connections that hear every message."""

    def __init__(self, both, classes="KEA"):
        self.both, self.speaker = both, both.another()
        both.same("CONFIG", "SET", "notify-keyspace-events", classes)
        self.listener = both.another()
        self.listener.same("PSUBSCRIBE", "*")

    def heard(self):
        """Messages so far, of both sides."""
        self.speaker.same("PUBLISH", "the-end", "x")
        seen = []
        for side in self.listener.sides:
            messages = []
            while True:
                message = side.read_reply()
                if b"the-end" in message:
                    break
                messages.append(message)
            seen.append(messages)
        return seen

    def same(self, *command, events=None):
        self.both.same(*command)
        ours, theirs = self.heard()
        assert ours == theirs, command
        if events is not None:
            assert len(ours) == events, (command, ours)


def test_classes_are_shown_as_redis_shows_them(both):
    for classes in (
        "", "K", "E", "KE", "KEA", "AKE", "Kg$lshzxetd", "g$lshzxetdmn", "An",
        "m", "n", "mn", "Amn", "$E", "xE", "KEx$", "t", "d", "q", "KEq", "AA",
    ):
        both.same("CONFIG", "SET", "notify-keyspace-events", classes)
        both.same("CONFIG", "GET", "notify-keyspace-events")


COMMANDS = [
    ("SET", "s", "1"), ("SET", "s", "2", "EX", "100"), ("SETNX", "s", "3"),
    ("SETNX", "s2", "3"), ("GET", "s"), ("GET", "none"), ("APPEND", "s", "x"),
    ("SETRANGE", "s", "1", "yy"), ("SET", "n", "1"), ("INCR", "n"),
    ("DECRBY", "n", "2"), ("INCRBYFLOAT", "n", "1.5"), ("MSET", "a", "1", "b", "2"),
    ("MSETNX", "c", "1", "d", "2"), ("GETSET", "a", "x"), ("GETDEL", "a"),
    ("GETEX", "b", "EX", "100"), ("GETEX", "b", "PERSIST"), ("GETEX", "none"),
    ("EXPIRE", "b", "100"), ("PERSIST", "b"), ("PERSIST", "b"),
    ("EXPIRE", "b", "-1"), ("EXPIRE", "none", "100"), ("RENAME", "c", "c2"),
    ("RENAMENX", "c2", "d"), ("COPY", "d", "e"), ("COPY", "d", "f", "DB", "3"),
    ("MOVE", "e", "2"), ("DEL", "d", "none", "c2"), ("UNLINK", "s2"),
    ("EXISTS", "none"), ("TYPE", "none"), ("TTL", "none"), ("OBJECT", "ENCODING", "none"),
    ("MGET", "none", "n", "none2"), ("STRLEN", "none"), ("TOUCH", "none"),
    ("SET", "none", "x", "XX"), ("SET", "none", "x", "GET"), ("SETBIT", "bit", "7", "1"),
    ("SELECT", "5"), ("SET", "k5", "x"), ("SELECT", "0"), ("SWAPDB", "0", "5"),
    ("FLUSHDB",), ("FLUSHALL",), ("SET", "", "x"), ("SET", b"\x00\r\n", "x"),
]


@pytest.mark.parametrize("classes", ["KEA", "KEAmn", "E$", "Kg", "KEm", "KEn", "A", "KE"])
def test_events_of_commands(both, classes):
    witness = Witness(both, classes)
    for command in COMMANDS:
        witness.same(*command)


def test_nothing_by_default_and_off_again(both):
    witness = Witness(both, "")
    witness.same("SET", "k", "v", events=0)
    both.same("CONFIG", "SET", "notify-keyspace-events", "KEA")
    witness.same("SET", "k", "v", events=2)
    both.same("CONFIG", "SET", "notify-keyspace-events", "")
    witness.same("DEL", "k", events=0)


def test_inside_transactions(both):
    witness = Witness(both)
    for command in (("MULTI",), ("SET", "k", "v"), ("DEL", "k"), ("EXEC",)):
        witness.same(*command)


def test_own_events_precede_the_reply(both):
    both.same("CONFIG", "SET", "notify-keyspace-events", "KEA")
    both.resp3().same("PSUBSCRIBE", "__key*__:*")
    both.same_raw(encode("SET", "k", "v") + encode("GET", "k"), 4)
    both.same_raw(encode("DEL", "k", "none"), 3)


def test_expiry_found_by_a_command_comes_before_its_own_event(start_larder, start_oracle):
    """Without the cycle that looks for expired keys, commands find them."""
    seen = []
    for start in (start_larder, start_oracle):
        server = start("enable-debug-command yes", "notify-keyspace-events KEAmn")
        with Connection(server.port) as connection, Connection(server.port) as listener:
            listener.command("PSUBSCRIBE", "*")
            assert connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"+OK\r\n"
            connection.command("SET", "k", "v", "PX", "1")
            connection.command("SET", "l", "v", "PX", "1")
            time.sleep(0.1)
            connection.command("APPEND", "k", "x")
            connection.command("GET", "l")
            connection.command("PUBLISH", "the-end", "x")
            messages = []
            while not messages or b"the-end" not in messages[-1]:
                messages.append(listener.read_reply())
            seen.append(messages)
    assert seen[0] == seen[1]
    assert sum(b"__keyevent@0__:expired" in message for message in seen[0]) == 2


def collect(listener, wanted, seconds=10):
    """Messages until one has come for each of the wanted keys."""
    left, seen = set(wanted), []
    listener.settimeout(seconds)
    while left:
        message = listener.read_reply()
        seen.append(message)
        left.discard(message.split(b"\r\n")[-2])
    return seen


def dry(connection, server, count):
    connection.settimeout(60)
    for number in range(count):
        reply = connection.command("TIER", "DEMOTE", "key%d" % number, "TO", "DRY")
        assert not reply.startswith(b"-"), reply


def test_expired_comes_in_time_for_dry_keys_unread(start_larder):
    server = start_larder("notify-keyspace-events Ex")
    count = 50
    with Connection(server.port) as connection, Connection(server.port) as listener:
        listener.command("PSUBSCRIBE", "__keyevent@*__:*")
        due = time.time() + 3
        for number in range(count):
            connection.command(
                "SET", "key%d" % number, "x" * 1000, "PXAT", str(int(due * 1000)))
        dry(connection, server, count)
        assert connection.command("TIER", "OF", "key7").endswith(b"dry\r\n")
        assert listener.quiet()  # a move between tiers is no event
        seen = collect(listener, [b"key%d" % number for number in range(count)])
        assert len(seen) == count
        assert all(b"__keyevent@0__:expired" in message for message in seen)
        assert -0.01 < time.time() - due < 1
        info = connection.command("INFO", "tiers") + connection.command("INFO", "stats")
        assert b"storage_provider_read_hits:0\r\n" in info


def test_loading_tells_of_nothing(start_larder):
    server = start_larder("notify-keyspace-events KEAn", "appendonly yes")
    with Connection(server.port) as connection:
        for number in range(1000):
            connection.command("SET", "key%d" % number, "x")
    server.restart()
    with Connection(server.port) as connection, Connection(server.port) as listener:
        listener.command("PSUBSCRIBE", "*")
        wait_until(lambda: connection.command("DBSIZE") == b":1000\r\n")
        assert listener.quiet()
        connection.command("SET", "new", "x")
        assert b"new" in listener.read_reply()
