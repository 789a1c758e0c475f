"""redis-cli and redis-benchmark of Debian 12: every mode that asks the server
for something."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

LARDER_CONFIG = ["enable-debug-command yes"]


@pytest.fixture
def filled(larder):
    with larder.connect() as connection:
        connection.command("FLUSHALL")
        connection.command("DEBUG", "POPULATE", "2000", "key", "100")
        connection.command("SET", "big", "x" * 5000)
        connection.command("TIER", "DEMOTE", "key:1", "key:2", "TO", "dry")
    return larder


def cli(server, *arguments, **options):
    options.setdefault("timeout", 60)
    return subprocess.run(
        ["redis-cli", "-p", str(server.port), *arguments],
        capture_output=True, text=True, **options).stdout


def cli_for(server, seconds, *arguments):
    """What a mode without an end shows on a terminal in that time."""
    return on_terminal(server, arguments, [], seconds)


def on_terminal(server, arguments, keys, seconds=0):
    """The screen after starting redis-cli and typing each of `keys`."""
    pid, screen = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp("redis-cli", ["redis-cli", "-p", str(server.port),
                                *arguments])
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 180, 0, 0))
    if not keys:
        seen = read_for(screen, seconds)
    else:
        # What is typed before the prompt is seen by the terminal only.
        seen = read_until_quiet(screen, "> ")
    for text in keys:
        os.write(screen, text.encode())
        seen += read_until_quiet(screen)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(screen)
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen)


def read_for(screen, seconds):
    seen, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([screen], [], [], 0.05)[0]:
            try:
                seen += os.read(screen, 65536)
            except OSError:
                break
    return seen.decode(errors="replace")


def read_until_quiet(screen, awaited=""):
    """Until `awaited` (at least something) has come and nothing follows."""
    seen, end = "", time.monotonic() + 20
    while time.monotonic() < end:
        more = read_for(screen, 0.3)
        if not more and seen and awaited in seen:
            break
        seen += more
    return seen


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_commands(filled, protocol):
    assert cli(filled, protocol, "get", "big").strip() == "x" * 5000
    assert cli(filled, protocol, "get", "key:1").startswith("value:1")
    assert "redis_version:7.2.4" in cli(filled, protocol, "info", "server")
    assert "maxmemory" in cli(filled, protocol, "config", "get", "maxmem*")
    assert "lib-name=" in cli(filled, protocol, "client", "list")


def test_scan(filled):
    lines = cli(filled, "--scan", "--pattern", "key:199*").split()
    assert len(lines) == len(set(lines)) == 11


def test_bigkeys(filled):
    text = cli(filled, "--bigkeys")
    assert "Sampled 2001 keys in the keyspace!" in text
    assert "Biggest string found '\"big\"' has 5000 bytes" in text
    assert "2001 strings with 205000 bytes" in text


def test_memkeys(filled):
    text = cli(filled, "--memkeys")
    assert "Sampled 2001 keys in the keyspace!" in text
    assert re.search(r"Biggest string found '\"big\"' has 5\d\d\d bytes", text)


def test_hotkeys(filled):
    text = cli(filled, "--hotkeys")
    assert "Sampled 2001 keys in the keyspace!" in text
    assert "hot key found with counter" in text


def test_pipe(filled):
    data = "".join("SET piped:%d v\r\n" % i for i in range(10_000))
    text = cli(filled, "--pipe", input=data)
    assert "errors: 0, replies: 10000" in text
    assert cli(filled, "exists", "piped:9999").strip() == "1"


def test_pipe_of_resp_with_errors(filled):
    data = "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nINCR\r\n$3\r\nbig\r\n"
    text = cli(filled, "--pipe", input=data)
    assert "errors: 1, replies: 2" in text


def test_stat(filled):
    text = cli_for(filled, 1.5, "--stat", "-i", "0.3")
    rows = re.findall(
        r"^(\d+) +[\d.]+[KMG] +(\d+) +0 +\d+ \(\+\d+\) +\d+", text, re.M)
    assert len(rows) >= 2 and rows[0][0] == "2001"


def test_latency(filled):
    text = cli_for(filled, 1.0, "--latency")
    assert re.search(r"min: \d+, max: \d+, avg: [\d.]+", text)


def test_lru_test(larder):
    text = cli_for(larder, 2.5, "--lru-test", "1000")
    assert "Hits:" in text


@pytest.mark.parametrize("typed, hint", [
    ("SET ", "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT "
             "unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]"),
    ("MSET ", "key value [key value ...]"),
    ("CLIENT LIST ", "[TYPE NORMAL|MASTER|REPLICA|PUBSUB] [ID client-id "
                     "[client-id ...]]"),
    ("SCAN ", "cursor [MATCH pattern] [COUNT count] [TYPE type]"),
    ("HELLO ", "[protover [AUTH username password] [SETNAME clientname]]"),
    ("tier demote ", "key [key ...] [TO COLD|DRY]"),
])
def test_hints(larder, typed, hint):
    assert typed + hint in on_terminal(larder, [], [typed])


def test_help_and_completion(larder):
    text = on_terminal(larder, [], ["help tier demote\r", "help get\r",
                                    "client setn\t"])
    assert "TIER DEMOTE key [key ...] [TO COLD|DRY]" in text
    assert "since: 1.0.0" in text
    assert "CLIENT SETNAME" in text


def test_benchmark(larder):
    result = subprocess.run(
        ["redis-benchmark", "-p", str(larder.port), "-n", "2000", "-q", "-t",
         "ping,set,get,incr,mset", "-P", "4", "-r", "1000"],
        capture_output=True, text=True, timeout=120)
    lines = re.findall(r"^([A-Z_]+.*?): ([\d.]+) requests per second",
                       result.stdout.replace("\r", "\n"), re.M)
    assert [name for name, _ in lines] == [
        "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
    assert "WARNING" not in result.stdout + result.stderr
    assert "rror" not in result.stdout + result.stderr
