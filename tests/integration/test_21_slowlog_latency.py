"""SLOWLOG and LATENCY beside redis-server, and what only larder has: marks on
commands that waited for disk."""

import re
import time

import pytest

from support.server import wait_until

LARDER_CONFIG = ["enable-debug-command yes"]
ORACLE_CONFIG = ["enable-debug-command yes"]


def run(server, *command):
    """The reply without redis-py's own ideas of it; text where it can be."""
    client = server.client()
    client.response_callbacks.clear()
    reply = client.execute_command(*command)
    client.close()
    return text_of(reply)


def text_of(reply):
    if isinstance(reply, list):
        return [text_of(part) for part in reply]
    return reply.decode("latin-1") if isinstance(reply, bytes) else reply


def entries(server):
    """SLOWLOG GET -1, oldest first: arguments and client name."""
    raw = run(server, "SLOWLOG", "GET", "-1")
    assert all(len(entry) == 6 for entry in raw)
    return [(entry[3], entry[5]) for entry in reversed(raw)]


def pairs(flat):
    return list(zip(flat[::2], flat[1::2]))


COMMANDS = [
    ["SET", "k", "x" * 200],
    ["SET", "k", "x" * 128],
    ["MGET"] + [str(i) for i in range(31)],
    ["MGET"] + [str(i) for i in range(32)],
    ["MGET"] + [str(i) for i in range(50)],
    ["GET", b"\x00\xff"],
    ["GET"],
    ["NOSUCH", "x"],
    ["AUTH", "secret"],
    ["AUTH", "default", "secret"],
    ["HELLO", "2", "AUTH", "default", "secret"],
    ["HELLO", "2", "SETNAME", "me", "AUTH", "default", "secret"],
    ["CLIENT", "SETNAME", "someone"],
    ["CONFIG", "SET", "masterauth", "secret", "hz", "10"],
    ["CONFIG", "SET", "HZ", "x"],
    ["CONFIG", "GET", "masterauth"],
    ["config", "set", "masterauth", ""],
    ["SLOWLOG", "LEN", "x"],
    ["FLUSHALL"],
]


def test_entries_are_as_in_redis(both):
    both.same("CONFIG", "SET", "slowlog-log-slower-than", "0")
    both.same("CLIENT", "SETNAME", "")
    both.same("SLOWLOG", "RESET")
    for command in COMMANDS:
        both.ask(*command)
    both.same("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    ours, theirs = entries(both.larder), entries(both.oracle)
    assert ours == theirs
    assert len(ours) > 10
    assert not [e for e in ours if "secret" in e[0]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["GET", "0"],
        ["GET", "-2"],
        ["GET", "x"],
        ["GET", "1", "2"],
        ["LEN", "x"],
        ["RESET", "x"],
        ["NOSUCH"],
        ["HELP"],
        [],
    ],
    ids=" ".join,
)
def test_slowlog_errors(both, arguments):
    both.same("SLOWLOG", *arguments)


def test_slowlog_keeps_so_many(both):
    both.same("CONFIG", "SET", "slowlog-log-slower-than", "0",
              "slowlog-max-len", "3")
    for i in range(10):
        both.same("GET", str(i))
    both.same("SLOWLOG", "LEN")
    both.same("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    both.same("SLOWLOG", "LEN")
    assert entries(both.larder) == entries(both.oracle)
    both.same("CONFIG", "SET", "slowlog-max-len", "128")


def test_slowlog_entry_fields(both):
    both.same("CONFIG", "SET", "slowlog-log-slower-than", "20000")
    both.same("SLOWLOG", "RESET")
    both.same("DEBUG", "SLEEP", "0.03")
    both.same("GET", "quick")
    for server in (both.larder, both.oracle):
        ((number, time_s, us, command, address, name),) = run(
            server, "SLOWLOG", "GET")
        assert command == ["DEBUG", "SLEEP", "0.03"]
        assert 30000 <= us < 2000000
        assert abs(time_s - time.time()) < 10
        assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
        # What redis-py makes of it.
        (parsed,) = server.client().slowlog_get()
        assert parsed["id"] == number
        assert parsed["command"] == b"DEBUG SLEEP 0.03"
        assert parsed["duration"] == us
    both.same("CONFIG", "SET", "slowlog-log-slower-than", "10000")


def test_slowlog_marks_reads_of_disk(start_larder):
    server = start_larder("slowlog-log-slower-than 0")
    client = server.client(decode_responses=True)
    client.set("k", "value")
    assert run(server, "TIER", "DEMOTE", "k", "TO", "DRY") == 1
    client.slowlog_reset()
    assert client.get("k") == "value"
    assert client.get("k") == "value"
    shown = [words for words, _ in entries(server)]
    assert ["GET", "k", "(waited for disk)"] in shown
    assert ["GET", "k"] in shown
    # Tools that count fields find the six they know.
    with server.connect() as connection:
        reply = connection.command("SLOWLOG", "GET", "1")
    assert reply.startswith(b"*1\r\n*6\r\n:")
    assert "waited for disk" in server.cli("SLOWLOG", "GET")
    client.close()


# ---- LATENCY ----


@pytest.mark.parametrize(
    "arguments",
    [
        ["HISTORY", "nosuch"],
        ["HISTORY"],
        ["LATEST", "x"],
        ["GRAPH", "nosuch"],
        ["GRAPH", "x" * 40],
        ["RESET", "nosuch", "x" * 40],
        ["HISTOGRAM", "nosuch"],
        ["DOCTOR", "x"],
        ["NOSUCH"],
        ["HELP"],
        [],
    ],
    ids=lambda words: " ".join(words)[:20],
)
def test_latency_errors(both, arguments):
    both.same("LATENCY", *arguments)


def test_latency_events(both):
    both.same("CONFIG", "SET", "latency-monitor-threshold", "20")
    both.same("LATENCY", "RESET")
    both.same("DEBUG", "SLEEP", "0.05")
    both.same("DEBUG", "SLEEP", "0.03")
    both.same("GET", "quick")
    for server in (both.larder, both.oracle):
        (latest,) = run(server, "LATENCY", "LATEST")
        assert latest[0] == "command"
        # Two clocks: one may call 50 ms 49.
        assert 49 <= latest[3] < 2000
        history = run(server, "LATENCY", "HISTORY", "command")
        assert 1 <= len(history) <= 2
        assert max(ms for _, ms in history) == latest[3]
        assert history[-1] == latest[1:3]
        lines = run(server, "LATENCY", "GRAPH", "command").split("\n")
        assert re.match(
            r"command - high \d+ ms, low \d+ ms \(all time high %d ms\)"
            % latest[3], lines[0])
        assert lines[1] == "-" * 80
        assert len(lines) >= 8
        assert "command" in run(server, "LATENCY", "DOCTOR")
        assert run(server, "LATENCY", "RESET", "command", "nosuch") == 1
        assert run(server, "LATENCY", "LATEST") == []
    both.same("CONFIG", "SET", "latency-monitor-threshold", "0")


def drawn(samples):
    """The four rows Redis draws for these latencies."""
    low, high = min(samples), max(samples)
    columns = []
    for ms in samples:
        step = (ms - low) * 12 // (high - low) if high > low else 0
        step = min(step, 11)
        column = "|" * (step // 3) + "_o#"[step % 3]
        columns.append(column.ljust(4))
    return ["".join(column[row] for column in columns) for row in (3, 2, 1, 0)]


def test_latency_graph_as_in_redis(both):
    both.same("CONFIG", "SET", "latency-monitor-threshold", "10")
    both.same("LATENCY", "RESET")
    for seconds in ("0.02", "1.01", "0.5", "0.6"):
        both.same("DEBUG", "SLEEP", seconds)
    for server in (both.larder, both.oracle):
        history = run(server, "LATENCY", "HISTORY", "command")
        graph = run(server, "LATENCY", "GRAPH", "command").split("\n")
        assert graph[2:6] == drawn([ms for _, ms in history])
        assert graph[6] == " " * len(history) and graph[-1] == "" and len(graph) == 10
        assert set(graph[7]) <= set("0123456789")
        assert graph[8] == "s" * len(history)
    both.same("CONFIG", "SET", "latency-monitor-threshold", "0")


def histogram(server, *names):
    found = {}
    for name, value in pairs(run(server, "LATENCY", "HISTOGRAM", *names)):
        fields = dict(pairs(value))
        found[name] = (fields["calls"], pairs(fields["histogram_usec"]))
    return found


def test_histogram(both):
    both.same("CONFIG", "RESETSTAT")
    for i in range(100):
        both.same("SET", "k", i)
    both.same("CONFIG", "GET", "hz")
    both.same("DEBUG", "SLEEP", "0.03")
    redis_steps = {(1024 << i) + (1024 << i) // 128 - 1 for i in range(40)}
    redis_steps = {ns // 1000 for ns in redis_steps}
    for server in (both.larder, both.oracle):
        found = histogram(server)
        assert {"set", "config|get", "debug"} <= set(found)
        for calls, steps in found.values():
            assert steps == sorted(steps)
            assert steps[-1][1] == calls
            assert {us for us, _ in steps} <= redis_steps
        assert found["set"][0] == 100
        ((us, calls),) = found["debug"][1]
        assert us in (33816, 67633, 135266, 270532) and calls == 1
        assert set(histogram(server, "config", "nosuch")) >= {"config|get"}
        assert set(histogram(server, "config|get")) == {"config|get"}
    both.same("LATENCY", "HISTOGRAM", "strlen")


def test_histogram_resp3_is_a_map(larder):
    with larder.connect() as connection:
        connection.command("HELLO", "3")
        connection.command("SET", "a", "1")
        reply = connection.command("LATENCY", "HISTOGRAM", "set")
    assert reply.startswith(b"%1\r\n$3\r\nset\r\n%2\r\n$5\r\ncalls\r\n:")


def test_latency_of_disk_waits(start_larder):
    """A wait longer than the threshold is an event of its own kind."""
    server = start_larder("latency-monitor-threshold 1")
    client = server.client()
    keys = ["k%d" % i for i in range(300)]
    for key in keys:
        client.set(key, key * 20000)

    def waited():
        assert run(server, "TIER", "DEMOTE", *keys, "TO", "DRY") == len(keys)
        assert client.mget(keys) == [(key * 20000).encode() for key in keys]
        latest = run(server, "LATENCY", "LATEST")
        return [event for event in latest if event[0] == "dry-wait"]

    ((_, _, ms, worst),) = wait_until(
        waited, seconds=30, what="an event dry-wait")
    assert 1 <= ms <= worst
    client.close()
