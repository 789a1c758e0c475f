"""Bad input: each whole, byte by byte and split, against redis-server.

The reply and whether the connection is closed must be the oracle's, in every
delivery, and another connection must get its PONG within 100 ms after each.
"""

import socket
import time

import pytest

from support.bad_input import INPUTS, ZERO_BYTES
from support.resp import encode, encode_all
from support.server import SANITIZED, patience

PING_MS = 100
# What is slow on a busy machine would be in the answers to SLOWLOG.
LARDER_CONFIG = ORACLE_CONFIG = ["slowlog-log-slower-than -1"]
# Of longer inputs only this many split positions are tried.
SPLITS = 8 if SANITIZED else 40
BYTEWISE_MAX_BYTES = 3000


class Delivery:
    """One connection that gets an input in pieces and reads the answer."""

    def __init__(self, server):
        self.sock = socket.create_connection(("127.0.0.1", server.port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open = True

    def send(self, data):
        """A server that has closed already must not matter."""
        if self.open and data:
            try:
                self.sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                self.open = False

    def end_of_input(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def read_to_end(self):
        parts = []
        try:
            while True:
                chunk = self.sock.recv(1 << 16)
                if not chunk:
                    break
                parts.append(chunk)
        except ConnectionResetError:
            pass
        self.sock.close()
        return b"".join(parts)

    def read_and_see(self, expected, quiet_seconds):
        """(what came, whether the server closed), without our closing first.
        Waits for as many bytes as `expected`, then briefly for more."""
        parts, size = [], 0
        try:
            while True:
                wait = 20 if size < len(expected) else quiet_seconds
                self.sock.settimeout(wait)
                chunk = self.sock.recv(1 << 16)
                if not chunk:
                    return b"".join(parts), True
                parts.append(chunk)
                size += len(chunk)
        except socket.timeout:
            return b"".join(parts), False
        except ConnectionResetError:
            return b"".join(parts), True
        finally:
            self.sock.close()


def whole(server, data):
    delivery = Delivery(server)
    delivery.send(data)
    delivery.end_of_input()
    return delivery.read_to_end()


@pytest.fixture(scope="module")
def expected(oracle):
    """What the oracle answers to each input, and whether it then closes."""
    found = {}
    for name, data in INPUTS:
        with oracle.connect() as admin:
            admin.command("FLUSHALL")
        reply = whole(oracle, data)
        with oracle.connect() as admin:
            admin.command("FLUSHALL")
        delivery = Delivery(oracle)
        delivery.send(data)
        found[name] = delivery.read_and_see(reply, 0.03)
    return found


@pytest.fixture
def witness(larder):
    """A connection that was there before and must not notice anything."""
    with larder.connect() as connection:
        yield connection


def flush(connection):
    """Also tells that everything sent before has been read."""
    assert connection.command("FLUSHALL") == b"+OK\r\n"


def check_ping(witness):
    begin = time.monotonic()
    assert witness.command("PING") == b"+PONG\r\n"
    assert (time.monotonic() - begin) * 1000 <= PING_MS * patience()


def same(ours, theirs, how, data):
    assert ours == theirs, "%s of %r:\nlarder %r\noracle %r" % (
        how, data[:300], ours[:1000], theirs[:1000])


def ids(item):
    name = item[0]
    return name if len(name) < 60 else name[:60]


@pytest.mark.parametrize("item", INPUTS, ids=ids)
def test_input(larder, expected, witness, item):
    name, data = item
    reply, closed = expected[name]

    flush(witness)
    delivery = Delivery(larder)
    delivery.send(data)
    ours, ours_closed = delivery.read_and_see(reply, 1.0 if closed else 0.005)
    check_ping(witness)
    same(ours, reply, "whole", data)
    assert ours_closed == closed, "closed: larder %s, oracle %s" % (
        ours_closed, closed)

    if len(data) <= BYTEWISE_MAX_BYTES:
        flush(witness)
        delivery = Delivery(larder)
        for i in range(len(data)):
            delivery.send(data[i : i + 1])
        delivery.end_of_input()
        same(delivery.read_to_end(), reply, "byte by byte", data)
        check_ping(witness)

    split(larder, witness, data, reply)


def split(larder, witness, data, reply):
    """The input in two pieces at each position; the witness' reply in
    between proves that the first piece was read alone."""
    step = max(1, len(data) // SPLITS)
    flush(witness)
    for at in range(1, len(data), step):
        delivery = Delivery(larder)
        delivery.send(data[:at])
        check_ping(witness)
        delivery.send(data[at:])
        delivery.end_of_input()
        same(delivery.read_to_end(), reply, "split at %d" % at, data)
        flush(witness)
    check_ping(witness)


@pytest.mark.parametrize("data", ZERO_BYTES, ids=range(len(ZERO_BYTES)))
def test_zero_bytes_in_lines_are_refused(larder, witness, data):
    for how in (data, data + b"x" * 20000):
        delivery = Delivery(larder)
        delivery.send(how)
        reply, closed = delivery.read_and_see(b"-ERR Protocol error: ", 2)
        assert reply.startswith(b"-ERR Protocol error: ") and closed
        assert reply.count(b"\r\n") == 1
    check_ping(witness)


def test_nothing_is_left_behind(larder, witness):
    """After all of the above: no connection, no key, no waiting client."""
    flush(witness)
    info = larder.info()
    assert info["connected_clients"] <= 3
    assert info["blocked_clients"] == 0
    assert witness.command("DBSIZE") == b":0\r\n"


def test_a_reset_in_the_middle_of_anything(larder, witness):
    """Connections that die by RST at every byte of a command."""
    data = encode("SET", "k", "x" * 100) + encode("GET", "k")
    for at in range(1, len(data), 3):
        delivery = Delivery(larder)
        delivery.send(data[:at])
        delivery.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        delivery.sock.close()
    check_ping(witness)


def test_replies_before_the_end_of_input_arrive(larder):
    """printf 'PING\\r\\n' | nc: the reply comes although we have closed."""
    assert whole(larder, b"PING\r\n" * 1000) == b"+PONG\r\n" * 1000


def test_a_browser_is_hung_up_on(larder):
    """Its first line is a GET with wrong arguments; the Host header ends it.
    (Whether the error still reaches it is a matter of timing in Redis.)"""
    delivery = Delivery(larder)
    delivery.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n")
    reply, closed = delivery.read_and_see(b"", 2)
    assert closed
    assert reply in (b"", b"-ERR wrong number of arguments for 'get' command\r\n")


def test_a_long_line_is_refused(larder):
    """Redis sees to it only once 64 KB came without a line end, so that the
    outcome for a whole line depends on its reads."""
    delivery = Delivery(larder)
    delivery.send(b"ECHO " + b"x" * 200000)
    reply, closed = delivery.read_and_see(b"-", 2)
    assert reply == b"-ERR Protocol error: too big inline request\r\n"
    assert closed


@pytest.mark.parametrize("size", [1 << 20, 5 << 20])
def test_large_values_in_odd_pieces(both, size):
    value = bytes(i * 7 & 0xFF for i in range(256)) * (size // 256)
    data = encode("SET", "big", value) + encode("GET", "big")
    for side in both.sides:
        side.settimeout(60)
    for piece in (1 << 14, 32768 + 1, 99991):
        for at in range(0, len(data), piece):
            both.sides[0].send(data[at : at + piece])
        assert both.sides[0].read_replies(2)[1] == (
            b"$%d\r\n%b\r\n" % (len(value), value))


def test_deep_pipeline_of_mixed_commands(both):
    """One write of 20,000 commands, good and bad ones mixed."""
    commands = []
    for i in range(20000):
        key = "k%d" % (i % 97)
        commands.append([
            ("SET", key, "v%d" % i), ("GET", key), ("INCR", key),
            ("INCR", "n%d" % (i % 7)), ("nosuch",), ("GET",),
            ("APPEND", key, "x"), ("DEL", key), ("EXISTS", key, key),
            ("STRLEN", key),
        ][i % 10])
    data = encode_all(commands)
    both.same_raw(data, len(commands))


GLOBS = [
    ("a*" * 50 + "b", "a" * 100 * 1024),
    ("*a" * 30 + "*b", "a" * 100 * 1024),
    ("*?" * 50000, "a" * 1000),
    ("[" + "a-" * 1000, "a" * 1000),
    ("\\" * 1001, "\\" * 1000),
    ("*" * 10000 + "b", "a" * 1000),
    ("[^" + "b" * 1000 + "]" * 3, "a" * 100),
]


@pytest.mark.parametrize("pattern,key", GLOBS, ids=range(len(GLOBS)))
def test_patterns_take_bounded_time(larder, witness, pattern, key):
    flush(witness)
    with larder.connect() as connection:
        assert connection.command("SET", key, "v") == b"+OK\r\n"
        begin = time.monotonic()
        reply = connection.command("KEYS", pattern)
        assert reply.startswith(b"*")
        connection.command("SCAN", "0", "MATCH", pattern, "COUNT", "100")
        connection.command("CONFIG", "GET", pattern[:5000])
        assert time.monotonic() - begin < 1 * patience()
    flush(witness)
