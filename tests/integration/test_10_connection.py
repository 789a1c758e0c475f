"""PING, ECHO, SELECT, QUIT, AUTH, HELLO, RESET and MONITOR, compared with
redis-server."""

import re

import pytest

from support.resp import Closed, Connection

LARDER_VERSION = b"$5\r\n7.2.4\r\n"
ORACLE_VERSION = b"$6\r\n7.0.15\r\n"

COMMANDS = [
    ["PING"],
    ["PING", "hello"],
    ["PING", "a", "b"],
    ["ECHO", "hello"],
    ["ECHO"],
    ["SELECT", "1"],
    ["SELECT", "15"],
    ["SELECT", "16"],
    ["SELECT", "-1"],
    ["SELECT", "x"],
    ["SELECT", "99999999999999999999"],
    ["AUTH", "x"],
    ["AUTH", "default", "x"],
    ["AUTH", "nobody", "x"],
    ["AUTH", "a", "b", "c"],
    ["RESET"],
    ["RESET", "x"],
    ["HELLO", "1"],
    ["HELLO", "4"],
    ["HELLO", "x"],
    ["HELLO", "99999999999999999999"],
    ["HELLO", "3", "FOO"],
    ["HELLO", "3", "AUTH", "default"],
    ["HELLO", "3", "AUTH", "nobody", "x"],
    ["HELLO", "3", "SETNAME"],
    ["HELLO", "3", "SETNAME", "a b"],
]


def plain(reply):
    """Without what may differ: the version and the connection's id."""
    reply = reply.replace(ORACLE_VERSION, LARDER_VERSION)
    return re.sub(rb"\$2\r\nid\r\n:\d+\r\n", b"$2\r\nid\r\n:ID\r\n", reply)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_replies(both, command):
    both.same(*command)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["2"],
        ["3"],
        ["3", "SETNAME", "tester"],
        ["3", "AUTH", "default", "any"],
        ["2", "AUTH", "default", "any", "SETNAME", "x", "SETNAME", "y"],
    ],
    ids=" ".join,
)
def test_hello(both, arguments):
    reply = both.same("HELLO", *arguments, normalise=plain)
    assert LARDER_VERSION in reply
    both.same("CLIENT", "GETNAME")


def test_hello_is_redis_7(larder):
    with larder.connect() as connection:
        reply = connection.command("HELLO", "3")
    assert b"$6\r\nserver\r\n$5\r\nredis\r\n" in reply
    assert b"$4\r\nmode\r\n$10\r\nstandalone\r\n" in reply


def test_quit_answers_and_closes(both):
    for side in both.sides:
        side.send(b"QUIT now please\r\nPING\r\n")
        assert side.read_until_closed() == b"+OK\r\n"


def test_reset_forgets(both):
    for command in (
        ["SELECT", "3"],
        ["CLIENT", "SETNAME", "x"],
        ["HELLO", "3"],
        ["RESET"],
        ["CLIENT", "GETNAME"],
        ["GET", "nothing"],
        ["SET", "in-db-0", "1"],
    ):
        both.same(*command, normalise=plain)
    for side in both.sides:
        info = side.command("CLIENT", "INFO")
        assert b" db=0 " in info and b" flags=N " in info
        assert b" resp=2" in info


def test_select_is_a_connections_own(both):
    both.same("SELECT", "2")
    both.same("SET", "key", "in 2")
    both.same("SELECT", "0")
    both.same("EXISTS", "key")
    both.same("SELECT", "2")
    both.same("GET", "key")


class TestPassword:
    COMMANDS = [
        ["PING"],
        ["HELLO"],
        ["HELLO", "3"],
        ["HELLO", "2", "SETNAME", "x"],
        ["HELLO", "3", "AUTH", "default", "wrong"],
        ["AUTH", "wrong"],
        ["AUTH", "default", "wrong"],
        ["AUTH", "secret2"],
        ["AUTH", ""],
        ["GET", "x"],
        ["NOSUCH"],
        ["AUTH", "secret"],
        ["PING"],
        ["RESET"],
        ["PING"],
        ["HELLO", "3", "AUTH", "default", "secret"],
        ["PING"],
        ["AUTH", "wrong"],
        ["PING"],
    ]

    def test_same_as_redis(self, start_larder, start_oracle):
        sides = []
        for start in (start_larder, start_oracle):
            sides.append(start("requirepass secret"))
        replies = []
        for server in sides:
            with server.connect() as connection:
                replies.append(
                    [plain(connection.command(*c)) for c in self.COMMANDS])
        for command, ours, theirs in zip(self.COMMANDS, *replies):
            assert ours == theirs, command


# ---- MONITOR ----


def monitored(port, commands):
    """The lines MONITOR shows for these commands, without time and port."""
    with Connection(port) as monitor, Connection(port) as client:
        assert monitor.command("MONITOR") == b"+OK\r\n"
        for command in commands:
            client.command(*command)
        client.command("ECHO", "end of test")
        lines = []
        while not lines or b"end of test" not in lines[-1]:
            line = monitor.read_reply()
            lines.append(re.sub(
                rb"^\+\d{10}\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\]",
                rb"[\1]", line))
        return lines


def test_monitor(both):
    commands = [
        ["SET", "key", b'\x00 \n\r\t\a\b " \\ \x1b \x80\xff z\xc3\xa4'],
        ["GET", "key"],
        ["nosuch", "command"],
        ["GET"],
        ["SELECT", "3"],
        ["PING"],
        ["SELECT", "0"],
        ["AUTH", "password"],
        ["AUTH", "default", "password"],
        ["HELLO", "2", "AUTH", "default", "password", "SETNAME", "me"],
        ["CONFIG", "GET", "port"],
        ["CLIENT", "LIST"],
        ["CLIENT", "SETNAME", "x"],
        ["INFO", "server"],
        ["TIME"],
    ]
    ours = monitored(both.larder.port, commands)
    assert ours == monitored(both.oracle.port, commands)
    assert not any(b"password" in line for line in ours)
    assert b'[0] "GET" "key"\r\n' in ours


def test_monitor_may_not_use_keys(both):
    both.same("MONITOR")
    both.same("GET", "x")
    both.same("SET", "x", "1")
    both.same("RESET")
    both.same("GET", "x")


def test_a_monitor_that_goes_is_forgotten(larder):
    for _ in range(20):
        with larder.connect() as monitor:
            assert monitor.command("MONITOR") == b"+OK\r\n"
    with larder.connect() as client:
        for _ in range(50):
            assert client.command("PING") == b"+PONG\r\n"
        assert b" flags=O " not in client.command("CLIENT", "LIST")


def test_closed_is_noticed(larder):
    connection = larder.connect()
    connection.command("QUIT")
    with pytest.raises((Closed, OSError)):
        connection.command("PING")


def test_a_password_that_comes_and_goes(start_larder, start_oracle):
    """Who is in stays in; RESET asks again; without a password all are in."""
    told = []
    for server in (start_larder(), start_oracle()):
        with server.connect() as early, server.connect() as other:
            replies = [
                early.command("CONFIG", "SET", "requirepass", "secret"),
                early.command("PING"), other.command("PING"),
                other.command("RESET"), other.command("PING"),
                other.command("HELLO", "2", "AUTH", "default", "no"),
                other.command("AUTH", "secret"), other.command("PING"),
                other.command("RESET"), other.command("PING"),
            ]
            with server.connect() as late:
                replies += [
                    late.command("PING"),
                    early.command("CONFIG", "SET", "requirepass", ""),
                    late.command("PING"), other.command("PING"),
                    early.command("CONFIG", "SET", "requirepass", "again"),
                    late.command("PING"), early.command("PING"),
                    early.command("CONFIG", "SET", "requirepass", ""),
                ]
        told.append(replies)
    assert told[0] == told[1]
