"""What a pipeline was answered before a value comes from disk: kept until then,
but not for long, in its place, and never lost."""

import pytest

from support.resp import encode, encode_all
from support.server import wait_until

VALUE = b"$500\r\n%b\r\n" % (b"there" * 100)


def pipeline(*commands):
    return encode_all(commands)


def make_dry(server, disk):
    """`there` is on disk only, which does not answer."""
    with server.connect() as one:
        assert one.command("SET", "there", "there" * 100) == b"+OK\r\n"
        assert one.command("TIER", "DEMOTE", "there", "TO", "DRY") == b":1\r\n"
    disk.stall()


@pytest.fixture
def server(start_larder, disk):
    server = start_larder("save ''", "busy-reply-threshold 100", env=disk.env)
    make_dry(server, disk)
    return server


def test_a_disk_that_does_not_answer(server, disk):
    with server.connect() as one:
        one.send(pipeline(("ECHO", "a"), ("GET", "there"), ("PING",)))
        assert one.read_reply() == b"$1\r\na\r\n"
        assert one.quiet()
        disk.heal()
        assert one.read_replies(2) == [VALUE, b"+PONG\r\n"]


def test_messages_come_behind(server, disk):
    """Of a subscription, and that a key has changed."""
    with server.connect() as one, server.connect() as other:
        one.command("HELLO", "3")
        one.command("SUBSCRIBE", "channel")
        one.command("CLIENT", "TRACKING", "ON")
        one.command("GET", "here")
        one.send(pipeline(("ECHO", "a" * 900), ("GET", "there"), ("PING",)))
        wait_until(lambda: server.info("clients")["clients_waiting_for_disk"] == 1)
        assert other.command("PUBLISH", "channel", "b" * 900) == b":1\r\n"
        assert other.command("SET", "here", "x") == b"+OK\r\n"
        assert one.read_reply() == b"$900\r\n%b\r\n" % (b"a" * 900)
        assert one.read_reply().endswith(b"%b\r\n" % (b"b" * 900))
        assert b"invalidate" in one.read_reply()
        disk.heal()
        assert one.read_replies(2) == [VALUE, b"+PONG\r\n"]


@pytest.mark.parametrize("size", [10, 16_000, 17_000, 40_000, 300_000])
def test_answers_of_any_size(server, disk, size):
    with server.connect() as one:
        text = b"x" * size
        assert one.command("SET", "here", text) == b"+OK\r\n"
        wanted = [b"$%d\r\n%b\r\n" % (size, text), VALUE] * 2 + [b"+PONG\r\n"]
        one.send(pipeline(("GET", "here"), ("GET", "there")) * 2 + encode("PING"))
        disk.heal()
        assert one.read_replies(5) == wanted


def test_muted_and_last(server, disk):
    with server.connect() as one:
        one.send(pipeline(
            ("CLIENT", "REPLY", "SKIP"), ("PING",), ("ECHO", "a"), ("GET", "there"),
            ("CLIENT", "REPLY", "OFF"), ("GET", "there"), ("CLIENT", "REPLY", "ON"),
            ("QUIT",), ("PING",)))
        disk.heal()
        assert one.read_until_closed() == b"$1\r\na\r\n" + VALUE + b"+OK\r\n+OK\r\n"


def test_before_a_command_that_blocks(server, disk):
    with server.connect() as one, server.connect() as other:
        one.send(pipeline(("ECHO", "a"), ("GET", "there"), ("BLPOP", "list", 0), ("PING",)))
        disk.heal()
        assert one.read_replies(2) == [b"$1\r\na\r\n", VALUE]
        assert one.quiet()
        assert other.command("RPUSH", "list", "x") == b":1\r\n"
        assert one.read_replies(2) == [b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n", b"+PONG\r\n"]


def test_beside_a_busy_script(server, disk):
    with server.connect() as one, server.connect() as other, server.connect() as third:
        one.send(pipeline(("ECHO", "a"), ("GET", "there"), ("PING",)))
        third.send(encode("EVAL", "while true do end", 0))
        assert one.read_reply() == b"$1\r\na\r\n"
        wait_until(lambda: other.command("PING").startswith(b"-BUSY"))
        assert other.command("SCRIPT", "KILL") == b"+OK\r\n"
        disk.heal()
        assert one.read_replies(2) == [VALUE, b"+PONG\r\n"]


def test_shutdown_sends_them(start_larder, disk):
    server = start_larder("save ''", "hz 1", env=disk.env)
    make_dry(server, disk)
    with server.connect() as one:
        one.send(pipeline(("SET", "a", "1"), ("GET", "there")))
        with server.connect() as other:
            assert other.command("EXISTS", "a") == b":1\r\n"
            other.send(encode("SHUTDOWN"))
            disk.heal()
        assert one.read_until_closed().startswith(b"+OK\r\n")
    server.expect_crash = True


def test_writes_that_wait_for_a_sync(start_larder, disk):
    server = start_larder("save ''", "appendonly yes", "appendfsync always", env=disk.env)
    make_dry(server, disk)
    with server.connect() as one:
        one.send(pipeline(("ECHO", "a"), ("GET", "there"), ("SET", "b", "1"),
                          ("GET", "there"), ("GET", "b")))
        disk.heal()
        assert one.read_replies(5) == [
            b"$1\r\na\r\n", VALUE, b"+OK\r\n", VALUE, b"$1\r\n1\r\n"]
