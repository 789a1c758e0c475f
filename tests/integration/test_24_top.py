"""larder-top: a terminal view of tiers, namespaces, hit shares, movement a
second, queue depth, p50 and p99 of each tier."""

import os
import re
import subprocess

import pytest

from support.server import LARDER
from support.terminal import Terminal

TOP = LARDER.with_name("larder-top")


@pytest.fixture
def start_top():
    started = []

    def start(*args, **options):
        terminal = Terminal([str(TOP), *map(str, args)], **options)
        started.append(terminal)
        return terminal
    yield start
    for terminal in started:
        terminal.close()


@pytest.fixture
def server(start_larder):
    server = start_larder("namespace session: hot-max-items 3",
                          "namespace a,b: hot-max-items 100")
    with server.connect() as one:
        for i in range(10):
            one.command("SET", f"session:{i}", "x" * 100)
            one.command("SET", f"other:{i}", "x" * 2000)
        one.command("TIER", "DEMOTE", "other:0", "TO", "cold")
        one.command("TIER", "DEMOTE", "other:1", "TO", "dry")
        one.command("GET", "other:5")
        one.command("GET", "absent")
    return server


def run_once(*args, **env):
    return subprocess.run(
        [str(TOP), "-1", *map(str, args)], stdin=subprocess.DEVNULL,
        capture_output=True, timeout=30, check=False, encoding="ascii",
        env=dict(os.environ, **env))


def row(lines, name):
    """The words of the line that begins with that one."""
    for line in lines:
        if line.split()[:1] == [name]:
            return line.split()
    return None


def is_whole(lines):
    """What has been drawn has been read as well, to the last line."""
    return len(row(lines, "a%2Cb:") or []) == 10


def expect_figures(lines):
    assert row(lines, "TIER") == [
        "TIER", "KEYS", "BYTES", "HITS/S", "SHARE", "EXPIRED/S", "P50", "us",
        "P99", "us"]
    assert row(lines, "hot")[1] == "11"
    assert row(lines, "cold")[1] == "8"
    assert row(lines, "dry")[1] == "1"
    assert row(lines, "session:")[1:4] == ["3", "7", "0"]
    assert row(lines, "(others)")[1:4] == ["8", "1", "1"]
    assert row(lines, "a%2Cb:")[1:4] == ["0", "0", "0"]
    assert re.match(r"hot>cold \S+   cold>dry \S+   dry>cold 0 ",
                    lines[lines.index("MOVED/S") + 1])
    assert re.match(r"queue: \S+ to write, 0 reads   written ",
                    lines[lines.index("DISK") + 1])


def test_once(server):
    done = run_once("-p", server.port)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    expect_figures(lines)
    assert row(lines, "hot")[4] == "50.0%"
    assert row(lines, "none")[2] == "50.0%"


def test_how_it_connects(start_larder, tmp_path):
    socket = tmp_path / "socket"
    server = start_larder("requirepass secret", f'unixsocket "{socket}"',
                          "user watcher on >word ~* +info")
    for args, env in [
            (("-p", server.port, "-a", "secret"), {}),
            (("-s", socket, "-a", "secret"), {}),
            (("-h", "localhost", "-p", server.port), {
                "REDISCLI_AUTH": "secret"}),
            (("-p", server.port, "--user", "watcher", "-a", "word"), {})]:
        done = run_once(*args, **env)
        assert (done.returncode, done.stderr) == (0, ""), args
        assert "TIER" in done.stdout
    for args, error in [
            (("-p", server.port), "NOAUTH Authentication required."),
            (("-p", server.port, "-a", "x"), "WRONGPASS"),
            (("-p", 1), "Connection refused"),
            (("-s", tmp_path / "none"), "No such file")]:
        done = run_once(*args)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith("larder-top: " + error), done.stderr


def test_another_server(oracle):
    done = run_once("-p", oracle.port)
    assert (done.returncode, done.stderr) == (
        1, "larder-top: this is not a larder server\n")


@pytest.mark.parametrize("args", [
    ["-x", "1"], ["-p"], ["-p", "0"], ["-p", "1x"], ["-i", "0"], ["-i", "no"]])
def test_bad_options(args):
    done = run_once(*args)
    assert done.returncode == 2 and "--help" in done.stderr
    assert subprocess.run([str(TOP), "--help"], capture_output=True,
                          check=True).stdout.startswith(b"Usage: larder-top")


def test_screen(server, start_top):
    top = start_top("-p", server.port, "-i", "0.1")
    top.wait_for(is_whole)
    assert top.lines[0] == "larder-top 127.0.0.1:%d" % server.port
    expect_figures(top.lines)
    # Figures are of now: rates begin and end.
    with server.connect() as one:
        def busy(lines):
            for _ in range(50):
                one.command("GET", "session:0")
            return row(lines, "hot")[4] == "100.0%"
        top.wait_for(busy)
        top.wait_for(lambda lines: row(lines, "hot")[3:5] == ["0", "-"])
        one.command("DEL", "session:0")
    top.wait_for(lambda lines: row(lines, "hot")[1] == "10")
    top.type(b"q")
    assert top.wait_end() == 0


def test_changes_of_size_and_scrolling(server, start_top):
    top = start_top("-p", server.port, "-i", "0.1")
    top.wait_for(is_whole)
    top.set_size(30, 6)
    top.wait_for(lambda lines: len(lines) == 6 and
                 lines[0].startswith("larder-top") and
                 lines[5].startswith("cold"))
    assert all(len(line) <= 30 for line in top.lines)
    top.type(b"\x1b[B")
    top.wait_for(lambda lines: lines[0].startswith("larder 0"))
    top.type(b"\x1b[6~" * 5)  # as far as it goes
    top.wait_for(lambda lines: lines[5].startswith("a%2Cb:"))
    top.type(b"\x1b[A")
    top.wait_for(lambda lines: lines[5].startswith("session:"))
    for columns, rows in [(1, 1), (2, 1), (1, 2), (300, 3), (120, 60)]:
        top.set_size(columns, rows)
        top.read(0.3)
        assert top.process.poll() is None
    top.wait_for(is_whole)
    expect_figures(top.lines)
    top.type(b"q")
    assert top.wait_end() == 0


def test_a_lost_connection(server, start_top):
    top = start_top("-p", server.port, "-i", "0.1")
    top.wait_for(is_whole)
    server.stop()
    top.wait_for(lambda lines: lines[1].startswith("Old figures: ") and
                 lines[1].endswith("; trying again"))
    assert is_whole(top.lines)
    server.start()
    top.wait_for(lambda lines: lines[1].startswith("larder "))
    top.wait_for(is_whole)
    top.type(b"q")
    assert top.wait_end() == 0


def test_starts_before_the_server(start_larder, start_top):
    server = start_larder()
    server.stop()
    top = start_top("-p", server.port, "-i", "0.1")
    top.wait_for(lambda lines: "Connection refused; trying" in lines[1])
    server.start()
    top.wait_for(lambda lines: row(lines, "hot"))


def test_not_a_terminal(start_top):
    done = subprocess.run([str(TOP)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 1 and b"no terminal" in done.stderr
    top = start_top(term="unheard-of")
    assert top.wait_end() == 1
