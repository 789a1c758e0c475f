"""A great deal of everything, and garbage: connections, pipelines, huge values,
clients that do not read, mutated input. Also run on the sanitized build."""

import random
import socket
import threading
import time

import pytest

from support import seed
from support.bad_input import INPUTS
from support.hostile import dry, reset, settled
from support.resp import encode
from support.server import PATIENCE, SANITIZED, patience

MB = 1 << 20
LARDER_CONFIG = ["maxmemory 64mb", "save \"\"", "enable-debug-command yes"]


@pytest.fixture(autouse=True)
def at_rest(request):
    yield
    if "larder" in request.fixturenames:
        server = request.getfixturevalue("larder")
        settled(server)
        server.client().flushall()


# ---- a great deal of everything ----


def test_two_thousand_connections(larder):
    held = []
    for i in range(2000):
        connection = larder.connect(timeout=60)
        connection.send(encode("SET", "c%d" % i, i) + encode("GET", "c%d" % i))
        held.append(connection)
    for i, connection in enumerate(held):
        text = b"%d" % i
        assert connection.read_replies(2) == [
            b"+OK\r\n", b"$%d\r\n%b\r\n" % (len(text), text)]
    random.Random(1).shuffle(held)
    for i, connection in enumerate(held):
        if i % 2:
            reset(connection)
        else:
            connection.close()


def test_a_pipeline_of_a_million_without_reading(larder):
    """Written by one thread, read by another only later: the server must
    neither drop a reply nor hoard them all."""
    count = 100000 if SANITIZED else 1000000
    data = encode("ECHO", "x" * 30) * 1000
    with larder.connect(timeout=120) as connection:
        writer = threading.Thread(
            target=lambda: [connection.send(data)
                            for _ in range(count // 1000)])
        writer.start()
        time.sleep(0.5)
        assert larder.ping_ms() < 1000 * patience()
        left = count * 37
        while left > 0:
            chunk = connection.sock.recv(1 << 20)
            assert chunk
            left -= len(chunk)
        writer.join()
        assert left == 0
        assert connection.command("PING") == b"+PONG\r\n"


@pytest.mark.skipif(SANITIZED, reason="several GB of shadow memory")
def test_a_value_of_512_megabytes(start_larder):
    server = start_larder("maxmemory 3gb")
    size = 512 * MB
    with server.connect(timeout=120) as connection:
        connection.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size)
        piece = bytes(MB)
        for _ in range(512):
            connection.send(piece)
        connection.send(b"\r\n")
        assert connection.read_reply() == b"+OK\r\n"
        assert connection.command("STRLEN", "k") == b":%d\r\n" % size
        assert connection.command("APPEND", "k", "x").startswith(b"-ERR ")
        assert connection.command("SETRANGE", "k", size - 1, "z") == (
            b":%d\r\n" % size)
        assert connection.command("GETRANGE", "k", size - 2, -1) == (
            b"$2\r\n\x00z\r\n")
        connection.send(encode("GET", "k"))
        left = size + len(b"$%d\r\n\r\n" % size)
        while left > 0:
            left -= len(connection.sock.recv(1 << 20))
        assert left == 0
        assert connection.command("DEL", "k") == b":1\r\n"
    assert server.ping_ms() < 1000 * patience()


def test_a_large_value_half_sent_many_times(larder):
    """Nothing of it stays when the sender goes."""
    before = larder.status_kb("VmRSS")
    for i in range(60):
        connection = larder.connect()
        connection.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8000000\r\n")
        connection.send(b"x" * 4000000)
        reset(connection)
    settled(larder)
    assert larder.status_kb("VmRSS") - before < 40 * 1024 * PATIENCE
    assert larder.client().get("k") is None


def test_monitors_that_do_not_read(larder):
    held = [larder.connect() for _ in range(10)]
    for connection in held:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(b"MONITOR\r\n")
    with larder.connect(timeout=60) as busy_one:
        for _ in range(20):
            busy_one.pipeline([("SET", "m", "x" * 500)] * 500)
    for i, connection in enumerate(held):
        if i % 2:
            reset(connection)
        else:
            connection.close()


def test_paused_clients_that_leave(larder):
    with larder.connect(timeout=60) as admin:
        assert admin.command("CLIENT", "PAUSE", "600") == b"+OK\r\n"
        held = [larder.connect(timeout=60) for _ in range(30)]
        for connection in held:
            connection.send(encode("SET", "p", "1") + encode("GET", "p"))
        for connection in held[:15]:
            reset(connection)
        for connection in held[15:]:
            assert connection.read_replies(2) == [b"+OK\r\n", b"$1\r\n1\r\n"]
            connection.close()
        admin.command("CLIENT", "UNPAUSE")


def test_replies_switched_off_over_dry_keys(larder):
    names = dry(larder, 50)
    with larder.connect(timeout=60) as connection:
        connection.send(
            encode("CLIENT", "REPLY", "OFF")
            + b"".join(encode("GET", n) for n in names)
            + encode("CLIENT", "REPLY", "ON")
            + encode("CLIENT", "REPLY", "SKIP") + encode("GET", names[0])
            + encode("ECHO", "end"))
        assert connection.read_replies(2) == [b"+OK\r\n", b"$3\r\nend\r\n"]


# ---- garbage ----


def mutated(source):
    """A good or bad input with a few bytes changed, cut or repeated."""
    data = bytearray(source.choice(INPUTS)[1][:400])
    for _ in range(source.randrange(1, 6)):
        if not data:
            break
        at = source.randrange(len(data))
        what = source.randrange(5)
        if what == 0:
            data[at] = source.randrange(256)
        elif what == 1:
            del data[at : at + source.randrange(1, 20)]
        elif what == 2:
            data[at:at] = data[at : at + source.randrange(1, 50)]
        elif what == 3:
            data[at:at] = source.choice(
                [b"\r\n", b"$", b"*", b"-1", b"\x00", b"999999999", b"\xff"])
        else:
            data += source.choice(INPUTS)[1][:200]
    return bytes(data)


FORBIDDEN = (b"shutdown", b"debug", b"config", b"pause", b"monitor")


def test_garbage(larder):
    source = seed.chance("garbage")
    with larder.connect(timeout=60) as witness:
        for step in range(1500):
            data = mutated(source)
            if any(word in data.lower() for word in FORBIDDEN):
                continue
            connection = larder.connect(timeout=60)
            try:
                for at in range(0, len(data), 97):
                    connection.send(data[at : at + 97])
                connection.sock.shutdown(socket.SHUT_WR)
                if step % 3:
                    connection.read_until_closed()
                else:
                    reset(connection)
            except OSError:
                pass
            connection.close()
            assert witness.command("PING") == b"+PONG\r\n", data


def test_every_command_with_nonsense_arguments(larder):
    """All commands, RESP2 and RESP3, zero to five odd arguments: an answer
    to each, of the right form, and no crash."""
    with larder.connect() as connection:
        listing = connection.command("COMMAND", "LIST")
    names = [n for n in listing.split(b"\r\n")[2::2]
             if n and n not in (b"shutdown", b"monitor", b"quit", b"debug")
             # Those that wait, or change what the next reply looks like.
             and n not in (b"multi", b"blpop", b"brpop", b"blmove",
                           b"brpoplpush", b"blmpop", b"bzmpop",
                           b"bzpopmin", b"bzpopmax")
             and b"subscribe" not in n]
    source = random.Random(11)
    words = [b"", b"a", b"0", b"-1", b"9223372036854775807", b"\x00\xff",
             b"*", b"NX", b"GET", b"EX", b"nan", b"help", b"x" * 2000,
             b"MATCH", b"COUNT", b"LIST", b"SETNAME", b"ON", b"DB"]
    for version in (b"2", b"3"):
        for name in names:
            for count in range(6):
                args = [source.choice(words) for _ in range(count)]
                if (name == b"config" and count > 1) or name == b"client":
                    args = args[:1]
                if name == b"client" and args[:1] in ([b"PAUSE"], [b"REPLY"]):
                    continue
                with larder.connect(timeout=60) as connection:
                    connection.command("HELLO", version)
                    connection.send(encode(name, *args) + encode("ECHO", "e"))
                    reply = connection.read_reply()
                    assert reply[:1] in b"+-:$*%~_,#(=>", (name, args, reply)
                    if name not in (b"reset", b"hello"):
                        assert connection.read_reply() == b"$1\r\ne\r\n"


def test_large_replies_at_once_hold_nobody_up(larder):
    """Six hundred clients get a megabyte each, fetched from disk; another
    one's PINGs go on."""
    names = ["large:%d" % i for i in range(40)]
    with larder.connect(timeout=60) as connection:
        for name in names:
            assert connection.command(
                "SET", name, random.Random(name).randbytes(MB)) == b"+OK\r\n"
        connection.command("TIER", "FLUSH", "ALL")
    held = [larder.connect(timeout=60) for _ in range(600)]
    pings = []
    with larder.connect(timeout=60) as witness:
        for i, connection in enumerate(held):
            connection.send(encode("GET", names[i % len(names)]))
        end = time.monotonic() + 2
        while time.monotonic() < end:
            begin = time.monotonic()
            assert witness.command("PING") == b"+PONG\r\n"
            pings.append((time.monotonic() - begin) * 1000)
    for i, connection in enumerate(held):
        reply = connection.read_reply()
        assert len(reply) == MB + len(b"$1048576\r\n\r\n")
        connection.close()
    pings.sort()
    assert pings[-1] < 300 * patience() and pings[-3] < 100 * patience(), pings[-9:]
