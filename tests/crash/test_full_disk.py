"""The disk is full: writes are refused with a clear error, reads and DEL go
on, room heals it, and nothing acknowledged is lost. Needs root, to mount a
small disk."""

import os
import random
import subprocess

import pytest

from support.server import new_directory, wait_until

MB = 1 << 20
ALWAYS = ('save ""', "appendonly yes", "appendfsync always")
CHECKPOINTS = ('save ""',)


@pytest.fixture
def small_disk():
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    directory = new_directory("small-disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "larder", str(directory)],
        capture_output=True, check=False)
    if done.returncode != 0:
        directory.rmdir()
        pytest.skip("cannot mount: %s" % done.stderr.decode())
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)
    directory.rmdir()


@pytest.fixture
def start_on(small_disk, start_larder):
    """Starts a server on the small disk. It is killed at the end: with dirty
    data and a full disk it rightly refuses to stop."""
    started = []

    def start(*settings):
        server = start_larder(
            'dir "%s"' % small_disk, "maxmemory 16mb", *settings)
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


def value_of(number):
    return random.Random(number).randbytes(100000)


def fill(server, first=0, most=3000):
    """SETs until one is refused; the numbers that were acknowledged, and the
    refusal."""
    acknowledged = []
    with server.connect(timeout=60) as connection:
        for number in range(first, first + most):
            reply = connection.command(
                "SET", "key:%d" % number, value_of(number))
            if reply != b"+OK\r\n":
                return acknowledged, reply
            acknowledged.append(number)
    raise AssertionError("%d values of 100 KB on a disk of 96 MB" % most)


def expect_refusal(reply):
    assert reply.startswith((b"-OOM ", b"-MISCONF ")), reply


def expect_values(connection, numbers):
    for number in numbers:
        reply = connection.command("GET", "key:%d" % number)
        assert reply[:9] == b"$100000\r\n", (number, reply[:200])
        assert reply[9:-2] == value_of(number), number


def can_write(server):
    with server.connect(timeout=60) as connection:
        reply = connection.command("SET", "probe", value_of(1))
    return reply == b"+OK\r\n"


@pytest.mark.parametrize("settings", [ALWAYS, CHECKPOINTS],
                         ids=["always", "checkpoints"])
def test_refuses_writes_and_heals(start_on, settings):
    server = start_on(*settings)
    there, refusal = fill(server)
    expect_refusal(refusal)
    assert len(there) > 500
    with server.connect(timeout=60) as connection:
        # Again and again the same, and the rest goes on.
        for _ in range(20):
            expect_refusal(connection.command("SET", "more", value_of(0)))
        expect_refusal(connection.command("APPEND", "key:1", "x" * 100000))
        assert connection.command("PING") == b"+PONG\r\n"
        expect_values(connection, random.Random(1).sample(there, 100))

        # DEL needs room for marks only; then there is room again.
        gone, kept = there[::2], there[1::2]
        for number in gone:
            reply = connection.command("DEL", "key:%d" % number)
            assert reply == b":1\r\n", (number, reply)
        # Little by little: what lives beside the dead is moved first.
        more = []

        def refill():
            more.extend(fill(server, first=10000 + 10000 * len(more))[0])
            return len(more) > len(gone) // 2

        wait_until(refill, 60, step=0.2, what="room after DEL")
        expect_values(connection, kept[::5] + more[::5])
        assert connection.command("EXISTS", *[
            "key:%d" % number for number in gone]) == b":0\r\n"


@pytest.mark.parametrize("settings", [ALWAYS, CHECKPOINTS],
                         ids=["always", "checkpoints"])
def test_heals_when_others_make_room(small_disk, start_on, settings):
    other = small_disk / "other"
    other.write_bytes(b"x" * (50 * MB))
    server = start_on(*settings)
    there, refusal = fill(server)
    expect_refusal(refusal)
    other.unlink()
    wait_until(lambda: can_write(server), 30, what="room")
    more, _ = fill(server, first=10000)
    assert len(more) > 200
    with server.connect(timeout=60) as connection:
        expect_values(connection, there[::7] + more[::7])


def test_nothing_acknowledged_is_lost(start_on):
    server = start_on(*ALWAYS)
    there, refusal = fill(server)
    expect_refusal(refusal)
    gone = there[:100]
    with server.connect(timeout=60) as connection:
        for number in gone:
            reply = connection.command("DEL", "key:%d" % number)
            assert reply == b":1\r\n", (number, reply)
    server.kill()
    server.expect_crash = False
    server.start()
    with server.connect(timeout=60) as connection:
        assert connection.command("EXISTS", *[
            "key:%d" % number for number in gone]) == b":0\r\n"
        expect_values(connection, there[100:])
