"""What a client can take: connections, time, memory, and what it may do
before it has given a password."""

import ast
import os
import re
import resource
import socket
import stat
import subprocess
import sys
import time

import pytest

from support.resp import Closed, encode
from support.server import PATIENCE, ROOT, wait_until, patience

MB = 1 << 20


def closed(connection, seconds=5):
    """True when the server has closed the connection by then."""
    connection.settimeout(seconds * PATIENCE)
    try:
        connection.read_until_closed()
        return True
    except socket.timeout:
        return False


@pytest.fixture(params=["larder", "oracle"])
def start(request, start_larder, start_oracle):
    """The same test on larder and, to know that the test is right, on the
    oracle."""
    return start_larder if request.param == "larder" else start_oracle


# ---- how many ----


def test_maxclients(start):
    server = start("maxclients 10")
    held = [server.connect() for _ in range(10)]
    assert all(c.command("PING") == b"+PONG\r\n" for c in held)
    with server.connect() as extra:
        assert extra.read_until_closed() == (
            b"-ERR max number of clients reached\r\n")
    assert all(c.command("PING") == b"+PONG\r\n" for c in held)
    held.pop().close()

    def accepted():
        with server.connect() as late:
            try:
                late.send(b"PING\r\n")
                return late.read_reply() == b"+PONG\r\n"
            except (Closed, OSError):
                return False

    wait_until(accepted, what="a free place is given away")
    info = held[0].command("INFO", "stats")
    assert int(re.search(rb"rejected_connections:(\d+)", info)[1]) >= 1
    for connection in held:
        connection.close()


def test_maxclients_at_run_time(start):
    server = start()
    held = [server.connect() for _ in range(20)]
    for connection in held:
        connection.command("PING")
    assert held[0].command("CONFIG", "SET", "maxclients", "20") == b"+OK\r\n"
    with server.connect() as extra:
        assert extra.read_until_closed().startswith(b"-ERR max number")
    assert held[0].command("CONFIG", "SET", "maxclients", "21") == b"+OK\r\n"
    with server.connect() as extra:
        assert extra.command("PING") == b"+PONG\r\n"
    for connection in held:
        connection.close()


def low_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_sixty_four_descriptors(start_larder):
    """Refuses what is too much, keeps what it has, and recovers; does not
    spin meanwhile."""
    server = start_larder(wait=False)
    server.kill()
    server.expect_crash = False
    server.preexec = low_descriptors
    server.start()
    held = []
    for _ in range(100):
        try:
            connection = server.connect(timeout=2)
            connection.send(b"PING\r\n")
            held.append(connection)
        except OSError:
            break
    answers = []
    for connection in held:
        try:
            answers.append(connection.read_reply())
        except (Closed, OSError):
            answers.append(None)
    served = [c for c, a in zip(held, answers) if a == b"+PONG\r\n"]
    assert 8 <= len(served) < 64
    for connection in served:
        assert connection.command("SET", "a", "b") == b"+OK\r\n"
        assert connection.command("GET", "a") == b"$1\r\nb\r\n"
    before = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - before < 0.2
    for connection in held:
        connection.close()

    def recovered():
        try:
            return server.ping_ms() < 1000
        except (OSError, Closed, AssertionError):
            return False

    wait_until(recovered, what="new connections after the storm")


def test_reset_storm(larder):
    linger = b"\x01\0\0\0\0\0\0\0"
    for _ in range(1000):
        sock = socket.create_connection(("127.0.0.1", larder.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        sock.close()
    assert larder.ping_ms() < 1000 * patience()
    wait_until(lambda: larder.info("clients")["connected_clients"] == 1,
               what="dead connections are forgotten")


def test_idle_connections_are_cheap(larder):
    larder.ping_ms()
    before = larder.status_kb("VmRSS")
    held = [larder.connect() for _ in range(800)]
    for connection in held:
        connection.command("PING")
    grown = larder.status_kb("VmRSS") - before
    for connection in held:
        connection.close()
    assert grown < 800 * 2 * PATIENCE, "%d KB for 800 connections" % grown


# ---- how long ----


def test_timeout(start):
    server = start("timeout 1")
    idle, busy = server.connect(), server.connect()
    idle.command("PING")
    begin = time.monotonic()
    idle.settimeout(0.2)
    while time.monotonic() - begin < 5 * patience():
        busy.command("PING")
        try:
            assert idle.read_until_closed() == b""
            break
        except socket.timeout:
            continue
    assert 0.9 < time.monotonic() - begin < 4 * patience()
    assert busy.command("PING") == b"+PONG\r\n"
    busy.close()


# ---- how much output ----


def fill(connection, size):
    assert connection.command("SET", "value", b"x" * size) == b"+OK\r\n"


def test_hard_output_limit(start):
    server = start("client-output-buffer-limit normal 4mb 0 0")
    with server.connect() as witness:
        fill(witness, MB)
        greedy = server.connect()
        greedy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        greedy.send(encode("GET", "value") * 64)

        def dropped():
            return witness.command("CLIENT", "LIST").count(b"id=") == 1

        wait_until(dropped, what="the greedy client is disconnected")
        assert closed(greedy)
        assert witness.command("PING") == b"+PONG\r\n"
        greedy.close()


def test_soft_output_limit(start):
    server = start("client-output-buffer-limit normal 0 1mb 1")
    with server.connect() as witness:
        fill(witness, MB)
        greedy = server.connect()
        greedy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        greedy.send(encode("GET", "value") * 16)
        begin = time.monotonic()

        def dropped():
            witness.command("PING")
            return witness.command("CLIENT", "LIST").count(b"id=") == 1

        wait_until(dropped, what="the slow client is disconnected")
        assert time.monotonic() - begin > 0.8
        assert closed(greedy)
        greedy.close()


def test_slow_reader_gets_everything(start):
    """Without a limit a slow reader is served, late but whole."""
    server = start()
    with server.connect(timeout=60) as slow, server.connect() as witness:
        fill(witness, 256 * 1024)
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.send(encode("GET", "value") * 40 + encode("ECHO", "end"))
        time.sleep(0.2)
        assert witness.command("PING") == b"+PONG\r\n"
        for _ in range(40):
            assert len(slow.read_reply()) == 256 * 1024 + 11
        assert slow.read_reply() == b"$3\r\nend\r\n"


def test_never_reading_clients_give_their_memory_back(larder):
    with larder.connect() as witness:
        fill(witness, MB)
        before = larder.status_kb("VmRSS")
        held = []
        for _ in range(10):
            greedy = larder.connect()
            greedy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            greedy.send(encode("GET", "value") * 200)
            held.append(greedy)
        assert witness.command("PING") == b"+PONG\r\n"
        # Replies share the value: nothing near 2 GB is ever built up.
        assert larder.status_kb("VmRSS") - before < 200 * 1024 * PATIENCE
        for greedy in held:
            greedy.close()
        wait_until(
            lambda: witness.command("CLIENT", "LIST").count(b"id=") == 1,
            what="they are gone")
        assert witness.command("DEL", "value") == b":1\r\n"


# ---- how much input ----


def test_query_buffer_limit(start):
    server = start("client-query-buffer-limit 1mb")
    with server.connect() as greedy:
        try:
            greedy.send(b"*2\r\n$4\r\nECHO\r\n$4000000\r\n")
            greedy.send(b"x" * 3000000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert closed(greedy)
    assert server.ping_ms() < 1000 * patience()


def test_proto_max_bulk_len(start):
    server = start("proto-max-bulk-len 1mb")
    with server.connect() as connection:
        value = b"x" * MB
        assert connection.command("SET", "a", value) == b"+OK\r\n"
        assert connection.command("APPEND", "a", "y") == (
            b"-ERR string exceeds maximum allowed size"
            b" (proto-max-bulk-len)\r\n")
        assert connection.command("SETRANGE", "a", MB, "y").startswith(
            b"-ERR string exceeds maximum allowed size")
        connection.send(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
        assert connection.read_reply() == (
            b"-ERR Protocol error: invalid bulk length\r\n")
        assert closed(connection)


# ---- before the password ----

PASSWORD = "correct horse"
SECURED = 'requirepass "%s"' % PASSWORD

BEFORE_PASSWORD = {
    "ten arguments": encode(*["x"] * 10),
    "eleven arguments": encode(*["x"] * 11),
    "declared eleven": b"*11\r\n",
    "declared a million": b"*1048576\r\n",
    "bulk of 16384": encode("ECHO", "x" * 16384),
    "bulk of 16385": encode("ECHO", "x" * 16385),
    "declared 16385": b"*2\r\n$4\r\nECHO\r\n$16385\r\n",
    "PING": encode("PING"),
    "unknown": encode("nosuch", "a"),
    "wrong arity": encode("GET"),
    "HELLO": encode("HELLO", "3"),
    "HELLO alone": encode("HELLO"),
    "HELLO AUTH wrong": encode("HELLO", "3", "AUTH", "default", "wrong"),
    "AUTH wrong": encode("AUTH", "wrong"),
    "AUTH empty": encode("AUTH", ""),
    "AUTH prefix": encode("AUTH", PASSWORD[:-1]),
    "AUTH longer": encode("AUTH", PASSWORD + "x"),
    "AUTH zero byte": encode("AUTH", PASSWORD + "\x00"),
    "AUTH user wrong": encode("AUTH", "nobody", PASSWORD),
    "AUTH right": encode("AUTH", PASSWORD) + encode("PING"),
    "AUTH default right": encode("AUTH", "default", PASSWORD) + encode("PING"),
    "AUTH right then wrong": (
        encode("AUTH", PASSWORD) + encode("AUTH", "wrong") + encode("PING")),
    "AUTH then RESET": (
        encode("AUTH", PASSWORD) + encode("RESET") + encode("PING")),
    "AUTH then eleven": encode("AUTH", PASSWORD) + encode("DEL", *"a" * 20),
    "QUIT": encode("QUIT"),
    "RESET": encode("RESET"),
    "SHUTDOWN": encode("SHUTDOWN", "NOSAVE"),
    "CONFIG SET requirepass": encode("CONFIG", "SET", "requirepass", ""),
    "inline": b"GET a\r\n",
    "QUIT behind error": encode("GET", "a") + encode("QUIT"),
}


@pytest.fixture(scope="module")
def secured(request):
    from support import server as servers

    pair = [servers.larder([SECURED]), servers.oracle([SECURED])]
    try:
        yield [server.start() for server in pair]
    finally:
        for server in pair:
            server.finish()


@pytest.mark.parametrize("name", BEFORE_PASSWORD)
def test_before_the_password(secured, name):
    answers = []
    for server in secured:
        with server.connect() as connection:
            connection.send(BEFORE_PASSWORD[name])
            try:
                connection.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has hung up already
            answers.append(connection.read_until_closed())
    assert answers[0] == answers[1], "larder %r, oracle %r" % tuple(answers)


def test_every_command_needs_the_password(secured):
    """All but AUTH, HELLO, QUIT and RESET answer NOAUTH."""
    with secured[0].connect() as admin:
        admin.command("AUTH", PASSWORD)
        listing = admin.command("COMMAND", "LIST")
    names = re.findall(rb"\r\n([a-z]+)\r\n", listing)
    assert len(names) > 80
    refused = (b"-NOAUTH", b"-ERR wrong number", b"-ERR unknown subcommand",
               b"-EXECABORT")
    with secured[0].connect() as connection:
        for name in names:
            if name in (b"auth", b"hello", b"quit", b"reset"):
                continue
            reply = connection.command(name, "a", "b")
            assert reply.startswith(refused), (name, reply)
    assert secured[0].ping_ms() < 1000 * patience()


def flood(connection, data, megabytes):
    """Sends until done or until the server hangs up."""
    try:
        for _ in range(megabytes * MB // len(data)):
            connection.send(data)
        return False
    except (BrokenPipeError, ConnectionResetError, socket.timeout):
        return True


def test_unread_errors_do_not_pile_up_before_the_password(secured):
    """A million GETs from one who gave no password and never reads."""
    for server in secured:
        before = server.status_kb("VmRSS")
        with server.connect(timeout=3) as greedy:
            greedy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            assert flood(greedy, encode("GET", "a") * 1000, 24)
            assert server.status_kb("VmRSS") - before < 20 * 1024 * PATIENCE


@pytest.mark.parametrize("data", [b"x" * 4096, b"*1\r\n$16000\r\n" + b"x" * 99],
                         ids=["endless line", "many"])
def test_endless_input_before_the_password(secured, data):
    for server in secured:
        before = server.status_kb("VmRSS")
        with server.connect(timeout=3) as greedy:
            flood(greedy, data, 8)
            assert server.status_kb("VmRSS") - before < 12 * 1024 * PATIENCE
        assert server.ping_ms() < 1000 * patience()


def test_a_thousand_large_declarations(secured):
    """Nothing is allocated by declared length."""
    before = secured[0].status_kb("VmRSS")
    held = []
    for i in range(500):
        connection = secured[0].connect()
        connection.send(
            b"*10\r\n" if i % 2 else b"*2\r\n$4\r\nECHO\r\n$16384\r\n")
        held.append(connection)
    assert secured[0].ping_ms() < 1000 * patience()
    assert secured[0].status_kb("VmRSS") - before < 16 * 1024 * PATIENCE
    for connection in held:
        connection.close()


def test_large_declarations_with_a_password(larder):
    before = larder.status_kb("VmRSS")
    held = []
    for i in range(200):
        connection = larder.connect()
        connection.send(
            b"*1000000\r\n" if i % 2
            else b"*2\r\n$4\r\nECHO\r\n$536870912\r\nxxx")
        held.append(connection)
    assert larder.ping_ms() < 1000 * patience()
    assert larder.status_kb("VmRSS") - before < 64 * 1024 * PATIENCE
    for connection in held:
        connection.close()


def test_password_is_in_no_log(start_larder):
    server = start_larder("loglevel debug", "slowlog-log-slower-than 0")
    with server.connect() as monitor, server.connect() as connection:
        assert monitor.command("MONITOR") == b"+OK\r\n"
        secret = "s3cret-word"
        assert connection.command(
            "CONFIG", "SET", "requirepass", secret) == b"+OK\r\n"
        connection.command("AUTH", secret)
        connection.command("HELLO", "3", "AUTH", "default", secret)
        seen = connection.command("SLOWLOG", "GET", "100")
        connection.command("ECHO", "last")
        fed = b""
        while b"last" not in fed:
            fed += monitor.read_reply()
        assert b"ECHO" in fed and secret.encode() not in fed
        assert b"AUTH" in seen.upper() or b"CONFIG" in seen.upper()
        assert secret.encode() not in seen
    assert secret not in server.log()


# ---- who may connect ----


@pytest.mark.parametrize("lines", [
    ("bind 0.0.0.0", "protected-mode yes"),
    ("bind 0.0.0.0", "protected-mode no"),
    ("bind 0.0.0.0", "protected-mode yes", "requirepass x"),
], ids=["protected", "open", "password"])
def test_protected_mode(lines):
    answers = []
    for which in ("larder", "oracle"):
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests/support/private_net.py"),
             str(ROOT / "tests/support/protected.py"), which, *lines],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if done.returncode == 77:
            pytest.skip("no private network here: %r" % done.stdout)
        assert done.returncode == 0, done.stderr.decode()
        answers.append(
            [ast.literal_eval(x) for x in done.stdout.decode().splitlines()])
    ours, theirs = answers
    assert ours[0] == theirs[0]
    # The refusal's first words; the advice behind them is our own.
    assert ours[1][:20] == theirs[1][:20], answers
    if lines[1] == "protected-mode yes" and len(lines) == 2:
        assert ours[1].startswith(b"-DENIED ")


def test_unix_socket(start):
    server = start("port 0", wait=False)
    server.kill()
    server.expect_crash = False
    path = "/tmp/larder-test-%d.sock" % os.getpid()
    server.config_lines = [
        'unixsocket "%s"' % path, "unixsocketperm 700"] + [
        line for line in server.config_lines if line != "port 0"]
    server.start()
    try:
        mode = os.stat(path).st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o700
        from support.resp import Connection

        with Connection(path=path) as connection:
            assert connection.command("PING") == b"+PONG\r\n"
            assert path.encode() in connection.command("CLIENT", "LIST")
        # A socket file left behind by a crash is no obstacle.
        server.crash_restart()
        with Connection(path=path) as connection:
            assert connection.command("PING") == b"+PONG\r\n"
        assert server.stop() == 0
        assert not os.path.exists(path)
    finally:
        if os.path.exists(path):
            os.unlink(path)
